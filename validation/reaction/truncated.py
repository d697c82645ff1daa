"""Truncated matrices of one Fourier mode, and when their spectral abscissa is the true one.

Expansion of f/chi1 and g/chi2 in the K polynomials orthonormal for chi_j, closed with the K-th coefficient 0, is the
discrete-velocity scheme on the K Gauss nodes of chi_j: the integrals I_j of the dispersion relation become K-node sums.
The integrand has a pole at u = i zeta_j, zeta_j = (s + a_j)/kappa, and such a sum misses about what the trapezoidal
rule would miss, 2 pi |chi_j(i zeta_j)| exp(-2 pi Re zeta_j/h_j), with h_j the distance of the nodes where the pole is
nearest. The eigenvalues that stand for the essential spectrum have Re zeta_j of the order of h_j or less, whatever K
is. So an eigenvalue of the matrix is one of the operator where the sums at it agree with the integrals, and is
pollution where they do not: `Abscissa.error` is the disagreement (or |D|, where a node is so far out in the tail
that neither sums nor integrals see it).
"""

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray
from scipy.special import roots_hermitenorm

from kinlim.models.reaction.profile import PowerProfile
from kinlim.validation.reaction.linearised import Mode
from kinlim.validation.reaction.plasma import DiscreteLaw, GaussianLaw, Law, StudentLaw
from kinlim.validation.reaction.spectrum import dispersion

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

TRUST = 1e-6
"""Largest relative error of the integrals at which an eigenvalue counts as resolved."""


@dataclass(frozen=True)
class Abscissa:
    """The eigenvalue of largest real part of a truncated matrix, and what to think of it.

    Attributes:
        s: the eigenvalue, in units of 1/epsilon^2.
        error: relative error of the sums that stand for the integrals, at s, the worst of them; infinite where s is not
            to the right of the essential spectrum.
    """

    s: complex
    error: float

    @property
    def trusted(self) -> bool:
        """Whether s is an eigenvalue of the full operator, to about `error`."""
        return self.error <= TRUST


def rule(law: Law, count: int) -> DiscreteLaw:
    """Gauss's rule with count nodes; for power laws the rational one of `PowerProfile.quadrature`."""
    if isinstance(law, StudentLaw):
        points, masses = PowerProfile(family="power", k=law.k).quadrature(1, count // 2)
        order = np.argsort(points[:, 0])
        return DiscreteLaw(points[order, 0], masses[order])
    if isinstance(law, DiscreteLaw):
        return law
    assert isinstance(law, GaussianLaw)
    nodes, masses = roots_hermitenorm(count)
    if len(law.weights) == 1:
        return DiscreteLaw(nodes * np.sqrt(law.variances[0]), masses / masses.sum())
    widths = np.sqrt(law.variances)
    points = (law.means[:, None] + widths[:, None] * nodes).ravel()
    return _gauss(points, (law.weights[:, None] * masses / masses.sum()).ravel(), count)


def _gauss(points: Array, masses: Array, count: int) -> DiscreteLaw:
    """Gauss's rule for at least count point masses: the methods of Lanczos, then of Golub and Welsch."""
    vectors = np.zeros((count, len(points)))
    diagonal, beside = np.zeros(count), np.zeros(count)
    vector = np.sqrt(masses)
    for n in range(count):
        vectors[n] = vector / np.linalg.norm(vector)
        vector = points * vectors[n]
        diagonal[n] = vectors[n] @ vector
        for _ in range(2):  # twice is enough to stay orthogonal to rounding
            vector = vector - vectors[: n + 1].T @ (vectors[: n + 1] @ vector)
        beside[n] = np.linalg.norm(vector)
    nodes, first = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))
    return DiscreteLaw(nodes, first[0] ** 2)


def matrix(mode: Mode, count: int) -> Complex:
    """The generator on values of f/chi1, then g/chi2, at count nodes each, times epsilon^2: shape (2 count, 2 count).

    It is similar to the matrix of the orthonormal polynomials, and has its spectrum.
    """
    (a1, a2), rho = mode.losses, mode.rho_inf
    law1, law2 = rule(mode.law1, count), rule(mode.law2, count)
    n1 = len(law1.nodes)
    full = np.diag(np.concatenate([-a1 - 1j * mode.kappa * law1.nodes, -a2 - 1j * mode.kappa * law2.nodes]))
    full[:n1, n1:] -= rho * law2.masses
    full[n1:, :n1] -= law1.masses / rho
    return full


def abscissa(mode: Mode, count: int) -> Abscissa:
    """The spectral abscissa of `matrix` with the criterion of this module applied to it."""
    values = np.linalg.eigvals(matrix(mode, count))
    s = complex(values[np.argmax(values.real)])
    if s.real <= -min(mode.losses):
        return Abscissa(s, inf)
    laws = zip((mode.law1, mode.law2), mode.losses, strict=True)
    worst = max(_error(law, rule(law, count), (s + a) / mode.kappa) for law, a in laws)
    return Abscissa(s, max(worst, abs(complex(dispersion(mode, np.array([s]))[0]))))


def _error(law: Law, sums: Law, zeta: complex) -> float:
    """Relative disagreement of the integrals G and M of two laws; M is the one that matters where zeta is large."""
    at = np.array([zeta], np.complex128)
    pairs = ((law.g(at), sums.g(at)), (law.m(at), sums.m(at)))
    return float(max(abs(other[0] / value[0] - 1) for value, other in pairs))
