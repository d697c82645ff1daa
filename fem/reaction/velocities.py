"""Velocities for the kinetic system: symmetric nodes +-v_j with the masses that a profile chi has there.

sum M = 1, sum v M = 0, sum v^2 M = D hold exactly, so that the scheme on the nodes is a kinetic reaction model of its
own: conservation, entropy and invariant region of Neumann and Schmeiser hold for it as they do for chi, and it has the
same limit. For a Gaussian the nodes are those of Gauss and Hermite, which is what closing the expansion in Hermite
polynomials with a K-th coefficient of zero amounts to.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq

from mpi4py import MPI

from kinlim.errors import InputError
from kinlim.models.reaction.profile import GaussianProfile, Mixture, PowerProfile, Profile

Array = NDArray[np.float64]

LOPSIDED = np.arctanh(1 - 2e-4)
"""No velocity has more than 10^4 times the mass of its opposite: what the scarcer has, as the difference of an even and
an odd part, would be lost. This moves at most 10^-4 of the mass between opposites, and no even moment."""

TILT = 1e-2
"""Mean velocity, over the standard deviation, that nodes may have by themselves before it is put to 0."""


@dataclass(frozen=True)
class Velocities:
    """Nodes +-v_j, j = 1 .. J.

    Attributes:
        v: v_j, shape (d, J); in dimension 1 positive and increasing.
        mass: of both, M(v_j) + M(-v_j), shape (J,).
        odd: (M(v_j) - M(-v_j))/mass, between -1 and 1; 0 for a symmetric chi.
    """

    v: Array
    mass: Array
    odd: Array

    @property
    def nodes(self) -> Array:
        """All velocities, shape (d, 2 J); in dimension 1 increasing."""
        return self.both(-self.v, self.v)

    @property
    def masses(self) -> Array:
        """M at the `nodes`, shape (2 J,)."""
        return self.both(self.mass * (1 - self.odd) / 2, self.mass * (1 + self.odd) / 2)

    def share(self, comm: MPI.Comm) -> "Velocities":
        """Those of this rank: `portion` of them."""
        mine = portion(len(self.mass), comm)
        return Velocities(np.ascontiguousarray(self.v[:, mine]), self.mass[mine], self.odd[mine])

    @staticmethod
    def both(minus: Array, plus: Array) -> Array:
        """Values at -v_j and at v_j, the last axis j, in the order of `nodes`."""
        return np.concatenate([minus[..., ::-1], plus], axis=-1)


def portion(count: int, comm: MPI.Comm) -> slice:
    """Which of so many things are this rank's: neighbours, as many as others have or one more; none if they are few."""
    return slice(count * comm.rank // comm.size, count * (comm.rank + 1) // comm.size)


def velocities(chi: Profile, modes: int, key: str = "chi", dimension: int = 1) -> Velocities:
    """Nodes and masses for a profile.

    Args:
        chi: the profile (where nothing depends on more than x and vx, its marginal).
        modes: K, how many nodes in dimension 1, even; their number is K^d.
        key: of the profile, for messages.
        dimension: d, 1 or 2.

    Raises:
        InputError: so many nodes, or so few, cannot represent it.
    """
    if isinstance(chi, PowerProfile):
        found = _power(chi.k, modes) if dimension == 1 else _rings(chi, modes)
    elif isinstance(chi, GaussianProfile):
        found = _gaussian(chi.covariance_matrix(dimension), modes)
    elif dimension == 1:
        found = _mixture(chi.mixture(1), modes, key)
    else:
        raise InputError(
            f"model.{key}.family = 'mixture': the kinetic system is solved for a mixture in x and vx only, and f0 or "
            "g0 depends on more; leave the table [kinetic] out"
        )
    if found.mass.min() < 1e-290:
        raise InputError(
            f"kinetic.modes = {modes}: the fastest of so many velocities of model.{key} have masses that no number can "
            "hold; take fewer"
        )
    return found


def _gauss(offdiagonal: Array) -> tuple[Array, Array]:
    """Positive nodes and the masses of node pairs, for a symmetric law with mass one and an even number of nodes.

    Golub and Welsch for the nodes; Christoffel numbers 1/sum_k p_k(v)^2 for the masses, which keep their relative
    accuracy where they are tiny, in extended range since p_k(v) grows beyond 1e308.

    Args:
        offdiagonal: b_k of v p_k = b_(k+1) p_(k+1) + b_k p_(k-1) for orthonormal p, k = 1 .. K-1.
    """
    count = len(offdiagonal) + 1
    v = eigh_tridiagonal(np.zeros(count), offdiagonal, eigvals_only=True)
    v = (v - v[::-1])[count // 2 :] / 2
    b, x = offdiagonal.astype(np.longdouble), v.astype(np.longdouble)
    before, now = np.zeros_like(x), np.ones_like(x)
    total = np.ones_like(x)
    for k in range(count - 1):
        before, now = now, (x * now - (b[k - 1] * before if k else 0)) / b[k]
        total += now**2
    mass = 2 / total
    return v, np.asarray(mass / mass.sum(), np.float64)


def _gaussian(covariance: Array, modes: int) -> Velocities:
    """Gauss and Hermite along each axis, stretched by the Cholesky factor of the covariance; half of the nodes."""
    v, mass = _gauss(np.sqrt(np.arange(1.0, modes)))
    u, share = v[None], mass
    for _ in covariance[1:]:
        both = np.concatenate([-v[::-1], v])
        u = np.concatenate([np.repeat(u, modes, axis=1), np.tile(both, len(share))[None]])
        share = np.outer(share, np.concatenate([mass[::-1], mass]) / 2).ravel()
    return Velocities(np.linalg.cholesky(covariance) @ u, share, np.zeros_like(share))


def _rings(chi: PowerProfile, modes: int) -> Velocities:
    """K/2 radii with 2 K angles each, in dimension 2: 1 and v (x) v have exact means."""
    radius, share = chi.radii(2, modes // 2)
    angle = (np.arange(modes) + 0.5) * np.pi / modes
    v = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)])[:, None]
    mass = np.repeat(share / modes, modes)
    return Velocities(v.reshape(2, -1), mass, np.zeros_like(mass))


