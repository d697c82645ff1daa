"""Kinetic generation and recombination as data: what particles, kinetic system and limit equation share.

Source: Neumann and Schmeiser, "A kinetic reaction model: decay to equilibrium and macroscopic limit".
"""

import re
from collections.abc import Mapping
from functools import cached_property
from math import ceil, sqrt
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from kinlim.base import Ensemble, Physics, Study
from kinlim.equation import EvolutionSettings
from kinlim.errors import InputError
from kinlim.formula import Formula
from kinlim.grid import uniform
from kinlim.models.reaction import phase
from kinlim.models.reaction.phase import GRID, POSITIONS, VELOCITIES, FormulaOfPhase, moves
from kinlim.models.reaction.profile import ProfileTable
from kinlim.table import Positive, Table

Array = NDArray[np.float64]

NODES = (32, 16, 8)
"""Velocities per axis, in dimension 1, 2, 3, at which initial data are looked at and, twice as many, integrated."""

MASSES = 1e-6
"""Relative difference of masses that passes for rounding of what the user wrote."""

MOST_STEPS, MOST_PARTICLES, MOST_CELLS, MOST_BINS = 10**9, 10**9, 10**8, 2 * 10**6
"""Of one replica; bins of all observations."""

MOST_NODES = 1500
"""Of the kinetic system, along each axis: cells times degree."""

PLANE = {"modes": 8, "cells": 8, "degree": 4}
"""Defaults of the kinetic system in dimension 2: 64 velocities, 32 nodes along each axis."""

SHARE, NUMBER_SHARE = 0.4, 0.2
"""Of the bias allowed, that recommended time steps and cells make each, and that the number of particles may make."""

Bound = Annotated[float, Field(ge=1e-6, le=1e6)]
"""Of f/chi1 and chi2/g."""


