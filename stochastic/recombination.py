"""Creation and recombination of pairs in cells: exact samples of a Markov chain for each cell.

In a cell with a particles A and b particles B, pairs are created at a constant rate and destroyed at a rate times a b.
With uniform times and thinning (uniformisation) there is no exponential to draw: in a step the number C of creations
is Poisson, and the chance of a destruction is a b <= (a + C)(b + C) all the while. So C creations and a Poisson number
of candidates, of a mean not below the rate times (a + C)(b + C), follow each other in an order that is uniform over all
orders, and a candidate destroys a pair with probability a b over that bound.

Which A dies is uniform among those present, and so is which B: those are numbers of older ones to be taken away
(`kinlim.stochastic.sift`), and entries in the list of those made in this very step, which need no velocity if they die.

Source: Gillespie, "Exact stochastic simulation of coupled chemical reactions" (1977), for the process; Lewis and
Shedler, "Simulation of nonhomogeneous Poisson processes by thinning" (1979).
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.fixed import Words32, exponent, share
from kinlim.stochastic.poisson import poisson
from kinlim.stochastic.supply import Words, fill

Array = NDArray[np.float64]

LOWEST, HIGHEST = 2.0**-8, 10.0
"""Means of Poisson numbers that come from tables: one word each. Above, by rejection; below, as if it were LOWEST."""

ENTRIES = 64
"""Of a table: more than that many at mean HIGHEST has a probability below 1e-28."""

BAG = 2048
"""Words at hand."""

_11, _32 = np.uint64(11), np.uint64(32)


def table(mean: float) -> Words:
    """Thresholds, shape (ENTRIES,), such that the number of those that are <= a uniform word is Poisson."""
    term, total, found = math.exp(-mean), 0.0, np.empty(ENTRIES, np.uint64)
    for k in range(ENTRIES):
        total += term
        term *= mean / (k + 1)
        found[k] = min(round(total * 2**64), 2**64 - 1)
    return found


def ladder(mean: float) -> tuple[Array, Words]:
    """Means LOWEST times 1, 1.25, 1.5, 1.75, 2, 2.5, ... to HIGHEST, then the one given, and their tables."""
    octaves = math.ceil(math.log2(HIGHEST / LOWEST))
    means = [LOWEST * 2**k * (1 + quarter / 4) for k in range(octaves + 1) for quarter in range(4)]
    means.append(min(mean, HIGHEST))
    return np.array(means), np.array([table(mean) for mean in means])


def edges(cells: int) -> Words:
    """Least position, in units of 2^-32, of every cell along an axis, and 2^32: shape (cells + 1,)."""
    return np.array([-(-(k << 32) // cells) for k in range(cells + 1)], np.uint64)


@njit(inline="always")
def _at_least(word: np.uint64, threshold: np.uint64) -> int:
    return 1 if word >= threshold else 0


@njit(nogil=True, cache=True)
def _below(thresholds: Words, row: int, word: np.uint64) -> int:
    """Poisson number from a table: the first three comparisons at once, which a processor need not guess."""
    t = thresholds[row]
    k = _at_least(word, t[0]) + _at_least(word, t[1]) + _at_least(word, t[2])
    if k == 3:
        while k < ENTRIES and word >= t[k]:
            k += 1
    return k


@njit(nogil=True, cache=True, error_model="numpy")
def _candidates(
    mean: float, means: Array, thresholds: Words, rare: Words, number: Any, word: np.uint64
) -> tuple[int, float]:
    """Poisson number of a mean that is not below the one given; and that mean."""
    if mean >= HIGHEST:
        poisson(rare, mean, number)
        return number[0], mean
    row = 0 if mean < LOWEST else exponent(mean) - exponent(LOWEST) + 1
    return _below(thresholds, row, word), means[row]


@njit(nogil=True, cache=True, error_model="numpy")
def happen(
    a: Any, b: Any, C: int, M: int, ceiling: float, lanes: Words, bag: Words, at: int, created: int, live: Any,
    others_live: Any,
) -> tuple[int, int, int, int, int]:  # fmt: skip
    """Carry out C creations and M candidates for a destruction, in random order, beginning with a and b particles.

    What nobody can guess is written without branches: whether it is a creation, and whether a candidate is accepted.

    Args:
        a: A present.
        b: B present.
        C: creations.
        M: candidates, each of which destroys a pair with probability (A present) (B present)/ceiling.
        ceiling: see there.
        lanes: see `react`.
        bag: see `react`.
        at: the next word in the bag.
        created: number of the next pair.
        live: at least C entries; the first ones are overwritten with the numbers of those new A that live at the end.
        others_live: the same for B.

    Returns:
        older A and older B that live, new A and new B that live, the next word in the bag.
    """
    left: Any = C
    new_a: Any = 0
    new_b: Any = 0
    total = C + M
    while left < total:
        if at > BAG - 4:
            fill(lanes, bag)
            at = 0
        is_creation = share(bag[at], total) < left
        level = np.int64(np.float64(np.int64(bag[at + 1] >> _11)) * (2.0**-53 * ceiling))
        is_destruction = (level < (a + new_a) * (b + new_b)) & (not is_creation)
        one, other = share(bag[at + 2], a + new_a), share(bag[at + 3], b + new_b)
        at, total = at + 4, total - 1
        if left > 0:
            live[new_a] = others_live[new_b] = created + C - left
        creation = np.int64(is_creation)
        left, new_a, new_b = left - creation, new_a + creation, new_b + creation
        old, others_old = is_destruction & (one < a), is_destruction & (other < b)
        if is_destruction != old:
            new_a -= 1
            live[one - a] = live[new_a]
        if is_destruction != others_old:
            new_b -= 1
            others_live[other - b] = others_live[new_b]
        a, b = a - np.int64(old), b - np.int64(others_old)
    for k in range(left):
        live[new_a + k] = others_live[new_b + k] = created + C - left + k
    return a, b, new_a + left, new_b + left, at


@njit(nogil=True, cache=True, error_model="numpy")
def react(
    present: Words, others: Words, mean: float, rate: float, means: Array, thresholds: Words, lanes: Words, rare: Words,
    bag: Words, pairs: Words32, live: Any, others_live: Any,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Let a step pass in every cell.

    Args:
        present: shape (cells,): numbers of A; on return, the leading 32 bits say how many of them are taken away.
        others: the same for B.
        mean: creations in a cell and step.
        rate: destructions in a step, for one A and one B.
        means: see `ladder`.
        thresholds: see `ladder`.
        lanes: shape (4, LENGTH), where words come from.
        rare: shape (4, 1), where those for large Poisson numbers come from.
        bag: shape (BAG,), overwritten.
        pairs: shape (capacity,), overwritten with the cells of the pairs that are created.
        live: shape (capacity + 1,), overwritten with the numbers of the pairs whose A lives at the end.
        others_live: the same for B.

    Returns:
        new A and new B that live, pairs created and pairs destroyed; -1 for the first if the capacity is too small.
    """
    number = np.empty(1, np.int64)
    at, total_a, total_b, created, destroyed = BAG, 0, 0, 0, 0
    for c in range(present.size):
        a, b = np.int64(present[c]), np.int64(others[c])
        if at > BAG - 2:
            fill(lanes, bag)
            at = 0
        if mean < HIGHEST:
            C = _below(thresholds, thresholds.shape[0] - 1, bag[at])
        else:
            poisson(rare, mean, number)
            C = number[0]
        if created + C > pairs.size:
            return -1, 0, 0, 0
        ceiling = np.float64(a + C) * np.float64(b + C)
        M = 0
        if ceiling > 0:
            M, used = _candidates(rate * ceiling, means, thresholds, rare, number, bag[at + 1])
            ceiling = used / rate
        at += 2
        if C + M > 0:
            left_a, left_b, new_a, new_b, at = happen(
                a, b, C, M, ceiling, lanes, bag, at, created, live[total_a:], others_live[total_b:]
            )
            for k in range(C):
                pairs[created + k] = c
            present[c] |= np.uint64(a - left_a) << _32
            others[c] |= np.uint64(b - left_b) << _32
            total_a, total_b, created = total_a + new_a, total_b + new_b, created + C
            destroyed += a + C - left_a - new_a
    return total_a, total_b, created, destroyed


@njit(nogil=True, cache=True, error_model="numpy")
def settle(
    pairs: Words32, count: int, shift: Words32, lines: Words, lanes: Words, words: Words, spots: Words32
) -> None:  # fmt: skip
    """Choose uniform positions in the cells of new pairs.

    Args:
        pairs: the cells, the last axis fastest.
        count: of the pairs.
        shift: shape (d,), of the grid.
        lines: see `edges`.
        lanes: shape (4, LENGTH), where words come from.
        words: room for some words, overwritten.
        spots: shape (d, at least count), overwritten.
    """
    cells = np.uint32(lines.size - 1)
    for begin in range(0, count, words.size):
        size = min(words.size, count - begin)
        for axis in range(spots.shape[0] - 1, -1, -1):
            fill(lanes, words)
            spot = spots[axis, begin : begin + size]
            for k in range(size):
                rest = np.uint32(pairs[begin + k] // cells)
                cell = np.uint32(pairs[begin + k] - rest * cells)
                first = lines[cell]
                spot[k] = (
                    np.uint32(first + (((words[k] >> _32) * (lines[cell + np.uint32(1)] - first)) >> _32)) - shift[axis]
                )
                pairs[begin + k] = rest
