"""Creation and recombination of pairs in cells: exact samples of a Markov chain for each cell, eight cells at a time.

In a cell with a particles A and b particles B, pairs are created at a constant rate and destroyed at a rate times a b.
With uniform times and thinning (uniformisation) there is no exponential to draw: in a step the number C of creations
is Poisson, and the chance of a destruction is a b <= (a + C)(b + C) all the while. So C creations and a Poisson number
of candidates, of a mean not below the rate times (a + C)(b + C), follow each other in an order that is uniform over all
orders, and a candidate destroys a pair with probability a b over that bound.

Which A dies is uniform among those present, and so is which B: it is an older one with the probability of their share.
Only numbers are needed: of older ones to be taken away (`kinlim.stochastic.sift`), and of new ones that live, which are
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

from kinlim.stochastic.fixed import Words32
from kinlim.stochastic.poisson import poisson
from kinlim.stochastic.streams import following
from kinlim.stochastic.supply import Words, fill
from kinlim.stochastic.vectors import (
    LENGTH, any_of, below, bits, equal, from_bits, gather, larger, load, negation, select, signed_value, store,
)  # fmt: skip

Array = NDArray[np.float64]
Vector = Any

LOWEST, HIGHEST = 2.0**-8, 10.0
"""Means of Poisson numbers that come from tables: one word each. Above, by rejection; below, as if it were LOWEST."""

ENTRIES = 64
"""Of a table: more than that many at mean HIGHEST has a probability below 1e-28."""

AT_ONCE = 4
"""New particles of a cell that are written down without asking whether there are so many."""

_1, _11, _32, _50, _63, _LOW = (np.uint64(k) for k in (1, 11, 32, 50, 63, 2**32 - 1))
_ENTRIES = np.uint64(ENTRIES)
_LOWEST, _HIGHEST = (np.uint64(np.array(mean).view(np.uint64)) for mean in (LOWEST, HIGHEST))
_ROW = (_LOWEST >> _50) - _1
_WHOLE = 2.0**52  # the last bit of a double of that size is worth 1


def table(mean: float) -> Words:
    """Thresholds, shape (ENTRIES,), such that the number of those that are <= a uniform word is Poisson."""
    term, total, found = math.exp(-mean), 0.0, np.empty(ENTRIES, np.uint64)
    for k in range(ENTRIES):
        total += term
        term *= mean / (k + 1)
        found[k] = min(round(total * 2**64), 2**64 - 1)
    return found


def ladder(mean: float) -> tuple[Words, Words]:
    """Tables for means LOWEST times 1, 1.25, 1.5, 1.75, 2, 2.5, ... to HIGHEST, and for the one given, the last one.

    Returns:
        the bits of one over the means, shape (n,), and tables, shape (n, ENTRIES).
    """
    octaves = math.ceil(math.log2(HIGHEST / LOWEST))
    means = [LOWEST * 2**k * (1 + quarter / 4) for k in range(octaves + 1) for quarter in range(4)]
    means.append(min(mean, HIGHEST))
    return (1 / np.array(means)).view(np.uint64), np.array([table(mean) for mean in means])


def edges(cells: int) -> Words:
    """Least position, in units of 2^-32, of every cell along an axis, and 2^32: shape (cells + 1,)."""
    return np.array([-(-(k << 32) // cells) for k in range(cells + 1)], np.uint64)


@njit(inline="always")
def _counted(thresholds: Words, first: Vector, word: Vector) -> Vector:
    """Poisson numbers from the tables that begin at `first`."""
    going = equal(word, word)
    number = word & np.uint64(0)
    for k in range(ENTRIES):
        going = going & negation(below(word, gather(thresholds, first + np.uint64(k), going)))
        if not any_of(going):
            break
        number = number + select(going, _1, np.uint64(0))
    return signed_value(number)


@njit(nogil=True, cache=True, error_model="numpy")
def _draw(
    a: Vector, b: Vector, mean: float, rate: float, inverses: Words, thresholds: Words, lanes: Words, rare: Words,
    number: Any, room: Array,
) -> tuple[Vector, Vector, Vector]:  # fmt: skip
    """Draw what may happen in LENGTH cells, from which table numbers come or else one by one.

    Returns:
        C and M, see `happen`, and the rate of destructions over that of candidates, for one A and one B.
    """
    s0, s1, s2, s3 = load(lanes, 0), load(lanes, LENGTH), load(lanes, 2 * LENGTH), load(lanes, 3 * LENGTH)
    word, s0, s1, s2, s3 = following(s0, s1, s2, s3)
    other, s0, s1, s2, s3 = following(s0, s1, s2, s3)
    store(lanes, 0, s0)
    store(lanes, LENGTH, s1)
    store(lanes, 2 * LENGTH, s2)
    store(lanes, 3 * LENGTH, s3)
    if mean < HIGHEST:
        creations = _counted(thresholds, (word & np.uint64(0)) + np.uint64(thresholds.size - ENTRIES), word)
    else:
        for lane in range(LENGTH):
            poisson(rare, mean, number)
            room[lane] = number[0]
        creations = load(room, 0)
    means = (a + creations) * (b + creations) * rate
    means = select(below(bits(means), _LOWEST), LOWEST, means)
    if any_of(below(_HIGHEST, bits(means))):
        store(room, 0, means)
        for lane in range(LENGTH):
            poisson(rare, room[lane], number)
            room[LENGTH + lane] = number[0]
            room[lane] = rate / room[lane]
        return creations, load(room, LENGTH), load(room, 0)
    row = (bits(means) >> _50) - _ROW
    inverse = gather(inverses, row, equal(row, row))
    return creations, _counted(thresholds, row * _ENTRIES, other), from_bits(inverse) * rate


@njit(nogil=True, cache=True, error_model="numpy")
def happen(
    a: Vector, b: Vector, creations: Vector, candidates: Vector, weight: Vector, longest: int, lanes: Words
) -> tuple[Vector, Vector, Vector, Vector]:
    """Carry out C creations and M candidates for a destruction in random order, in LENGTH cells side by side.

    A number u T, with u uniform and T = C + M what is still to come, is below C for a creation; what it is above C is
    uniform in (0, M), and decides about a candidate. There are no branches.

    Args:
        a: A present.
        b: B present.
        creations: C.
        candidates: M, each of which destroys a pair with probability `weight` (A present) (B present).
        weight: see there.
        longest: the largest C + M.
        lanes: shape (4, LENGTH), where words come from.

    Returns:
        A and B at the end, older A and older B at the end.
    """
    s0, s1, s2, s3 = load(lanes, 0), load(lanes, LENGTH), load(lanes, 2 * LENGTH), load(lanes, 3 * LENGTH)
    left, total, old_a, old_b = creations, creations + candidates, a, b
    none = total - total
    for _ in range(longest):
        word, s0, s1, s2, s3 = following(s0, s1, s2, s3)
        who, s0, s1, s2, s3 = following(s0, s1, s2, s3)
        level = signed_value(word >> _11) * total * 2.0**-53 - left
        dies = below(bits(level), bits((total - left) * weight * (a * b)))
        gone, made = select(dies, 1.0, 0.0), signed_value(bits(level) >> _63)
        one, other = signed_value(who >> _32) * 2.0**-32 * a, signed_value(who & _LOW) * 2.0**-32 * b
        older, others_older = below(bits(one), bits(old_a)) & dies, below(bits(other), bits(old_b)) & dies
        old_a, old_b = old_a - select(older, 1.0, 0.0), old_b - select(others_older, 1.0, 0.0)
        left, total = left - made, larger(total - 1.0, none)
        change = made - gone
        a, b = a + change, b + change
    store(lanes, 0, s0)
    store(lanes, LENGTH, s1)
    store(lanes, 2 * LENGTH, s2)
    store(lanes, 3 * LENGTH, s3)
    return a, b, old_a, old_b


@njit(inline="always")
def _write(homes: Words32, at: int, cell: int, new: int) -> int:
    """Write the cell down once for each new particle; where the next one goes."""
    for k in range(AT_ONCE):
        homes[at + k] = cell
    for k in range(AT_ONCE, new):
        homes[at + k] = cell
    return at + new


@njit(nogil=True, cache=True, error_model="numpy")
def react(
    present: Words, others: Words, cells: int, mean: float, rate: float, inverses: Words, thresholds: Words,
    lanes: Words, rare: Words, homes: Words32, others_homes: Words32,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Let a step pass in every cell.

    Args:
        present: shape (cells, up to a multiple of LENGTH): numbers of A; on return, the leading 32 bits say how many of
            them are taken away.
        others: the same for B.
        cells: how many.
        mean: creations in a cell and step.
        rate: destructions in a step, for one A and one B.
        inverses: see `ladder`.
        thresholds: see `ladder`, taken flat.
        lanes: shape (4, LENGTH), where words come from.
        rare: shape (4, 1), where those for large Poisson numbers come from.
        homes: shape (capacity + AT_ONCE,), overwritten with the cells of the new A that live at the end.
        others_homes: the same for B.

    Returns:
        new A and new B that live, pairs created and pairs destroyed; -1 for the first if the capacity is too small.
    """
    number, room, plan = np.empty(1, np.int64), np.empty(2 * LENGTH), np.empty(5 * LENGTH)
    new_a, new_b, created, destroyed = 0, 0, 0, 0
    for c in range(0, cells, LENGTH):
        held, others_held = load(present, c), load(others, c)
        a, b = signed_value(held), signed_value(others_held)
        creations, candidates, weight = _draw(
            a, b, mean, rate, inverses, thresholds, lanes, rare, number, room
        )  # fmt: skip
        store(plan, 0, creations)
        store(plan, LENGTH, candidates)
        for lane in range(cells - c, LENGTH):
            plan[lane] = plan[LENGTH + lane] = 0.0
        longest, coming = 0.0, 0.0
        for lane in range(LENGTH):
            longest = max(longest, plan[lane] + plan[LENGTH + lane])
            coming += plan[lane]
        created += np.int64(coming)
        if created + AT_ONCE > homes.size:
            return -1, 0, 0, 0
        after, others_after, old, others_old = happen(
            a, b, load(plan, 0), load(plan, LENGTH), weight, np.int64(longest), lanes
        )
        store(present, c, held | (bits((a - old) + _WHOLE) << _32))
        store(others, c, others_held | (bits((b - others_old) + _WHOLE) << _32))
        store(plan, LENGTH, after - old)
        store(plan, 2 * LENGTH, others_after - others_old)
        store(plan, 3 * LENGTH, a - after)
        for lane in range(min(LENGTH, cells - c)):
            new_a = _write(homes, new_a, c + lane, np.int64(plan[LENGTH + lane]))
            new_b = _write(others_homes, new_b, c + lane, np.int64(plan[2 * LENGTH + lane]))
            destroyed += np.int64(plan[lane] + plan[3 * LENGTH + lane])
    return new_a, new_b, created, destroyed


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
