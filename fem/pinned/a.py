"""System (A), Section 4.1: mean velocity mu and spread sigma itself.

    mu_t = mu_xx - lambda sigma_x,    sigma_t = sigma_xx - lambda mu_x + (sigma_x^2 + mu_x^2)/sigma.

Where sigma vanishes like a root, as at an end that holds sigma = 0, sigma_x^2/sigma has no integral. The second
equation is therefore tested with sigma psi: the quotient is gone, and what is left is a balance.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import ufl

from kinlim.fem.pinned.spread import Scales

Array = NDArray[np.float64]

OPTIONS: dict[str, Any] = {
    "ts_type": "dirk",
    "ts_dirk_type": "7510sal",
    "snes_linesearch_type": "basic",
    "snes_rtol": 1e-11,
}

ORDER = 5
"""Order of the time integration, in fixed steps: 4.7 to 5.4 were measured, of the scheme's 7."""

STEP_ERROR = 1.0
"""Error allowed in a step, over rtol."""

RESOLUTION = np.inf
"""Largest h lambda/degree, h the width of a cell."""


def residual(u: Any, u_t: Any, test: Any, scales: Scales, dx: Any) -> ufl.Form:
    """Weak form, the second equation tested with sigma psi, for all (phi, psi):

        int mu_t phi + (mu_x - lambda sigma) phi_x = 0,
        int s sigma_t psi + s sigma_x psi_x + (lambda mu_x sigma - mu_x^2) psi = 0,    s = (sigma^2 + 2 delta)^(1/2).

    s stands for sigma, so that the derivatives keep a factor where sigma is 0.
    """  # noqa: D415
    mu, sigma = u
    mu_t, sigma_t = u_t
    phi, psi = test
    s = ufl.sqrt(sigma**2 + 2 * scales.delta)
    flux = mu.dx(0) - scales.lam * sigma  # of momentum
    return (mu_t * phi + flux * phi.dx(0)) * dx + (
        s * sigma_t * psi + s * sigma.dx(0) * psi.dx(0) - flux * mu.dx(0) * psi
    ) * dx


def stored(u: Any, delta: Any) -> Any:
    """Give what the second equation is the balance of: the integral of s from 0 to sigma, sigma^2/2 for delta = 0."""
    sigma = u[1]
    c = ufl.sqrt(2 * delta)
    r = sigma / c
    arsinh = ufl.sign(r) * ufl.ln(abs(r) + ufl.sqrt(r**2 + 1))
    return (sigma * ufl.sqrt(sigma**2 + c**2) + c**2 * arsinh) / 2


def energy(u: Any, delta: Any) -> Any:
    """Energy density mu^2/2 + stored: what the weak form conserves."""
    return u[0] ** 2 / 2 + stored(u, delta)


def resting(u: Any) -> Any:
    """Value of sigma where sigma = 0."""
    return ufl.as_ufl(0)


def from_moments(mu: Array, sigma: Array) -> Array:
    """Unknowns (mu, sigma), shape (2, points)."""
    return np.stack([mu, sigma])


def to_moments(u: Array) -> tuple[Array, Array]:
    """Mean mu and w = sigma |sigma|/2, each of shape (...,), from unknowns of shape (..., 2); w shows a wrong sign."""
    return u[..., 0], u[..., 1] * np.abs(u[..., 1]) / 2
