"""Speed of the redistribute kernel beside two C programs of the same model, a plain one and a fast one, in one run.

    python bench/pinned_kernel.py [--balls 100,1000,10000,100000,1000000] [--rounds 5] [--seconds 0.5]

Every row is timed in turn, for `seconds` at least and `rounds` times, and ratios are taken round by round, since the
speed of a shared machine drifts. At n = 1000 a whole study through `kinlim.simulate`, with initial data and all
statistics, is timed too. The limit of the kernel is in docs/kernel.md.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from in_turn import Timing, compiled, long_enough, outside, table

import kinlim
from kinlim.stochastic.pinned.balls import redistribute_lists
from kinlim.stochastic.pinned.redistribute import LANES, advance, velocities, workspace
from kinlim.stochastic.pinned.tiles import Tiles
from kinlim.stochastic.streams import modulated_white_noise, start

PAPER = Path(__file__).parent.parent / "examples" / "pinned-paper.toml"


def scalar(balls: int, program: Path) -> Timing:
    """The plain C program, one replica after another."""
    return outside(lambda collisions: [program, balls, 1, collisions])


def vector(balls: int, program: Path) -> Timing:
    """The fast C program, 16 replicas at a time."""
    return outside(lambda collisions: [program, balls, collisions], 16)


def kernel(balls: int, cores: int) -> Timing:
    """`advance` on LANES replicas a core, each core with its own."""
    rows = [_replicas(balls, first=core * LANES) for core in range(cores)]

    def seconds_for(collisions: int) -> float:
        threads = [threading.Thread(target=advance, args=(v, balls, s, collisions, *room)) for v, s, room in rows]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    return long_enough(seconds_for, cores * LANES)


def _replicas(balls: int, first: int) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray]]:
    streams, v = np.empty((4, LANES), np.uint64), velocities(LANES, balls)
    start(streams, np.uint64(1), first)
    x = np.linspace(0, 1, balls)
    modulated_white_noise(streams, x - 0.5, 0.1 + x, v)
    return v, streams, workspace()


def tiles(balls: int, threads: int) -> Timing:
    """One replica in tiles, on one thread or more."""
    v, streams, _ = _replicas(balls, first=0)
    work = Tiles(balls, 3, redistribute_lists, workspace, threads=threads)
    row, stream = np.zeros(work.length), streams[:, 0].copy()
    row[:balls] = v[0, :balls]

    def seconds_for(collisions: int) -> float:
        began = time.perf_counter()
        work.advance(row, stream, collisions)
        return time.perf_counter() - began

    return long_enough(seconds_for, 1)


def study(balls: int, threads: int) -> Timing:
    """A whole study; `seconds` does not matter, it takes about 1."""
    settings = [f"model.balls={balls}", f"particles.replicas={8192 * threads}"]
    kinlim.simulate(kinlim.load(PAPER, [f"model.balls={balls}", "particles.replicas=2"]), threads=1)  # compiles

    def rate(seconds: float) -> float:
        attributes = kinlim.simulate(kinlim.load(PAPER, settings), threads=threads).attrs
        return float(attributes["collisions"] / attributes["wall_seconds"])

    return rate


def rows_for(balls: int, programs: tuple[Path, Path]) -> dict[str, Timing]:
    """The rows for one n. Another way to simulate is another entry."""
    rows: dict[str, Timing] = {
        "scalar C": scalar(balls, programs[0]),
        "vector C": vector(balls, programs[1]),
        "kernel, one core": kernel(balls, 1),
        "kernel, two cores": kernel(balls, 2),
    }
    if balls >= 100_000:
        rows["one replica, one core"] = tiles(balls, 1)
        rows["one replica, two cores"] = tiles(balls, 2)
    if balls == 1000:
        rows["study, one core"] = study(balls, 1)
        rows["study, two cores"] = study(balls, 2)
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--balls", default="100,1000,10000,100000,1000000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        programs = compiled("pinned_scalar", folder), compiled("pinned_vector", folder)
        for balls in map(int, options.balls.split(",")):
            table(f"n = {balls}", rows_for(balls, programs), options.rounds, options.seconds)


if __name__ == "__main__":
    main()
