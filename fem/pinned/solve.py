"""The PDE side of a pinned-ball study: mu, sigma and their balances at the observation times, as a labelled dataset."""

import time
from collections.abc import Callable
from math import ceil
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import basix.ufl
import ufl
from dolfinx import fem
from dolfinx.fem import FunctionSpace
from mpi4py import MPI

from kinlim.errors import InputError, RunError
from kinlim.fem.compiled import compiled
from kinlim.fem.formula import to_ufl
from kinlim.fem.integrate import integrate
from kinlim.fem.pinned import a, b_prime, c, noflux, paper
from kinlim.fem.pinned.flux import EndFlux
from kinlim.fem.pinned.record import Balance, Record
from kinlim.fem.timestepper import TimeStepper
from kinlim.keeper import Keeper
from kinlim.meshes.interval import graded, interval, read, refine
from kinlim.models.pinned.tables import PinnedBalls, PinnedStudy
from kinlim.parallel import on_root
from kinlim.provenance import provenance
from kinlim.study import dump

Array = NDArray[np.float64]


class System(Protocol):
    """What a system of equations is made of; (B') in `b_prime` is the example to follow."""

    OPTIONS: dict[str, Any]
    ORDER: int
    RESOLUTION: float

    def residual(self, u: Any, u_t: Any, test: Any, lam: Any, delta: Any, dx: Any) -> ufl.Form: ...  # noqa: D102
    def stored(self, u: Any, delta: Any) -> Any: ...  # noqa: D102
    def energy(self, u: Any, delta: Any) -> Any: ...  # noqa: D102
    def absent(self, u: Any) -> Any: ...  # noqa: D102
    def from_moments(self, mu: Array, sigma: Array) -> Array: ...  # noqa: D102
    def to_moments(self, u: Array) -> tuple[Array, Array]: ...  # noqa: D102


SYSTEMS: dict[str, System] = {"A": a, "B'": b_prime, "C": c}
BOUNDARIES: dict[str, Callable[[FunctionSpace], NDArray[np.int32]]] = {"noflux": noflux.held, "paper": paper.held}

ROUNDING = 1e-9
"""Spread that cannot be told from none, over the size of mu: rounding errors in mu0 = 0.5 drive one of 2e-15."""

QUADRATURE = 3
"""Degree of the quadrature over that of the elements; sigma is no polynomial, so none is exact."""


SMALLEST_CELL = 1e-14
"""Of the interval; below, the ends of a cell cannot be told apart."""

REST = (ufl.as_ufl(0), ufl.as_ufl(0))
"""No time derivative."""

FIRST_STEP = 1e-6
"""First step tried, as a fraction of the whole time."""

BLOWN_UP = 1e4
"""Times the size of the data, beyond which an unknown is no solution."""


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


def nodes_of(study: PinnedStudy, comm: MPI.Comm) -> Array:
    """Nodes of the study's mesh, refinements included. Collective.

    Raises:
        InputError: the mesh file is unusable, or does not cover the interval.
    """
    model, settings = study.model, study.pde
    if settings.mesh is None:
        nodes = graded(model.interval, settings.cells, settings.grading)
    else:
        nodes = on_root(comm, lambda: read(settings.mesh or ""))
        if (nodes[0], nodes[-1]) != model.interval:
            raise InputError(
                f"pde.mesh = '{settings.mesh}' reaches from {nodes[0]:.17g} to {nodes[-1]:.17g}; "
                f"model.interval is {list(model.interval)}"
            )
    for _ in range(settings.refinements):
        nodes = refine(nodes)
    if np.diff(nodes).min() < SMALLEST_CELL * model.length:
        if settings.mesh is not None:
            raise InputError(f"pde.mesh = '{settings.mesh}' has nodes that are all but the same")
        raise InputError(
            f"pde.cells = {settings.cells} with grading {settings.grading:g} and {settings.refinements} refinements "
            "makes cells too small for floating-point numbers to tell their ends apart"
        )
    return nodes


def scale(model: PinnedBalls) -> float:
    """The power of two next to the size of velocities.

    (mu, sigma) -> (c mu, c sigma) leaves the equations as they are, and c = 2^k changes no bit of a number: dividing by
    it keeps squares of very small and very large velocities among the numbers that solvers are made for.
    """
    return float(2.0 ** np.round(np.log2(sizes(model)[0])))


def check(study: PinnedStudy, comm: MPI.Comm) -> None:
    """Raise InputError if `discretise` does, or if the ends are to hold a spread that the data have there."""
    if study.pde.boundary == "paper":
        study.model.refuse_spread_at_ends(
            "pde.boundary = 'paper' holds sigma = 0 there, so choose a sigma0 that vanishes at both ends, or 'noflux'"
        )
    discretise(study, comm)


