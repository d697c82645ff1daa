"""The initial layer of (9): by how much a flux at time 0 shifts the data of the limit equation.

With tau = t/epsilon^2, to leading order f and g react where they are: rho_f' = rho_g' = 1 - rho_f rho_g, while the flux
j_f = int v f dv dies away like exp(-int rho_g dtau), j_g like exp(-int rho_f dtau). Meanwhile m = rho_f - rho_g moves
by -epsilon div int (j_f - j_g) dtau, so that the limit equation has to start from

    m(0) - epsilon div(T_f j_f(0) - T_g j_g(0)),   T_f = int_0^infinity exp(-int_0^tau rho_g) dtau.

This is a formal expansion: it is not in the paper, and no remainder is proved here; docs/reaction-limit.md measures it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import hyp2f1

import ufl
from dolfinx import fem
from dolfinx.fem import petsc as fem_petsc
from petsc4py import PETSc

from kinlim.errors import RunError
from kinlim.fem.compiled import compiled
from kinlim.fem.reaction.diffusion import density_of

Array = NDArray[np.float64]

EXACT = 1e-14
"""Relative residual to which the mass matrix is solved with."""


def lifetime(own: Array, other: Array) -> Array:
    """T_f for densities own = rho_f and other = rho_g at time 0; T_g with the two exchanged. Shape (n,).

    rho_g = y'/y with y'' + m y' - y = 0, so y = A exp(tau/rho) + (1 - A) exp(-rho tau), A = (rho_g(0) + rho)/s, for
    rho = rho(m), s = rho + 1/rho; and T_f = int dtau/y = 2F1(1, a; a + 1; 1 - 1/A)/(A s a), a = 1/(rho^2 + 1), which in
    chemical equilibrium, A = 1, is rho.
    """
    rho = density_of(own - other)
    both = other + rho  # A s
    a = 1 / (rho**2 + 1)
    return np.asarray(hyp2f1(1.0, a, a + 1, (other - 1 / rho) / both) / (both * a), np.float64)


def corrected(m: fem.Function, shift: Array, dx_mass: ufl.Measure) -> fem.Function:
    """Subtract epsilon div S weakly: the function n with int n phi = int m phi + int shift.grad phi for all phi.

    phi = 1 shows that the integral stays. Collective.

    Args:
        m: data at time 0.
        shift: epsilon (T_f j_f - T_g j_g) at the nodes of m, of this rank and its ghosts, shape (nodes, d).
        dx_mass: measure of the integrals without gradient.

    Raises:
        RunError: the linear solver did not converge.
    """
    space = m.function_space
    parts = []
    for column in shift.T:
        part = fem.Function(space)
        part.x.array[:] = column
        parts.append(part)
    trial, test = ufl.TrialFunction(space), ufl.TestFunction(space)
    rhs = m * test * dx_mass + ufl.inner(ufl.as_vector(parts), ufl.grad(test)) * ufl.dx
    matrix = fem_petsc.assemble_matrix(compiled(trial * test * dx_mass))
    matrix.assemble()
    vector = fem_petsc.assemble_vector(compiled(rhs))
    vector.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
    found, solver = fem.Function(space, name="m_corrected"), PETSc.KSP().create(space.mesh.comm)
    solution = matrix.createVecRight()
    solver.setOperators(matrix)
    solver.setType(PETSc.KSP.Type.CG)
    solver.getPC().setType(PETSc.PC.Type.JACOBI)
    solver.setTolerances(rtol=EXACT, atol=0, max_it=10_000)
    solver.solve(vector, solution)
    reason = solver.getConvergedReason()
    found.x.array[: space.dofmap.index_map.size_local] = solution.array_r
    found.x.scatter_forward()
    for thing in (solver, solution, vector, matrix):
        thing.destroy()
    if reason <= 0:
        raise RunError(f"the corrected data of the limit equation: the mass matrix was not solved (PETSc's {reason})")
    return found
