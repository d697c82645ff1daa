"""The modified H^1 norm of Section 2.2 for Gaussian profiles: matrices in Hermite functions, and the best delta.

Source: Neumann and Schmeiser, "A kinetic reaction model: decay to equilibrium and macroscopic limit", (21)-(28). For
F = (f/sqrt(rho_inf chi1), g sqrt(rho_inf/chi2)), chi_j = N(0, sigma_j^2), and with a weight on one part,

    H1[F] = ||F||^2 + ||grad_x F||^2 + omega ||grad_v F||^2 + delta (grad_x F, grad_v F),

which for omega = 1 is the paper's. The Hermite functions sqrt(chi_j) h_n, h_n the orthonormal polynomials for chi_j,
carry v = sigma (A + A*) and d/dv = (A - A*)/(2 sigma), A the lowering operator with A h_n = sqrt(n) h_(n-1).
In the Fourier mode of wave vector xi, H1 is the quadratic form of 1 + xi^2 + omega P^2 - delta xi P, P = i d/dv, so
that it is equivalent to the square of the H^1 norm, uniformly in xi, if and only if |delta| < 2 sqrt(omega).
"""

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, eigh

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

FUNCTIONS = 24
"""Hermite functions of each kind in `decay`."""

OMEGAS = (1.0, 0.3, 0.1, 0.03, 0.01)
"""Weights of the velocity derivatives that are tried in turn."""

DELTAS = 24
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
    """The H1 with the largest omega of `OMEGAS` for which some delta makes it decay, and the best such delta.

    None where there is none. Decay is decided by the eigenvalues of the dissipation relative to H1 on Hermite functions
    up to `FUNCTIONS` and the modes of `_modes`: a measurement, not a proof.
    """
    for omega in OMEGAS:
        best = best_delta(rho_inf, epsilon, sigma1, sigma2, omega)
        if best.tau > 0:
            return best
    return None


def best_delta(rho_inf: float, epsilon: float, sigma1: float, sigma2: float, omega: float) -> Modified:
    """The delta in (0, 2 sqrt(omega)) with the largest tau, which may be negative: then no delta makes H1 decay."""
    forms = [_forms(rho_inf, epsilon, sigma1, sigma2, 2 * pi * k, omega, FUNCTIONS) for k in _modes(epsilon)]
    low, high = 1e-4, NEARLY * 2 * sqrt(omega)
    for _ in range(3):
        deltas = np.geomspace(low, high, DELTAS)
        taus = [_tau(forms, float(delta)) for delta in deltas]
        at = int(np.argmax(taus))
        low, high = float(deltas[max(at - 1, 0)]), float(deltas[min(at + 1, DELTAS - 1)])
    return Modified(omega, float(deltas[at]), taus[at])


def decay(
    rho_inf: float, epsilon: float, sigma1: float, sigma2: float, omega: float, delta: float, functions: int = FUNCTIONS
) -> float:
    """The largest tau with d/dt H1 <= -tau H1 for the linearised system, over the modes of `_modes`."""
    forms = [_forms(rho_inf, epsilon, sigma1, sigma2, 2 * pi * k, omega, functions) for k in _modes(epsilon)]
    return _tau(forms, delta)


def _modes(epsilon: float) -> list[int]:
    """Wave numbers 0, 1, 2, 3, 4, 6, 8, 12, ... until epsilon k is large."""
    last = 8 / min(epsilon, 1.0)
    return [0, 1, *sorted({m * 2**j for m in (2, 3) for j in range(40) if m * 2**j <= last})]


def _tau(forms: list[tuple[Complex, Complex, Complex, Complex]], delta: float) -> float:
    values = [
        eigh(w0 + delta * w1, q0 + delta * q1, eigvals_only=True, subset_by_index=[0, 0])[0] for w0, w1, q0, q1 in forms
    ]
    return float(min(values))


def _forms(
    rho_inf: float, epsilon: float, sigma1: float, sigma2: float, xi: float, omega: float, functions: int
) -> tuple[Complex, Complex, Complex, Complex]:
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
    parts = []
    for form in ((1 + xi**2) * np.eye(2 * n) + omega * p @ p, -xi * p):
        change = -(form @ generator + generator.conj().T @ form)
        parts.append([kept.T @ whole @ kept for whole in (change, form)])
    return parts[0][0], parts[1][0], parts[0][1], parts[1][1]
