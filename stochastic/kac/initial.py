"""Exact samples of the laws of `kinlim.models.kac.law`: Gaussians, and polynomials times equilibrium."""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.errors import RunError
from kinlim.models.kac.law import ROUNDING, SCALE, GaussianLaw, PolynomialLaw
from kinlim.stochastic.arithmetic import point_on_circle
from kinlim.stochastic.copying import put
from kinlim.stochastic.directions import normal
from kinlim.stochastic.streams import following
from kinlim.stochastic.vectors import LENGTH, load, store

CHUNK = 64
"""Particles drawn at a time, whose numbers stay in the first cache."""

_11 = np.uint64(11)

Velocities = Any
"""Shape (replicas, particles, 3), possibly a view."""


class Start:
    """How a system begins: everything in equilibrium, but for `chosen` particles of each replica that have a law.

    A polynomial law g Gamma, g = sum_b c_b x^b, is sampled by rejection. G = sum_b |c_b| |x|^b is at least g, and G
    Gamma is a mixture: first a term b is drawn, with the weight |c_b| E|x^b|, then |x_a| from the chi distribution
    with b_a + 1 degrees of freedom for each component, with a random sign; x is taken with probability g(x)/G(x).
    """

    def __init__(self, law: GaussianLaw | PolynomialLaw, system: int) -> None:
        """Make ready."""
        self.system, self.chosen = system, law.chosen(system)
        self.temperature = 1.0
        self.mean: NDArray[np.float64] = np.zeros(3)
        self.powers: NDArray[np.int64] = np.zeros((0, 3), np.int64)
        self.terms: NDArray[np.float64] = np.zeros(0)
        self.weights: NDArray[np.float64] = np.zeros(0)
        if isinstance(law, GaussianLaw):
            self.mean, self.temperature = np.array(law.drift), law.temperature
        else:
            g = law.polynomial
            self.powers = np.array(list(g.terms), np.int64)
            self.terms = np.array(list(g.terms.values()))
            weights = np.abs(self.terms) * np.prod(_absolute_moments(int(self.powers.max()))[self.powers], axis=1)
            self.weights = np.cumsum(weights) / weights.sum()

    def draw(self, v: Velocities, streams: NDArray[np.uint64]) -> None:
        """Draw all velocities.

        Args:
            v: the system first, then its reservoir; overwritten.
            streams: shape (4, replicas), advanced.

        Raises:
            RunError: the density of the law is negative at a point that was drawn.
        """
        equilibrium(v, streams, SCALE)
        if len(self.terms):
            bad = np.zeros(3)
            if _polynomial(
                v, streams, self.system, self.chosen, self.powers, self.terms, self.weights, SCALE, ROUNDING, bad
            ):
                raise RunError(
                    f"model.h0: the density is negative at (x, y, z) = ({', '.join(f'{c:.6g}' for c in bad)}), where a "
                    "search before the run had not looked"
                )
        else:
            _gaussian(v, streams, self.system, self.chosen, self.mean, math.sqrt(self.temperature))


def _absolute_moments(highest: int) -> NDArray[np.float64]:
    """E|x|^b for x from N(0, 1), b = 0 ... highest."""
    return np.array([2 ** (b / 2) * math.gamma((b + 1) / 2) / math.sqrt(math.pi) for b in range(highest + 1)])


@njit(inline="always")
def _uniform(word: np.uint64) -> float:
    """A number in (0, 1]."""
    return np.float64(np.int64(word >> _11) + 1) * 2.0**-53


