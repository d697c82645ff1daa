"""The referee beside the elements: how far apart, and how long each takes.

    OMP_NUM_THREADS=1 python bench/referee.py

The limit equation of generation and recombination, m0 = 2 + 0.4 sin 2 pi x + cos 2 pi (x + y + z) until t = 0.01, with
matrices D1 and D2 that are full and no multiples of each other, on boxes; and the equations on tori of the gallery that
have a strong form. The distance is the largest relative L2 one at three times, over the points of the dataset. Seconds
are CPU seconds of one core: of the whole second solve by elements, and of the referee, which solves with N = 16, 32,
... points along each axis until two solutions that follow each other differ by less than 1e-8.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from mpi4py import MPI

from kinlim import api
from kinlim.base import Study
from kinlim.fem.fourier import Fourier
from kinlim.fem.refinement import relative
from kinlim.keeper import Keeper
from kinlim.study import check, load, model_of

GALLERY = Path(__file__).parent.parent / "examples" / "gallery"
STUDIES = ("weakly_asymmetric.toml", "glauber_kawasaki.toml", "exclusion_torus.toml")

MATRICES = (
    [[1.0, 0.3, 0.1], [0.3, 0.8, 0.2], [0.1, 0.2, 0.6]],
    [[0.5, -0.1, 0.1], [-0.1, 0.9, 0.05], [0.1, 0.05, 0.7]],
)
"""D1 and D2; of fewer dimensions their first rows and columns."""

CASES = (
    (1, 32, 4, "implicit"),
    (2, 16, 3, "implicit"),
    (2, 16, 3, "explicit"),
    (2, 32, 4, "explicit"),
    (3, 8, 3, "explicit"),
    (3, 8, 4, "explicit"),
)
"""Dimension, cells along each axis, degree, and how elements step."""


def limit(dimension: int, cells: int, degree: int, stepping: str) -> Study:
    """The limit equation on boxes."""
    d1, d2 = (np.array(matrix)[:dimension, :dimension].tolist() for matrix in MATRICES)
    wave = "+".join("xyz"[:dimension])
    m0 = f"(2 + 0.4*sin(2*pi*x) + cos(2*pi*({wave})))"
    tables: dict[str, dict[str, Any]] = {
        "study": {"model": "reaction", "name": "referee"},
        "model": {
            "dimension": dimension,
            "chi1": {"family": "gaussian", "covariance": d1},
            "chi2": {"family": "gaussian", "covariance": d2},
            "f0": f"({m0}+sqrt({m0}**2+4))/2",
            "g0": f"(sqrt({m0}**2+4)-{m0})/2",
            "epsilon": 1.0,
            "end_time": 0.01,
            "observe": [0.1, 0.5, 1.0],
        },
        "particles": {"replicas": 2},
        "pde": {"cells": cells, "degree": degree, "shape": "box", "rtol": 1e-7, "stepping": stepping},
    }
    return check(tables)


def main() -> None:
    """Print the table."""
    comm = MPI.COMM_SELF
    print("| equation | elements | their seconds | distance | referee's N | its own error | its seconds |")
    print("|---|---|---|---|---|---|---|")
    for dimension, *settings in CASES:
        row(f"reaction limit, T^{dimension}", limit(dimension, *settings), comm)
    for name in STUDIES:
        row(name.removesuffix(".toml"), load(GALLERY / name), comm)


def row(name: str, study: Study, comm: MPI.Comm) -> None:
    """Solve by both."""
    side = model_of(study).side(study)
    maker: Any = side.maker()
    for _ in range(2):  # the first compiles
        began = time.process_time()
        solution = api.make(side, study, Keeper(comm))
        seconds = time.process_time() - began
    problem = maker.problem(study, comm)
    began = time.process_time()
    referee = Fourier(problem)
    found = referee.solve(solution["time"].to_numpy(), problem.equation.grid)
    lasted = time.process_time() - began
    gap = max(relative(solution[u].to_numpy(), values).max() for u, values in found.items())
    settings = getattr(study, side.table)
    about = f"{settings.cells * 2**settings.refinements} cells, degree {settings.degree}, rtol {settings.rtol:g}"
    about += f", {settings.stepping}"
    print(
        f"| {name} | {about} | {seconds:.2f} | {gap:.1e} | {referee.size} | {referee.error.max():.1e} | {lasted:.2f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
