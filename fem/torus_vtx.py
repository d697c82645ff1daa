"""A function on a torus as VTX (ADIOS2 .bp), which ParaView opens."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dolfinx import fem
from dolfinx.io import VTXWriter
from mpi4py import MPI

from kinlim.meshes.torus import torus

Array = NDArray[np.float64]


class TorusWriter:
    """Writes a Lagrange function, one step a call; use as a context.

    ParaView's cells have nodes of their own, from a discontinuous space of the same degree: with shared ones, cells at
    the end of [0, 1) would stretch back to its beginning. No value changes.
    """

    def __init__(self, u: fem.Function, path: Path, name: str = "m") -> None:
        """Open the file. Collective."""
        space, mesh = u.function_space, u.function_space.mesh
        broken = fem.functionspace(mesh, ("Discontinuous Lagrange", space.element.basix_element.degree))
        self.u, self.copy = u, fem.Function(broken, name=name)
        self.file = VTXWriter(mesh.comm, path, [self.copy], engine="BP4")

    def __call__(self, t: float) -> None:
        """Write u as it is, for the time t. Collective."""
        self.copy.interpolate(self.u)
        self.file.write(t)

    def __enter__(self) -> "TorusWriter":
        """Nothing to do: the file is open."""
        return self

    def __exit__(self, *stopped: object) -> None:
        """Close the file. Collective."""
        self.file.close()


def write(pde: xr.Dataset, path: Path, name: str = "m") -> None:
    """Write a variable of a dataset of the reaction model, at its grid's points, bilinear between them. Serial.

    Args:
        pde: with `name` over (time, x[, y[, z]]) at points i/n.
        path: of the .bp folder.
        name: of the variable.
    """
    values = pde[name].to_numpy()
    dimension, count = values.ndim - 1, values.shape[1]
    space = fem.functionspace(torus(MPI.COMM_SELF, count, dimension, "box"), ("Lagrange", 1))
    u = fem.Function(space)
    put = _at_nodes(u, count)
    with TorusWriter(u, path, name) as file:
        for t, field in zip(pde["time"].to_numpy(), values, strict=True):
            put(field)
            file(float(t))


def _at_nodes(u: fem.Function, count: int) -> Callable[[Array], None]:
    """A function that gives u the values on the grid."""
    dimension = u.function_space.mesh.topology.dim
    x = u.function_space.tabulate_dof_coordinates()[:, :dimension]
    index = tuple((np.rint(x * count).astype(np.int64) % count).T)

    def put(field: Array) -> None:
        u.x.array[:] = field[index]

    return put
