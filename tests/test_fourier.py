"""The referee: Fourier modes find what is known, find a wrong weak form wrong, and refuse what they cannot judge."""

import numpy as np
import pytest
from conftest import REACTION
from test_equations import Decay, Wave, solved

import ufl
from dolfinx import fem
from dolfinx.mesh import create_unit_interval
from mpi4py import MPI

import kinlim
from kinlim.errors import InputError, RunError
from kinlim.fem.collocation import Collocation, Tape, interpolated
from kinlim.fem.damping import Damping
from kinlim.fem.evolution import EquationMaker
from kinlim.fem.extrapolation import EXCESS, Extrapolation
from kinlim.fem.fourier import Fourier
from kinlim.study import check


class Drifting(kinlim.Equation):
    """u_t + a.grad u = div(K grad u) + source on T^2, K no multiple of 1: of one wave, with a known answer."""

    unknowns = {"u": "density"}
    domain = kinlim.Torus(2)
    speed = 1.0
    grid = kinlim.Bins(x=np.linspace(0, 1, 11), y=np.linspace(0, 1, 5))

    a, K = np.array([1.0, -2.0]), np.array([[1.0, 0.3], [0.3, 0.5]])
    k = 2 * np.pi * np.array([1.0, 2.0])

    def initial(self, x, y):
        return np.cos(self.k[0] * x + self.k[1] * y)

    def residual(self, u, u_t, v, at):
        flux = self.speed * ufl.as_matrix(self.K.tolist()) * ufl.grad(u) - ufl.as_vector(self.a) * u
        return (u_t * v + ufl.inner(flux, ufl.grad(v))) * at.dx

    def strong(self, u, u_t, at):
        flux = ufl.as_matrix(self.K.tolist()) * ufl.grad(u) - ufl.as_vector(self.a) * u
        return u_t - ufl.div(flux)


class Faster(Drifting):
    """Its weak form goes 1 % faster than its strong one says."""

    speed = 1.01


def problem(equation, **pde):
    model = kinlim.Model("test", Decay, (kinlim.Evolution(equation),), kinlim.rules())
    tables = {"study": {"model": "pinned", "name": "test"}, "model": {"end_time": 0.01, "observe": (0.5, 1.0)}}
    study = model.study.model_validate(tables | {"pde": {"cells": 8, "degree": 3, "shape": "box"} | pde})
    return EquationMaker(equation, "pde", "pde.nc").problem(study, MPI.COMM_SELF), study


def test_one_wave_drifts_and_decays_and_its_means_over_bins_are_exact():
    referee = Fourier(problem(Drifting)[0])
    times = np.array([0.0, 0.004, 0.01])
    found = referee.solve(times, Drifting.grid)["u"]
    k, (x, y) = Drifting.k, (Drifting.grid.edges[axis] for axis in "xy")
    phase = np.exp(1j * np.add.outer(k[0] * x, k[1] * y))
    means = np.diff(np.diff(phase, axis=0), axis=1) / (-k[0] * k[1] * 0.1 * 0.25)
    rate = -(k @ Drifting.K @ k) - 1j * (k @ Drifting.a)
    exact = (np.exp(rate * times)[:, None, None] * means).real
    assert np.abs(found - exact).max() < 10 * max(referee.error.max(), 1e-9) * np.abs(exact).max()


@pytest.mark.parametrize(("equation", "apart"), [(Drifting, False), (Faster, True)])
def test_a_wrong_weak_form_is_found(equation, apart):
    # 1 % of the decay over the whole time changes the wave by 1 - exp(-0.01 k.Kk t)
    _, study = problem(equation, rtol=1e-8)
    maker = EquationMaker(equation, "pde", "pde.nc")
    maker.refereeable(study, MPI.COMM_SELF)
    solution = solved(equation, end_time=0.01, cells=16, degree=3, shape="box", rtol=1e-8)
    judged = maker.referee(study, solution, MPI.COMM_SELF)
    k = Drifting.k
    expected = -np.expm1(-0.01 * (k @ Drifting.K @ k) * 0.01)
    gap = float(judged.referee_u[-1])
    assert gap == pytest.approx(expected, rel=0.02) if apart else gap < expected / 100
    assert "Fourier, 20 points along each axis" in judged.attrs["referee"]


