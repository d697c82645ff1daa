"""Meshes of triangles or tetrahedra from files: gmsh's own (.msh), or any other that meshio reads."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import basix.ufl
import ufl
from dolfinx.mesh import Mesh, create_mesh
from mpi4py import MPI

from kinlim.errors import InputError
from kinlim.parallel import on_root

Array = NDArray[np.float64]

KINDS = {2: ("triangle", "line"), 3: ("tetra", "triangle")}
"""What meshio calls the cells and facets of a mesh, by its dimension."""

CELLS = {2: "triangle", 3: "tetrahedron"}

NEAR = 1e-9
"""Distance of the middles of one facet, over the size of the mesh."""


def read_tagged(
    path: str, dimension: int, comm: MPI.Comm
) -> tuple[Mesh, dict[str, Callable[[Array], NDArray[np.bool_]]]]:
    """A mesh, and for each physical group of its facets which points are the middle of one. Collective.

    Raises:
        InputError: meshio is not there, or the file cannot be used.
    """
    points, cells, groups = on_root(comm, lambda: _read(path, dimension))
    element = basix.ufl.element("Lagrange", CELLS[dimension], 1, shape=(dimension,))
    mine = cells if comm.rank == 0 else np.empty((0, dimension + 1), np.int64)
    here = points if comm.rank == 0 else np.empty((0, dimension))
    mesh = create_mesh(comm, mine, x=here, e=ufl.Mesh(element))
    size = float(np.ptp(points, axis=0).max())

    def middles(tree: cKDTree) -> Callable[[Array], NDArray[np.bool_]]:
        return lambda x: np.asarray(tree.query(x[:dimension].T)[0] < NEAR * size) if x.shape[1] else np.zeros(0, bool)

    return mesh, {name: middles(cKDTree(found)) for name, found in groups.items()}


def _read(path: str, dimension: int) -> tuple[Array, NDArray[np.int64], dict[str, Array]]:
    """Points, cells, and the middles of the facets of each physical group."""
    if find_spec("meshio") is None:
        raise InputError(f"{path}: reading it needs meshio; install it with pip install meshio")
    import meshio

    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such mesh file")
    try:
        found: Any = meshio.read(path)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - meshio ends the process on some files
        raise InputError(
            f"{path}: cannot be read as a mesh ({' '.join(str(error).split()) or 'unknown format'})"
        ) from None
    cell, facet = KINDS[dimension]
    blocks = [block.data for block in found.cells if block.type == cell]
    if not blocks:
        there = ", ".join(sorted({block.type for block in found.cells})) or "nothing"
        raise InputError(
            f"{path}: holds no cells of the kind {cell}, which dimension {dimension} wants; it has {there}"
        )
    cells = np.concatenate(blocks).astype(np.int64)
    if dimension == 2 and np.ptp(found.points[:, 2:]) > 0:
        raise InputError(f"{path}: does not lie in a plane z = constant")
    used, inverse = np.unique(cells, return_inverse=True)
    points = np.asarray(found.points[used, :dimension], np.float64)
    tags = found.cell_data.get("gmsh:physical", [None] * len(found.cells))
    names = {int(number): name for name, (number, of) in found.field_data.items() if of == dimension - 1}
    groups: dict[str, list[Array]] = {}
    for block, tag in zip(found.cells, tags, strict=True):
        if block.type == facet and tag is not None:
            for number in np.unique(tag):
                middle = found.points[block.data[tag == number]].mean(axis=1)[:, :dimension]
                groups.setdefault(names.get(int(number), str(number)), []).append(middle)
    return points, inverse.reshape(cells.shape), {name: np.concatenate(parts) for name, parts in groups.items()}
