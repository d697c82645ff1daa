"""System (C), Section 4.3, (2.9) and half of (2.10): mean velocity mu and energy density E = (mu^2 + sigma^2)/2.

    mu_t = (mu_x - lambda sigma)_x,    E_t = (E_x - lambda mu sigma)_x,    sigma = sqrt(2E - mu^2).

Both equations are conservation laws. sigma is the root of a difference, of which rounding and discretisation leave
little where sigma is much smaller than mu: (B') is the workhorse, (C) the cross-check.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import ufl

from kinlim.fem.pinned.spread import Scales, spread

Array = NDArray[np.float64]

OPTIONS: dict[str, Any] = {
    "ts_type": "bdf",
    "ts_bdf_order": 4,
    "ts_adapt_safety": 0.8,
    "ts_adapt_wnormtype": "2",
    "snes_linesearch_type": "basic",
    "snes_rtol": 1e-12,
    "snes_stol": 1e-9,
}

ORDER = 2
"""Order of the time integration in fixed steps: the first is of order 1, which leaves 2 of 4."""

STEP_ERROR = 0.02
"""Error allowed in a step, over rtol: of a scheme of many short steps these add up, to 98 rtol at the worst with 1."""

RESOLUTION = 1.5
"""Largest h lambda/degree, h the width of a cell."""


def residual(u: Any, u_t: Any, test: Any, scales: Scales, dx: Any) -> ufl.Form:
    """Conservative weak form, for all (phi, psi):

        int mu_t phi + (mu_x - lambda sigma) phi_x = 0,
        int E_t psi + (E_x - lambda mu sigma) psi_x = 0.

    phi = 1 conserves momentum, psi = 1 energy. Ends that are left free let neither through.
    """  # noqa: D415
    mu, E = u
    mu_t, E_t = u_t
    phi, psi = test
    sigma = spread(E - mu**2 / 2, scales.delta)
    J_mu = mu.dx(0) - scales.lam * sigma
    J_E = E.dx(0) - scales.lam * mu * sigma
    return (mu_t * phi + J_mu * phi.dx(0)) * dx + (E_t * psi + J_E * psi.dx(0)) * dx


def stored(u: Any, delta: Any) -> Any:
    """Give what the second equation is the balance of: E."""
    return u[1]


def energy(u: Any, delta: Any) -> Any:
    """Energy density E."""
    return u[1]


def resting(u: Any) -> Any:
    """Value of E where sigma = 0."""
    return u[0] ** 2 / 2


def from_moments(mu: Array, sigma: Array) -> Array:
    """Unknowns (mu, (mu^2 + sigma^2)/2), shape (2, points), from mean and spread."""
    return np.stack([mu, (mu**2 + sigma**2) / 2])


def to_moments(u: Array) -> tuple[Array, Array]:
    """Mean mu and w = E - mu^2/2 = sigma^2/2, each of shape (...,), from unknowns of shape (..., 2)."""
    return u[..., 0], u[..., 1] - u[..., 0] ** 2 / 2
