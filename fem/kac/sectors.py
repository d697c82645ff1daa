"""R- and T-system on symmetric polynomials of one degree and parity: two small symmetric matrices, exactly.

Units: every component of a velocity is N(0, 1) under Gamma, so velocities are those of the paper times sqrt(2 pi).
L^2(Gamma) is the sum of its degrees, the spans of Hermite polynomials :p: of homogeneous p, and both generators keep
each degree, symmetry under permutations of the system and of the reservoir, and parity in x, y and z.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from math import factorial, perm, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from kinlim.errors import InputError
from kinlim.fem.kac.moves import block, moves
from kinlim.models.kac.symmetric import Label, MultiIndex, multi_indices, orbit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sector:
    """Span of the orthonormal :e_lambda: over the labels of one degree and parity.

    Attributes:
        degree: of the polynomials, at least 1: on constants both generators are 0.
        parity: in x, y and z, 0 for even and 1 for odd.
        M: number of particles of the system.
        N: number of particles of the reservoir.
    """

    degree: int
    parity: MultiIndex
    M: int
    N: int

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: there are no particles, or no polynomials of that degree and parity.
        """
        if min(self.M, self.N) < 1:
            raise InputError(f"M = {self.M}, N = {self.N}: both must be at least 1")
        if self.degree < 1 or self.parity not in parities(self.degree):
            raise InputError(
                f"degree = {self.degree}, parity = {self.parity}: the degree must be at least 1 and the parities are "
                f"{parities(self.degree)}"
            )

    @cached_property
    def present(self) -> NDArray[np.intp]:
        """Numbers, in the block for all M and N, of the labels that fit on M and N particles."""
        every = block(self.degree, self.parity)
        fits = [len(label.system) <= self.M and len(label.reservoir) <= self.N for label in every]
        return np.flatnonzero(fits)

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """Labels of the basis, those without reservoir first."""
        every = block(self.degree, self.parity)
        return tuple(every[i] for i in self.present)

    @cached_property
    def of_system(self) -> NDArray[np.bool_]:
        """Which labels are functions of v alone, shape (labels,)."""
        return np.array([not label.reservoir for label in self.labels])

    def generator(self, lambda_s: float, lambda_r: float, mu: float) -> Array:
        """L = L_S + L_R + L_I in the basis e_lambda: symmetric and negative semidefinite, shape (labels, labels)."""
        return self._assemble(lambda_s, lambda_r, mu)

    def thermostat(self, lambda_s: float, mu: float) -> Array:
        """L~ = L_S + L_T on functions of v, shape (labels of the system, the same).

        Given v, all N reservoir particles are fresh, so E[L u | v] = L~ u for every function u of v: L~ is a block of
        L, and N is not in it.
        """
        s = int(self.of_system.sum())
        return self._assemble(lambda_s, 0.0, mu)[:s, :s]

    @cached_property
    def invariants(self) -> Array:
        """Orthonormal basis of the functions of total momentum P and energy, shape (labels, dimension).

        They are the span of :|z|^(2a) P^beta: over 2a + |beta| = degree, and the kernel of L where all rates are > 0.
        """
        size = [sqrt(orbit(label, self.M, self.N) * label.factorial) for label in self.labels]
        columns = conserved(self.degree, self.parity)[self.present] * np.array(size)[:, None]
        q, _ = np.linalg.qr(columns / np.linalg.norm(columns, axis=0))
        return q

    def _assemble(self, lambda_s: float, lambda_r: float, mu: float) -> Array:
        every = block(self.degree, self.parity)
        s = np.array([len(label.system) for label in every])
        t = np.array([len(label.reservoir) for label in every])
        # a rate per pair that does not exist is never used: its number of partners is 0
        rate = {
            "system": lambda_s / max(self.M - 1, 1),
            "reservoir": lambda_r / max(self.N - 1, 1),
            "mixed": mu / self.N,
        }
        partners = {"one": np.ones(len(every)), "system": self.M - s, "reservoir": self.N - t}
        placements = np.array([float(perm(self.M, i)) * float(perm(self.N, j)) for i, j in zip(s, t, strict=True)])
        place = np.full(len(every), -1)
        place[self.present] = np.arange(len(self.present))
        matrix = np.zeros((len(self.present), len(self.present)))
        for some in moves(self.degree, self.parity):
            kept = (place[some.rows] >= 0) & (place[some.columns] >= 0)
            rows, columns = some.rows[kept], some.columns[kept]
            scale = rate[some.kind.rate] * partners[some.kind.partners][columns]
            scale *= np.sqrt(placements[columns] / placements[rows])
            matrix[place[rows], place[columns]] += scale * some.values[kept]
        return matrix


