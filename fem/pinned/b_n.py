"""System (B_n): (B') without the assumption that the mean changes little from ball to ball, beside the spread.

    mu_t = (mu_x - lambda S)_x,    w_t = w_xx - lambda mu_x S + mu_x^2,    S = sigma L((d/sigma)^2),    d = h mu_x,

with h = (b - a)/(n - 1), the distance of two balls. A collision orders one pair of a triple that lies on a circle of
radius r, and by (5.12)-(5.15) all that the ordering does to the moments goes through the mean of r. With the means
m - d, m, m + d and one sigma, (2/3)^(1/2) times the q of (5.16) is the length of a planar Gaussian vector whose mean
has the length 2^(1/2) d and whose components have the standard deviation sigma. Such a length has Rice's law, so

    E r = sigma sqrt(pi)/sqrt(3) L((d/sigma)^2),    L(z) = e^(-z/2) [(1 + z) I_0(z/2) + z I_1(z/2)],

where (5.45) keeps L = 1 + z/2 + O(z^2) and (2.6)-(2.7), to their order, L = 1. The mean of the triple is independent of
r, so that S stands for sigma in both equations. There is no free parameter. (B_n) goes to (B') as n goes to infinity
wherever mu_x/n is small beside sigma; where mu_x > 0 that never happens: mu_x = lambda S means z = Z for every n.

A derivation of ours; measured in docs/pinned-closure.md.
"""

import functools
from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray
from scipy.special import ive

import ufl

from kinlim.fem.pinned import b_prime
from kinlim.fem.pinned.b_prime import ORDER, energy, from_moments, resting, stored, to_moments
from kinlim.fem.pinned.spread import Scales, spread

__all__ = [
    "OPTIONS",
    "ORDER",
    "RESOLUTION",
    "STEP_ERROR",
    "energy",
    "from_moments",
    "residual",
    "resting",
    "stored",
    "to_moments",
]

Array = NDArray[np.float64]

OPTIONS, RESOLUTION, STEP_ERROR = b_prime.OPTIONS, b_prime.RESOLUTION, b_prime.STEP_ERROR

MIDDLE = 3.0
"""z/(MIDDLE + z) is the variable of the polynomial; 3 was the best of 1/2, 1, 2, 3, 4, 6 at degree 8 to 10."""

DEGREE = 10
"""Of that polynomial, which leaves a relative error below 1e-6 in L."""


def rice(z: Any) -> Any:
    """L(z) = e^(-z/2) [(1 + z) I_0(z/2) + z I_1(z/2)], z >= 0: the mean of Rice's law over that for d = 0."""
    return (1 + z) * ive(0, z / 2) + z * ive(1, z / 2)


@functools.cache
def still() -> float:
    """Z, which is (d/sigma)^2 where mu_x = lambda S, the state in which no momentum flows, for every n.

    0.0863; in (B') 1/(4 pi).
    """
    from scipy.optimize import brentq  # 0.2 s

    return float(brentq(lambda z: 2 * np.sqrt(pi * z) - rice(z), 1e-3, 1.0))


def _smooth(s: Array) -> Array:
    """L(z)^2/(MIDDLE + z) for z = MIDDLE s'/(1 - s'), s' = (1 + s)/2: smooth on [-1, 1], 4/pi at its end."""
    part = np.clip((1 + np.asarray(s, np.float64)) / 2, 0, 1 - 1e-12)
    z = MIDDLE * part / (1 - part)
    return np.asarray(rice(z) ** 2 / (MIDDLE + z))


COEFFICIENTS = [float(c) for c in Chebyshev.interpolate(_smooth, DEGREE).convert(kind=Polynomial).coef]
"""Of powers of s."""


def effective(w: Any, slope: Any, scales: Scales) -> Any:
    """S = sigma L((d/sigma)^2) for w = sigma^2/2 and mu_x = `slope`, as an expression that FFCx can compile.

    S^2/2 = w L(d^2/(2w))^2 = (MIDDLE w + d^2/2) p(s), where p is a polynomial that stands for L^2/(MIDDLE + z). It is
    positive at w = 0, (2/pi) d^2, and goes on below without a kink.
    """
    square = (scales.spacing * slope) ** 2
    part = square / (2 * MIDDLE * abs(w) + square + scales.delta * 1e-6)
    return spread((MIDDLE * w + square / 2) * _polynomial(2 * part - 1), scales.delta)


def _polynomial(s: Any) -> Any:
    """The polynomial with COEFFICIENTS at s by Horner's rule, in which s stands once for each power."""
    total = ufl.as_ufl(COEFFICIENTS[-1])
    for c in reversed(COEFFICIENTS[:-1]):
        total = c + s * total
    return total


def residual(u: Any, u_t: Any, test: Any, scales: Scales, dx: Any) -> ufl.Form:
    """The weak form of (B') with S for sigma; it conserves momentum and energy for the same reason."""
    mu, w = u
    return b_prime.weak(u, u_t, test, scales.lam * effective(w, mu.dx(0), scales), dx)


def balanced() -> float:
    """sigma/sigma_B' where no momentum flows, sigma_B' = mu_x/lambda being that of (B'): 1/L(Z)."""
    return 1 / (2 * sqrt(pi * still()))
