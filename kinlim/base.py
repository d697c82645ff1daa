"""What every study is made of, whatever its model: a heading, the physics, the particles, and what it leaves behind."""

import difflib
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import tomli_w
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from kinlim.errors import InputError
from kinlim.table import Positive, Table

Fractions = Annotated[tuple[float, ...], Field(min_length=1, max_length=1000, strict=False)]


class Heading(Table):
    """What is studied, and under which name.

    Attributes:
        model: name of a model, or the path of the file that declares it.
        name: of the study, and of its result folder.
    """

    model: str
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")]


class Physics(Table):
    """What both sides share: above all, when they are observed.

    Attributes:
        LIMITS: parameters that a limit theorem is about, by their keys: "up" for one that goes to infinity, as the
            number of particles does, "down" for one that goes to 0.
        end_time: T.
        observe: when both sides are recorded, as increasing fractions of T.
    """

    LIMITS: ClassVar[Mapping[str, Literal["up", "down"]]] = {}

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

    @model_validator(mode="after")
    def _times_increase(self) -> Self:
        times = np.asarray(self.observe) * self.end_time
        if len(times) > 1 and not (np.diff(times) > 0).all():
            k = int(np.argmin(np.diff(times)))
            raise ValueError(
                f"observe = [..., {self.observe[k]!r}, {self.observe[k + 1]!r}, ...] of end_time = {self.end_time!r}: "
                "both are the same time"
            )
        return self

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
    block: Annotated[int, Field(ge=1, le=2**20)] = 256


class Study(Table):
    """A study: the tables of its file. A model has a class of its own with its tables besides.

    Attributes:
        source: the file that declares its model; None if that is installed.
    """

    source: ClassVar[Path | None] = None

    study: Heading
    model: Physics

    def vary(self, table: str | None = None, /, **settings: Any) -> Self:
        """The same study with other settings, by the keys of the file.

        Args:
            table: that has all of them; without one, keys have their table before a dot.
            settings: the values.

        Raises:
            InputError: a key names no table of the study.
            ValidationError: pydantic's, where a table does not allow them.

        Examples:
            >>> study = kinlim.load("mine.toml")
            >>> finer = study.vary("pde", cells=800)
            >>> small = study.vary(**{"model.balls": 200, "pde.cells": 200})
            >>> study.pde.cells, finer.pde.cells, small.pde.cells, small.model.balls
            (400, 800, 200, 200)
        """
        own: dict[str, dict[str, Any]] = {}
        for key, value in settings.items():
            name, _, rest = (table, "", key) if table is not None else key.partition(".")
            if not rest or not isinstance(getattr(self, name, None), Table):
                written = f"{name}.{rest}" if rest else key
                raise InputError(f"{written}: is no key of this study; {self._tables(name, rest)}")
            own.setdefault(name, {})[rest] = value
        tables = {name: getattr(self, name) for name in own}
        return self.model_copy(
            update={
                name: type(there).model_validate(there.model_dump(by_alias=True) | own[name])
                for name, there in tables.items()
            }
        )

    def _tables(self, name: str, key: str) -> str:
        """What may have been meant by a table of this name, for a message: the closest one, or how keys are written."""
        there = [str(table) for table, value in self if isinstance(value, Table)]
        if not key:
            return "keys are written as in 'model.end_time'"
        close = difflib.get_close_matches(name, there, 1)
        return f"did you mean {close[0]}.{key}?" if close else f"its tables are {', '.join(there)}"

    def __str__(self) -> str:
        """The study as TOML, every default written out."""
        return tomli_w.dumps(self.model_dump(mode="json", by_alias=True, exclude_none=True))

    def __repr__(self) -> str:
        """Name and model, with what the file would say of the model's numbers."""
        numbers = ", ".join(
            f"{key}={value!r}" for key, value in self.model.model_dump(mode="json", by_alias=True).items()
            if isinstance(value, int | float | str)
        )  # fmt: skip
        return f"<study {self.study.name!r} of {self.study.model}: {numbers}>"

    def _repr_html_(self) -> str:
        """For notebooks: the TOML, folded under the name."""
        title = html.escape(f"{self.study.name} ({self.study.model})")
        return f"<details><summary>{title}</summary><pre>{html.escape(str(self))}</pre></details>"


def narrowed[S: Study](study: Study, kind: type[S]) -> S:
    """The study as one of its model's class, which it is."""
    assert isinstance(study, kind), type(study)
    return study
