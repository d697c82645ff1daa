"""The interval [a, b], uniform or graded towards both ends."""

import numpy as np
from numpy.typing import NDArray

from dolfinx.mesh import Mesh, create_interval
from mpi4py import MPI


def grade(s: NDArray[np.float64], grading: float) -> NDArray[np.float64]:
    """Map [0, 1] onto itself by (2s)^grading/2, mirrored at 1/2: cells at the ends shrink, 1 leaves all as it is."""
    half = np.minimum(s, 1 - s)
    near = (2 * half) ** grading / 2
    return np.where(s <= 0.5, near, 1 - near)


def interval(comm: MPI.Comm, ends: tuple[float, float], cells: int, grading: float = 1.0) -> Mesh:
    """Mesh [a, b] with `cells` cells whose nodes are a (1 - g) + b g, g = grade(k/cells).

    Collective over `comm`, whose ranks share the mesh.
    """
    a, b = ends
    mesh = create_interval(comm, cells, (0.0, 1.0))
    g = grade(mesh.geometry.x[:, 0], grading)
    mesh.geometry.x[:, 0] = a * (1 - g) + b * g  # a and b exactly at the ends, where the first and last site are
    return mesh
