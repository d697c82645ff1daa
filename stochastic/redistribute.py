"""The redistribute kernel: Steps 2.1 and 2.2 of the pinned balls, for a group of replicas side by side.

One collision of one replica, with (a, b, d) the velocities of a uniform triple:
    Step 2.1   S = a+b+d, m = S/3, H^2 = 3(a-b)^2 + (a+b-2d)^2 = 9 R^2, (x, y) uniform on the unit circle,
               a = m + H (x + sqrt(3) y)/6,  b = m + H (x - sqrt(3) y)/6,  d = S - a - b,
               which is m + R (sin t, sin(t+2pi/3), sin(t+4pi/3)) up to the order of three equally spaced angles;
    Step 2.2   with probability 1/2 sort (a, b), else sort (b, d), increasingly.
One 64-bit word u pays for it: u (n-2)/2^64 has the centre as its whole part and, independent of it up to n/2^64,
a uniform fraction whose leading bit chooses the pair and whose other bits give the point on the circle.

Speed comes from doing the same thing to `LANES` replicas in short loops that LLVM turns into vectors: draws for
`STEPS` collisions ahead, then for each collision gather, arithmetic, scatter. A replica is contiguous in memory, so
its triple is in one or two cache lines.
"""

import math
from decimal import Decimal, localcontext

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.arithmetic import fma, point_on_circle
from kinlim.stochastic.streams import following

LANES = 32
"""Replicas side by side: about 190 million collisions a second on one core, 150 with 16 lanes and 70 with 8."""

STEPS = 8
"""Collisions drawn ahead; from 4 to 32 the speed is the same within 2 %."""


def _two_floats(value: Decimal) -> tuple[float, float]:
    """Split a number into a float and the rest, so that fma(x, high, x*low) has no systematic rounding error."""
    return float(value), float(value - Decimal(float(value)))


with localcontext(prec=50):
    # Rounded to one float these two would each change every triple's energy by 5e-17 in the same direction, which
    # a million collisions per site would turn into 1e-10.
    SIXTH, SIXTH_REST = _two_floats(Decimal(1) / 6)
    ROOT, ROOT_REST = _two_floats(Decimal(3).sqrt() / 6)

_1, _32, _63 = np.uint64(1), np.uint64(32), np.uint64(63)
_LOW = np.uint64(0xFFFFFFFF)


PAD = 8
"""Spare entries behind the velocities of a replica that is simulated alone, see `perform`."""


