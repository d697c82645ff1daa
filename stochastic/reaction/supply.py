"""Words of one replica's stream in bulk: LENGTH places of it, far apart, advanced side by side in vectors."""

from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic import jump
from kinlim.stochastic.streams import following
from kinlim.stochastic.vectors import LENGTH, load, store

Words = NDArray[np.uint64]

APART = 2**128
"""Words between two places, more than will ever be drawn."""


@cache
def far_ahead() -> Words:
    """What `kinlim.stochastic.jump.jump` needs to go from one place to the next."""
    return jump.polynomial(APART)


def places(stream: Words, count: int) -> Words:
    """Places 0, APART, 2 APART, ... of a stream, shape (4, count), from its state of shape (4,)."""
    found = np.empty((count, 4, 1), np.uint64)
    found[0, :, 0] = stream
    for k in range(1, count):
        jump.jump(found[k - 1].copy(), far_ahead(), found[k])
    return np.ascontiguousarray(found[:, :, 0].T)


@njit(nogil=True, cache=True)
def fill(lanes: Words, out: Any) -> None:
    """Fill `out`, a multiple of LENGTH words, from LENGTH places, which take turns.

    Args:
        lanes: shape (4, LENGTH), advanced.
        out: overwritten.
    """
    a, b, c, d = load(lanes, 0), load(lanes, LENGTH), load(lanes, 2 * LENGTH), load(lanes, 3 * LENGTH)
    for k in range(0, out.size, LENGTH):
        word, a, b, c, d = following(a, b, c, d)
        store(out, k, word)
    store(lanes, 0, a)
    store(lanes, LENGTH, b)
    store(lanes, 2 * LENGTH, c)
    store(lanes, 3 * LENGTH, d)
