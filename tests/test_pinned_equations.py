"""System (B') with no-flux ends: the right equations, at the right order, conserving what they must."""

import numpy as np
import pytest

import basix.ufl
import ufl
from dolfinx import fem
from mpi4py import MPI

from kinlim.errors import InputError
from kinlim.fem.pinned import b_prime, discretise, solve
from kinlim.fem.pinned.spread import spread
from kinlim.fem.timestepper import TimeStepper
from kinlim.meshes.interval import graded, interval
from kinlim.study import check


def manufactured(cells, degree, lam=7.0, end=0.02):
    """L2 errors in mu and w at `end` for mu = cos(pi x)(1 + t), w = (2 + cos(2 pi x)) e^t/4 on [0, 1].

    Both have no slope at the ends, where the flux is then -lam sigma: it enters with the source.
    """
    domain = interval(MPI.COMM_SELF, graded((0.0, 1.0), cells))
    space = fem.functionspace(domain, basix.ufl.element("Lagrange", "interval", degree, shape=(2,)))
    u, u_t, test = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    t = fem.Constant(domain, 0.0)
    x = ufl.SpatialCoordinate(domain)[0]
    dx, ds = ufl.dx(metadata={"quadrature_degree": 3 * degree + 4}), ufl.ds
    normal = ufl.FacetNormal(domain)[0]
    mu, w = ufl.cos(ufl.pi * x) * (1 + t), (2 + ufl.cos(2 * ufl.pi * x)) * ufl.exp(t) / 4
    sigma = ufl.sqrt(2 * w)
    source_mu = ufl.cos(ufl.pi * x) - (mu.dx(0) - lam * sigma).dx(0)
    source_w = w - w.dx(0).dx(0) + lam * mu.dx(0) * sigma - mu.dx(0) ** 2
    phi, psi = ufl.split(test)
    residual = (
        b_prime.residual(ufl.split(u), ufl.split(u_t), ufl.split(test), lam, 1e-12, dx)
        - (source_mu * phi + source_w * psi) * dx
        + lam * sigma * normal * phi * ds(metadata={"quadrature_degree": 8})
    )
    u.interpolate(lambda x: np.stack([np.cos(np.pi * x[0]), (2 + np.cos(2 * np.pi * x[0])) / 4]))
    with TimeStepper(
        residual,
        u,
        u_t,
        clock=t,
        rtol=1e-8,
        atol=np.array([1e-8, 1e-8]),
        first_step=1e-4,
        prefix="mms_",
    ) as stepper:
        stepper.advance(end)
    t.value = end
    return [np.sqrt(fem.assemble_scalar(fem.form((u[i] - exact) ** 2 * dx))) for i, exact in enumerate((mu, w))]


@pytest.mark.parametrize(("degree", "cells"), [(1, (16, 32, 64)), (2, (8, 16, 32)), (3, (6, 12, 24))])
def test_manufactured_solutions_converge_at_order_degree_plus_one(degree, cells):
    # lambda != 1, both unknowns away from 0 and changing in time: a dropped factor or sign leaves an error of order one
    errors = np.array([manufactured(n, degree) for n in cells])
    orders = np.log2(errors[:-1] / errors[1:])
    assert orders == pytest.approx(np.full((2, 2), degree + 1.0), abs=0.2)


def test_the_regularised_spread():
    w = np.array([-1.0, -1e-3, 0.0, 1e-3, 1.0])
    delta = 1e-9
    sigma = np.array([float(spread(ufl.as_ufl(value), delta)) for value in w])
    assert sigma == pytest.approx(np.sign(w) * np.sqrt(2 * np.abs(w)), rel=1e-11)


@pytest.mark.parallel
@pytest.mark.parametrize("grading", [1.0, 2.0])
def test_momentum_and_energy_are_conserved(tables, grading):
    # on a coarse mesh: it is the forms that conserve, not resolution
    tables["pde"] |= {"cells": 10, "grading": grading, "rtol": 1e-7}
    result = solve(check(tables), MPI.COMM_WORLD)
    assert float(result.momentum_drift.max()) < 1e-12
    assert float(result.energy_drift.max()) < 1e-8
    assert result.energy_flux.values.tolist() == [0, 0, 0]


@pytest.mark.parallel
def test_ranks_do_not_matter(study):
    shared, alone = solve(study, MPI.COMM_WORLD), solve(study, MPI.COMM_SELF)
    for name in ("mu", "sigma", "E", "node_mu", "node_sigma", "node_E", "momentum", "energy"):
        assert shared[name].values == pytest.approx(alone[name].values, rel=1e-9, abs=1e-9), name
    assert shared.node_x.values == pytest.approx(alone.node_x.values)


