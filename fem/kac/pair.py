"""One collision of two particles, averaged over its direction: R_ij of the paper on monomials, in exact rationals.

    (R p)(x, y) = average over Omega in S^2 of p(x - m Omega, y + m Omega),    m = (x - y).Omega.

Each map (x, y) -> (x*, y*) is orthogonal, so R takes homogeneous polynomials of degree n to such ones; and since
orthogonal maps commute with Wick ordering, it does the same to the Hermite polynomials that they stand for.
In c = (x + y)/sqrt 2 and d = (x - y)/sqrt 2 it leaves c and is 1/(2l + 1) on |d|^(2k) Y_l(d): no projector.
"""

from fractions import Fraction
from functools import cache
from itertools import product
from math import comb, factorial, prod

from kinlim.models.kac.symmetric import MultiIndex, multi_indices

Polynomial = dict[int, int]
"""Coefficients by exponents of x_1, x_2, x_3, y_1, y_2, y_3, which are the digits of a number in base BASE."""

BASE = 64
"""Larger than any exponent."""

Outcome = dict[tuple[MultiIndex, MultiIndex], Fraction]
"""Coefficients by the multi-indices of the two particles."""


@cache
def collide(alpha: MultiIndex, beta: MultiIndex) -> Outcome:
    """R x^alpha y^beta.

    The factor of the axis a is (x_a - m Omega_a)^alpha_a (y_a + m Omega_a)^beta_a, a sum over powers of m Omega_a;
    `kick` averages the product of three such powers.
    """
    degree = sum(alpha) + sum(beta)
    total: Polynomial = {}
    for powers in product(*(range(a + b + 1) for a, b in zip(alpha, beta, strict=True))):
        scale = double_factorial(2 * degree + 1) // double_factorial(2 * sum(powers) + 1)
        term: Polynomial = {0: scale}
        for axis in range(3):
            term = multiply(term, left_over(axis, alpha[axis], beta[axis], powers[axis]))
        for exponents, coefficient in multiply(term, kick(powers)).items():
            total[exponents] = total.get(exponents, 0) + coefficient
    denominator = double_factorial(2 * degree + 1)
    return {digits(key): Fraction(value, denominator) for key, value in total.items() if value}


@cache
def left_over(axis: int, a: int, b: int, power: int) -> Polynomial:
    """Coefficient of s^power in (x - s)^a (y + s)^b, with x and y the components along `axis`."""
    x, y = BASE**axis, BASE ** (3 + axis)
    return {
        (a - i) * x + (b - power + i) * y: (-1) ** i * comb(a, i) * comb(b, power - i)
        for i in range(max(0, power - b), min(a, power) + 1)
    }


@cache
def kick(powers: tuple[int, int, int]) -> Polynomial:
    """(2k + 1)!! times the average of (m Omega_1)^powers_1 ... (m Omega_3)^powers_3, k the sum of the powers."""
    k = sum(powers)
    total: Polynomial = {}
    for eta in multi_indices(k):  # m^k = sum of k!/eta! (x - y)^eta Omega^eta
        exponents = [a + b for a, b in zip(powers, eta, strict=True)]
        if any(exponent % 2 for exponent in exponents):
            continue
        # the average of Omega^(2a) is the product of (2a_i - 1)!! over (2|a| + 1)!!
        moment = prod(double_factorial(exponent - 1) for exponent in exponents)
        term: Polynomial = {0: moment * factorial(k) // prod(map(factorial, eta))}
        for axis in range(3):
            difference = {
                (eta[axis] - i) * BASE**axis + i * BASE ** (3 + axis): (-1) ** i * comb(eta[axis], i)
                for i in range(eta[axis] + 1)
            }
            term = multiply(term, difference)
        for key, value in term.items():
            total[key] = total.get(key, 0) + value
    return total


def multiply(p: Polynomial, q: Polynomial) -> Polynomial:
    """Product of two polynomials."""
    result: Polynomial = {}
    for e, a in p.items():
        for f, b in q.items():
            result[e + f] = result.get(e + f, 0) + a * b
    return result


def digits(exponents: int) -> tuple[MultiIndex, MultiIndex]:
    """Multi-indices of x and y."""
    a, b, c, d, e, f = (exponents // BASE**place % BASE for place in range(6))
    return (a, b, c), (d, e, f)


def double_factorial(n: int) -> int:
    """Product n (n - 2) (n - 4) ..., which is 1 for n = -1 or 0."""
    return prod(range(n, 0, -2))
