"""A referee for equations on the torus: Fourier collocation in space, SciPy's methods in time, from the strong form.

It shares with the elements nothing but the equation's declaration: no mesh, no weak form, no quadrature, no PETSc. The
unknowns are known at N equidistant points along each axis; `Equation.strong` is evaluated there as it is written, every
derivative by fast Fourier transforms. For smooth solutions the error falls faster than any power of N, so that N is
doubled, and the tolerance of the time steps cut to a tenth, until that makes no difference. See Trefethen, "Spectral
Methods in MATLAB", chapters 3 and 4.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.fft
import xarray as xr
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import erf

import ufl
from dolfinx import fem
from ufl.algorithms.apply_algebra_lowering import apply_algebra_lowering
from ufl.classes import Expr

from kinlim.equation import Torus
from kinlim.errors import InputError, RunError
from kinlim.fem.problem import Problem
from kinlim.fem.refinement import relative
from kinlim.grid import Bins, Grid, Points

Array = NDArray[np.float64]

FIRST, MOST = 16, (1024, 256, 64)
"""Points along each axis: to begin with, and at most in dimension 1, 2, 3."""

ENOUGH = 1e-8
"""Relative L2 difference of two solutions that follow each other, below which the last one is taken."""

METHODS = ("BDF", "DOP853", "DOP853")
"""In dimension 1, 2, 3: implicit where the derivative of all by all is a small matrix, explicit beyond."""

RTOL, LEAST_RTOL = 1e-8, 1e-12
"""Error of a time step, relative to the size of the data: to begin with, and at least."""

FUNCTIONS = {
    "sqrt": np.sqrt, "exp": np.exp, "ln": np.log, "cos": np.cos, "sin": np.sin, "tan": np.tan, "cosh": np.cosh,
    "sinh": np.sinh, "tanh": np.tanh, "acos": np.arccos, "asin": np.arcsin, "atan": np.arctan, "erf": erf,
}  # fmt: skip

BINARY = {
    "EQ": np.equal, "NE": np.not_equal, "LE": np.less_equal, "GE": np.greater_equal, "LT": np.less, "GT": np.greater,
    "AndCondition": np.logical_and, "OrCondition": np.logical_or, "MinValue": np.minimum, "MaxValue": np.maximum,
    "Power": np.power, "Division": np.divide,
}  # fmt: skip


class Collocation:
    """Expressions of UFL at the points of a uniform grid on the torus.

    Attributes:
        size: points along each axis, an even number.
        x: coordinates, shape (dimension, size, ..., size).
        values: of what expressions depend on, by terminal: shape (components, size, ..., size).
    """

    def __init__(self, dimension: int, size: int) -> None:
        """Of so many points along each axis."""
        self.size, self.dimension = size, dimension
        axis = np.arange(size) / size
        self.x = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"))
        wave = 2j * np.pi * scipy.fft.rfftfreq(size, 1 / size)
        wave[-1] = 0.0  # the highest wave has no derivative on this grid
        self.wave = wave
        self.values: dict[Expr, Array] = {}
        self.known: dict[Any, Any] = {}

    def derivative(self, values: Array, axis: int) -> Array:
        """Of the trigonometric interpolant, along an axis."""
        shape = [1] * self.dimension
        shape[axis] = -1
        waves = scipy.fft.rfft(values, axis=axis) * self.wave.reshape(shape)
        return np.asarray(scipy.fft.irfft(waves, self.size, axis=axis), np.float64)

    def __call__(self, expression: Expr, values: Mapping[Expr, Array]) -> Array:
        """A scalar expression, lowered by `apply_algebra_lowering`, shape (size, ..., size)."""
        self.values, self.known = dict(values), {}
        with np.errstate(all="ignore"):  # branches of a conditional that do not count
            found = self._at(expression, (), {})
        return np.broadcast_to(np.asarray(found, np.float64), self.x.shape[1:])

    def _at(self, e: Expr, component: tuple[int, ...], index: Mapping[int, int]) -> Any:
        """A component of an expression, with values for its free indices; what is met again is not computed again."""
        key = (e, component, tuple(index[i] for i in e.ufl_free_indices))
        if key not in self.known:
            self.known[key] = self._new(e, component, index)
        return self.known[key]

    def _new(self, e: Expr, component: tuple[int, ...], index: Mapping[int, int]) -> Any:
        kind, parts = type(e).__name__, e.ufl_operands
        if e in self.values:
            return self.values[e][component or (0,)]
        if isinstance(e, fem.Constant):
            return e.value[component] if component else e.value[()]
        if isinstance(e, ufl.classes.SpatialCoordinate):
            return self.x[component[0]]
        if isinstance(e, ufl.classes.Zero):
            return 0.0
        if isinstance(e, ufl.classes.ScalarValue):
            return float(e)
        if isinstance(e, ufl.classes.Identity):
            return float(component[0] == component[1])
        if isinstance(e, ufl.classes.Grad):
            field = np.broadcast_to(self._at(parts[0], component[:-1], index), self.x.shape[1:])
            return self.derivative(field, component[-1])
        if isinstance(e, ufl.classes.Indexed):
            return self._at(parts[0], tuple(_value(i, index) for i in parts[1].indices()), index)
        if isinstance(e, ufl.classes.IndexSum):
            bound = parts[1].indices()[0].count()
            return sum(self._at(parts[0], component, {**index, bound: k}) for k in range(e.dimension()))
        if isinstance(e, ufl.classes.ComponentTensor):
            bound = {i.count(): k for i, k in zip(parts[1].indices(), component, strict=True)}
            return self._at(parts[0], (), {**index, **bound})
        if isinstance(e, ufl.classes.ListTensor):
            return self._at(parts[component[0]], component[1:], index)
        if isinstance(e, ufl.classes.Variable):
            return self._at(parts[0], component, index)
        values = [self._at(part, component, index) for part in parts if not isinstance(part, ufl.classes.MultiIndex)]
        if isinstance(e, ufl.classes.Sum):
            return values[0] + values[1]
        if isinstance(e, ufl.classes.Product):
            return values[0] * values[1]
        if isinstance(e, ufl.classes.Abs):
            return np.abs(values[0])
        if isinstance(e, ufl.classes.MathFunction):
            return FUNCTIONS[e._name](values[0])
        if isinstance(e, ufl.classes.Conditional):
            return np.where(values[0], values[1], values[2])
        if isinstance(e, ufl.classes.NotCondition):
            return np.logical_not(values[0])
        if kind in BINARY:
            return BINARY[kind](values[0], values[1])
        raise InputError(f"its strong form has {kind}, which the referee does not know")


def _value(i: Any, index: Mapping[int, int]) -> int:
    """The value of an index, fixed or free."""
    return int(i) if isinstance(i, ufl.classes.FixedIndex) else index[i.count()]


class Fourier:
    """The referee of a problem on the torus.

    Attributes:
        problem: whose equation and initial data it takes.
        size: points along each axis of the last solution.
        error: relative L2 difference that the last doubling made, by unknown: more than the error of the last solution.
    """

    def __init__(self, problem: Problem) -> None:
        """Look at the strong form.

        Raises:
            InputError: the domain is no torus, there is no strong form, or it is not u_t plus terms without u_t.
        """
        self.problem, self.domain = problem, problem.built.domain
        self.names, self.error, self.size = problem.names, np.zeros(0), 0
        if not isinstance(self.domain, Torus):
            raise InputError(f"{problem.where}: the referee is for equations on the torus")
        u, u_t = (problem.split(f) for f in (problem.u, problem.u_t))
        found = problem.strong(u, u_t)
        if found is None:
            raise InputError(f"{problem.where} has no `strong`, the strong form, which the referee solves")
        parts: Sequence[Any] = found if isinstance(found, list | tuple) else [found]
        self.forms = [apply_algebra_lowering(ufl.as_ufl(part)) for part in parts]
        if len(self.forms) != len(self.names) or any(form.ufl_shape for form in self.forms):
            raise InputError(f"{problem.where}.strong must give one scalar expression for each unknown")
        self._check_speed()

    def _check_speed(self) -> None:
        grid = Collocation(self.domain.dimension, 8)
        u = self._initial(grid)
        u_t = np.cos(np.arange(u.size)).reshape(u.shape)
        still, moving = self._residual(grid, u, np.zeros_like(u)), self._residual(grid, u, u_t)
        if not np.abs(moving - still - u_t).max() <= 1e-9 * max(1.0, np.abs(still).max()):
            raise InputError(f"{self.problem.where}.strong must be u_t plus terms without u_t for the referee")

    def solve(self, times: Array, grid: Grid) -> dict[str, Array]:
        """The unknowns at times, on a grid: shape (times, *grid.shape) each.

        Raises:
            RunError: a step failed: the equation has no smooth solution, or its diffusion is not positive.
        """
        before, size, rtol = None, FIRST, RTOL
        while True:
            unknowns = np.moveaxis(self._solve(times, grid, size, rtol), 1, 0)
            self.size = size
            if before is not None:
                self.error = np.array([relative(*pair).max() for pair in zip(before, unknowns, strict=True)])
                if self.error.max() <= ENOUGH or size == MOST[self.domain.dimension - 1]:
                    return dict(zip(self.names, unknowns, strict=True))
            before, size, rtol = unknowns, 2 * size, max(rtol / 10, LEAST_RTOL)

    def _solve(self, times: Array, grid: Grid, size: int, rtol: float) -> Array:
        """The same with so many points and a tolerance: shape (times, unknowns, *grid.shape)."""
        points = Collocation(self.domain.dimension, size)
        u = self._initial(points)
        zero = np.zeros_like(u)

        def rate(t: float, y: Array) -> Array:
            self.problem.place.t.value = t
            return -self._residual(points, y.reshape(u.shape), zero).ravel()

        def on_grid(y: Array) -> Array:
            return np.stack([interpolated(part, grid) for part in y.reshape(u.shape)])

        # One integration from observation to observation: what lies between is not needed.
        here, t, found, method = u.ravel(), 0.0, [], METHODS[self.domain.dimension - 1]
        scale = np.repeat(self.problem.sizes, u[0].size)
        for time in times:
            if time > t:
                done = solve_ivp(rate, (t, time), here, method, t_eval=(time,), rtol=rtol, atol=rtol * scale)
                if not done.success or not np.isfinite(done.y).all():
                    raise RunError(f"the referee's time steps failed after t = {t:.6g}: {done.message}")
                here, t = done.y[:, -1], float(time)
            found.append(on_grid(here))
        return np.array(found)

    def _initial(self, grid: Collocation) -> Array:
        """Initial data, shape (unknowns, *points)."""
        x = grid.x.reshape(grid.dimension, -1).T
        return self.problem.initial(x).T.reshape(-1, *grid.x.shape[1:])

    def _residual(self, grid: Collocation, u: Array, u_t: Array) -> Array:
        """The strong form at the points, shape (unknowns, *points)."""
        known = {self.problem.u: u, self.problem.u_t: u_t}
        return np.stack([grid(form, known) for form in self.forms])


def judged(problem: Problem, solution: xr.Dataset) -> xr.Dataset:
    """A solution of a problem with what the referee says of it: referee_NAME(time) and the attribute `referee`.

    Raises:
        RunError: the referee has found no solution.
    """
    referee = Fourier(problem)
    found = referee.solve(solution["time"].to_numpy(), problem.equation.grid)
    gaps = {name: relative(solution[name].to_numpy(), values) for name, values in found.items()}
    about = "relative L2 distance to the referee's solution"
    told = ", ".join(f"{name} {gap.max():.2g}" for name, gap in gaps.items())
    return solution.assign(
        {f"referee_{name}": ("time", gap, {"long_name": f"{name}: {about}"}) for name, gap in gaps.items()}
    ).assign_attrs(
        referee=f"Largest {about}: {told} (Fourier, {referee.size} points along each axis, itself right to "
        f"{referee.error.max():.1g})"
    )


def interpolated(values: Array, grid: Grid) -> Array:
    """The trigonometric interpolant at the points of a grid, or its means over bins; values at i/N along each axis."""
    size = values.shape[0]
    waves = scipy.fft.fftn(values) / values.size
    k = scipy.fft.fftfreq(size, 1 / size)
    for a, name in enumerate(grid.axes):
        waves = np.moveaxis(np.tensordot(_evaluation(grid, name, k), waves, (1, a)), 0, a)
    return np.ascontiguousarray(waves.real)


def _evaluation(grid: Grid, axis: str, k: Array) -> NDArray[np.complex128]:
    """exp(2 pi i k x) at the points of an axis, or its means over the bins, shape (points, waves)."""
    if isinstance(grid, Bins):
        edges = grid.edges[axis]
        at = np.exp(2j * np.pi * np.outer(edges, k))
        below = 2j * np.pi * np.where(k == 0, 1, k) * np.diff(edges)[:, None]
        return np.where(k == 0, 1.0, np.diff(at, axis=0) / below)
    assert isinstance(grid, Points)
    return np.exp(2j * np.pi * np.outer(grid.coordinates[axis], k))
