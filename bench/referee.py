"""The referee beside the elements, and beside a program of one's own: how far apart, and how long each takes.

    ./run python bench referee

The problem of bench/peers/torus.py, on boxes; and the equations on tori of the gallery that have a strong form. The
distance is the largest relative L2 one at all times but 0, over the points of the dataset. Seconds are CPU seconds of
one core: of the whole second solve by elements; of the referee, which solves with more and more points along each axis
until two solutions that follow each other differ by less than 1e-8; of its last solution alone; and, for the problem
of bench/peers/torus.py, of the fastest setting of ETDRK4 (bench/peers/fourier.py) that is within 1e-8 of the referee,
which somebody has to find. ETDRK4 takes steps of one length and has no control of its error.
"""

import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reaction_limit import study

from mpi4py import MPI

from kinlim import api
from kinlim.base import Study
from kinlim.fem.collocation import interpolated
from kinlim.fem.fourier import ENOUGH, Fourier
from kinlim.fem.refinement import relative
from kinlim.grid import Grid
from kinlim.keeper import Keeper
from kinlim.study import load, model_of

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from fourier import solver

Array = NDArray[np.float64]

GALLERY = Path(__file__).parent.parent / "examples" / "gallery"
STUDIES = ("weakly_asymmetric.toml", "glauber_kawasaki.toml", "exclusion_torus.toml")

CASES = (
    (1, 32, 4, "implicit"),
    (2, 16, 3, "implicit"),
    (2, 16, 3, "explicit"),
    (2, 32, 4, "explicit"),
    (3, 8, 3, "explicit"),
    (3, 8, 4, "explicit"),
)
"""Dimension, cells along each axis, degree, and how elements step."""


STEPS = (16, 32, 48, 64, 96, 128)
POINTS = (16, 20, 24, 32)
"""What ETDRK4 is tried with."""


def main() -> None:
    """Print the tables."""
    comm = MPI.COMM_SELF
    print(
        "| equation | elements | their seconds | distance | referee's N | its own error | its seconds | of the last |"
    )
    print("|---|---|---|---|---|---|---|---|")
    found = {}
    for dimension, cells, degree, stepping in CASES:
        shape = {"shape": "box"} if dimension > 1 else {}
        this = study(dimension, cells, degree=degree, stepping=stepping, rtol=1e-7, **shape)
        found[dimension] = row(f"torus.py, T^{dimension}", this, comm)
    for name in STUDIES:
        row(name.removesuffix(".toml"), load(GALLERY / name), comm)
    print("\n| ETDRK4 | N | steps | distance to the referee | seconds |\n|---|---|---|---|---|")
    for dimension, values in found.items():
        best = min(attempts(dimension, *values))
        print(f"| torus.py, T^{dimension} | {best[1]} | {best[2]} | {best[3]:.1e} | {best[0]:.4f} |", flush=True)


def row(name: str, study: Study, comm: MPI.Comm) -> tuple[Array, Grid]:
    """Solve by both; the referee's first unknown at the end, and where."""
    side = model_of(study).side(study)
    maker: Any = side.maker()
    for _ in range(2):  # the first compiles
        began = time.process_time()
        solution = api.make(side, study, Keeper(comm))
        seconds = time.process_time() - began
    problem = maker.problem(study, comm)
    times, grid = solution["time"].to_numpy(), problem.equation.grid
    began = time.process_time()
    referee = Fourier(problem)
    found = referee.solve(times, grid)
    lasted = time.process_time() - began
    began = time.process_time()
    referee.with_points(referee.size, referee.rtol, times, grid)
    last = time.process_time() - began
    gap = max(relative(solution[u].to_numpy(), values)[times > 0].max() for u, values in found.items())
    settings = getattr(study, side.table)
    about = f"{settings.cells * 2**settings.refinements} cells, degree {settings.degree}, rtol {settings.rtol:g}"
    print(
        f"| {name} | {about}, {settings.stepping} | {seconds:.2f} | {gap:.1e} | {referee.size} | "
        f"{referee.error.max():.1e} | {lasted:.2f} | {last:.2f} |",
        flush=True,
    )
    return next(iter(found.values()))[-1:], grid


def attempts(dimension: int, m: Array, grid: Grid) -> Iterator[tuple[float, int, int, float]]:
    """Seconds, points, steps and distance of settings of ETDRK4 that are within `ENOUGH` of a solution."""
    for n, steps in product(POINTS, STEPS):
        run = solver(dimension, n, steps)
        began = time.process_time()
        values = run()
        seconds = time.process_time() - began
        gap = float(relative(interpolated(values, grid)[None], m)[0])
        if gap <= ENOUGH:
            yield min(seconds, *(_seconds(run) for _ in range(2))), n, steps, gap


def _seconds(run: Any) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    main()
