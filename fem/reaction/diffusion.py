"""The limit equation of generation and recombination, m_t = div(D(m) grad m), as UFL and as numbers.

    D(m) = (D1 rho^2 + D2/rho^2)/sqrt(m^2 + 4),   rho(m) = (m + sqrt(m^2 + 4))/2,   so that m = rho - 1/rho.

Source: section 1.3 of Neumann and Schmeiser, "A kinetic reaction model: decay to equilibrium and macroscopic limit".
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import ufl

Array = NDArray[np.float64]


def density(m: Any) -> Any:
    """rho(m) as UFL; for m < 0 as 2/(sqrt(m^2 + 4) - m), where the sum would cancel."""
    root = ufl.sqrt(m**2 + 4)
    return ufl.conditional(ufl.ge(m, 0), (m + root) / 2, 2 / (root - m))


def density_of(m: Array) -> Array:
    """rho(m) as numbers, to rounding errors relative to rho for every m."""
    m = np.asarray(m, np.float64)
    larger = (np.abs(m) + np.sqrt(m**2 + 4)) / 2
    return np.where(m >= 0, larger, 1 / larger)


def diffusion(m: Any, D1: Any, D2: Any) -> Any:
    """D(m), a symmetric positive definite matrix, as UFL."""
    rho = density(m)
    return (D1 * rho**2 + D2 / rho**2) / ufl.sqrt(m**2 + 4)


def residual(m: Any, m_t: Any, test: Any, D1: Any, D2: Any, dx: Any, dx_mass: Any) -> ufl.Form:
    """Weak form, for all phi: int m_t phi + (D(m) grad m).grad phi = 0; phi = 1 conserves int m.

    Args:
        m: the unknown.
        m_t: its time derivative.
        test: phi.
        D1: matrix of the A, shape (d, d).
        D2: matrix of the B.
        dx: measure of the second integral.
        dx_mass: measure of the first; the vertex rule lumps the mass of P1.
    """
    flux = diffusion(m, D1, D2) * ufl.grad(m)  # minus the flux of m
    return m_t * test * dx_mass + ufl.inner(flux, ufl.grad(test)) * dx


def entropy(m: Any, rho_inf: Any) -> Any:
    """Density of the entropy (5) at f = rho chi1, g = chi2/rho, where rho_f rho_g = 1.

    rho (ln(rho/rho_inf) - 1) + (1/rho) (ln(rho_inf/rho) - 1)
    """
    rho = density(m)
    level = ufl.ln(rho / rho_inf)
    return rho * (level - 1) - (level + 1) / rho


def source(m: Any, m_t: Any, D1: Any, D2: Any) -> Any:
    """The equation in strong form, m_t - div(D(m) grad m), apart from `residual` on purpose.

    D(m) = ((D1 + D2) (m^2 + 2)/sqrt(m^2 + 4) + (D1 - D2) m)/2 is the same matrix in another shape, since
    rho^2 + 1/rho^2 = m^2 + 2 and rho^2 - 1/rho^2 = m sqrt(m^2 + 4).
    """
    D = ((D1 + D2) * (m**2 + 2) / ufl.sqrt(m**2 + 4) + (D1 - D2) * m) / 2
    return m_t - ufl.div(D * ufl.grad(m))
