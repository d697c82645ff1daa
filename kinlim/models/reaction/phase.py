"""Functions of position x in the unit torus and velocity v, as a study gives them, and whether they can be data."""

from collections.abc import Iterator
from math import sqrt
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from kinlim.formula import Formula
from kinlim.grid import uniform
from kinlim.table import WRITTEN, formula_in

Array = NDArray[np.float64]

POSITIONS, VELOCITIES = ("x", "y", "z"), ("vx", "vy", "vz")

GRID = (256, 64, 24)
"""Points per axis, in dimension 1, 2, 3, where data are looked at and integrated."""

COARSEST = 12
"""Points per axis where data depend on the velocity, at least."""

SEAM = 17
"""Points per axis on which both sides of a seam are compared."""

FAR = (1e1, 1e2, 1e3, 1e6)
"""Speeds at which data are looked at besides."""

WIDEST = 1e6
"""Ratio of the bounds of data, at most; what they may be at most, and one over it at least."""

VARIES = 1e-2
"""By how much, over their largest value, means on two grids may differ."""

JUMPS = 1e-6
"""By how much, over their largest value, data may jump at a seam."""

FormulaOfPhase = Annotated[Formula, formula_in(*POSITIONS, *VELOCITIES), WRITTEN]
"""A function of position (x, y, z) in the unit torus and velocity (vx, vy, vz)."""


def moves(formula: Formula) -> bool:
    """Whether it depends on the velocity."""
    return bool(formula.used & set(VELOCITIES))


def values(formula: Formula, x: Array, v: Array) -> Array:
    """Values at all pairs of positions, shape (n, d), and velocities, shape (k, d): shape (n, k).

    Raises:
        InputError: it is not finite somewhere.
    """
    shape = (len(x), len(v))
    points = {
        name: np.broadcast_to(column, shape)
        for names, columns in ((POSITIONS, x.T[:, :, None]), (VELOCITIES, v.T[:, None, :]))
        for name, column in zip(names, columns, strict=False)
    }
    unused = {name: np.zeros(shape) for name in POSITIONS + VELOCITIES if name not in points}
    return formula(**points, **unused)


def bounds(formula: Formula, nodes: Array) -> tuple[float, float]:
    """Lowest and highest value of data that are positive, bounded and periodic, as far as points tell.

    Args:
        formula: the data.
        nodes: velocities at which they matter, shape (k, d).

    Raises:
        InputError: they are not finite somewhere.
        ValueError: they are not positive, not bounded or not periodic, too large or too small, or vary too fast; the
            text goes on after "f0 = '...'".
    """
    dimension = nodes.shape[1]
    count = max(COARSEST, GRID[dimension - 1] // 4) if moves(formula) else GRID[dimension - 1]
    # On a second grid, data that vary too fast for the first look different.
    first, second = (
        values(formula, uniform(dimension, n), nodes if moves(formula) else nodes[:1]) for n in (count, count + 1)
    )
    shells = [np.concatenate([first, second])]
    if moves(formula):
        shells += [values(formula, uniform(dimension, count), speed * _directions(dimension)) for speed in FAR]
    low, high = min(float(shell.min()) for shell in shells), max(float(shell.max()) for shell in shells)
    if low <= 0:
        raise ValueError(
            f"is {low:.6g} somewhere: it must be positive, or the data are in no invariant region of Theorem 1.1"
        )
    if len(shells) > 1 and (shells[-1].max() > 2 * shells[-2].max() or shells[-1].min() < shells[-2].min() / 2):
        raise ValueError(
            "is not bounded away from 0 and infinity in the velocity, so the data are in no invariant region of "
            "Theorem 1.1; tanh(vx) is bounded"
        )
    if high > WIDEST or low < 1 / WIDEST or high > WIDEST * low:
        raise ValueError(
            f"reaches from {low:.3g} to {high:.3g}; densities of 1 are those of equilibrium with equal masses, and "
            f"{1 / WIDEST:g} to {WIDEST:g}, in a ratio of at most {WIDEST:g}, are possible"
        )
    for axis, before, after in _seams(dimension):
        gap = float(np.abs(values(formula, before, nodes[:1]) - values(formula, after, nodes[:1])).max())
        if gap > JUMPS * high:
            raise ValueError(f"jumps by {gap:.3g} between {POSITIONS[axis]} = 0 and 1; it must be periodic")
    if abs(first.mean() - second.mean()) > VARIES * high:
        raise ValueError(
            f"varies too fast: its mean is {first.mean():.4g} over {count} points along each axis, and "
            f"{second.mean():.4g} over {count + 1}"
        )
    return low, high


def _seams(dimension: int) -> Iterator[tuple[int, Array, Array]]:
    """For each axis, points at 0 and at 1."""
    for axis in range(dimension):
        rest = np.meshgrid(*[np.linspace(0, 1, SEAM)] * (dimension - 1), indexing="ij")
        points = np.column_stack([part.ravel() for part in rest]) if rest else np.empty((1, 0))
        yield axis, np.insert(points, axis, 0.0, axis=1), np.insert(points, axis, 1.0, axis=1)


def _directions(dimension: int) -> Array:
    """Unit vectors along the axes, both ways, and along the diagonals."""
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * dimension, indexing="ij")).reshape(dimension, -1).T
    return np.concatenate([np.eye(dimension), -np.eye(dimension), signs / sqrt(dimension)])
