"""The redistribute kernel: Steps 2.1 and 2.2 of the pinned balls, LANES collisions side by side.

One collision, with (a, b, d) the velocities of a uniform triple:
    Step 2.1   S = a+b+d, m = S/3, H^2 = 3(a-b)^2 + (a+b-2d)^2 = 9 R^2, (x, y) uniform on the circle of radius 1/6,
               a = m + H (x + sqrt(3) y),  b = m + H (x - sqrt(3) y),  d = S - a - b,
               which is m + R (sin t, sin(t+2pi/3), sin(t+4pi/3)) up to the order of three equally spaced angles;
    Step 2.2   with probability 1/2 sort (a, b), else sort (b, d), increasingly.
One 64-bit word u pays for it: u (n-2)/2^64 has the left site as its whole part and, independent of it up to n/2^64,
a uniform fraction whose leading bit chooses the pair and whose other bits give the point on the circle.

A lane is a place where one collision follows another: a replica (`advance`), or a tile of one (`perform`). The lanes
are served in vectors of 8, in turn, and three things that do not wait for each other stand side by side in the loop:
`meet` of the next 8 lanes, `part` of these 8, and `aim` for their next collision.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.arithmetic import fma, unbiased_sine_and_cosine
from kinlim.stochastic.copying import put
from kinlim.stochastic.pinned.triples import expect_triples, read_triples, write_triples
from kinlim.stochastic.streams import following
from kinlim.stochastic.vectors import (
    LENGTH,
    any_bit,
    below,
    bits,
    from_bits,
    gather,
    larger,
    load,
    root,
    select,
    signed_value,
    smaller,
    store,
)

LANES = 32
"""Collisions side by side: with 16, where the next in a lane waits for the last, 0.7 of the speed; with 64, 0.95."""

PAD = 8
"""Spare entries behind the velocities of a replica that is simulated alone, see `perform`."""

Vector = Any  # of LENGTH values; `NDArray` for arrays
Words = NDArray[np.uint64]

# Rows of the workspace, of LANES words each: the state of the lanes' source of words, and their next collisions.
STATE, BASE, PLACE, TURN, FIRST, SECOND = (row * LANES for row in (0, 4, 5, 6, 7, 8))
ROWS = 9

ROOT_3 = math.sqrt(3)
# The circle's radius makes up for the rounding of sqrt(3), so that the mean of 36 x^2 + 12 (ROOT_3 y)^2, to which a
# triple's energy is proportional, is 1. An error of 5e-17 there would become 1e-10 in a million collisions per site.
_sine, _cosine = unbiased_sine_and_cosine(1 / (18 + 6 * Fraction(ROOT_3) ** 2), terms=7)
# r comes as a whole number, r 2^63.
S0, S1, S2, S3, S4, S5, S6 = (c * 2.0 ** (-126 * k - 63) for k, c in enumerate(_sine))
C0, C1, C2, C3, C4, C5, C6 = (c * 2.0 ** (-126 * k) for k, c in enumerate(_cosine))

_0, _1, _2, _32, _62 = (np.uint64(k) for k in (0, 1, 2, 32, 62))
_LOW, _TOP = np.uint64(2**32 - 1), np.uint64(2**63)


def width(balls: int) -> int:
    """Row length of the velocities: at least balls + 4, an odd number of cache lines so that rows share no sets."""
    lines = -(-(balls + 4) // 8)
    return 8 * (lines | 1)


def velocities(replicas: int, balls: int) -> NDArray[np.float64]:
    """Zeros of shape (replicas, width(balls)) in cache lines that no other thread's velocities reach into."""
    row = width(balls)
    spare = np.zeros(replicas * row + 48)
    first = 16 + -spare.ctypes.data % 128 // 8
    return spare[first : first + replicas * row].reshape(replicas, row)


@njit(inline="always")
def decode(word: Vector, choices: np.uint64) -> tuple[Vector, Vector, Vector, Vector]:
    """Read collisions from words.

    Args:
        word: uniform.
        choices: n - 2, below 2^32.

    Returns:
        the left site of the triple from 0, in the upper half of a word; a word with its leading bit set if the point
        (x, y) is to be reflected at the origin, and bit 1 set if the left pair is to be sorted; x + sqrt(3) y and
        x - sqrt(3) y before that reflection.
    """
    choices = choices & _LOW  # tells LLVM that two products of 32 bits make one
    low = (word & _LOW) * choices
    high = (word >> _32) * choices
    place = high + (low >> _32)
    fraction = low + (high << _32)
    turn = (fraction << _2) | (fraction >> _62)  # its last two bits are below the precision of r
    r = signed_value(turn << _1)
    q = r * r
    sine = r * fma(q, fma(q, fma(q, fma(q, fma(q, fma(q, S6, S5), S4), S3), S2), S1), S0)
    cosine = fma(q, fma(q, fma(q, fma(q, fma(q, fma(q, C6, C5), C4), C3), C2), C1), C0)
    diagonal = any_bit(turn & _1)
    x = select(diagonal, sine, cosine)
    y = select(diagonal, cosine, sine)
    return place, turn, fma(y, ROOT_3, x), fma(y, -ROOT_3, x)


@njit(inline="always")
def aim(room: Words, lane: int, word: Vector, base: Vector, choices: np.uint64) -> None:
    """Make ready the next collisions of lane, lane + 1, .., whose sites count from base/2^32."""
    place, turn, first, second = decode(word, choices)
    store(room, PLACE + lane, place + base)
    store(room, TURN + lane, turn)
    store(room, FIRST + lane, bits(first))
    store(room, SECOND + lane, bits(second))


