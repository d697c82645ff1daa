"""Velocities drawn from a profile chi (`kinlim.models.reaction.profile`), for many particles at once.

Gaussians and their mixtures: independent normal numbers, multiplied by the Cholesky factor of a component's covariance.

Power laws c (1 + |v|^2)^(-k): in an even dimension e, 1/(1 + |v|^2) has the law Beta(k - e/2, e/2), a product of
independent powers of uniform numbers: u^(1/(k - 1)) for e = 2, u^(1/(k - 2)) w^(1/(k - 1)) for e = 4. Integrating one
component out takes 1/2 from k, so that dimensions 1 and 3 are what is seen of 2 and 4 with k + 1/2.

Source: Bailey, "Polar generation of random variates with the t-distribution" (1994), for dimension 1.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.models.reaction.profile import PowerProfile, Profile
from kinlim.stochastic.arithmetic import point_on_circle
from kinlim.stochastic.directions import normal
from kinlim.stochastic.reaction.fixed import Singles
from kinlim.stochastic.reaction.supply import Words, fill
from kinlim.stochastic.streams import following
from kinlim.stochastic.vectors import LENGTH, load, store

Array = NDArray[np.float64]

CHUNK = 512
"""Particles at a time."""

_11 = np.uint64(11)


class Sampler(NamedTuple):
    """A profile as kernels want it.

    Attributes:
        bounds: shape (c,): a word below bounds[i], but not below those before, means component i; 2^64 - 1 is the last.
        means: shape (c, d).
        roots: shape (c, d, d), lower triangular.
        k: of a power law in 2 dimensions or in 4, or 0 for a mixture.
    """

    bounds: Words
    means: Array
    roots: Array
    k: float


def sampler(profile: Profile, dimension: int) -> Sampler:
    """A profile as kernels want it."""
    if isinstance(profile, PowerProfile):
        empty = np.zeros((1, dimension, dimension))
        return Sampler(np.full(1, 2**64 - 1, np.uint64), empty[0], empty, profile.k + 0.5 * (dimension % 2))
    m = profile.mixture(dimension)
    sums = np.cumsum(m.weights)
    bounds = [min(round(total / sums[-1] * 2**64), 2**64 - 1) for total in map(float, sums)]
    return Sampler(np.array(bounds, np.uint64), m.means, np.asarray(np.linalg.cholesky(m.covariances), np.float64), 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def normals(lanes: Words, out: Any) -> None:
    """Fill `out`, a multiple of LENGTH numbers, with N(0, 1): two words each."""
    a, b, c, d = load(lanes, 0), load(lanes, LENGTH), load(lanes, 2 * LENGTH), load(lanes, 3 * LENGTH)
    for k in range(0, out.size, LENGTH):
        one, a, b, c, d = following(a, b, c, d)
        two, a, b, c, d = following(a, b, c, d)
        store(out, k, normal(one, two))
    store(lanes, 0, a)
    store(lanes, LENGTH, b)
    store(lanes, 2 * LENGTH, c)
    store(lanes, 3 * LENGTH, d)


@njit(inline="always")
def _logarithm(word: np.uint64) -> float:
    """Logarithm of a uniform number of (0, 1]."""
    return math.log(np.float64(np.int64(word >> _11) + 1) * 2.0**-53)


@njit(nogil=True, cache=True, error_model="numpy")
def _mixture(profile: Sampler, vel: Singles, first: int, last: int, lanes: Words, z: Array, words: Words) -> None:
    """See `velocities`."""
    d = vel.shape[0]
    for begin in range(first, last, CHUNK):
        size = min(CHUNK, last - begin)
        for axis in range(d):
            normals(lanes, z[axis])
        if profile.bounds.size == 1:
            for row in range(d):
                v = vel[row, begin : begin + size]
                for i in range(size):
                    v[i] = profile.means[0, row] + profile.roots[0, row, 0] * z[0, i]
                for column in range(1, row + 1):
                    for i in range(size):
                        v[i] += profile.roots[0, row, column] * z[column, i]
        else:
            fill(lanes, words)
            for i in range(size):
                part = 0
                while part + 1 < profile.bounds.size and words[i] >= profile.bounds[part]:
                    part += 1
                for row in range(d):
                    value = profile.means[part, row]
                    for column in range(row + 1):
                        value += profile.roots[part, row, column] * z[column, i]
                    vel[row, begin + i] = value


@njit(nogil=True, cache=True, error_model="numpy")
def _power(k: float, vel: Singles, first: int, last: int, lanes: Words, words: Words) -> None:
    """See `velocities`; k is that of the even dimension."""
    d = vel.shape[0]
    each = 5 if d == 3 else 2
    for begin in range(first, last, CHUNK // each):
        size = min(CHUNK // each, last - begin)
        fill(lanes, words)
        for i in range(begin, begin + size):
            w = each * (i - begin)
            exponent = -_logarithm(words[w]) / (k - 1)
            x, y = point_on_circle(words[w + 1])
            if d == 3:
                exponent -= _logarithm(words[w + 2]) / (k - 2)
                z, _ = point_on_circle(words[w + 3])
                q = np.float64(np.int64(words[w + 4] >> _11)) * 2.0**-53
                x, y, z = math.sqrt(q) * x, math.sqrt(q) * y, math.sqrt(1 - q) * z
                vel[2, i] = math.sqrt(math.expm1(exponent)) * z
            radius = math.sqrt(math.expm1(exponent))
            vel[0, i] = radius * x
            if d > 1:
                vel[1, i] = radius * y


@njit(nogil=True, cache=True, error_model="numpy")
def velocities(profile: Sampler, vel: Singles, first: int, last: int, lanes: Words) -> None:
    """Draw velocities for particles first ... last - 1.

    Args:
        profile: the law.
        vel: shape (d, capacity), overwritten there.
        first: of the particles.
        last: of the particles.
        lanes: shape (4, LENGTH), where words come from.
    """
    if profile.k > 0:
        _power(profile.k, vel, first, last, lanes, np.empty(CHUNK, np.uint64))
    else:
        _mixture(profile, vel, first, last, lanes, np.empty((vel.shape[0], CHUNK)), np.empty(CHUNK, np.uint64))
