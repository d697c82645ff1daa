"""What one collision makes of a label, for all numbers of particles at once: the generator without M, N and rates.

Take one placement x^lambda. Only pairs that touch an occupied particle change it, and all unoccupied particles are
alike, so L x^lambda is a sum over seven kinds of pairs, each with a rate and a number of partners:

    system-system       rate lambda_S/(M-1):  both occupied; one of M - s unoccupied,
    reservoir-reservoir rate lambda_R/(N-1):  both occupied; one of N - t unoccupied,
    system-reservoir    rate mu/N:            both occupied; one of N - t unoccupied w; one of M - s unoccupied v,

for lambda with s particles of the system and t of the reservoir. Collecting placements of kappa,
L x^lambda = sum of C(kappa, lambda) x^kappa. With m_lambda the sum over placements,
e_lambda = m_lambda/sqrt(orbit lambda!), and lambda! the product of the factorials of all exponents,

    <e_kappa, L e_lambda> = sqrt(orbit_lambda/orbit_kappa) sqrt(kappa!/lambda!) C(kappa, lambda).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinlim.fem.kac.pair import Outcome, collide
from kinlim.models.kac.symmetric import Label, MultiIndex, labels

Array = NDArray[np.float64]

Side = Literal["system", "reservoir"]

Particle = tuple[Side, MultiIndex]
"""Where a particle belongs, and its exponents."""

NOTHING: MultiIndex = (0, 0, 0)
"""Exponents of an unoccupied particle."""


class Kind(NamedTuple):
    """A kind of pair: the rate that it shares, and whose unoccupied particles count as partners."""

    rate: Literal["system", "reservoir", "mixed"]
    partners: Literal["one", "system", "reservoir"]


class Collision(NamedTuple):
    """A pair that touches an occupied particle of one placement.

    Attributes:
        kind: of the pair.
        sides: of the two.
        outcome: what becomes of their monomial.
        rest: the other occupied particles.
    """

    kind: Kind
    sides: tuple[Side, Side]
    outcome: Outcome
    rest: list[Particle]


@dataclass(frozen=True)
class Moves:
    """Entries of C(kappa, lambda) of one kind, with those factors of the normalisation that know no M and N.

    Attributes:
        kind: which pairs.
        rows: number of kappa.
        columns: number of lambda.
        values: C(kappa, lambda) sqrt(kappa!/lambda!) sqrt(repetitions_kappa/repetitions_lambda).
    """

    kind: Kind
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    values: Array


@cache
def block(degree: int, parity: MultiIndex) -> tuple[Label, ...]:
    """All labels of a degree and parity, for M and N of at least the degree."""
    return tuple(label for label in labels(degree, degree, degree) if label.parity == parity)


@cache
def moves(degree: int, parity: MultiIndex) -> tuple[Moves, ...]:
    """The generator on `block(degree, parity)`, kind by kind."""
    found = block(degree, parity)
    index = {(label.system, label.reservoir): i for i, label in enumerate(found)}
    weight = [label.factorial * label.repetitions for label in found]
    entries: dict[Kind, dict[tuple[int, int], float]] = {}
    for column, label in enumerate(found):
        for collision in collisions(label):
            table = entries.setdefault(collision.kind, {})
            table[column, column] = table.get((column, column), 0.0) - 1.0
            for exponents, coefficient in collision.outcome.items():
                after = [*collision.rest, *zip(collision.sides, exponents, strict=True)]
                row = index[occupied(after, "system"), occupied(after, "reservoir")]
                value = float(coefficient) * sqrt(weight[row] / weight[column])
                table[row, column] = table.get((row, column), 0.0) + value
    result = []
    for kind, table in entries.items():
        places = np.array(list(table), np.intp)
        result.append(Moves(kind, places[:, 0], places[:, 1], np.array(list(table.values()))))
    return tuple(result)


def collisions(label: Label) -> Iterator[Collision]:
    """All pairs that touch an occupied particle; those with an unoccupied one once for all partners."""
    particles: list[Particle] = [("system", alpha) for alpha in label.system]
    particles += [("reservoir", beta) for beta in label.reservoir]
    sides: tuple[Side, Side] = ("system", "reservoir")
    for i, (side, alpha) in enumerate(particles):
        rest = particles[:i] + particles[i + 1 :]
        for other in sides:
            kind = Kind(side if side == other else "mixed", other)
            yield Collision(kind, (side, other), collide(alpha, NOTHING), rest)
    for i, j in combinations(range(len(particles)), 2):
        (side, alpha), (other, beta) = particles[i], particles[j]
        rest = particles[:i] + particles[i + 1 : j] + particles[j + 1 :]
        yield Collision(Kind(side if side == other else "mixed", "one"), (side, other), collide(alpha, beta), rest)


def occupied(particles: list[Particle], side: Side) -> tuple[MultiIndex, ...]:
    """Nonzero multi-indices of one side, in the order of a label."""
    return tuple(sorted((alpha for at, alpha in particles if at == side and alpha != NOTHING), reverse=True))
