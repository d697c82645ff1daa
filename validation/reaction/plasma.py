"""Laws of one velocity component and their resolvents: the plasma dispersion function and its kin.

For a law p of u with mean 0, G(zeta) = int p(u)/(zeta + i u) du = (1 - M(zeta)/zeta)/zeta with

    M(zeta) = int u^2 p(u)/(zeta + i u) du,    Re zeta > 0.

M keeps all its digits where zeta is large (short free paths), which 1 - zeta G does not; G where zeta is small.
"""

from dataclasses import dataclass
from math import asinh, expm1, inf, lgamma, log, pi, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import wofz

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

FAR = 12.0
"""|zeta|/sigma beyond which the asymptotic series of a Gaussian is exact to rounding: its least term is exp(-72)."""

TILT, STEP = pi / 8, 0.07
"""Contour and step of the trapezoidal rule for power laws: the integrand is tame within TILT of the contour on both
sides, exp(-2 pi TILT/STEP) < 1e-15."""

DIGITS = 40.0
"""The rule ends where the integrand has fallen by exp(-DIGITS)."""


class Law(Protocol):
    """The law of u = e.v: density p, mean 0."""

    def moment(self, order: int) -> float:
        """The mean of u^order, order 2, 3 or 4; infinite where it does not exist."""

    def g(self, zeta: Complex) -> Complex:
        """G(zeta) = int p/(zeta + i u) du for Re zeta > 0, any shape."""

    def m(self, zeta: Complex) -> Complex:
        """M(zeta) = int u^2 p/(zeta + i u) du for Re zeta > 0, any shape."""

    def humps(self) -> Array:
        """Where p is large, shape (n, 2): centres and widths."""


@dataclass(frozen=True)
class GaussianLaw:
    """sum_c weights_c N(means_c, variances_c), arrays of shape (c,), with sum_c weights_c means_c = 0."""

    weights: Array
    means: Array
    variances: Array

    def moment(self, order: int) -> float:
        """The mean of u^order."""
        a, s = self.means, self.variances
        each = {2: a**2 + s, 3: a**3 + 3 * a * s, 4: a**4 + 6 * a**2 * s + 3 * s**2}[order]
        return float(self.weights @ each)

    def g(self, zeta: Complex) -> Complex:
        """G(zeta), by Faddeeva's function w: G of N(a, s^2) is sqrt(pi/2)/s w(i z/(sqrt(2) s)), z = zeta + i a."""
        total = np.zeros_like(zeta, np.complex128)
        for weight, a, s in zip(self.weights, self.means, np.sqrt(self.variances), strict=True):
            total += weight * sqrt(pi / 2) / s * wofz(1j * (zeta + 1j * a) / (sqrt(2) * s))
        return total

    def m(self, zeta: Complex) -> Complex:
        """M(zeta).

        With u = a + y, u^2/(z + i y) needs the first two moments of N(0, s^2): int y/(z + i y) = -i (1 - z G) and
        int y^2/(z + i y) = z (1 - z G).
        """
        total = np.zeros_like(zeta, np.complex128)
        for weight, a, variance in zip(self.weights, self.means, self.variances, strict=True):
            z = zeta + 1j * a
            lost = _lost(z, variance)
            total += weight * ((a**2) * (1 - lost) / z - 2j * a * lost + z * lost)
        return total

    def humps(self) -> Array:
        """Centres and widths of the Gaussians, shape (c, 2)."""
        return np.column_stack([self.means, np.sqrt(self.variances)])


def _lost(z: Complex, variance: float) -> Complex:
    """1 - z G(z) for N(0, variance): of what is made at u = 0, the part that has left."""
    ratio = np.asarray(z / sqrt(variance), np.complex128)
    near = np.abs(ratio) < FAR
    found = np.empty_like(ratio)
    found[near] = 1 - sqrt(pi / 2) * ratio[near] * wofz(1j * ratio[near] / sqrt(2))
    term = inverse = 1 / ratio[~near] ** 2
    total = term.copy()
    for n in range(1, 40):
        term = -(2 * n + 1) * inverse * term
        total += term
    found[~near] = total
    return found


@dataclass(frozen=True)
class StudentLaw:
    """c (1 + u^2)^(-k), k > 3/2."""

    k: float

    def moment(self, order: int) -> float:
        """The mean of u^order."""
        if order == 3:
            return 0.0
        if 2 * self.k <= order + 1:
            return inf
        second = 1 / (2 * self.k - 3)
        return second if order == 2 else 3 * second / (2 * self.k - 5)

    def g(self, zeta: Complex) -> Complex:
        """G(zeta)."""
        return self._mean(np.asarray(zeta, np.complex128), 0)

    def m(self, zeta: Complex) -> Complex:
        """M(zeta)."""
        return self._mean(np.asarray(zeta, np.complex128), 2)

    def _mean(self, zeta: Complex, power: int) -> Complex:
        """The mean of u^power/(zeta + i u).

        The trapezoidal rule in y, u = s sinh(y - i TILT): a contour that passes below u = i zeta at an angle, wherever
        that is, and above u = -i.
        """
        s = min(0.5, 1 / sqrt(2 * self.k))
        core = asinh(sqrt(expm1(DIGITS / (self.k - 0.5))) / s)
        reach = max(core, log(2 + float(np.abs(zeta).max()) / s) + DIGITS / (2 * self.k - 2))
        count = int(reach / STEP) + 1
        y = STEP * np.arange(-count, count + 1)
        u = s * np.sinh(y - 1j * TILT)
        log_c = lgamma(self.k) - lgamma(self.k - 0.5) - log(pi) / 2
        weight = STEP * s * np.cosh(y - 1j * TILT) * np.exp(log_c - self.k * np.log1p(u**2)) * u**power
        return np.asarray((weight / (zeta[..., None] + 1j * u)).sum(axis=-1), np.complex128)

    def humps(self) -> Array:
        """The centre and its width."""
        return np.array([[0.0, 1 / sqrt(2 * self.k)]])


@dataclass(frozen=True)
class DiscreteLaw:
    """The law of a discrete-velocity scheme.

    Attributes:
        nodes: velocities, shape (n,), increasing.
        masses: their shares, shape (n,), sum 1.
    """

    nodes: Array
    masses: Array

    def moment(self, order: int) -> float:
        """The mean of u^order."""
        return float(self.masses @ self.nodes**order)

    def g(self, zeta: Complex) -> Complex:
        """G(zeta)."""
        return np.asarray((self.masses / (zeta[..., None] + 1j * self.nodes)).sum(axis=-1), np.complex128)

    def m(self, zeta: Complex) -> Complex:
        """M(zeta)."""
        return np.asarray(
            (self.masses * self.nodes**2 / (zeta[..., None] + 1j * self.nodes)).sum(axis=-1), np.complex128
        )

    def humps(self) -> Array:
        """The nodes, with the distance to the next as widths."""
        gaps = np.diff(self.nodes)
        return np.column_stack([self.nodes, np.minimum(np.append(gaps, gaps[-1]), np.insert(gaps, 0, gaps[0]))])
