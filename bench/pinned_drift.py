"""Energy and momentum of the redistribute kernel over a very long run: 10^6 collisions per site by default.

    python bench/pinned_drift.py [--balls 1000] [--per-site 1000000]

Rounding errors that cancel on average leave a drift that grows like the root of the number of collisions; a systematic
one grows in proportion. Both are printed: the mean over replicas with its standard error, and the largest.
"""

import argparse
import time

import numpy as np

from kinlim.stochastic.pinned.redistribute import LANES, advance, width, workspace
from kinlim.stochastic.streams import modulated_white_noise, start


def main() -> None:
    """Print the drift at eight moments of the run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--balls", type=int, default=1000)
    parser.add_argument("--per-site", type=int, default=10**6)
    options = parser.parse_args()
    n = options.balls
    streams, v = np.empty((4, LANES), np.uint64), np.zeros((LANES, width(n)))
    start(streams, np.uint64(1), 0)
    modulated_white_noise(streams, np.linspace(-1, 1, n), np.full(n, 0.5), v)
    velocities, room = v[:, :n], workspace()
    energy, momentum = (velocities**2).sum(axis=1), velocities.sum(axis=1)
    began = time.perf_counter()
    print("collisions/site   relative energy drift: mean +- s.e., largest      momentum drift, largest")
    for part in range(1, 9):
        advance(v, n, streams, n * options.per_site // 8, *room)
        drift = (velocities**2).sum(axis=1) / energy - 1
        moved = np.abs(velocities.sum(axis=1) - momentum) / np.sqrt(n * energy)
        error = drift.std(ddof=1) / np.sqrt(LANES)
        print(
            f"{part * options.per_site // 8:>15}   {drift.mean():+.2e} +- {error:.1e}, {np.abs(drift).max():.2e}"
            f"                   {moved.max():.2e}   ({time.perf_counter() - began:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
