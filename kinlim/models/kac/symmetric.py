"""Names of symmetric polynomials of a system of M particles and a reservoir of N, all with velocities in R^3.

A monomial puts a multi-index on each of a few particles. Which particles they are does not matter, so a label keeps
the multi-indices alone: those of the system and those of the reservoir. "xy" is the sum of v_x v_y over the particles
of the system, "x.y" of v_x v'_y over its pairs, "x|y" of v_x w_y over its pairs with the reservoir, "|xx" of w_x^2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import factorial, perm, prod
from typing import Self

from kinlim.errors import InputError

MultiIndex = tuple[int, int, int]
"""Exponents of the components x, y, z of one velocity."""

Occupation = tuple[MultiIndex, ...]
"""Nonzero multi-indices in decreasing order, one to each particle that a monomial contains."""


@dataclass(frozen=True, order=True)
class Label:
    """Which multi-indices a monomial puts on particles of the system and of the reservoir, in decreasing order."""

    system: Occupation = ()
    reservoir: Occupation = ()

    def __post_init__(self) -> None:
        """Bring the multi-indices into their order.

        Raises:
            InputError: one of them is zero or has a negative exponent.
        """
        for name in ("system", "reservoir"):
            for alpha in getattr(self, name):
                if min(alpha) < 0 or not any(alpha):
                    raise InputError(f"{name} multi-index {alpha}: exponents must be 0 or more, and not all 0")
            object.__setattr__(self, name, tuple(sorted(getattr(self, name), reverse=True)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` writes; the order of letters and of particles is free.

        Raises:
            InputError: `text` is no such name.
        """
        if text == "1":
            return cls()
        system, _, reservoir = text.partition("|")
        sides = [side.split(".") if side else [] for side in (system, reservoir)]
        words = [word for side in sides for word in side]
        if not words or not all(words) or not set("".join(words)) <= set("xyz"):
            raise InputError(
                f"'{text}' names no polynomial of velocities; write letters x, y, z for each particle, '.' between "
                "particles and '|' before those of the reservoir, as in 'xx', 'x.y' or 'x|y', or '1'"
            )
        return cls(*(tuple((word.count("x"), word.count("y"), word.count("z")) for word in side) for side in sides))

    def __str__(self) -> str:
        """Write "xx.y|z" for v_x^2 v'_y w_z, "1" for the constant."""
        system, reservoir = (
            ".".join("x" * a + "y" * b + "z" * c for a, b, c in side) for side in (self.system, self.reservoir)
        )
        return f"{system}|{reservoir}" if reservoir else system or "1"

    @property
    def degree(self) -> int:
        """Sum of all exponents."""
        return sum(map(sum, self.system + self.reservoir))

    @property
    def parity(self) -> MultiIndex:
        """Of the sums of exponents of x, y and z: 0 where it is even, 1 where it is odd."""
        x, y, z = (sum(alpha[axis] for alpha in self.system + self.reservoir) % 2 for axis in range(3))
        return x, y, z

    @property
    def factorial(self) -> int:
        """Product of the factorials of all exponents: the variance of the Hermite polynomial of one placement."""
        return prod(factorial(exponent) for alpha in self.system + self.reservoir for exponent in alpha)

    @property
    def repetitions(self) -> int:
        """Number of permutations of particles that leave a placement as it is."""
        return prod(factorial(side.count(alpha)) for side in (self.system, self.reservoir) for alpha in set(side))


def orbit(label: Label, M: int, N: int) -> int:
    """Number of distinct placements on M particles of the system and N of the reservoir; 0 where there are too few."""
    return perm(M, len(label.system)) * perm(N, len(label.reservoir)) // label.repetitions


def labels(degree: int, M: int, N: int) -> tuple[Label, ...]:
    """All labels of a degree that have a placement on M and N particles: first those without reservoir."""
    found = [
        Label(system, reservoir)
        for share in range(degree + 1)
        for system in occupations(degree - share, M)
        for reservoir in occupations(share, N)
    ]
    return tuple(found)


def occupations(degree: int, most: int) -> Iterator[Occupation]:
    """Multisets of at most `most` nonzero multi-indices, of `degree` in all, in a fixed order."""
    for parts in partitions(degree, degree):
        if len(parts) > most:
            continue
        chosen: list[Occupation] = [()]
        for part in sorted(set(parts), reverse=True):
            groups = list(combinations_with_replacement(multi_indices(part), parts.count(part)))
            chosen = [some + group for some in chosen for group in groups]
        yield from chosen


def multi_indices(degree: int) -> list[MultiIndex]:
    """Multi-indices of a degree in decreasing order."""
    return [(a, b, degree - a - b) for a in range(degree, -1, -1) for b in range(degree - a, -1, -1)]


def partitions(total: int, largest: int) -> Iterator[tuple[int, ...]]:
    """Ways to write `total` as a sum of decreasing positive numbers of at most `largest`."""
    if total == 0:
        yield ()
    for first in range(min(total, largest), 0, -1):
        for rest in partitions(total - first, first):
            yield (first, *rest)
