"""Arithmetic for kernels: fused multiply-add, and a uniform point on the unit circle from one 64-bit word.

Kernels are compiled without fast-math: every operation is IEEE and every fused multiply-add is written out, so a
replica's numbers do not depend on how the compiler vectorised the loop around it.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """Compute a*b + c, rounded once."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Instruction:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


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
