"""Functions on a torus at points and at their own nodes, gathered from all ranks in an order that no layout changes."""

import numpy as np
from numpy.typing import NDArray

from dolfinx.fem import Function, FunctionSpace
from dolfinx.mesh import Mesh
from mpi4py import MPI

from kinlim.meshes.torus import Lattice, Shape

Array = NDArray[np.float64]

PER_CELL = 1000
"""Steps per cell in which the positions of nodes are told apart."""


def lattice_of(mesh: Mesh) -> Lattice:
    """The lattice that a mesh of `kinlim.meshes.torus` is made of."""
    d, kind = mesh.topology.dim, mesh.topology.cell_name()
    shape: Shape = "simplex" if kind in ("interval", "triangle", "tetrahedron") else "box"
    per_cube = Lattice(1, d, shape).cells_per_cube
    return Lattice(round((mesh.topology.index_map(d).size_global / per_cube) ** (1 / d)), d, shape)


class Sampler:
    """Evaluates functions of one scalar Lagrange space on a torus at fixed points.

    The cell of a point follows from its position; basis functions there are computed once.
    """

    def __init__(self, space: FunctionSpace, x: Array) -> None:
        """Find the points, shape (n, d), taken modulo 1; all ranks pass the same ones."""
        mesh = space.mesh
        self.comm, self.count = mesh.comm, len(x)
        inside = x % 1.0
        inside[inside >= 1.0] = 0.0  # -1e-20 % 1.0 is 1.0
        cells, reference = lattice_of(mesh).locate(inside)
        owned = mesh.topology.index_map(mesh.topology.dim).size_local
        names = np.asarray(mesh.topology.original_cell_index[:owned])
        order = np.argsort(names)
        at = np.minimum(np.searchsorted(names, cells, sorter=order), max(owned - 1, 0))
        local = order[at] if owned else np.zeros(self.count, np.int64)
        self.mine = np.flatnonzero(names[local] == cells) if owned else np.empty(0, np.int64)
        values = space.element.basix_element.tabulate(0, reference[self.mine])
        self.basis = values[0, :, :, 0]
        self.dofs = space.dofmap.list[local[self.mine]]

    def __call__(self, u: Function) -> Array:
        """Values at the points, shape (n,), on every rank. Collective; ghosts of u must be up to date."""
        here = np.zeros(self.count)
        here[self.mine] = np.einsum("nk,nk->n", self.basis, u.x.array[self.dofs])
        everywhere = np.empty_like(here)
        self.comm.Allreduce(here, everywhere, MPI.SUM)
        return everywhere


class TorusNodes:
    """The nodes of a scalar Lagrange space on a torus, from all ranks, sorted by position.

    Attributes:
        x: positions in [0, 1)^d, shape (nodes, d).
    """

    def __init__(self, space: FunctionSpace) -> None:
        """Gather the positions. Collective."""
        lattice = lattice_of(space.mesh)
        self.comm, self.owned = space.mesh.comm, space.dofmap.index_map.size_local
        x = space.tabulate_dof_coordinates()[: self.owned, : lattice.dimension]
        steps = lattice.cells * PER_CELL
        keys = np.rint(x * steps).astype(np.int64) % steps
        parts = self.comm.allgather(keys)
        keys = np.concatenate(parts)
        self.order = np.lexsort(keys.T[::-1])
        ordered = keys[self.order]
        assert (np.diff(ordered, axis=0) != 0).any(axis=1).all(), "nodes closer than a thousandth of a cell"
        self.x = np.concatenate(self.comm.allgather(x))[self.order] % 1.0
        first = sum(len(part) for part in parts[: self.comm.rank])
        self.mine = np.argsort(self.order)[first : first + self.owned]

    def __call__(self, u: Function) -> Array:
        """Values at the nodes, shape (nodes,), on every rank. Collective."""
        return np.concatenate(self.comm.allgather(u.x.array[: self.owned]))[self.order]

    def fill(self, u: Function, values: Array) -> None:
        """Give u the values at the nodes, shape (nodes,), the same on every rank. Collective."""
        u.x.array[: self.owned] = values[self.mine]
        u.x.scatter_forward()
