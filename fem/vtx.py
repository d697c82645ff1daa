"""Fields on a grid as VTX (ADIOS2 .bp), which ParaView opens."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

import basix.ufl
import ufl
from dolfinx import fem
from dolfinx.io import VTXWriter
from dolfinx.mesh import create_mesh
from mpi4py import MPI

from kinlim.fem.nodes import Nodes
from kinlim.grid import AXES
from kinlim.meshes.interval import interval

CELLS = ("interval", "quadrilateral", "hexahedron")


def write_nodes(dataset: xr.Dataset, names: Sequence[str], path: Path) -> None:
    """Write variables of an interval at the nodes of its mesh, node_NAME(time, node), with its degree. Serial.

    Args:
        dataset: that holds them, node_x, and the attribute degree.
        names: of the variables.
        path: of the .bp folder.
    """
    degree, x = int(dataset.attrs["degree"]), dataset["node_x"].to_numpy()
    space = fem.functionspace(interval(MPI.COMM_SELF, x[::degree]), ("Lagrange", degree))
    functions = [fem.Function(space, name=name) for name in names]
    nodes = Nodes(functions[0])
    with VTXWriter(MPI.COMM_SELF, path, functions, engine="BP4") as file:
        for k, t in enumerate(dataset["time"].to_numpy()):
            for name, function in zip(names, functions, strict=True):
                nodes.fill(function, dataset[f"node_{name}"].to_numpy()[k])
            file.write(float(t))


def write_grid(dataset: xr.Dataset, names: Sequence[str], path: Path) -> None:
    """Write variables over (time, x[, y[, z]]) at the points of their grid, linear along each axis between. Serial.

    With the attribute periodic, the points are on a torus.

    Args:
        dataset: that holds them.
        names: of the variables.
        path: of the .bp folder.
    """
    axes = [axis for axis in AXES if axis in dataset[names[0]].dims]
    coordinates, more = [dataset[axis].to_numpy() for axis in axes], int(dataset.attrs.get("periodic", 0))
    if more:  # from the last points on to the first ones again, across the seam of the torus
        coordinates = [np.append(x, x[0] + 1) for x in coordinates]
    numbers = np.arange(np.prod([len(x) for x in coordinates])).reshape([len(x) for x in coordinates])
    points = np.stack([x.ravel() for x in np.meshgrid(*coordinates, indexing="ij")], axis=1)
    cell, d = CELLS[len(axes) - 1], len(axes)
    corners = [  # of every cell, the first axis fastest, as basix numbers them
        numbers[tuple(slice(v >> axis & 1, numbers.shape[axis] - 1 + (v >> axis & 1)) for axis in range(d))].ravel()
        for v in range(2**d)
    ]
    element = basix.ufl.element("Lagrange", cell, 1, shape=(d,))
    mesh = create_mesh(MPI.COMM_SELF, np.stack(corners, axis=1).astype(np.int64), x=points, e=ufl.Mesh(element))
    space = fem.functionspace(mesh, ("Lagrange", 1))
    here = space.tabulate_dof_coordinates()[:, :d]
    index = tuple(np.abs(here[:, [k]] - x).argmin(axis=1) for k, x in enumerate(coordinates))
    functions = [fem.Function(space, name=name) for name in names]
    with VTXWriter(MPI.COMM_SELF, path, functions, engine="BP4") as file:
        for k, t in enumerate(dataset["time"].to_numpy()):
            for name, function in zip(names, functions, strict=True):
                values = dataset[name].isel(time=k).transpose(*axes).to_numpy()
                function.x.array[:] = np.pad(values, (0, more), mode="wrap")[index]
            file.write(float(t))
