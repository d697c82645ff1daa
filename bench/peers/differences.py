"""Central differences of order two in numpy, by the scheme of Runge and Kutta at 0.9 of its stability limit."""

from collections.abc import Callable

import numpy as np
from torus import END, Array, central, initial, stiffness

NAME = "differences, RK4"
OFFSET = 0.0
SETTINGS = {
    1: [(n,) for n in (32, 48, 64, 96, 128, 256, 512)],
    2: [(n,) for n in (16, 24, 32, 48, 64, 96)],
    3: [(n,) for n in (16, 24, 32, 48)],
}
"""Points along an axis."""


def label(n: int) -> str:
    """A setting in words."""
    return f"{n} points an axis"


def solver(dimension: int, n: int) -> Callable[[], Array]:
    """What makes m at the end."""
    steps = int(np.ceil(END * stiffness(n, dimension) / (0.9 * 2.785)))
    h = END / steps

    def run() -> Array:
        m = initial(n, dimension)
        for _ in range(steps):
            k1 = central(m, n)
            k2 = central(m + h / 2 * k1, n)
            k3 = central(m + h / 2 * k2, n)
            m = m + h / 6 * (k1 + 2 * k2 + 2 * k3 + central(m + h * k3, n))
        return m

    return run
