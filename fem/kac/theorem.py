"""Lemmas and theorem of the paper, measured in a sector, and sharper bounds (proved in docs/kac-sectors.md).

"The paper" is Bonetto, Popa, Powell, Chen and Tung, "Improved approximation of infinite thermostat by finite reservoir
using the 3D Kac model" (2025).
"""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinlim.fem.kac.evolution import Evolution, divided_difference
from kinlim.fem.kac.one_particle import l_squared
from kinlim.fem.kac.sectors import Sector, sectors

Array = NDArray[np.float64]


def gap(sector: Sector, lambda_s: float, lambda_r: float, mu: float) -> float:
    """Smallest eigenvalue of -L off the functions of total momentum and energy, in one sector."""
    values, _ = Evolution(sector, lambda_s, lambda_r, mu).reservoir_modes
    return float(-values[sector.invariants.shape[1] :].max())


def spectral_gap(degree: int, M: int, N: int, lambda_s: float, lambda_r: float, mu: float) -> float:
    """Spectral gap k of the theorem, from symmetric polynomials of degrees up to `degree`; the true k is no larger."""
    return min(
        gap(sector, lambda_s, lambda_r, mu) for n in range(1, degree + 1) for sector in sectors(n, M, N, distinct=True)
    )


def lemma1_constant(M: int, N: int) -> float:
    """C = sqrt(3M/(3N - 5)) + sqrt(((M + N)/N)^3 - 1); infinite for N = 1, where the lemma says nothing."""
    if 3 * N <= 5:
        return inf
    x = M / N  # (1 + x)^3 - 1 without cancellation
    return sqrt(3 * M / (3 * N - 5)) + sqrt(x * (3 + x * (3 + x)))


def lemma1_norm(sector: Sector) -> tuple[float, float]:
    """Largest ||R u|| and ||E[R u | v]|| over functions u of v in the sector with norm 1; the second is the square."""
    norm = float(np.linalg.norm(sector.invariants[sector.of_system], 2))
    return norm, norm**2


@dataclass(frozen=True)
class Lemma2:
    """Quadratic forms of u(v_1), each of shape (labels of the system, the same).

    Attributes:
        measured: ||(1/N) sum_j R_1j u - T u||^2.
        printed: (<u, T u> - <T u, T u>)/N, the right side of the paper, which takes R^2 for R.
        mended: (<R u, R u> - <T u, T u>)/N.
    """

    measured: Array
    printed: Array
    mended: Array


def lemma2(degree: int, parity: tuple[int, int, int], N: int) -> Lemma2:
    """Both sides of Lemma 2 on polynomials of one particle, M = 1."""
    many, two = Sector(degree, parity, 1, N), Sector(degree, parity, 1, 1)
    s = many.of_system
    D = many.generator(0.0, 0.0, 1.0)[:, s]
    T = np.eye(s.sum()) + many.thermostat(0.0, 1.0)
    D[s] -= T - np.eye(s.sum())
    Ru = (np.eye(len(two.labels)) + two.generator(0.0, 0.0, 1.0))[:, two.of_system]
    return Lemma2(D.T @ D, (T - T @ T) / N, (Ru.T @ Ru - T @ T) / N)


def lemma3(sector: Sector) -> tuple[float, float]:
    """Largest <u, T_1 u> and smallest <u, sum_i (I - T_i) u> over symmetric functions u of v with norm 1.

    Lemma 3 puts 2/3 for the first, which is so for M = 1; for M > 1 momentum has 1 - 1/(3M). The theorem needs the
    second, which is at least 1/3 for every M.
    """
    rate = float(-np.linalg.eigvalsh(sector.thermostat(0.0, 1.0)).max())
    return 1 - rate / sector.M, rate


def paper_bound(t: ArrayLike, M: int, N: int, lambda_s: float, mu: float, k: float) -> Array:
    """Right side of the theorem for ||h_0 - 1|| = 1, shape of t.

    C (1 - e^(-Lambda t)) + mu l (M/sqrt N)(e^(-mu t/3) - e^(-k t))/(k - mu/3), Lambda = (lambda_S/2 + mu) M; the factor
    mu and the signs as the proof has them.

    Args:
        t: times.
        M: number of particles of the system.
        N: number of particles of the reservoir.
        lambda_s: rate within the system.
        mu: rate between system and reservoir.
        k: spectral gap, as from `spectral_gap`.
    """
    t = np.asarray(t, np.float64)
    grown = -np.expm1(-(lambda_s / 2 + mu) * M * t)
    lasting = np.multiply(lemma1_constant(M, N), grown, out=np.zeros_like(t), where=grown > 0)  # C may be infinite
    bump = mu * sqrt(l_squared()) * M / sqrt(N) * np.array([divided_difference(-k, -mu / 3, s) for s in t.flat])
    return lasting + bump.reshape(t.shape)


def joint_bound(t: ArrayLike, M: int, N: int, mu: float) -> Array:
    """Sharper theorem: ||h_t - h~_t|| <= sqrt((M/N)(1 - e^(-mu t/3))) ||h_0 - 1||, for all rates and all h_0."""
    return np.sqrt(marginal_bound(t, M, N, mu))


def marginal_bound(t: ArrayLike, M: int, N: int, mu: float) -> Array:
    """Sharper theorem: ||E[h_t | v] - h~_t|| <= (M/N)(1 - e^(-mu t/3)) ||h_0 - 1||, for all rates and all h_0."""
    return M / N * -np.expm1(-mu / 3 * np.asarray(t, np.float64))
