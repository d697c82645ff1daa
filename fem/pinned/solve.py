"""The limit equations of the pinned balls as `kinlim.fem.evolution` wants them: mu and sigma, and their balances."""

from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import ufl
from dolfinx import fem
from dolfinx.fem import FunctionSpace
from mpi4py import MPI

from kinlim.base import Study, narrowed
from kinlim.equation import SENSITIVE, SENSITIVITY, Equation, Interval, Watch
from kinlim.errors import InputError, RunError
from kinlim.fem.compiled import compiled
from kinlim.fem.evolution import EquationMaker
from kinlim.fem.formula import to_ufl
from kinlim.fem.pinned import a, b_n, b_prime, c, noflux, paper
from kinlim.fem.pinned.flux import EndFlux
from kinlim.fem.pinned.spread import Scales
from kinlim.fem.place import Place
from kinlim.fem.problem import Problem
from kinlim.grid import Points
from kinlim.keeper import Keeper
from kinlim.meshes.domain import nodes_of
from kinlim.models.pinned.tables import PinnedBalls, PinnedEquations, PinnedStudy

Array = NDArray[np.float64]


class System(Protocol):
    """What a system of equations is made of; (B') in `b_prime` is the example to follow."""

    OPTIONS: dict[str, Any]
    ORDER: int
    RESOLUTION: float
    STEP_ERROR: float

    def residual(self, u: Any, u_t: Any, test: Any, scales: Scales, dx: Any) -> ufl.Form: ...  # noqa: D102
    def stored(self, u: Any, delta: Any) -> Any: ...  # noqa: D102
    def energy(self, u: Any, delta: Any) -> Any: ...  # noqa: D102
    def resting(self, u: Any) -> Any: ...  # noqa: D102
    def from_moments(self, mu: Array, sigma: Array) -> Array: ...  # noqa: D102
    def to_moments(self, u: Array) -> tuple[Array, Array]: ...  # noqa: D102


SYSTEMS: dict[str, System] = {"A": a, "B'": b_prime, "B_n": b_n, "C": c}
BOUNDARIES: dict[str, Callable[[FunctionSpace], NDArray[np.int32]]] = {"noflux": noflux.held, "paper": paper.held}

SMALL = 1e-3
"""Step of central differences over the size of the unknowns."""

ROUNDING = 1e-9
"""Spread that cannot be told from none, over the size of mu: rounding errors in mu0 = 0.5 drive one of 2e-15."""

LOST = 1e-6
"""Spread, over the largest one, whose square has lost its digits where it is computed as 2E - mu^2."""

IMPLAUSIBLE = 0.1
"""Relative change of a conserved energy beyond which there is no solution left to speak of."""

REST = (ufl.as_ufl(0), ufl.as_ufl(0))
"""No time derivative."""

FIRST, SECOND = "mu", "second"
"""Names of the unknowns; the second is sigma, w or E."""


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


def scale(model: PinnedBalls) -> float:
    """The power of two next to the size of velocities.

    (mu, sigma) -> (c mu, c sigma) leaves the equations as they are, and c = 2^k changes no bit of a number: dividing by
    it keeps squares of very small and very large velocities among the numbers that solvers are made for.
    """
    return float(2.0 ** np.round(np.log2(sizes(model)[0])))


class Balance:
    """Momentum int mu and energy of a solution.

    Attributes:
        start: both at time 0.
    """

    def __init__(self, u: fem.Function, energy: Any, dx: Any) -> None:
        """Compile the integrals; `energy` is the density as an expression of u. Collective."""
        self.comm = u.function_space.mesh.comm
        self.forms = [compiled(u[0] * dx), compiled(energy * dx)]
        self.start: Array = np.zeros(2)

    def now(self) -> Array:
        """Momentum and energy. Collective."""
        here = np.array([fem.assemble_scalar(form) for form in self.forms])
        everywhere = np.empty_like(here)
        self.comm.Allreduce(here, everywhere)
        return everywhere


