"""Arithmetic for kernels: fused multiply-add, and points on a circle without a systematic error in the radius.

Kernels are compiled without fast-math: every operation is IEEE and every fused multiply-add is written out, so a
replica's numbers do not depend on how the compiler vectorised the loop around it.
"""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from kinlim.stochastic.vectors import alike, call, common


@intrinsic
def fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """Compute a*b + c, rounded once; entry by entry if one of them is a vector."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Instruction:
        return call(builder, "fma", *alike(context, builder, signature.args, arguments))

    return (common(a, b, c) or types.float64)(a, b, c), generate


def _taylor(first: int, terms: int) -> tuple[float, ...]:
    """Coefficients in r^2 of sin(r pi/4)/r (first = 1) or cos(r pi/4) (first = 0)."""
    powers = range(first, first + 2 * terms, 2)
    return tuple((-1) ** (k // 2) * (math.pi / 4) ** k / math.factorial(k) for k in powers)


S0, S1, S2, S3, S4, S5, S6, S7, S8 = _taylor(1, 9)
C0, C1, C2, C3, C4, C5, C6, C7, C8 = _taylor(0, 9)
# On |r| <= 1 the first terms left out, (pi/4)^19/19! and (pi/4)^18/18!, are 9e-20 and 2e-18: a radius wrong by a
# systematic 1e-18 would already move the energy by 4e-12 in a million collisions per site.

_ONE, _TWO, _62, _63 = np.uint64(1), np.uint64(2), np.uint64(62), np.uint64(63)


@njit(inline="always")
def point_on_circle(word: np.uint64) -> tuple[float, float]:
    """Turn 64 uniform bits into a uniform point on the unit circle.

    The low 62 bits give an angle r pi/4, r in [-1, 1); one bit reflects the point at the diagonal, one at the origin:
    four arcs of a quarter turn cover the circle once.
    """
    r = np.float64(np.int64(word << _TWO)) * 2.0**-63
    q = r * r
    sine = r * fma(q, fma(q, fma(q, fma(q, fma(q, fma(q, fma(q, fma(q, S8, S7), S6), S5), S4), S3), S2), S1), S0)
    cosine = fma(q, fma(q, fma(q, fma(q, fma(q, fma(q, fma(q, fma(q, C8, C7), C6), C5), C4), C3), C2), C1), C0)
    sign = 1.0 - 2.0 * np.float64(np.int64((word >> _62) & _ONE))
    reflected = (word >> _63) != 0
    x = sine if reflected else cosine
    y = cosine if reflected else sine
    return sign * x, sign * y


PI = Fraction("3.141592653589793238462643383279502884197169399375105821")


def unbiased_sine_and_cosine(square: Fraction, terms: int) -> tuple[list[float], list[float]]:
    """Coefficients in q = r^2 of A sin(r pi/4)/r and A cos(r pi/4) for |r| <= 1, with A^2 = `square`.

    Rounded coefficients and left out terms make a radius systematically wrong. Here the mean of sine^2 + cosine^2 over
    r, taken of the rounded polynomials in rational numbers, is A^2 but for 1e-20 of it: one coefficient that rounding
    leaves free enough takes care of that. With 7 terms each value is within 1.5 units in the last place.
    """
    amplitude = Fraction(Decimal(square.numerator).sqrt() / Decimal(square.denominator).sqrt())
    rounded = []
    for odd in (1, 0):
        series = [amplitude * (-1) ** k * (PI / 4) ** (2 * k + odd) / math.factorial(2 * k + odd) for k in range(14)]
        rounded.append([Fraction(float(c)) for c in _economised(series, terms)])
    sine, cosine = rounded
    slope = sum(2 * c / (2 * (k + 3) + 1) for k, c in enumerate(cosine))  # of the mean, with cosine's coefficient 3
    cosine[3] -= (mean_square(sine, 1) + mean_square(cosine, 0) - square) / slope
    return [float(c) for c in sine], [float(c) for c in cosine]


def sine_and_cosine(terms: int) -> tuple[list[float], list[float]]:
    """Coefficients in q = r^2 of sin(r pi/2)/r and cos(r pi/2) for |r| <= 1: with 6 terms 3e-11 and 2e-10 wrong."""
    sine, cosine = (
        [(-1) ** k * (PI / 2) ** (2 * k + odd) / math.factorial(2 * k + odd) for k in range(20)] for odd in (1, 0)
    )
    return [float(c) for c in _economised(sine, terms)], [float(c) for c in _economised(cosine, terms)]


def mean_square(coefficients: list[Fraction], odd: int) -> Fraction:
    """Mean over 0 < r < 1 of the square of r^odd times a polynomial in r^2, in rational numbers."""
    pairs = ((a * b, 2 * (i + j + odd) + 1) for i, a in enumerate(coefficients) for j, b in enumerate(coefficients))
    return sum((product / power for product, power in pairs), Fraction(0))


def _economised(series: list[Fraction], terms: int) -> list[Fraction]:
    """Shorten a polynomial: in place of each last power q^n goes what it differs from 2^(1 - 2n) T_n(2q - 1)."""
    while len(series) > terms:
        n = len(series) - 1
        scale = series.pop() / 2 ** (2 * n - 1)
        for k in range(n):
            chebyshev = Fraction(4**k * n * math.factorial(n + k - 1), math.factorial(n - k) * math.factorial(2 * k))
            series[k] -= (-1) ** (n - k) * scale * chebyshev
    return series
