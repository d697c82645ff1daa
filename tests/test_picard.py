"""The iteration of Section 6: the linear solves, what is measured of them, the fixed point, and the verdict."""

import json
from math import exp, pi, sqrt

import numpy as np
import pytest
import xarray as xr

import basix.ufl
import ufl
from dolfinx import fem
from mpi4py import MPI

from kinlim.errors import InputError
from kinlim.fem.nodes import Nodes
from kinlim.fem.pinned import picard, solve
from kinlim.fem.pinned.picard import QUANTITIES, STAGES, HeatEquations, equations, iterate, step_ends
from kinlim.meshes.interval import graded, interval
from kinlim.study import check
from kinlim.validation.drawing import png
from kinlim.validation.pinned import inequalities, wellposed


def p_study(lambda_b=10.0, end_time=0.1, size=1.0, observe=(0.25, 0.5, 1.0), model=None, **pde):
    """The case of the proof: mu = cos(pi x), w = 0.1 sin^2(pi x)."""
    tables = {
        "study": {"model": "pinned", "name": "wellposed"},
        "model": {
            "balls": 100,
            "mu0": f"{size}*cos(pi*x)",
            "sigma0": f"{size}*sqrt(0.2)*abs(sin(pi*x))",
            "end_time": end_time,
            "observe": list(observe),
            "lambda": lambda_b / sqrt(2),
        }
        | (model or {}),
        "particles": {"replicas": 2},
        "pde": {"cells": 40, "boundary": "paper"} | pde,
    }
    return check(tables)


def p_initial(mu, w, degree=4, cells=10, ends=(0.0, 1.0)):
    domain = interval(MPI.COMM_SELF, graded(ends, cells))
    u = fem.Function(fem.functionspace(domain, basix.ufl.element("Lagrange", "interval", degree, shape=(2,))))
    u.interpolate(lambda x: np.stack([mu(x[0]) + 0 * x[0], w(x[0]) + 0 * x[0]]))
    return u


def give(heat, mu, w, t=0.0, dt=0.0):
    """Let iterate k be mu(x, t), w(x, t) at the stages of the step from t."""
    times = t + picard.NODES * dt
    heat.given.interpolate(lambda x: np.stack([f(x[0], s) + 0 * x[0] for f in (mu, w) for s in times]))


def last(heat):
    """Nodes, and (mu, w) there at the end of the step."""
    nodes = Nodes(heat.u)
    return nodes.x, nodes(heat.u)[:, [STAGES - 1, 2 * STAGES - 1]].T


# --- the linear equations ---------------------------------------------------------------------------------------------


def test_radau_is_the_collocation_of_order_five():
    # every condition on b, c of order five, and A as the textbook prints it
    for power in range(5):
        assert picard.WEIGHTS @ picard.NODES**power == pytest.approx(1 / (power + 1))
    assert picard.COEFFICIENTS[0, 0] == pytest.approx((88 - 7 * sqrt(6)) / 360)
    assert picard.COEFFICIENTS[1, 2] == pytest.approx((-2 - 3 * sqrt(6)) / 225)


def test_long_after_the_solution_is_the_steady_one():
    # mu_k = x, sqrt w_k = x (1 - x): a sign, a factor lambda or a lost term of the sources moves the polynomial
    lam = 3.0
    with HeatEquations(p_initial(lambda x: 2 + x**2, lambda x: 0), lam, (0.0, 1.0)) as heat:
        heat.restart()
        give(heat, lambda x, t: x, lambda x, t: (x * (1 - x)) ** 2)
        for _ in range(40):
            heat.advance(1.0)
            heat.before.x.array[:] = heat.u.x.array
        x, (mu, w) = last(heat)
    steady = lam * (x**2 / 2 - x**3 / 3)
    assert mu == pytest.approx(steady - lam * (1 / 6 - 1 / 12) + 7 / 3, abs=1e-10)  # the mean of mu stays
    # -w'' = 1 - lam x (1 - x)
    assert w == pytest.approx(x * (1 - x) / 2 - lam * (x**4 / 12 - x**3 / 6 + x / 12), abs=1e-10)


