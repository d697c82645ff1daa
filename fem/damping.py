"""The operator with constant coefficients that damps waves about as much as an equation does where it damps most."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement, permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ufl
from dolfinx import fem
from ufl.algorithms import expand_derivatives
from ufl.algorithms.apply_algebra_lowering import apply_algebra_lowering
from ufl.corealg.traversal import unique_pre_traversal

from kinlim.fem.collocation import Collocation, Tape, Waves

Array = NDArray[np.float64]


class Damping:
    """For u_t + N(u) = 0: the part of N' that takes unknown k to equation k, with coefficients that are means.

    N' is linearised at a state. If its terms of the highest order, where this is even, damp some wave more anywhere
    than their means do, by a factor w, then all means are taken w/excess times.
    """

    def __init__(
        self,
        points: Collocation,
        equations: Sequence[Any],
        u: fem.Function,
        change: fem.Function,
        clock: fem.Constant | None,
        excess: float,
    ) -> None:
        """Make the tapes of the coefficients.

        Args:
            points: where u is known.
            equations: N in UFL, one scalar expression for each unknown.
            u: the unknowns.
            change: a function of the same space, which stands for what N' is applied to.
            clock: stands for the time.
            excess: how much more the equation may damp than this operator.
        """
        self.points, self.excess, self.components = points, excess, change.ufl_shape
        self.linear = []
        for e in equations:
            linear = expand_derivatives(apply_algebra_lowering(ufl.derivative(e, u, change)))
            gradients: list[Any] = [change]
            there = set(unique_pre_traversal(linear))
            while (following := ufl.grad(gradients[-1])) in there:
                gradients.append(following)
            self.linear.append((Tape(points, [linear], [u, *gradients], clock), len(gradients)))

    def __call__(self, t: float, u: Array) -> Waves:
        """What L multiplies `points.waves` with, shape (unknowns, ...)."""
        return np.stack([self._symbol(self._coefficients(t, u, k)) for k in range(len(u))])

    def _coefficients(self, t: float, u: Array, k: int) -> dict[tuple[int, ...], Array]:
        """Of each derivative of component k, by its orders."""
        tape, orders = self.linear[k]
        dimension, found = self.points.dimension, {}
        shapes = [(len(u),) * bool(self.components) + (dimension,) * order for order in range(orders)]
        for order in range(orders):
            for axes in combinations_with_replacement(range(dimension), order):
                given = [np.zeros(shape) for shape in shapes]
                for places in set(permutations(axes)):
                    given[order][((k,) if self.components else ()) + places] = 1.0
                count = Counter(axes)
                numbers = np.concatenate([numbers.ravel() for numbers in given]).tolist()
                found[tuple(count[a] for a in range(dimension))] = tape(t, [*u, *numbers])[0]
        return found

    def _symbol(self, coefficients: Mapping[tuple[int, ...], Array]) -> Waves:
        """Of one unknown."""
        means = {a: float(values.mean()) for a, values in coefficients.items()}
        symbol = sum(mean * self.points.symbol(a) for a, mean in means.items())
        most, highest = 1.0, max(map(sum, coefficients))
        for direction in product((-1, 0, 1), repeat=self.points.dimension):
            factors = {a: float(np.prod(np.power(direction, a))) for a in means if sum(a) == highest}
            sign = (-1) ** (highest // 2) if highest % 2 == 0 else 0
            local = sign * np.sum([factor * coefficients[a] for a, factor in factors.items()], axis=0)
            if local.mean() > 0:
                most = max(most, float(local.max() / local.mean()) / self.excess)
        return np.asarray(-most * np.maximum(symbol.real, 0.0) - 1j * symbol.imag, np.complex128)
