"""Random directions in R^3 and normal numbers, from vectors of words."""

from typing import Any

import numpy as np
from numba import njit

from kinlim.stochastic.arithmetic import fma, sine_and_cosine
from kinlim.stochastic.vectors import bits, from_bits, root, signed_value

Vector = Any

_sine, _cosine = sine_and_cosine(terms=6)
# r comes as a whole number, r 2^63.
S0, S1, S2, S3, S4, S5 = (c * 2.0 ** (-126 * k - 63) for k, c in enumerate(_sine))
C0, C1, C2, C3, C4, C5 = (c * 2.0 ** (-126 * k) for k, c in enumerate(_cosine))

# log(1 + f)/f for 1 + f between the square roots of 1/2 and 2, interpolated in Chebyshev's points: 1.2e-10 wrong.
_LOGARITHM = (
    1.000000000048012, -0.5000000030845397, 0.33333330846284204, -0.24999936586082763, 0.20000169638041249,
    -0.16670383640131378, 0.14283798376875384, -0.1241088585769535, 0.11042736476406775, -0.1089811175036777,
    0.10636539527143714, -0.05845669589717438,
)  # fmt: skip
L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11 = (-2 * c for c in _LOGARITHM)
_TWO_LOG_2 = 2 * 0.6931471805599453
_ROOT_HALF = np.uint64(np.array(0.5**0.5).view(np.uint64))

_1, _31, _33, _52, _63 = (np.uint64(k) for k in (1, 31, 33, 52, 63))


@njit(inline="always")
def _sine_of(r: Vector, q: Vector) -> Vector:
    return r * fma(q, fma(q, fma(q, fma(q, fma(q, S5, S4), S3), S2), S1), S0)


@njit(inline="always")
def direction(word: Vector) -> tuple[Vector, Vector, Vector]:
    """Turn words into points on the half of the unit sphere with x >= 0; each stands for its opposite too.

    z is uniform, from the leading bits, and so is the azimuth r pi/2, r in [-1, 1], from bits 30 to 0. What the other
    ones add to either is below 2^-30 of its range; it is there since rounding them away would cost more.

    The polynomials give a point at 1 + e from the origin, |e| < 1e-9; the radius (1 - z^2)^(1/2) is divided by that,
    so that nothing but rounding is left of e.
    """
    z = signed_value(word) * 2.0**-63
    r = signed_value((word << _33) | (word >> _31))
    q = r * r
    sine = _sine_of(r, q)
    cosine = fma(q, fma(q, fma(q, fma(q, fma(q, C5, C4), C3), C2), C1), C0)
    inverse = fma(sine * -1.0, sine, fma(cosine * -1.0, cosine, 2.0))  # of sine^2 + cosine^2, but for 4 e^2
    radius = root(fma(z * -1.0, z, 1.0) * inverse)
    return radius * cosine, radius * sine, z


@njit(inline="always")
def normal(a: Vector, b: Vector) -> Vector:
    """Turn two vectors of words into N(0, 1), by Box and Muller; the law is 1e-10 wrong.

    a is u 2^63, 0 < u <= 1, and u = 2^k m with m between the square roots of 1/2 and 2.
    """
    u = bits(signed_value((a >> _1) | _1))
    k = (u - _ROOT_HALF) >> _52
    f = from_bits(u - (k << _52)) - 1.0
    short = fma(f, fma(f, fma(f, fma(f, fma(f, fma(f, L11, L10), L9), L8), L7), L6), L5)
    series = fma(f, fma(f, fma(f, fma(f, fma(f, short, L4), L3), L2), L1), L0)
    square = fma(f, series, signed_value(_63 - k) * _TWO_LOG_2)
    r = signed_value(b)
    return root(square) * _sine_of(r, r * r)
