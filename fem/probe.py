"""Values of a finite element function at given points, and at its own nodes, gathered from all ranks."""

import numpy as np
from numpy.typing import NDArray

from dolfinx.fem import Function
from dolfinx.mesh import Mesh
from mpi4py import MPI

from kinlim.compat import cell_nodes


class Probe:
    """Evaluates functions on an interval at fixed points; where the points lie is found once.

    Raises:
        ValueError: a point lies outside the mesh (on all ranks).
    """

    def __init__(self, mesh: Mesh, x: NDArray[np.float64]) -> None:
        """Find a cell for every point, shape (count,). Collective."""
        self.comm, self.points = mesh.comm, np.pad(x[:, None], ((0, 0), (0, 2)))
        owned = mesh.topology.index_map(1).size_local
        nodes = mesh.geometry.x[:, 0][cell_nodes(mesh)[:owned]]  # (cells, 2)
        # By comparison, not by geometry with tolerances: cells graded to the ends can be as small as those.
        lower, upper = nodes.min(axis=1), nodes.max(axis=1)
        order = np.argsort(lower)
        at = np.searchsorted(lower[order], x, side="right") - 1
        cells = order[np.maximum(at, 0)] if owned else np.zeros(len(x), np.int64)
        found = (at >= 0) & (x <= upper[cells]) if owned else np.zeros(len(x), bool)
        # A node is in cells of several ranks: the lowest one answers for it.
        claims = np.where(found, self.comm.rank, self.comm.size).astype(np.int32)
        owner = np.empty_like(claims)
        self.comm.Allreduce(claims, owner, MPI.MIN)
        if (owner == self.comm.size).any():
            raise ValueError(f"the point {x[np.argmax(owner)]:.17g} lies outside the mesh")
        self.mine = np.flatnonzero(owner == self.comm.rank)
        self.cells = cells[self.mine].astype(np.int32)

    def __call__(self, u: Function) -> NDArray[np.float64]:
        """Values at the points, shape (count, components), on every rank. Collective; ghosts must be up to date."""
        here = np.zeros((len(self.points), u.function_space.dofmap.bs))
        if len(self.mine):
            here[self.mine] = u.eval(self.points[self.mine], self.cells).reshape(len(self.mine), -1)
        everywhere = np.empty_like(here)
        self.comm.Allreduce(here, everywhere, MPI.SUM)
        return everywhere


class Nodes:
    """The nodes of a blocked Lagrange space on an interval, from all ranks, sorted by position."""

    def __init__(self, u: Function) -> None:
        """Gather the positions. Collective."""
        space = u.function_space
        self.comm, self.block = space.mesh.comm, space.dofmap.bs
        self.owned = space.dofmap.index_map.size_local
        parts = self.comm.allgather(space.tabulate_dof_coordinates()[: self.owned, 0])
        x = np.concatenate(parts)
        self.order = np.argsort(x)
        self.x = x[self.order]
        first = sum(len(part) for part in parts[: self.comm.rank])
        self.mine = np.argsort(self.order)[first : first + self.owned]

    def __call__(self, u: Function) -> NDArray[np.float64]:
        """Values at the nodes, shape (nodes, components), on every rank. Collective."""
        here = u.x.array[: self.owned * self.block].reshape(-1, self.block)
        return np.concatenate(self.comm.allgather(here))[self.order]

    def fill(self, u: Function, values: NDArray[np.float64]) -> None:
        """Give u the values at the nodes, shape (nodes, components), the same on every rank. Collective."""
        u.x.array[: self.owned * self.block] = values[self.mine].ravel()
        u.x.scatter_forward()
