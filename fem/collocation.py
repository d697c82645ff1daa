"""Expressions of UFL at equidistant points of the torus, every derivative that of the trigonometric interpolant.

See Trefethen, "Spectral Methods in MATLAB", chapter 3.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.special import erf

import ufl
from dolfinx import fem
from ufl.algorithms.apply_algebra_lowering import apply_algebra_lowering
from ufl.classes import Expr

from kinlim.errors import InputError
from kinlim.grid import Bins, Grid, Points

Array = NDArray[np.float64]
Waves = NDArray[np.complex128]

FUNCTIONS = {
    "sqrt": np.sqrt, "exp": np.exp, "ln": np.log, "cos": np.cos, "sin": np.sin, "tan": np.tan, "cosh": np.cosh,
    "sinh": np.sinh, "tanh": np.tanh, "acos": np.arccos, "asin": np.arcsin, "atan": np.arctan, "erf": erf,
}  # fmt: skip

OPERATIONS: dict[str, Callable[..., Any]] = {
    "EQ": np.equal, "NE": np.not_equal, "LE": np.less_equal, "GE": np.greater_equal, "LT": np.less, "GT": np.greater,
    "AndCondition": np.logical_and, "OrCondition": np.logical_or, "NotCondition": np.logical_not,
    "MinValue": np.minimum, "MaxValue": np.maximum, "Power": np.power, "Division": np.divide, "Product": np.multiply,
    "Sum": np.add, "Abs": np.abs, "Conditional": np.where,
}  # fmt: skip

PRODUCTS = 4
"""Largest whole power that is taken by products, which are many times as fast."""


class Collocation:
    """N equidistant points along each axis of the torus.

    Attributes:
        size: N, an even number.
        x: coordinates, shape (dimension, N, ..., N).
        derive: the matrix that takes values along an axis to the derivative's, shape (N, N).
    """

    def __init__(self, dimension: int, size: int) -> None:
        """Of so many points along each axis."""
        self.size, self.dimension = size, dimension
        self.shape, self.axes = (size,) * dimension, tuple(range(-dimension, 0))
        self.x = np.stack(np.meshgrid(*[np.arange(size) / size] * dimension, indexing="ij"))
        wave = scipy.fft.rfftfreq(size, 1 / size)
        wave[-1] = 0.0  # the highest wave has no derivative on this grid
        identity = scipy.fft.rfft(np.eye(size), axis=0)
        self.derive: Array = scipy.fft.irfft(2j * np.pi * wave[:, None] * identity, size, axis=0)

    def derivative(self, axis: int, values: Array) -> Array:
        """Of the trigonometric interpolant, along an axis."""
        if axis == self.dimension - 1:
            return values @ self.derive.T
        if axis == 0:
            return (self.derive @ values.reshape(self.size, -1)).reshape(values.shape)
        return np.matmul(self.derive, values)

    def waves(self, values: Array) -> Waves:
        """Fourier coefficients along the last axes, half of the last one's."""
        return np.asarray(scipy.fft.rfftn(values, axes=self.axes), np.complex128)

    def values(self, waves: Waves) -> Array:
        """The inverse of `waves`."""
        return np.asarray(scipy.fft.irfftn(waves, self.shape, axes=self.axes), np.float64)

    def symbol(self, exponents: Sequence[int]) -> Waves:
        """What a derivative of these orders multiplies `waves` with."""
        found = np.ones((1,) * self.dimension, np.complex128)
        for axis, exponent in enumerate(exponents):
            number = (scipy.fft.rfftfreq if axis == self.dimension - 1 else scipy.fft.fftfreq)(self.size, 1 / self.size)
            factor = (2j * np.pi * number) ** exponent
            if exponent % 2:
                factor[self.size // 2] = 0.0
            found = found * factor.reshape([-1 if a == axis else 1 for a in range(self.dimension)])
        return found


@dataclass(frozen=True)
class Derivative:
    """Along an axis."""

    points: Collocation
    axis: int

    def __call__(self, values: Array) -> Array:
        """Of values, shape (N, ..., N), or of a number."""
        return self.points.derivative(self.axis, np.broadcast_to(values, self.points.shape))


class Tape:
    """Scalar expressions at collocation points, as a list of steps made once and run many times.

    What does not depend on inputs and time is computed when the list is made, and equal steps are made once.
    """

    def __init__(
        self, points: Collocation, expressions: Sequence[Any], inputs: Sequence[Expr], clock: fem.Constant | None = None
    ) -> None:
        """Make the list.

        Args:
            points: where.
            expressions: in UFL.
            inputs: functions, or gradients of functions, that are given when the list is run.
            clock: the one constant that changes.

        Raises:
            InputError: there is something in an expression that is not known here.
        """
        self.points, self.clock = points, clock
        self.inputs: dict[Expr, int] = {}
        self.count = 1  # of slots of the time, then of the inputs' components; what follows from them comes behind
        for e in inputs:
            self.inputs[e] = self.count
            self.count += int(np.prod(e.ufl_shape, dtype=int))
        self.slots: list[Any] = [None] * self.count
        self.fixed: set[int] = set()
        self.steps: list[tuple[Callable[..., Any], int, tuple[int, ...]]] = []
        self.known: dict[Any, int] = {}
        with np.errstate(all="ignore"):
            self.results = [self._at(apply_algebra_lowering(ufl.as_ufl(e)), (), {}) for e in expressions]
        last = {slot: k for k, (_, _, arguments) in enumerate(self.steps) for slot in arguments}
        self.dead: list[list[int]] = [[] for _ in self.steps]
        for slot, k in last.items():
            if slot not in self.fixed and slot not in self.results:
                self.dead[k].append(slot)

    def __call__(self, t: float, components: Iterable[Any]) -> Array:
        """The expressions' values, shape (expressions, N, ..., N).

        Args:
            t: time.
            components: of the inputs, one after the other: arrays of shape (N, ..., N), or numbers.
        """
        slots = self.slots.copy()
        slots[: self.count] = [t, *components]
        with np.errstate(all="ignore"):  # branches of a conditional that do not count
            for (function, slot, arguments), dead in zip(self.steps, self.dead, strict=True):
                slots[slot] = function(*[slots[a] for a in arguments])
                for gone in dead:  # its memory is still in the cache
                    slots[gone] = None
        return np.stack([np.broadcast_to(slots[slot], self.points.shape) for slot in self.results])

    def _constant(self, value: Any) -> int:
        """The slot of a number, or of an array."""
        key = ("array", id(value)) if np.ndim(value) else ("number", float(value))
        if key not in self.known:
            self.known[key] = len(self.slots)
            self.fixed.add(len(self.slots))
            self.slots.append(value if np.ndim(value) else float(value))
        return self.known[key]

    def _number(self, slot: int) -> float | None:
        """What is in a slot, if it is one number that does not change."""
        value = self.slots[slot]
        return value if slot in self.fixed and isinstance(value, float) else None

    def _step(self, function: Callable[..., Any], *inputs: int) -> int:
        """The slot of a function's value."""
        numbers = [self._number(slot) for slot in inputs]
        if function is np.multiply and 0.0 in numbers:
            return self._constant(0.0)
        for operation, neutral in ((np.multiply, 1.0), (np.add, 0.0)):
            if function is operation and neutral in numbers:
                return inputs[1 - numbers.index(neutral)]
        if function is np.divide and numbers[1]:
            return self._step(np.multiply, inputs[0], self._constant(1 / numbers[1]))
        if self.fixed.issuperset(inputs):
            return self._constant(function(*[self.slots[slot] for slot in inputs]))
        if function is np.power and numbers[1] is not None and 0 < numbers[1] <= PRODUCTS and numbers[1].is_integer():
            return reduce(partial(self._step, np.multiply), inputs[:1] * int(numbers[1]))
        if (function, inputs) not in self.known:
            self.known[function, inputs] = len(self.slots)
            self.steps.append((function, len(self.slots), inputs))
            self.slots.append(None)
        return self.known[function, inputs]

    def _at(self, e: Expr, component: tuple[int, ...], index: Mapping[int, int]) -> int:
        """The slot of a component of an expression, with values for its free indices."""
        key = (e, component, tuple(index[i] for i in e.ufl_free_indices))
        if key not in self.known:
            self.known[key] = self._new(e, component, index)
        return self.known[key]

    def _new(self, e: Expr, component: tuple[int, ...], index: Mapping[int, int]) -> int:
        kind, parts = type(e).__name__, e.ufl_operands
        if e in self.inputs:
            return self.inputs[e] + int(np.ravel_multi_index(component, e.ufl_shape) if component else 0)
        if isinstance(e, fem.Constant):
            return 0 if e is self.clock else self._constant(e.value[component])
        if isinstance(e, ufl.classes.SpatialCoordinate):
            return self._constant(self.points.x[component[0]])
        if isinstance(e, ufl.classes.Zero):
            return self._constant(0.0)
        if isinstance(e, ufl.classes.ScalarValue):
            return self._constant(float(e))
        if isinstance(e, ufl.classes.Identity):
            return self._constant(float(component[0] == component[1]))
        if isinstance(e, ufl.classes.Grad):
            field = self._at(parts[0], component[:-1], index)
            if self._number(field) is not None:
                return self._constant(0.0)
            return self._step(Derivative(self.points, component[-1]), field)
        if isinstance(e, ufl.classes.Indexed):
            return self._at(parts[0], tuple(_value(i, index) for i in parts[1].indices()), index)
        if isinstance(e, ufl.classes.IndexSum):
            bound = parts[1].indices()[0].count()
            terms = [self._at(parts[0], component, {**index, bound: k}) for k in range(e.dimension())]
            return reduce(partial(self._step, np.add), terms)
        if isinstance(e, ufl.classes.ComponentTensor):
            bound = {i.count(): k for i, k in zip(parts[1].indices(), component, strict=True)}
            return self._at(parts[0], (), {**index, **bound})
        if isinstance(e, ufl.classes.ListTensor):
            return self._at(parts[component[0]], component[1:], index)
        if isinstance(e, ufl.classes.Variable):
            return self._at(parts[0], component, index)
        inputs = [self._at(part, component, index) for part in parts if not isinstance(part, ufl.classes.MultiIndex)]
        if isinstance(e, ufl.classes.MathFunction):
            return self._step(FUNCTIONS[e._name], *inputs)
        if kind in OPERATIONS:
            return self._step(OPERATIONS[kind], *inputs)
        raise InputError(f"its strong form has {kind}, which the referee does not know")


def _value(i: Any, index: Mapping[int, int]) -> int:
    """The value of an index, fixed or free."""
    return int(i) if isinstance(i, ufl.classes.FixedIndex) else index[i.count()]


def interpolated(values: Array, grid: Grid) -> Array:
    """The trigonometric interpolant at the points of a grid, or its means over bins; values at i/N along each axis."""
    size = values.shape[0]
    waves = scipy.fft.fftn(values) / values.size
    k = scipy.fft.fftfreq(size, 1 / size)
    for a, name in enumerate(grid.axes):
        waves = np.moveaxis(np.tensordot(_evaluation(grid, name, k), waves, (1, a)), 0, a)
    return np.ascontiguousarray(waves.real)


def _evaluation(grid: Grid, axis: str, k: Array) -> Waves:
    """exp(2 pi i k x) at the points of an axis, or its means over the bins, shape (points, waves)."""
    if isinstance(grid, Bins):
        edges = grid.edges[axis]
        at = np.exp(2j * np.pi * np.outer(edges, k))
        below = 2j * np.pi * np.where(k == 0, 1, k) * np.diff(edges)[:, None]
        return np.where(k == 0, 1.0, np.diff(at, axis=0) / below)
    assert isinstance(grid, Points)
    return np.exp(2j * np.pi * np.outer(grid.coordinates[axis], k))