def test_observing_does_not_change_the_solution(tables):
    tables["pde"]["rtol"] = 1e-8
    often = solve(check(tables))
    tables["model"]["observe"] = [1.0]
    once = solve(check(tables))
    assert often.mu.values[-1] == pytest.approx(once.mu.values[0], abs=1e-6)
    assert often.sigma.values[-1] == pytest.approx(once.sigma.values[0], abs=1e-5)


def test_without_lambda_and_spread_it_is_the_heat_equation(tables):
    # mu_t = mu_xx with mu_x = 0 at the ends: cos(pi x) decays by exp(-pi^2 t), and w takes up the energy it loses
    tables["model"] |= {"mu0": "cos(pi*x)", "sigma0": "0", "lambda": 1e-8, "end_time": 0.05, "observe": [0.0, 1.0]}
    tables["pde"] |= {"cells": 40, "rtol": 1e-8}
    result = solve(check(tables))
    x, t = result.x.values, float(result.time[-1])
    assert result.mu.values[0] == pytest.approx(np.cos(np.pi * x), abs=1e-5)
    assert result.mu.values[1] == pytest.approx(np.exp(-(np.pi**2) * t) * np.cos(np.pi * x), abs=1e-5)
    assert float(result.energy[1]) == pytest.approx(0.25, abs=1e-6)
    gained = np.trapezoid(result.sigma.values[1] ** 2 / 2, x)  # on 50 sites: 1e-4 at this curvature
    assert gained == pytest.approx(0.25 * (1 - np.exp(-2 * np.pi**2 * t)), rel=1e-3)


def test_spread_relaxes_to_the_slope_over_lambda(tables):
    # where mu_x > 0 stays, w_t = -lambda mu_x sigma + mu_x^2 + ... settles at sigma = mu_x/lambda
    tables["model"] |= {"balls": 1000, "mu0": "x", "sigma0": "0", "end_time": 2e-4, "observe": [1.0]}
    tables["particles"]["replicas"] = 2
    middle = solve(check(tables)).sel(x=0.5, method="nearest")
    assert float(middle.sigma[0]) == pytest.approx(1 / check(tables).model.lam, rel=1e-4)


def test_on_another_interval_the_solution_is_the_scaled_one(tables):
    # x = 1 + 3 x', t = 9 t', lambda = lambda'/3: forgetting a length in any of them would show
    unit = solve(check(tables))
    scaled = "(x-1)/3"
    tables["model"] |= {
        "interval": [1, 4],
        "end_time": 9 * tables["model"]["end_time"],
        "mu0": f"erf(27*({scaled}-1/2)**3)",
        "sigma0": f"(1-cos(2*pi*{scaled}))/20",
    }
    other = solve(check(tables))
    assert other.mu.values == pytest.approx(unit.mu.values, abs=1e-8)
    assert other.sigma.values == pytest.approx(unit.sigma.values, abs=1e-8)
    assert other.energy.values == pytest.approx(3 * unit.energy.values, rel=1e-10)


@pytest.mark.parametrize(("mu0", "sigma0"), [("0", "(1-cos(2*pi*x))/20"), ("0.5", "0"), ("0", "0"), ("0*x", "1")])
def test_constants_are_data_like_any_other(tables, mu0, sigma0):
    tables["model"] |= {"mu0": mu0, "sigma0": sigma0}
    result = solve(check(tables))
    assert float(result.momentum[-1]) == pytest.approx(float(mu0 == "0.5") / 2, abs=1e-12)
    if sigma0 == "0":
        assert np.abs(result.sigma.values).max() < 1e-9  # nothing moves, nothing spreads
        assert result.attrs["steps"] < 100  # error control relative to rounding errors took 57,177
    assert float(result.energy_drift.max()) < 1e-8


@pytest.mark.parametrize("mu0", ["1e-12*x", "1e12*x"])
def test_the_scale_of_velocities_does_not_matter(tables, mu0):
    # error control against max |mu0| alone took 36,781 steps for a small mean with a large spread
    tables["model"] |= {"mu0": mu0, "sigma0": "1"}
    assert solve(check(tables)).attrs["steps"] < 1000


@pytest.mark.parallel
@pytest.mark.parametrize(
    ("key", "formula", "words"),
    [
        ("mu0", "1/(x-0.75)", "model.mu0 = '1/.x-0.75.' is inf at x = 0.75"),
        ("sigma0", "cos(98*pi*x)", "model.sigma0 = 'cos.98.pi.x.' is -.* node"),
    ],
)
def test_data_that_fail_between_the_balls_are_refused_on_all_ranks(tables, key, formula, words):
    # fine at every site, not at a node of the mesh, which one rank alone has
    tables["model"][key] = formula
    tables["pde"]["cells"] = 40
    with pytest.raises(InputError, match=words):
        discretise(check(tables), MPI.COMM_WORLD)
