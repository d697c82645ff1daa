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
from numpy.typing import NDArray

from kinlim.symmetric import Label, MultiIndex, orbit

Array = NDArray[np.float64]

PRODUCTS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Components of the products that are summed."""


class Sums:
    """Sums over the particles of a group, replica by replica, in units of equilibrium.

    Attributes:
        count: particles.
        first: X_a, shape (replicas, 3).
        second: XX_ab in the order of PRODUCTS, shape (replicas, 6).
    """

    def __init__(self, v: Any, unit: float) -> None:
        """Sum up velocities of shape (replicas, particles, 3), whose equilibrium has the standard deviation `unit`."""
        sums = np.zeros((v.shape[0], 9))
        if v.shape[1]:
            _add_up(v, sums)
        self.count, self.first, self.second = v.shape[1], sums[:, :3] / unit, sums[:, 3:] / unit**2

    def product(self, a: int, b: int) -> Array:
        """XX_ab."""
        return self.second[:, PRODUCTS.index((min(a, b), max(a, b)))]

    @property
    def energy(self) -> Array:
        """Sum of squares over 3 for each particle: 1 in equilibrium."""
        return (self.second[:, 0] + self.second[:, 3] + self.second[:, 5]) / (3 * self.count)


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
        return (group.product(*axes) - (group.count if axes[0] == axes[1] else 0)) / size
    (one, alpha), (two, beta) = sides
    (a,), (b,) = _axes(alpha), _axes(beta)
    total = one.first[:, a] * two.first[:, b]
    if one is two:
        total = (total - one.product(a, b)) / (2 if a == b else 1)
    return np.asarray(total / size)


def _axes(alpha: MultiIndex) -> tuple[int, ...]:
    return tuple(axis for axis, power in enumerate(alpha) for _ in range(power))


@njit(nogil=True, cache=True, error_model="numpy")
def _add_up(v: Any, sums: Array) -> None:
    for r in range(v.shape[0]):
        x = y = z = xx = xy = xz = yy = yz = zz = 0.0
        for i in range(v.shape[1]):
            a, b, c = v[r, i, 0], v[r, i, 1], v[r, i, 2]
            x, y, z = x + a, y + b, z + c
            xx, xy, xz = xx + a * a, xy + a * b, xz + a * c
            yy, yz, zz = yy + b * b, yz + b * c, zz + c * c
        sums[r, 0], sums[r, 1], sums[r, 2], sums[r, 3], sums[r, 4] = x, y, z, xx, xy
        sums[r, 5], sums[r, 6], sums[r, 7], sums[r, 8] = xz, yy, yz, zz
