"""The referee of the kinetic system: first-order upwind differences in x, backward Euler in time, the same velocities.

With r = f/chi1 on cells of width h, and the density rho' of the other species at the new time,

    epsilon^2 (r - r_old)/dt + epsilon (v^+ (r_i - r_(i-1)) + v^- (r_(i+1) - r_i))/h = 1 - rho'_i r_i.

For given rho' the matrix is an M-matrix, so that for steps of any size r stays in the invariant region of Theorem 1.1,
mass is conserved, and the entropy (5) decays, each as for the equations themselves. The price is an error of first
order with a constant of order 1/epsilon: it resolves the limit only where h is far smaller than epsilon.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinlim.errors import RunError
from kinlim.fem.reaction.velocities import Velocities, velocities
from kinlim.models.reaction.tables import KineticReaction

Array = NDArray[np.float64]

MOST_ITERATIONS = 100
"""Of Newton's method in a step."""

CLOSE = 1e-14
"""Change of a density, relative to the largest there can be, with which it has converged."""

SETTLED = 1e-11
"""The same, where it no longer shrinks."""


@dataclass(frozen=True)
class Upwind:
    """The scheme.

    Attributes:
        epsilon: mean free path.
        region: (lo, hi), the invariant region of f/chi1 and chi2/g.
        cells: of the torus.
        v_f: velocities of f.
        v_g: velocities of g.
    """

    epsilon: float
    region: tuple[float, float]
    cells: int
    v_f: Velocities
    v_g: Velocities

    @classmethod
    def of(cls, model: KineticReaction, modes: int, cells: int) -> "Upwind":
        """Discretise a model of dimension 1.

        Raises:
            InputError: so many velocities cannot represent chi1 or chi2.
        """
        v_f, v_g = velocities(model.chi1, modes, "chi1"), velocities(model.chi2, modes, "chi2")
        return cls(model.epsilon, model.region, cells, v_f, v_g)

    def initial(self, model: KineticReaction) -> tuple[Array, Array]:
        """f/chi1 and g/chi2 at the middles of the cells, shape (cells, K)."""
        x = ((np.arange(self.cells) + 0.5) / self.cells)[:, None]
        f = model.relative(model.f0, x, self.v_f.nodes.T)
        return f, model.relative(model.g0, x, self.v_g.nodes.T)

    def step(self, f: Array, g: Array, dt: float) -> tuple[Array, Array]:
        """One step of backward Euler, by Newton's method for the two densities.

        Raises:
            RunError: Newton's method does not converge.
        """
        lo, hi = self.region
        c, before, change = self.epsilon**2 / dt, np.inf, np.inf
        new_f, new_g = f, g
        for _ in range(MOST_ITERATIONS):
            rho_f, rho_g = self.densities(new_f, new_g)
            in_f, in_g = (self._inverses(c + rho, q) for rho, q in ((rho_g, self.v_f), (rho_f, self.v_g)))
            slope_f, slope_g = _response(in_f, new_f, self.v_f), _response(in_g, new_g, self.v_g)
            off_f = _times(in_f, c * f + 1) @ self.v_f.masses - rho_f
            off_g = _times(in_g, c * g + 1) @ self.v_g.masses - rho_g
            # d_f + slope_f d_g = off_f and d_g + slope_g d_f = off_g for the changes of the densities
            d_g = np.linalg.solve(np.eye(self.cells) - slope_g @ slope_f, off_g - slope_g @ off_f)
            d_f = off_f - slope_f @ d_g
            new_f = np.clip(_times(in_f, c * f + 1 - new_f * d_g[:, None]), lo, hi)
            new_g = np.clip(_times(in_g, c * g + 1 - new_g * d_f[:, None]), 1 / hi, 1 / lo)
            before, change = change, max(float(np.abs(d_f).max()) / hi, float(np.abs(d_g).max()) * lo)
            if change < CLOSE or (change < SETTLED and change >= before / 2):
                rho_f, rho_g = self.densities(new_f, new_g)
                in_f, in_g = self._inverses(c + rho_g, self.v_f), self._inverses(c + rho_f, self.v_g)
                return _times(in_f, c * f + 1), _times(in_g, c * g + 1)
        raise RunError(
            f"upwind scheme: Newton's method still changes densities by {change:.3g} of their size: take a shorter step"
        )

    def densities(self, f: Array, g: Array) -> tuple[Array, Array]:
        """Density of A and of B in the cells."""
        return f @ self.v_f.masses, g @ self.v_g.masses

    def mass_difference(self, f: Array, g: Array) -> float:
        """Integral of (rho_f - rho_g)."""
        return float(np.mean(f @ self.v_f.masses - g @ self.v_g.masses))

    def entropy(self, f: Array, g: Array, rho_inf: float) -> float:
        """H(f, g) of (5)."""
        of_f = (f * (np.log(f / rho_inf) - 1)) @ self.v_f.masses
        of_g = (g * (np.log(g * rho_inf) - 1)) @ self.v_g.masses
        return float(np.mean(of_f + of_g))

    def _inverses(self, a: Array, q: Velocities) -> Array:
        """Of the matrices of a species for each velocity, shape (K, cells, cells)."""
        return np.stack([_against_the_wind(a, self.epsilon * v * self.cells) for v in q.nodes[0]])


def _times(inverses: Array, right: Array) -> Array:
    """Solutions for right sides of shape (cells, K)."""
    return np.asarray((inverses @ right.T[:, :, None])[:, :, 0].T, np.float64)


def _response(inverses: Array, r: Array, q: Velocities) -> Array:
    """Minus the derivative of a species' density to that of the other, shape (cells, cells)."""
    return np.asarray((inverses * (q.masses * r).T[:, None, :]).sum(axis=0), np.float64)


def _against_the_wind(a: Array, speed: float) -> Array:
    """Inverse of r -> a_i r_i + |speed| (r_i - r_upwind) on a ring.

    From i to i + 1, r shrinks by q_i = |speed|/(a_i + |speed|), so that all entries are products of such factors, along
    the ring from the source to the place and once around for each of infinitely many rounds.
    """
    if speed < 0:
        return _against_the_wind(a[::-1], -speed)[::-1, ::-1]
    passed = np.cumsum(np.log(speed / (a + speed)))  # logarithm of the factors of cells 0 .. i
    ahead = np.tri(len(a), dtype=bool)
    between = np.subtract.outer(passed, passed) + np.where(ahead, 0.0, passed[-1])
    return np.asarray(np.exp(between) / (a + speed) / -np.expm1(passed[-1]), np.float64)
