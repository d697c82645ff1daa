"""One particle and one collision: eigenvalues of T, and the numbers of the theorem that come from them.

T and the part E[R^2 u | v] of the collision operator R commute with rotations and keep degrees, so on the Hermite
polynomials of |v|^(2k) Y_l(v) each is a number. With Omega, Omega' uniform on S^2, O = Omega Omega^T, n = 2k + l,

    tau = average of |b|^n P_l(v.b/|b|),  b = (I - O) v,
    rho = average of the same,            b = (I - O)(I - O') v + O O' v,                    |v| = 1,

since (I - O)(I - O') + O O' is the block of a product of two collisions that belongs to the first particle.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import eval_legendre

Array = NDArray[np.float64]


@cache
def tau(k: int, ell: int) -> float:
    """<u, T u>/||u||^2 for u = |v|^(2k) Y_l: the integral of s^(2k+l) P_l(s) over x in [0, 1], s = sqrt(1 - x^2)."""
    nodes, weights = leggauss(k + ell + 1)  # the integrand is a polynomial of degree 2(k + ell) in x
    s = np.sqrt(1 - ((nodes + 1) / 2) ** 2)
    return float(weights / 2 @ (s ** (2 * k + ell) * eval_legendre(ell, s)))


@cache
def rho(k: int, ell: int) -> float:
    """||R u||^2/||u||^2 for u = |v|^(2k) Y_l."""
    n = 2 * k + ell
    nodes, weights = leggauss(n + 1)  # degree 2n in either cosine
    angles = 2 * np.pi * np.arange(2 * n + 1) / (2 * n + 1)
    c, d, phi = (part.ravel() for part in np.meshgrid(nodes, nodes, angles, indexing="ij"))
    weight = np.multiply.outer(np.multiply.outer(weights, weights), np.full(len(angles), 1 / len(angles))).ravel() / 4
    first = np.array([np.sqrt(1 - c**2), 0 * c, c])  # Omega
    second = np.array([np.sqrt(1 - d**2) * np.cos(phi), np.sqrt(1 - d**2) * np.sin(phi), d])  # Omega'
    v = np.array([0.0, 0.0, 1.0])[:, None]
    once = v - second * d
    inner = (first * second).sum(axis=0)
    b = once - first * (first * once).sum(axis=0) + first * inner * d
    size = np.linalg.norm(b, axis=0)
    cosine = np.clip(b[2] / np.where(size > 0, size, 1), -1, 1)
    return float(weight @ (size**n * eval_legendre(ell, cosine)))


def shapes(degree: int) -> Iterator[tuple[int, int]]:
    """All (k, l) of degree 2k + l from 1 to `degree`."""
    for n in range(1, degree + 1):
        for k in range(n // 2 + 1):
            yield k, n - 2 * k


def l_squared(degree: int = 12) -> float:
    """l^2 of the theorem, the largest tau (1 - tau), over degrees up to `degree`: 56/225, from degree 2 on.

    Beyond degree 4 tau is less than 7/15, which attains it, so no larger one follows.
    """
    return max(tau(*shape) * (1 - tau(*shape)) for shape in shapes(degree))


def r_ratio(k: int, ell: int) -> float:
    """(||R u||^2 - ||T u||^2)/<u, (I - T) u> for u = |v|^(2k) Y_l."""
    return (rho(k, ell) - tau(k, ell) ** 2) / (1 - tau(k, ell))


def r_star(degree: int = 14) -> float:
    """Largest `r_ratio` over degrees up to `degree`: 1/3, attained by momentum (0, 1) and energy (1, 0).

    Beyond degree 12 none is larger: rho <= tau, since 0 <= R <= 1, so the ratio is at most tau, and tau is at most the
    integral of s^13, 0.329.
    """
    return max(r_ratio(*shape) for shape in shapes(degree))
