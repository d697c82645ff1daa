"""The unit torus T^d = [0, 1)^d in dimension 1, 2, 3: meshes without a boundary, on any number of ranks.

Vertices that are one point of the torus are one vertex of the topology, while every cell has nodes of its own, so that
none stretches from one end of [0, 1) to the other. Every space on such a mesh is periodic by itself. Cubes of side
1/cells are cut into simplices along their diagonal (1, ..., 1) (Kuhn), or are the cells.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import basix.ufl
import ufl
from dolfinx import cpp
from dolfinx.mesh import Mesh, to_type
from mpi4py import MPI

from kinlim.compat import create_topology, index_map

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

Shape = Literal["simplex", "box"]

NAMES = {
    ("simplex", 1): "interval",
    ("box", 1): "interval",
    ("simplex", 2): "triangle",
    ("box", 2): "quadrilateral",
    ("simplex", 3): "tetrahedron",
    ("box", 3): "hexahedron",
}
"""Cells of either shape in each dimension."""

FEWEST = 3
"""Cells per axis: with two, two different edges would have the same two ends."""


@dataclass(frozen=True)
class Lattice:
    """The cubes of side 1/cells that tile [0, 1)^d, and the cells each is made of; numbers, no mesh.

    A cube is i + cells (j + cells k), and so is its lower vertex; cell c of a cube q is q * cells_per_cube + c.

    Attributes:
        cells: cubes along each axis.
        dimension: d.
        shape: "simplex" for d! simplices in a cube, "box" for the cube itself.
    """

    cells: int
    dimension: int
    shape: Shape

    @cached_property
    def corners(self) -> Indices:
        """Vertices of the cells of a cube, in units of its side, shape (cells_per_cube, vertices, d).

        A simplex goes from the lower corner to the upper one by unit steps along the axes in one of d! orders.
        """
        d = self.dimension
        if self.shape == "box" or d == 1:
            return np.array([[[v >> axis & 1 for axis in range(d)] for v in range(2**d)]])
        steps = np.eye(d, dtype=np.int64)[self.orders]
        return np.concatenate([np.zeros((len(steps), 1, d), np.int64), steps.cumsum(axis=1)], axis=1)

    @cached_property
    def orders(self) -> Indices:
        """Orders of the axes, one a simplex of a cube, shape (d!, d)."""
        return np.array(list(permutations(range(self.dimension))))

    @property
    def cells_per_cube(self) -> int:
        """Cells that a cube is made of."""
        return len(self.corners)

    def position(self, cubes: Indices) -> Indices:
        """Integer coordinates of cubes, shape (n, d)."""
        return cubes[:, None] // self.cells ** np.arange(self.dimension) % self.cells

    def number(self, position: Indices) -> Indices:
        """Cube, or vertex, at integer coordinates modulo `cells`, shape (..., d)."""
        return (position % self.cells) @ self.cells ** np.arange(self.dimension)

    def vertices(self, cells: Indices) -> Indices:
        """Integer coordinates of the vertices of cells, up to `cells` inclusive: shape (n, vertices, d)."""
        cubes, which = np.divmod(cells, self.cells_per_cube)
        return self.position(cubes)[:, None] + self.corners[which]

    def locate(self, x: Array) -> tuple[Indices, Array]:
        """Cells in which points of [0, 1)^d lie, shape (n,), and where in the reference cell, shape (n, d)."""
        scaled = x * self.cells
        position = np.minimum(np.floor(scaled).astype(np.int64), self.cells - 1)
        local = scaled - position
        cubes = self.number(position)
        if self.shape == "box" or self.dimension == 1:
            return cubes, local
        order = np.argsort(-local, axis=1, kind="stable")  # the axis along which most is gone comes first
        digits = self.dimension ** np.arange(self.dimension)
        which = np.searchsorted(np.sort(self.orders @ digits), order @ digits)
        which = np.argsort(self.orders @ digits)[which]
        sorted_local = np.take_along_axis(local, order, axis=1)
        reference = sorted_local - np.pad(sorted_local[:, 1:], ((0, 0), (0, 1)))
        return cubes * self.cells_per_cube + which, reference


def torus(comm: MPI.Comm, cells: int, dimension: int, shape: Shape = "simplex") -> Mesh:
    """Mesh of the unit torus with `cells` cubes along each axis. Collective.

    Ranks own blocks of cubes, and know the cells that share a facet with their own.

    Args:
        comm: the ranks that share the mesh.
        cells: cubes along each axis, at least 3.
        dimension: 1, 2 or 3.
        shape: "simplex" for intervals, triangles, tetrahedra; "box" for intervals, quadrilaterals, hexahedra.

    Raises:
        ValueError: there are too few cells, or fewer cubes than ranks, or no such dimension or shape.
    """
    if (shape, dimension) not in NAMES:
        raise ValueError(f"there is no torus of dimension {dimension} with cells of the shape '{shape}'")
    if cells < FEWEST:
        raise ValueError(f"a torus needs at least {FEWEST} cells along each axis, not {cells}")
    lattice = Lattice(cells, dimension, shape)
    owner = _Owner(lattice, comm.size)
    mine = owner.cells(comm.rank)
    around, facets = owner.ghosts(comm.rank)
    local = np.concatenate([mine, around])
    vertices = lattice.vertices(local)
    kind = to_type(NAMES[shape, dimension])
    owners = owner(around).astype(np.int32)
    topology = create_topology(comm, kind, lattice.number(vertices).ravel(), local, owners, np.unique(facets))
    element = basix.ufl.element("Lagrange", NAMES[shape, dimension], 1, shape=(dimension,))
    nodes = vertices.shape[1]
    cell_map = topology.index_map(dimension)
    assert np.array_equal(topology.original_cell_index, local)
    node_map = index_map(
        comm,
        nodes * len(mine),
        (cell_map.ghosts[:, None] * nodes + np.arange(nodes)).ravel(),
        np.repeat(cell_map.owners, nodes).astype(np.int32),
    )
    geometry = cpp.mesh.Geometry_float64(
        node_map,
        np.arange(nodes * len(local), dtype=np.int32).reshape(-1, nodes),
        cpp.fem.CoordinateElement_float64(kind, 1),
        vertices.reshape(-1, dimension) / cells,
        (local[:, None] * nodes + np.arange(nodes)).ravel(),
    )
    return Mesh(cpp.mesh.Mesh_float64(comm, topology, geometry), ufl.Mesh(element))


class _Owner:
    """Which rank has which cells: the axes are cut into as equal parts as the number of ranks allows."""

    def __init__(self, lattice: Lattice, ranks: int) -> None:
        self.lattice = lattice
        self.parts = _parts(ranks, lattice.dimension)
        if max(self.parts) > lattice.cells:
            raise ValueError(
                f"a torus of {lattice.cells} cells along each axis cannot be cut into {self.parts} parts for {ranks} "
                "ranks: take fewer ranks or more cells"
            )

    def __call__(self, cells: Indices) -> Indices:
        """Ranks that own cells."""
        position = self.lattice.position(cells // self.lattice.cells_per_cube)
        part = ((position + 1) * self.parts - 1) // self.lattice.cells
        return part @ np.concatenate([[1], np.cumprod(self.parts)[:-1]])

    def cells(self, rank: int) -> Indices:
        """Cells of a rank, in ascending order."""
        axes = self._ranges(rank, 0)
        return self._cells_at(axes)

    def ghosts(self, rank: int) -> tuple[Indices, Indices]:
        """Cells of others that share a facet with those of a rank, and the vertices of these facets."""
        inside, around = self._cells_at(self._ranges(rank, -1)), np.unique(self._cells_at(self._ranges(rank, 1)))
        rim = np.setdiff1d(self.cells(rank), inside, assume_unique=True)
        others = around[self(around) != rank]
        facets = np.concatenate([self._facets(rim), self._facets(others)])
        keys = _keys(facets.reshape(-1, facets.shape[2]), self.lattice.cells**self.lattice.dimension)
        keys = keys.reshape(facets.shape[:2])
        shared = np.isin(keys[len(rim) :], keys[: len(rim)])
        return others[shared.any(axis=1)], facets[len(rim) :][shared].ravel()

    def _ranges(self, rank: int, margin: int) -> list[Indices]:
        found = []
        for part in self.parts:
            k, rank = rank % part, rank // part
            low, high = k * self.lattice.cells // part, (k + 1) * self.lattice.cells // part
            found.append(np.unique(np.arange(low - margin, high + margin) % self.lattice.cells))
        return found

    def _cells_at(self, axes: list[Indices]) -> Indices:
        grid = np.stack(np.meshgrid(*axes[::-1], indexing="ij")[::-1], axis=-1).reshape(-1, self.lattice.dimension)
        per = self.lattice.cells_per_cube
        return (self.lattice.number(grid)[:, None] * per + np.arange(per)).ravel()

    def _facets(self, cells: Indices) -> Indices:
        """Vertices of the facets of cells, sorted: shape (n, facets, vertices of a facet)."""
        d, shape = self.lattice.dimension, self.lattice.shape
        kind = basix.CellType[NAMES[shape, d]]
        facets = np.array(basix.topology(kind)[d - 1])
        return np.sort(self.lattice.number(self.lattice.vertices(cells))[:, facets], axis=2)


def _keys(rows: Indices, base: int) -> Indices:
    """Numbers that are equal where rows of numbers below `base` are."""
    keys = rows[:, 0]
    for column in rows.T[1:]:
        keys = np.unique(keys, return_inverse=True)[1] * base + column
    return keys


def _parts(ranks: int, dimension: int) -> Indices:
    """Parts along each axis, the most along the last, whose blocks are then contiguous."""
    return np.array(MPI.Compute_dims(ranks, dimension)[::-1], dtype=np.int64)
