"""Creation and recombination of pairs in cells: exact samples of a Markov chain for each cell, eight cells at a time.

In a cell with a particles A and b particles B, pairs are created at a constant rate and destroyed at a rate times a b.
With uniform times and thinning (uniformisation) there is no exponential to draw: in a step the number C of creations
is Poisson, and the chance of a destruction is a b <= (a + C)(b + C) all the while. So C creations and a Poisson number
of candidates, of a mean not below the rate times (a + C)(b + C), follow each other in an order that is uniform over all
orders, and a candidate destroys a pair with probability a b over that bound.

Which A dies is uniform among those present, and so is which B: it is an older one with the probability of their share.
Only numbers are needed: of older ones to be taken away (`sift`), and of new ones that live, which are
anywhere in the cell, A and B independently. Two that meet may be anywhere in it: if two that are made were at one point
instead, there would be no detailed balance, and fewer than in equilibrium.

Source: Gillespie, "Exact stochastic simulation of coupled chemical reactions" (1977), for the process; Lewis and
Shedler, "Simulation of nonhomogeneous Poisson processes by thinning" (1979).
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.arithmetic import fma
from kinlim.stochastic.poisson import poisson
from kinlim.stochastic.reaction.fixed import Words32
from kinlim.stochastic.reaction.supply import Words, fill
from kinlim.stochastic.streams import following
from kinlim.stochastic.vectors import (
    LENGTH,
    any_of,
    below,
    bits,
    from_bits,
    larger,
    load,
    negation,
    select,
    signed_value,
    smaller,
    store,
)

Array = NDArray[np.float64]
Vector = Any

HIGHEST = 64.0
"""Mean up to which Poisson numbers come from one uniform word each, by inversion; above, by rejection."""

MOST = 256
"""Inversion gives up there: more than that many at mean HIGHEST has a probability below 1e-70.

Sums of probabilities are rounded, so that it gets there with a probability of some 1e-16 at any mean.
"""

SOON = 4
"""Values that are looked at without asking whether it matters, since nobody can guess that."""

AT_ONCE = 4
"""New particles of a cell that are written down without asking whether there are so many."""

_1, _11, _32, _52, _63, _LOW = (np.uint64(k) for k in (1, 11, 32, 52, 63, 2**32 - 1))
_HIGHEST = np.uint64(np.array(HIGHEST).view(np.uint64))
_LARGEST = _1 << _63  # what the bits of negative numbers are above
_WHOLE = 2.0**52  # the last bit of a double of that size is worth 1
_STEP = np.repeat([1.0, 0.0], LENGTH)
_INVERSES = 1 / np.arange(1, MOST + 1)
_1_LOG_2 = 1 / math.log(2)
_LOG_2, _REST = 0.6931471805599453, 2.3190468138462996e-17  # log 2 to twice the precision
_TAYLOR = np.array([1 / math.factorial(n) for n in range(14)])


def edges(cells: int) -> Words:
    """Least position, in units of 2^-32, of every cell along an axis, and 2^32: shape (cells + 1,)."""
    return np.array([-(-(k << 32) // cells) for k in range(cells + 1)], np.uint64)


@njit(inline="always")
def exponential(x: Vector) -> Vector:
    """Find exp(-x) for 0 <= x <= HIGHEST, with a relative error below 1e-15: Taylor's series, within half an octave."""
    whole = x * _1_LOG_2 + _WHOLE
    k = whole - _WHOLE
    r = fma(k, _REST, fma(k, _LOG_2, x * -1.0))
    y = fma(r, _TAYLOR[13], _TAYLOR[12])
    for n in range(11, -1, -1):
        y = fma(r, y, _TAYLOR[n])
    return from_bits(bits(y) - (bits(whole) << _52))


@njit(inline="always")
def inverted(mean: Vector, nothing: Vector, word: Vector) -> Vector:
    """Poisson numbers of a mean up to HIGHEST: how many values of the distribution function a uniform number exceeds.

    Args:
        mean: of each.
        nothing: exp(-mean).
        word: for the uniform numbers.
    """
    u = bits(signed_value(word >> _11) * 2.0**-53)
    term, total, number, k = nothing, nothing, mean - mean, 0
    while k < SOON or (k < MOST and any_of(negation(below(u, bits(total))))):
        number = number + select(below(u, bits(total)), 0.0, 1.0)
        term = term * (mean * _INVERSES[k])
        total = total + term
        k += 1
    return number