def test_five_orders_in_time():
    # mu = A(t) cos(pi x), A' = -pi^2 A - lam pi g for sqrt w_k = g sin(pi x), g = e^t; w = e^(-pi^2 t) sin(pi x)
    lam, end = 2.0, 0.5
    particular = -lam * pi / (pi**2 + 1)
    exact = particular * exp(end) + (1 - particular) * exp(-(pi**2) * end)
    errors = []
    for steps in (2, 4, 8):
        start = p_initial(lambda x: np.cos(pi * x), lambda x: np.sin(pi * x), cells=40)
        with HeatEquations(start, lam, (0.0, 1.0)) as heat:
            heat.restart()
            for n in range(steps):
                give(
                    heat, lambda x, t: 0 * x, lambda x, t: np.exp(2 * t) * np.sin(pi * x) ** 2, n * end / steps,
                    end / steps,
                )  # fmt: skip
                heat.advance(end / steps)
                heat.before.x.array[:] = heat.u.x.array
            x, (mu, w) = last(heat)
        errors.append([abs(mu[0] - exact), abs(w - exp(-(pi**2) * end) * np.sin(pi * x)).max()])
    rates = np.log2(np.array(errors)[:-1] / np.array(errors)[1:])
    assert rates[-1] == pytest.approx([5, 5], abs=0.2)


