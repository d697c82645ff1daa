"""Polynomials in several variables as tables of their coefficients, and formulas that are such polynomials."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import factorial, prod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kinlim.errors import InputError
from kinlim.formula import NUMPY_FUNCTIONS, Formula

Index = tuple[int, ...]
"""One power for each variable."""

MOST_TERMS = 10**5


@dataclass(frozen=True)
class Polynomial:
    """Sum over alpha of terms[alpha] x^alpha.

    Attributes:
        terms: coefficients, none of them 0.
    """

    terms: Mapping[Index, float]

    @classmethod
    def of(cls, formula: Formula) -> Self:
        """Expand a formula.

        Raises:
            InputError: it is not a polynomial in its variables, or too large.
        """
        count = len(formula.variables)
        axes = {name: cls({tuple(int(i == k) for i in range(count)): 1.0}) for k, name in enumerate(formula.variables)}
        functions = {name: _of_numbers(name, function) for name, function in NUMPY_FUNCTIONS.items()}
        try:
            with np.errstate(all="ignore"):
                value = formula.evaluate(functions, **axes)
        except (OverflowError, ZeroDivisionError, TypeError, ValueError) as error:  # ... and complex numbers
            raise InputError(f"cannot be evaluated ({error})") from None
        if isinstance(value, complex):
            raise InputError("is not a real number")
        found = value if isinstance(value, cls) else cls({(0,) * count: float(value)})
        if not all(np.isfinite(list(found.terms.values()))):
            raise InputError("has a coefficient that is not finite")
        return cls({alpha: c for alpha, c in found.terms.items() if c})

    @property
    def degree(self) -> int:
        """Total degree; 0 for a constant."""
        return max((sum(alpha) for alpha in self.terms), default=0)

    def scaled(self, by: float) -> "Polynomial":
        """The polynomial of x that has the value of this one at by x."""
        return Polynomial({alpha: c * by ** sum(alpha) for alpha, c in self.terms.items()})

    def hermite(self, alpha: Index) -> float:
        """Mean of the polynomial times He_alpha = prod He_(alpha_i)(x_i) over independent N(0, 1).

        With E[x^b He_a] = b!/(2^j j!), j = (b - a)/2, where that is a whole number and not negative, else 0.
        """
        return sum(c * prod(map(_moment, beta, alpha)) for beta, c in self.terms.items())

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at points x, shape (..., variables)."""
        x = np.asarray(x, np.float64)
        values = np.zeros(x.shape[:-1])
        for alpha, c in self.terms.items():
            values = values + c * np.prod(x ** np.array(alpha), axis=-1)
        return values

    def __add__(self, other: Any) -> "Polynomial":
        """Sum."""
        terms = dict(self.terms)
        for alpha, c in self._pairs(other):
            terms[alpha] = terms.get(alpha, 0.0) + c
        return Polynomial(terms)

    __radd__ = __add__

    def __neg__(self) -> "Polynomial":
        """Negative."""
        return self * -1.0

    def __sub__(self, other: Any) -> "Polynomial":
        """Difference."""
        return self + -other

    def __rsub__(self, other: Any) -> "Polynomial":
        """Difference."""
        return -self + other

    def __mul__(self, other: Any) -> "Polynomial":
        """Product."""
        terms: dict[Index, float] = {}
        others = list(self._pairs(other))
        if len(others) * len(self.terms) > MOST_TERMS:
            raise InputError(f"has more than {MOST_TERMS} terms to multiply")
        for (alpha, a), (beta, b) in product(self.terms.items(), others):
            key = tuple(i + j for i, j in zip(alpha, beta, strict=True))
            terms[key] = terms.get(key, 0.0) + a * b
        return Polynomial(terms)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Polynomial":
        """Quotient by a number."""
        if isinstance(other, Polynomial):
            raise InputError("divides by a variable, so it is not a polynomial")
        return self * (1.0 / other)

    def __rtruediv__(self, other: Any) -> "Polynomial":
        """There is none."""
        raise InputError("divides by a variable, so it is not a polynomial")

    def __pow__(self, power: Any) -> "Polynomial":
        """Whole powers."""
        if isinstance(power, Polynomial) or not np.isfinite(power) or power != int(power) or power < 0:
            raise InputError("has a power that is not a whole number, so it is not a polynomial")
        result: Polynomial = Polynomial({(0,) * len(next(iter(self.terms))): 1.0})
        for _ in range(int(power)):
            result = result * self
        return result

    def __rpow__(self, base: Any) -> "Polynomial":
        """There is none."""
        raise InputError("has a variable in a power, so it is not a polynomial")

    def _pairs(self, other: Any) -> Iterator[tuple[Index, float]]:
        if isinstance(other, Polynomial):
            yield from other.terms.items()
        else:
            yield (0,) * len(next(iter(self.terms))), float(other)


def _moment(b: int, a: int) -> float:
    """E[x^b He_a(x)] for x from N(0, 1)."""
    j, odd = divmod(b - a, 2)
    return 0.0 if odd or j < 0 else factorial(b) / (2**j * factorial(j))


def _of_numbers(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*arguments: Any) -> float:
        if any(isinstance(argument, Polynomial) for argument in arguments):
            raise InputError(f"has {name} of a variable, so it is not a polynomial")
        return float(function(*arguments))

    return apply
