"""Symmetric Hermite functions of degree 1 and 2 of a system and its reservoir, from sums over particles.

With velocities scaled to unit variance in equilibrium, X_a and Y_a the sums of their components over the system and the
reservoir, and XX_ab, YY_ab those of products of two components of a particle, the function of a label is, over the root
of its orbit and its factorial,
    "x": X_x;  "xx": XX_xx - M;  "xy": XX_xy;  "x.y": X_x X_y - XX_xy;  "x.x": (X_x^2 - XX_xx)/2;  "x|y": X_x Y_y.
"""

from math import sqrt
from typing import Any

import numpy as np
from numba import njit
from numba.extending import intrinsic
from numpy.typing import NDArray

from kinlim.models.kac.symmetric import Label, MultiIndex, orbit
from kinlim.stochastic.arithmetic import fma
from kinlim.stochastic.vectors import FLOATS, LENGTH, load, shuffle, store

Array = NDArray[np.float64]

PRODUCTS = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))
"""Components of the products that are summed."""


class Sums:
    """Sums over the particles of a group, replica by replica, in units of equilibrium.

    Attributes:
        count: particles.
        first: X_a, shape (replicas, 3).
        second: XX_ab in the order of PRODUCTS, shape (replicas, 6).
    """

    def __init__(self, v: Array, begin: int, end: int, unit: float) -> None:
        """Sum up particles begin ... end - 1 of velocities as `collisions.velocities` lays them out.

        `unit` is their standard deviation in equilibrium.
        """
        sums = np.zeros((v.shape[0], 9))
        _add_up(v, begin, end, sums)
        self.count, self.first, self.second = end - begin, sums[:, :3] / unit, sums[:, 3:] / unit**2

    def product(self, a: int, b: int) -> Array:
        """XX_ab."""
        return np.asarray(self.second[:, PRODUCTS.index((min(a, b), max(a, b)))], np.float64)

    @property
    def energy(self) -> Array:
        """Sum of squares over 3 for each particle: 1 in equilibrium."""
        return np.asarray(self.second[:, :3].sum(axis=1) / (3 * self.count), np.float64)


def evaluate(chosen: tuple[Label, ...], system: Sums, reservoir: Sums) -> Array:
    """Values of the functions, shape (replicas, functions)."""
    return np.stack([_value(label, system, reservoir) for label in chosen], axis=1)


def _value(label: Label, system: Sums, reservoir: Sums) -> Array:
    size = sqrt(orbit(label, system.count, reservoir.count) * label.factorial)
    sides = [*((system, alpha) for alpha in label.system), *((reservoir, alpha) for alpha in label.reservoir)]
    if len(sides) == 1:
        ((group, alpha),) = sides
        axes = _axes(alpha)
        if len(axes) == 1:
            return np.asarray(group.first[:, axes[0]] / size)
        mean = group.count if axes[0] == axes[1] else 0
        return np.asarray((group.product(*axes) - mean) / size, np.float64)
    (one, alpha), (two, beta) = sides
    (a,), (b,) = _axes(alpha), _axes(beta)
    total = one.first[:, a] * two.first[:, b]
    if one is two:
        total = (total - one.product(a, b)) / (2 if a == b else 1)
    return np.asarray(total / size)


def _axes(alpha: MultiIndex) -> tuple[int, ...]:
    return tuple(axis for axis, power in enumerate(alpha) for _ in range(power))


@intrinsic
def _turned(context: Any, x: Any) -> Any:
    """(y, z, x, 0) for (x, y, z, 0), of both particles in a vector."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return shuffle(builder, arguments[0], arguments[0], [1, 2, 0, 3, 5, 6, 4, 7])

    return FLOATS(FLOATS), generate


@njit(nogil=True, cache=True, error_model="numpy")
def _add_up(v: Array, begin: int, end: int, sums: Array) -> None:
    """Fill `sums`, shape (replicas, 9): components, their squares, xy, yz, zx; two particles a vector, two vectors."""
    room, single = np.empty((3, LENGTH)), np.zeros(LENGTH)
    for r in range(v.shape[0]):
        here, last = r * v.shape[1] + 4 * begin, r * v.shape[1] + 4 * end
        first = squares = mixed = load(single, 0) * 0.0
        other = other_squares = other_mixed = first
        for at in range(here, last - 2 * LENGTH + 1, 2 * LENGTH):
            a, b = load(v, at), load(v, at + LENGTH)
            first, other = first + a, other + b
            squares, other_squares = fma(a, a, squares), fma(b, b, other_squares)
            mixed, other_mixed = fma(a, _turned(a), mixed), fma(b, _turned(b), other_mixed)
        for at in range(last - (last - here) % (2 * LENGTH), last, 4):
            for k in range(3):
                single[k] = v[r, at - r * v.shape[1] + k]
            a = load(single, 0)
            first, squares, mixed = first + a, fma(a, a, squares), fma(a, _turned(a), mixed)
        store(room, 0, first + other)
        store(room, LENGTH, squares + other_squares)
        store(room, 2 * LENGTH, mixed + other_mixed)
        for kind in range(3):
            for k in range(3):
                sums[r, 3 * kind + k] = room[kind, k] + room[kind, k + 4]
