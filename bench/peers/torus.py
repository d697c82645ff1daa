"""The problem that all programs solve: the limit equation m_t = div((a(m) D1 + b(m)) grad m) on the torus.

a(m) = r^2/s and b(m) = 1/(2 r^2 s) with s = (m^2 + 4)^(1/2) and r = (m + s)/2, which is D2 = 1/2. Up to t = 0.01 from
m0 = 2 + 0.4 sin 2 pi x + cos 2 pi (x + y + z). Numpy alone is needed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

END = 0.01
SECOND = 0.5
FULL = [[1.0, 0.3, 0.3], [0.3, 1.2, 0.3], [0.3, 0.3, 0.8]]
"""D1, of which dimension d takes the first d rows and columns."""


def diffusion(dimension: int) -> Array:
    """D1."""
    return np.array(FULL)[:dimension, :dimension]


def initial(n: int, dimension: int, offset: float = 0.0) -> Array:
    """m0 at the points (i + offset)/n."""
    x = np.meshgrid(*[(np.arange(n) + offset) / n] * dimension, indexing="ij")
    return 2 + 0.4 * np.sin(2 * np.pi * x[0]) + np.cos(2 * np.pi * sum(x))


def factors(m: Any, sqrt: Any = np.sqrt) -> tuple[Any, Any]:
    """The two factors a and b at m, by a square root that knows what m is."""
    s = sqrt(m * m + 4)
    square = (0.5 * (m + s)) ** 2
    return square / s, SECOND / (square * s)


def central(m: Array, n: int) -> Array:
    """The right-hand side by central differences of order two, with the mixed derivatives; cells of width 1/n."""
    dimension = m.ndim
    D1 = diffusion(dimension)
    a, b = factors(m)
    after = [np.roll(m, -1, i) for i in range(dimension)]
    slopes = [(after[i] - np.roll(m, 1, i)) * (n / 2) for i in range(dimension)]
    found = np.zeros_like(m)
    for i in range(dimension):
        weight = a * D1[i, i] + b
        flux = (weight + np.roll(weight, -1, i)) * (after[i] - m) * (n * n / 2)
        found += flux - np.roll(flux, 1, i)
        if dimension > 1:
            mixed = a * sum(D1[i, j] * slopes[j] for j in range(dimension) if j != i)
            found += (np.roll(mixed, -1, i) - np.roll(mixed, 1, i)) * (n / 2)
    return found


def stiffness(n: int, dimension: int) -> float:
    """A bound of the spectral radius of `central`, at m0."""
    a, b = factors(initial(n, dimension))
    return float(4 * n * n * (a.max() * np.abs(diffusion(dimension)).sum() + b.max() * dimension))
