"""The pinned billiard balls as data: what the particles and the equations share, and the settings of each side.

Source: Burdzy, Hoskins and Steinerberger, "From pinned billiard balls to partial differential equations".
"""

from math import pi, sqrt
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from kinlim.table import FormulaOfX, Positive, Table, at


class PinnedBalls(Table):
    """n balls pinned at the sites x_i = a + (b - a)(i - 1)/(n - 1), and the scales of their limit.

    Initial data are modulated white noise (2.5): v_i = mu0(x_i) + sigma0(x_i) N(0, 1), independent.

    Attributes:
        balls: n.
        mu0: mean velocity at time 0, a function of x.
        sigma0: standard deviation of the velocity at time 0, a function of x, nowhere negative.
        end_time: T in the time of the equations (2.9)-(2.10).
        observe: when both sides are recorded, as increasing fractions of T.
        interval: [a, b].
        given_lambda: lambda in the equations, where the user sets it; None for the particles' own (2.8).
    """

    balls: Annotated[int, Field(ge=5)]
    mu0: FormulaOfX
    sigma0: FormulaOfX
    end_time: Positive
    observe: Annotated[tuple[float, ...], Field(min_length=1, strict=False)]
    interval: Annotated[tuple[float, float], Field(strict=False)] = (0.0, 1.0)
    given_lambda: Annotated[Positive | None, Field(alias="lambda")] = None

    @field_validator("observe")
    @classmethod
    def _observe_increases(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 <= f <= 1 for f in fractions):
            raise ValueError("must be fractions of end_time, each in [0, 1]")
        if list(fractions) != sorted(set(fractions)):
            raise ValueError("must increase")
        return fractions

    @field_validator("interval")
    @classmethod
    def _interval_has_length(cls, interval: tuple[float, float]) -> tuple[float, float]:
        if not interval[0] < interval[1]:
            raise ValueError("must be [a, b] with a < b")
        return interval

    @field_validator("balls", mode="after")
    @classmethod
    def _balls_fit_the_kernel(cls, balls: int) -> int:
        if balls > 2**31:
            raise ValueError(f"must be at most {2**31}: a centre is drawn from 32 bits")
        return balls

    @model_validator(mode="after")
    def _data_are_usable(self) -> Self:
        for key, formula in (("mu0", self.mu0), ("sigma0", self.sigma0)):
            try:
                values = at(formula, self.sites)
            except ValueError as error:
                raise ValueError(f"{key} = '{formula}' {error}") from None
            if key == "sigma0" and (i := int(values.argmin())) >= 0 and values[i] < 0:
                raise ValueError(
                    f"sigma0 = '{formula}' is {values[i]:.6g} at x = {self.sites[i]:.6g}, site {i + 1} of "
                    f"{self.balls}; a standard deviation cannot be negative"
                )
        if self.collisions[-1] < 1:
            raise ValueError(
                f"end_time = {self.end_time:g} is shorter than one collision; one takes {self.collision_time:.3g}"
            )
        if len(set(self.collisions)) < len(self.collisions):
            raise ValueError(
                f"observe = {list(self.observe)} names one collision twice; one takes {self.collision_time:.3g}"
            )
        return self

    @property
    def length(self) -> float:
        """B - a."""
        return self.interval[1] - self.interval[0]

    @property
    def particle_lambda(self) -> float:
        """(n - 1)/(2 sqrt(pi) (b - a)): (2.8), for an interval of length b - a."""
        return (self.balls - 1) / (2 * sqrt(pi) * self.length)

    @property
    def lam(self) -> float:
        """Lambda in the equations."""
        return self.particle_lambda if self.given_lambda is None else self.given_lambda

    @property
    def collision_time(self) -> float:
        """PDE time of one collision, 2 (b - a)^2/((n - 1)^2 (n - 2)), from the rescaling below (2.7)."""
        return 2 * self.length**2 / ((self.balls - 1) ** 2 * (self.balls - 2))

    @property
    def sites(self) -> NDArray[np.float64]:
        """x_i, shape (n,)."""
        return np.linspace(*self.interval, self.balls, dtype=np.float64)

    @property
    def collisions(self) -> tuple[int, ...]:
        """Number of collisions at each observation: the whole number nearest to observe * end_time."""
        return tuple(round(f * self.end_time / self.collision_time) for f in self.observe)

    @property
    def times(self) -> NDArray[np.float64]:
        """PDE times of the observations: exactly those of the collisions, so that both sides share them."""
        return np.asarray(self.collisions) * self.collision_time


class PinnedParticles(Table):
    """The particle side: which kernel, how many independent replicas, which random streams.

    Attributes:
        kernel: "redistribute", Steps 2.1 and 2.2 of the paper.
        replicas: independent runs.
        seed: picks the random streams, one to a replica.
        lags: correlations of W_i and W_(i+k) are recorded for k = 1..lags.
    """

    kernel: Literal["redistribute"] = "redistribute"
    replicas: Annotated[int, Field(ge=2, le=2**40)]
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 1
    lags: Annotated[int, Field(ge=1)] = 10


class PinnedEquations(Table):
    """The PDE side: which form of the system, which boundary conditions, and the discretisation.

    Attributes:
        system: "B'", in (mu, w = sigma^2/2) with sqrt|w|: (4.5).
        boundary: "noflux", no momentum and no energy leaves through the ends.
        cells: of the interval mesh.
        grading: cells near the ends shrink like s^grading; 1 is uniform.
        degree: of the Lagrange elements.
        rtol: error allowed per time step, relative to the size of mu and of w.
    """

    system: Literal["B'"] = "B'"
    boundary: Literal["noflux"] = "noflux"
    cells: Annotated[int, Field(ge=4, le=10**7)] = 400
    grading: Annotated[float, Field(ge=1, le=4)] = 1.0
    degree: Annotated[int, Field(ge=1, le=4)] = 2
    rtol: Annotated[float, Field(ge=1e-12, le=0.1)] = 1e-6


class Heading(Table):
    """What is studied, and under which name."""

    model: Literal["pinned"]
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")]


class PinnedStudy(Table):
    """A study of the pinned balls: the tables of its file."""

    study: Heading
    model: PinnedBalls
    particles: PinnedParticles
    pde: PinnedEquations = PinnedEquations()

    @model_validator(mode="after")
    def _lags_fit(self) -> Self:
        if self.particles.lags > self.model.balls - 1:
            raise ValueError(f"particles.lags = {self.particles.lags} must be below model.balls = {self.model.balls}")
        return self