class PinnedEquation(Equation):
    """System (A), (B'), (B_n) or (C) with the ends that the study wants, for velocities counted in a unit."""

    source = 'Burdzy, Hoskins and Steinerberger, "From pinned billiard balls to partial differential equations"'

    study: PinnedStudy
    model: PinnedBalls

    def __init__(self, study: Study, unit: float | None = None, table: str = "pde") -> None:
        """Of a study, in the unit of its own size unless one is given; `table` has the settings."""
        self.study = study = narrowed(study, PinnedStudy)
        self.model, self.settings = study.model, settings(study, table)
        self.system = SYSTEMS[self.settings.system]
        self.unit = scale(study.model) if unit is None else unit
        self.scaled = sizes(study.model) / np.array([self.unit, self.unit**2])
        self.unknowns = {FIRST: "mean velocity", SECOND: "second unknown"}
        self.domain, self.options = Interval(*study.model.interval), self.system.OPTIONS
        self.step_error = self.system.STEP_ERROR

    @property
    def grid(self) -> Points:
        """The balls' sites."""
        return Points(x=self.model.sites)

    def initial(self, *x: Array) -> Array:
        """Unknowns from mu0 and sigma0; ends that are held have no spread."""
        try:
            mu, sigma = self.model.initial(x[0], "node")
        except InputError as error:
            raise InputError(f"model.{error}") from None
        if self.settings.boundary == "paper":
            sigma = np.where(np.isin(x[0], self.model.interval), 0.0, sigma)
        return self.system.from_moments(np.asarray(mu / self.unit), np.asarray(sigma / self.unit))

    def residual(self, u: Any, u_t: Any, v: Any, at: Place) -> ufl.Form:
        """The weak form of the system."""
        self.delta = at.constant(self.settings.regularisation * self.scaled[1])
        self.scales = Scales(at.constant(self.model.lam), self.delta, at.constant(self.model.spacing))
        return self.system.residual(u, u_t, v, self.scales, at.dx)

    def held(self, u: Any, at: Place) -> Mapping[tuple[str, str], Any]:
        """Sigma = 0 at both ends, or nothing."""
        if self.settings.boundary == "noflux":
            return {}
        return {(SECOND, end): self.system.resting(u) for end in ("left", "right")}

    def size(self) -> Mapping[str, float]:
        """Sizes of the two unknowns."""
        first, second = self.system.from_moments(self.scaled[:1], np.sqrt(2 * self.scaled[1:]))[:, 0]
        return {FIRST: float(first), SECOND: float(second)}

    def watch(self, problem: Problem) -> "Balances":
        """Momentum, energy, and what leaves through held ends."""
        self.initial_error = self._initial_error(problem)
        return Balances(self, problem)

    def finish(self, dataset: xr.Dataset) -> xr.Dataset:
        """Mean and spread from the unknowns, in the study's units; `momentum` and so on as drifts, too."""
        model, unit = self.model, self.unit

        def moments(prefix: str) -> tuple[Array, Array]:
            both = np.stack([dataset[f"{prefix}{name}"].to_numpy() for name in (FIRST, SECOND)], axis=-1)
            mu, w = self.system.to_moments(both)
            return unit * mu, unit**2 * w

        (mu, w), (node_mu, node_w), (frame_mu, frame_w) = (moments(prefix) for prefix in ("", "node_", "frame_"))
        sigma = _spread(w)
        mu0, sigma0 = model.initial(model.sites, "site")
        momentum, energy, let_in = (
            dataset[name].to_numpy() * unit**power for name, power in zip(Balances.names, (1, 2, 2), strict=False)
        )
        start = np.array([dataset[f"start_{k}"].to_numpy()[0] * unit ** (k + 1) for k in range(2)])
        bound = np.sqrt(2 * model.length * start[1])  # the largest momentum at this energy
        at_x, at_node, at_point, scalar = ("time", "x"), ("time", "node"), ("frame", "point"), ("time",)
        return xr.Dataset(
            {
                "mu": (at_x, mu, {"long_name": "mean velocity"}),
                "sigma": (at_x, sigma, {"long_name": "standard deviation of the velocity"}),
                **self._sensitivities(dataset, sigma),
                "initial_mu": ("x", mu0, {"long_name": "mean velocity at time 0"}),
                "initial_sigma": ("x", sigma0, {"long_name": "standard deviation of the velocity at time 0"}),
                "E": (at_x, mu**2 / 2 + w, {"long_name": "energy density (mu^2 + sigma^2)/2"}),
                "node_mu": (at_node, node_mu, {"long_name": "mean velocity at the mesh's nodes"}),
                "node_sigma": (at_node, _spread(node_w), {"long_name": "standard deviation at the mesh's nodes"}),
                "node_E": (at_node, node_mu**2 / 2 + node_w, {"long_name": "energy density at the mesh's nodes"}),
                "frame_mu": (at_point, frame_mu, {"long_name": "mean velocity in a frame"}),
                "frame_sigma": (at_point, _spread(frame_w), {"long_name": "standard deviation in a frame"}),
                "momentum": (scalar, momentum, {"long_name": "integral of mu"}),
                "energy": (
                    scalar, energy, {"long_name": "integral of (mu^2 + sigma^2)/2, as the weak form has it"}
                ),
                "energy_flux": (
                    scalar, -let_in,
                    {"long_name": "energy gone out through the ends since time 0: energy + energy_flux is constant"},
                ),
                "momentum_drift": (
                    scalar, np.abs(momentum - start[0]) / (bound or 1.0),
                    {"long_name": "|change| of momentum over its bound sqrt(2 (b-a) energy)"},
                ),
                "energy_drift": (
                    scalar, np.abs(energy - let_in - start[1]) / (start[1] or 1.0),
                    {"long_name": "|change of energy + energy_flux| over the initial energy"},
                ),
                "min_w": (scalar, node_w.min(axis=1), {"long_name": "least w = sigma^2/2 at a node"}),
                "max_w": (scalar, node_w.max(axis=1), {"long_name": "largest w at a node"}),
            },
            coords=dataset.coords,
            attrs={
                **dataset.attrs, "title": f"{self.study.study.name}: equations", "unknowns": "mu sigma",
                "fields": "mu sigma E", "system": self.settings.system, "boundary": self.settings.boundary,
                "lambda": model.lam,
                "grading": self.settings.grading,
                "regularisation": float(self.delta.value) * unit**2,
                "widest_cell_times_lambda": float(
                    np.diff(dataset["node_x"].to_numpy()[:: self.settings.degree]).max() * model.lam
                ),
                "initial_error_mu": self.initial_error,
            },
        )  # fmt: skip

    def _sensitivities(self, dataset: xr.Dataset, sigma: Array) -> dict[str, Any]:
        """Of mu and sigma, from those of the unknowns; central differences are exact where moments are quadratic."""
        if f"{SENSITIVITY}{FIRST}" not in dataset:
            return {}
        u, change = (
            np.stack([dataset[f"{prefix}{name}"].to_numpy() for name in (FIRST, SECOND)], axis=-1)
            for prefix in ("", SENSITIVITY)
        )
        step = SMALL / max(np.abs(change).max(), SMALL) * self.scaled.max()
        (mu, w), (mu_less, w_less) = (self.system.to_moments(u + sign * step * change) for sign in (1, -1))
        w_change = self.unit**2 * (w - w_less) / (2 * step)
        found = {
            "mu": self.unit * (mu - mu_less) / (2 * step),
            # Where w is 0, as at the paper's ends, it stays so; what is computed there is the error of E - mu^2/2.
            "sigma": np.divide(w_change, sigma, out=np.zeros_like(sigma), where=sigma > LOST * sigma.max()),
        }
        return {
            f"{SENSITIVITY}{name}": (("time", "x"), values, {"long_name": f"{name}: {SENSITIVE}"})
            for name, values in found.items()
        }

    def _initial_error(self, problem: Problem) -> float:
        """Relative L2 error of mu at time 0. Collective."""
        u, dx, comm = problem.u, problem.place.dx, problem.comm
        mu0 = to_ufl(self.model.mu0, x=problem.place.x) / self.unit
        forms = [compiled(part**2 * dx) for part in (u[0] - mu0, u[0])]
        error, norm = (float(comm.allreduce(fem.assemble_scalar(form))) for form in forms)
        return float(np.sqrt(error / norm)) if norm > 0 else 0.0


