"""Ends of the paper, (2.11)-(2.12): mu_x = 0 and sigma = 0 at both.

sigma = 0 takes the place of the second equation in the rows of the two ends; mu_x = lambda sigma = 0 is then what the
first one leaves there by itself. What those rows would have said, their reaction, is the energy that passes.
"""

import numpy as np
from numpy.typing import NDArray

from dolfinx import mesh
from dolfinx.fem import FunctionSpace, locate_dofs_topological


def held(space: FunctionSpace) -> NDArray[np.int32]:
    """Rows of the second unknown at the ends: those of this rank and its ghosts, as unrolled indices."""
    domain = space.mesh
    domain.topology.create_connectivity(0, 1)
    nodes = locate_dofs_topological(space, 0, mesh.exterior_facet_indices(domain.topology), remote=True)
    return (space.dofmap.bs * nodes + 1).astype(np.int32)
