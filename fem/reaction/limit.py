"""The limit equation of generation and recombination on the torus, as `kinlim.fem.evolution` wants it."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import ufl
from dolfinx import fem
from mpi4py import MPI

from kinlim.base import Study, narrowed
from kinlim.equation import SENSITIVE, SENSITIVITY, Equation, Torus, Watch
from kinlim.errors import InputError
from kinlim.fem.compiled import compiled
from kinlim.fem.conserving import ConservingStepper
from kinlim.fem.evolution import EquationMaker
from kinlim.fem.multigrid import DIAGONAL, LINEAR, multigrid
from kinlim.fem.problem import Problem
from kinlim.fem.reaction.diffusion import density_of, entropy, residual, source
from kinlim.fem.reaction.layer import corrected, lifetime
from kinlim.fem.reaction.monotone import is_monotone
from kinlim.keeper import Keeper
from kinlim.models.reaction.phase import POSITIONS
from kinlim.models.reaction.tables import KineticReaction, LimitEquation, ReactionStudy

Array = NDArray[np.float64]

ROUNDING = 1e-9
"""Range of data, over their size, that cannot be told from none."""

BEYOND = 2
"""Degree of quadrature of the entropy and of Fourier modes over that of m: their error is of higher order than m's."""

FEW = 64
"""Nodes along an axis, in space, with which the diagonal is a better preconditioner than multigrid."""

AT_ONCE = 1024
"""Nodes whose initial data are integrated over velocities at a time."""


class Measures(NamedTuple):
    """Quadrature: `flux` for what has D in it, `mass` for the time derivative."""

    flux: ufl.Measure
    mass: ufl.Measure


def measures(settings: LimitEquation) -> Measures:
    """Quadrature that keeps the order p + 1: of degree 2p - 1 on simplices, Gauss with p + 1 points an axis on boxes.

    The mass is exact, or lumped by the vertex rule.
    """
    p = settings.degree
    flux = ufl.dx(metadata={"quadrature_degree": 2 * p - 1 if settings.shape == "simplex" else 2 * p})
    vertices = {"quadrature_rule": "vertex", "quadrature_degree": 1}
    return Measures(flux, ufl.dx(metadata=vertices if settings.lumped else {"quadrature_degree": 2 * p}))


def iterative(dimension: int, settings: LimitEquation) -> dict[str, Any]:
    """PETSc options for the linear systems: none in dimension 1, where they are direct."""
    if dimension == 3 and settings.all_cells * settings.degree <= FEW:
        return DIAGONAL | {"ksp_rtol": LINEAR * settings.rtol}
    return multigrid(dimension, settings.degree, settings.rtol) if dimension > 1 else {}