@njit(nogil=True, cache=True, error_model="numpy")
def equilibrium(v: Velocities, streams: NDArray[np.uint64], spread: float) -> None:
    """Give every component of every particle the law N(0, spread^2): two words each, LENGTH replicas side by side."""
    replicas, particles, _ = v.shape
    words, room = np.zeros((4, LENGTH), np.uint64), np.empty((3 * CHUNK, LENGTH))
    for first in range(0, replicas, LENGTH):
        lanes = min(LENGTH, replicas - first)
        put(words[:, :lanes], streams[:, first : first + lanes])
        a, b, c, d = load(words, 0), load(words, LENGTH), load(words, 2 * LENGTH), load(words, 3 * LENGTH)
        for begin in range(0, particles, CHUNK):
            count = min(CHUNK, particles - begin)
            for k in range(3 * count):
                one, a, b, c, d = following(a, b, c, d)
                two, a, b, c, d = following(a, b, c, d)
                store(room, LENGTH * k, normal(one, two) * spread)
            for lane in range(lanes):
                for i in range(count):
                    for k in range(3):
                        v[first + lane, begin + i, k] = room[3 * i + k, lane]
        store(words, 0, a)
        store(words, LENGTH, b)
        store(words, 2 * LENGTH, c)
        store(words, 3 * LENGTH, d)
        put(streams[:, first : first + lanes], words[:, :lanes])


@njit(inline="always")
def _takes(word: np.uint64, wanted: int, left: int) -> bool:
    """Whether the next of `left` particles is among the `wanted` ones, all choices being as likely."""
    return wanted == left or _uniform(word) * left <= wanted


@njit(nogil=True, cache=True, error_model="numpy")
def _gaussian(v: Velocities, streams: Any, system: int, chosen: int, mean: Any, spread: float) -> None:
    """Turn equilibrium into mean + spread v for `chosen` particles of each system."""
    for r in range(v.shape[0]):
        a, b, c, d = streams[0, r], streams[1, r], streams[2, r], streams[3, r]
        wanted = chosen
        for i in range(system):
            word, a, b, c, d = following(a, b, c, d)
            if wanted and _takes(word, wanted, system - i):
                wanted -= 1
                for k in range(3):
                    v[r, i, k] = mean[k] + spread * v[r, i, k]
        streams[0, r], streams[1, r], streams[2, r], streams[3, r] = a, b, c, d


@njit(nogil=True, cache=True, error_model="numpy")
def _polynomial(
    v: Velocities, streams: Any, system: int, chosen: int, powers: Any, terms: Any, weights: Any, spread: float,
    rounding: float, bad: Any,
) -> bool:  # fmt: skip
    """Draw `chosen` particles of each system anew; whether the density was negative somewhere, and then where."""
    x = np.empty(3)
    for r in range(v.shape[0]):
        a, b, c, d = streams[0, r], streams[1, r], streams[2, r], streams[3, r]
        wanted = chosen
        for i in range(system):
            word, a, b, c, d = following(a, b, c, d)
            if not (wanted and _takes(word, wanted, system - i)):
                continue
            wanted -= 1
            while True:
                word, a, b, c, d = following(a, b, c, d)
                term = min(np.searchsorted(weights, _uniform(word)), len(weights) - 1)
                for k in range(3):
                    square, sign = 0.0, 1.0
                    for n in range(powers[term, k] + 1):
                        word, a, b, c, d = following(a, b, c, d)
                        radius = math.sqrt(-2.0 * math.log(_uniform(word)))
                        word, a, b, c, d = following(a, b, c, d)
                        component = radius * point_on_circle(word)[0]
                        square += component * component
                        if n == 0:  # its sign does not depend on any size
                            sign = 1.0 if component >= 0 else -1.0
                    x[k] = sign * math.sqrt(square)
                density, size = 0.0, 0.0
                for n in range(len(terms)):
                    value = terms[n] * x[0] ** powers[n, 0] * x[1] ** powers[n, 1] * x[2] ** powers[n, 2]
                    density += value
                    size += abs(value)
                if density < -rounding * size:
                    for k in range(3):
                        bad[k] = spread * x[k]
                    return True
                word, a, b, c, d = following(a, b, c, d)
                if _uniform(word) * size <= density:
                    break
            for k in range(3):
                v[r, i, k] = spread * x[k]
        streams[0, r], streams[1, r], streams[2, r], streams[3, r] = a, b, c, d
    return False