def discretise(study: PinnedStudy, comm: MPI.Comm, unit: float = 1.0) -> fem.Function:
    """Build mesh and space of a study and interpolate its initial data. Collective; takes milliseconds.

    Args:
        study: the study.
        comm: the ranks that share the mesh.
        unit: of velocity, by which the data are divided.

    Raises:
        InputError: the mesh is unusable or too coarse for the system, or mu0 or sigma0 cannot be used at one of its
            nodes (on all ranks).
    """
    model, settings = study.model, study.pde
    system = SYSTEMS[settings.system]
    nodes = nodes_of(study, comm)
    widest, allowed = np.diff(nodes).max(), system.RESOLUTION * settings.degree / model.lam
    if widest > allowed:
        cells = len(nodes) - 1
        raise InputError(
            f"pde.system = '{settings.system}' with lambda = {model.lam:.6g} and degree {settings.degree} needs "
            f"cells no wider than {allowed:.3g}, the widest of these {cells} is {widest:.3g}: take at least "
            f"{ceil(cells * widest / allowed)} of this kind, a higher degree, or system B'"
        )
    mesh = interval(comm, nodes)
    u = fem.Function(
        fem.functionspace(mesh, basix.ufl.element("Lagrange", "interval", settings.degree, shape=(2,))), name="u"
    )
    problem: InputError | None = None
    try:
        u.interpolate(lambda x: system.from_moments(*_initial(study, x[0], unit)))
    except InputError as error:
        problem = InputError(f"model.{error}")
    for found in comm.allgather(problem):
        if found is not None:
            raise found
    return u


def _initial(study: PinnedStudy, x: Array, unit: float) -> tuple[Array, Array]:
    """Initial mean and spread at nodes in the given unit; ends that are held have no spread."""
    mu, sigma = study.model.initial(x, "node")
    if study.pde.boundary == "paper":
        sigma = np.where(np.isin(x, study.model.interval), 0.0, sigma)
    return np.asarray(mu / unit, np.float64), np.asarray(sigma / unit, np.float64)


def solve(
    study: PinnedStudy,
    comm: MPI.Comm = MPI.COMM_WORLD,
    *,
    keeper: Keeper | None = None,
    fixed_steps: int | None = None,
) -> xr.Dataset:
    """Solve the limit equations of a study.

    Args:
        study: the study.
        comm: the ranks that share the mesh. Collective.
        keeper: what to go on from, on any number of ranks: bit by bit on as many as wrote it, with a one-step scheme.
        fixed_steps: of equal size, without error control, where the order in time is to be seen.

    Returns:
        The same dataset on every rank, with (time, x): mu, sigma, E at the sites; (time, node): node_mu, node_sigma,
        node_E at the mesh's own nodes; (frame, point): frame_mu, frame_sigma, for pictures; (time): momentum, energy,
        energy_flux, min_w.

    Raises:
        InputError: the initial data cannot be used at a node of the mesh, or a PETSc option has no meaning.
        RunError: the time integration failed; see `TimeStepper.advance`.
        Stopped: a signal came, and the state has been kept.
    """
    began, keeper = time.perf_counter(), keeper or Keeper(comm)
    problem = _Problem(study, comm)
    record, end = problem.record, float(study.model.times[-1])
    first_step = end * (FIRST_STEP if fixed_steps is None else 1 / fixed_steps)
    if (kept := keeper.found()) is None:
        problem.flux.start(0.0)
        record.begin()
    else:
        first_step = record.restore(kept)
    ready = time.perf_counter()
    with problem.stepper(first_step, fixed_steps is not None) as stepper:
        integrate(
            stepper,
            study.model.times[record.taken :],
            keeper,
            label="equations",
            end=end,
            after_step=lambda: problem.after_step(stepper),
            observe=problem.observe,
            state=lambda: record.checkpoint(stepper.next_step, stepper.statistics()),
        )
        counts, preconditioner = record.counts(stepper.statistics()), stepper.preconditioner()
    ended = time.perf_counter()
    attributes = on_root(
        comm,
        lambda: provenance(
            comm.size,
            1,
            ended - began,
            study=dump(study),
            stepping_seconds=ended - ready,
            preconditioner=preconditioner,
            **problem.facts(),
            **counts,
        ),
    )
    return record.dataset(problem.system.to_moments).assign_attrs(attributes)


