"""Meshes of triangles or tetrahedra from files: gmsh's own (.msh), or any other that meshio reads."""

from collections.abc import Callable
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import basix.ufl
import ufl
from dolfinx.mesh import Mesh, create_mesh
from mpi4py import MPI

from kinlim.errors import InputError
from kinlim.parallel import on_root

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

KINDS = {2: ("triangle", "line"), 3: ("tetra", "triangle")}
"""What meshio calls the cells and facets of a mesh, by its dimension."""

CELLS = {2: "triangle", 3: "tetrahedron"}

NEAR = 1e-9
"""Distance of the middles of one facet, over the size of the mesh."""


CHILDREN = {
    1: [(0, 2), (1, 2)],
    2: [(0, 3, 4), (1, 3, 5), (2, 4, 5), (3, 4, 5)],
    3: [(0, 4, 5, 6), (4, 1, 7, 8), (5, 7, 2, 9), (6, 8, 9, 3), (4, 5, 6, 8), (4, 5, 7, 8), (5, 6, 8, 9), (5, 7, 8, 9)],
}
"""Halves of a simplex, by its dimension: its corners have the numbers 0, 1, ..., and the middles of its edges, from
corner to corner in lexicographic order, those that follow. The octahedron in a tetrahedron is cut along its diagonal
from 02 to 13, and corners stand in the order of Bey ("Tetrahedral grid refinement", Computing 55, 1995): however often
they are halved, tetrahedra have three shapes at most."""


def read_tagged(
    path: str, dimension: int, comm: MPI.Comm, refinements: int = 0
) -> tuple[Mesh, dict[str, Callable[[Array], NDArray[np.bool_]]]]:
    """A mesh, and for each physical group of its facets which points are the middle of one. Collective.

    Every cell is halved along all axes, `refinements` times.

    Raises:
        InputError: meshio is not there, or the file cannot be used.
    """
    from scipy.spatial import cKDTree  # 0.4 s

    points, cells, groups = on_root(comm, lambda: _read(path, dimension, refinements))
    element = basix.ufl.element("Lagrange", CELLS[dimension], 1, shape=(dimension,))
    mine = cells if comm.rank == 0 else np.empty((0, dimension + 1), np.int64)
    here = points if comm.rank == 0 else np.empty((0, dimension))
    mesh = create_mesh(comm, mine, x=here, e=ufl.Mesh(element))
    size = float(np.ptp(points, axis=0).max())

    def middles(tree: Any) -> Callable[[Array], NDArray[np.bool_]]:
        return lambda x: np.asarray(tree.query(x[:dimension].T)[0] < NEAR * size) if x.shape[1] else np.zeros(0, bool)

    return mesh, {name: middles(cKDTree(found)) for name, found in groups.items()}


def refine(points: Array, parts: list[Indices]) -> tuple[Array, list[Indices]]:
    """Halve simplices along all axes.

    Args:
        points: shape (points, d).
        parts: numbers of the corners of simplices, shape (simplices, dimension + 1) each, of one mesh and its facets.

    Returns:
        The points with the middles of edges behind them, and the parts with 2^dimension simplices for each.
    """
    pairs = [list(combinations(range(part.shape[1]), 2)) for part in parts]
    edges = [np.sort(part[:, np.array(ends)], axis=-1) for part, ends in zip(parts, pairs, strict=True)]
    all_edges, which = np.unique(np.concatenate([some.reshape(-1, 2) for some in edges]), axis=0, return_inverse=True)
    ends_of = np.cumsum([some[..., 0].size for some in edges])[:-1]
    finer = []
    for part, middles in zip(parts, np.split(len(points) + which.ravel(), ends_of), strict=True):
        nodes = np.concatenate([part, middles.reshape(len(part), -1)], axis=1)
        finer.append(nodes[:, np.array(CHILDREN[part.shape[1] - 1])].reshape(-1, part.shape[1]))
    return np.concatenate([points, points[all_edges].mean(axis=1)]), finer


def _read(path: str, dimension: int, refinements: int) -> tuple[Array, NDArray[np.int64], dict[str, Array]]:
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
    groups: dict[str, list[Indices]] = {}
    for block, tag in zip(found.cells, tags, strict=True):
        if block.type == facet and tag is not None:
            for number in np.unique(tag):
                facets = block.data[tag == number]
                facets = np.searchsorted(used, facets[np.isin(facets, used).all(axis=1)])
                groups.setdefault(names.get(int(number), str(number)), []).append(facets)
    parts = [inverse.reshape(cells.shape), *(np.concatenate(some) for some in groups.values())]
    for _ in range(refinements):
        points, parts = refine(points, parts)
    facets_of = dict(zip(groups, parts[1:], strict=True))
    return points, parts[0], {name: points[facets].mean(axis=1) for name, facets in facets_of.items()}
