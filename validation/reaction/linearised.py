"""The linearised kinetic system, one Fourier mode at a time, and what it asks of the velocity profiles.

Source: (7)-(12) of Neumann and Schmeiser, "A kinetic reaction model: decay to equilibrium and macroscopic limit", in
the scaling of (9). On F exp(2 pi i k.x) the system reads, with kappa = 2 pi epsilon |k|, e = k/|k| and u = e.v,

    epsilon^2 f_t = -(1/rho_inf + i kappa u) f - rho_inf chi1 rho_g,
    epsilon^2 g_t = -(rho_inf + i kappa u) g - (1/rho_inf) chi2 rho_f.

So it is the unscaled system (epsilon = 1) at the wave number kappa, and only the laws of u under chi1 and chi2 matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kinlim.models.reaction.profile import PowerProfile, Profile
from kinlim.models.reaction.tables import KineticReaction
from kinlim.validation.reaction.plasma import GaussianLaw, Law, StudentLaw

Array = NDArray[np.float64]


def law(chi: Profile, dimension: int, direction: Array) -> Law:
    """The law of e.v under chi, e a unit vector of shape (dimension,)."""
    if isinstance(chi, PowerProfile):
        return StudentLaw(chi.k - (dimension - 1) / 2)
    m = chi.mixture(dimension)
    return GaussianLaw(m.weights, m.means @ direction, np.einsum("i,cij,j->c", direction, m.covariances, direction))


@dataclass(frozen=True)
class Mode:
    """One Fourier mode.

    Attributes:
        rho_inf: rho_infinity of (4).
        kappa: epsilon times the length of the wave vector.
        law1: of e.v under chi1.
        law2: of e.v under chi2.
    """

    rho_inf: float
    kappa: float
    law1: Law
    law2: Law

    @property
    def losses(self) -> tuple[float, float]:
        """Rates 1/rho_inf and rho_inf at which A and B recombine, in units of 1/epsilon^2."""
        return 1 / self.rho_inf, self.rho_inf

    @property
    def d0(self) -> float:
        """e.D0 e with D0 = (rho_inf^2 D1 + D2)/(rho_inf^2 + 1), of Section 2.1."""
        r2 = self.rho_inf**2
        return (r2 * self.law1.moment(2) + self.law2.moment(2)) / (r2 + 1)


@dataclass(frozen=True)
class Linearised:
    """The linearised system (7) in the scaling of (9) on the torus of volume one.

    Attributes:
        rho_inf: rho_infinity of (4).
        epsilon: mean free path; 1 for the unscaled system.
        chi1: velocities with which A are made.
        chi2: velocities with which B are made.
        dimension: d.
    """

    rho_inf: float
    epsilon: float
    chi1: Profile
    chi2: Profile
    dimension: int = 1

    @classmethod
    def of(cls, model: KineticReaction) -> Self:
        """Linearise a model at its equilibrium."""
        return cls(model.rho_inf, model.epsilon, model.chi1, model.chi2, model.dimension)

    def mode(self, k: Sequence[int]) -> Mode:
        """The mode with wave vector 2 pi k, k in Z^d and not 0."""
        vector = 2 * pi * np.asarray(k, np.float64)
        length = float(np.linalg.norm(vector))
        return self.along(np.asarray(vector / length, np.float64), self.epsilon * length)

    def along(self, direction: Array, kappa: float) -> Mode:
        """The mode of any wave vector: its direction, shape (d,), and epsilon times its length."""
        laws = [law(chi, self.dimension, direction) for chi in (self.chi1, self.chi2)]
        return Mode(self.rho_inf, kappa, laws[0], laws[1])

    @property
    def essential(self) -> float:
        """Distance min(rho_inf, 1/rho_inf)/epsilon^2 of the essential spectrum from 0."""
        return min(self.rho_inf, 1 / self.rho_inf) / self.epsilon**2

    @property
    def d0(self) -> Array:
        """D0 = (rho_inf^2 D1 + D2)/(rho_inf^2 + 1) of Section 2.1, shape (d, d)."""
        d1, d2 = (chi.covariance_matrix(self.dimension) for chi in (self.chi1, self.chi2))
        return np.asarray((self.rho_inf**2 * d1 + d2) / (self.rho_inf**2 + 1), np.float64)

    def diffusion_rate(self, k: Sequence[int]) -> float:
        """4 pi^2 k.D(m_inf) k: the rate of the limit equation."""
        d1, d2 = (chi.covariance_matrix(self.dimension) for chi in (self.chi1, self.chi2))
        r2, vector = self.rho_inf**2, 2 * pi * np.asarray(k, np.float64)
        return float(vector @ (d1 * r2 + d2 / r2) @ vector / (self.rho_inf + 1 / self.rho_inf))
