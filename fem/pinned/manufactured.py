"""Manufactured solutions of (A), (B'), (B_n) and (C): known answers that show the order of the discretisation.

The equations are written here once more, in strong form and apart from the weak forms that they test: a wrong factor
or sign there leaves an error that no refinement removes.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import basix.ufl
import ufl
from dolfinx import fem
from mpi4py import MPI

from kinlim.fem.compiled import compiled
from kinlim.fem.pinned.solve import BOUNDARIES, SYSTEMS
from kinlim.fem.pinned.spread import Scales
from kinlim.fem.timestepper import TimeStepper
from kinlim.meshes.interval import graded, interval

Array = NDArray[np.float64]

LAMBDA, END = 7.0, 0.02
"""lambda, not 1, and the time at which the errors are taken."""

SCALES = Scales(LAMBDA, delta=1e-14, spacing=0.1)
"""The regularisation is far below every error that is looked at; the spacing makes L up to 1.1 in (B_n)."""

TINY = 1e-24
"""Next to sigma^2 in a quotient."""


class Law(NamedTuple):
    """mu_t = (flux_mu)_x and storage = (flux)_x + production, the second equation of a system."""

    flux_mu: Any
    storage: Any
    flux: Any
    production: Any


def law(system: str, mu: Any, sigma: Any, mu_t: Any, sigma_t: Any, scales: Scales) -> Law:
    """The equations for given mu and sigma, as UFL expressions; the second one of (A) multiplied by sigma."""
    lam = scales.lam
    if system == "B_n":
        lam = lam * _rice((scales.spacing * mu.dx(0)) ** 2 / (sigma**2 + TINY))  # both vanish at held ends
    flux_mu = mu.dx(0) - lam * sigma
    match system:
        case "A":  # sigma sigma_t = sigma sigma_xx - lambda sigma mu_x + sigma_x^2 + mu_x^2
            return Law(flux_mu, sigma * sigma_t, sigma * sigma.dx(0), mu.dx(0) ** 2 - lam * sigma * mu.dx(0))
        case "C":
            E, E_t = (mu**2 + sigma**2) / 2, mu * mu_t + sigma * sigma_t
            return Law(flux_mu, E_t, E.dx(0) - lam * mu * sigma, 0 * mu)
        case _:
            w = sigma**2 / 2
            return Law(flux_mu, sigma * sigma_t, w.dx(0), mu.dx(0) ** 2 - lam * mu.dx(0) * sigma)


def _rice(z: Any) -> Any:
    """L(z) = 1F1(-1/2; 1; -z) by its series: another form than that under test. Terms are below 1e-12 after eight."""
    total = 1.0
    for k in reversed(range(8)):
        total = 1 - (k - 0.5) / (k + 1) ** 2 * z * total
    return total


def exact(boundary: str, s: Any, t: Any, maths: Any) -> tuple[Any, Any, Any, Any]:
    """mu, sigma and their time derivatives for s in [0, 1], with the functions of `maths`, which is ufl or numpy.

    Under `paper`, sigma = 0 and mu_s = 0 at both ends, and sigma > 0 between.
    """
    cos, pi = maths.cos(maths.pi * s), maths.pi
    shape = maths.sin(pi * s) * (1 + 0.3 * cos) if boundary == "paper" else maths.sqrt(1 + maths.cos(2 * pi * s) / 2)
    return cos * (1 + t), shape * maths.exp(t), cos, shape * maths.exp(t)


def errors(system: str, boundary: str, degree: int, nodes: Array, *, rtol: float = 1e-11) -> tuple[float, float]:
    """L2 errors of the discretisation in mu and in w at time END. Serial.

    Args:
        system: "A", "B'", "B_n" or "C".
        boundary: "noflux" or "paper".
        degree: of the elements.
        nodes: of the mesh, shape (cells + 1,).
        rtol: of the time integration.
    """
    equations = SYSTEMS[system]
    mesh = interval(MPI.COMM_SELF, nodes)
    space = fem.functionspace(mesh, basix.ufl.element("Lagrange", "interval", degree, shape=(2,)))
    u, u_t, test = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    clock = fem.Constant(mesh, 0.0)
    length = nodes[-1] - nodes[0]
    x = ufl.SpatialCoordinate(mesh)[0]
    mu, sigma, mu_t, sigma_t = exact(boundary, (x - nodes[0]) / length, clock, ufl)
    true = law(system, mu, sigma, mu_t, sigma_t, SCALES)
    dx, ds = ufl.dx(metadata={"quadrature_degree": 3 * degree + 4}), ufl.ds(metadata={"quadrature_degree": 8})
    normal = ufl.FacetNormal(mesh)[0]
    phi, psi = ufl.split(test)
    residual = (
        equations.residual(ufl.split(u), ufl.split(u_t), ufl.split(test), SCALES, dx)
        - ((mu_t - true.flux_mu.dx(0)) * phi + (true.storage - true.flux.dx(0) - true.production) * psi) * dx
        - (true.flux_mu * phi + true.flux * psi) * normal * ds
    )

    u.interpolate(lambda x: equations.from_moments(*exact(boundary, (x[0] - nodes[0]) / length, 0.0, np)[:2]))
    with TimeStepper(
        residual,
        u,
        u_t,
        held=BOUNDARIES[boundary](space),
        condition=(u[1] - equations.resting(u)) * psi * ufl.ds if boundary == "paper" else None,
        clock=clock,
        rtol=rtol,
        atol=np.full(2, rtol),
        first_step=END / 50,
        prefix="manufactured_",
    ) as stepper:
        stepper.advance(END)
    clock.value = END
    variance = {"A": u[1] * abs(u[1]) / 2, "C": u[1] - u[0] ** 2 / 2}.get(system, u[1])
    squares = (u[0] - mu) ** 2, (variance - sigma**2 / 2) ** 2
    found = [float(np.sqrt(fem.assemble_scalar(compiled(square * dx)))) for square in squares]
    return found[0], found[1]


def errors_in_time(system: str, boundary: str, steps: tuple[int, ...]) -> list[tuple[float, float, float]]:
    """Errors of fixed time steps on a solution that is smooth in time; serial.

    mu and sigma start from `exact` and go by themselves, on 16 P3 cells of [0, 1], up to END, by when what did not fit
    the ends has been smoothed; from there 2 END further in equal steps, and once more in steps a tenth of the smallest.

    Args:
        system: "A", "B'", "B_n" or "C".
        boundary: "noflux" or "paper".
        steps: their numbers.

    Returns:
        For each: the step, and the largest relative error in either unknown's nodal values (l2) as (step, mu, second).
    """
    equations = SYSTEMS[system]
    mesh = interval(MPI.COMM_SELF, graded((0.0, 1.0), 16))
    space = fem.functionspace(mesh, basix.ufl.element("Lagrange", "interval", 3, shape=(2,)))
    u, u_t, test = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    dx = ufl.dx(metadata={"quadrature_degree": 9})
    u.interpolate(lambda x: equations.from_moments(*exact(boundary, x[0], 0.0, np)[:2]))
    residual = equations.residual(ufl.split(u), ufl.split(u_t), ufl.split(test), SCALES, dx)
    held = {
        "held": BOUNDARIES[boundary](space),
        "condition": (u[1] - equations.resting(u)) * test[1] * ufl.ds if boundary == "paper" else None,
    }

    def go(start: float, until: float, options: dict[str, Any], first_step: float) -> Array:
        with TimeStepper(
            residual, u, u_t, **held, rtol=1e-11, atol=np.full(2, 1e-11), start=start, first_step=first_step,
            prefix="in_time_", options=equations.OPTIONS | options,
        ) as stepper:  # fmt: skip
            stepper.advance(until)
        return u.x.array.copy()

    smooth = go(0.0, END, {}, END / 1000)
    found = []
    for number in (*steps, 10 * max(steps)):
        u.x.array[:] = smooth
        found.append(go(END, 3 * END, {"ts_adapt_type": "none"}, 2 * END / number))
    *solutions, reference = (solution.reshape(-1, 2) for solution in found)
    norms = np.linalg.norm(reference, axis=0)
    errors = [np.linalg.norm(solution - reference, axis=0) / norms for solution in solutions]
    return [(2 * END / number, float(mu), float(second)) for number, (mu, second) in zip(steps, errors, strict=True)]