def _power(k: float, modes: int) -> Velocities:
    """Rational Gauss rule: with v = s/sqrt(1 - s^2), chi dv = c (1 - s^2)^(k - 3/2) ds, of which few moments exist.

    Gauss nodes in s for one power of 1 - s^2 less, which then multiplies the weights: 1 and v^2 have exact means.
    """
    a, n = k - 2.5, np.arange(1.0, modes)
    square = n * (n + 2 * a)
    square[1:] /= (2 * n[1:] + 2 * a + 1) * (2 * n[1:] + 2 * a - 1)
    square[0] = 1 / (2 * a + 3)  # the same, without the 0/0 at a = -1/2
    s, weight = _gauss(np.sqrt(square))
    mass = weight * (1 - s**2)
    return Velocities((s / np.sqrt(1 - s**2))[None], mass / mass.sum(), np.zeros_like(s))


def _mixture(m: Mixture, modes: int, key: str) -> Velocities:
    """Gauss rule of (chi(v) + chi(-v))/2, its masses split as chi(v) : chi(-v) and tilted to the mean velocity zero."""
    weights, means, spreads = m.weights, m.means[:, 0], np.sqrt(m.covariances[:, 0, 0])
    v, mass = _gauss(_symmetrised(weights, means, spreads, modes))

    def log_density(x: Array) -> Array:
        parts = np.log(weights / spreads) - ((x[:, None] - means) / spreads) ** 2 / 2
        return np.asarray(np.logaddexp.reduce(parts, axis=1), np.float64)

    half_ratio = np.clip((log_density(v) - log_density(-v)) / 2, -LOPSIDED, LOPSIDED)
    deviation = float(np.sqrt(mass @ v**2))

    def mean(tilt: float) -> float:
        return float((mass * v) @ np.tanh(half_ratio - tilt * np.minimum(v, 3 * deviation))) / deviation

    if abs(own := mean(0.0)) > TILT:
        raise InputError(
            f"kinetic.modes = {modes}: so few velocities give model.{key} a mean velocity of {own:.3g} standard "
            "deviations, where it has none; take more"
        )
    tilt = 0.0 if own == 0 else brentq(mean, -1 / deviation, 1 / deviation, xtol=1e-300, rtol=1e-15)
    odd = np.tanh(half_ratio - tilt * np.minimum(v, 3 * deviation))
    return Velocities(v[None], mass, np.zeros_like(v) if not np.abs(half_ratio).max() else odd)


def _symmetrised(weights: Array, means: Array, spreads: Array, modes: int) -> Array:
    """Recurrence coefficients of the symmetrised mixture, by Stieltjes' procedure on a rule exact to their degree."""
    half, share = _gauss(np.sqrt(np.arange(1.0, 2 * (modes // 2 + 2))))
    nodes = np.concatenate([half, -half])
    x = (means[:, None] + spreads[:, None] * nodes).ravel()
    x = np.concatenate([x, -x])
    w = np.tile((weights[:, None] * np.concatenate([share, share]) / 2).ravel(), 2) / 2
    scale = float(np.sqrt(w @ x**2))
    basis: list[Array] = [np.sqrt(w)]
    b: list[float] = []
    for k in range(modes - 1):
        new = x / scale * basis[-1] - (b[-1] * basis[-2] if k else 0)
        for _ in range(2):  # again orthogonal to all before: rounding would let them drift
            new = new - np.array(basis).T @ (np.array(basis) @ new)
        b.append(float(np.sqrt(new @ new)))
        basis.append(new / b[-1])
    return scale * np.array(b)
