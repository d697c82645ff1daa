"""A manufactured solution of the limit equation: a known answer, from which the order of the elements is read off.

The equation is written here once more, in strong form and with D(m) in another shape, so that a wrong factor or sign in
the weak form leaves an error that no refinement removes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import ufl
from dolfinx import fem
from mpi4py import MPI

from kinlim.fem.compiled import compiled
from kinlim.fem.reaction.conserving import ConservingStepper
from kinlim.fem.reaction.diffusion import residual
from kinlim.fem.reaction.limit import measures, options, space_of
from kinlim.models.reaction.tables import LimitEquation

Array = NDArray[np.float64]

D1 = np.array([[1.0, 0.3, 0.1], [0.3, 0.6, -0.2], [0.1, -0.2, 0.8]])
D2 = np.array([[0.4, -0.1, 0.15], [-0.1, 0.9, 0.2], [0.15, 0.2, 0.5]])
"""Full matrices, no multiples of each other; their upper left corners in lower dimensions."""

END = 0.01
"""Time at which the errors are taken."""


def exact(x: Any, t: Any, maths: Any) -> Any:
    """The solution m at x, an expression or array a coordinate, with the functions of `maths`: ufl or numpy."""
    d = len(x)
    waves = sum((1 + 0.2 * i) * maths.sin(2 * maths.pi * x[i] + i) for i in range(d))
    return 0.4 + (1 - 8 * t) * waves / d + 0.5 * maths.cos(2 * maths.pi * sum(x) + 20 * t)


def source(m: Any, m_t: Any, A: Any, B: Any) -> Any:
    """Give m_t - div(D(m) grad m) for a known m, D(m) = ((A + B) (m^2 + 2)/sqrt(m^2 + 4) + (A - B) m)/2.

    This is the limit's D: rho^2 + 1/rho^2 = m^2 + 2 and rho^2 - 1/rho^2 = m sqrt(m^2 + 4).
    """
    D = ((A + B) * (m**2 + 2) / ufl.sqrt(m**2 + 4) + (A - B) * m) / 2
    return m_t - ufl.div(D * ufl.grad(m))


def error(settings: LimitEquation, dimension: int, comm: MPI.Comm, *, rtol: float = 1e-7) -> float:
    """L2 error of a discretisation at time END; `rtol` of the time integration instead of the settings'. Collective."""
    space = space_of(settings, dimension, comm)
    mesh = space.mesh
    u, u_t, test = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    A, B = (fem.Constant(mesh, D[:dimension, :dimension].copy()) for D in (D1, D2))
    clock, x = fem.Constant(mesh, 0.0), ufl.SpatialCoordinate(mesh)
    time = ufl.variable(clock)
    m = exact([x[i] for i in range(dimension)], time, ufl)
    dx, exactly = measures(settings), ufl.dx(metadata={"quadrature_degree": 2 * settings.degree + 3})
    form = residual(u, u_t, test, A, B, dx.flux, dx.mass) - source(m, ufl.diff(m, time), A, B) * test * exactly
    u.interpolate(lambda x: exact(x[:dimension], 0.0, np))
    linear = options(settings, dimension)
    with ConservingStepper(
        form, u, u_t, clock=clock, rtol=0.0, atol=np.array([rtol]), first_step=END / 20, prefix="manufactured_",
        options={key: linear[key] for key in linear if key[:2] != "ts"} | {"ksp_rtol": 1e-6, "snes_rtol": 1e-7},
    ) as stepper:  # fmt: skip
        stepper.advance(END)
    clock.value = END
    square = fem.assemble_scalar(compiled((u - m) ** 2 * exactly))
    return float(np.sqrt(comm.allreduce(square)))


def errors_in_time(steps: tuple[int, ...], scheme: dict[str, Any] | None = None) -> list[tuple[float, float]]:
    """Errors of fixed time steps on a solution that is smooth in time, without source; serial, in dimension 1.

    m starts from `exact` on 16 P3 cells and goes by itself, in equal steps up to 4 END, and once more in steps a
    tenth of the smallest.

    Args:
        steps: their numbers.
        scheme: PETSc options instead of those of `kinlim.fem.reaction.limit`.

    Returns:
        For each number: the step, and the error in the nodal values (l2) relative to their distance from the mean.
    """
    settings = LimitEquation(cells=16, degree=3)
    space = space_of(settings, 1, MPI.COMM_SELF)
    u, u_t, dx = fem.Function(space), fem.Function(space), measures(settings)
    A, B = (fem.Constant(space.mesh, D[:1, :1].copy()) for D in (D1, D2))
    form = residual(u, u_t, ufl.TestFunction(space), A, B, dx.flux, dx.mass)
    solutions = []
    for number in (*steps, 10 * max(steps)):
        u.interpolate(lambda x: exact(x[:1], 0.0, np))
        with ConservingStepper(
            form, u, u_t, rtol=0.0, atol=np.array([1e-11]), first_step=4 * END / number, prefix="in_time_",
            options=options(settings, 1) | {"ts_adapt_type": "none"} | (scheme or {}),
        ) as stepper:  # fmt: skip
            stepper.advance(4 * END)
        solutions.append(u.x.array.copy())
    *found, reference = solutions
    size = np.linalg.norm(reference - reference.mean())
    errors = (np.linalg.norm(solution - reference) / size for solution in found)
    return [(4 * END / number, float(error)) for number, error in zip(steps, errors, strict=True)]