class KineticReaction(Physics):
    """The rescaled system (9) for particles A and B on the torus T^d = [0, 1)^d.

        epsilon^2 f_t + epsilon v.grad f = chi1 - rho_g f,   epsilon^2 g_t + epsilon v.grad g = chi2 - rho_f g

    with rho_h = int h dv. As epsilon -> 0, rho_f - rho_g -> m with m_t = div(D(m) grad m).

    Attributes:
        dimension: d.
        chi1: velocities with which A are made.
        chi2: velocities with which B are made.
        f0: f/chi1 at time 0, a function of x (y, z) and vx (vy, vz), periodic in space, positive and bounded.
        g0: g/chi2 at time 0.
        epsilon: mean free path.
        bounds: [lo, hi] with lo <= f/chi1 <= hi and lo <= chi2/g <= hi at time 0, and so for ever (Theorem 1.1); found
            from the data unless given.
        given_rho_inf: rho_infinity of (4), where the user states it; it must be that of the data.
        end_time: T, in the time of (9).
        observe: when all sides are recorded, as increasing fractions of T.
    """

    LIMITS: ClassVar[Mapping[str, Literal["up", "down"]]] = {"epsilon": "down"}

    dimension: Annotated[int, Field(ge=1, le=3)] = 1
    chi1: ProfileTable
    chi2: ProfileTable
    f0: FormulaOfPhase
    g0: FormulaOfPhase
    epsilon: Annotated[float, Field(gt=0, le=100)]
    bounds: Annotated[tuple[Bound, Bound] | None, Field(strict=False)] = None
    given_rho_inf: Annotated[float | None, Field(alias="rho_inf", gt=0)] = None

    @field_validator("epsilon")
    @classmethod
    def _epsilon_is_resolved(cls, epsilon: float) -> float:
        if epsilon < 1e-8:
            raise ValueError("must be at least 1e-8: below, epsilon^2 is lost in rounding; the limit is [pde]'s")
        return epsilon

    @field_validator("end_time")
    @classmethod
    def _end_time_is_moderate(cls, end_time: float) -> float:
        if not 1e-16 <= end_time <= 1e6:
            raise ValueError(
                "must be between 1e-16 and 1e6; the slowest wave of the limit decays at a rate of 4 pi^2 D"
            )
        return end_time

    @model_validator(mode="after")
    def _profiles_are_usable(self) -> Self:
        for key in ("chi1", "chi2"):
            try:
                getattr(self, key).check(self.dimension)
            except ValueError as error:
                raise ValueError(f"{key}.{error}") from None
        return self

    @model_validator(mode="after")
    def _data_are_usable(self) -> Self:
        names = POSITIONS[: self.dimension] + VELOCITIES[: self.dimension]
        for key in ("f0", "g0"):
            if beyond := sorted(getattr(self, key).used - set(names)):
                raise ValueError(
                    f"{key} = '{getattr(self, key)}': {beyond[0]} has no meaning in dimension {self.dimension}; the "
                    f"names are {', '.join(names)}"
                )
        lo, hi = self.data_bounds
        if self.bounds is not None:
            low, high = self.bounds
            if not low < high:
                raise ValueError(f"bounds = {list(self.bounds)} must be [lo, hi] with lo < hi")
            if lo < low * (1 - MASSES) or hi > high * (1 + MASSES):
                raise ValueError(
                    f"bounds = {list(self.bounds)}: the data are outside the invariant region of Theorem 1.1: f0 and "
                    f"1/g0 reach from {lo:.6g} to {hi:.6g}"
                )
        if self.given_rho_inf is not None and abs(self.rho_inf / self.given_rho_inf - 1) > MASSES:
            wanted = self.given_rho_inf - 1 / self.given_rho_inf
            raise ValueError(
                f"rho_inf = {self.given_rho_inf:g} needs the masses of f0 and g0 to differ by {wanted:.9g}, (4); they "
                f"differ by {self.mass_difference:.9g}, which makes rho_inf = {self.rho_inf:.9g}"
            )
        return self

    @cached_property
    def data_bounds(self) -> tuple[float, float]:
        """Bounds (lo, hi) of f0 and 1/g0, as far as points tell.

        Raises:
            ValueError: one of them cannot be used; see `kinlim.models.reaction.phase.bounds`.
        """
        bounds = []
        for key, chi in (("f0", self.chi1), ("g0", self.chi2)):
            formula = getattr(self, key)
            nodes, _ = chi.quadrature(self.dimension, NODES[self.dimension - 1])
            try:
                bounds.append(phase.bounds(formula, nodes))
            except (InputError, ValueError) as error:
                raise ValueError(f"{key} = '{formula}' {error}") from None
        (f_low, f_high), (g_low, g_high) = bounds
        lo, hi = min(f_low, 1 / g_high), max(f_high, 1 / g_low)
        return (lo, hi) if lo < hi else (lo * (1 - ROUND), hi * (1 + ROUND))

    def relative(self, formula: Formula, x: Array, v: Array) -> Array:
        """Values of f0 or g0 at all pairs of positions, shape (n, d), and velocities, shape (k, d): shape (n, k).

        Raises:
            InputError: it is not finite somewhere.
        """
        return phase.values(formula, x, v)

    def initial(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """Densities rho_f, rho_g, shape (n,), and fluxes int v f dv, int v g dv, shape (n, d), at time 0."""
        found = []
        for formula, chi in ((self.f0, self.chi1), (self.g0, self.chi2)):
            if moves(formula):
                nodes, weights = chi.quadrature(self.dimension, 2 * NODES[self.dimension - 1])
                values = self.relative(formula, x, nodes)
                found.append((values @ weights, values @ (weights[:, None] * nodes)))
            else:
                values = self.relative(formula, x, np.zeros((1, self.dimension)))
                found.append((values[:, 0], np.zeros(x.shape)))
        (rho_f, flux_f), (rho_g, flux_g) = found
        return rho_f, rho_g, flux_f, flux_g

    @property
    def region(self) -> tuple[float, float]:
        """Bounds (lo, hi) of f/chi1 and chi2/g, and so of rho, for all times: Theorem 1.1."""
        return self.data_bounds if self.bounds is None else self.bounds

    @cached_property
    def mass_difference(self) -> float:
        """Int int (f - g) dv dx, which never changes: (4)."""
        rho_f, rho_g, *_ = self.initial(uniform(self.dimension, GRID[self.dimension - 1]))
        return float(rho_f.mean() - rho_g.mean())

    @cached_property
    def has_flux(self) -> bool:
        """Whether int v f dv or int v g dv is anything but 0 at time 0, as far as points tell."""
        if not (moves(self.f0) or moves(self.g0)):
            return False
        *_, flux_f, flux_g = self.initial(uniform(self.dimension, GRID[self.dimension - 1]))
        return bool(max(np.abs(flux_f).max(), np.abs(flux_g).max()) > FLUX_ROUNDING)

    @property
    def rho_inf(self) -> float:
        """rho_infinity of (4): rho_inf - 1/rho_inf is the mass difference."""
        m = self.mass_difference
        return (m + sqrt(m * m + 4)) / 2 if m >= 0 else 2 / (sqrt(m * m + 4) - m)

    @property
    def diffusion(self) -> tuple[Array, Array]:
        """D1 and D2, shape (d, d)."""
        return self.chi1.covariance_matrix(self.dimension), self.chi2.covariance_matrix(self.dimension)

    @property
    def planar(self) -> bool:
        """Whether nothing depends on anything but x and vx.

        Then f and g, integrated over the other velocities, obey (9) in dimension 1 with the marginals of chi1 and chi2.
        """
        return not (self.f0.used | self.g0.used) - {"x", "vx"}

    def time_step_bias(self, dt: float) -> float:
        """Largest relative error in D that splitting flight and reaction makes: (y/2) coth(y/2) - 1, y = rate dt.

        A particle A lives for epsilon^2/rho_g, a B for epsilon^2/rho_f, and has its velocity as long. Largest over
        local equilibria in the region and over directions: D1 rho^2 and D2/rho^2 have errors of their own. For long
        waves, epsilon |k| << 1.
        """
        rho, parts = self._parts()
        y = dt / self.epsilon**2 * np.stack([1 / rho, rho])
        error = (_excess(y)[:, :, None, None] * parts).sum(axis=0)
        whitening = np.linalg.inv(np.linalg.cholesky(parts.sum(axis=0)))
        return float(np.linalg.eigvalsh(whitening @ error @ whitening.transpose(0, 2, 1)).max())

    def cell_bias(self, width: float) -> float:
        """Largest relative error in D due to partners that may be anywhere in a cell of width h.

        h^2/(6 epsilon^2) over the smallest eigenvalue of D1 rho^2 + D2/rho^2: on a grid at random, A and B meet at a
        rate that falls with their distance like a tent of variance h^2/6 along each axis. For long waves.
        """
        _, parts = self._parts()
        return float((width**2 / (6 * self.epsilon**2 * np.linalg.eigvalsh(parts.sum(axis=0)))).max())

    def _parts(self) -> tuple[Array, Array]:
        """Densities rho over the region, shape (n,), and D1 rho^2 and D2/rho^2 there, shape (2, n, d, d)."""
        rho = np.asarray(np.geomspace(*self.region, 100), np.float64)
        d1, d2 = self.diffusion
        return rho, np.stack([d1 * rho[:, None, None] ** 2, d2 / rho[:, None, None] ** 2])

    def number_bias(self, per_unit: int, width: float) -> float:
        """Roughly the relative error in D of N particles to mass one: 0.15/(N h^d).

        What fluctuates in a cell together makes m decay faster; measured, see docs/reaction-particles.md.
        """
        return FLUCTUATIONS / (per_unit * width**self.dimension)


FLUCTUATIONS = 0.15
"""Relative error in D times particles in a cell, where densities are one."""

FLUX_ROUNDING = 1e-9
"""Flux that cannot be told from none."""

ROUND = 1e-9
"""Half the relative width of the region of data that are constant."""


def _excess(y: Array) -> Array:
    """(y/2) coth(y/2) - 1, without cancellation for small y."""
    y = np.asarray(y, np.float64)
    small = y < 0.1
    series = y**2 / 12 - y**4 / 720 + y**6 / 30240
    return np.where(small, series, (y / 2) / np.tanh(np.maximum(y, 0.1) / 2) - 1)


class ReactionParticles(Ensemble):
    """The particle side.

    Attributes:
        per_unit: N, how many particles make mass one; pairs are made at the rate N/epsilon^2 per unit volume.
        dt: between two reactions; None for one that meets `bias`.
        cells: along each axis, in which partners are found; None for as many as meet `bias`.
        bias: relative error in the diffusion that dt, cells and the number of particles together may make, by
            prediction.
        bins: along each axis, in which densities are recorded.
    """

    per_unit: Annotated[int, Field(ge=10, le=10**9)] = 10_000
    dt: Positive | None = None
    cells: Annotated[int | None, Field(ge=1, le=10**6)] = None
    bias: Annotated[float, Field(gt=0, le=1)] = 0.01
    bins: Annotated[int, Field(ge=2, le=4096)] = 16
    block: Annotated[int, Field(ge=1, le=2**20)] = 1


class KineticSettings(Table):
    """The kinetic system's side, in dimension 1 (also where nothing depends on more than x and vx) and 2.

    In dimension 2 modes, cells and degree are 8, 8 and 4 by default.

    Attributes:
        modes: velocities of a discrete-velocity scheme, which is what a closed expansion in so many polynomials is; in
            dimension 2 their number is the square of this.
        cells: of the mesh of the torus, along each axis.
        degree: of the elements: continuous ones of this degree for what is even in v, discontinuous ones for what is
            odd.
        rtol: error allowed per time step.
    """

    modes: Annotated[int, Field(ge=4, le=512, multiple_of=2)] = 32
    cells: Annotated[int, Field(ge=4, le=MOST_NODES)] = 64
    degree: Annotated[int, Field(ge=1, le=8)] = 2
    rtol: Annotated[float, Field(ge=1e-11, le=0.01)] = 1e-6

    @model_validator(mode="after")
    def _matrices_fit(self) -> Self:
        if self.cells * self.degree > MOST_NODES:
            raise ValueError(
                f"cells = {self.cells} of degree {self.degree} makes {self.cells * self.degree} nodes; the solver has "
                f"full matrices of so many rows, and at most {MOST_NODES} are allowed"
            )
        return self


class LimitEquation(EvolutionSettings):
    """The limit equation's side; errors in time are relative to the range of m at time 0.

    Attributes:
        lumped: mass lumping, with degree 1: see `kinlim.fem.reaction.limit` for where a maximum principle then holds.
    """

    cells: Annotated[int, Field(ge=3, le=10**6)] = 64
    degree: Annotated[int, Field(ge=1, le=8)] = 2
    lumped: bool = False

    @property
    def all_cells(self) -> int:
        """Cells along each axis, refinements included."""
        return self.cells * 2**self.refinements

    @model_validator(mode="after")
    def _lumping_needs_vertices(self) -> Self:
        if self.lumped and self.degree != 1:
            raise ValueError(f"lumped = true with degree = {self.degree}: a lumped mass is for degree 1")
        return self


class ReactionStudy(Study):
    """A study of kinetic generation and recombination: the tables of its file."""

    model: KineticReaction
    particles: ReactionParticles
    kinetic: KineticSettings | None = None
    pde: LimitEquation = LimitEquation()

    @model_validator(mode="before")
    @classmethod
    def _kinetic_where_possible(cls, data: Any) -> Any:
        """In dimension 1 the kinetic system is solved unless the study says otherwise; in 2 it has other defaults."""
        model = data.get("model") if isinstance(data, dict) else None
        if not isinstance(model, dict):
            return data
        dimension, kinetic = model.get("dimension", 1), data.get("kinetic")
        if dimension == 1 and "kinetic" not in data:
            return data | {"kinetic": {}}
        plane = dimension == 2 and re.search(r"\bv?y\b", f"{model.get('f0')} {model.get('g0')}")
        return data | {"kinetic": PLANE | kinetic} if plane and isinstance(kinetic, dict) else data

    @model_validator(mode="after")
    def _kinetic_is_planar_in_space(self) -> Self:
        if self.kinetic is not None and self.model.dimension == 3 and not self.model.planar:
            raise ValueError(
                "kinetic: in dimension 3 the kinetic system is solved in x and vx only, and f0 or g0 depends on more; "
                "leave the table [kinetic] out"
            )
        return self

    def simulable(self) -> None:
        """Raise InputError if the particles are too many, or their bias by prediction is larger than allowed."""
        settings, model, cells = self.particles, self.model, self.cells
        if (count := settings.per_unit * (model.region[1] + 1 / model.region[0])) > MOST_PARTICLES:
            raise InputError(
                f"particles.per_unit = {settings.per_unit} may make {count:.3g} particles; {MOST_PARTICLES:g} are "
                "possible"
            )
        if (count := float(cells) ** model.dimension) > MOST_CELLS:
            raise InputError(
                f"particles.cells = {cells} makes {count:.3g} cells; at most {MOST_CELLS:g} are possible: a larger "
                "epsilon or bias needs fewer"
            )
        if (steps := model.end_time / self.dt) > MOST_STEPS:
            raise InputError(
                f"particles.dt = {self.dt:.3g} makes {steps:.3g} steps; at most {MOST_STEPS:g} are possible"
            )
        if (bins := float(settings.bins) ** model.dimension * len(model.observe)) > MOST_BINS:
            raise InputError(
                f"particles.bins = {settings.bins} makes {bins:.3g} bins in {len(model.observe)} observations; at most "
                f"{MOST_BINS:g} are possible"
            )
        enough = ceil(FLUCTUATIONS * float(cells) ** model.dimension / (NUMBER_SHARE * settings.bias))
        biases = {
            "dt": (self.dt, model.time_step_bias(self.dt), f"{self.recommended_dt:.3g} makes {SHARE:g} of bias"),
            "cells": (
                cells, model.cell_bias(1 / cells), f"{self.recommended_cells} make at most {SHARE:g} of bias"
            ),
            "per_unit": (
                settings.per_unit, model.number_bias(settings.per_unit, 1 / cells),
                f"{enough} makes {NUMBER_SHARE:g} of bias with {cells} cells along each axis",
            ),
        }  # fmt: skip
        total = sum(bias for _, bias, _ in biases.values())
        if total > settings.bias * (1 + MASSES):
            key = max(biases, key=lambda key: biases[key][1] / (NUMBER_SHARE if key == "per_unit" else SHARE))
            value, bias, hint = biases[key]
            raise InputError(
                f"particles.bias = {settings.bias:g} cannot be met: the relative error of the particles' diffusion is "
                f"predicted to be {total:.3g}, of which {key} = {value:g} makes {bias:.3g}; {key} = {hint}"
            )

    @property
    def dt(self) -> float:
        """Time between two reactions of the particles, before it is fitted to the observations."""
        return self.recommended_dt if self.particles.dt is None else self.particles.dt

    @property
    def cells(self) -> int:
        """Cells of the particles along each axis."""
        return self.recommended_cells if self.particles.cells is None else self.particles.cells

    @cached_property
    def recommended_dt(self) -> float:
        """The longest time step that makes SHARE of the bias allowed."""
        low, high = 0.0, 100 * self.model.epsilon**2 * max(self.model.region[1], 1 / self.model.region[0])
        for _ in range(50):
            middle = (low + high) / 2
            met = self.model.time_step_bias(middle) <= SHARE * self.particles.bias
            low, high = (middle, high) if met else (low, middle)
        return float(f"{low * 0.995:.3g}")

    @cached_property
    def recommended_cells(self) -> int:
        """The fewest cells that make at most SHARE of the bias allowed."""
        return max(1, ceil(sqrt(self.model.cell_bias(1.0) / (SHARE * self.particles.bias)) * (1 - 1e-12)))
