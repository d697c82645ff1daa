"""Speed of reacting particles beside two C programs of the same algorithm, a scalar one and one for vectors, in turn.

    python bench/reaction_kernel.py [--sizes 1,10000,82/1,1000000,82/2,1000000,82/3,1000000,82] [--rounds 5]
        [--seconds 1]

A size is dimension, N, cells along each axis. Equilibrium with density one of either kind, standard Gaussian
velocities, epsilon = 4/cells, dt = 0.245 epsilon^2. Seconds are those of the processor, since a machine may be shared.
What bounds it is in docs/reaction-particles.md.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from in_turn import compiled, over, summary

from kinlim.models.reaction.profile import GaussianProfile
from kinlim.stochastic.reaction.profiles import sampler, velocities
from kinlim.stochastic.reaction.reacting import Kind, Rules, run
from kinlim.stochastic.reaction.supply import places
from kinlim.stochastic.streams import start
from kinlim.stochastic.vectors import LENGTH

X = 0.245
"""Reactions of a particle in a step: where the splitting costs 0.005 of the diffusion."""

Rates = Callable[[float], tuple[float, float]]
"""Particle-steps and events per second, measured for about so many seconds."""


def program(d: int, n: int, cells: int, file: Path) -> Rates:
    """One of the C programs."""
    steps = 3

    def rates(seconds: float) -> tuple[float, float]:
        nonlocal steps
        while True:
            words = [str(word) for word in (file, d, n, cells, X, steps)]
            found = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
            if (took := float(found[0])) >= seconds:
                return float(found[1]), float(found[2])
            steps = int(steps * min(100, 1.2 * seconds / max(took, 1e-3))) + 1

    return rates


def kernel(d: int, n: int, cells: int) -> Rates:
    """`run` on one replica, by one thread."""
    chi = sampler(GaussianProfile(family="gaussian"), d)
    stream = np.empty((4, 1), np.uint64)
    start(stream, np.uint64(1), 0)
    found = places(stream[:, 0], LENGTH + 1)
    lanes, rare = np.ascontiguousarray(found[:, :LENGTH]), np.ascontiguousarray(found[:, LENGTH:])
    rng = np.random.default_rng(1)
    kinds: list[Kind] = []
    for _ in range(2):
        number = int(rng.poisson(n))
        pos, vel = rng.integers(0, 2**32, (d, number), np.uint32), np.empty((d, number), np.float32)
        velocities(chi, vel, 0, number, lanes)
        kinds.append((pos, vel, number))
    epsilon = 4 / cells
    rules = Rules.of((chi, chi), d, cells, n, epsilon, X * epsilon**2)
    events, steps = np.zeros(2, np.int64), 3

    def rates(seconds: float) -> tuple[float, float]:
        nonlocal steps
        while True:
            events[:], before = 0, kinds[0][2] + kinds[1][2]
            began = time.thread_time()
            kinds[0], kinds[1], well = run(*kinds, steps, *rules.arguments, lanes, rare, events)
            took = time.thread_time() - began
            assert well
            if took >= seconds:
                return steps * (before + kinds[0][2] + kinds[1][2]) / 2 / took, float(events.sum()) / took
            steps = int(steps * min(100, 1.2 * seconds / max(took, 1e-3))) + 1

    return rates


def compare(rows: dict[str, Rates], rounds: int, seconds: float) -> None:
    """Print the rates of all rows, and their ratios to the first one, taken round by round."""
    for rates in rows.values():
        rates(seconds)
    found: dict[str, list[Any]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, rates in rows.items():
            found[name].append(rates(seconds))
    first = [steps for steps, _ in found[next(iter(rows))]]
    for name, column in found.items():
        steps, events = (list(values) for values in zip(*column, strict=True))
        print(
            f"{name:>8} {summary(steps, 1e6)} million particle-steps/s, {summary(events, 1e6)} million events/s, "
            f"{over(steps, first)} x {next(iter(rows))}",
            flush=True,
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="1,10000,82/1,1000000,82/2,1000000,82/3,1000000,82")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scalar, vector = (compiled(name, folder) for name in ("reaction_scalar", "reaction_vector"))
        for size in options.sizes.split("/"):
            d, n, cells = map(int, size.split(","))
            print(
                f"\ndimension {d}, N = {n}, {cells} cells along each axis: median [min, max] of {options.rounds} rounds"
            )
            rows = {"vector C": program(d, n, cells, vector), "C": program(d, n, cells, scalar)}
            compare(rows | {"kernel": kernel(d, n, cells)}, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