def test_norms_of_known_functions():
    # mu = x + 2x^2 beside x, w = -x(2-x) beside half of it, on [0, 2]: L1 counts what is negative
    with HeatEquations(p_initial(lambda x: 0 * x, lambda x: 0 * x, ends=(0.0, 2.0)), 1.0, (0.0, 2.0)) as heat:
        give(heat, lambda x, t: x, lambda x, t: -x * (2 - x) / 2)
        heat.u.x.array[:] = heat.given.x.array
        now = heat.u.copy()
        give(heat, lambda x, t: x + 2 * x**2, lambda x, t: -x * (2 - x))
        heat.u.x.array[:], heat.given.x.array[:] = heat.given.x.array, now.x.array
        found = dict(zip(QUANTITIES, heat.measure(0.5), strict=True))
    expected = {
        "mu_l2": 8 / 3 + 16 + 128 / 5,  # int x^2 + 4x^3 + 4x^4
        "mu_x_l2": 2 + 16 + 128 / 3,  # int (1 + 4x)^2
        "w_l1": 4 / 3,
        "mu_change": 128 / 5,
        "mu_x_change": 128 / 3,
        "b": 2 / 3,
        "root_change": (1 - sqrt(1 / 2)) ** 2 * 4 / 3,
        "mu_x_sum": 8 + 32 + 128 / 3,  # int (2 + 4x)^2
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(0.5 * value, rel=1e-10), name
    # int x^2 (2-x)^2/(4 d) = 2 int_0^1 x (2-x)^2/4
    assert found["weighted_change"] == pytest.approx(0.5 * (11 / 12) / 2, rel=1e-10)


def test_every_observation_ends_a_step():
    ends = step_ends(np.array([0.0, 0.3, 1.0]), 10)
    assert ends == pytest.approx(np.arange(1, 11) / 10)
    assert len(step_ends(np.array([0.01, 1.0]), 10)) == 11
    assert step_ends(np.array([1e-9]), 1).tolist() == [1e-9]


# --- the iteration ----------------------------------------------------------------------------------------------------


def newton(study, lam, dt):
    """One step of (B') by Radau and Newton, dense, from the study's initial data: values at the nodes, (nodes, 2)."""
    domain = interval(MPI.COMM_SELF, graded((0.0, 1.0), study.pde.cells))
    element = basix.ufl.element("Lagrange", "interval", 2, shape=(2 * STAGES,))
    space = fem.functionspace(domain, element)
    u, before = fem.Function(space), fem.Function(space)

    def start(x):
        mu, sigma = study.model.initial(x[0], "node")
        return np.stack([mu] * STAGES + [sigma**2 / 2] * STAGES)

    before.interpolate(start)
    u.x.array[:] = before.x.array
    form = equations(u, u, before, ufl.TestFunction(space), dt, lam, ufl.dx(metadata={"quadrature_degree": 6}))
    residual, jacobian = fem.form(form), fem.form(ufl.derivative(form, u))
    x = space.tabulate_dof_coordinates()[:, 0]
    ends = np.flatnonzero((x < 1e-12) | (x > 1 - 1e-12))
    held = (2 * STAGES * ends[:, None] + np.arange(STAGES, 2 * STAGES)).ravel()
    u.x.array[held] = 0.0
    for _ in range(30):
        r, matrix = fem.assemble_vector(residual).array, fem.assemble_matrix(jacobian).to_dense()
        r[held], matrix[held] = 0.0, 0.0
        matrix[held, held] = 1.0
        step = np.linalg.solve(matrix, r)
        u.x.array[:] -= step
        if np.abs(step).max() < 1e-13:
            break
    else:
        raise AssertionError("Newton's method did not converge")
    return Nodes(u)(u)[:, [STAGES - 1, 2 * STAGES - 1]]


def test_the_fixed_point_is_a_step_of_the_nonlinear_scheme():
    # lambda_B, not lambda, multiplies sqrt|w|: with the other the fixed point is a different one
    study = p_study(lambda_b=10.0, end_time=0.01, observe=(1.0,), cells=10)
    trace = iterate(study, MPI.COMM_SELF, steps=1, iterations=60, tolerance=1e-13)
    exact = newton(study, 10.0, float(trace.time[-1]))
    assert trace.node_mu.values[0] == pytest.approx(exact[:, 0], abs=1e-10)
    assert trace.node_w.values[0] == pytest.approx(exact[:, 1], abs=1e-10)


@pytest.fixture(scope="module")
def required():
    """The case that must converge, and its time-stepped solution."""
    study = p_study(observe=(0.0, 0.25, 0.5, 1.0), rtol=1e-7)
    return iterate(study, MPI.COMM_SELF, steps=50, iterations=30, tolerance=1e-8), solve(study, MPI.COMM_SELF)


def test_the_required_case_converges_to_the_time_stepped_solution(required):
    verdict = wellposed.judge(*required)
    assert verdict["converged"]
    assert verdict["iterations"] <= 30
    for row in verdict["agreement"]:
        assert row["rel_l2_mu"] < 1e-5
        assert row["rel_l2_w"] < 1e-5


def test_iterates_beside_particles(required):
    # made-up particles that are the last iterate, with an error of 0.01 a site: the zeroth one is far, the last is not
    trace, _ = required
    x = np.linspace(0, 1, 60)
    node_x, rng = trace["node_x"].to_numpy(), np.random.default_rng(3)
    order = np.argsort(node_x)
    at_x = {
        "mu": np.interp(x, node_x[order], trace["iterate_mu"][-1].to_numpy()[order]),
        "sigma": np.sqrt(2 * np.interp(x, node_x[order], trace["iterate_w"][-1].to_numpy()[order])),
    }
    particles = xr.Dataset(
        {name: (("time", "x"), (values + 0.01 * rng.standard_normal(60))[None]) for name, values in at_x.items()}
        | {f"{name}_se": (("time", "x"), np.full((1, 60), 0.01)) for name in at_x},
        coords={"time": [1.0], "x": x},
    )
    verdict = wellposed.judge(trace, None, particles)
    first, final = verdict["particles"][0], verdict["particles"][-1]
    assert first["mu"] > 100 * first["mu_se"]
    for name in ("mu", "sigma"):
        noise = 0.01 * np.sqrt(60) / np.linalg.norm(at_x[name])
        assert final[name] < noise  # of a distance that is noise alone, at most about half is left
    assert np.allclose(trace["iterate_mu"][-1], trace["node_mu"][-1])
    stated = {one["claim"]: one["verdict"] for one in verdict["statements"]}
    assert stated["the iteration converges"] == "holds"
    assert stated["the fixed point is what the particles do"] == "not decided"


def test_iterates_do_not_depend_on_what_follows(required):
    # one run is to show every T': the first half alone must give the same numbers
    trace, _ = required
    half = iterate(p_study(end_time=0.05, observe=(0.5, 1.0)), MPI.COMM_SELF, steps=25, iterations=12, tolerance=1e-14)
    for name in ("a", "b", "mu_h1", "w_l1"):
        # times differ by the rounding to whole collisions
        assert half[name].values[:, -1] == pytest.approx(trace[name].sel(time=0.05, method="nearest")[:13], rel=1e-3)


@pytest.mark.parallel
def test_ranks_do_not_matter():
    study = p_study(observe=(0.5, 1.0), cells=12)
    shared, alone = (
        iterate(study, comm, steps=10, iterations=8, tolerance=1e-8) for comm in (MPI.COMM_WORLD, MPI.COMM_SELF)
    )
    for name in alone.data_vars:
        assert shared[name].values == pytest.approx(alone[name].values, rel=1e-8, abs=1e-11, nan_ok=True), name


@pytest.mark.slow
def test_an_iterate_that_grows_too_large_is_not_followed(monkeypatch):
    # nothing may turn into a number that is none, neither here nor in the verdict
    monkeypatch.setattr(picard, "BOUND", 2.0)
    trace = iterate(p_study(lambda_b=50.0), MPI.COMM_SELF, steps=40, iterations=12, tolerance=1e-8)
    reached = np.isfinite(trace.a.values).sum(axis=1)
    assert reached[0] == 40
    assert 0 < reached[-1] < 40
    assert (np.diff(reached) <= 0).all()
    assert np.isnan(trace.node_mu.values[-1]).all()
    verdict = wellposed.judge(trace)
    assert not verdict["converged"]
    assert verdict["followed_up_to"] == trace.time.values[reached[-1] - 1]
    present(trace, verdict)


@pytest.mark.slow
def test_nothing_follows_when_the_first_step_grows_too_large(monkeypatch):
    monkeypatch.setattr(picard, "BOUND", 0.5)
    trace = iterate(p_study(), MPI.COMM_SELF, steps=4, iterations=12, tolerance=1e-8)
    assert trace.sizes["iteration"] == 2
    present(trace, wellposed.judge(trace))


@pytest.mark.parallel
def test_spread_at_the_ends_is_refused():
    with pytest.raises(InputError, match=r"model\.sigma0 = '0\.1' is 0\.1 at the end x = 0"):
        iterate(p_study(model={"sigma0": "0.1"}), MPI.COMM_WORLD, steps=4, iterations=2, tolerance=1e-8)


# --- the verdict ------------------------------------------------------------------------------------------------------


def present(trace, verdict):
    """Render all that shows a verdict."""
    json.dumps(verdict, allow_nan=False)
    picture = png(wellposed.figure(trace, verdict))
    page = wellposed.html(trace, verdict, picture)
    assert "nan" not in wellposed.text(verdict)
    assert page.count("<tr>") > len(verdict["inequalities"])


def worst(trace):
    return {one["label"]: one for one in wellposed.judge(trace)["inequalities"]}


@pytest.mark.slow
def test_the_verdict_can_be_shown(required):
    present(required[0], wellposed.judge(*required))


@pytest.mark.parametrize(("lambda_b", "end_time"), [(1.0, 1.0), (10.0, 0.1), (50.0, 0.05)])
def test_careful_inequalities_hold(lambda_b, end_time):
    # also where the iteration is far from converged
    trace = iterate(p_study(lambda_b, end_time), MPI.COMM_SELF, steps=40, iterations=12, tolerance=1e-8)
    for label, one in worst(trace).items():
        if one["kind"] == "careful":
            assert one["holds"], label
            assert one["checked"] > 100


def test_printed_6_5_fails_the_more_the_smaller_the_data():
    # (B') is unchanged by (mu, w) -> (c mu, c^2 w): what is homogeneous stays, (6.5) is off by c
    one, tenth = (
        worst(iterate(p_study(size=size, cells=20), MPI.COMM_SELF, steps=20, iterations=12, tolerance=1e-8))
        for size in (1.0, 0.1)
    )
    for label in ("step to (6.5)", "(6.5), (6.7), (6.9)"):
        assert not one[label]["holds"]
        assert tenth[label]["max_ratio"] == pytest.approx(10 * one[label]["max_ratio"], rel=1e-6)
    for label in ("root", "Lemma 6.2", "(6.5′)", "(6.6′)", "(6.10′)"):
        assert tenth[label]["max_ratio"] == pytest.approx(one[label]["max_ratio"], rel=1e-6)


@pytest.mark.slow
def test_without_spread_the_zeroth_step_contradicts_6_9():
    # b_0 = 0 would leave mu_1 = mu_0; the ratio is infinite, and JSON has no such number
    trace = iterate(p_study(model={"sigma0": "0"}), MPI.COMM_SELF, steps=10, iterations=3, tolerance=1e-8)
    one = worst(trace)["(6.9), n = 0"]
    assert one["holds"] is False
    assert one["max_ratio"] is None
    present(trace, wellposed.judge(trace))


@pytest.mark.slow
def test_at_rest_it_converges_at_once():
    trace = iterate(p_study(model={"mu0": "0.5", "sigma0": "0"}), MPI.COMM_SELF, steps=10, iterations=5, tolerance=1e-8)
    assert trace.sizes["iteration"] == 2
    verdict = wellposed.judge(trace)
    assert verdict["converged"]
    present(trace, verdict)


def test_the_recursion_of_lemma_6_4():
    # with equality and written out: A_1, B_1, B_2
    A, B = inequalities.recursion(2.0, 3.0, 5.0, 0.5, 2)
    root = sqrt(2.0)
    assert A[1] == pytest.approx(5 * root * 3)
    assert B[1] == pytest.approx(0.5 * 6 * 2 * (4 + 3) + 0.5 * 5 * 3 * 2)
    assert B[2] == pytest.approx(0.5 * 6 * A[1] * (2 * (2 + A[1]) + 3 + B[1]) + 0.5 * 5 * B[1] * (2 + A[1]))
    largest = inequalities.lemma_time(2.3, 0.05, 10.0)
    assert largest is not None
    for T, converges in ((0.99 * largest, True), (1.01 * largest, False)):
        _, B = inequalities.recursion(2.3 * sqrt(T), 0.05 * T, 10.0, T, 3000)
        assert (B[-1] < 1e-12) == converges


@pytest.mark.parametrize("T", [1e-2, 1e-4, 1e-6])
def test_with_square_roots_the_recursion_never_converges(T):
    _, B = inequalities.careful_recursion(2.3 * sqrt(T), 0.05 * T, 10.0, T, 1.0, 300)
    assert B[-100:].min() > (T * 10.0 * 2.3 * sqrt(T)) ** 2


def test_the_front_of_a_made_up_trace():
    # iterate 2 has converged up to the second time and, by chance, at the fourth; iterate 3 up to the fourth
    trace = iterate(p_study(cells=4, observe=(1.0,)), MPI.COMM_SELF, steps=5, iterations=3, tolerance=1e-300)
    trace["converged"][:] = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 0, 1, 0], [1, 1, 1, 1, 0]])
    verdict = wellposed.judge(trace)
    T = trace.time.values
    assert [one["time"] for one in verdict["front"]] == [None, None, T[1], T[3]]
    assert not verdict["converged"]


@pytest.mark.slow
def test_rounding_grows_like_the_terms_of_an_exponential_series():
    # where the front stops it is said why; with lambda_B in place of lambda the rate would be one half
    trace = iterate(p_study(end_time=0.75, cells=20), MPI.COMM_SELF, steps=60, iterations=170, tolerance=1e-8)
    verdict = wellposed.judge(trace)
    assert not verdict["converged"]
    assert 0.3 < verdict["converged_up_to"] < 0.7
    assert verdict["stalled"]
    assert verdict["rounding_growth"] == pytest.approx(1, abs=0.2)
    present(trace, verdict)


def test_a_solution_with_other_ends_is_refused(required):
    trace, solution = required
    with pytest.raises(InputError, match="boundary = 'noflux'"):
        wellposed.judge(trace, solution.assign_attrs(boundary="noflux"))