def width(balls: int) -> int:
    """Row length of the velocities: at least balls + 4, an odd number of cache lines so that rows share no sets."""
    lines = -(-(balls + 4) // 8)
    return 8 * (lines | 1)


@njit(inline="always")
def decode(word: np.uint64, choices: np.uint64) -> tuple[np.int64, np.float64, np.float64]:
    """Read a collision from a word: 2 (left site from 0) + pair, (x + sqrt(3) y)/6 and (x - sqrt(3) y)/6."""
    low = (word & _LOW) * choices
    high = (word >> _32) * choices + (low >> _32)
    left = high >> _32
    fraction = (high << _32) | (low & _LOW)
    move = np.int64((left << _1) | (fraction >> _63))
    x, y = point_on_circle(fraction << _1)
    x = fma(x, SIXTH, x * SIXTH_REST)
    y = fma(y, ROOT, y * ROOT_REST)
    return move, x + y, x - y


@njit(nogil=True, cache=True, error_model="numpy")
def _collide(
    v: NDArray[np.float64],
    rows: int,
    count: int,
    move: NDArray[np.int64],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    triple: NDArray[np.float64],
) -> None:
    """Carry out `count` decoded collisions in every lane, whose velocities begin at v[lane * rows]."""
    for k in range(count):
        for lane in range(LANES):
            site = lane * rows + (move[k, lane] >> 1)
            triple[0, lane] = v[site]
            triple[1, lane] = v[site + 1]
            triple[2, lane] = v[site + 2]
        for lane in range(LANES):
            a, b, d = triple[0, lane], triple[1, lane], triple[2, lane]
            total = a + b + d
            mean = total * (1 / 3)  # its rounding error cancels: d takes what a and b leave
            across = a - b
            along = fma(-3.0, d, total)
            radius = math.sqrt(fma(3.0 * across, across, along * along))
            a = fma(radius, first[k, lane], mean)
            b = fma(radius, second[k, lane], mean)
            d = total - a - b
            left = (move[k, lane] & 1) == 1
            low_ab, high_ab = min(a, b), max(a, b)
            low_bd, high_bd = min(b, d), max(b, d)
            triple[0, lane] = low_ab if left else a
            triple[1, lane] = high_ab if left else low_bd
            triple[2, lane] = d if left else high_bd
        for lane in range(LANES):
            site = lane * rows + (move[k, lane] >> 1)
            v[site] = triple[0, lane]
            v[site + 1] = triple[1, lane]
            v[site + 2] = triple[2, lane]


@njit(nogil=True, cache=True, error_model="numpy")
def advance(
    v: NDArray[np.float64],
    balls: int,
    streams: NDArray[np.uint64],
    collisions: int,
    move: NDArray[np.int64],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    triple: NDArray[np.float64],
) -> None:
    """Let every replica go through `collisions` collisions.

    Args:
        v: velocities, shape (replicas, width(balls)), changed in place; replicas is a multiple of LANES.
        balls: n; columns from n on are padding.
        streams: shape (4, replicas), advanced by `collisions`.
        collisions: how many; a run cut in two anywhere gives the same velocities.
        move: workspace, see `workspace`.
        first: workspace.
        second: workspace.
        triple: workspace.
    """
    choices = np.uint64(balls - 2)
    for group in range(0, v.shape[0], LANES):
        rows = v[group : group + LANES].reshape(-1)
        done = 0
        while done < collisions:
            count = min(STEPS, collisions - done)
            for k in range(count):
                for lane in range(LANES):
                    r = group + lane
                    word, streams[0, r], streams[1, r], streams[2, r], streams[3, r] = following(
                        streams[0, r], streams[1, r], streams[2, r], streams[3, r]
                    )
                    move[k, lane], first[k, lane], second[k, lane] = decode(word, choices)
            _collide(rows, v.shape[1], count, move, first, second, triple)
            done += count


@njit(nogil=True, cache=True, error_model="numpy")
def perform(
    v: NDArray[np.float64],
    choices: int,
    words: NDArray[np.uint64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    move: NDArray[np.int64],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    triple: NDArray[np.float64],
) -> None:
    """Carry out listed collisions of one replica, those of lane l being words[begin[l]:end[l]] in this order.

    Args:
        v: velocities, shape (n + PAD,), changed in place; what lies in the last PAD entries is lost.
        choices: n - 2.
        words: shape (any,), what `advance` would draw.
        begin: shape (LANES,).
        end: shape (LANES,). Sites that one lane touches no other lane may touch.
        move: workspace, see `workspace`.
        first: workspace.
        second: workspace.
        triple: workspace.
    """
    longest = 0
    for lane in range(LANES):
        longest = max(longest, end[lane] - begin[lane])
    spare = 2 * (np.int64(choices) + 2)
    done = 0
    while done < longest:
        count = min(STEPS, longest - done)
        for k in range(count):
            for lane in range(LANES):
                at = begin[lane] + done + k
                word = words[at] if at < end[lane] else np.uint64(0)
                move[k, lane], first[k, lane], second[k, lane] = decode(word, np.uint64(choices))
                if at >= end[lane]:
                    move[k, lane] = spare
        _collide(v, 0, count, move, first, second, triple)
        done += count


def workspace() -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Allocate the last four arguments of `advance` and `perform`, so that kernels allocate nothing."""
    return (
        np.empty((STEPS, LANES), np.int64),
        np.empty((STEPS, LANES)),
        np.empty((STEPS, LANES)),
        np.empty((3, LANES)),
    )
