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

Each collision takes three words of the replica's stream: which kind of pair, which pair, and Omega. The random
components xi come from a second stream.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.arithmetic import fma, point_on_circle
from kinlim.stochastic.streams import following

_32, _11 = np.uint64(32), np.uint64(11)
_LOW = np.uint64(2**32 - 1)


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
        """Bounds, shape (2,): a uniform word below the first is a pair of the system, below the second a mixed one."""
        system, mixed, _ = (round(rate / self.total * 2**64) for rate in self.rates)
        return np.array([min(b, 2**64 - 1) for b in (system, system + mixed)], np.uint64)


def velocities(replicas: int, particles: int) -> NDArray[np.float64]:
    """Zeros for `particles` particles in each replica, as the kernels want them; `components` shows them."""
    return np.zeros((replicas, 3 * particles))


def components(v: NDArray[np.float64], particles: int) -> NDArray[np.float64]:
    """The same memory as an array of shape (replicas, particles, 3)."""
    return v[:, : 3 * particles].reshape(len(v), particles, 3)


@njit(inline="always")
def _choose(word: np.uint64, first: np.uint64, second: np.uint64) -> tuple[int, int]:
    """Two independent uniform numbers below `first` and `second`, which are below 2^32, from one word."""
    low = (word & _LOW) * first
    high = (word >> _32) * first + (low >> _32)
    rest = (high << _32) | (low & _LOW)  # uniform again
    return np.int64(high >> _32), np.int64(((rest >> _32) * second + (((rest & _LOW) * second) >> _32)) >> _32)


@njit(inline="always")
def _direction(word: np.uint64) -> tuple[float, float, float]:
    """A uniform point on the sphere: z uniform, the rest on a circle."""
    z = np.float64(np.int64(2 * (word >> _32)) + 1 - 2**32) * 2.0**-32
    x, y = point_on_circle(word << _32)
    r = math.sqrt(fma(-z, z, 1.0))
    return r * x, r * y, z


@njit(inline="always")
def _normal(a: np.uint64, b: np.uint64) -> float:
    """N(0, 1) from two words."""
    radius = math.sqrt(-2.0 * math.log(np.float64(np.int64(a >> _11) + 1) * 2.0**-53))
    return radius * point_on_circle(b)[0]


@njit(nogil=True, cache=True, error_model="numpy")
def advance(
    v: Any, system: int, reservoir: int, below: Any, streams: Any, events: Any, mirror: bool, spread: float, fresh: Any
) -> None:
    """Let replica r go through events[r] collisions of a system and its reservoir.

    Args:
        v: see `velocities`: the system first, then the reservoir; changed in place.
        system: M.
        reservoir: N.
        below: see `Clocks`.
        streams: shape (4, replicas), advanced by three words a collision.
        events: shape (replicas,).
        mirror: whether the reservoir is the mirror of a thermostat.
        spread: s, for a mirror.
        fresh: shape (4, replicas), streams of xi, for a mirror.
    """
    for r in range(events.shape[0]):
        a, b, c, d = streams[0, r], streams[1, r], streams[2, r], streams[3, r]
        e, f, g, h = fresh[0, r], fresh[1, r], fresh[2, r], fresh[3, r]
        for _ in range(events[r]):
            kind, a, b, c, d = following(a, b, c, d)
            pair, a, b, c, d = following(a, b, c, d)
            where, a, b, c, d = following(a, b, c, d)
            mixed = below[0] <= kind < below[1]
            if mixed:
                i, j = _choose(pair, np.uint64(system), np.uint64(reservoir))
                j += system
            else:
                base, count = (0, system) if kind < below[0] else (system, reservoir)
                i, j = _choose(pair, np.uint64(count), np.uint64(count - 1))
                j += base + (j >= i)
                i += base
            x, y, z = _direction(where)
            p, q = 3 * i, 3 * j
            along_p = fma(v[r, p], x, fma(v[r, p + 1], y, v[r, p + 2] * z))
            along_q = fma(v[r, q], x, fma(v[r, q + 1], y, v[r, q + 2] * z))
            by_p = along_q - along_p
            by_q = -by_p
            if mirror and mixed:
                one, e, f, g, h = following(e, f, g, h)
                two, e, f, g, h = following(e, f, g, h)
                by_q = fma(spread, _normal(one, two), -along_q)
            v[r, p], v[r, p + 1], v[r, p + 2] = (
                fma(by_p, x, v[r, p]), fma(by_p, y, v[r, p + 1]), fma(by_p, z, v[r, p + 2])
            )  # fmt: skip
            v[r, q], v[r, q + 1], v[r, q + 2] = (
                fma(by_q, x, v[r, q]), fma(by_q, y, v[r, q + 1]), fma(by_q, z, v[r, q + 2])
            )  # fmt: skip
        streams[0, r], streams[1, r], streams[2, r], streams[3, r] = a, b, c, d
        fresh[0, r], fresh[1, r], fresh[2, r], fresh[3, r] = e, f, g, h


@njit(nogil=True, cache=True, error_model="numpy")
def advance_alone(v: Any, system: int, below: Any, streams: Any, events: Any, spread: float, fresh: Any) -> None:
    """Let replica r go through events[r] collisions of a system that has a thermostat and no reservoir.

    Args: as for `advance`.
    """
    for r in range(events.shape[0]):
        a, b, c, d = streams[0, r], streams[1, r], streams[2, r], streams[3, r]
        e, f, g, h = fresh[0, r], fresh[1, r], fresh[2, r], fresh[3, r]
        for _ in range(events[r]):
            kind, a, b, c, d = following(a, b, c, d)
            pair, a, b, c, d = following(a, b, c, d)
            where, a, b, c, d = following(a, b, c, d)
            x, y, z = _direction(where)
            if kind < below[0]:
                i, j = _choose(pair, np.uint64(system), np.uint64(system - 1))
                j += j >= i
                p, q = 3 * i, 3 * j
                along_q = fma(v[r, q], x, fma(v[r, q + 1], y, v[r, q + 2] * z))
            else:
                i, _j = _choose(pair, np.uint64(system), np.uint64(1))
                p = q = 3 * i
                one, e, f, g, h = following(e, f, g, h)
                two, e, f, g, h = following(e, f, g, h)
                along_q = spread * _normal(one, two)
            along_p = fma(v[r, p], x, fma(v[r, p + 1], y, v[r, p + 2] * z))
            by = along_q - along_p
            if q != p:
                v[r, q], v[r, q + 1], v[r, q + 2] = (
                    fma(-by, x, v[r, q]), fma(-by, y, v[r, q + 1]), fma(-by, z, v[r, q + 2])
                )  # fmt: skip
            v[r, p], v[r, p + 1], v[r, p + 2] = (
                fma(by, x, v[r, p]), fma(by, y, v[r, p + 1]), fma(by, z, v[r, p + 2])
            )  # fmt: skip
        streams[0, r], streams[1, r], streams[2, r], streams[3, r] = a, b, c, d
        fresh[0, r], fresh[1, r], fresh[2, r], fresh[3, r] = e, f, g, h
