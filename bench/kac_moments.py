"""Simulation of Kac particles against the exact sectors: five settings, ten times, all means of degree 1 and 2.

    python bench/kac_moments.py [--replicas 200000] [--seed 1]

Prints reduced chi2 and the largest |z| of each setting and of all together, and how often |z| exceeds 1, 2, 3, 4 beside
what independent normal z would give. With the reservoir, the thermostat, and their difference. Takes about two minutes.
"""

import argparse
import time

import numpy as np
from scipy.stats import norm

import kinlim
from kinlim.study import Study, check

OBSERVE = [0.01, 0.03, 0.06, 0.1, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0]

SETTINGS = {
    "the paper's rates, one particle squared": {
        "system": 10, "reservoir": 1000, "end_time": 15.0,
        "h0": {"family": "polynomial", "density": "(1+sqrt(2*pi)*x)**2/2"},
    },
    "one particle, reservoir of five, cold and drifting": {
        "system": 1, "reservoir": 5, "mu": 2.0, "lambda_r": 0.5, "end_time": 4.0,
        "h0": {"family": "gaussian", "temperature": 0.4, "drift": [0.3, 0.0, -0.1]},
    },
    "system as large as its reservoir, hot": {
        "system": 4, "reservoir": 4, "lambda_s": 3.0, "lambda_r": 0.2, "end_time": 8.0,
        "h0": {"family": "gaussian", "temperature": 1.7, "particles": 2},
    },
    "two particles of a quartic law": {
        "system": 20, "reservoir": 60, "lambda_s": 0.1, "lambda_r": 5.0, "mu": 0.7, "end_time": 10.0,
        "h0": {"family": "polynomial", "density": "4*pi**2*x**2*(y-z)**2/2", "particles": 2},
    },
    "a hundred drifting particles, many collisions inside": {
        "system": 100, "reservoir": 300, "lambda_s": 10.0, "lambda_r": 1.0, "mu": 1.0, "end_time": 8.0,
        "h0": {"family": "gaussian", "temperature": 1.2, "drift": [0.05, 0.05, 0.0]},
    },
}  # fmt: skip


KINDS = ("reservoir", "thermostat", "difference")
"""What is compared: both systems, and the first minus the second."""


def study(name: str, replicas: int, seed: int) -> Study:
    """A setting as a study."""
    return check(
        {
            "study": {"model": "kac", "name": "moments"},
            "model": {"observe": OBSERVE, **SETTINGS[name]},
            "particles": {"replicas": replicas, "seed": seed},
            "exact": {"degree": 2},
        }
    )


def line(name: str, found: dict[str, np.ndarray]) -> str:
    """Chi2 and largest |z| of each kind."""
    parts = [f"{kind} chi2 {(z**2).mean():.3f}, |z| <= {np.abs(z).max():.2f} ({z.size})" for kind, z in found.items()]
    return f"{name}: {'; '.join(parts)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    everything: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for name in SETTINGS:
        began = time.perf_counter()
        setting = study(name, arguments.replicas, arguments.seed)
        comparison = kinlim.compare(kinlim.simulate(setting), kinlim.solve(setting))
        found = {kind: comparison[f"z_{kind}"].to_numpy().ravel() for kind in KINDS}
        found = {kind: z[np.isfinite(z)] for kind, z in found.items()}
        print(f"{line(name, found)}, {time.perf_counter() - began:.0f} s", flush=True)
        for kind, z in found.items():
            everything[kind].append(z)
    together = {kind: np.concatenate(parts) for kind, parts in everything.items()}
    print(line("all", together))
    z = np.concatenate([together["reservoir"], together["thermostat"]])
    print(f"both systems: chi2 {(z**2).mean():.3f} of {z.size} means, largest |z| {np.abs(z).max():.2f}")
    for k in (1, 2, 3, 4):
        print(f"  |z| > {k}: {(np.abs(z) > k).sum()}, independent normal z would give {2 * norm.sf(k) * z.size:.1f}")


if __name__ == "__main__":
    main()
