"""The modified H^1 norm of Section 2.2 for Gaussian profiles: matrices in Hermite functions, and the best delta.

Source: Neumann and Schmeiser, "A kinetic reaction model: decay to equilibrium and macroscopic limit", (21)-(28). For
F = (f/sqrt(rho_inf chi1), g sqrt(rho_inf/chi2)), chi_j = N(0, sigma_j^2), and with a weight on one part,

    H1[F] = ||F||^2 + ||grad_x F||^2 + omega ||grad_v F||^2 + delta (grad_x F, grad_v F),

which for omega = 1 is the paper's. The Hermite functions sqrt(chi_j) h_n, h_n the orthonormal polynomials for chi_j,
carry v = sigma (A + A*) and d/dv = (A - A*)/(2 sigma), A the lowering operator with A h_n = sqrt(n) h_(n-1).
In the Fourier mode of wave vector xi, H1 is the quadratic form of Q(P) = 1 + xi^2 + omega P^2 - delta xi P, P = i d/dv,
so that it is equivalent to the square of the H^1 norm, uniformly in xi, if and only if |delta| < 2 sqrt(omega).

Transport shifts P, the loss Lambda multiplies, the gain K has finite rank. So on solutions of (7) in the scaling of (9)

    -dH1/dt = sum_j <F_j, (2 a_j Q(P)/epsilon^2 + (delta xi^2 - 2 omega xi P)/epsilon) F_j> + gain,    a_1 = 1/a_2 =
    1/rho_inf.

Without the gain this is a quadratic polynomial in P, which must be positive, as functions with large P do not feel the
gain; for xi -> infinity that is

    delta^2 + (epsilon omega/a)^2 < 4 omega,    a = min(rho_inf, 1/rho_inf).

Hence unit weights, omega = 1, allow no delta at all unless epsilon < 2 min(rho_inf, 1/rho_inf). The gain is smooth, and
is taken into account with finitely many Hermite functions.
"""

from dataclasses import dataclass
from math import ceil, log2, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, eigh

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
Forms = tuple[Complex, Complex, Complex, Complex]

FUNCTIONS = 16
"""Hermite functions of each kind in `decay`."""

SHARES = (0.5, 0.2, 0.1, 0.03, 0.01)
"""Of the largest weight of the velocity derivatives that can work: tried in turn where 1 does not."""

DELTAS = 12
"""Values of delta in each of the passes that look for the best."""

NEARLY = 0.99
"""Of 2 sqrt(omega): the largest delta that is tried."""


@dataclass(frozen=True)
class Modified:
    """An H1 that decays: d/dt H1 <= -tau H1 on solutions of (7).

    Attributes:
        omega: weight of the velocity derivatives; 1 in the paper.
        delta: weight of the mixed term.
        tau: rate, per unit of the time of (9).
    """

    omega: float
    delta: float
    tau: float


def lowering(count: int) -> Array:
    """A on coefficients of sqrt(chi) h_n, n < count, shape (count, count)."""
    return np.asarray(np.diag(np.sqrt(np.arange(1.0, count)), 1), np.float64)


def derivative(sigma: float, count: int) -> Array:
    """d/dv on the same coefficients: antisymmetric."""
    lower = lowering(count)
    return np.asarray((lower - lower.T) / (2 * sigma), np.float64)


def velocity(sigma: float, count: int) -> Array:
    """Multiplication by v on the same coefficients: symmetric."""
    lower = lowering(count)
    return np.asarray(sigma * (lower + lower.T), np.float64)


def modified(rho_inf: float, epsilon: float, sigma1: float, sigma2: float) -> Modified | None:
    """The H1 with omega = 1, or else the largest omega tried, for which some delta makes it decay; the best such delta.

    None where none was found. Decay is decided by the polynomial in P, exactly, and with the gain by the eigenvalues of
    the dissipation relative to H1 on the first Hermite functions and the modes of `_modes`: a measurement, not a proof.
    """
    largest = min(1.0, 4 * (min(rho_inf, 1 / rho_inf) / epsilon) ** 2)
    for omega in (1.0, *(share * largest for share in SHARES)):
        best = best_delta(rho_inf, epsilon, sigma1, sigma2, omega)
        if best.tau > 0:
            return best
    return None


