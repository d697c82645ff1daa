"""The referee: Fourier modes find what is known, find a wrong weak form wrong, and refuse what they cannot judge."""

import numpy as np
import pytest
from conftest import REACTION
from test_equations import Decay, Wave, solved

import ufl
from dolfinx import fem
from mpi4py import MPI

import kinlim
from kinlim.errors import InputError
from kinlim.fem.evolution import EquationMaker
from kinlim.fem.fourier import Collocation, Fourier, apply_algebra_lowering, interpolated
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
    assert "Fourier, 32 points along each axis" in judged.attrs["referee"]


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
    found = grid(apply_algebra_lowering(form), {u: values[None]})
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
    with pytest.raises(InputError, match="--referee is for equations on the torus; its solution is not of one"):
        kinlim.solve(check(kac), referee=True)
