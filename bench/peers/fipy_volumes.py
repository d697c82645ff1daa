"""FiPy: finite volumes, backward Euler with sweeps, its anisotropic diffusion term, SciPy's LU or CG."""

import os
import sys
from collections.abc import Callable

import numpy as np
from torus import END, Array, diffusion, factors, initial

os.environ.setdefault("FIPY_SOLVERS", "scipy")
arguments, sys.argv = sys.argv, sys.argv[:1]  # FiPy takes words for its own
import fipy  # noqa: E402

sys.argv = arguments

NAME = "FiPy"
OFFSET = 0.5
SETTINGS = {
    1: [(n, steps) for n in (32, 64, 128) for steps in (20, 100, 500)],
    2: [(n, steps) for n in (32, 64, 128) for steps in (20, 200)],
    3: [(n, steps) for n in (16, 24) for steps in (20,)],
}
"""Cells along an axis, and steps."""

SWEEPS = 2


def label(n: int, steps: int) -> str:
    """A setting in words."""
    return f"{n} cells an axis, {steps} steps"


def solver(dimension: int, n: int, steps: int) -> Callable[[], Array]:
    """What makes m at the end."""
    meshes = {1: fipy.PeriodicGrid1D, 2: fipy.PeriodicGrid2D, 3: fipy.PeriodicGrid3D}
    counts = {f"n{k}": n for k in "xyz"[:dimension]} | {f"d{k}": 1 / n for k in "xyz"[:dimension]}
    mesh = meshes[dimension](**counts)
    D1 = diffusion(dimension)
    start = initial(n, dimension, OFFSET).ravel(order="F")  # FiPy counts along x first

    def run() -> Array:
        m = fipy.CellVariable(mesh=mesh, value=start, hasOld=True)
        a, b = factors(m.faceValue, fipy.numerix.sqrt)
        if dimension == 1:
            equation = fipy.TransientTerm() == fipy.DiffusionTerm(coeff=a * D1[0, 0] + b)
        else:
            identity = np.eye(dimension)
            tensor = a * D1[..., np.newaxis] + b * identity[..., np.newaxis]
            equation = fipy.TransientTerm() == fipy.DiffusionTerm(coeff=tensor)
        for _ in range(steps):
            m.updateOld()
            for _ in range(SWEEPS):
                equation.sweep(var=m, dt=END / steps)
        return np.array(m.value).reshape((n,) * dimension, order="F")

    return run
