"""Systems (A), (B'), (B_n), (C): the right equations, at the right order, conserving, alike in all layouts."""

import numpy as np
import pytest

import ufl
from mpi4py import MPI

from kinlim.errors import InputError, RunError
from kinlim.fem.pinned import EQUATIONS, b_n, b_prime, discretise, manufactured, solve
from kinlim.fem.pinned.spread import Scales, spread
from kinlim.fem.refinement import distance, estimate
from kinlim.meshes.interval import graded
from kinlim.study import check

SYSTEMS, ENDS = ("A", "B'", "B_n", "C"), ("noflux", "paper")


@pytest.mark.slow
@pytest.mark.parametrize("boundary", ENDS)
@pytest.mark.parametrize(
    ("system", "degree", "cells"),
    [
        ("B'", 1, (16, 32, 64)),
        ("B'", 2, (8, 16, 32)),
        ("B'", 3, (8, 16, 32)),
        ("B_n", 2, (8, 16, 32)),
        ("A", 2, (8, 16, 32)),
        ("C", 2, (8, 16, 32)),
    ],
)
def test_manufactured_solutions_converge_at_order_degree_plus_one(system, boundary, degree, cells):
    # lambda != 1, both unknowns changing in time, on [0, 1.5]: a dropped factor or sign leaves an error of order one
    found = np.array([manufactured.errors(system, boundary, degree, graded((0.0, 1.5), n)) for n in cells])
    orders = np.log2(found[1] / found[2])  # of mu and of w, on the finest pair
    assert (orders > degree + 0.8).all()


@pytest.mark.parametrize("boundary", ENDS)
def test_the_order_in_time(boundary):
    steps, *errors = np.array(manufactured.errors_in_time("B'", boundary, (10, 20))).T
    orders = [np.log(e[0] / e[1]) / np.log(steps[0] / steps[1]) for e in errors]
    assert orders == pytest.approx([b_prime.ORDER] * 2, abs=0.3)


def test_the_regularised_spread():
    w = np.array([-1.0, -1e-3, 0.0, 1e-3, 1.0])
    delta = 1e-9
    sigma = np.array([float(spread(ufl.as_ufl(value), delta)) for value in w])
    assert sigma == pytest.approx(np.sign(w) * np.sqrt(2 * np.abs(w)), rel=1e-11)


def test_the_mean_of_rices_law():
    # against the mean length of planar Gaussian vectors by quadrature, and against the expression that FFCx compiles
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = np.outer(weights, weights) / (2 * np.pi)
    for z in (1.0, 4.0, 30.0):  # near 0 the kink of the length at the origin spoils the quadrature
        lengths = np.hypot(np.sqrt(2 * z) + nodes[:, None], nodes)
        assert b_n.rice(z) == pytest.approx(float((weights * lengths).sum()) / np.sqrt(np.pi / 2), rel=1e-3 / z)
    w, delta, spacing = 0.02, 1e-14, 0.01
    for z in (0.0, 1e-3, b_n.still(), 0.5, 3.0, 40.0, 1e4):
        slope = -np.sqrt(2 * w * z) / spacing
        found = float(b_n.effective(ufl.as_ufl(w), ufl.as_ufl(slope), Scales(1.0, delta, spacing)))
        assert found == pytest.approx(np.sqrt(2 * w) * b_n.rice(z), rel=1e-6)
    # without spread the ordering sees the steps of the mean alone: S = 2 d/sqrt(pi)
    found = float(b_n.effective(ufl.as_ufl(0.0), ufl.as_ufl(3.0), Scales(1.0, delta, spacing)))
    assert found == pytest.approx(2 * 0.03 / np.sqrt(np.pi), rel=1e-6)


