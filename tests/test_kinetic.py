"""The kinetic system at finite epsilon: velocities, elements, exact solves, conservation, entropy, orders, referee."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mpi4py import MPI

import kinlim
from kinlim.errors import InputError, RunError, Stopped
from kinlim.fem.reaction.elements import line
from kinlim.fem.reaction.elimination import Elimination
from kinlim.fem.reaction.kinetic import check, solve
from kinlim.fem.reaction.system import KineticSystem
from kinlim.fem.reaction.upwind import Upwind
from kinlim.fem.reaction.velocities import velocities
from kinlim.keeper import Keeper
from kinlim.models.reaction.profile import GaussianProfile, MixtureProfile, PowerProfile
from kinlim.models.reaction.tables import ReactionStudy
from kinlim.signals import StopRequests

NORMAL = {"family": "gaussian", "covariance": 1.0}
NARROW = {"family": "gaussian", "covariance": 0.5}
SKEW = {"family": "mixture", "weights": [0.6, 0.4], "means": [-0.4, 0.6], "covariances": [0.6, 0.4]}
HUMPS = {"family": "mixture", "weights": [0.5, 0.5], "means": [-1.0, 1.0], "covariances": [0.5, 0.5]}
HEAVY = {"family": "power", "k": 3.0}
UNPREPARED = {"f0": "1.5+0.5*sin(2*pi*x)+0.2*tanh(vx)", "g0": "0.8+0.3*cos(2*pi*x)"}
PREPARED = {"f0": "exp(0.5*sin(2*pi*x))", "g0": "exp(-0.5*sin(2*pi*x))"}


def study(epsilon, data=UNPREPARED, chi1=NORMAL, chi2=NARROW, end=0.02, observe=(0.0, 0.25, 1.0), model=(), **kinetic):
    settings = {"modes": 8, "cells": 8, "degree": 4, "rtol": 1e-7} | kinetic
    return ReactionStudy.model_validate(
        {
            "study": {"model": "reaction", "name": "test"},
            "model": {"chi1": chi1, "chi2": chi2, "epsilon": epsilon, "end_time": end, "observe": list(observe)}
            | data
            | dict(model),
            "particles": {"replicas": 2, "bias": 1.0},
            "kinetic": settings,
        }
    )


def profile(table):
    kinds = {"gaussian": GaussianProfile, "mixture": MixtureProfile, "power": PowerProfile}
    return kinds[table["family"]].model_validate(table)


def limit(times, m0, d1, d2, count=128):
    """The solution m of m_t = (D(m) m_x)_x on a uniform grid: Fourier pseudospectral, BDF."""
    wave = 2j * np.pi * np.fft.fftfreq(count, 1 / count)

    def slope(m):
        return np.fft.ifft(wave * np.fft.fft(m)).real

    def rate(t, m):
        rho = (m + np.sqrt(m**2 + 4)) / 2
        return slope((d1 * rho**2 + d2 / rho**2) / np.sqrt(m**2 + 4) * slope(m))

    start = m0(np.arange(count) / count)
    return solve_ivp(rate, (0, times[-1]), start, "BDF", times, rtol=1e-10, atol=1e-12).y.T


@pytest.mark.parametrize(
    "table", [NORMAL, NARROW, SKEW, HUMPS, HEAVY, {"family": "power", "k": 1.6}, {"family": "power", "k": 2.0}]
)
@pytest.mark.parametrize("modes", [8, 32, 128])
def test_masses_have_the_moments_of_chi(table, modes):
    # D off by anything is another limit equation; a mean velocity is a drift of order 1/epsilon
    chi = profile(table)
    q = velocities(chi, modes)
    d = chi.covariance_matrix(1)[0, 0]
    assert q.masses.min() > 0
    assert (np.diff(q.nodes[0]) > 0).all()
    np.testing.assert_array_equal(q.nodes, -q.nodes[:, ::-1])
    assert q.masses.sum() == pytest.approx(1, abs=1e-14)
    assert q.masses @ q.nodes[0] == pytest.approx(0, abs=1e-14)
    assert q.masses @ q.nodes[0] ** 2 == pytest.approx(d, rel=1e-11)


def test_masses_of_a_skew_profile_have_its_higher_moments():
    # masses split by anything but chi(v) : chi(-v) have other odd moments; even ones are those of a Gauss rule
    q, m = velocities(profile(SKEW), 64), profile(SKEW).mixture(1)
    mean, var = m.means[:, 0], m.covariances[:, 0, 0]
    third, fourth = m.weights @ (mean**3 + 3 * mean * var), m.weights @ (mean**4 + 6 * mean**2 * var + 3 * var**2)
    assert q.masses @ q.nodes[0] ** 3 == pytest.approx(third, abs=1e-6)
    assert q.masses @ q.nodes[0] ** 4 == pytest.approx(fourth, rel=1e-12)


def test_the_nodes_of_a_gaussian_are_the_hermite_expansion_closed_with_a_zero():
    # c_n of f/chi = sum c_n He_n/sqrt(n!): v couples c_n with c_(n+1) by sqrt(n+1); cut at K, that is an orthogonal
    # change of variables away from multiplication by the nodes, and (1 - rho' f) becomes a multiple of c_0
    count = 12
    q = velocities(profile(NORMAL), count)
    jacobi = np.diag(np.sqrt(np.arange(1.0, count)), 1)
    jacobi += jacobi.T
    change = np.empty((count, count))  # rows: He_n/sqrt(n!) at the nodes, times the root of the mass
    change[0], change[1] = 1, q.nodes[0]
    for n in range(1, count - 1):
        change[n + 1] = (q.nodes[0] * change[n] - np.sqrt(n) * change[n - 1]) / np.sqrt(n + 1)
    change *= np.sqrt(q.masses)
    np.testing.assert_allclose(change @ change.T, np.eye(count), atol=1e-12)
    np.testing.assert_allclose(change @ np.diag(q.nodes[0]) @ change.T, jacobi, atol=1e-11)
    np.testing.assert_allclose(change @ np.sqrt(q.masses), np.eye(count)[0], atol=1e-13)


@pytest.mark.parametrize("degree", range(1, 9))
def test_elements(degree):
    # D exact on piecewise polynomials of degree p, W and Omega exact for constants, and D adjoint to -W^-1 D^T Omega
    grid = line(6, degree)
    hat = np.abs(grid.nodes[:, 0] - 0.5) ** 1  # continuous and periodic, linear in each cell
    np.testing.assert_allclose(grid.derivative[0] @ hat, np.sign(grid.points[:, 0] - 0.5), atol=1e-12)
    np.testing.assert_allclose(grid.values @ hat, np.abs(grid.points[:, 0] - 0.5), atol=1e-14)
    assert grid.w.sum() == pytest.approx(1, abs=1e-14)
    assert grid.omega.sum() == pytest.approx(1, abs=1e-14)
    x = np.cos(grid.points[:, 0])  # full matrices, where a column counted twice or in the wrong row would show
    for made, right in ((grid.stiffness, grid.derivative[0]), (grid.transport, grid.values)):
        np.testing.assert_allclose(made(x), (grid.derivative[0].T.multiply(x) @ right).toarray(), atol=1e-12)
    assert np.abs(grid.adjoint[0] @ np.ones_like(grid.points[:, 0])).max() < 1e-12


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_evaluation_is_as_accurate_as_the_elements(degree):
    # odd parts have order p + 1 at Gauss points and p elsewhere, unless they are improved
    x = np.arange(100) / 100
    errors = []
    for cells in (8, 16):
        grid = line(cells, degree)
        even = grid.even_at(x) @ np.sin(2 * np.pi * grid.nodes[:, 0]) - np.sin(2 * np.pi * x)
        odd = grid.odd_at(x) @ np.cos(2 * np.pi * grid.points[:, 0]) - np.cos(2 * np.pi * x)
        errors.append([np.abs(even).max(), np.abs(odd).max()])
    assert (np.log2(errors[0]) - np.log2(errors[1]) > degree + 0.8).all()


@pytest.mark.parametrize("epsilon", [1.0, 1e-2, 1e-4])
def test_linear_systems_are_solved_exactly(epsilon):
    # the derivative is checked against differences of the rates, the solution against the derivative
    made = study(epsilon, chi1=SKEW, modes=6, cells=5, degree=3)
    system = KineticSystem.of(made.model, made.kinetic)
    rng = np.random.default_rng(2)
    u = system.initial(made.model) * rng.uniform(0.9, 1.1, system.size)
    d, high, low, along = rng.normal(size=system.size), *np.empty((3, system.size))
    system.rates(u + 1e-3 * d, high)
    system.rates(u - 1e-3 * d, low)
    system.derivative(u, d, along)  # rates are quadratic, so central differences are exact but for rounding
    np.testing.assert_allclose(along, (high - low) / 2e-3, atol=1e-10 * np.abs(along).max())
    shift, found = 300.0, np.empty(system.size)
    Elimination(system, u, shift).solve(epsilon**2 * shift * d - along, found)
    np.testing.assert_allclose(found, d, atol=1e-12 / epsilon)  # right sides cancel down to epsilon here


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1.0, 0.1, 1e-2, 1e-3, 1e-4])
def test_mass_entropy_and_region(epsilon):
    # rounding errors of the reaction, divided by epsilon^2, would change the mass by 1e-11 at 1e-4; a wrong power of
    # epsilon or a factor 1/2 in (6) would not balance at all
    data = solve(study(epsilon, end=0.1, observe=(0.0, 1e-6, 1e-3, 0.1, 0.5, 1.0), rtol=1e-8))
    assert np.abs(data.mass_difference - data.attrs["mass_difference_start"]).max() < 1e-12
    gone = data.attrs["entropy_start"] - data.entropy
    assert (np.abs(gone - data.dissipated) <= 1e-6 * data.dissipated[-1]).all()
    assert (np.diff(data.entropy) < 0).all()
    lo, hi = data.attrs["region"]
    # f0 and 1/g0 touch the bounds at points; elements reach beyond by their error
    assert data.lowest_f.min() > lo - 1e-4
    assert data.highest_f.max() < hi + 1e-4
    assert data.lowest_g.min() > 1 / hi - 1e-4
    assert data.highest_g.max() < 1 / lo + 1e-4


@pytest.mark.slow
def test_lemma_31_with_the_right_factor():
    # (sqrt a - 1)^2 <= (a - 1) ln(a)/4 turns epsilon^2 dH/dt = -(6) into int int (sqrt(rho_f rho_g) - 1)^2 <=
    # epsilon^2 (H(0) - H(t))/4, and what is dropped into bounds for f_perp and g_perp; f0 is nearly sharp for the first
    for epsilon in (0.3, 1e-2, 1e-4):
        data = solve(study(epsilon, end=0.1))
        gone = data.attrs["entropy_start"] - data.entropy
        lo, hi = data.attrs["region"]
        wide = (hi / lo) ** 1.5
        assert (data.alignment <= epsilon**2 * gone / 4 + 1e-15).all()
        assert (data.perp_f <= hi**2 * wide * gone + 1e-15).all()
        assert (data.perp_g <= wide / lo**2 * gone + 1e-15).all()


@pytest.mark.slow
def test_a_skew_profile_conserves_and_stays_in_the_region():
    data = solve(study(0.05, chi1=SKEW, chi2=HEAVY, end=0.05, modes=16))
    assert np.abs(data.mass_difference - data.attrs["mass_difference_start"]).max() < 1e-12
    gone = data.attrs["entropy_start"] - data.entropy
    assert np.abs(gone - data.dissipated).max() <= 1e-5 * data.dissipated[-1]
    assert data.lowest_f.min() > data.attrs["region"][0] - 1e-3
    np.testing.assert_allclose((data.f * data.chi1).sum("node"), data.rho_f, atol=1e-12)
    flux = (data.g * data.chi2 * data.v_g).sum("node") / 0.05
    np.testing.assert_allclose(flux, data.flux_g, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.2, 1e-4])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_order_in_x(epsilon, degree):
    # P1 with P0 loses an order at once if the gradient is not compact; at 1e-4 a wrong flux shows too
    fine = solve(study(epsilon, PREPARED, cells=12, degree=8, rtol=1e-8))
    errors = {name: [] for name in ("rho_f", "flux_f", "f")}
    for cells in (16, 32):
        data = solve(study(epsilon, PREPARED, cells=cells, degree=degree, rtol=1e-8))
        for name, found in errors.items():
            found.append(float(np.sqrt(((data[name] - fine[name])[-1] ** 2).mean())))
    for found in errors.values():
        assert np.log2(found[0] / found[1]) > degree + 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("epsilon", "least"), [(1.0, 3.8), (1e-3, 2.0)])
def test_order_in_time(epsilon, least):
    # a Jacobian that is not exact leaves a Rosenbrock scheme with order one. For small epsilon rho_f rho_g = 1 is a
    # constraint with a multiplier, of index two, for which such schemes have order two
    made = study(epsilon, PREPARED, end=0.1, observe=(1.0,), cells=4, degree=2, modes=4)
    fine = solve(made, fixed_steps=320)
    errors = []
    for steps in (10, 20):
        data = solve(made, fixed_steps=steps)
        assert data.attrs["steps"] == steps
        errors.append(float(np.abs(data.rho_f - fine.rho_f).max()))
    assert np.log2(errors[0] / errors[1]) > least


@pytest.mark.slow
def test_errors_are_uniform_in_epsilon():
    # on one mesh and with one tolerance; a scheme that has to resolve epsilon fails from 1e-2 on
    errors = []
    for epsilon in (1.0, 1e-2, 1e-4):
        coarse, fine = (
            solve(study(epsilon, cells=cells, degree=degree, rtol=rtol, end=0.05))
            for cells, degree, rtol in ((16, 2, 1e-5), (8, 6, 1e-7))
        )
        errors.append(float(np.abs(coarse.rho_f - fine.rho_f)[-1].max()))
    assert max(errors) < 3e-4
    assert errors[2] < 1.1 * errors[1]


def test_the_limit_of_small_epsilon_is_the_diffusion_equation():
    # D1 and D2 exchanged, or the flux's factor, would be seen at once; epsilon^2 is far below the error of elements
    data = solve(study(1e-5, PREPARED, end=0.02, cells=12, degree=6, rtol=1e-8))
    m0 = lambda x: 2 * np.sinh(0.5 * np.sin(2 * np.pi * x))  # noqa: E731
    np.testing.assert_allclose(data.m[1:, ::2], limit(data.time.values[1:], m0, 1.0, 0.5), atol=2e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "m0", "least", "most"),
    [
        (PREPARED, "2*sinh", 1.9, 2.1),
        ({"f0": "1.5+0.5*sin(2*pi*x)", "g0": "0.8+0.3*cos(2*pi*x)"}, "difference", 1.9, 2.1),
        (PREPARED | {"f0": "exp(0.5*sin(2*pi*x))*(1+0.9*tanh(vx)*cos(2*pi*x))"}, "2*sinh", 0.95, 1.25),
    ],
)
def test_order_of_the_distance_to_the_limit(data, m0, least, most):
    # two for even data, in chemical equilibrium or not; one where an odd part moves epsilon times its flux at first
    def start(x):
        if m0 == "difference":
            return 0.7 + 0.5 * np.sin(2 * np.pi * x) - 0.3 * np.cos(2 * np.pi * x)
        return 2 * np.sinh(0.5 * np.sin(2 * np.pi * x))

    reference = limit(np.array([0.02]), start, 1.0, 0.5)[0]
    errors = []
    for epsilon in (1 / 64, 1 / 128, 1 / 256):
        found = solve(study(epsilon, data, observe=(1.0,), cells=8, degree=6, modes=6))
        errors.append(float(np.sqrt(((found.m[0, ::2] - reference) ** 2).mean())))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > least).all()
    assert (orders < most).all()


@pytest.mark.slow
def test_small_perturbations_decay_at_the_rate_of_the_linearised_system():
    # the slowest eigenvalue of (7), rescaled, for one Fourier mode and the K velocities
    epsilon, rho, size = 0.05, 1.5, 1e-3
    data = {"f0": f"{rho}*(1+{size}*cos(2*pi*x))", "g0": f"(1-{size}*cos(2*pi*x))/{rho}"}
    made = study(epsilon, data, end=0.08, observe=(0.5, 1.0), cells=8, degree=8, rtol=1e-10)
    found = solve(made)
    amplitude = np.abs(np.fft.rfft(found.m.values, axis=1)[:, 1])
    rate = -np.log(amplitude[1] / amplitude[0]) / 0.04
    q, r = velocities(profile(NORMAL), 8), velocities(profile(NARROW), 8)
    k = len(q.masses)
    matrix = np.diag(-2j * np.pi * epsilon * np.concatenate([q.nodes[0], r.nodes[0]]))
    matrix[:k, :k] -= np.eye(k) / rho
    matrix[k:, k:] -= np.eye(k) * rho
    matrix[:k, k:] -= rho * r.masses
    matrix[k:, :k] -= q.masses / rho
    exact = -np.linalg.eigvals(matrix).real.max() / epsilon**2
    assert rate == pytest.approx(exact, rel=2e-5)  # the square of the perturbation, and the tolerance over it


@pytest.mark.parametrize(("epsilon", "dt"), [(0.1, 1e-3), (1e-2, 1e-2), (1e-3, 1e-2)])
def test_referee_stays_in_the_region_and_dissipates(epsilon, dt):
    # rough data that fill the region, steps far beyond epsilon^2: nothing but an M-matrix survives that
    rough = {"f0": "1.5+1.4*sin(38*pi*x)*cos(6*pi*x)+0.05*tanh(9*vx)", "g0": "4+3.9*cos(30*pi*x)"}
    model = study(epsilon, rough, chi1=SKEW).model
    referee = Upwind.of(model, 8, 60)
    f, g = referee.initial(model)
    mass, (lo, hi) = referee.mass_difference(f, g), model.region
    before = referee.entropy(f, g, model.rho_inf)
    for _ in range(8):
        f, g = referee.step(f, g, dt)
        now = referee.entropy(f, g, model.rho_inf)
        assert now <= before + 1e-12
        assert lo <= f.min()
        assert f.max() <= hi
        assert 1 / hi <= g.min()
        assert g.max() <= 1 / lo
        before = now
    assert referee.mass_difference(f, g) == pytest.approx(mass, abs=1e-10)


@pytest.mark.slow
def test_referee_and_solver_agree():
    # first order in h and dt together, so that extrapolation leaves what is of second order; the two schemes share
    # nothing but the velocities
    made = study(0.3, modes=4, end=0.04, observe=(1.0,), cells=16, degree=5, rtol=1e-8)
    found = solve(made)
    means = []
    for cells in (32, 64, 128):
        referee = Upwind.of(made.model, 4, cells)
        f, g = referee.initial(made.model)
        for _ in range(cells):
            f, g = referee.step(f, g, 0.04 / cells)
        means.append(np.fft.rfft(referee.densities(f, g)[0])[:4] / cells)
        means[-1] = means[-1] * np.exp(-1j * np.pi * np.arange(4) / cells)  # from the middles of cells to 0
    exact = np.fft.rfft(found.rho_f.values[0])[:4] / 256
    errors = [np.abs(mean - exact).max() for mean in means]
    assert 1.8 < errors[0] / errors[1] < 2.2
    assert np.abs(2 * means[2] - means[1] - exact).max() < errors[2] / 10


@pytest.mark.slow
def test_higher_dimensions_are_those_of_the_marginals():
    flat = {
        "dimension": 2,
        "chi1": {"family": "gaussian", "covariance": [1.0, 7.0]},
        "chi2": {"family": "power", "k": 3.5},
    }
    one = solve(study(0.1, chi1=NORMAL, chi2=HEAVY, modes=16))
    two = solve(study(0.1, model=flat, modes=16))
    np.testing.assert_allclose(two.m, one.m, atol=1e-12)


@pytest.mark.slow
def test_estimated_errors_are_those_that_are_made():
    # of cells, steps and velocities each for itself; a study compared with itself has none
    made = study(0.1, chi2=HEAVY, observe=(1.0,), cells=4, degree=2, modes=6, rtol=1e-3)
    found = kinlim.solve(made, "kinetic", estimate_error=True)
    real = {
        "mesh": solve(made.vary("kinetic", cells=16)),
        "steps": solve(made.vary("kinetic", rtol=1e-7)),
        "velocities": solve(made.vary("kinetic", modes=32)),
    }
    for source, better in real.items():
        error = float(np.linalg.norm(found.rho_f - better.rho_f) / np.linalg.norm(better.rho_f))
        assert error / 2 < float(found.error_rho_f.sel(source=source)[-1]) < 2 * error


@pytest.mark.parallel
def test_all_ranks_get_the_dataset():
    data = solve(study(0.1), MPI.COMM_WORLD)
    gathered = MPI.COMM_WORLD.allgather(data.m.values)
    for other in gathered:
        np.testing.assert_array_equal(other, gathered[0])
    assert data.attrs["ranks"] == MPI.COMM_WORLD.size
    assert data.attrs["failed_solves"] == 0


def stopped_and_gone_on(made, steps, comm=MPI.COMM_WORLD):
    """The dataset of a run that was stopped after so many steps and went on, whose state was kept meanwhile.

    On all ranks it is stopped, and on those of `comm` it goes on: on all, or on rank 0 alone.
    """
    counted, kept = iter(range(10**6)), []

    class Requests(StopRequests):
        @property
        def received(self):
            return next(counted) >= steps

        @received.setter
        def received(self, value):
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kinlim.keeper.StopRequests", Requests)
        with pytest.raises(Stopped, match="--resume goes on"):
            solve(made, keeper=Keeper(MPI.COMM_WORLD, write=kept.append))
    state = kept[-1] if kept else None  # on rank 0
    assert state is None or 0 < state.attrs["time"] < 0.02
    return solve(made, comm, keeper=Keeper(comm, state)) if comm == MPI.COMM_WORLD or state else None


@pytest.mark.slow
def test_a_stopped_run_goes_on_bit_by_bit():
    made = study(0.05)
    whole, again = solve(made), stopped_and_gone_on(made, 40)
    for name in ("f", "g", "dissipated", "alignment"):
        np.testing.assert_array_equal(again[name], whole[name])
    assert again.attrs["steps"] == whole.attrs["steps"]


@pytest.mark.parallel
def test_refusals():
    with pytest.raises(InputError, match=r"kinetic\.modes = 512: .* model\.chi1"):
        check(study(0.1, modes=512), MPI.COMM_WORLD)
    lopsided = {"family": "mixture", "weights": [0.8, 0.2], "means": [-0.5, 2.0], "covariances": [0.1, 0.1]}
    with pytest.raises(InputError, match=r"kinetic\.modes = 4: so few"):
        check(study(0.1, chi1=lopsided, modes=4), MPI.COMM_WORLD)
    table = study(0.1).model_dump(by_alias=True)
    none = ReactionStudy.model_validate(table | {"kinetic": None})
    with pytest.raises(InputError, match=r"no table \[kinetic\]"):
        solve(none)
    assert check(study(0.1), MPI.COMM_WORLD) is None


def test_negative_densities_end_in_words():
    # beyond, solutions grow without bound and steps shrink for ever: rho_f rho_g = 1 has a front no mesh here resolves
    steep = {"f0": "exp(5*sin(2*pi*x))", "g0": "exp(-5*sin(2*pi*x))"}
    with pytest.raises(RunError, match=r"a density is -.*kinetic\.cells = 8 of degree 4 are too few"):
        solve(study(0.01, steep, modes=4))
    made = study(0.1)
    system = KineticSystem.of(made.model, made.kinetic)
    with pytest.raises(RunError, match="a density is -1"):
        Elimination(system, -np.ones(system.size), 1.0)