def test_expressions_are_what_ufl_says():
    # against UFL's own numbers at nodes: conditionals, components, functions, constants, a matrix by index notation
    mesh = problem(Drifting)[0].built.mesh
    u = fem.Function(fem.functionspace(mesh, ("Lagrange", 1)))
    c = fem.Constant(mesh, np.array([[2.0, 1.0], [0.5, 3.0]]))
    x, (i, j) = ufl.SpatialCoordinate(mesh), ufl.indices(2)
    form = (
        ufl.conditional(ufl.And(ufl.gt(u, 0.2), ufl.Not(ufl.ge(x[0], 0.5))), ufl.exp(u), abs(u) ** 1.5)
        + c[i, j] * ufl.as_vector([u, u**2])[i] * ufl.as_vector([1 - u, ufl.sin(u)])[j]
        + ufl.tr(c) * ufl.max_value(u, 0.1) / (2 + ufl.cos(u)) + ufl.Identity(2)[0, 1]
    )  # fmt: skip
    grid = Collocation(2, 8)
    values = np.cos(2 * np.pi * grid.x[0]) * np.sin(2 * np.pi * grid.x[1] + 0.3)
    (found,) = Tape(grid, [form], [u])(0.0, [values])
    first = np.where((values > 0.2) & ~(grid.x[0] >= 0.5), np.exp(values), np.abs(values) ** 1.5)
    vectors = np.stack([values, values**2]), np.stack([1 - values, np.sin(values)])
    exact = first + np.einsum("ij,i...,j...->...", c.value, *vectors)
    exact += 5.0 * np.maximum(values, 0.1) / (2 + np.cos(values))
    assert found == pytest.approx(exact, abs=1e-14)


def test_interpolation_is_exact_for_waves_the_grid_knows():
    x = np.arange(8) / 8
    wave = lambda x, y: 1 + np.cos(2 * np.pi * (3 * x - 2 * y))  # noqa: E731
    points = kinlim.Points(x=[0.1, 0.77], y=[0.2, 0.5, 0.9])
    found = interpolated(wave(x[:, None], x), points)
    assert found == pytest.approx(wave(*np.meshgrid(*points.coordinates.values(), indexing="ij")), abs=1e-14)


def test_the_reactions_limit_agrees_with_its_referee():
    tables = REACTION | {"pde": {"cells": 48, "degree": 4, "rtol": 1e-9}}
    solution = kinlim.solve(check(tables), "pde", referee=True)
    # the field is 1e-6 from its interpolant at time 0; afterwards 48 cells of degree 4 are far better
    assert float(solution.referee_m[1:].max()) < 1e-6
    assert float(solution.referee_m[-1]) < 1e-8


class Still(Wave):
    """Twice its speed stands before u_t."""

    def strong(self, u, u_t, at):
        return 2 * u_t - ufl.div(ufl.grad(u))


class Between(Wave):
    domain = kinlim.Interval()
    grid = domain.grid()


@pytest.mark.parametrize(
    ("equation", "sentence"),
    [
        (Wave, "Wave has no `strong`, the strong form"),
        (Still, r"Still.strong must be u_t plus terms without u_t"),
        (Between, "Between: the referee is for equations on the torus"),
    ],
)
def test_what_cannot_be_judged_is_refused(equation, sentence):
    with pytest.raises(InputError, match=sentence):
        Fourier(problem(equation, shape="simplex")[0])


def test_models_without_equations_on_a_torus_are_refused_before_any_work(kac):
    with pytest.raises(InputError, match="--referee needs an equation on a torus; this model solves none"):
        kinlim.solve(check(kac), referee=True)


