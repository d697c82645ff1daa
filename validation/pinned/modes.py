"""The variance over runs, split into waves along the interval: what neighbours share, and what they do not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

Array = NDArray[np.float64]

MOST = 0.9
"""Part of the smooth variance that lies in waves up to `Split.cutoff`."""


def spectrum(velocity: Array) -> Array:
    """S_k = mean over runs of a_k^2/n, a_k the orthonormal cosine modes of v - its mean; they add to the variance.

    Args:
        velocity: shape (runs, n).

    Returns:
        Shape (n,), of waves of length 2 n/k balls, without bias from the mean over the runs.
    """
    runs, n = velocity.shape
    modes = dct(velocity - velocity.mean(axis=0), norm="ortho", axis=1)
    return np.asarray((modes**2).sum(axis=0) / ((runs - 1) * n), np.float64)


@dataclass(frozen=True)
class Split:
    """The variance over runs, mean over the sites.

    Attributes:
        short: what independent balls would have, n times the level of the waves shorter than four balls.
        long: by how much the longer waves exceed that level; negative where neighbours are correlated negatively.
        error: standard error of `long`, were the modes of a run independent and normal.
        cutoff: wave number below which MOST of `long` lies; 0 unless it is positive.
    """

    short: float
    long: float
    error: float
    cutoff: int


def split(s: Array, runs: int) -> Split:
    """Split a spectrum, shape (n,), of so many runs, into the level of its upper half and what is above it."""
    lower, upper = s[: len(s) // 2], s[len(s) // 2 :]
    level = float(upper.mean())
    above = np.cumsum(lower - level)
    long = float(above[-1])
    square = (lower**2).sum() + (upper**2).sum() * (len(lower) / len(upper)) ** 2
    cutoff = int(np.argmax(above >= MOST * long)) if long > 0 else 0
    return Split(level * len(s), long, float(np.sqrt(2 * square / (runs - 1))), cutoff)
