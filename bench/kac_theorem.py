"""Trying to break the bounds of docs/kac-sectors.md, and the paper's: the worst initial law of every sector.

    python bench/kac_theorem.py [--degree 4]

19 sizes with M and N from 1 to 10^9, each with 9 pairs of rates and all sectors of degree 1 to 4, 40 times from 1e-4/mu
to 300/mu: for each the largest distance over all h0 with ||h0 - 1|| = 1, over each bound. Takes ten seconds.
"""

import argparse
import itertools
import time

import numpy as np

from kinlim.fem.kac import theorem
from kinlim.fem.kac.evolution import Evolution
from kinlim.fem.kac.sectors import sectors

SIZES = [
    (1, 1), (1, 2), (1, 5), (2, 2), (2, 3), (3, 1), (5, 7), (10, 10), (1, 100), (10, 100), (100, 100), (1000, 1),
    (10, 1000), (100, 10**4), (1, 10**6), (100, 10**6), (1000, 10**6), (1, 10**9), (1000, 10**9),
]  # fmt: skip
RATES = (0.0, 0.3, 1000.0)
TIMES = np.geomspace(1e-4, 300, 40)
MU = 1.0


def main() -> None:
    """Print the largest ratio of each kind, and where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--degree", type=int, default=4)
    degree = parser.parse_args().degree
    began, count = time.perf_counter(), 0
    largest: dict[str, tuple[float, str]] = {}
    for (m, n), lambda_s, lambda_r in itertools.product(SIZES, RATES, RATES):
        every = [
            Evolution(s, lambda_s, lambda_r, MU) for k in range(1, degree + 1) for s in sectors(k, m, n, distinct=True)
        ]
        gap = min(theorem.gap(one.sector, lambda_s, lambda_r, MU) for one in every)
        paper = theorem.paper_bound(TIMES, m, n, lambda_s, MU, gap)
        plateau = np.sqrt(m / (m + n))
        for one in every:
            count += 1
            worst = one.worst(TIMES)
            ratios = {
                "joint/sqrt((M/N)(1-exp(-mu t/3)))": worst.joint / theorem.joint_bound(TIMES, m, n, MU),
                "marginal/((M/N)(1-exp(-mu t/3)))": worst.marginal / theorem.marginal_bound(TIMES, m, n, MU),
                "joint/sqrt(M/(M+N))": worst.joint / plateau,
                "marginal/(M/(M+N))": worst.marginal / plateau**2,
                "transient/sqrt(M/(M+N))": worst.transient / plateau,
                "joint/the paper's bound": worst.joint / paper,
            }
            for name, values in ratios.items():
                k = int(np.nanargmax(values))
                where = f"M={m} N={n} lambda_S={lambda_s:g} lambda_R={lambda_r:g} degree {one.sector.degree}"
                where += f" mu t={TIMES[k]:.3g}"
                if name not in largest or values[k] > largest[name][0]:
                    largest[name] = float(values[k]), where
    print(f"{count} sectors and rates, {len(TIMES)} times, {time.perf_counter() - began:.0f} s; largest ratios:")
    for name, (value, where) in largest.items():
        print(
            f"  {name:36s} 1 - {1 - value:.2e}" if abs(value - 1) < 1e-3 else f"  {name:36s} {value:.4f}",
            f" at {where}",
        )


if __name__ == "__main__":
    main()