class Balances(Watch):
    """Momentum and energy of a solution, and the energy that its held ends let in."""

    names = ("momentum", "energy", "let_in", "start_0", "start_1")

    def __init__(self, equation: PinnedEquation, problem: Problem) -> None:
        """Compile the integrals. Collective."""
        self.rtol, system, u = equation.settings.rtol, equation.system, problem.u
        stored, energy = (part(u, equation.delta) for part in (system.stored, system.energy))

        def steady(chi: Any, dx: Any) -> ufl.Form:
            return system.residual(ufl.split(u), REST, ufl.split(chi), equation.scales, dx)

        rows = np.empty(0, np.int32) if problem.rows is None else problem.rows
        self.flux = EndFlux(u, rows, stored, steady, problem.quadrature)
        self.balance = Balance(u, energy, problem.place.dx)

    def begin(self) -> None:
        """Note what there is."""
        self.flux.start(0.0)
        self.balance.start = self.balance.now()

    def step(self, time: float) -> None:
        """Add what the ends have let in."""
        self.flux.after_step(time)

    def observe(self, time: float) -> Array:
        """Momentum, energy, energy let in, and both at the start."""
        now, start = self.balance.now(), self.balance.start
        if not abs(now[1] - start[1] - self.flux.total) <= IMPLAUSIBLE * start[1]:
            raise RunError(
                f"the energy at t = {time:.6g} is {now[1] / start[1]:.4g} of that at the start, and "
                f"{-self.flux.total / start[1]:.4g} of it went out through the ends: this is no solution. "
                f"pde.rtol = {self.rtol:g} is too coarse, or the mesh is"
            )
        return np.array([*now, self.flux.total, *start])

    def state(self) -> dict[str, Array]:
        """What `restore` needs."""
        return {
            "let_in": np.array([self.flux.total]),
            "flux_history": np.array(self.flux.history),
            "start": self.balance.start,
        }

    def restore(self, time: float, arrays: Mapping[str, Array]) -> None:
        """Go on."""
        history = [(float(t), float(rate)) for t, rate in arrays["flux_history"]]
        self.flux.start(time, float(arrays["let_in"][0]), history)
        self.balance.start = arrays["start"]


