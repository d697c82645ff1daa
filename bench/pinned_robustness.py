"""The hard cases of the pinned-ball equations, one line each: steps, rejections, sign of w, balances, seconds.

    python bench/pinned_robustness.py [--system "B'"] [--rtol 1e-7] [--seeds 20]

The paper's data at n = 1000 (T and 10 T) and n = 3000; waves crossing five times at n = 400, 3000, 10,000; no spread at
the beginning; random smooth data at n = 500; each with both kinds of ends. At the end the worst of every column.
"""

import argparse
from collections.abc import Iterator

import numpy as np

import kinlim
from kinlim.study import check

PAPER = {"mu0": "erf(27*(x-1/2)**3)", "sigma0": "(1-cos(2*pi*x))/1000"}
WAVES = {"mu0": "-erf(27*(x-1/2)**3)", "sigma0": "0.05*(1-cos(2*pi*x))"}
COLD = {"mu0": "sin(pi*x)", "sigma0": "0"}
T = 0.000120162


def crossing(balls: int) -> float:
    """Time 1/lambda that a signal takes from end to end."""
    return 2 * float(np.sqrt(np.pi)) / (balls - 1)


def smooth(seed: int) -> dict[str, str]:
    """Random smooth data: mu0 a cosine sum of size 1, sigma0 the square of a sine sum, at most about 0.1."""
    random = np.random.default_rng(seed)
    a, b = (random.normal(size=4) / np.arange(1, 5) for _ in range(2))
    mu = " + ".join(f"({c:.6f})*cos({k}*pi*x)" for k, c in enumerate(a, 1))
    sigma = " + ".join(f"({c:.6f})*sin({k}*pi*x)" for k, c in enumerate(b, 1))
    return {"mu0": mu, "sigma0": f"0.03*({sigma})**2"}


def cases(seeds: int) -> Iterator[tuple[str, int, dict[str, str], float, int]]:
    """Name, balls, data, end time, cells: h lambda is at most 1.5."""
    yield "paper, T", 1000, PAPER, T, 400
    yield "paper, 10 T", 1000, PAPER, 10 * T, 400
    yield "paper, n = 3000", 3000, PAPER, T, 1200
    for balls, cells in ((400, 200), (3000, 1200), (10_000, 4000)):
        yield f"waves, n = {balls}", balls, WAVES, 5 * crossing(balls), cells
    yield "no spread", 1000, COLD, crossing(1000), 400
    for seed in range(1, seeds + 1):
        yield f"random {seed}", 500, smooth(seed), 2 * crossing(500), 200


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--system", default="B'")
    parser.add_argument("--rtol", type=float, default=1e-7)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    columns = (
        "steps",
        "rejected",
        "failed",
        "least w/max w",
        "momentum drift",
        "energy drift",
        "energy gone",
        "seconds",
    )
    print(f"system {options.system}, rtol {options.rtol:g}, P2")
    print(f"{'':<17}{'ends':<8}" + "".join(f"{name:>15}" for name in columns))
    worst: dict[str, list[list[float]]] = {}
    for name, balls, data, end_time, cells in cases(options.seeds):
        for ends in ("noflux", "paper"):
            tables = {
                "study": {"model": "pinned", "name": "robustness"},
                "model": {"balls": balls, **data, "end_time": end_time, "observe": [0.25, 0.5, 1.0]},
                "particles": {"replicas": 2},
                "pde": {"system": options.system, "boundary": ends, "cells": cells, "rtol": options.rtol},
            }
            try:
                pde = kinlim.solve(check(tables))
            except (kinlim.InputError, kinlim.RunError) as error:
                print(f"{name:<17}{ends:<8} {error}")
                continue
            row = [
                pde.attrs["steps"], pde.attrs["rejected_steps"], pde.attrs["failed_solves"],
                float((pde.min_w / pde.max_w).min()), float(pde.momentum_drift.max()), float(pde.energy_drift.max()),
                float(pde.energy_flux[-1]), pde.attrs["stepping_seconds"],
            ]  # fmt: skip
            worst.setdefault(ends, []).append(row)
            print(f"{name:<17}{ends:<8}" + "".join(f"{value:>15.3g}" for value in row), flush=True)
    for ends, rows in worst.items():
        values = np.array(rows)
        row = [*values[:, :3].max(axis=0), values[:, 3].min(), *values[:, 4:].max(axis=0)]
        print(f"{'worst':<17}{ends:<8}" + "".join(f"{value:>15.3g}" for value in row))


if __name__ == "__main__":
    main()
