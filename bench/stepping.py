"""Explicit or implicit steps: seconds of both against the stages that a twentieth of the time would need.

    OMP_NUM_THREADS=1 python bench/stepping.py [--dimension 1 2 3] [--rtol 1e-4]

The limit equation of generation and recombination on boxes and, for degree 1, simplices; one core; seconds of stepping.
`stages` is what `stepping = "auto"` looks at, see `kinlim.fem.problem`.
"""

import argparse
import time

from reaction_limit import study

from mpi4py import MPI

from kinlim.errors import RunError
from kinlim.fem.evolution import FIRST_STEP
from kinlim.fem.explicit import ExplicitStepper
from kinlim.fem.reaction.limit import LIMIT

MESHES = {
    1: [(16, 4), (128, 2), (512, 2)],
    2: [(8, 4), (16, 4), (32, 3), (64, 2), (64, 1), (128, 1)],
    3: [(4, 4), (8, 3), (8, 2), (16, 1), (24, 1)],
}
"""Cells along an axis, and degree."""

ENDS = (0.001, 0.01, 0.1, 1.0)


def seconds(dimension: int, cells: int, degree: int, end: float, rtol: float, stepping: str) -> tuple[float, float]:
    """Seconds of stepping, and the stages that a twentieth of the time needs (0 for implicit steps)."""
    shape = {} if dimension == 1 else {"shape": "simplex" if degree == 1 else "box"}
    problem = LIMIT.problem(
        study(dimension, cells, end=end, degree=degree, rtol=rtol, stepping=stepping, **shape), MPI.COMM_SELF
    )
    with problem.stepper(FIRST_STEP * end) as stepper:
        stages = stepper.stages(end / 20) if isinstance(stepper, ExplicitStepper) else 0.0
        began = time.perf_counter()
        try:
            stepper.advance(end)
        except RunError as error:
            print(error)
        return time.perf_counter() - began, stages


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--dimension", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rtol", type=float, default=1e-4)
    asked = parser.parse_args()
    print(f"{'mesh':>14} {'degree':>6} {'end':>6} {'stages':>7} {'explicit':>10} {'implicit':>10} {'ratio':>6}")
    for dimension in asked.dimension:
        for cells, degree in MESHES[dimension]:
            for end in ENDS:
                explicit, stages = seconds(dimension, cells, degree, end, asked.rtol, "explicit")
                implicit, _ = seconds(dimension, cells, degree, end, asked.rtol, "implicit")
                print(f"{cells:>12}^{dimension} {degree:6} {end:6g} {stages:7.1f} {explicit:8.3f} s {implicit:8.3f} s "
                      f"{implicit / explicit:6.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