def test_b_n_goes_to_b_prime(tables):
    # with the square of the spacing where sigma is not small; lambda is held
    tables["model"] |= {"mu0": "cos(pi*x)", "sigma0": "1+cos(2*pi*x)/2", "lambda": 5, "end_time": 0.05}
    tables["pde"] |= {"rtol": 1e-9}
    found = []
    for balls in (20, 39, 77):
        tables["model"]["balls"] = balls
        plain, corrected = (solve(check(tables | {"pde": tables["pde"] | {"system": s}})) for s in ("B'", "B_n"))
        found.append(float(distance(corrected["sigma"], plain["sigma"])[-1]))
    assert np.log2(np.array(found[:-1]) / found[1:]) == pytest.approx([2, 2], abs=0.15)


def test_the_state_in_which_nothing_flows(tables):
    # where mu_x > 0 the equations drive sigma to mu_x/lambda, and (B_n) to that over L(Z), for every n
    tables["model"] |= {"mu0": "x", "sigma0": "0.1", "end_time": 2.0}
    tables["pde"] |= {"system": "B_n", "rtol": 1e-8}
    for balls in (20, 50):  # more take longer, like lambda^2
        tables["model"]["balls"] = balls
        result = solve(check(tables)).isel(time=-1)
        slope = np.gradient(result.mu.values, result.x.values)
        assert result.sigma.values == pytest.approx(b_n.balanced() * slope / result.attrs["lambda"], rel=2e-6)


@pytest.mark.parametrize("boundary", ENDS)
def test_b_n_conserves_momentum_and_energy(tables, boundary):
    # on one rank: what ranks share is that of (B')
    test_momentum_and_energy_are_conserved(tables, "B_n", boundary, 2.0)


@pytest.mark.parallel
@pytest.mark.parametrize("system", ["A", "B'", "C"])
@pytest.mark.parametrize("boundary", ENDS)
@pytest.mark.parametrize("grading", [1.0, 2.0])
def test_momentum_and_energy_are_conserved(tables, system, boundary, grading):
    # on a coarse mesh: it is the forms that conserve, not resolution. Energy that leaves through the ends is counted
    # with an interpolation in time, which is less exact; forgetting the reaction would leave 3e-3 here.
    tables["model"]["sigma0"] = "sin(pi*x)/5"
    tables["pde"] |= {"cells": 20, "grading": grading, "rtol": 1e-8, "system": system, "boundary": boundary}
    result = solve(check(tables), MPI.COMM_WORLD)
    rounding = 1e-11 if system == "C" else 1e-12  # BDF starts with very short steps, whose rounding errors stay
    assert float(result.momentum_drift.max()) < rounding
    assert float(result.energy_drift.max()) < (1e-8 if boundary == "noflux" else 1e-6)
    if boundary == "noflux":
        assert result.energy_flux.values.tolist() == [0, 0, 0]
    else:
        assert float(result.energy_flux[-1]) > 1e-4 * float(result.energy[0])
        assert result.sigma.values[:, [0, -1]] == pytest.approx(np.zeros((3, 2)), abs=1e-7)
    assert float((result.min_w / result.max_w).min()) >= -1e-10


@pytest.mark.slow
def test_the_systems_agree_on_smooth_positive_data_at_their_order(tables):
    # one lambda for all: with the paper's lambda_B in (B') they would differ by a factor sqrt 2 in front of sigma
    tables["model"] |= {"mu0": "cos(pi*x)", "sigma0": "1+cos(2*pi*x)/2", "lambda": 5, "end_time": 0.05}
    tables["pde"] |= {"rtol": 1e-10, "cells": 80, "degree": 3}
    reference = solve(check(tables))
    tables["pde"]["degree"] = 2
    for system in ("A", "B'", "C"):
        found = []
        for cells in (10, 20, 40):
            tables["pde"] |= {"cells": cells, "system": system}
            other = solve(check(tables))
            found.append([float(distance(other[name], reference[name])[-1]) for name in ("mu", "sigma")])
        orders = np.log2(np.array(found)[:-1] / np.array(found)[1:])
        assert (orders > 2.8).all(), (system, found)
        assert max(found[-1]) < 2e-5, (system, found)  # P2 interpolates to 1e-5 on 40 cells


