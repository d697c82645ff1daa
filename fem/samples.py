"""Values of a finite element function at points, its means over bins, and its values cell by cell, from all ranks."""

from collections.abc import Callable
from math import ceil

import numpy as np
from numpy.typing import NDArray

from dolfinx import geometry
from dolfinx.fem import Function, FunctionSpace
from dolfinx.mesh import Mesh, compute_midpoints
from mpi4py import MPI

from kinlim.compat import cell_nodes, coordinate_map
from kinlim.equation import Interval, MeshSettings, Torus
from kinlim.grid import Bins
from kinlim.meshes.domain import Built
from kinlim.meshes.torus import Lattice, Shape

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def lattice_of(mesh: Mesh) -> Lattice:
    """The lattice that a mesh of `kinlim.meshes.torus` is made of."""
    d, kind = mesh.topology.dim, mesh.topology.cell_name()
    shape: Shape = "simplex" if kind in ("interval", "triangle", "tetrahedron") else "box"
    per_cube = Lattice(1, d, shape).cells_per_cube
    return Lattice(round((mesh.topology.index_map(d).size_global / per_cube) ** (1 / d)), d, shape)


class Sample:
    """Evaluates functions of one space at fixed points; where these lie is found once."""

    def __init__(self, space: FunctionSpace, count: int, mine: Indices, cells: Indices, reference: Array) -> None:
        """Of `count` points, of which this rank answers for `mine`: in its `cells`, at `reference` coordinates."""
        self.comm, self.count, self.mine, self.block = space.mesh.comm, count, mine, space.dofmap.bs
        element = space.element.basix_element
        # Of no points, on a rank without a cell, basix makes no table in some versions, and ends the process in others.
        self.basis = element.tabulate(0, reference)[0, :, :, 0] if len(reference) else np.empty((0, element.dim))
        self.dofs = space.dofmap.list[cells]

    def __call__(self, u: Function) -> Array:
        """Values at the points, shape (count, components), on every rank. Collective; ghosts must be up to date."""
        here = np.zeros((self.count, self.block))
        values = u.x.array.reshape(-1, self.block)
        here[self.mine] = np.einsum("nk,nkb->nb", self.basis, values[self.dofs])
        everywhere = np.empty_like(here)
        self.comm.Allreduce(here, everywhere, MPI.SUM)
        return everywhere


def sampler(built: Built, space: FunctionSpace) -> Callable[[Array], Sample]:
    """A function from points, shape (count, dimension), to their `Sample`. Collective.

    It raises ValueError, on all ranks, if a point lies outside the mesh.
    """
    locate = {Interval: _on_interval, Torus: _on_torus}.get(type(built.domain), _in_mesh)

    def sample(x: Array) -> Sample:
        found, cells, reference = locate(built, x)
        # A point between cells of several ranks: the lowest one answers for it.
        comm = built.mesh.comm
        claims = np.full(len(x), comm.size, np.int32)
        claims[found] = comm.rank
        owner = np.empty_like(claims)
        comm.Allreduce(claims, owner, MPI.MIN)
        if (owner == comm.size).any():
            raise ValueError(f"the point {x[np.argmax(owner)].tolist()} lies outside the mesh")
        mine = owner[found] == comm.rank
        return Sample(space, len(x), found[mine], cells[mine], reference[mine])

    return sample


def _on_interval(built: Built, x: Array) -> tuple[Indices, Indices, Array]:
    """Points that lie in own cells, these cells, and where in the reference cell."""
    mesh, points = built.mesh, x[:, 0]
    owned = mesh.topology.index_map(1).size_local
    ends = mesh.geometry.x[:, 0][cell_nodes(mesh)[:owned]].reshape(owned, 2)
    # By comparison, not by geometry with tolerances: cells graded to the ends can be as small as those.
    lower, upper = ends.min(axis=1), ends.max(axis=1)
    order = np.argsort(lower)
    if not owned:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 1))
    at = np.searchsorted(lower[order], points, side="right") - 1
    cells = order[np.maximum(at, 0)]
    found = np.flatnonzero((at >= 0) & (points <= upper[cells]))
    cells = cells[found]
    reference = (points[found] - ends[cells, 0]) / (ends[cells, 1] - ends[cells, 0])
    return found, cells, reference[:, None]


def _on_torus(built: Built, x: Array) -> tuple[Indices, Indices, Array]:
    """The same on a torus, for points taken modulo 1."""
    mesh = built.mesh
    inside = x % 1.0
    inside[inside >= 1.0] = 0.0  # -1e-20 % 1.0 is 1.0
    cells, reference = lattice_of(mesh).locate(inside)
    owned = mesh.topology.index_map(mesh.topology.dim).size_local
    names = np.asarray(mesh.topology.original_cell_index[:owned])
    order = np.argsort(names)
    at = np.minimum(np.searchsorted(names, cells, sorter=order), max(owned - 1, 0))
    local = order[at] if owned else np.zeros(len(x), np.int64)
    found = np.flatnonzero(names[local] == cells) if owned else np.empty(0, np.int64)
    return found, local[found], reference[found]


