"""Random numbers for kernels: compiled functions that draw from the stream of a replica.

A stream is four words, such as `streams[:, r]` of the array of shape (4, replicas) that `Particles.begin` is given, and
each call advances it. Use these inside functions compiled with `numba.njit`, or from Python. The generator is
xoshiro256++, one stream to a replica, so that results depend on neither threads nor ranks.

>>> import numpy as np
>>> from kinlim import random
>>> stream = np.array([1, 2, 3, 4], np.uint64)
>>> again = stream.copy()
>>> random.uniform(stream) == random.uniform(again)
True
>>> 0 <= random.integer(stream, 6) < 6
True

Sources: Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2021); Lemire, "Fast random integer
generation in an interval" (2019); Box and Muller (1958); Hörmann, "The transformed rejection method for generating
Poisson random variables" (1993).
"""

import math
from typing import Any

import numpy as np
from numba import njit

from kinlim.stochastic.arithmetic import point_on_circle
from kinlim.stochastic.poisson import draw
from kinlim.stochastic.streams import following

__all__ = ["choice", "circle", "exponential", "integer", "normal", "poisson", "uniform", "word"]

_11, _32, _LOW = np.uint64(11), np.uint64(32), np.uint64(0xFFFFFFFF)


@njit(inline="always")
def word(stream: Any) -> np.uint64:
    """64 random bits.

    Args:
        stream: shape (4,), advanced by one word.
    """
    found, stream[0], stream[1], stream[2], stream[3] = following(stream[0], stream[1], stream[2], stream[3])
    return found


@njit(inline="always")
def uniform(stream: Any) -> float:
    """A uniform number in [0, 1), a multiple of 2^-53; takes one word."""
    return np.float64(np.int64(word(stream) >> _11)) * 2.0**-53


@njit
def integer(stream: Any, n: int) -> int:
    """A uniform whole number 0 ... n - 1, 1 <= n < 2^32, without bias; takes one word, rarely two.

    The high half of (32 random bits) * n, refused where the low half is below 2^32 mod n: each number then has as many
    words.
    """
    count = np.uint64(n)
    product = (word(stream) >> _32) * count
    if (product & _LOW) < count:
        least = (_LOW - count + np.uint64(1)) % count
        while (product & _LOW) < least:
            product = (word(stream) >> _32) * count
    return int(product >> _32)


@njit(inline="always")
def circle(stream: Any) -> tuple[float, float]:
    """A uniform point on the unit circle; takes one word, and less time than a sine and a cosine."""
    return point_on_circle(word(stream))


@njit(inline="always")
def exponential(stream: Any, rate: float = 1.0) -> float:
    """An exponential number of the given rate, so with the mean 1/rate; takes one word."""
    return -math.log(1.0 - uniform(stream)) / rate


@njit(inline="always")
def normal(stream: Any) -> float:
    """A number of N(0, 1); takes two words."""
    radius = math.sqrt(2.0 * exponential(stream))
    return radius * point_on_circle(word(stream))[0]


@njit
def poisson(stream: Any, mean: float) -> int:
    """A Poisson number of the given mean, not negative; takes mean + 2 words on average, 2.3 from a mean of 10 on."""
    return draw(stream, mean)


@njit
def choice(stream: Any, rates: Any, total: float) -> int:
    """A number k with the probability rates[k]/total; takes one word and a walk over the rates.

    Args:
        stream: shape (4,), advanced.
        rates: not negative, shape (n,).
        total: their sum, which a kernel knows better than a sum anew.
    """
    left = uniform(stream) * total
    last = 0
    for k in range(rates.shape[0]):
        if rates[k] > 0.0:
            last = k
            left -= rates[k]
            if left < 0.0:
                return k
    return last