@njit(inline="always")
def meet(v: NDArray[np.float64], room: Words, lane: int) -> tuple[Vector, Vector]:
    """Compute S and H of the next collisions of lane, lane + 1, .."""
    a, b, d = read_triples(v, room, PLACE + lane)
    total = a + b + d
    across = a - b
    along = fma(-3.0, d, total)
    return total, root(fma(3.0 * across, across, along * along))


@njit(inline="always")
def part(v: NDArray[np.float64], room: Words, lane: int, total: Vector, radius: Vector) -> None:
    """Carry out the collisions of lane, lane + 1, .., given their S and H."""
    turn = load(room, TURN + lane)
    radius = from_bits(bits(radius) ^ (turn & _TOP))
    mean = total * (1 / 3)  # its rounding error cancels: d takes what a and b leave
    a = fma(radius, from_bits(load(room, FIRST + lane)), mean)
    b = fma(radius, from_bits(load(room, SECOND + lane)), mean)
    d = total - a - b
    left = any_bit(turn & _2)
    low = select(left, smaller(a, b), a)
    middle = select(left, larger(a, b), smaller(b, d))
    high = select(left, d, larger(b, d))
    write_triples(v, room, PLACE + lane, low, middle, high)


@njit(inline="always")
def from_streams(room: Words, lane: int, _: int) -> tuple[Vector, Vector]:
    """Draw the next words, and the places where the lanes begin. STATE: four words of each stream."""
    at = STATE + lane
    a, b = load(room, at), load(room, at + LANES)
    c, d = load(room, at + 2 * LANES), load(room, at + 3 * LANES)
    word, a, b, c, d = following(a, b, c, d)
    store(room, at, a)
    store(room, at + LANES, b)
    store(room, at + 2 * LANES, c)
    store(room, at + 3 * LANES, d)
    return word, load(room, BASE + lane)


@njit(inline="always")
def from_lists(room: Words, lane: int, lists: tuple[Words, np.uint64]) -> tuple[Vector, Vector]:
    """Read the next words, or after the last one choose the spare place. STATE: where a list is, and where it ends."""
    words, spare = lists
    at = load(room, STATE + lane)
    store(room, STATE + lane, at + _1)
    listed = below(at, load(room, STATE + LANES + lane))
    return gather(words, at, listed), select(listed, _0, spare)


@njit(inline="always")
def run(following_words: Any, source: Any, v: NDArray[np.float64], choices: int, count: int, room: Words) -> None:
    """Let every lane go through `count` > 0 collisions.

    No collision touches what another one of the same round, of every lane one, does: so the next lanes may be read
    before these ones are written.
    """
    for lane in range(0, LANES, LENGTH):
        word, base = following_words(room, lane, source)
        aim(room, lane, word, base, np.uint64(choices))
    total, radius = meet(v, room, 0)
    for k in range(1, count + 1):
        for lane in range(0, LANES, LENGTH):
            # After the very last lane this reads lane 0 once more, for nothing.
            next_total, next_radius = meet(v, room, (lane + LENGTH) % LANES)
            part(v, room, lane, total, radius)
            total, radius = next_total, next_radius
            expect_triples(v, room, PLACE + (lane + LANES - LENGTH) % LANES)
            if k < count:
                word, base = following_words(room, lane, source)
                aim(room, lane, word, base, np.uint64(choices))


@njit(nogil=True, cache=True, error_model="numpy")
def advance(v: NDArray[np.float64], balls: int, streams: Words, collisions: int, room: Words) -> None:
    """Let every replica go through `collisions` collisions.

    Args:
        v: velocities, shape (replicas, width(balls)), changed in place; replicas is a multiple of LANES.
        balls: n; columns from n on are padding.
        streams: shape (4, replicas), advanced by `collisions`.
        collisions: how many; a run cut in two anywhere gives the same velocities.
        room: see `workspace`.
    """
    if collisions == 0:
        return
    for lane in range(LANES):
        room[BASE // LANES, lane] = (lane * v.shape[1]) << 32
    for group in range(0, v.shape[0], LANES):
        put(room[:4], streams[:, group : group + LANES])
        run(from_streams, 0, v[group : group + LANES], balls - 2, collisions, room)
        put(streams[:, group : group + LANES], room[:4])


@njit(nogil=True, cache=True, error_model="numpy")
def perform(
    v: NDArray[np.float64],
    choices: int,
    words: Words,
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    spare: int,
    room: Words,
) -> None:
    """Carry out listed collisions of one replica, those of lane l being words[begin[l]:end[l]] in this order.

    Args:
        v: velocities and spare entries, changed in place.
        choices: n - 2.
        words: what `advance` would draw.
        begin: shape (LANES,).
        end: shape (LANES,). Sites that one lane touches no other lane may touch.
        spare: n or more: the first of PAD entries of v that nobody else writes to; what is there is lost.
        room: see `workspace`.
    """
    count = 0
    for lane in range(LANES):
        count = max(count, end[lane] - begin[lane])
        room[0, lane], room[1, lane] = begin[lane], end[lane]
    if count == 0:
        return
    v[spare : spare + PAD] = 0.0  # lanes that are through collide there, all at the same place
    run(from_lists, (words, np.uint64(spare) << _32), v, choices, count, room)


def workspace() -> tuple[Words]:
    """Allocate the last argument of `advance` and `perform`, so that kernels allocate nothing.

    Cache lines, with 128 bytes to spare on both sides, which no other thread's workspace can reach into.
    """
    words = np.empty(ROWS * LANES + 48, np.uint64)
    first = 16 + -words.ctypes.data % 128 // 8
    return (words[first : first + ROWS * LANES].reshape(ROWS, LANES),)