class DiffusionLimit(Equation):
    """m_t = div(D(m) grad m), see `kinlim.fem.reaction.diffusion`, from m = rho_f - rho_g at time 0.

    Errors in time are relative to the range of the data, which only shrinks.
    """

    source = 'Neumann and Schmeiser, "A kinetic reaction model: decay to equilibrium and macroscopic limit"'
    unknowns = {"m": "rho_f - rho_g in the limit"}  # noqa: RUF012 - a class of a user's own is written so

    model: KineticReaction

    def __init__(self, study: Study) -> None:
        """Of a study."""
        this = narrowed(study, ReactionStudy)
        self.study, self.model, self.settings = this, this.model, this.pde
        self.domain, self.dx = Torus(this.model.dimension), measures(this.pde)
        self.options = {"ts_rtol": 0.0, **iterative(this.model.dimension, this.pde)}

    def initial(self, *x: Array) -> Array:
        """Densities' difference, shape (points,); densities and fluxes stay in `moments`, for `shifted`."""
        parts = np.array_split(np.stack(x, axis=1), max(1, -(-len(x[0]) // AT_ONCE)))
        try:
            found = [self.model.initial(part) for part in parts]
        except InputError as error:
            raise InputError(f"model.{error}") from None
        self.moments = tuple(np.concatenate(some) for some in zip(*found, strict=True))
        return np.asarray(self.moments[0] - self.moments[1], np.float64)

    def residual(self, u: Any, u_t: Any, v: Any, at: Any) -> ufl.Form:
        """See `kinlim.fem.reaction.diffusion.residual`."""
        D1, D2 = self._matrices(at)
        return residual(u, u_t, v, D1, D2, self.dx.flux, self.dx.mass)

    def strong(self, u: Any, u_t: Any, at: Any) -> Any:
        """See `kinlim.fem.reaction.diffusion.source`."""
        return source(u, u_t, *self._matrices(at))

    def watch(self, problem: Problem) -> "Numbers":
        """Mass, entropy and first Fourier modes."""
        return Numbers(problem, self.dx.mass, self.model.rho_inf)

    def finish(self, dataset: xr.Dataset) -> xr.Dataset:
        """Add the density, and name things after the paper."""
        model, settings, axes = self.model, self.settings, POSITIONS[: self.model.dimension]
        modes = [[dataset[f"mode_{axis}_{part}"].to_numpy() for part in PARTS] for axis in axes]
        about = "2 integral of m cos(2 pi x_axis), 2 integral of m sin(2 pi x_axis)"
        m = dataset["m"].to_numpy()
        rho = density_of(m)
        if f"{SENSITIVITY}m" in dataset:
            change = dataset[f"{SENSITIVITY}m"] * rho / np.sqrt(m**2 + 4)
            dataset = dataset.assign({f"{SENSITIVITY}rho": change.assign_attrs(long_name=f"rho: {SENSITIVE}")})
        maximum_principle = settings.lumped and all(
            is_monotone(settings.shape, D, self.dx.flux.metadata()["quadrature_degree"]) for D in model.diffusion
        )
        return (
            dataset.drop_vars([name for name in dataset.data_vars if str(name).startswith("mode_")])
            .rename(m_lowest="lowest", m_highest="highest")
            .assign(
                rho=(dataset["m"].dims, rho, {"long_name": "rho_f = 1/rho_g"}),
                mode=(("time", "axis", "part"), np.moveaxis(np.array(modes), 2, 0), {"long_name": about}),
            )
            .assign_coords(axis=("axis", list(axes)), part=("part", list(PARTS)))
            .assign_attrs(
                dimension=model.dimension, cells=settings.all_cells, shape=settings.shape, rho_inf=model.rho_inf,
                lumped=int(settings.lumped), maximum_principle=int(maximum_principle),
            )
        )  # fmt: skip

    def _matrices(self, at: Any) -> tuple[fem.Constant, ...]:
        return tuple(fem.Constant(at.mesh, D) for D in self.model.diffusion)


PARTS = ("cos", "sin")


class Numbers(Watch):
    """Integrals of m: its mass as the equation conserves it, entropy, and Fourier modes along each axis."""

    def __init__(self, problem: Problem, mass: ufl.Measure, rho_inf: float) -> None:
        """Compile them. Collective."""
        u, mesh = problem.u, problem.built.mesh
        self.comm, self.dimension = mesh.comm, mesh.topology.dim
        dx = ufl.dx(metadata={"quadrature_degree": problem.settings.degree + BEYOND})
        self.wave, self.phase = fem.Constant(mesh, np.zeros(self.dimension)), fem.Constant(mesh, 0.0)
        angle = 2 * ufl.pi * ufl.inner(self.wave, ufl.SpatialCoordinate(mesh)) + self.phase
        self.mass, self.entropy = compiled(u * mass), compiled(entropy(u, fem.Constant(mesh, rho_inf)) * dx)
        self.mode = compiled(2 * u * ufl.cos(angle) * dx)
        axes = POSITIONS[: self.dimension]
        self.names = ("mass", "entropy", *(f"mode_{axis}_{part}" for axis in axes for part in PARTS))

    def observe(self, time: float) -> Array:
        """The integrals."""
        found = [self._sum(self.mass), self._sum(self.entropy)]
        for wave in np.eye(self.dimension):
            for phase in (0.0, -np.pi / 2):  # cos(angle - pi/2) = sin(angle)
                self.wave.value[:], self.phase.value = wave, phase
                found.append(self._sum(self.mode))
        return np.array(found)

    def _sum(self, form: fem.Form) -> float:
        return float(self.comm.allreduce(fem.assemble_scalar(form)))


class LimitMaker(EquationMaker):
    """What makes pde.nc."""

    stepper = ConservingStepper

    start = 0
    """Which data it starts from: 0 for those of the study, -1 for the shifted ones where there are any."""

    def __init__(self, file: str = "pde.nc") -> None:
        """Of the table [pde]."""
        super().__init__(DiffusionLimit, "pde", file)

    def problem(self, study: Study, comm: MPI.Comm) -> Problem:
        """The equation on its mesh, errors in time relative to the range of the data, shifted ones included.

        Collective. (Steps that had to resolve what is constant but for a shift would follow rounding errors.)

        Raises:
            RunError: the correction could not be computed.
        """
        problem = super().problem(study, comm)
        starts = [problem.u.x.array.copy()]
        if narrowed(study, ReactionStudy).model.has_flux:
            starts.append(shifted(problem))
        spans = []
        for start in starts:
            problem.u.x.array[:] = start
            lowest, highest = problem.extremes()
            spans.append(highest - lowest)
        problem.sizes = np.maximum(np.max(spans, axis=0), ROUNDING * np.maximum(1.0, problem.sizes))
        problem.u.x.array[:] = starts[self.start]
        return problem


def shifted(problem: Problem) -> Array:
    """Data that the initial layer has shifted, at the nodes: see `kinlim.fem.reaction.layer`. Collective.

    Raises:
        RunError: the correction could not be computed.
    """
    equation = problem.equation
    assert isinstance(equation, DiffusionLimit)
    rho_f, rho_g, flux_f, flux_g = equation.moments
    shift = lifetime(rho_f, rho_g)[:, None] * flux_f - lifetime(rho_g, rho_f)[:, None] * flux_g
    found = corrected(problem.u, equation.model.epsilon * shift, equation.dx.mass)
    return np.asarray(found.x.array, np.float64).copy()


class CorrectedMaker(LimitMaker):
    """What makes corrected.nc: the same from data that the initial layer has shifted.

    See `kinlim.fem.reaction.layer`.
    """

    start = -1

    def __init__(self) -> None:
        """Of the table [pde], and with its PETSc options."""
        super().__init__("corrected.nc")
        self.prefix = "pde_"


LIMIT, CORRECTED = LimitMaker(), CorrectedMaker()


def solve(
    study: ReactionStudy,
    comm: MPI.Comm = MPI.COMM_WORLD,
    *,
    keeper: Keeper | None = None,
    fixed_steps: int | None = None,
) -> xr.Dataset:
    """Solve the limit equation of a study; see `kinlim.fem.evolution.EquationMaker.solve`. Collective.

    Returns:
        With (time, x[, y[, z]]): m and rho at points i/n; (time): mass, lowest, highest, entropy; (time, axis, part):
        mode.
    """
    return LIMIT.solve(study, keeper or Keeper(comm), fixed_steps)
