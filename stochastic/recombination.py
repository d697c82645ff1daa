"""Creation and recombination of pairs in cells: exact samples of a Markov chain for each cell.

In a cell with a particles A and b particles B, pairs are created at a constant rate and destroyed at a rate times a b.
With uniform times and thinning (uniformisation) there is no exponential to draw: in a step the number C of creations
is Poisson, and the chance of a destruction is a b <= (a + C)(b + C) all the while. So C creations and a Poisson number
of candidates, of a mean not below the rate times (a + C)(b + C), follow each other in an order that is uniform over all
orders, and a candidate destroys a pair with probability a b over that bound.

Which A dies is uniform among those present, and so is which B: those are numbers of older ones to be taken away
(`kinlim.stochastic.sift`), and entries in the list of those made in this very step, which need no velocity if they die.

Source: Gillespie, "Exact stochastic simulation of coupled chemical reactions" (1977), for the process; Lewis and Shedler,
"Simulation of nonhomogeneous Poisson processes by thinning" (1979).
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
def _next(lanes: Words, bag: Words, at: int) -> tuple[np.uint64, int]:
    """A word, and the place of the next one in the bag, which is filled when it is empty."""
    if at == BAG:
        fill(lanes, bag)
        at = 0
    return bag[at], at + 1


@njit(inline="always")
def _below(thresholds: Words, row: int, word: np.uint64) -> int:
    """Poisson number from a table."""
    k = 0
    while k < ENTRIES and word >= thresholds[row, k]:
        k += 1
    return k


@njit(inline="always")
def _candidates(
    mean: float, means: Array, thresholds: Words, rare: Words, number: Any, word: np.uint64
) -> tuple[int, float]:
    """Poisson number of a mean that is not below the one given; and that mean."""
    if mean >= HIGHEST:
        poisson(rare, mean, number)
        return number[0], mean
    row = 0 if mean < LOWEST else exponent(mean) - exponent(LOWEST) + 1
    return _below(thresholds, row, word), means[row]


@njit(inline="always")
def _happen(
    a: int, b: int, C: int, M: int, ceiling: float, lanes: Words, bag: Words, at: int, lives: Any
) -> tuple[int, int, int, int, int]:  # fmt: skip
    """Carry out C creations and M candidates for a destruction, in random order, beginning with a and b particles.

    Args:
        a: A present.
        b: B present.
        C: creations.
        M: candidates, each of which destroys a pair with probability (A present) (B present)/ceiling.
        ceiling: see there.
        lanes: see `react`.
        bag: see `react`.
        at: the next word in the bag.
        lives: shape (2, at least C); the first entries of the rows are overwritten with the numbers 0 ... C - 1 of those
            new A and those new B that live at the end.

    Returns:
        older A and older B that live, new A and new B that live, the next word in the bag.
    """
    made = new_a = new_b = 0
    while M > 0:
        word, at = _next(lanes, bag, at)
        if share(word, C - made + M) < C - made:
            lives[0, new_a] = lives[1, new_b] = made
            made, new_a, new_b = made + 1, new_a + 1, new_b + 1
            continue
        M -= 1
        word, at = _next(lanes, bag, at)
        if np.float64(np.int64(word >> _11)) * 2.0**-53 * ceiling >= np.float64(a + new_a) * np.float64(b + new_b):
            continue
        word, at = _next(lanes, bag, at)
        one = share(word, a + new_a)
        word, at = _next(lanes, bag, at)
        other = share(word, b + new_b)
        if one < a:
            a -= 1
        else:
            new_a -= 1
            lives[0, one - a] = lives[0, new_a]
        if other < b:
            b -= 1
        else:
            new_b -= 1
            lives[1, other - b] = lives[1, new_b]
    for k in range(made, C):
        lives[0, new_a + k - made] = lives[1, new_b + k - made] = k
    return a, b, new_a + C - made, new_b + C - made, at


@njit(nogil=True, cache=True, error_model="numpy")
def react(
    present: Words, others: Words, mean: float, rate: float, means: Array, thresholds: Words, lanes: Words, rare: Words,
    bag: Words, shift: Words32, lines: Words, made: Words32, others_made: Words32, spots: Words32, lives: Any,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Let a step pass in every cell.

    Args:
        present: shape (cells^d,): numbers of A; on return, the leading 32 bits say how many of them are taken away.
        others: the same for B.
        mean: creations in a cell and step.
        rate: destructions in a step, for one A and one B.
        means: see `ladder`.
        thresholds: see `ladder`.
        lanes: shape (4, LENGTH), where words come from.
        rare: shape (4, 1), where those for large Poisson numbers come from.
        bag: shape (BAG,).
        shift: shape (d,), of the grid.
        lines: see `edges`.
        made: shape (d, capacity), overwritten with the positions of the new A that live at the end.
        others_made: the same for B.
        spots: shape (d, capacity), overwritten.
        lives: shape (2, capacity), whole numbers, overwritten.

    Returns:
        new A and new B that live, pairs created and pairs destroyed; -1 for the first if the capacity is too small.
    """
    d, cells, capacity = made.shape[0], lines.size - 1, made.shape[1]
    number, cell = np.empty(1, np.int64), np.zeros(d, np.int64)
    at, total_a, total_b, created, destroyed = BAG, 0, 0, 0, 0
    for c in range(present.size):
        a, b = np.int64(present[c]), np.int64(others[c])
        if mean < HIGHEST:
            word, at = _next(lanes, bag, at)
            C = _below(thresholds, thresholds.shape[0] - 1, word)
        else:
            poisson(rare, mean, number)
            C = number[0]
        if created + C > capacity:
            return -1, 0, 0, 0
        ceiling = np.float64(a + C) * np.float64(b + C)
        M = 0
        if ceiling > 0:
            word, at = _next(lanes, bag, at)
            M, used = _candidates(rate * ceiling, means, thresholds, rare, number, word)
            ceiling = used / rate
        if C + M > 0:
            left_a, left_b, new_a, new_b, at = _happen(a, b, C, M, ceiling, lanes, bag, at, lives)
            for axis in range(d):
                first = lines[cell[axis]]
                width = lines[cell[axis] + 1] - first
                for k in range(C):
                    word, at = _next(lanes, bag, at)
                    spots[axis, k] = np.uint32(first + (((word >> _32) * width) >> _32)) - shift[axis]
                for k in range(new_a):
                    made[axis, total_a + k] = spots[axis, lives[0, k]]
                for k in range(new_b):
                    others_made[axis, total_b + k] = spots[axis, lives[1, k]]
            present[c] |= np.uint64(a - left_a) << _32
            others[c] |= np.uint64(b - left_b) << _32
            total_a, total_b, created = total_a + new_a, total_b + new_b, created + C
            destroyed += a + C - left_a - new_a
        for axis in range(d - 1, -1, -1):
            cell[axis] += 1
            if cell[axis] < cells:
                break
            cell[axis] = 0
    return total_a, total_b, created, destroyed
