"""What the engine asks of a statistic: it merges with another of its kind, and it is a handful of named arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray


class Statistic:
    """A statistic of a set of replicas: a frozen dataclass of arrays and whole numbers, known by the name of its class.

    Statistics of one model at several observation times are stacked along a new leading axis, and merged like that; so
    `merge` must work with any number of leading axes.
    """

    kinds: ClassVar[dict[str, type["Statistic"]]] = {}

    def __init_subclass__(cls) -> None:
        """Make the class known, so that a checkpoint can name it."""
        Statistic.kinds[cls.__name__] = cls

    def merge(self, other: Self) -> Self:
        """The statistic of the union with a disjoint set of replicas."""
        raise NotImplementedError

    def parts(self) -> dict[str, Any]:
        """Values of the fields by their names."""
        return {part.name: getattr(self, part.name) for part in fields(self)}  # type: ignore[arg-type]

    def variables(self) -> Mapping[str, tuple[NDArray[Any], str]]:
        """What a dataset shows: values, the time first, and how their description begins, by the end of the name."""
        raise NotImplementedError(f"{type(self).__name__} has no variables for a dataset")

    @classmethod
    def stack(cls, parts: Sequence[Self]) -> Self:
        """Statistics of the same replicas at several times as one, with the time as leading axis of every array."""
        columns = {name: [part.parts()[name] for part in parts] for name in parts[0].parts()}
        return cls(
            **{
                name: np.stack(values) if isinstance(values[0], np.ndarray) else values[0]
                for name, values in columns.items()
            }
        )


Statistics = Mapping[str, Statistic]
"""All that a model keeps of a set of replicas, by name."""


def typed[S: Statistic](statistic: Statistic, kind: type[S]) -> S:
    """The statistic, as what it is."""
    assert isinstance(statistic, kind)
    return statistic


def merge(one: Statistics, other: Statistics) -> Statistics:
    """Statistics of the union of two disjoint sets of replicas."""
    return {name: statistic.merge(other[name]) for name, statistic in one.items()}


def stack(observed: Sequence[Statistics]) -> Statistics:
    """Statistics of a set of replicas at several times, as one."""
    return {name: kind.stack([each[name] for each in observed]) for name, kind in observed[0].items()}


def to_arrays(statistics: Statistics, prefix: str = "") -> dict[str, NDArray[Any]]:
    """The arrays behind statistics, named prefix/name/kind/field."""
    return {
        f"{prefix}{name}/{type(statistic).__name__}/{part}": np.asarray(value)
        for name, statistic in statistics.items()
        for part, value in statistic.parts().items()
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> Statistics:
    """The statistics behind the arrays whose names begin with `prefix`."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for key, array in arrays.items():
        if key.startswith(prefix):
            name, kind, part = key.removeprefix(prefix).split("/")
            found.setdefault(name, (kind, {}))[1][part] = array if array.ndim else array.item()
    return {name: Statistic.kinds[kind](**parts) for name, (kind, parts) in found.items()}


@dataclass(frozen=True)
class Counts(Statistic):
    """How often each thing was seen, such as the bins of a histogram.

    Attributes:
        count: whole numbers, of any shape.
    """

    count: NDArray[np.int64]

    def merge(self, other: Self) -> Self:
        """Counts of both."""
        return type(self)(self.count + other.count)

    def variables(self) -> Mapping[str, tuple[NDArray[Any], str]]:
        """The counts."""
        return {"": (self.count, "number of ")}


@dataclass(frozen=True)
class Largest(Statistic):
    """The largest values seen in any replica.

    Attributes:
        value: of any shape.
    """

    value: NDArray[np.float64]

    def merge(self, other: Self) -> Self:
        """The larger values."""
        return type(self)(np.maximum(self.value, other.value))

    def variables(self) -> Mapping[str, tuple[NDArray[Any], str]]:
        """The values."""
        return {"": (self.value, "largest ")}


@dataclass(frozen=True)
class Kept(Statistic):
    """Values of chosen replicas as they are; NaN where the replica has not been seen.

    Attributes:
        value: of any shape.
    """

    value: NDArray[np.float64]

    def merge(self, other: Self) -> Self:
        """Take each value from where it was seen."""
        return type(self)(np.where(np.isnan(self.value), other.value, self.value))

    def variables(self) -> Mapping[str, tuple[NDArray[Any], str]]:
        """The values."""
        return {"": (self.value, "")}
