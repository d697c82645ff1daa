"""Jumps: the state of a random stream any number of words ahead, in 256 steps.

One step of xoshiro256 maps its 256 bits of state linearly over GF(2), s -> A s; only the output function is not linear.
By Cayley and Hamilton A^d = q(A) with q = x^d modulo the characteristic polynomial of A, of degree below 256, so that
A^d s is the sum of those A^i s, i = 0 .. 255, for which q has a term x^i: the authors' own `jump`, for any distance d.

A polynomial over GF(2) is a Python integer here, bit i being the coefficient of x^i.

Source: Haramoto, Matsumoto, Nishimura, Panneton and L'Ecuyer, "Efficient jump ahead for F2-linear random number
generators" (2008); Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2021); Massey,
"Shift-register synthesis and BCH decoding" (1969).
"""

from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.streams import following

BITS = 256
_MASK = 2**64 - 1


def polynomial(distance: int) -> NDArray[np.uint64]:
    """x^distance modulo the characteristic polynomial, shape (4,): what `jump` needs to go `distance` words ahead."""
    result = 1
    for bit in bin(distance)[2:]:
        result = _times(result, result)
        if bit == "1":
            result = _remainder(result << 1)
    return np.array([result >> 64 * k & _MASK for k in range(4)], np.uint64)


@njit(nogil=True, cache=True)
def jump(streams: NDArray[np.uint64], power: NDArray[np.uint64], target: NDArray[np.uint64]) -> None:
    """Write every stream of `streams`, the distance of `power` ahead, to `target`.

    Args:
        streams: shape (4, lanes); 256 words further on afterwards.
        power: shape (4,), see `polynomial`.
        target: shape (4, lanes).
    """
    target[:] = np.uint64(0)
    for i in range(BITS):
        if (power[i >> 6] >> np.uint64(i & 63)) & np.uint64(1):
            for word in range(4):
                for lane in range(streams.shape[1]):
                    target[word, lane] ^= streams[word, lane]
        for lane in range(streams.shape[1]):
            _, streams[0, lane], streams[1, lane], streams[2, lane], streams[3, lane] = following(
                streams[0, lane], streams[1, lane], streams[2, lane], streams[3, lane]
            )


@cache
def characteristic() -> int:
    """Characteristic polynomial of a step: the shortest recurrence of one bit of the state, which has full length."""
    state, bits = [1, 0, 0, 0], 0
    for k in range(2 * BITS):
        bits |= (state[0] & 1) << k
        state = _step(*state)
    return _shortest_recurrence(bits, 2 * BITS)


def _step(a: int, b: int, c: int, d: int) -> list[int]:
    """`following` without its output, in whole numbers."""
    c, d, shifted = c ^ a, d ^ b, b << 17 & _MASK
    return [a ^ d, b ^ c, c ^ shifted, (d << 45 | d >> 19) & _MASK]


def _shortest_recurrence(bits: int, count: int) -> int:
    """Monic polynomial p of least degree with sum_i p_i bit(k + i) = 0 for all k: Berlekamp and Massey.

    The algorithm finds the feedback polynomial c, 1 + c_1 x + ..., with bit(k) = sum_i c_i bit(k - i); p is c reversed.
    """
    feedback, before, length, since = 1, 1, 0, 1
    for k in range(count):
        discrepancy = sum(feedback >> i & bits >> (k - i) & 1 for i in range(length + 1)) & 1
        if discrepancy and 2 * length <= k:
            feedback, before = feedback ^ before << since, feedback
            length, since = k + 1 - length, 1
        else:
            feedback ^= (before << since) * discrepancy
            since += 1
    return sum((feedback >> i & 1) << (length - i) for i in range(length + 1))


def _remainder(p: int) -> int:
    """Reduce a polynomial modulo the characteristic one."""
    while (excess := p.bit_length() - 1 - BITS) >= 0:
        p ^= characteristic() << excess
    return p


def _times(p: int, q: int) -> int:
    """Multiply two polynomials modulo the characteristic one."""
    product = 0
    for i in range(BITS):
        product ^= (p << i) * (q >> i & 1)
    return _remainder(product)
