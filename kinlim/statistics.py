"""What particles may observe besides plain samples: moments, covariances, histograms, Fourier modes, means over bins.

`Moments`, `LaggedCovariances`, `Counts`, `Largest` and `Kept` are streamed: two of them merge into one of both samples,
so that memory does not grow with replicas. The functions are compiled, and give samples, the first axis being replicas.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.correlations import LaggedCovariances
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.statistic import Counts, Kept, Largest, Statistic

__all__ = [
    "Counts",
    "Kept",
    "LaggedCovariances",
    "Largest",
    "Moments",
    "Statistic",
    "block_means",
    "fourier",
    "histogram",
]

Array = NDArray[np.float64]


@njit(nogil=True, cache=True, error_model="numpy")
def block_means(values: Any, bins: int) -> Array:
    """Means over bins of n/bins neighbouring sites each.

    Args:
        values: shape (replicas, n), numbers of any kind; `bins` divides n.
        bins: how many.

    Returns:
        Shape (replicas, bins).

    Examples:
        >>> block_means(np.array([[1, 2, 3, 4]]), 2).tolist()
        [[1.5, 3.5]]
    """
    replicas, n = values.shape
    width = n // bins
    found = np.zeros((replicas, bins))
    for r in range(replicas):
        for i in range(width * bins):
            found[r, i // width] += values[r, i]
    return found / width


@njit(nogil=True, cache=True, error_model="numpy")
def histogram(positions: Any, low: float, high: float, bins: int) -> Array:
    """Density of positions in bins of [low, high): counts over (number of particles) (width of a bin).

    Args:
        positions: shape (replicas, particles); what lies outside is left out.
        low: where the first bin begins.
        high: where the last one ends.
        bins: how many.

    Returns:
        Shape (replicas, bins).

    Examples:
        >>> histogram(np.array([[0.1, 0.2, 0.3, 0.9]]), 0.0, 1.0, 2).tolist()
        [[1.5, 0.5]]
    """
    replicas, count = positions.shape
    width = (high - low) / bins
    found = np.zeros((replicas, bins))
    for r in range(replicas):
        for i in range(count):
            k = math.floor((positions[r, i] - low) / width)
            if 0 <= k < bins:
                found[r, k] += 1.0
    return found / (count * width)


@njit(nogil=True, cache=True, error_model="numpy")
def fourier(values: Any, waves: int) -> Array:
    """Fourier modes (2/n) sum_i v_i cos(2 pi k x_i), and with sin, x_i = i/n, for k = 1 ... waves.

    Args:
        values: shape (replicas, n).
        waves: how many, below n/2.

    Returns:
        Shape (replicas, waves, 2): the cosine, then the sine.

    Examples:
        >>> x = np.arange(8) / 8
        >>> fourier(3 * np.cos(2 * np.pi * x)[None], 1).round(12).tolist()
        [[[3.0, 0.0]]]
    """
    replicas, n = values.shape
    found = np.zeros((replicas, waves, 2))
    for k in range(1, waves + 1):
        for i in range(n):
            angle = 2.0 * math.pi * ((k * i) % n) / n
            c, s = 2.0 / n * math.cos(angle), 2.0 / n * math.sin(angle)
            for r in range(replicas):
                found[r, k - 1, 0] += values[r, i] * c
                found[r, k - 1, 1] += values[r, i] * s
    return found
