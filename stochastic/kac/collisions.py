"""The collisions of the Kac model: pairs of particles in R^3, or one with a thermostat.

A collision of p and q along Omega, uniform on the unit sphere, is
    p* = p - [(p - q).Omega] Omega,  q* = q + [(p - q).Omega] Omega,
which exchanges their components along Omega. So one with a thermostat, whose particles have independent components
N(0, s^2), gives p a new component along Omega: p* = p + (xi - p.Omega) Omega with xi from N(0, s^2). The component of
the partner along Omega is all that p* knows of it; what is across is as random as before.

A thermostat may show as a `mirror`: a reservoir whose particle, after it has met the system, has a new component
along Omega in place of the system's. Given all that the system has seen, such a reservoir is in equilibrium at all
times, so that every partner is one of a thermostat; and yet it is, collision by collision, as near to a true
reservoir with the same Omega as it can be.

Each collision takes three words of the replica's stream: which kind of pair, which pair, and Omega. The normal numbers
xi come from a second stream, two words a collision whether it needs them or not.

Who collides, and along which Omega, does not depend on the velocities. So BLOCK collisions are drawn at once, LENGTH of
them in a vector: those that are next in LENGTH replicas (`_side_by_side`) or one after the other in one replica
(`_alone`), whose stream then is the slower part. They are then carried out in order, one register for one particle.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.copying import put
from kinlim.stochastic.directions import direction, normal
from kinlim.stochastic.kac.quadruples import along, between, exchange, expect, push, write_rows
from kinlim.stochastic.streams import following
from kinlim.stochastic.vectors import LENGTH, any_of, below, equal, load, negation, select, store

Vector = Any

BLOCK = 128
"""Collisions drawn ahead: 64 are as fast, 256 reach 0.95 of the speed, 512 reach 0.85."""

NEAR = 4_000_000
"""Bytes of LENGTH replicas up to which these are faster side by side than one after the other."""

FIRST_CACHE = 32_000
"""Bytes of velocities from which on it pays to ask for them ahead."""

PAIRS, MIRROR, ALONE = 0, 1, 2  # what happens when system and reservoir meet, see `advance` and `advance_alone`

_1, _2, _32 = np.uint64(1), np.uint64(2), np.uint64(32)
_LOW, _ALL = np.uint64(2**32 - 1), np.uint64(2**64 - 1)


@dataclass(frozen=True)
class Clocks:
    """Independent exponential clocks of all pairs: what rings next, and how often something does.

    Attributes:
        system: M.
        reservoir: N; 0 for a thermostat.
        rates: at which some pair of the system, of system and reservoir (or thermostat), of the reservoir collides.
    """

    system: int
    reservoir: int
    rates: tuple[float, float, float]

    @property
    def total(self) -> float:
        """Collisions per unit of time."""
        return sum(self.rates)

    @property
    def below(self) -> NDArray[np.uint64]:
        """Bounds, shape (2,): a word below the first is a pair of the system, above the second one of the reservoir."""
        system, mixed, reservoir = map(Fraction, self.rates)
        total = system + mixed + reservoir
        bounds = (round(part / total * 2**64) for part in (system, system + mixed))
        return np.array([min(b, 2**64 - 1) for b in bounds], np.uint64)


def velocities(replicas: int, particles: int) -> NDArray[np.float64]:
    """Zeros for `particles` particles in each replica, as the kernels want them; `components` shows them.

    A particle has four entries, the last one 0; a row has an odd number of cache lines, so that rows share no sets, and
    no other thread's velocities reach into the lines of these.
    """
    row = 8 * (-(-particles // 2) | 1)
    spare = np.zeros(replicas * row + 48)
    first = 16 + -spare.ctypes.data % 128 // 8
    return spare[first : first + replicas * row].reshape(replicas, row)


def components(v: NDArray[np.float64], particles: int) -> NDArray[np.float64]:
    """The same memory as an array of shape (replicas, particles, 3)."""
    return v[:, : 4 * particles].reshape(len(v), particles, 4)[:, :, :3]


@njit(inline="always")
def decode(kind: Vector, pair: Vector, bounds: Any, system: np.uint64, reservoir: np.uint64) -> tuple[Vector, ...]:
    """Read from words who collides.

    Args:
        kind: uniform.
        pair: uniform.
        bounds: see `Clocks`.
        system: M, below 2^32.
        reservoir: N, below 2^32.

    Returns:
        four times the number of one particle, counted through the system and then the reservoir; that of the other one;
        whether they are one of the system and one of the reservoir.
    """
    inside, outside = below(kind, bounds[0]), below(bounds[1], kind)
    # One of `first` particles from `base` on meets one of `second` from `start` on, or `last` in place of itself.
    first = select(outside, reservoir, system) & _LOW  # tells LLVM that two products of 32 bits make one
    second = select(inside, system - _1, select(outside, reservoir - _1, reservoir)) & _LOW
    low = (pair & _LOW) * first
    high = (pair >> _32) * first + (low >> _32)
    rest = (high & _LOW) * second + (((low & _LOW) * second) >> _32)  # of the fraction, which is uniform again
    one = ((high >> _32) << _2) + select(outside, system << _2, np.uint64(0))
    other = ((rest >> _32) << _2) + select(inside, np.uint64(0), system << _2)
    last = select(inside, (system - _1) << _2, (system + reservoir - _1) << _2)
    return one, select(equal(one, other), last, other), negation(inside | outside)


@njit(inline="always")
def _draw(
    places: Any, omegas: Any, at: int, kind: Vector, pair: Vector, where: Vector,
    start: Vector, bounds: Any, system: np.uint64, reservoir: np.uint64, mode: int,
) -> Vector:  # fmt: skip
    """Put collisions at, at + 1, .. into `places`, which count from `start`, and `omegas`; return which are mixed."""
    one, other, mixed = decode(kind, pair, bounds, system, reservoir)
    if mode == ALONE:
        other = select(mixed, one, other)  # see `_carry_out`
    store(places, at, one + start)
    store(places, BLOCK + at, other + start)
    if mode != PAIRS:
        store(places, 2 * BLOCK + at, select(mixed, _1, np.uint64(0)))
    x, y, z = direction(where)
    write_rows(omegas, 4 * at, x, y, z)
    return mixed


@njit(inline="always")
def _carry_out(v: Any, places: Any, omegas: Any, xi: Any, count: int, spread: float, mode: int) -> None:
    """Carry out the first `count` collisions."""
    for k in range(count):
        p, q, o = np.int64(places[0, k]), np.int64(places[1, k]), 4 * k
        if mode == ALONE:  # mostly mixed ones, so no branch: p stands for the other one, which stays as it is
            at_p, at_q, new = along(v, p, omegas, o), along(v, q, omegas, o), spread * xi[k]
            push(v, q, omegas, o, at_p - at_q)
            push(v, p, omegas, o, (new if places[2, k] else at_q) - at_p)
        elif mode == MIRROR and places[2, k]:
            by_p, by_q = between(v, p, q, omegas, o), spread * xi[k] - along(v, q, omegas, o)
            push(v, p, omegas, o, by_p)  # the bits that `exchange` gives
            push(v, q, omegas, o, by_q)
        else:
            exchange(v, p, q, omegas, o)


@njit(inline="always")
def _side_by_side(
    v: Any, system: int, reservoir: int, bounds: Any, streams: Any, count: int, spread: float, fresh: Any, mode: int,
    room: Any,
) -> None:  # fmt: skip
    """Let LENGTH replicas go through `count` collisions each."""
    places, omegas, xi, words = room
    for lane in range(LENGTH):
        words[8, lane] = lane * v.shape[1]
    put(words[:4, :LENGTH], streams)
    put(words[4:8, :LENGTH], fresh)
    a, b, c, d = load(words, 0), load(words, BLOCK), load(words, 2 * BLOCK), load(words, 3 * BLOCK)
    e, f, g, h = load(words, 4 * BLOCK), load(words, 5 * BLOCK), load(words, 6 * BLOCK), load(words, 7 * BLOCK)
    start = load(words, 8 * BLOCK)
    ahead = 8 * v.size > FIRST_CACHE
    done = 0
    while done < count:
        most = LENGTH * min(BLOCK // LENGTH, count - done)
        for k in range(0, most, LENGTH):
            kind, a, b, c, d = following(a, b, c, d)
            pair, a, b, c, d = following(a, b, c, d)
            where, a, b, c, d = following(a, b, c, d)
            mixed = _draw(
                places, omegas, k, kind, pair, where, start, bounds, np.uint64(system), np.uint64(reservoir), mode
            )
            if ahead:
                expect(v, places, k)
                expect(v, places, BLOCK + k)
            if mode != PAIRS:
                one, e, f, g, h = following(e, f, g, h)
                two, e, f, g, h = following(e, f, g, h)
                if any_of(mixed):
                    store(xi, k, normal(one, two))
        _carry_out(v, places, omegas, xi, most, spread, mode)
        done += most // LENGTH
    store(words, 0, a)
    store(words, BLOCK, b)
    store(words, 2 * BLOCK, c)
    store(words, 3 * BLOCK, d)
    store(words, 4 * BLOCK, e)
    store(words, 5 * BLOCK, f)
    store(words, 6 * BLOCK, g)
    store(words, 7 * BLOCK, h)
    put(streams, words[:4, :LENGTH])
    put(fresh, words[4:8, :LENGTH])


@njit(inline="always")
def _alone(
    v: Any, system: int, reservoir: int, bounds: Any, stream: Any, count: int, spread: float, fresh: Any, mode: int,
    room: Any,
) -> None:  # fmt: skip
    """Let one replica go through `count` collisions."""
    places, omegas, xi, words = room
    words[8, :LENGTH] = 0
    start = load(words, 8 * BLOCK)
    a, b, c, d = stream
    e, f, g, h = fresh
    ahead = 8 * v.size > FIRST_CACHE
    done = 0
    while done < count:
        most = min(BLOCK, count - done)
        for k in range(most):
            words[0, k], a, b, c, d = following(a, b, c, d)
            words[1, k], a, b, c, d = following(a, b, c, d)
            words[2, k], a, b, c, d = following(a, b, c, d)
        if mode != PAIRS:
            for k in range(most):
                words[3, k], e, f, g, h = following(e, f, g, h)
                words[4, k], e, f, g, h = following(e, f, g, h)
        for k in range(0, most, LENGTH):  # what lies behind the last one is drawn from old words, for nothing
            kind, pair, where = load(words, k), load(words, BLOCK + k), load(words, 2 * BLOCK + k)
            mixed = _draw(
                places, omegas, k, kind, pair, where, start, bounds, np.uint64(system), np.uint64(reservoir), mode
            )
            if ahead:
                expect(v, places, k)
                expect(v, places, BLOCK + k)
            if mode != PAIRS and any_of(mixed):
                store(xi, k, normal(load(words, 3 * BLOCK + k), load(words, 4 * BLOCK + k)))
        _carry_out(v, places, omegas, xi, most, spread, mode)
        done += most
    stream[0], stream[1], stream[2], stream[3] = a, b, c, d
    fresh[0], fresh[1], fresh[2], fresh[3] = e, f, g, h


@njit(inline="always")
def _run(
    v: Any, system: int, reservoir: int, below: Any, streams: Any, events: Any, spread: float, fresh: Any, mode: int
) -> None:
    """Let replica r go through events[r] collisions."""
    room = np.empty((3, BLOCK), np.uint64), np.empty((BLOCK, 4)), np.empty(BLOCK), np.zeros((9, BLOCK), np.uint64)
    bounds = below[0], below[1] if reservoir > 1 else _ALL
    for first in range(0, events.shape[0], LENGTH):
        end = min(first + LENGTH, events.shape[0])
        common = 0
        if end - first == LENGTH and 8 * LENGTH * v.shape[1] <= NEAR:
            common = events[first:end].min()
            _side_by_side(
                v[first:end], system, reservoir, bounds, streams[:, first:end], common, spread, fresh[:, first:end],
                mode, room,
            )  # fmt: skip
        for r in range(first, end):
            if events[r] > common:
                _alone(
                    v[r], system, reservoir, bounds, streams[:, r], events[r] - common, spread, fresh[:, r], mode, room
                )


@njit(nogil=True, cache=True, error_model="numpy")
def advance(
    v: Any, system: int, reservoir: int, below: Any, streams: Any, events: Any, mirror: bool, spread: float, fresh: Any
) -> None:
    """Let replica r go through events[r] collisions of a system and its reservoir.

    A run cut in two anywhere gives the same velocities, and so does a replica whatever other ones are beside it.

    Args:
        v: see `velocities`: the system first, then the reservoir; changed in place.
        system: M.
        reservoir: N.
        below: see `Clocks`.
        streams: shape (4, replicas), advanced by three words a collision.
        events: shape (replicas,).
        mirror: whether the reservoir is the mirror of a thermostat.
        spread: s, for a mirror.
        fresh: shape (4, replicas), streams of xi, for a mirror, and then advanced by two words a collision.
    """
    if mirror:
        _run(v, system, reservoir, below, streams, events, spread, fresh, MIRROR)
    else:
        _run(v, system, reservoir, below, streams, events, spread, fresh, PAIRS)


@njit(nogil=True, cache=True, error_model="numpy")
def advance_alone(v: Any, system: int, below: Any, streams: Any, events: Any, spread: float, fresh: Any) -> None:
    """Let replica r go through events[r] collisions of a system that has a thermostat and no reservoir.

    Args: as for `advance`.
    """
    _run(v, system, 1, below, streams, events, spread, fresh, ALONE)
