"""System (B'), (4.5): mean velocity mu and w = sigma^2/2.

    mu_t = (mu_x - lambda sigma)_x,    w_t = w_xx - lambda mu_x sigma + mu_x^2,    sigma = sqrt(2|w|).

The paper writes (B') with lambda_B sqrt|w|, so lambda_B = sqrt(2) lambda for the lambda of (A), (C) and (2.8).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import ufl

from kinlim.fem.pinned.spread import Scales, spread

Array = NDArray[np.float64]

OPTIONS: dict[str, Any] = {}

ORDER = 4
"""Order of the time integration, in fixed steps."""

STEP_ERROR = 1.0
"""Error allowed in a step, over rtol."""

RESOLUTION = np.inf
"""Largest h lambda/degree, h the width of a cell."""


def residual(u: Any, u_t: Any, test: Any, scales: Scales, dx: Any) -> ufl.Form:
    """The weak form with sigma = sqrt(2|w|), regularised."""
    return weak(u, u_t, test, scales.lam * spread(u[1], scales.delta), dx)


def weak(u: Any, u_t: Any, test: Any, pressure: Any, dx: Any) -> ufl.Form:
    """Conservative weak form with `pressure` p = lambda sigma, for all (phi, psi):

        int mu_t phi + (mu_x - p) phi_x = 0,
        int w_t psi + w_x psi_x + (p mu_x - mu_x^2) psi = 0.

    phi = 1 conserves momentum; phi = mu with psi = 1 conserves energy int mu^2/2 + w, since both equations share one
    p and one quadrature `dx`. Ends that are left free let neither through.
    """  # noqa: D415
    mu, w = u
    mu_t, w_t = u_t
    phi, psi = test
    flux = mu.dx(0) - pressure  # of momentum
    return (mu_t * phi + flux * phi.dx(0)) * dx + (w_t * psi + w.dx(0) * psi.dx(0) - flux * mu.dx(0) * psi) * dx


def stored(u: Any, delta: Any) -> Any:
    """Give what the second equation is the balance of: w."""
    return u[1]


def energy(u: Any, delta: Any) -> Any:
    """Energy density mu^2/2 + w."""
    return u[0] ** 2 / 2 + u[1]


def resting(u: Any) -> Any:
    """Value of w where sigma = 0."""
    return ufl.as_ufl(0)


def from_moments(mu: Array, sigma: Array) -> Array:
    """Unknowns (mu, sigma^2/2), shape (2, points), from mean and spread."""
    return np.stack([mu, sigma**2 / 2])


def to_moments(u: Array) -> tuple[Array, Array]:
    """Mean mu and w = sigma^2/2, each of shape (...,), from unknowns of shape (..., 2)."""
    return u[..., 0], u[..., 1]
