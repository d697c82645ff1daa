"""What every study is made of, whatever its model: a heading, the physics, the particles, and what it leaves behind."""

from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from kinlim.table import Positive, Table

Fractions = Annotated[tuple[float, ...], Field(min_length=1, max_length=1000, strict=False)]


class Heading(Table):
    """What is studied, and under which name; a model narrows `model` to its own name."""

    model: str
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")]


class Physics(Table):
    """What both sides share: above all, when they are observed.

    Attributes:
        end_time: T.
        observe: when both sides are recorded, as increasing fractions of T.
    """

    end_time: Positive
    observe: Fractions

    @field_validator("observe")
    @classmethod
    def _observe_increases(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 <= f <= 1 for f in fractions):
            raise ValueError("must be fractions of end_time, each in [0, 1]")
        if list(fractions) != sorted(set(fractions)):
            raise ValueError("must increase")
        return fractions

    @property
    def times(self) -> NDArray[np.float64]:
        """Times of the observations."""
        return np.asarray(self.observe) * self.end_time


class Ensemble(Table):
    """The particle side: independent replicas.

    Attributes:
        replicas: independent runs.
        seed: picks the random streams, one to a replica.
        block: replicas that are handed out and kept together: what a thread does at a time, and what is lost at most
            when it is killed.
    """

    replicas: Annotated[int, Field(ge=2, le=2**40)]
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 1
    block: Annotated[int, Field(ge=1, le=2**20)]


class BaseStudy(Table):
    """A study: the tables of its file.

    A model called `name` is a module of this name in each layer: `kinlim.name` with its study, `kinlim.stochastic.name`
    with `simulate`, `kinlim.fem.name` with `solve`, `kinlim.validation.name` with the comparison and its report.

    Attributes:
        SOLUTIONS: the datasets that the deterministic side may write, in the order in which it does, and the tables of
            the study that each depends on besides the physics.
        SOLUTION_PICTURES: figures of the solutions alone, by name.
        PICTURES: figures that a comparison may write besides.
    """

    SOLUTIONS: ClassVar[dict[str, tuple[str, ...]]]
    SOLUTION_PICTURES: ClassVar[tuple[str, ...]]
    PICTURES: ClassVar[tuple[str, ...]]

    study: Heading
    model: Physics
    particles: Ensemble

    @property
    def solutions(self) -> tuple[str, ...]:
        """Those datasets that this study has; here all of them."""
        return tuple(self.SOLUTIONS)

    def simulable(self) -> None:
        """Raise InputError if the particles cannot be simulated as wanted; here they always can.

        What is wrong with particles alone must not stop a study whose equations alone are solved.
        """

    def sweepable(self, particles: bool) -> None:
        """Raise InputError where a sweep, with particles or without, would have nothing to measure; here it has."""

    def comparable(self) -> None:
        """Raise InputError if the two sides are not meant to agree; here they always are."""