def best_delta(rho_inf: float, epsilon: float, sigma1: float, sigma2: float, omega: float) -> Modified:
    """The delta in (0, 2 sqrt(omega)) with the largest tau, which may be negative: then no delta makes H1 decay."""
    forms = _all_forms(rho_inf, epsilon, sigma1, sigma2, omega, FUNCTIONS)
    low, high = 1e-4, NEARLY * 2 * sqrt(omega)
    for _ in range(4):
        deltas = np.geomspace(low, high, DELTAS)
        taus = [_tau(forms, float(delta)) for delta in deltas]
        at = int(np.argmax(taus))
        low, high = float(deltas[max(at - 1, 0)]), float(deltas[min(at + 1, DELTAS - 1)])
    return Modified(omega, float(deltas[at]), taus[at])


def decay(
    rho_inf: float, epsilon: float, sigma1: float, sigma2: float, omega: float, delta: float, functions: int = FUNCTIONS
) -> float:
    """The largest tau with d/dt H1 <= -tau H1 for the linearised system, by the forms of `modified`."""
    return _tau(_all_forms(rho_inf, epsilon, sigma1, sigma2, omega, functions), delta)


def _modes(epsilon: float) -> list[int]:
    """Wave numbers 0, 1, 2, 3, then powers of 2 until epsilon k is large."""
    return [0, 1, 2, 3, *(2**j for j in range(2, 4 + ceil(log2(max(1.0, 1 / epsilon)))))]


def _all_forms(
    rho_inf: float, epsilon: float, sigma1: float, sigma2: float, omega: float, functions: int
) -> list[Forms]:
    bare = [_bare(loss, epsilon, omega) for loss in (1 / rho_inf, rho_inf)]
    return bare + [_forms(rho_inf, epsilon, sigma1, sigma2, 2 * pi * k, omega, functions) for k in _modes(epsilon)]


def _bare(loss: float, epsilon: float, omega: float) -> Forms:
    """The polynomials without gain as xi -> infinity, over xi^2, as quadratic forms in (1, P/xi).

    For finite xi both exceed xi^2 times this by the same multiple of 1, except for the factor 2 loss/epsilon^2, which
    is no less than tau.
    """
    q0, q1 = np.diag([1.0, omega]), np.array([[0, -0.5], [-0.5, 0]])
    w0 = 2 * loss / epsilon**2 * q0 + np.array([[0, -omega], [-omega, 0]]) / epsilon
    w1 = 2 * loss / epsilon**2 * q1 + np.diag([1.0, 0.0]) / epsilon
    first, second, third, fourth = (np.asarray(form, np.complex128) for form in (w0, w1, q0, q1))
    return first, second, third, fourth


def _tau(forms: list[Forms], delta: float) -> float:
    values = [
        eigh(w0 + delta * w1, q0 + delta * q1, eigvals_only=True, subset_by_index=[0, 0])[0] for w0, w1, q0, q1 in forms
    ]
    return float(min(values))


def _forms(
    rho_inf: float, epsilon: float, sigma1: float, sigma2: float, xi: float, omega: float, functions: int
) -> Forms:
    """W0, W1, Q0, Q1 of one mode: H1 is Q0 + delta Q1 and -dH1/dt is W0 + delta W1 on the first Hermite functions.

    They are made with some functions more, of which v and d/dv need two, and cut: so they are exact.
    """
    n = functions + 3
    p = 1j * block_diag(derivative(sigma1, n), derivative(sigma2, n))
    collision = np.diag(np.repeat([-1 / rho_inf, -rho_inf], n))
    collision[0, n] = collision[n, 0] = -1  # the gain K
    flight = 1j * epsilon * xi * block_diag(velocity(sigma1, n), velocity(sigma2, n))
    generator = (collision - flight) / epsilon**2
    kept = np.eye(2 * n)[:, np.concatenate([np.arange(functions), n + np.arange(functions)])]
    if xi == 0:  # the mass difference is 0
        mass = np.zeros(2 * functions)
        mass[0], mass[functions] = sqrt(rho_inf), -1 / sqrt(rho_inf)
        kept = kept @ np.linalg.svd(mass[None])[2][1:].T
    q0, q1 = (1 + xi**2) * np.eye(2 * n) + omega * p @ p, -xi * p
    w0, w1 = (-(form @ generator + generator.conj().T @ form) for form in (q0, q1))
    first, second, third, fourth = (np.asarray(kept.T @ form @ kept, np.complex128) for form in (w0, w1, q0, q1))
    return first, second, third, fourth
