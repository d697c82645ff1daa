"""Speed of the collisions of the Kac model beside two C programs, a plain one and a fast one, in one run.

    python bench/kac_kernel.py [--sizes 10,1000/100,100000/1,10/100,1000000] [--rounds 5] [--seconds 0.5]

All rates are 1. The plain C program has a clock for every collision, or none, as if their number had been drawn at
once; the fast one, 16 replicas at a time, has none.
Every row is timed in turn, for `seconds` at least and `rounds` times, and ratios are taken round by round, since the
speed of a shared machine drifts. The limit of the kernel is in docs/kac-kernel.md.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from in_turn import Timing, compiled, long_enough, outside, table

from kinlim.stochastic.kac.collisions import Clocks, advance, advance_alone, components, velocities
from kinlim.stochastic.streams import start

REPLICAS = 8
"""Side by side on a core, where that many fit the caches."""


def scalar(system: int, reservoir: int, clocks: bool, program: Path) -> Timing:
    """The plain C program."""
    return outside(lambda collisions: [program, system, reservoir, collisions, int(clocks)])


def vector(system: int, reservoir: int, program: Path) -> Timing:
    """The fast C program."""
    return outside(lambda collisions: [program, system, reservoir, collisions], 16)


def kernel(system: int, reservoir: int, cores: int, mirror: bool = False, replicas: int = REPLICAS) -> Timing:
    """`advance` on replicas of its own for each core, or `advance_alone` if there is no reservoir."""
    rates = (system / 2 if system > 1 else 0.0, float(system), reservoir / 2 if reservoir > 1 else 0.0)
    below = Clocks(system, reservoir, rates).below
    rows = []
    for core in range(cores):
        v, streams, fresh = velocities(replicas, system + reservoir), *np.empty((2, 4, replicas), np.uint64)
        components(v, system + reservoir)[:] = np.random.default_rng(core).normal(size=(1, system + reservoir, 3))
        start(streams, np.uint64(1), core * replicas)
        start(fresh, np.uint64(2), core * replicas)
        rows.append((v, streams, fresh))

    def carry_out(row: tuple[np.ndarray, ...], events: np.ndarray) -> None:
        v, streams, fresh = row
        if reservoir:
            advance(v, system, reservoir, below, streams, events, mirror, 1.0, fresh)
        else:
            advance_alone(v, system, below, streams, events, 1.0, fresh)

    def seconds_for(collisions: int) -> float:
        events = np.full(replicas, collisions)
        threads = [threading.Thread(target=carry_out, args=(row, events)) for row in rows]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    return long_enough(seconds_for, cores * replicas)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10,1000/100,100000/1,10/100,1000000")
    parser.add_argument("--alone", default="10,1000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program, fast = compiled("kac_scalar", folder), compiled("kac_vector", folder)
        for size in options.sizes.split("/"):
            m, n = map(int, size.split(","))
            rows = {
                "C with clocks": scalar(m, n, True, program),
                "C without": scalar(m, n, False, program),
                "vector C without": vector(m, n, fast),
                "kernel, one core": kernel(m, n, 1),
                "kernel, two cores": kernel(m, n, 2),
                "one replica": kernel(m, n, 1, replicas=1),
                "mirror, one core": kernel(m, n, 1, mirror=True),
                "mirror, two cores": kernel(m, n, 2, mirror=True),
            }
            table(f"(M, N) = ({m}, {n})", rows, options.rounds, options.seconds)
        for m in map(int, options.alone.split(",")):
            rows = {"one core": kernel(m, 0, 1), "two cores": kernel(m, 0, 2)}
            table(f"M = {m} with a thermostat, no reservoir", rows, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