def test_rtol_bounds_the_error_in_time(tables):
    tables["pde"]["rtol"] = 1e-10
    reference = solve(check(tables))
    for rtol in (1e-4, 1e-6, 1e-8):
        tables["pde"]["rtol"] = rtol
        other = solve(check(tables))
        assert max(distance(other[name], reference[name]).max() for name in ("mu", "sigma")) < 10 * rtol


def test_the_estimate_is_of_the_size_of_the_error(tables):
    tables["pde"] |= {"cells": 20, "rtol": 1e-5}
    study = check(tables)
    tables["pde"] |= {"cells": 160, "rtol": 1e-9, "regularisation": 1e-13}
    solution, reference = solve(study), solve(check(tables))
    estimated = estimate(EQUATIONS, EQUATIONS.better(study), solution, MPI.COMM_SELF)
    for name in ("mu", "sigma"):
        error, said = distance(solution[name], reference[name]), estimated[f"error_{name}_total"].values
        assert (error < 2 * said).all()
        assert (said < 10 * error).all()


def test_c_refuses_a_mesh_that_it_cannot_use(tables):
    # on such a mesh waves in (C) grow without bound; the mesh it asks for must be enough
    tables["model"] |= {"balls": 1000, "end_time": 0.01}
    tables["particles"]["replicas"] = 2
    tables["pde"] |= {"system": "C", "cells": 40}
    with pytest.raises(InputError, match=r"pde.system = 'C' with lambda = 281.8.* take at least 94 of this kind"):
        discretise(check(tables), MPI.COMM_SELF)
    tables["pde"]["cells"] = 94
    discretise(check(tables), MPI.COMM_SELF)


def test_a_tolerance_too_coarse_ends_in_words(tables):
    tables["model"] |= {"balls": 3000, "mu0": "-erf(27*(x-1/2)**3)", "end_time": 0.0024}
    tables["particles"]["replicas"] = 2
    tables["pde"] |= {"cells": 50, "degree": 1, "rtol": 0.01}
    with pytest.raises(RunError, match=r"pde.rtol = 0.01 is too coarse"):
        solve(check(tables))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("boundary", ENDS)
def test_no_spread_at_the_beginning(tables, system, boundary):
    # w_t = mu_x^2: sigma grows like sqrt t from nothing, at every point but where mu_x = 0
    tables["model"] |= {"mu0": "sin(pi*x)", "sigma0": "0", "end_time": 0.002}
    tables["pde"] |= {"system": system, "boundary": boundary, "rtol": 1e-6}
    result = solve(check(tables))
    assert float(result.momentum_drift.max()) < 1e-12
    assert float((result.min_w / result.max_w).min()) >= -1e-10
    w, t = (
        result.sigma.sel(x=1.0 if boundary == "noflux" else 0.8, method="nearest").values ** 2 / 2,
        result.time.values,
    )
    assert w[0] == pytest.approx(w[-1] * t[0] / t[-1], rel=1)  # the order of magnitude: linear in time
    assert w[-1] > 0.005


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


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_large_and_small_velocities_give_the_same_solution(tables, system, size):
    # PETSc's absolute limits (residual 1e-50, pivot, shortest step) stopped small ones without a word
    tables["pde"] |= {"system": system, "boundary": "paper", "rtol": 1e-5}
    one = solve(check(tables))
    for key in ("mu0", "sigma0"):
        tables["model"][key] = f"{size}*({tables['model'][key]})"
    other = solve(check(tables))
    assert other.mu.values / size == pytest.approx(one.mu.values, abs=1e-6)  # 2^83 is not 1e25: rtol weighs anew
    assert other.energy_flux.values / size**2 == pytest.approx(one.energy_flux.values, abs=1e-6)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_spread_that_stays_0_is_sensitive_to_nothing(tables, system):
    # (C) has w = E - mu^2/2, there a rounding error, and divided the change of one by the root of another: 7.45
    tables["pde"] |= {"system": system, "boundary": "paper", "cells": 40}
    ends = solve(check(tables)).sel(x=[0, 1], method="nearest")
    assert float(ends.sigma.max()) < 1e-6
    assert (ends.sensitivity_sigma == 0).all()


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
