"""The Kac model as data: M particles with a reservoir of N, or with a thermostat, and the settings of each side.

Source: Bonetto, Popa, Powell, Chen and Tung, "Improved approximation of infinite thermostat by finite reservoir using
the 3D Kac model".
"""

from collections.abc import Mapping
from math import sqrt
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from kinlim.base import Ensemble, Physics, Study
from kinlim.models.kac.law import Law, squared_distance
from kinlim.models.kac.symmetric import Label, labels
from kinlim.table import Positive, Table

MOST_COLLISIONS = 2.0**53
"""Of one replica."""

FARTHEST = 1e8
"""Ratio of two rates."""

MOST_MEMORY = 16 * 2**30
"""Bytes."""

BLOCK_MEMORY = 64 * 2**20
"""Bytes of velocities that a block has by default."""

LARGEST_BLOCK = 512
"""Replicas."""

PARTICLE = 32
"""Bytes of a velocity, see `kinlim.stochastic.kac.collisions.velocities`."""


class KacParticles(Physics):
    """M particles v_i in R^3 with N reservoir particles w_j (the R-system), or with a thermostat (the T-system).

    A collision of (p, q) with Omega uniform on the sphere gives
        p* = p - [(p - q).Omega] Omega,  q* = q + [(p - q).Omega] Omega.
    Equilibrium is Gamma(x) = exp(-pi |x|^2); the reservoir begins there, and the thermostat stays there.

    Attributes:
        system: M.
        reservoir: N, at least M.
        lambda_s: a pair of the system collides at rate lambda_s/(M - 1).
        lambda_r: a pair of the reservoir collides at rate lambda_r/(N - 1).
        mu: a particle of the system collides with each of the reservoir at rate mu/N; with the thermostat at rate mu.
        h0: the law of the system at time 0.
    """

    LIMITS: ClassVar[Mapping[str, Literal["up", "down"]]] = {"reservoir": "up"}

    system: Annotated[int, Field(ge=1, le=10**6)]
    reservoir: Annotated[int, Field(ge=1, le=10**7)]
    lambda_s: Positive = 1.0
    lambda_r: Positive = 1.0
    mu: Positive = 1.0
    h0: Law

    @model_validator(mode="after")
    def _reservoir_is_larger(self) -> Self:
        if self.reservoir < self.system:
            raise ValueError(
                f"reservoir = {self.reservoir} is smaller than system = {self.system}; a reservoir has at least as "
                "many particles as the system"
            )
        return self

    @model_validator(mode="after")
    def _rates_are_comparable(self) -> Self:
        rates = {"lambda_s": self.lambda_s, "lambda_r": self.lambda_r, "mu": self.mu}
        low, high = min(rates, key=lambda key: rates[key]), max(rates, key=lambda key: rates[key])
        if rates[high] > FARTHEST * rates[low]:
            raise ValueError(
                f"{high} = {rates[high]:g} is more than {FARTHEST:g} times {low} = {rates[low]:g}; rounding would "
                "drown the slower one"
            )
        return self

    @model_validator(mode="after")
    def _law_fits(self) -> Self:
        if self.h0.chosen(self.system) > self.system:
            raise ValueError(
                f"h0.particles = {self.h0.particles} is more than system = {self.system}: so many particles are to "
                "begin with the given law"
            )
        if not self.initial_distance:
            raise ValueError(
                "h0 = 1, the equilibrium: both systems stay there for ever, so there is nothing to compare"
            )
        return self

    @model_validator(mode="after")
    def _times_are_usable(self) -> Self:
        if (collisions := self.end_time * sum(self.rates)) > MOST_COLLISIONS:
            raise ValueError(
                f"end_time = {self.end_time:g} is about {collisions:.3g} collisions; {MOST_COLLISIONS:.3g} are possible"
            )
        return self

    @property
    def rates(self) -> tuple[float, float, float]:
        """Collisions per unit of time within the system, between system and reservoir, and within the reservoir."""
        return (
            self.lambda_s * self.system / 2 if self.system > 1 else 0.0,
            self.mu * self.system,
            self.lambda_r * self.reservoir / 2 if self.reservoir > 1 else 0.0,
        )

    @property
    def functions(self) -> tuple[Label, ...]:
        """Labels of the symmetric Hermite functions of degree 1 and 2 of the system with its reservoir."""
        return labels(1, self.system, self.reservoir) + labels(2, self.system, self.reservoir)

    @property
    def own_functions(self) -> tuple[Label, ...]:
        """Those of the system alone."""
        return tuple(label for label in self.functions if not label.reservoir)

    @property
    def initial_distance(self) -> float:
        """||h0 - 1||."""
        return sqrt(squared_distance(self.h0, self.system))


class KacEnsemble(Ensemble):
    """The particle side.

    Attributes:
        coupled: whether both systems have the same clocks and directions, and partners that are as near to each other
            as they can be, so that their difference is known much better than from independent runs.
    """

    coupled: bool = True


class ExactSectors(Table):
    """The exact side: both evolutions on permutation-symmetric polynomials.

    Attributes:
        degree: of the polynomials, at most.
    """

    degree: Annotated[int, Field(ge=2, le=6)] = 4


class KacStudy(Study):
    """A study of Kac particles: the tables of its file."""

    model: KacParticles
    particles: KacEnsemble
    exact: ExactSectors = ExactSectors()

    @model_validator(mode="before")
    @classmethod
    def _blocks_fit_the_cache(cls, data: Any) -> Any:
        """As many replicas as have 64 MiB of velocities, but 1 to 512."""
        particles, model = (data.get(name) if isinstance(data, dict) else None for name in ("particles", "model"))
        if isinstance(particles, dict) and isinstance(model, dict):
            counts = [model.get("system"), model.get("reservoir")]
            together = sum(count for count in counts if isinstance(count, int))
            fit = BLOCK_MEMORY // (PARTICLE * max(1, together))
            block = min(LARGEST_BLOCK, 1 << max(fit, 1).bit_length() - 1)
            return data | {"particles": {"block": block} | particles}
        return data

    @model_validator(mode="after")
    def _velocities_fit(self) -> Self:
        model, particles = self.model, self.particles
        room = PARTICLE * (model.system + model.reservoir) * particles.block * (2 if particles.coupled else 1)
        if room > MOST_MEMORY:
            raise ValueError(
                f"particles.block = {particles.block} with model.system = {model.system} and model.reservoir = "
                f"{model.reservoir} needs {room / 2**30:.3g} GiB a thread; at most {MOST_MEMORY / 2**30:.0f} are "
                "allowed"
            )
        return self