@njit(nogil=True, cache=True, error_model="numpy")
def _rejected(means: Vector, rare: Words) -> Vector:
    """Poisson numbers of any means, one by one."""
    room, number = np.empty(LENGTH), np.empty(1, np.int64)
    store(room, 0, means)
    for lane in range(LENGTH):
        poisson(rare, room[lane], number)
        room[lane] = number[0]
    return load(room, 0)


@njit(nogil=True, cache=True, error_model="numpy")
def _draw(a: Vector, b: Vector, mean: Vector, nothing: Vector, rate: float, lanes: Words, rare: Words) -> Any:
    """Draw what may happen in LENGTH cells.

    Args:
        a: A present.
        b: B present.
        mean: creations.
        nothing: exp(-mean).
        rate: see `react`.
        lanes: see `react`.
        rare: see `react`.

    Returns:
        C and M, see `happen`.
    """
    s0, s1, s2, s3 = load(lanes, 0), load(lanes, LENGTH), load(lanes, 2 * LENGTH), load(lanes, 3 * LENGTH)
    word, s0, s1, s2, s3 = following(s0, s1, s2, s3)
    other, s0, s1, s2, s3 = following(s0, s1, s2, s3)
    store(lanes, 0, s0)
    store(lanes, LENGTH, s1)
    store(lanes, 2 * LENGTH, s2)
    store(lanes, 3 * LENGTH, s3)
    creations = _rejected(mean, rare) if any_of(below(_HIGHEST, bits(mean))) else inverted(mean, nothing, word)
    means = (a + creations) * (b + creations) * rate
    if any_of(below(_HIGHEST, bits(means))):
        return creations, _rejected(means, rare)
    return creations, inverted(means, exponential(means), other)


@njit(nogil=True, cache=True, error_model="numpy")
def happen(
    a: Vector, b: Vector, creations: Vector, candidates: Vector, lanes: Words
) -> tuple[Vector, Vector, Vector, Vector]:
    """Carry out C creations and M candidates for a destruction in random order, in LENGTH cells side by side.

    One uniform number u decides about an event, without branches. With T = C + M what is still to come, u T is below C
    for a creation; what it is above C is uniform in (0, M), and below M a b/((a + C)(b + C)) if a pair is destroyed. In
    that case it is uniform up to there, and split in proportion to the pairs of older and new ones that there are.
    Numbers of pairs are rounded beyond 2^53 only; what that might do to older B is undone at the end.

    Args:
        a: A present.
        b: B present.
        creations: C.
        candidates: M, each of which destroys a pair with probability (A present) (B present)/((a + C)(b + C)).
        lanes: shape (4, LENGTH), where words come from.

    Returns:
        A and B at the end, older A and older B at the end.
    """
    s0, s1, s2, s3 = load(lanes, 0), load(lanes, LENGTH), load(lanes, 2 * LENGTH), load(lanes, 3 * LENGTH)
    left, total, old_a, old_b, others = creations, creations + candidates, a, b, b
    none, ceiling = total - total, (a + creations) * (b + creations)
    while any_of(below(bits(none), bits(total))):  # none is no constant: with one LLVM asks ten questions instead
        word, s0, s1, s2, s3 = following(s0, s1, s2, s3)
        level = signed_value(word >> _11) * (total * 2.0**-53) - left
        made, x, tries = below(_LARGEST, bits(level)), bits(level * ceiling), total - left
        pairs_of_old, pairs = tries * old_a, tries * a
        dies, old = below(x, bits(pairs * b)), below(x, bits(pairs_of_old * b))
        both = below(x, bits(pairs_of_old * old_b))
        other_old = below(x, bits(fma(pairs - pairs_of_old, old_b, pairs_of_old * b)))
        other_old = both | (other_old & negation(old))
        old_a, old_b = select(old, old_a - 1.0, old_a), select(other_old, old_b - 1.0, old_b)
        a, b = select(made, a + 1.0, a), select(made, b + 1.0, b)
        a, b = select(dies, a - 1.0, a), select(dies, b - 1.0, b)
        left, total = select(made, left - 1.0, left), larger(total - 1.0, none)
    store(lanes, 0, s0)
    store(lanes, LENGTH, s1)
    store(lanes, 2 * LENGTH, s2)
    store(lanes, 3 * LENGTH, s3)
    return a, b, old_a, larger(smaller(smaller(old_b, others), b), none)


