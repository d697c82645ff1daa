"""The pinned billiard balls as data: what the particles and the equations share, and the settings of each side.

Source: Burdzy, Hoskins and Steinerberger, "From pinned billiard balls to partial differential equations".
"""

from collections.abc import Mapping
from math import pi, sqrt
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from kinlim.base import Ensemble, Physics, Study
from kinlim.equation import MeshSettings
from kinlim.errors import InputError
from kinlim.table import FormulaOfX, Table

LARGEST, SMALLEST = 1e30, 1e-30
"""Sizes of velocities between which eighth powers neither overflow nor vanish."""

NO_SPREAD = 1e-9
"""Spread that cannot be told from none, over the size of the velocities."""

MOST_COLLISIONS = 2.0**53
"""Of one replica: more than a year of one core."""

MOST_MEMORY = 16 * 2**30
"""Bytes."""

SMALL_PILOT, SMALL_BLOCK = 256, 512
"""Replicas of a pilot, and of a block up to 1000 balls."""


class PinnedBalls(Physics):
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

    LIMITS: ClassVar[Mapping[str, Literal["up", "down"]]] = {"balls": "up"}

    balls: Annotated[int, Field(ge=5, le=10**7)]
    mu0: FormulaOfX
    sigma0: FormulaOfX
    interval: Annotated[tuple[float, float], Field(strict=False)] = (0.0, 1.0)
    given_lambda: Annotated[float | None, Field(alias="lambda", gt=0, le=1e9)] = None

    @field_validator("interval")
    @classmethod
    def _interval_has_length(cls, interval: tuple[float, float]) -> tuple[float, float]:
        a, b = interval
        if not a < b:
            raise ValueError("must be [a, b] with a < b")
        if not 1e-6 * max(abs(a), abs(b), 1e-3) <= b - a <= 1e9:
            raise ValueError("must have a length of at least 1e-9 and a millionth of its ends, and at most 1e9")
        return interval

    @model_validator(mode="after")
    def _data_are_usable(self) -> Self:
        try:
            mu, sigma = self.initial(self.sites, "site")
        except InputError as error:
            raise ValueError(str(error)) from None
        if 0 < (size := max(np.abs(mu).max(), sigma.max())) < SMALLEST:
            raise ValueError(
                f"mu0 = '{self.mu0}' and sigma0 = '{self.sigma0}' are at most {size:.3g} in size; below {SMALLEST:g} "
                "eighth powers vanish, so choose other units"
            )
        return self

    @model_validator(mode="after")
    def _times_are_collisions(self) -> Self:
        one = f"one collision takes {self.collision_time:.3g}"
        if (collisions := self.end_time / self.collision_time) > MOST_COLLISIONS:
            raise ValueError(
                f"end_time = {self.end_time:g} is {collisions:.3g} collisions; {MOST_COLLISIONS:.3g} are possible"
            )
        if collisions < 1:
            raise ValueError(f"end_time = {self.end_time:g} is shorter than one collision; {one}")
        if self.collisions[-1] < 1:
            raise ValueError(
                f"observe = {list(self.observe)[:5]} of end_time = {self.end_time:g} ends before the first collision; "
                f"{one}"
            )
        for k in range(1, len(self.observe)):
            if self.collisions[k] == self.collisions[k - 1]:
                raise ValueError(
                    f"observe = [..., {self.observe[k - 1]}, {self.observe[k]}, ...] names one collision twice; {one}"
                )
        return self

    def initial(self, x: NDArray[np.float64], point: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean mu0 and spread sigma0 at the points x.

        Raises:
            InputError: one of them is not finite or too large, or the spread is negative; the text begins "key = value"
                and names the place, calling it a `point` ("site", "node").
        """
        values = []
        for key, formula in (("mu0", self.mu0), ("sigma0", self.sigma0)):
            try:
                value = formula(x=x)
            except InputError as error:
                raise InputError(f"{key} = '{formula}' {error}") from None
            low, high = int(value.argmin()), int(np.abs(value).argmax())
            if key == "sigma0" and value[low] < 0:
                raise InputError(
                    f"sigma0 = '{formula}' is {value[low]:.6g} at x = {x[low]:.6g}, {point} {low + 1} of {len(x)}; "
                    "a standard deviation cannot be negative"
                )
            if abs(value[high]) > LARGEST:
                raise InputError(
                    f"{key} = '{formula}' is {value[high]:.3g} at x = {x[high]:.6g}; beyond {LARGEST:g} eighth powers "
                    "overflow, so choose other units"
                )
            values.append(value)
        return values[0], values[1]

    def refuse_spread_at_ends(self, why: str) -> None:
        """Raise InputError if sigma0 does not vanish at both ends, but for rounding; `why` it should ends the text."""
        mu, sigma = self.initial(self.sites, "site")
        size = max(np.abs(mu).max(), sigma.max())
        for end, value in ((0, sigma[0]), (-1, sigma[-1])):
            if value > NO_SPREAD * size:
                raise InputError(
                    f"model.sigma0 = '{self.sigma0}' is {value:.6g} at the end x = {self.sites[end]:.6g}; {why}"
                )

    @property
    def length(self) -> float:
        """Length b - a of the interval."""
        return self.interval[1] - self.interval[0]

    @property
    def spacing(self) -> float:
        """Distance (b - a)/(n - 1) of two balls."""
        return self.length / (self.balls - 1)

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


Numbers = Annotated[tuple[int, ...], Field(max_length=1000, strict=False)]


class PinnedParticles(Ensemble):
    """The particle side: which kernel, how many independent replicas, which random streams, and what is recorded.

    Attributes:
        kernel: "redistribute", Steps 2.1 and 2.2 of the paper; "sorting", the simplified model (2.1)-(2.2), which is
            not the one whose limit the equations are.
        replicas: independent runs.
        seed: picks the random streams, one to a replica.
        block: replicas that are handed out and kept together: what a thread does at a time, and what is lost at most
            when it is killed. By default 512 up to 1000 balls and fewer beyond.
        pilot: replicas run beforehand for the mean and spread that W = (v - mu)/sigma needs
            (`stochastic.pinned.white_noise`); 0 to record nothing of W. By default 256 for 1024 replicas or more.
        lags: correlations of sites i and i + k, over the ensemble and within runs, are recorded for k = 1..lags.
        pairs: balls i for which (W_i, W_(i+1)) gets a histogram of its own.
        snapshots: replicas, from 0, of which all velocities are recorded.
        follow: balls, with "sorting", whose first velocities are followed.
    """

    kernel: Literal["redistribute", "sorting"] = "redistribute"
    block: Annotated[int, Field(ge=1, le=2**20)] = SMALL_BLOCK
    pilot: Annotated[int, Field(ge=0, le=2**20)] = 0
    lags: Annotated[int, Field(ge=2, le=1000)] = 10
    pairs: Numbers = ()
    snapshots: Numbers = ()
    follow: Numbers = ()

    @model_validator(mode="before")
    @classmethod
    def _pilot_is_small(cls, data: Any) -> Any:
        """W is recorded where its pilot costs less than a quarter."""
        if isinstance(data, dict) and isinstance(replicas := data.get("replicas"), int):
            return {"pilot": SMALL_PILOT if replicas >= 4 * SMALL_PILOT else 0} | data
        return data

    @field_validator("pilot")
    @classmethod
    def _pilot_has_a_spread(cls, pilot: int) -> int:
        if 0 < pilot < 16:
            raise ValueError("must be 0, for nothing of W, or at least 16, for a mean and a spread")
        return pilot

    @field_validator("pairs", "snapshots", "follow")
    @classmethod
    def _numbers_increase(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if list(numbers) != sorted(set(numbers)):
            raise ValueError("must increase, each number once")
        return numbers

    @model_validator(mode="after")
    def _what_is_recorded_exists(self) -> Self:
        if self.snapshots and not 0 <= self.snapshots[0] <= self.snapshots[-1] < self.replicas:
            raise ValueError(
                f"snapshots = {list(self.snapshots)[:5]} must be numbers of replicas, 0 to {self.replicas - 1}"
            )
        if self.follow and self.kernel != "sorting":
            raise ValueError(
                f"follow = {list(self.follow)[:5]} needs kernel = 'sorting': with '{self.kernel}' a collision gives "
                "three new velocities, and none of them is the old one of a ball"
            )
        if self.pairs and not self.pilot:
            raise ValueError(f"pairs = {list(self.pairs)[:5]} needs a pilot, such as pilot = {SMALL_PILOT}, for W")
        return self


class PinnedEquations(MeshSettings):
    """The PDE side: which form of the system, which boundary conditions, and the discretisation.

    Attributes:
        system: "A", in (mu, sigma): Section 4.1; "B'", in (mu, w = sigma^2/2) with sqrt|w|: (4.5); "C", in
            (mu, E = (mu^2 + sigma^2)/2): Section 4.3; "B_n", which is (B') without the assumption that the mean changes
            little from ball to ball (`kinlim.fem.pinned.b_n`). All with the one lambda of `PinnedBalls`.
        boundary: "noflux", no momentum and no energy leaves through the ends; "paper", mu_x = 0 and sigma = 0 there.
        regularisation: delta in sigma = sqrt(2) w/(w^2 + delta^2)^(1/4), as a fraction of the size of w.
    """

    system: Literal["A", "B'", "B_n", "C"] = "B'"
    boundary: Literal["noflux", "paper"] = "noflux"
    cells: Annotated[int, Field(ge=4, le=10**7)] = 400
    degree: Annotated[int, Field(ge=1, le=4)] = 2
    regularisation: Annotated[float, Field(ge=1e-14, le=1e-2)] = 1e-9

    @model_validator(mode="after")
    def _one_mesh(self) -> Self:
        given = [key for key in ("cells", "grading") if getattr(self, key) != type(self).model_fields[key].default]
        if self.mesh is not None and given:
            raise ValueError(
                f"mesh = '{self.mesh}' and {given[0]} = {getattr(self, given[0])} are both given; a mesh from a file "
                "has its own cells, and refinements halves them"
            )
        return self


class PinnedRival(PinnedEquations):
    """A second solution that the same particles are held against: another system, other ends, another mesh."""

    system: Literal["A", "B'", "B_n", "C"] = "B_n"


class PinnedIteration(Table):
    """The iteration of the well-posedness proof, on [0, end_time]; its mesh and degree are those of the equations.

    Attributes:
        steps: of [0, end_time], about.
        iterations: at most so many.
        tolerance: relative change of an iterate that counts as none.
    """

    steps: Annotated[int, Field(ge=1, le=10**6)] = 200
    iterations: Annotated[int, Field(ge=2, le=10**4)] = 60
    tolerance: Annotated[float, Field(ge=1e-13, le=0.1)] = 1e-8


class PinnedStudy(Study):
    """A study of the pinned balls: the tables of its file."""

    model: PinnedBalls
    particles: PinnedParticles
    pde: PinnedEquations = PinnedEquations()
    rival: PinnedRival | None = None
    iteration: PinnedIteration = PinnedIteration()

    @model_validator(mode="after")
    def _equations_fit(self) -> Self:
        times = len(self.model.observe)
        for name, pde in (("pde", self.pde), ("rival", self.rival)):
            if pde is None:
                continue
            room = pde.cells * 2**pde.refinements * pde.degree * (1500 + 48 * times)  # matrices, and what is recorded
            if room > MOST_MEMORY:
                raise ValueError(
                    f"{name}.cells = {pde.cells} with {name}.refinements = {pde.refinements}, degree {pde.degree} and "
                    f"{times} times in model.observe need about "
                    f"{room / 2**30:.3g} GiB; at most {MOST_MEMORY / 2**30:.0f} are allowed"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _blocks_fit_the_cache(cls, data: Any) -> Any:
        """512 replicas up to 1000 balls, the velocities of which are 4 MB; beyond, about as much, but full lanes of 32.

        From 300,000 balls on, where a replica is simulated alone (`kinlim.stochastic.pinned.balls`), one.
        """
        particles, model = (data.get(name) if isinstance(data, dict) else None for name in ("particles", "model"))
        if isinstance(particles, dict) and isinstance(model, dict) and isinstance(balls := model.get("balls"), int):
            block = 1 if balls >= 300_000 else max(32, 1 << (1000 * SMALL_BLOCK // max(balls, 1000)).bit_length() - 1)
            return data | {"particles": {"block": block} | particles}
        return data

    @model_validator(mode="after")
    def _particles_exist(self) -> Self:
        balls, particles = self.model.balls, self.particles
        if particles.lags > balls - 1:
            raise ValueError(f"particles.lags = {particles.lags} must be below model.balls = {balls}")
        for key, last in (("pairs", balls - 1), ("follow", balls)):
            numbers = getattr(particles, key)
            if numbers and not 1 <= numbers[0] <= numbers[-1] <= last:
                raise ValueError(f"particles.{key} = {list(numbers)[:5]} must be numbers of balls, 1 to {last}")
        return self

    @model_validator(mode="after")
    def _statistics_fit(self) -> Self:
        particles, balls, times = self.particles, self.model.balls, len(self.model.observe)
        kept = 60 + len(particles.snapshots) + len(particles.follow)
        room = 8 * balls * (times * kept + 3 * particles.block)  # of a thread: summaries being merged, and velocities
        room += 3 * 8 * times * (1764 * len(particles.pairs) + 122 * particles.lags)  # histograms
        if room > MOST_MEMORY:
            raise ValueError(
                f"particles.block = {particles.block} with model.balls = {balls}, {times} times in model.observe, "
                f"{len(particles.snapshots)} snapshots and {len(particles.follow)} velocities to follow need about "
                f"{room / 2**30:.0f} GiB a thread; at most {MOST_MEMORY / 2**30:.0f} are allowed"
            )
        return self
