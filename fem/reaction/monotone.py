"""Where P1 with a lumped mass has a maximum principle.

With the vertex rule the equation of node i is w_i m_i' = sum over j of A_ij (m_j - m_i), where A_ij is minus the
integral of grad phi_i.D(m) grad phi_j. D(m) is a positive combination of D1 and D2, so wherever

    grad phi_i.D_k grad phi_j <= 0   for all i != j, k = 1, 2, at the points of the quadrature in every cell,

all A_ij are >= 0: the largest m_i cannot grow, nor the smallest shrink, in continuous time, and in steps of backward
Euler of any size. The condition holds in dimension 1; on the triangles of `kinlim.meshes.torus` if and only if
0 <= D_12 <= min(D_11, D_22); on its tetrahedra if and only if all entries off the diagonal are one number c with
0 <= c <= min D_ii; on boxes never with quadrature between the corners. (Kuhn's simplices lie along (1, ..., 1); a
negative D_12 would want the other diagonal.) It is sufficient: what one cell does wrong, others may outweigh.
"""

import numpy as np
from numpy.typing import NDArray

import basix

from kinlim.meshes.torus import NAMES, Lattice, Shape

Array = NDArray[np.float64]

ROUNDING = 1e-12
"""Of an entry, relative to the matrix."""


def is_monotone(shape: Shape, D: Array, quadrature_degree: int = 1) -> bool:
    """Whether grad phi_i.D grad phi_j <= 0 for all i != j in all cells that a cube is cut into.

    Args:
        shape: of the cells.
        D: symmetric matrix, shape (d, d).
        quadrature_degree: of the rule whose points are looked at; on simplices gradients are the same everywhere.
    """
    dimension = len(D)
    kind = basix.CellType[NAMES[shape, dimension]]
    points, _ = basix.make_quadrature(kind, quadrature_degree)
    element = basix.create_element(basix.ElementFamily.P, kind, 1)
    slopes = element.tabulate(1, points)[1:, :, :, 0]  # (d, points, nodes), in the reference cell
    lattice = Lattice(1, dimension, shape)
    along = [1 << axis if lattice.cells_per_cube == 1 else axis + 1 for axis in range(dimension)]  # corners X_k = 1
    for corners in lattice.corners:
        jacobian = (corners[along] - corners[0]).T
        gradients = np.einsum("ba,bpn->pna", np.linalg.inv(jacobian), slopes)
        products = np.einsum("pia,ab,pjb->pij", gradients, D, gradients)
        products[:, range(len(corners)), range(len(corners))] = 0
        if products.max() > ROUNDING * np.abs(D).max():
            return False
    return True
