"""Where both sides are observed: at points, or as means over bins; the same axes with the same coordinates on both."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

AXES = ("x", "y", "z")
"""Names of the axes, in order."""


def uniform(dimension: int, count: int) -> Array:
    """Points i/count of [0, 1)^d, count along each axis, shape (count^d, d), the last axis fastest."""
    axis = np.arange(count) / count
    return np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)


class Grid:
    """A grid along one to three axes.

    Attributes:
        coordinates: of each axis by its name, x first, shape (count,) each: points, or the centres of bins.
    """

    coordinates: Mapping[str, Array]

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(self.coordinates)

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of points or bins along the axes."""
        return tuple(len(values) for values in self.coordinates.values())


class Points(Grid):
    """Values are taken at the points of a grid, such as `Points(x=np.arange(n)/n)`.

    >>> kinlim.Points(x=[0.0, 0.5], y=[0.0, 0.25, 0.5]).shape
    (2, 3)
    """

    def __init__(self, **axes: ArrayLike) -> None:
        """Of points along x, y, z; an axis alone makes a grid in one dimension.

        Raises:
            ValueError: an axis has another name, is no list of increasing numbers, or one before it is missing.
        """
        self.coordinates = _axes(axes, 1)


class Bins(Grid):
    """Means are taken over the bins between edges, such as `Bins(x=np.linspace(0, 1, 41))`.

    >>> kinlim.Bins(x=[0.0, 0.5, 1.0]).coordinates["x"].tolist()
    [0.25, 0.75]

    Attributes:
        edges: of the bins along each axis, shape (count + 1,) each.
    """

    def __init__(self, **axes: ArrayLike) -> None:
        """Of edges along x, y, z.

        Raises:
            ValueError: as for `Points`; each axis needs two edges or more.
        """
        self.edges = _axes(axes, 2)
        self.coordinates = {name: (edges[1:] + edges[:-1]) / 2 for name, edges in self.edges.items()}


def _axes(axes: Mapping[str, Any], least: int) -> dict[str, Array]:
    if tuple(axes) != AXES[: len(axes)] or not axes:
        raise ValueError(f"the axes of a grid are x, then y, then z, and not {', '.join(axes) or 'none'}")
    found = {name: np.asarray(values, np.float64) for name, values in axes.items()}
    for name, values in found.items():
        if values.ndim != 1 or len(values) < least or not (np.diff(values) > 0).all() or not np.isfinite(values).all():
            raise ValueError(f"the axis {name} of a grid must be a list of at least {least} increasing numbers")
    return found
