"""Random streams: xoshiro256++, one to a replica.

A stream belongs to a replica and to nothing else: replica r of seed s starts from outputs 4r .. 4r+3 of SplitMix64
seeded with s, the seeding that the authors of the generator recommend. SplitMix64 is a counter, so any replica is
reached at once, on any rank, in any thread.

Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2021); Steele, Lea and Flood, "Fast
splittable pseudorandom number generators" (2014).
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.arithmetic import point_on_circle

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_11, _17, _27, _30, _31 = (np.uint64(k) for k in (11, 17, 27, 30, 31))
_23, _41, _45, _19 = (np.uint64(k) for k in (23, 41, 45, 19))


@njit(inline="always")
def splitmix64(seed: np.uint64, index: np.uint64) -> np.uint64:
    """Output number `index` (from 0) of SplitMix64 seeded with `seed`."""
    z = seed + (index + np.uint64(1)) * GOLDEN
    z = (z ^ (z >> _30)) * _M1
    z = (z ^ (z >> _27)) * _M2
    return z ^ (z >> _31)


@njit(nogil=True, cache=True)
def start(streams: NDArray[np.uint64], seed: np.uint64, first: int) -> None:
    """Put lane l of `streams`, shape (4, lanes), at the beginning of the stream of replica first + l."""
    for lane in range(streams.shape[1]):
        for word in range(4):
            streams[word, lane] = splitmix64(seed, np.uint64(4 * (first + lane) + word))


@njit(inline="always")
def following(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]:
    """One step of xoshiro256++ 1.0 from state (a, b, c, d): the output and the four words of the next state."""
    sum_ = a + d
    output = ((sum_ << _23) | (sum_ >> _41)) + a
    shifted = b << _17
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << _45) | (d >> _19)
    return output, a, b, c, d


@njit(nogil=True, cache=True)
def words(streams: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    """Fill `out`, shape (count, lanes), with the next `count` outputs of every stream."""
    for k in range(out.shape[0]):
        for lane in range(streams.shape[1]):
            out[k, lane], streams[0, lane], streams[1, lane], streams[2, lane], streams[3, lane] = following(
                streams[0, lane], streams[1, lane], streams[2, lane], streams[3, lane]
            )


@njit(nogil=True, cache=True, error_model="numpy")
def modulated_white_noise(
    streams: NDArray[np.uint64], mean: NDArray[np.float64], spread: NDArray[np.float64], v: NDArray[np.float64]
) -> None:
    """Draw v[l, i] = mean[i] + spread[i] N(0, 1), independent: (2.5).

    Box-Muller: a radius sqrt(-2 log u) with u in (0, 1] from one word, a point on the circle from the next; two
    sites a pair of words.

    Args:
        streams: shape (4, lanes), advanced.
        mean: shape (n,).
        spread: shape (n,).
        v: shape (lanes, at least n), overwritten in its first n columns.
    """
    n = mean.shape[0]
    for lane in range(streams.shape[1]):
        a, b, c, d = streams[0, lane], streams[1, lane], streams[2, lane], streams[3, lane]
        for i in range(0, n, 2):
            word, a, b, c, d = following(a, b, c, d)
            radius = math.sqrt(-2.0 * math.log(np.float64(np.int64(word >> _11) + 1) * 2.0**-53))
            word, a, b, c, d = following(a, b, c, d)
            x, y = point_on_circle(word)
            v[lane, i] = mean[i] + spread[i] * (radius * x)
            if i + 1 < n:
                v[lane, i + 1] = mean[i + 1] + spread[i + 1] * (radius * y)
        streams[0, lane], streams[1, lane], streams[2, lane], streams[3, lane] = a, b, c, d
