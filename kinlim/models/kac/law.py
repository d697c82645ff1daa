"""Laws of one particle's velocity at time 0: a Gaussian, or a polynomial times equilibrium.

Equilibrium is Gamma(x) = exp(-pi |x|^2): components are independent N(0, 1/(2 pi)). Moments are of the scaled velocity
sqrt(2 pi) v, so that they are 0 in equilibrium but for the first.
"""

from functools import cache
from itertools import product
from math import comb, exp, expm1, factorial, fsum, inf, log, log1p, pi, prod, sqrt
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from kinlim.errors import InputError
from kinlim.formula import Formula
from kinlim.models.kac.polynomial import Index, Polynomial
from kinlim.table import FormulaOfXYZ, Table

SCALE = 1 / sqrt(2 * pi)
"""Standard deviation of a component in equilibrium."""

HIGHEST = 12
"""Degree of a density; beyond, its values on the points that matter are dominated by rounding."""

ROUNDING = 1e-9
"""Of the sum of the sizes of all terms: what cannot be told from 0."""

FormulaOfV = FormulaOfXYZ
"""A function of the velocity v = (x, y, z)."""


class GaussianLaw(Table):
    """N(drift, temperature/(2 pi)) for every component.

    Attributes:
        temperature: 1 is equilibrium. Below 2, or the density relative to Gamma is not square integrable.
        drift: mean velocity.
        particles: how many of the system, chosen at random, have this law, while the others are in equilibrium; None
            for all of them.
    """

    family: Literal["gaussian"]
    temperature: Annotated[float, Field(gt=0)] = 1.0
    drift: Annotated[tuple[float, float, float], Field(strict=False)] = (0.0, 0.0, 0.0)
    particles: Annotated[int | None, Field(ge=1)] = None

    @field_validator("temperature")
    @classmethod
    def _square_integrable(cls, temperature: float) -> float:
        if temperature >= 2:
            raise ValueError(
                "must be below 2: from there on the density relative to equilibrium is not square integrable, so that "
                "the distance has no meaning"
            )
        return temperature

    @field_validator("drift")
    @classmethod
    def _drift_is_moderate(cls, drift: tuple[float, float, float]) -> tuple[float, float, float]:
        if max(map(abs, drift)) > 100:
            raise ValueError("must be at most 100 in size; components in equilibrium have standard deviation 0.4")
        return drift

    def chosen(self, system: int) -> int:
        """How many particles of a system of so many have this law."""
        return system if self.particles is None else self.particles

    def moment(self, alpha: Index) -> float:
        """E[He_alpha] of the scaled velocity m + sqrt(T) z.

        In each component sum_k a!/(k! (a - 2k)!) ((T - 1)/2)^k m^(a - 2k).
        """
        t = self.temperature - 1
        return prod(
            sum(
                comb(a, 2 * k) * prod(range(1, 2 * k, 2)) * t**k * (d / SCALE) ** (a - 2 * k) for k in range(a // 2 + 1)
            )
            for a, d in zip(alpha, self.drift, strict=True)
        )

    @property
    def excess(self) -> float:
        """||g||^2 - 1 of the density g relative to equilibrium; infinity beyond what a number can hold.

        ||g||^2 has a factor 1/sqrt(T (2 - T)) exp(m^2/(2 - T)) for each component.
        """
        t, m2 = self.temperature, sum(d * d for d in self.drift) / SCALE**2
        log_square = m2 / (2 - t) - 1.5 * log1p(-((t - 1) ** 2))
        return expm1(log_square) if log_square < 700 else inf


class PolynomialLaw(Table):
    """g(v) Gamma(v), g a polynomial, nowhere negative and normalised.

    Attributes:
        density: g, a formula in x, y, z, such as ``2*pi*x**2``.
        particles: how many of the system, chosen at random, have this law, while the others are in equilibrium; 1
            unless given, so that h0 = (1/M) sum_i g(v_i).
    """

    family: Literal["polynomial"]
    density: FormulaOfV
    particles: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _is_a_density(self) -> Self:
        try:
            g = self.polynomial
        except InputError as error:
            raise ValueError(f"density = '{self.density}' {error}") from None
        if g.degree > HIGHEST:
            raise ValueError(f"density = '{self.density}' has degree {g.degree}; at most {HIGHEST} is possible")
        total = g.hermite((0, 0, 0))
        if abs(total - 1) > ROUNDING:
            hint = f"; divide it by {total:.12g}" if total > 0 else ""
            raise ValueError(
                f"density = '{self.density}' is not normalised: its mean over equilibrium is {total:.9g}, not 1{hint}"
            )
        value, v = _lowest_of(self.density)
        if value < 0:
            raise ValueError(
                f"density = '{self.density}' is negative: {float(g(v)):.6g} at (x, y, z) = "
                f"({', '.join(f'{c * SCALE:.6g}' for c in v)})"
            )
        return self

    @property
    def polynomial(self) -> Polynomial:
        """G as a polynomial of the scaled velocity."""
        return _expanded(self.density)

    def chosen(self, system: int) -> int:
        """How many particles have this law."""
        return self.particles

    def moment(self, alpha: Index) -> float:
        """E[He_alpha] of the scaled velocity."""
        return self.polynomial.hermite(alpha)

    @property
    def excess(self) -> float:
        """||g||^2 - 1: the sum of squared Hermite coefficients but the first, which is 1."""
        g, highest = self.polynomial, self.polynomial.degree
        powers = (alpha for alpha in product(range(highest + 1), repeat=3) if 0 < sum(alpha) <= highest)
        return sum(g.hermite(alpha) ** 2 / prod(map(factorial, alpha)) for alpha in powers)


@cache
def _expanded(density: Formula) -> Polynomial:
    """The density as a polynomial of the scaled velocity; kept, since a study is read several times in a run."""
    return Polynomial.of(density).scaled(SCALE)


@cache
def _lowest_of(density: Formula) -> tuple[float, NDArray[np.float64]]:
    return lowest(_expanded(density))


Law = Annotated[GaussianLaw | PolynomialLaw, Field(discriminator="family")]


def lowest(g: Polynomial) -> tuple[float, NDArray[np.float64]]:
    """The lowest value of a polynomial in three variables that a search finds, and where; 0 if it is only rounding.

    Values on 13 x 13 x 13 directions at 40 radii from 0.01 to 10,000, then BFGS from the 30 lowest, relative to the sum
    of the sizes of all terms there. A search is no proof; the sampler checks every point that it draws as well.
    """
    size = Polynomial({alpha: abs(c) for alpha, c in g.terms.items()})

    def relative(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return g(x) / (1e-300 + size(np.abs(x)))

    axis = np.linspace(-1, 1, 13)
    directions = np.array([d for d in product(axis, axis, axis) if any(d)])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = np.concatenate([np.zeros((1, 3)), *(r * directions for r in np.geomspace(0.01, 1e4, 40))])
    best = points[np.argsort(relative(points))[:30]]
    from scipy.optimize import minimize

    found = [minimize(lambda x: float(relative(x)), x, method="BFGS", options={"maxiter": 100}).x for x in best]
    candidates = np.concatenate([best, [x for x in found if np.isfinite(x).all()]])
    values = relative(candidates)
    where = int(np.nanargmin(values))
    value = float(values[where])
    return (value if value < -ROUNDING else 0.0), candidates[where]


def squared_distance(law: GaussianLaw | PolynomialLaw, system: int) -> float:
    """||h0 - 1||^2 for h0 the mean over all choices of r particles of the product of their densities.

    Sum over s = 1 .. r of C(M, s) ((r)_s/(M)_s)^2 q^s, q = ||g||^2 - 1: the parts of h0 in which s particles take part
    are orthogonal (Hoeffding). Infinity beyond what a number can hold.
    """
    chosen, q = law.chosen(system), law.excess
    if q == 0:
        return 0.0
    if chosen == system:
        log_square = system * log1p(q)  # (1 + q)^M
        return expm1(log_square) if log_square < 700 else inf
    logs, term = [], 0.0
    for s in range(1, chosen + 1):
        # C(M, s) ((r)_s/(M)_s)^2 q^s over the same for s - 1
        term += log((system - s + 1) / s) + 2 * log((chosen - s + 1) / (system - s + 1)) + log(q)
        logs.append(term)
    return fsum(map(exp, logs)) if max(logs) < 700 else inf
