"""What one collision does to the moments of modulated white noise: exactly, and as Theorem 2.3 has it.

Source: Burdzy, Hoskins and Steinerberger, Theorem 2.3 and Section 5. A collision at the centre c takes the triple
v_(c-1), v_c, v_(c+1) with mean a to a circle of radius r, and sorts one of its pairs. By (5.12)-(5.15) the left ball
then has the mean a - k r, the right one a + k r, the middle one a, with k = sqrt(3)/(2 pi); the squares have the means
a^2 + r^2/2 -+ 2 k a r, a^2 + r^2/2. So the drift needs the means of a, a^2, r, r^2 and a r for independent normal
velocities, of which that of r, and with it that of a r, is no polynomial.
"""

from itertools import pairwise
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

K = sqrt(3) / (2 * pi)
"""Mean of the right ball's place on the unit circle after the sort."""

NODES = np.arange(-248, 249) / 4
"""Logarithms of t at which integrals over t are summed: the trapezoidal rule, which for these is exact to rounding."""

PLANE = np.array([[-1, 0, 1], [-1 / sqrt(3), 2 / sqrt(3), -1 / sqrt(3)]]) / sqrt(2)
"""Orthonormal coordinates of a triple off its mean: (3/2)^(1/2) r is the length of PLANE v."""


def radius(mean: Array, spread: Array) -> tuple[Array, Array]:
    """E r and E a r of triples of independent normal velocities.

    With X = PLANE v, a Gaussian vector of mean m and covariance V,

        E |X| = (4 pi)^(-1/2) int_0^inf (1 - F(t)) t^(-3/2) dt,
        F(t) = E exp(-t |X|^2) = det(1 + 2 t V)^(-1/2) exp(-t m (1 + 2 t V)^(-1) m),

    and E a r - E a E r = sum_j (spread_j^2/3) d E r/d mean_j by Stein's lemma.

    Args:
        mean: shape (..., 3).
        spread: standard deviations, shape (..., 3); they may be 0.

    Returns:
        Both, shape (...,).
    """
    size = np.maximum(np.abs(mean - mean.mean(axis=-1, keepdims=True)).max(axis=-1), spread.max(axis=-1))
    size = np.where(size > 0, size, 1.0)
    m = (mean / size[..., None]) @ PLANE.T
    variance = (spread / size[..., None]) ** 2
    V = np.einsum("ik,...k,jk->...ij", PLANE, variance, PLANE)
    t = np.exp(NODES)
    a, b, c = (2 * t * V[..., i, j, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    more = a + c + (a * c - b * b)  # det(1 + 2 t V) - 1, without its rounding where t is small
    x, y = m[..., 0, None], m[..., 1, None]
    solved = np.stack([(1 + c) * x - b * y, (1 + a) * y - b * x]) / (1 + more)  # (1 + 2 t V)^(-1) m
    exponent = -t * (x * solved[0] + y * solved[1]) - np.log1p(more) / 2
    weight = (NODES[1] - NODES[0]) / (2 * sqrt(pi))
    length = (-np.expm1(exponent) * t**-0.5).sum(axis=-1) * weight
    slope = (2 * solved * np.exp(exponent) * t**0.5).sum(axis=-1) * weight  # d E|X| / d m, shape (2, ...)
    r = sqrt(2 / 3) * size * length
    by_mean = sqrt(2 / 3) * np.moveaxis(slope, 0, -1) @ PLANE  # d E r / d mean_j
    return r, mean.mean(axis=-1) * r + (spread**2 * by_mean).sum(axis=-1) / 3


def drift(mu: Array, sigma: Array) -> tuple[Array, Array]:
    """(n - 2) E(v'_i - v_i) and (n - 2) E(v'_i^2 - v_i^2) after one collision of all n balls, exactly; shape (n,)."""
    triples = np.lib.stride_tricks.sliding_window_view
    mean, spread = triples(mu, 3), triples(sigma, 3)
    r, ar = radius(mean, spread)
    a, squares = mean.mean(axis=-1), (spread**2).sum(axis=-1)
    a2 = a**2 + squares / 9
    r2 = (2 / 3) * (((mean - a[:, None]) ** 2).sum(axis=-1) + (2 / 3) * squares)
    first, second = np.zeros_like(mu), np.zeros_like(mu)
    for place, k in enumerate((-K, 0.0, K)):  # the ball is at the left, in the middle, at the right of the triple
        i = slice(place, len(mu) - 2 + place)
        first[i] += a + k * r - mu[i]
        second[i] += a2 + r2 / 2 + 2 * k * ar - (mu[i] ** 2 + sigma[i] ** 2)
    return first, second


def printed(mu: Array, sigma: Array, spacing: float) -> tuple[Array, Array]:
    """The right sides of (2.6) and (2.7) without their remainders, from values of mu and sigma at the sites.

    Derivatives are differences of fourth order, whose errors are below the remainders; NaN at the first and last two
    sites, where these have too few neighbours.
    """
    h = spacing

    def derivatives(f: Array) -> tuple[Array, Array]:
        first, second = np.full_like(f, np.nan), np.full_like(f, np.nan)
        l2, l1, r1, r2 = f[:-4], f[1:-3], f[3:-1], f[4:]
        first[2:-2] = (l2 - 8 * l1 + 8 * r1 - r2) / 12 / h
        second[2:-2] = (-l2 + 16 * l1 - 30 * f[2:-2] + 16 * r1 - r2) / 12 / h**2
        return first, second

    mu_x, mu_xx = derivatives(mu)
    sigma_x, _ = derivatives(sigma)
    _, energy_xx = derivatives(mu**2 + sigma**2)
    return (
        -h / sqrt(pi) * sigma_x + 2 * h**2 * mu_xx,
        -2 * h / sqrt(pi) * (mu * sigma_x + sigma * mu_x) + 2 * h**2 * energy_xx,
    )


def lemma(alpha: float, beta: float, steps: tuple[float, float, float, float], epsilon: float) -> tuple[float, float]:
    """I_1 and I_2, (5.25)-(5.26), at the means and spreads (5.43)-(5.44).

    Args:
        alpha: mean of the three means.
        beta: mean of the three spreads.
        steps: delta_1, gamma_1, delta_2, gamma_2.
        epsilon: that multiplies the deltas; its square multiplies the gammas.
    """
    d1, g1, d2, g2 = steps
    mean, spread = (
        centre + epsilon * d * np.array([-1.0, 0, 1]) + epsilon**2 * g * np.array([1.0, -2, 1])
        for centre, d, g in ((alpha, d1, g1), (beta, d2, g2))
    )
    r, ar = radius(mean, spread)
    return 1.5 * float(r), 4.5 * float(ar)  # r = (2/3) q, a = (u + y + z)/3


def lemma_coefficient(order: int = 4) -> float:
    """The factor of epsilon^2 sqrt(3 pi) delta_1 delta_2 in I_2: 2 by (5.30), 1 by (5.46).

    I_2 at alpha = 0 is that term and a remainder; halving epsilon `order` times and extrapolating leaves the factor.
    """
    found = []
    for k in range(order):
        epsilon = 0.2 / 2**k
        found.append(lemma(0.0, 1.0, (1.0, 0.0, 1.0, 0.0), epsilon)[1] / (epsilon**2 * sqrt(3 * pi)))
    for power in range(1, order):  # even powers of epsilon alone: I_2 is odd under reflection of delta_1 alone
        found = [(4**power * b - a) / (4**power - 1) for a, b in pairwise(found)]
    return found[0]
