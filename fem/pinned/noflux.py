"""Ends that let neither momentum nor energy through: the natural condition of the conservative weak forms.

mu_x - lambda sigma = 0 with w_x = 0 in (B'): nothing is imposed on the space, the boundary terms are left out.
"""

from dolfinx.fem import DirichletBC, FunctionSpace


def constraints(space: FunctionSpace) -> list[DirichletBC]:
    """No unknown is prescribed."""
    return []
