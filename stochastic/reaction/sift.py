"""One pass over the particles of a kind: take away those that have recombined, let the others fly, count them by cell.

How many have to go from each cell is known; who, is decided as they are read, in whatever order they are kept: one of n
that are left in its cell, k of which have to go, goes with probability k/n. So each set of k is as likely, and nothing
has to be sorted. Particles stay in the order in which they were made.

Source: Fan, Muller and Rezucha, "Development of sampling plans by using sequential (item by item) selection techniques
and digital computers" (1962).
"""

from typing import Any

import numpy as np
from numba import njit

from kinlim.stochastic.reaction.fixed import Singles, Words32, fly, locate
from kinlim.stochastic.reaction.supply import Words, fill

CHUNK = 2048
"""Particles at a time, whose numbers stay in the first cache."""

_1, _32, _LOW = np.uint64(1), np.uint64(32), np.uint64(2**32 - 1)


@njit(nogil=True, cache=True, error_model="numpy")
def count(where: Words32, number: int, present: Words) -> None:
    """Add the first `number` of the cells in `where` to the numbers of particles in the cells."""
    for i in range(number):
        present[where[i]] += _1


@njit(nogil=True, cache=True, error_model="numpy")
def _choose(where: Words32, number: int, words: Any, present: Words, kept: Words32) -> Any:
    """Put those of the next `number` particles that stay in `kept`; how many they are."""
    j: Any = 0
    for i in range(number):
        plan = present[where[i]]
        goes = np.uint64(((np.uint64(words[i]) * (plan & _LOW)) >> _32) < (plan >> _32))
        present[where[i]] = plan - _1 - (goes << _32)
        kept[j] = np.uint32(i)
        j += 1 - np.int64(goes)
    return j


@njit(nogil=True, cache=True, error_model="numpy")
def _gather(given: Any, kept: Words32, taken: Any) -> None:
    for i in range(taken.size):
        taken[i] = given[kept[i]]


@njit(nogil=True, cache=True, error_model="numpy")
def sift(
    pos: Words32, vel: Singles, number: int, before: Words32, after: Words32, cells: int, time: float, present: Words,
    following: Words, lanes: Words, room: Any,
) -> int:  # fmt: skip
    """Take away particles, let the others fly and count them.

    Args:
        pos: shape (d, capacity), the first `number` particles there are; changed, those that stay move to the front.
        vel: the same shape, changed.
        number: of particles.
        before: shape (d,), shift of the grid on which `present` counts.
        after: shape (d,), shift of the grid on which `following` counts.
        cells: along each axis.
        time: of flight, over epsilon.
        present: shape (cells^d,): particles in the trailing 32 bits, those to be taken away in the leading ones; 0 on
            return.
        following: shape (cells^d,): the numbers after the flight are added.
        lanes: shape (4, LENGTH), where words come from.
        room: arrays of CHUNK/2 words and of twice CHUNK words of 32 bits, overwritten.

    Returns:
        how many particles are left.
    """
    words, where, kept = room
    left = 0
    for begin in range(0, number, CHUNK):
        size = min(CHUNK, number - begin)
        fill(lanes, words)
        locate(pos, begin, begin + size, before, cells, where)
        stay = _choose(where, size, words.view(np.uint32), present, kept)
        for axis in range(pos.shape[0]):
            _gather(pos[axis, begin:], kept, pos[axis, left : left + stay])
            _gather(vel[axis, begin:], kept, vel[axis, left : left + stay])
        fly(pos, vel, left, left + stay, time)
        locate(pos, left, left + stay, after, cells, where)
        count(where, stay, following)
        left += stay
    return left