def _in_mesh(built: Built, x: Array) -> tuple[Indices, Indices, Array]:
    """The same in any mesh of straight cells."""
    mesh, d = built.mesh, built.mesh.topology.dim
    owned = mesh.topology.index_map(d).size_local
    points = np.pad(x, ((0, 0), (0, 3 - d)))
    tree = geometry.bb_tree(mesh, d, entities=np.arange(owned, dtype=np.int32))
    near = geometry.compute_collisions_points(tree, points)
    colliding = geometry.compute_colliding_cells(mesh, near, points)
    there = [(k, int(colliding.links(k)[0])) for k in range(len(x)) if len(colliding.links(k))]
    found = np.array([k for k, _ in there], np.int64)
    cells = np.array([cell for _, cell in there], np.int64)
    nodes = cell_nodes(mesh)
    reference = np.empty((len(found), d))
    for row, (k, cell) in enumerate(there):
        corners = mesh.geometry.x[nodes[cell], :d]
        reference[row] = coordinate_map(mesh).pull_back(x[k : k + 1], corners)[0]
    return found, cells, reference


class Means:
    """Means of a function over bins, by Gauss points in as many parts of each bin as it has cells.

    They are exact but for rounding where bins are made of whole cells, and as good as the function is smooth elsewhere.
    """

    def __init__(self, at: Callable[[Array], Sample], bins: Bins, built: Built, settings: MeshSettings) -> None:
        """Find the points. Collective."""
        points, weights = np.polynomial.legendre.leggauss(settings.degree + 1)
        axes, shares, self.shape = [], [], bins.shape
        cells = max(settings.cells * 2**settings.refinements, len(built.nodes) - 1)
        for edges in bins.edges.values():
            parts = max(1, ceil(cells / (len(edges) - 1)))
            lower = (edges[:-1, None] + np.diff(edges)[:, None] * np.arange(parts) / parts).ravel()
            width = np.repeat(np.diff(edges) / parts, parts)
            axes.append((lower[:, None] + width[:, None] * (1 + points) / 2).ravel())
            shares.append(np.tile(weights / 2 / parts, parts))
        grid = np.meshgrid(*axes, indexing="ij")
        self.sample = at(np.stack([axis.ravel() for axis in grid], axis=1))
        self.shares = shares

    def __call__(self, u: Function) -> Array:
        """Means over the bins, shape (bins, components), on every rank. Collective."""
        found = self.sample(u)
        block = found.shape[1]
        for axis, (count, shares) in enumerate(zip(self.shape, self.shares, strict=True)):
            before = int(np.prod(self.shape[:axis], dtype=int))
            found = np.einsum("abcd,c->abd", found.reshape(before, count, len(shares), -1), shares)
        return found.reshape(-1, block)


class CellValues:
    """Values of a function cell by cell, in the order of the cells of the mesh as it was given, whatever the ranks.

    Attributes:
        shape: of these values: (cells, values of a cell, components).
    """

    def __init__(self, built: Built, space: FunctionSpace) -> None:
        """Of the functions of a space."""
        topology = built.mesh.topology
        cells = topology.index_map(topology.dim)
        self.mesh, self.comm, self.block = built.mesh, built.mesh.comm, space.dofmap.bs
        self.names = np.asarray(topology.original_cell_index[: cells.size_local], np.int64)
        self.dofs = space.dofmap.list[: cells.size_local]
        self.shape = (int(cells.size_global), self.dofs.shape[1], self.block)

    def __call__(self, u: Function) -> Array:
        """The values, on every rank. Collective; ghosts must be up to date."""
        here = u.x.array.reshape(-1, self.block)[self.dofs]
        everywhere = np.empty(self.shape)
        for names, values in self.comm.allgather((self.names, here)):
            everywhere[names] = values
        return everywhere

    def middles(self) -> Array:
        """Middles of the cells in that order, shape (cells, 3), on every rank. Collective."""
        mesh = self.mesh
        owned = np.arange(len(self.names), dtype=np.int32)
        everywhere = np.empty((self.shape[0], 3))
        for names, found in self.comm.allgather((self.names, compute_midpoints(mesh, mesh.topology.dim, owned))):
            everywhere[names] = found
        return everywhere

    def fill(self, u: Function, values: Array) -> None:
        """Give u the values, the same on every rank. Collective."""
        u.x.array.reshape(-1, self.block)[self.dofs] = values[self.names]
        u.x.scatter_forward()