def space(dimension, unknowns=1):
    mesh = problem(Drifting)[0].built.mesh if dimension == 2 else create_unit_interval(MPI.COMM_SELF, 4)
    return fem.functionspace(mesh, ("Lagrange", 1, (unknowns,)) if unknowns > 1 else ("Lagrange", 1))


def derived(u, orders):
    """Of a scalar expression, by so many orders along each axis."""
    for axis, order in enumerate(orders):
        for _ in range(order):
            u = u.dx(axis)
    return u


def test_equal_steps_are_made_once_and_what_does_not_change_before():
    u = fem.Function(space(2))
    x = ufl.SpatialCoordinate(u.function_space.mesh)
    matrix = ufl.as_matrix([[1.0, 0.5], [0.5, 2.0]])
    tape = Tape(Collocation(2, 8), [ufl.div((1 + u**2) * matrix * ufl.grad(u)) / 2 + ufl.sin(x[0])], [u])
    # two slopes of u and two of the fluxes; one square, since a power that is whole is taken by products
    names = [getattr(function, "__name__", "derivative") for function, _, _ in tape.steps]
    assert names.count("derivative") == 4
    assert not {"sin", "power", "divide"} & set(names)
    # 1 + u^2 once, times three different entries of the matrix
    assert names.count("multiply") <= 1 + 3 + 4 + 1


@pytest.mark.parametrize("dimension", [1, 2])
def test_the_damping_is_the_symbol_of_constant_coefficients(dimension):
    # every term of -N for two unknowns, the second of order 4; what couples them is left out
    functions = [fem.Function(space(dimension, 2)) for _ in range(2)]
    first, second = ufl.split(functions[0])
    ends = (0,) * (dimension - 1)
    equations = [
        -3 * derived(first, (2, *ends)) + 2 * derived(first, (1, *ends)) + 0.5 * first + 7 * second,
        derived(second, (*ends, 4)) + first * 0,
    ]
    points = Collocation(dimension, 8)
    u = np.ones((2, *points.shape))
    found = Damping(points, equations, *functions, None, EXCESS)(0.0, u)
    k = 2 * np.pi * np.fft.fftfreq(8, 1 / 8).reshape(-1, *[1] * (dimension - 1))[: found.shape[1]]
    first_order = np.where(np.abs(k) == 8 * np.pi, 0, 2j * k)
    one = np.broadcast_to(-3 * k**2 - first_order - 0.5, found.shape[1:])
    assert found[0] == pytest.approx(one, rel=1e-12, abs=1e-9)
    last = 2 * np.pi * np.arange(5)
    assert found[1] == pytest.approx(np.broadcast_to(-(last**4), found.shape[1:]), rel=1e-12, abs=1e-9)


def test_the_damping_is_near_the_largest_coefficient():
    # a(x) = 1 + 0.9 sin: the mean 1 would be too little where a = 1.9
    functions = [fem.Function(space(1)) for _ in range(2)]
    x = ufl.SpatialCoordinate(functions[0].function_space.mesh)
    a = 1 + 0.9 * ufl.sin(2 * ufl.pi * x[0])
    points = Collocation(1, 16)
    found = Damping(points, [-(a * functions[0].dx(0)).dx(0)], *functions, None, EXCESS)(0.0, np.ones((1, 16)))
    k = 2 * np.pi * np.arange(9)
    assert found[0].real == pytest.approx(-1.9 / EXCESS * k**2)


def test_steps_of_all_lengths_are_stable_where_the_equation_damps_not_much_more():
    # u' = -a u, L = -b: one step with all rows, whatever a = excess*b, from 1e-2 to 1e7 over the step
    def growth(excess):
        a = excess * np.logspace(-2, 7, 400)[:, None]
        steps = Extrapolation(Collocation(1, 2), lambda t, u: -a * u, lambda t, u: 0 * u, np.ones(400))
        rows = steps.rows(0.0, np.ones((400, 2)), 1.0, -a / excess + np.zeros(2))
        return max(np.abs(row[-1]).max() for row in rows)

    assert growth(EXCESS) <= 1
    assert growth(0.3) <= 1
    assert growth(1.25) > 1  # the bound is not much too small