@njit(nogil=True, cache=True, error_model="numpy")
def _list(homes: Words32, at: int, first: int, count: int, new: Words) -> Any:
    """Write cells down once for each new particle.

    Args:
        homes: see `react`.
        at: where to begin.
        first: of the cells.
        count: of the cells.
        new: new particles in each of them.

    Returns:
        where the next one goes; -1 if there is no room.
    """
    where, room = np.uint64(at), np.uint64(homes.size - AT_ONCE)
    for lane in range(count):
        cell, end = np.uint32(first + lane), where + new[lane]
        if end > room:
            return -1
        for k in range(AT_ONCE):
            homes[where + np.uint64(k)] = cell
        if new[lane] > AT_ONCE:
            homes[where + np.uint64(AT_ONCE) : end] = cell
        where = end
    return np.int64(where)


@njit(inline="always")
def _whole(x: Vector) -> Vector:
    """Whole numbers, not negative, as words."""
    return bits(x + _WHOLE) & _LOW


@njit(nogil=True, cache=True, error_model="numpy")
def react(
    present: Words, others: Words, cells: int, mean: float, rate: float, lanes: Words, rare: Words, homes: Words32,
    others_homes: Words32,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Let a step pass in every cell.

    Args:
        present: shape (cells, up to a multiple of LENGTH): numbers of A; on return, the leading 32 bits say how many of
            them are taken away.
        others: the same for B.
        cells: how many.
        mean: creations in a cell and step.
        rate: destructions in a step, for one A and one B.
        lanes: shape (4, LENGTH), where words come from.
        rare: shape (4, 1), where those for large Poisson numbers come from.
        homes: shape (capacity + AT_ONCE,), overwritten with the cells of the new A that live at the end.
        others_homes: the same for B.

    Returns:
        new A and new B that live, pairs created and pairs destroyed; -1 for the first if the capacity is too small.
    """
    room, new = np.zeros(2 * LENGTH), np.empty((2, LENGTH), np.uint64)
    created, change = load(room, 0), load(room, 0)
    means, nothing = created + mean, created + math.exp(-mean)
    new_a, new_b = 0, 0
    for c in range(0, cells, LENGTH):
        held, others_held = load(present, c), load(others, c)
        a, b = signed_value(held), signed_value(others_held)
        creations, candidates = _draw(a, b, means, nothing, rate, lanes, rare)
        if cells - c < LENGTH:
            some = load(_STEP, LENGTH - (cells - c))
            creations, candidates = creations * some, candidates * some
        after, others_after, old, others_old = happen(a, b, creations, candidates, lanes)
        created, change = created + creations, change + (after - a)
        store(present, c, held | (_whole(a - old) << _32))
        store(others, c, others_held | (_whole(b - others_old) << _32))
        store(new, 0, _whole(after - old))
        store(new, LENGTH, _whole(others_after - others_old))
        new_a = _list(homes, new_a, c, min(LENGTH, cells - c), new[0])
        new_b = _list(others_homes, new_b, c, min(LENGTH, cells - c), new[1])
        if min(new_a, new_b) < 0:
            return -1, 0, 0, 0
    store(room, 0, created)
    store(room, LENGTH, created - change)
    made: Any = np.int64(room[:LENGTH].sum())
    gone: Any = np.int64(room[LENGTH:].sum())
    return new_a, new_b, made, gone


@njit(nogil=True, cache=True, error_model="numpy")
def settle(homes: Words32, shift: Words32, lines: Words, lanes: Words, words: Words, spots: Words32) -> None:
    """Choose uniform positions in the cells of new particles.

    Args:
        homes: the cells, the last axis fastest; overwritten.
        shift: shape (d,), of the grid.
        lines: see `edges`.
        lanes: shape (4, LENGTH), where words come from.
        words: room for some words, overwritten.
        spots: shape (d, as many as homes), overwritten.
    """
    cells = np.uint32(lines.size - 1)
    for begin in range(0, homes.size, words.size):
        size = min(words.size, homes.size - begin)
        for axis in range(spots.shape[0] - 1, -1, -1):
            fill(lanes, words)
            spot, home = spots[axis, begin : begin + size], homes[begin : begin + size]
            for k in range(size):
                rest = np.uint32(home[k] // cells) if axis > 0 else np.uint32(0)
                cell = np.uint32(home[k] - rest * cells)
                first = lines[cell]
                spot[k] = (
                    np.uint32(first + (((words[k] >> _32) * (lines[cell + np.uint32(1)] - first)) >> _32)) - shift[axis]
                )
                home[k] = rest