def sectors(degree: int, M: int, N: int, *, distinct: bool = False) -> list[Sector]:
    """Sectors of all parities, whose sum are the symmetric polynomials of a degree.

    Args:
        degree: of the polynomials.
        M: number of particles of the system.
        N: number of particles of the reservoir.
        distinct: of those that a permutation of the axes takes into each other, return one.
    """
    kept = [parity for parity in parities(degree) if not distinct or list(parity) == sorted(parity, reverse=True)]
    return [Sector(degree, parity, M, N) for parity in kept]


def parities(degree: int) -> list[MultiIndex]:
    """Parities that monomials of a degree can have."""
    return [(x, y, z) for x, y, z in product((0, 1), repeat=3) if x + y + z <= degree and (x + y + z - degree) % 2 == 0]


def initial(sector: Sector, moment: Callable[[MultiIndex], float], chosen: int | None = None) -> Array:
    """Coefficients <h_0, e_lambda> on the labels without reservoir, shape (labels of the system,).

    h_0 is the average of the product of g(v_i), i in S, over the sets S of `chosen` of the M particles: for a label of
    s particles the coefficient is sqrt(orbit/lambda!) (chosen)_s/(M)_s times the product of the moments, with (.)_s
    the falling factorial.

    Args:
        sector: which polynomials.
        moment: <g, He_alpha> of the multi-index alpha, in units where velocities are N(0, 1) under Gamma.
        chosen: how many particles deviate from equilibrium, by default all M.
    """
    r = sector.M if chosen is None else chosen
    if not 0 <= r <= sector.M:
        raise InputError(f"chosen = {chosen} particles of M = {sector.M}: must be between 0 and M")
    values = []
    for label in (label for label in sector.labels if not label.reservoir):
        s = len(label.system)
        share = perm(r, s) / perm(sector.M, s)
        size = sqrt(orbit(label, sector.M, sector.N) / label.factorial)
        values.append(size * share * prod(moment(alpha) for alpha in label.system))
    return np.array(values, np.float64)


@cache
def conserved(degree: int, parity: MultiIndex) -> Array:
    """Coefficient of one placement of each label in |z|^(2a) P^beta/(a! beta!), shape (labels of the block, all beta).

    With A the sum of the multi-indices alpha_i of the label, it is the coefficient of t^((A - beta)/2) in the product
    over particles and axes of the polynomials sum_g t^g/(g! (alpha - 2g)!).
    """
    betas = [
        beta
        for size in range(degree % 2, degree + 1, 2)
        for beta in multi_indices(size)
        if tuple(b % 2 for b in beta) == parity
    ]
    table = np.zeros((len(block(degree, parity)), len(betas)))
    for row, label in enumerate(block(degree, parity)):
        particles = label.system + label.reservoir
        along = [pairings([alpha[axis] for alpha in particles]) for axis in range(3)]
        for column, beta in enumerate(betas):
            pairs = [(sum(alpha[axis] for alpha in particles) - beta[axis]) // 2 for axis in range(3)]
            if min(pairs) >= 0:
                table[row, column] = prod(along[axis][pairs[axis]] for axis in range(3))
    return table


def pairings(exponents: list[int]) -> Array:
    """Coefficients of the product of sum_g t^g/(g! (a - 2g)!) over the exponents a, padded with zeros."""
    result: NDArray[np.floating] = np.ones(1)
    for a in exponents:
        result = np.convolve(result, [1 / (factorial(g) * factorial(a - 2 * g)) for g in range(a // 2 + 1)])
    padded: Array = np.zeros(sum(exponents) // 2 + 1)
    padded[: len(result)] = result
    return padded