@pytest.mark.parametrize(
    ("orders", "factor"), [((0,), -2.0), ((1,), 30.0), ((2,), 0.5), ((3,), 1e-2), ((4,), -1e-3)], ids="01234"
)
def test_waves_of_every_order_are_carried_and_damped(orders, factor):
    # u_t = factor d^n u/dx^n
    u, change = (fem.Function(space(1)) for _ in range(2))
    equation = -factor * derived(u, orders)
    points = Collocation(1, 16)
    residual = Tape(points, [equation], [u])
    damping = Damping(points, [equation], u, change, None, EXCESS)
    steps = Extrapolation(points, lambda t, u: -residual(t, u), damping, np.array([1e-9]))
    k, x = 4 * np.pi, points.x
    found = steps.advance(0.0, np.cos(k * x), 0.1)
    exact = (np.exp(factor * (1j * k) ** orders[0] * 0.1) * np.exp(1j * k * x)).real
    # errors of steps that are all one way add up to less than one allowed error a step
    assert np.abs(found - exact).max() < 1e-9 * steps.steps
    assert steps.rejected <= steps.steps


def test_time_in_the_equation_is_that_of_the_inner_steps():
    # u' = 6 t^5 has one answer, 1, and rows that took F at the beginning of the whole step would find another
    points = Collocation(1, 2)
    steps = Extrapolation(points, lambda t, u: 6 * t**5 + 0 * u, lambda t, u: np.zeros((1, 2)), np.array([1e-10]))
    assert steps.advance(0.0, np.zeros((1, 2)), 1.0) == pytest.approx(np.ones((1, 2)), abs=1e-9)


def test_steps_that_cannot_be_made_are_given_up():
    points = Collocation(1, 2)
    rate = lambda t, u: 0 * u + (np.nan if t > 0.5 else 1.0)  # noqa: E731
    steps = Extrapolation(points, rate, lambda t, u: np.zeros((1, 2)), np.array([1e-8]))
    with pytest.raises(RunError, match=r"the referee's time steps failed after t = 0.[56], the last of length"):
        steps.advance(0.0, np.ones((1, 2)), 1.5)


class Coupled(kinlim.Equation):
    """Two unknowns that turn into each other a hundred times faster than they spread."""

    unknowns = {"u": "one", "v": "other"}
    domain = kinlim.Torus(1)
    grid = kinlim.Points(x=np.arange(16) / 16)

    def initial(self, x):
        return np.stack([1 + 0.5 * np.cos(2 * np.pi * x), 1 + 0.2 * np.sin(2 * np.pi * x)])

    def residual(self, u, u_t, v, at):
        turn = 100 * (u[0] - u[1]) * (v[0] - v[1])
        return (u_t[0] * v[0] + u_t[1] * v[1] + u[0].dx(0) * v[0].dx(0) + 0.1 * u[1].dx(0) * v[1].dx(0) + turn) * at.dx

    def strong(self, u, u_t, at):
        turn = 100 * (u[0] - u[1])
        return u_t[0] - u[0].dx(0).dx(0) + turn, u_t[1] - 0.1 * u[1].dx(0).dx(0) - turn


def test_what_couples_unknowns_is_in_the_steps_though_not_in_the_damping():
    this, _ = problem(Coupled, shape="simplex")
    solution = solved(Coupled, end_time=0.05, cells=32, degree=4, rtol=1e-9)
    referee = Fourier(this)
    found = referee.solve(solution["time"].to_numpy(), Coupled.grid)
    for name, values in found.items():
        # 32 cells of degree 4 are within 1e-7 of a cosine, and rtol is smaller
        assert np.abs(solution[name].to_numpy() - values)[1:].max() < 1e-7
