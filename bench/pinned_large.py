"""One replica of many balls in tiles, beside 32 replicas side by side and the plain scalar C program, in one run.

    python bench/pinned_large.py [--balls 10000 100000 1000000] [--threads 1 2] [--rounds 9]

All are timed in turn, round by round, and compared within a round, since the speed of a shared machine drifts. The
second table says where the time of one thread goes, and sets the words and velocities that must come from beyond a
core's own cache against a plain copy between arrays too large for any.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from in_turn import compiled
from numba import njit

from kinlim.stochastic.pinned import redistribute
from kinlim.stochastic.pinned.drawing import draw
from kinlim.stochastic.pinned.layout import PANEL, SIZE, Plan, Shared, Thread
from kinlim.stochastic.pinned.levels import open_panel, sift
from kinlim.stochastic.pinned.redistribute import LANES
from kinlim.stochastic.pinned.tiles import Tiles
from kinlim.stochastic.streams import modulated_white_noise, start

COLLISIONS = 8_000_000
"""In a measurement, about: half a second for the slowest."""


@njit(nogil=True)
def carry_out(v: Any, choices: Any, words: Any, begin: Any, end: Any, first: Any, spare: Any, room: Any) -> None:
    """Let the tiles carry out redistribute collisions."""
    redistribute.perform(v, choices, words, begin, end, spare, *room)


@njit(nogil=True)
def leave(v: Any, choices: Any, words: Any, begin: Any, end: Any, first: Any, spare: Any, room: Any) -> None:
    """Carry out nothing."""


def initial(balls: int) -> tuple[np.ndarray, np.ndarray]:
    """A group of replicas and their streams."""
    streams, v = np.empty((4, LANES), np.uint64), np.zeros((LANES, redistribute.width(balls)))
    start(streams, np.uint64(1), 0)
    modulated_white_noise(streams, np.zeros(balls), np.ones(balls), v)
    return v, streams


def side_by_side(balls: int) -> Callable[[], float]:
    """Collisions per second of 32 replicas on one core."""
    v, streams = initial(balls)
    room = redistribute.workspace()

    def measure() -> float:
        return rate(lambda: redistribute.advance(v, balls, streams, COLLISIONS // LANES, *room), COLLISIONS)

    redistribute.advance(v, balls, streams, 1, *room)
    return measure


def in_tiles(balls: int, threads: int, perform: Callable[..., Any] = carry_out) -> tuple[Callable[[], float], Tiles]:
    """Collisions per second of one replica."""
    tiles = Tiles(balls, 3, perform, redistribute.workspace, threads=threads)
    v, streams = initial(balls)
    row, stream = np.concatenate([v[0, :balls], np.zeros(tiles.length - balls)]), streams[:, 0].copy()
    chunk = tiles.plan.chunk
    collisions = chunk * max(1, round(COLLISIONS / chunk))
    tiles.advance(row, stream, chunk)
    return lambda: rate(lambda: tiles.advance(row, stream, collisions), collisions), tiles


@njit(nogil=True)
def _draw(plan: Plan, shared: Shared, mine: Thread, chunks: int) -> None:
    """Draw and deal some chunks."""
    for _ in range(chunks):
        mine.where[SIZE] = plan.chunk
        draw(plan, shared, mine)


def drawn(balls: int) -> Callable[[], float]:
    """Words per second that are drawn and dealt to panels."""
    tiles = in_tiles(balls, 1, leave)[1]
    chunks = max(1, round(COLLISIONS / tiles.plan.chunk))
    arguments = (tiles.plan, tiles.shared, tiles.threads[0])
    _draw(*arguments, 1)
    return lambda: rate(lambda: _draw(*arguments, chunks), chunks * tiles.plan.chunk)


def scalar_c(program: Path, balls: int) -> float:
    """Collisions per second of the C program, one replica."""
    command = [program, str(balls), "1", str(COLLISIONS // 4)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1])


def copied() -> float:
    """Bytes per second, read and written, of a copy."""
    source, target = np.ones(2**24), np.zeros(2**24)
    return max(rate(lambda: np.copyto(target, source), 2 * source.nbytes) for _ in range(5))


def put_off(balls: int) -> tuple[float, float]:
    """Share of collisions of level 1 and 2, from one panel of one chunk."""
    tiles = in_tiles(balls, 1, leave)[1]
    plan, shared, mine = tiles.plan, tiles.shared, tiles.threads[0]
    _draw(plan, shared, mine, 1)
    mine.where[PANEL] = 0
    open_panel(plan, shared, mine)
    sift(plan, shared, mine)
    inside = int((mine.end.astype(np.int64) - mine.begin).sum())
    late, outer = (int(count) for count in mine.counts)
    return late / (inside + late + outer), outer / (inside + late + outer)


def rate(work: Callable[[], object], amount: int) -> float:
    """Amount per second."""
    began = time.perf_counter()
    work()
    return amount / (time.perf_counter() - began)


def summary(values: list[float], form: str) -> str:
    """Median, least and greatest."""
    return f"{statistics.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--balls", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(f"Million collisions per second, {options.rounds} rounds: median [least, greatest]")
    with tempfile.TemporaryDirectory() as folder:
        program = compiled("pinned_scalar", folder)
        thousand = side_by_side(1000)
        for balls in options.balls:
            measures: dict[str, Callable[[], float]] = {
                "scalar C, one core": lambda balls=balls: scalar_c(program, balls),  # type: ignore[misc]
                "32 replicas of 1000 balls, one core": thousand,
                "32 replicas, one core": side_by_side(balls),
            } | {f"tiles, threads: {t}": in_tiles(balls, t)[0] for t in options.threads}
            rounds = [{name: measure() for name, measure in measures.items()} for _ in range(options.rounds)]
            print(f"\nn = {balls}")
            for name in measures:
                line = f"{name:>36} {summary([r[name] / 1e6 for r in rounds], '6.1f'):>24}"
                if name.startswith("tiles"):
                    for other in ("scalar C, one core", "32 replicas, one core"):
                        line += f"   {summary([r[name] / r[other] for r in rounds], '.2f')} x {other}"
                print(line)
    print("\nOne thread: nanoseconds per collision, and what comes from beyond the core's own cache")
    bandwidth = copied()
    for balls in options.balls:
        whole, tiles = in_tiles(balls, 1)
        parts = (drawn(balls), in_tiles(balls, 1, leave)[0], whole)
        rounds_ns = [[1e9 / part() for part in parts] for _ in range(options.rounds)]
        drawing, sifting, all_ = (statistics.median(r[k] for r in rounds_ns) for k in range(3))
        level_1, level_2 = put_off(balls)
        # Words are written and read once; velocities are read and written whenever the lists of tiles are full.
        traffic = 16 + 16 * tiles.plan.tile / (0.95 * tiles.threads[0].words.size / LANES)
        nanoseconds = f"draw and deal {drawing:.1f}, sift {sifting - drawing:.1f}, carry out {all_ - sifting:.1f}"
        levels = f"level 1 {100 * level_1:.2f} %, level 2 {100 * level_2:.3f} %"
        rates = f"{traffic:.0f} bytes = {traffic / all_:.1f} GB/s, a copy {bandwidth / 1e9:.1f} GB/s"
        print(f"n = {balls:>8}: {nanoseconds}, in all {all_:.1f}; {levels}; {rates}")


if __name__ == "__main__":
    main()