def settings(study: PinnedStudy, table: str) -> PinnedEquations:
    """The table [pde] or [rival] of a study that has it."""
    found: PinnedEquations | None = getattr(study, table)
    assert found is not None, table
    return found


class Equations(EquationMaker):
    """What makes pde.nc and rival.nc."""

    def __init__(self, table: str) -> None:
        """Of one of the tables [pde] and [rival]."""
        super().__init__(lambda study: PinnedEquation(study, table=table), table, f"{table}.nc")

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """Raise InputError where the mesh or the data at its nodes cannot be used, or ends are to hold a spread."""
        this = narrowed(study, PinnedStudy)
        if settings(this, self.table).boundary == "paper":
            this.model.refuse_spread_at_ends(
                f"{self.table}.boundary = 'paper' holds sigma = 0 there, so choose a sigma0 that vanishes at both, or "
                "'noflux'"
            )
        discretise(this, comm, table=self.table)
        super().check(study, comm)

    def known(self, study: Study, comm: MPI.Comm) -> Iterator[Mapping[str, Any]]:
        """See `kinlim.fem.pinned.refinement.known`."""
        from kinlim.fem.pinned.refinement import known

        this = narrowed(study, PinnedStudy)
        yield from known(this.model, settings(this, self.table), comm)

    def about(self, study: Study) -> Mapping[str, Any]:
        """See `kinlim.fem.pinned.refinement.about`."""
        from kinlim.fem.pinned.refinement import about

        this = narrowed(study, PinnedStudy)
        return about(this.model, settings(this, self.table))

    def better(self, study: Study) -> Mapping[str, Study]:
        """See `kinlim.fem.pinned.refinement.better`."""
        from kinlim.fem.pinned.refinement import better

        return better(narrowed(study, PinnedStudy), self.table)


EQUATIONS = Equations("pde")
RIVAL = Equations("rival")


def discretise(study: PinnedStudy, comm: MPI.Comm, unit: float = 1.0, table: str = "pde") -> fem.Function:
    """Build mesh and space of a study and interpolate its initial data. Collective.

    Args:
        study: the study.
        comm: the ranks that share the mesh.
        unit: of velocity, by which the data are divided.
        table: that has the settings.

    Raises:
        InputError: the mesh is unusable or too coarse for the system, or mu0 or sigma0 cannot be used at one of its
            nodes (on all ranks).
    """
    model, found = study.model, settings(study, table)
    nodes = nodes_of(Interval(*model.interval), found, comm, table)
    widest, allowed = np.diff(nodes).max(), SYSTEMS[found.system].RESOLUTION * found.degree / model.lam
    if widest > allowed:
        cells = len(nodes) - 1
        raise InputError(
            f"{table}.system = '{found.system}' with lambda = {model.lam:.6g} and degree {found.degree} needs "
            f"cells no wider than {allowed:.3g}, the widest of these {cells} is {widest:.3g}: take at least "
            f"{ceil(cells * widest / allowed)} of this kind, a higher degree, or system B'"
        )
    return Problem(lambda study: PinnedEquation(study, unit, table), study, found, comm, f"{table}_", table).u


def solve(
    study: PinnedStudy,
    comm: MPI.Comm = MPI.COMM_WORLD,
    *,
    keeper: Keeper | None = None,
    fixed_steps: int | None = None,
) -> xr.Dataset:
    """Solve the limit equations of a study; see `kinlim.fem.evolution.EquationMaker.solve`. Collective.

    Returns:
        With (time, x): mu, sigma, E at the sites; (time, node): node_mu, node_sigma, node_E at the mesh's own nodes;
        (frame, point): frame_mu, frame_sigma, for pictures; (time): momentum, energy, energy_flux, min_w.
    """
    EQUATIONS.check(study, comm)
    return EQUATIONS.solve(study, keeper or Keeper(comm), fixed_steps)


def _spread(w: Array) -> Array:
    """Give sigma = sqrt(2w), 0 where w is negative (`min_w` says by how much)."""
    return np.sqrt(2 * np.maximum(w, 0))
