"""The nodes of a finite element function on an interval, gathered from all ranks."""

import numpy as np
from numpy.typing import NDArray

from dolfinx.fem import Function


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
