"""Poisson numbers, one to a stream: how many clocks have rung.

Small means by multiplying uniform numbers until they are below exp(-mean), large ones by transformed rejection. Both
are exact but for the rounding of floating-point numbers.

Source: Hörmann, "The transformed rejection method for generating Poisson random variables", Insurance: Mathematics and
Economics 12 (1993), 39-45, algorithm PTRS; Knuth, "The Art of Computer Programming" 2, section 3.4.1, algorithm Q.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from kinlim.stochastic.streams import following

SWITCH = 10.0
"""Mean from which on rejection serves; it holds for 10 and more."""

STIRLING = 32.0
"""From which number on the series for its factorial serves: the first term left out is below 1e-13."""

_12 = np.uint64(12)


@njit(inline="always")
def _uniform(word: np.uint64) -> float:
    """A number of (0, 1), neither 0 nor 1."""
    return (np.float64(np.int64(word >> _12)) + 0.5) * 2.0**-52


@njit(inline="always")
def _log_probability(k: float, mean: float) -> float:
    """Logarithm of exp(-mean) mean^k/k!, without taking the difference of large numbers if k is large."""
    if k < STIRLING:
        return k * math.log(mean) - mean - math.lgamma(k + 1)
    x = (k - mean) / mean
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * k * k)) / (k * k)) / (k * k)) / k
    return -mean * ((1 + x) * math.log1p(x) - x) - 0.5 * math.log(2 * math.pi * k) - series


@njit(inline="always")
def draw(stream: Any, mean: float) -> int:
    """Draw one number from a stream, shape (4,), which is advanced."""
    s0, s1, s2, s3 = stream[0], stream[1], stream[2], stream[3]
    if mean < SWITCH:
        limit = math.exp(-mean)
        number, product = -1, 1.0
        while product > limit or number < 0:
            word, s0, s1, s2, s3 = following(s0, s1, s2, s3)
            product *= _uniform(word)
            number += 1
    else:
        b = 0.931 + 2.53 * math.sqrt(mean)
        a = -0.059 + 0.02483 * b
        inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
        v_r = 0.9277 - 3.6224 / (b - 2)
        while True:
            word, s0, s1, s2, s3 = following(s0, s1, s2, s3)
            u = _uniform(word) - 0.5
            word, s0, s1, s2, s3 = following(s0, s1, s2, s3)
            v = _uniform(word)
            us = 0.5 - abs(u)
            k = np.floor((2 * a / us + b) * u + mean + 0.43)
            if us >= 0.07 and v <= v_r:
                break
            if k < 0 or (us < 0.013 and v > us):
                continue
            if math.log(v * inverse_alpha / (a / (us * us) + b)) <= _log_probability(k, mean):
                break
        number = int(k)
    stream[0], stream[1], stream[2], stream[3] = s0, s1, s2, s3
    return number


@njit(nogil=True, cache=True, error_model="numpy")
def poisson(streams: Any, mean: float, out: Any) -> None:
    """Draw one number for each stream.

    Args:
        streams: shape (4, lanes), advanced by as many words as it takes: at most mean + 2 on average, 2.3 above SWITCH.
        mean: not negative, the same for all.
        out: shape (lanes,), whole numbers, overwritten.
    """
    for lane in range(streams.shape[1]):
        out[lane] = draw(streams[:, lane], mean)