class _Problem:
    """The equations of a study on its mesh: forms, balances, and the solution as it goes.

    Attributes:
        system: of equations.
        flux: what leaves through held ends.
        record: what is written down of the solution.
    """

    def __init__(self, study: PinnedStudy, comm: MPI.Comm) -> None:
        """Build mesh, space and forms. Collective."""
        self.study, self.system, self.unit = study, SYSTEMS[study.pde.system], scale(study.model)
        self.u = discretise(study, comm, self.unit)
        space, mesh = self.u.function_space, self.u.function_space.mesh
        self.u_t, self.test = fem.Function(space, name="u_t"), ufl.TestFunction(space)
        self.quadrature = QUADRATURE * study.pde.degree
        self.dx = ufl.dx(domain=mesh, metadata={"quadrature_degree": self.quadrature})
        self.size = sizes(study.model) / np.array([self.unit, self.unit**2])
        self.lam = fem.Constant(mesh, study.model.lam)
        self.delta = fem.Constant(mesh, study.pde.regularisation * self.size[1])
        self.held = BOUNDARIES[study.pde.boundary](space)
        stored, energy = (part(self.u, self.delta) for part in (self.system.stored, self.system.energy))
        steady = lambda chi, dx: self._weak_form(REST, chi, dx)  # noqa: E731 - one line, used once
        self.flux = EndFlux(self.u, self.held, stored, steady, self.quadrature)
        self.balance = Balance(self.u, energy, self.dx)
        self.initial_error = self._initial_error()
        self.record = Record(study, self.u, self.balance, self.flux, self.unit)
        self.largest = BLOWN_UP * max(self.size[0], self._unknowns()[1])

    def stepper(self, first_step: float, fixed: bool) -> TimeStepper:
        """The time integration from where the record is. Collective."""
        settings = self.study.pde
        ends = self.system.absent(self.u) * self.test[1] * ufl.ds(domain=self.u.function_space.mesh)
        return TimeStepper(
            self._weak_form(ufl.split(self.u_t), self.test, self.dx),
            self.u,
            self.u_t,
            held=self.held,
            condition=ends if settings.boundary == "paper" else None,
            rtol=settings.rtol,
            atol=settings.rtol * self._unknowns(),
            start=self.record.time,
            first_step=first_step,
            prefix="pde_",
            options=self.system.OPTIONS | ({"ts_adapt_type": "none"} if fixed else {}),
        )

    def after_step(self, stepper: TimeStepper) -> None:
        """Note a step. Collective.

        Raises:
            RunError: an unknown is larger than any solution.
        """
        self.record.step(stepper.time)
        if stepper.largest() > self.largest:
            settings = self.study.pde
            raise RunError(
                f"the solution has blown up by t = {stepper.time:.6g}: pde.rtol = {settings.rtol:g} is too coarse, "
                f"or the mesh ({self.record.cells} cells of degree {settings.degree}) is"
            )

    def observe(self) -> None:
        """Note an observation. Collective.

        Raises:
            RunError: the energy is not what it can be.
        """
        self.record.observe()
        if not self.balance.plausible(self.flux.total):
            now, gone = self.balance.now()[1] / self.balance.start[1], -self.flux.total / self.balance.start[1]
            raise RunError(
                f"the energy at t = {self.record.time:.6g} is {now:.4g} of that at the start, and {gone:.4g} of it "
                f"went out through the ends: this is no solution. pde.rtol = {self.study.pde.rtol:g} is too coarse, or "
                "the mesh is"
            )

    def facts(self) -> dict[str, float]:
        """Numbers about the discretisation, for the dataset's attributes."""
        x = self.record.nodes.x[:: self.study.pde.degree]
        return {
            "regularisation": float(self.delta.value) * self.unit**2,
            "widest_cell_times_lambda": float(np.diff(x).max() * self.study.model.lam),
            "initial_error_mu": self.initial_error,
        }

    def _weak_form(self, u_t: Any, test: Any, dx: Any) -> ufl.Form:
        return self.system.residual(ufl.split(self.u), u_t, ufl.split(test), self.lam, self.delta, dx)

    def _unknowns(self) -> Array:
        """Sizes of the two unknowns."""
        return self.system.from_moments(self.size[:1], np.sqrt(2 * self.size[1:]))[:, 0]

    def _initial_error(self) -> float:
        """Relative L2 error of mu at time 0. Collective."""
        mesh = self.u.function_space.mesh
        mu0 = to_ufl(self.study.model.mu0, x=ufl.SpatialCoordinate(mesh)[0]) / self.unit
        forms = [compiled(part**2 * self.dx) for part in (self.u[0] - mu0, self.u[0])]
        error, norm = (float(mesh.comm.allreduce(fem.assemble_scalar(form))) for form in forms)
        return float(np.sqrt(error / norm)) if norm > 0 else 0.0
