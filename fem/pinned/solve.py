"""The PDE side of a pinned-ball study: mu, sigma and their balances at the observation times, as a labelled dataset."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import basix.ufl
import ufl
from dolfinx import fem
from dolfinx.fem import FunctionSpace
from mpi4py import MPI

from kinlim.errors import InputError
from kinlim.fem.formula import to_ufl
from kinlim.fem.pinned import a, b_prime, c, noflux, paper
from kinlim.fem.pinned.flux import EndFlux
from kinlim.fem.probe import Nodes, Probe
from kinlim.fem.timestepper import TimeStepper
from kinlim.meshes.interval import graded, interval
from kinlim.parallel import on_root
from kinlim.pinned import PinnedBalls, PinnedStudy
from kinlim.progress import Meter
from kinlim.provenance import provenance
from kinlim.study import dump

Array = NDArray[np.float64]


class System(Protocol):
    """What a system of equations is made of; (B') in `b_prime` is the example to follow."""

    OPTIONS: dict[str, Any]

    def residual(self, u: Any, u_t: Any, test: Any, lam: Any, delta: Any, dx: Any) -> ufl.Form: ...  # noqa: D102
    def stored(self, u: Any, delta: Any) -> Any: ...  # noqa: D102
    def energy(self, u: Any, delta: Any) -> Any: ...  # noqa: D102
    def absent(self, u: Any) -> Any: ...  # noqa: D102
    def from_moments(self, mu: Array, sigma: Array) -> Array: ...  # noqa: D102
    def to_moments(self, u: Array) -> tuple[Array, Array]: ...  # noqa: D102


SYSTEMS: dict[str, System] = {"A": a, "B'": b_prime, "C": c}
BOUNDARIES: dict[str, Callable[[FunctionSpace], NDArray[np.int32]]] = {"noflux": noflux.held, "paper": paper.held}

REGULARISATION = 1e-9
"""delta in sigma = sqrt(2) w/(w^2 + delta^2)^(1/4), as a fraction of the size of w."""

ROUNDING = 1e-9
"""Spread that cannot be told from none, over the size of mu: rounding errors in mu0 = 0.5 drive one of 2e-15."""

QUADRATURE = 3
"""Degree of the quadrature over that of the elements; sigma is no polynomial, so none is exact."""


def sizes(model: PinnedBalls) -> Array:
    """Sizes (mu, w) that error control and regularisation are measured against.

    mu is bounded by the energy. For w the larger of max sigma0^2/2 and max (mu0_x/lambda)^2/2, but no more than the
    energy has: where mu_x > 0 the source mu_x^2 - lambda mu_x sigma drives sigma to mu_x/lambda, however small it was.
    """
    mu, sigma = model.initial(model.sites, "site")
    mean = max(np.abs(mu).max(), sigma.max()) or 1.0
    slope = np.abs(np.gradient(mu, model.sites)).max() / model.lam
    spread = max(sigma.max(), min(slope, mean), ROUNDING * mean)
    return np.array([mean, spread**2 / 2])


def discretise(study: PinnedStudy, comm: MPI.Comm) -> fem.Function:
    """Build mesh and space of a study and interpolate its initial data. Collective; takes milliseconds.

    Raises:
        InputError: mu0 or sigma0 cannot be used at a node of the mesh (on all ranks).
    """
    model, settings = study.model, study.pde
    mesh = interval(comm, graded(model.interval, settings.cells, settings.grading))
    u = fem.Function(
        fem.functionspace(mesh, basix.ufl.element("Lagrange", "interval", settings.degree, shape=(2,))), name="u"
    )
    problem: InputError | None = None
    try:
        u.interpolate(lambda x: SYSTEMS[settings.system].from_moments(*_initial(study, x[0])))
    except InputError as error:
        problem = InputError(f"model.{error}")
    for found in comm.allgather(problem):
        if found is not None:
            raise found
    return u


def _initial(study: PinnedStudy, x: Array) -> tuple[Array, Array]:
    """Initial mean and spread at nodes; ends that are held have no spread."""
    mu, sigma = study.model.initial(x, "node")
    return mu, np.where(np.isin(x, study.model.interval), 0.0, sigma) if study.pde.boundary == "paper" else sigma


def solve(study: PinnedStudy, comm: MPI.Comm = MPI.COMM_WORLD) -> xr.Dataset:
    """Solve the limit equations of a study.

    Args:
        study: the study.
        comm: the ranks that share the mesh. Collective.

    Returns:
        The same dataset on every rank, with (time, x): mu, sigma, E at the sites; (time, node): node_mu, node_sigma,
        node_E at the mesh's own nodes; (time): momentum, energy, energy_flux, min_w.

    Raises:
        InputError: the initial data cannot be used at a node of the mesh, or a PETSc option has no meaning.
        RunError: the time integration failed; see `TimeStepper.advance`.
    """
    began = time.perf_counter()
    model, settings = study.model, study.pde
    system = SYSTEMS[settings.system]
    u = discretise(study, comm)
    space, mesh = u.function_space, u.function_space.mesh
    u_t = fem.Function(space, name="u_t")

    quadrature = {"quadrature_degree": QUADRATURE * settings.degree}
    dx, ds = ufl.dx(domain=mesh, metadata=quadrature), ufl.ds(domain=mesh)
    size = sizes(model)
    lam, delta = fem.Constant(mesh, model.lam), fem.Constant(mesh, REGULARISATION * size[1])
    test = ufl.split(ufl.TestFunction(space))
    residual = system.residual(ufl.split(u), ufl.split(u_t), test, lam, delta, dx)
    held = BOUNDARIES[settings.boundary](space)
    flux = EndFlux(
        u,
        held,
        system.stored(u, delta),
        lambda chi, dx: system.residual(ufl.split(u), (ufl.as_ufl(0), ufl.as_ufl(0)), chi, lam, delta, dx),
        QUADRATURE * settings.degree,
    )

    mu0 = to_ufl(model.mu0, x=ufl.SpatialCoordinate(mesh)[0])
    integrals = [fem.form(density * dx) for density in (u[0], system.energy(u, delta))]
    mismatch = [fem.form(part**2 * dx) for part in (u[0] - mu0, u[0])]

    def integrate(form: fem.Form) -> float:
        return float(comm.allreduce(fem.assemble_scalar(form)))

    probe, nodes = Probe(mesh, model.sites), Nodes(u)
    error, norm = (integrate(form) for form in mismatch)
    flux.start(0.0)
    balance = [[*(integrate(form) for form in integrals), flux.total]]
    at_sites, at_nodes = [], []

    compiled = time.perf_counter()
    with (
        TimeStepper(
            residual,
            u,
            u_t,
            held=held,
            condition=system.absent(u) * test[1] * ds if settings.boundary == "paper" else None,
            rtol=settings.rtol,
            atol=settings.rtol * system.from_moments(size[:1], np.sqrt(2 * size[1:]))[:, 0],
            first_step=1e-4 * model.times[-1],
            prefix="pde_",
            options=system.OPTIONS,
        ) as stepper,
        Meter("equations", comm.rank == 0) as meter,
    ):
        def after_step() -> bool:
            flux.after_step(stepper.time)
            meter(stepper.time / model.times[-1])
            return False

        for moment in model.times:
            stepper.advance(moment, after_step)
            at_sites.append(probe(u))
            at_nodes.append(nodes(u))
            balance.append([*(integrate(form) for form in integrals), flux.total])
        counts = stepper.statistics()
    ended = time.perf_counter()

    attributes = on_root(
        comm,
        lambda: provenance(
            comm.size,
            1,
            ended - began,
            study=dump(study),
            stepping_seconds=ended - compiled,
            regularisation=float(delta.value),
            initial_error_mu=float(np.sqrt(error / norm)) if norm > 0 else 0.0,
            **counts,
        ),
    )
    dataset = _dataset(study, system, np.array(at_sites), np.array(at_nodes), nodes.x, np.array(balance))
    return dataset.assign_attrs(attributes)


def _spread(w: Array) -> Array:
    """Give sigma = sqrt(2w), 0 where w is negative (`min_w` says by how much)."""
    return np.sqrt(2 * np.maximum(w, 0))


def _dataset(
    study: PinnedStudy, system: System, at_sites: Array, at_nodes: Array, node_x: Array, balance: Array
) -> xr.Dataset:
    """Label the solution; `balance` has momentum and energy in its columns, from time 0."""
    model, settings = study.model, study.pde
    (mu, w), (node_mu, node_w) = system.to_moments(at_sites), system.to_moments(at_nodes)
    mu0, sigma0 = model.initial(model.sites, "site")
    start, later = balance[0], balance[1:]
    bound = np.sqrt(2 * model.length * start[1])  # the largest momentum at this energy
    at_x, at_node, scalar = ("time", "x"), ("time", "node"), ("time",)
    return xr.Dataset(
        {
            "mu": (at_x, mu, {"long_name": "mean velocity"}),
            "sigma": (at_x, _spread(w), {"long_name": "standard deviation of the velocity"}),
            "initial_mu": ("x", mu0, {"long_name": "mean velocity at time 0"}),
            "initial_sigma": ("x", sigma0, {"long_name": "standard deviation of the velocity at time 0"}),
            "E": (at_x, mu**2 / 2 + w, {"long_name": "energy density (mu^2 + sigma^2)/2"}),
            "node_mu": (at_node, node_mu, {"long_name": "mean velocity at the mesh's nodes"}),
            "node_sigma": (at_node, _spread(node_w), {"long_name": "standard deviation at the mesh's nodes"}),
            "node_E": (at_node, node_mu**2 / 2 + node_w, {"long_name": "energy density at the mesh's nodes"}),
            "momentum": (scalar, later[:, 0], {"long_name": "integral of mu"}),
            "energy": (scalar, later[:, 1], {"long_name": "integral of (mu^2 + sigma^2)/2"}),
            "energy_flux": (scalar, -later[:, 2], {"long_name": "energy gone through the ends since time 0"}),
            "momentum_drift": (
                scalar, np.abs(later[:, 0] - start[0]) / (bound or 1.0),
                {"long_name": "|change| of momentum over its bound sqrt(2 (b-a) energy)"},
            ),
            "energy_drift": (
                scalar, np.abs(later[:, 1] - later[:, 2] - start[1]) / (start[1] or 1.0),
                {"long_name": "|change of energy + energy_flux| over the initial energy"},
            ),
            "min_w": (scalar, node_w.min(axis=1), {"long_name": "least w = sigma^2/2 at a node"}),
        },
        coords={
            "time": ("time", model.times, {"long_name": "time of the equations"}),
            "fraction": ("time", np.asarray(model.observe), {"long_name": "fraction of end_time"}),
            "x": ("x", model.sites, {"long_name": "position of the balls"}),
            "node_x": ("node", node_x, {"long_name": "position of the mesh's nodes"}),
        },
        attrs={
            "title": f"{study.study.name}: equations", "model": "pinned", "system": settings.system,
            "boundary": settings.boundary, "lambda": model.lam, "cells": settings.cells, "grading": settings.grading,
            "degree": settings.degree, "rtol": settings.rtol,
        },
    )  # fmt: skip
