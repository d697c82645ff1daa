"""h_t and h~_t in a sector, and what lies between them, for functions h_0 of v and any times.

With L = V diag(x) V^T, L~ = W diag(y) W^T and D = L - L~, the part of L that leads from functions of v out of them,

    e^(Lt) - e^(L~t) = V (F_t o V^T D W) W^T,    F_t[i, j] = (e^(x_i t) - e^(y_j t))/(x_i - y_j),

entry by entry. No two nearly equal numbers are subtracted, so even a distance of 1e-9 has nine digits or more.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvalsh

from kinlim.fem.kac.sectors import Sector

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Distances:
    """Norms in L^2(Gamma) of parts of h_t - h~_t, each of shape (times,).

    Attributes:
        joint: ||h_t - h~_t||, the distance of the paper.
        marginal: ||E[h_t | v] - h~_t||, the distance of the states of the system alone.
        conserved: ||R[h_t - h~_t]||, R the projector onto functions of total momentum and energy.
        transient: ||(I - R)[h_t - h~_t]||.
    """

    joint: Array
    marginal: Array
    conserved: Array
    transient: Array


@dataclass(frozen=True)
class Evolution:
    """Both evolutions in one sector.

    Attributes:
        sector: which polynomials.
        lambda_s: rate at which a particle of the system collides with others of the system.
        lambda_r: the same in the reservoir.
        mu: rate at which a particle of the system collides with the reservoir, or the thermostat.
    """

    sector: Sector
    lambda_s: float
    lambda_r: float
    mu: float

    @cached_property
    def reservoir_modes(self) -> tuple[Array, Array]:
        """Eigenvalues x, shape (labels,), and eigenvectors V of L as columns; the invariants first, with x = 0."""
        L = self.sector.generator(self.lambda_s, self.lambda_r, self.mu)
        kernel = self.sector.invariants
        k = kernel.shape[1]
        below = 1 + 2 * float(np.abs(L).sum(axis=0).max())  # takes the invariants away from all other eigenvectors
        rates, vectors = np.linalg.eigh(L - below * kernel @ kernel.T)
        return np.concatenate([np.zeros(k), np.minimum(rates[k:], 0)]), np.hstack([kernel, vectors[:, k:]])

    @cached_property
    def thermostat_modes(self) -> tuple[Array, Array]:
        """Eigenvalues y, shape (labels of the system,), and eigenvectors W of L~ as columns."""
        rates, vectors = np.linalg.eigh(self.sector.thermostat(self.lambda_s, self.mu))
        return rates, vectors

    @cached_property
    def leak(self) -> Array:
        """V^T D W, shape (labels, labels of the system)."""
        s = self.sector.of_system
        D = self.sector.generator(self.lambda_s, self.lambda_r, self.mu)[:, s]
        D[s] = 0  # E[L u | v] = L~ u
        return self.reservoir_modes[1].T @ D @ self.thermostat_modes[1]

    def with_reservoir(self, times: ArrayLike, h0: Array) -> Array:
        """Coefficients of h_t, shape (times, labels), from those of h_0 on the labels of the system."""
        x, V = self.reservoir_modes
        return (np.exp(np.multiply.outer(times, x)) * (h0 @ V[self.sector.of_system])) @ V.T

    def with_thermostat(self, times: ArrayLike, h0: Array) -> Array:
        """Coefficients of h~_t, shape (times, labels of the system)."""
        y, W = self.thermostat_modes
        return (np.exp(np.multiply.outer(times, y)) * (h0 @ W)) @ W.T

    def difference(self, times: ArrayLike, h0: Array) -> Array:
        """Coefficients of h_t - h~_t, shape (times, labels)."""
        return self._modal(times, h0) @ self.reservoir_modes[1].T

    def distances(self, times: ArrayLike, h0: Array) -> Distances:
        """Norms of h_t - h~_t and of its parts."""
        modal = self._modal(times, h0)
        V, k = self.reservoir_modes[1], self.sector.invariants.shape[1]
        parts = modal, modal @ V[self.sector.of_system].T, modal[:, :k], modal[:, k:]
        return Distances(*(np.linalg.norm(part, axis=1) for part in parts))

    def worst(self, times: ArrayLike) -> Distances:
        """Largest distances for any h_0 - 1 of norm 1 in the sector: norms of operators."""
        V, k = self.reservoir_modes[1], self.sector.invariants.shape[1]
        found = []
        for t in np.atleast_1d(np.asarray(times, np.float64)):
            modal = self._quotients(t) * self.leak
            conserved, transient, marginal = (
                part.T @ part for part in (modal[:k], modal[k:], V[self.sector.of_system] @ modal)
            )
            found.append([largest_root(gram) for gram in (conserved + transient, marginal, conserved, transient)])
        return Distances(*np.array(found).T)

    def plateau(self, h0: Array) -> Distances:
        """Limits of the distances as t grows: the norms of R[h_0] - 1 and of its mean given v."""
        kernel = self.sector.invariants
        s = self.sector.of_system
        limit = kernel @ (kernel[s].T @ h0)
        joint, marginal = (np.array([np.linalg.norm(part)]) for part in (limit, limit[s]))
        return Distances(joint, marginal, joint, np.zeros(1))

    def _modal(self, times: ArrayLike, h0: Array) -> Array:
        """Components of h_t - h~_t along the columns of V, shape (times, labels)."""
        start = self.leak * (h0 @ self.thermostat_modes[1])
        times = np.atleast_1d(np.asarray(times, np.float64))
        return np.array([(self._quotients(t) * start).sum(axis=1) for t in times])

    def _quotients(self, t: float) -> Array:
        """F_t, shape (labels, labels of the system)."""
        x, y = self.reservoir_modes[0][:, None], self.thermostat_modes[0]
        return divided_difference(x, y, t)


def largest_root(gram: Array) -> float:
    """Norm of the operator B whose B^T B is given: the root of the largest eigenvalue."""
    last = len(gram) - 1
    return float(np.sqrt(max(eigvalsh(gram, subset_by_index=[last, last])[0], 0.0)))


def divided_difference(x: ArrayLike, y: ArrayLike, t: float) -> Array:
    """(e^(x t) - e^(y t))/(x - y), and t e^(x t) where x = y, without cancellation."""
    larger, gap = np.maximum(x, y), np.abs(np.subtract(x, y))
    small = gap * t < 1e-8
    ratio = -np.expm1(-gap * t) / np.where(small, 1.0, gap)
    return np.exp(larger * t) * np.where(small, t * (1 - gap * t / 2), ratio)
