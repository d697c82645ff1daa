"""The kinetic system in dimension 2: velocities, elements, linear solves, orders, conservation, the line, particles."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, gmres
from test_kinetic import stopped_and_gone_on

from mpi4py import MPI

import kinlim
from kinlim.errors import InputError, RunError
from kinlim.fem.reaction import KINETIC
from kinlim.fem.reaction.elements import square
from kinlim.fem.reaction.kinetic import check, solve
from kinlim.fem.reaction.system import KineticSystem
from kinlim.fem.reaction.twolevel import Flights, TwoLevel
from kinlim.fem.reaction.velocities import velocities
from kinlim.models.reaction.profile import GaussianProfile, PowerProfile
from kinlim.models.reaction.tables import ReactionStudy
from kinlim.validation.reaction.limit import gaps

OBLIQUE = {"family": "gaussian", "covariance": [[1.0, 0.3], [0.3, 0.6]]}
HEAVY = {"family": "power", "k": 3.5}
UNPREPARED = {"f0": "1.5+0.5*sin(2*pi*x)*cos(2*pi*y)+0.2*tanh(vx-vy)", "g0": "0.8+0.3*cos(2*pi*(x+y))"}
PREPARED = {"f0": "exp(0.5*sin(2*pi*x)*cos(2*pi*y))", "g0": "exp(-0.5*sin(2*pi*x)*cos(2*pi*y))"}


def tables(epsilon, data=UNPREPARED, chi1=OBLIQUE, chi2=HEAVY, end=0.02, observe=(0.0, 0.25, 1.0), **kinetic):
    model = {"dimension": 2, "chi1": chi1, "chi2": chi2, "epsilon": epsilon, "end_time": end, "observe": list(observe)}
    return {
        "study": {"model": "reaction", "name": "test"},
        "model": model | data,
        "particles": {"replicas": 2, "bias": 1.0},
        "kinetic": {"modes": 4, "cells": 4, "degree": 3, "rtol": 1e-6} | kinetic,
        "pde": {"cells": 16, "degree": 4, "shape": "box", "rtol": 1e-8},
    }


def study(*args, **options):
    return ReactionStudy.model_validate(tables(*args, **options))


@pytest.mark.parametrize("modes", [4, 8, 16])
@pytest.mark.parametrize("chi", [GaussianProfile(**OBLIQUE), PowerProfile(**HEAVY)])
def test_masses_have_the_moments_of_chi(chi, modes):
    # D off by anything is another limit equation; nodes of one half plane only must not meet their opposites twice
    q = velocities(chi, modes, dimension=2)
    assert len(q.masses) == modes**2
    assert q.masses.min() > 0
    assert np.unique(q.nodes.round(12), axis=1).shape == q.nodes.shape
    assert q.masses.sum() == pytest.approx(1, abs=1e-14)
    np.testing.assert_allclose(q.nodes @ q.masses, 0, atol=1e-14)
    np.testing.assert_allclose((q.nodes * q.masses) @ q.nodes.T, chi.covariance_matrix(2), rtol=1e-11, atol=1e-13)


def test_masses_of_a_gaussian_have_its_fourth_moments():
    # the Cholesky factor on the wrong side keeps D for a diagonal one only; E v1^2 v2^2 = D11 D22 + 2 D12^2
    q = velocities(GaussianProfile(**OBLIQUE), 4, dimension=2)
    assert q.masses @ (q.nodes[0] ** 2 * q.nodes[1] ** 2) == pytest.approx(0.6 + 2 * 0.3**2, rel=1e-12)


@pytest.mark.parametrize("degree", range(1, 6))
def test_elements(degree):
    # axes exchanged in a derivative show at once, and mass would leave if the adjoint did not end constants
    grid = square(4, degree)
    x, y = (np.abs(grid.nodes - 0.5)).T  # continuous and periodic, linear in each cell
    px, py = (np.abs(grid.points - 0.5)).T
    middle = np.sign(np.repeat(np.arange(4), degree + 1) - 1.5)  # of points at vertices the cell decides
    along_x, along_y = (part.ravel() for part in np.meshgrid(middle, middle, indexing="ij"))
    np.testing.assert_allclose(grid.derivative[0] @ (x * (1 + y)), along_x * (1 + py), atol=1e-12)
    np.testing.assert_allclose(grid.derivative[1] @ (x * (1 + y)), along_y * px, atol=1e-12)
    np.testing.assert_allclose(grid.values @ (x * y), px * py, atol=1e-14)
    assert grid.w.sum() == pytest.approx(1, abs=1e-13)
    np.testing.assert_allclose(grid.values.T @ grid.omega, grid.w, atol=1e-15)
    for adjoint in grid.adjoint:
        assert np.abs(adjoint @ np.ones(len(grid.points))).max() < 1e-12
    even, odd = grid.on_grid(8)
    i, j = np.meshgrid(np.arange(8) / 8, np.arange(8) / 8, indexing="ij")
    np.testing.assert_allclose(even @ (x * (1 + y)), (abs(i - 0.5) * (1 + abs(j - 0.5))).ravel(), atol=1e-13)
    np.testing.assert_allclose(odd @ np.ones(len(px)), 1, atol=1e-13)


def flights_of(system):
    return Flights(system.mesh, system.v_f.v), Flights(system.mesh, system.v_g.v)


def test_flights_are_inverted_exactly():
    # a transform over the wrong axes, or of rows instead of columns, inverts something else unless p = 1 and v is even
    grid = square(4, 3)
    v = np.array([[0.7, -1.2], [0.4, 2.0]])
    flights, x = Flights(grid, v), np.random.default_rng(1).normal(size=(len(grid.nodes), 2))
    found = flights.apply(flights.inverses(0.3), x)
    for j in range(2):
        along = sum(D * speed for D, speed in zip(grid.derivative, v[:, j], strict=True))
        back = grid.w * found[:, j] + 0.3 * (along.T @ (grid.omega * (along @ found[:, j])))
        np.testing.assert_allclose(back, x[:, j], atol=1e-11)


@pytest.mark.parametrize(("epsilon", "step"), [(1.0, 0.03), (0.1, 0.03), (0.1, 1.0), (1e-2, 30.0), (1e-4, 30.0)])
def test_linear_systems_take_few_iterations(epsilon, step):
    # whatever the step, in units of epsilon^2: without the diffusion equation 1e-2 takes hundreds, without the series
    # over the cells 1 does. The derivative is checked against differences of the rates
    made = study(epsilon, cells=6)
    system = KineticSystem.of(made.model, made.kinetic)
    rng, u = np.random.default_rng(2), system.initial(made.model)
    d, high, low, along, right = rng.normal(size=system.size), *np.empty((4, system.size))
    system.rates(u + 1e-3 * d, high)
    system.rates(u - 1e-3 * d, low)
    system.derivative(u, d, along)
    np.testing.assert_allclose(along, (high - low) / 2e-3, atol=1e-10 * np.abs(along).max())
    shift = 1 / (step * epsilon**2)
    solver = TwoLevel(system, u, shift, flights_of(system))

    def apply(x):
        near, out = np.empty((2, system.size))
        solver.solve(x, near)
        system.derivative(u, near, out)
        return shift * epsilon**2 * near - out

    system.rates(u, right)
    count = []
    operator = LinearOperator((system.size, system.size), matvec=apply)
    found, info = gmres(
        operator, right, rtol=1e-8, restart=40, maxiter=1, callback=count.append, callback_type="pr_norm"
    )
    assert info == 0
    assert len(count) < 32
    np.testing.assert_allclose(apply(found), right, atol=1e-7 * np.linalg.norm(right))


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1.0, 0.1, 1e-2, 1e-4])
def test_mass_entropy_and_region(epsilon):
    # GMRES alone, at its tolerance, would change the mass by 1e-9; without the flux along one axis (6) does not balance
    data = solve(study(epsilon, end=0.05, cells=8, rtol=1e-7))
    assert np.abs(data.mass_difference - data.attrs["mass_difference_start"]).max() < 1e-12
    gone = data.attrs["entropy_start"] - data.entropy
    assert (np.abs(gone - data.dissipated) <= 1e-5 * data.dissipated[-1]).all()
    assert (np.diff(data.entropy) < 0).all()
    lo, hi = data.attrs["region"]
    assert data.lowest_f.min() > lo - 1e-3
    assert data.highest_f.max() < hi + 1e-3
    assert data.lowest_g.min() > 1 / hi - 1e-3
    assert data.highest_g.max() < 1 / lo + 1e-3
    assert data.attrs["failed_solves"] == 0
    assert data.attrs["preconditioner"] == TwoLevel.NAME
    assert data.attrs["degrees_of_freedom"] % data.attrs["velocities"] == 0 < data.attrs["degrees_of_freedom"]


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.2, 1e-4])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_order_in_x(epsilon, degree):
    # p + 1: a quadrature too coarse for (v.D)^T (v.D) loses an order, and so do fluxes anywhere but at Gauss points
    fine = solve(study(epsilon, PREPARED, cells=5, degree=8, end=0.005, observe=(1.0,), rtol=1e-6))
    errors = []
    for cells in (8, 16):
        data = solve(study(epsilon, PREPARED, cells=cells, degree=degree, end=0.005, observe=(1.0,), rtol=1e-6))
        found = ((data[name] - fine[name]).to_numpy() for name in ("rho_f", "flux_f"))
        errors.append([float(np.sqrt((part**2).mean())) for part in found])
    assert (np.log2(np.array(errors[0]) / errors[1]) > degree + 0.8).all()


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1.0, 0.05])
def test_data_of_one_coordinate_are_those_of_the_line(epsilon):
    # with the marginal of chi, whose nodes are the same; along y the roles of the axes are exchanged
    line = {"f0": "1.5+0.5*sin(2*pi*x)+0.2*tanh(vx)", "g0": "0.8+0.3*cos(2*pi*x)"}
    turned = {key: value.replace("x", "y") for key, value in line.items()}
    same = {key: f"{value}+0*y" for key, value in line.items()}
    narrow = {"family": "gaussian", "covariance": [0.5, 0.5]}
    mesh = {"modes": 4, "cells": 4, "degree": 6}
    one = solve(study(epsilon, line, OBLIQUE | {"covariance": [1.0, 2.0]}, narrow, **mesh))
    two = solve(study(epsilon, same, OBLIQUE | {"covariance": [1.0, 2.0]}, narrow, **mesh))
    across = solve(study(epsilon, turned, OBLIQUE | {"covariance": [2.0, 1.0]}, narrow, **mesh))
    assert one.m.dims == ("time", "x")
    assert two.m.dims == ("time", "x", "y")
    for name in ("rho_f", "rho_g"):
        expected = one[name].to_numpy()[:, ::4, None]
        np.testing.assert_allclose(two[name], np.broadcast_to(expected, two[name].shape), atol=1e-5)
        np.testing.assert_allclose(across[name].transpose("time", "y", "x"), two[name], atol=1e-5)
    flux = two.flux_f.sel(axis="x").to_numpy()
    assert np.abs(flux - one.flux_f.to_numpy()[:, ::4, None]).max() < 1e-3 * np.abs(flux).max()
    assert np.abs(two.flux_f.sel(axis="y")).max() < 1e-6 / epsilon
    np.testing.assert_allclose(two.entropy, one.entropy, atol=1e-5)


@pytest.mark.slow
def test_order_of_the_distance_to_the_limit():
    # two, with a full D1: its entry off the diagonal lost, or a flux with a wrong factor, leaves a distance
    found = []
    for epsilon in (1 / 64, 1 / 128):
        made = study(epsilon, PREPARED, chi2=OBLIQUE | {"covariance": 0.5}, cells=8, degree=4)
        gap = gaps(kinlim.solve(made, "pde"), kinlim.solve(made, "kinetic"))
        found.append(float(gap.gap_m[-1]))
        assert float(gap.gap_m[0]) < 1e-4
    assert 1.85 < np.log2(found[0] / found[1]) < 2.15


@pytest.mark.slow
def test_particles_agree_with_it_and_not_with_the_limit():
    # at epsilon = 0.2 the limit is far off; 64 bins whose noise is correlated
    given = tables(0.2, end=0.05, modes=8, cells=4, degree=5, rtol=1e-5)
    given["particles"] = {"replicas": 32, "per_unit": 20000, "bias": 0.03, "bins": 8, "seed": 1}
    made = ReactionStudy.model_validate(given)
    particles, pde, kinetic = kinlim.simulate(made), kinlim.solve(made, "pde"), kinlim.solve(made, "kinetic")
    against = [kinlim.compare(particles, *solutions) for solutions in ((pde, kinetic), (pde,))]
    for name in ("rho_f", "rho_g", "m"):
        square_of_z = [float((one[f"z_{name}"].isel(time=-1) ** 2).mean()) for one in against]
        assert 0.5 < square_of_z[0] < 1.6
        assert square_of_z[1] > 10


@pytest.mark.parallel
def test_all_ranks_get_the_dataset():
    data = solve(study(0.1, modes=4, cells=4, degree=2, end=1e-3, rtol=1e-4), MPI.COMM_WORLD)
    gathered = MPI.COMM_WORLD.allgather(data.m.values)
    for other in gathered:
        np.testing.assert_array_equal(other, gathered[0])


@pytest.mark.parallel
def test_ranks_that_share_the_velocities_find_what_one_finds():
    # 8 pairs do not divide by 3; sums in another order differ by rounding. Velocities out of order, a density or a
    # flux of one rank's velocities alone, or a norm of its unknowns, would be other numbers or other steps
    made = study(0.1, modes=4, cells=4, degree=3, end=0.02, rtol=1e-5)
    together, alone = solve(made, MPI.COMM_WORLD), solve(made, MPI.COMM_SELF)
    for name in alone.data_vars:
        scale = float(np.abs(alone[name]).max())
        np.testing.assert_allclose(together[name], alone[name], rtol=0, atol=1e-11 * scale, err_msg=name)
    for count in ("steps", "linear_iterations", "degrees_of_freedom"):
        assert together.attrs[count] == alone.attrs[count]


@pytest.mark.parallel
def test_unknowns_are_shared_and_joined_in_order():
    made = study(0.1, modes=4, cells=4, degree=2)
    whole = KineticSystem.of(made.model, made.kinetic)
    system, u = whole.shared(MPI.COMM_WORLD), whole.initial(made.model)
    np.testing.assert_array_equal(system.initial(made.model), system.share(u))
    joined = system.joined(system.share(u))
    np.testing.assert_array_equal(joined, u if MPI.COMM_WORLD.rank == 0 else [])
    assert len(np.concatenate(MPI.COMM_WORLD.allgather(system.v_f.mass))) == whole.pairs


@pytest.mark.parallel
def test_a_stopped_run_goes_on_bit_by_bit():
    # GMRES starts from zero at every solve, and nothing is kept from a step to the next
    made = study(0.05, rtol=1e-4)
    whole, again = solve(made), stopped_and_gone_on(made, 12)
    for name in ("rho_f", "flux_g", "dissipated", "alignment"):
        np.testing.assert_array_equal(again[name], whole[name])
    assert again.attrs["steps"] == whole.attrs["steps"]


@pytest.mark.parallel
def test_a_run_stopped_on_all_ranks_goes_on_alone():
    made = study(0.05, modes=4, cells=4, rtol=1e-4)
    whole, again = solve(made), stopped_and_gone_on(made, 12, MPI.COMM_SELF)
    if again is not None:
        np.testing.assert_allclose(again.rho_f, whole.rho_f, rtol=0, atol=1e-12)


def test_defaults_and_the_coarser_mesh_of_an_error_estimate():
    # 32 velocities along each axis, as on a line, would be 54 million unknowns
    made = ReactionStudy.model_validate(tables(0.1) | {"kinetic": {}})
    assert (made.kinetic.modes, made.kinetic.cells, made.kinetic.degree) == (8, 8, 4)
    assert KINETIC.coarser(made).kinetic.cells == 4
    better = KINETIC.better(made)
    assert better["mesh"].kinetic.cells == 16
    assert better["velocities"].kinetic.modes == 12
    assert KINETIC.better(study(0.1, modes=4, cells=48, degree=4))["mesh"].kinetic.cells == 24  # 96 are too many
    planar = tables(0.1, {"f0": "1.5+0.5*sin(2*pi*x)", "g0": "1"}) | {"kinetic": {}}
    assert ReactionStudy.model_validate(planar).kinetic.modes == 32


def test_refusals():
    mixture = {
        "family": "mixture",
        "weights": [0.5, 0.5],
        "means": [[-1.0, 0.0], [1.0, 0.0]],
        "covariances": [0.5, 0.5],
    }
    with pytest.raises(InputError, match=r"model\.chi2\.family = 'mixture'.*leave the table \[kinetic\] out"):
        check(study(0.1, chi2=mixture), MPI.COMM_SELF)
    with pytest.raises(InputError, match=r"kinetic\.modes = 32 and kinetic\.cells = 64 of degree 2 make .* unknowns"):
        check(study(0.1, modes=32, cells=64, degree=2), MPI.COMM_SELF)
    deep = tables(0.1, chi1=OBLIQUE | {"covariance": 1.0}, chi2=HEAVY | {"k": 4.0})
    deep["model"]["dimension"] = 3
    with pytest.raises(ValueError, match=r"in dimension 3 the kinetic system is solved in x and vx only"):
        ReactionStudy.model_validate(deep)
    assert check(study(0.1), MPI.COMM_SELF) is None


def test_negative_densities_end_in_words():
    made = study(0.1)
    system = KineticSystem.of(made.model, made.kinetic)
    with pytest.raises(RunError, match="a density is -1"):
        TwoLevel(system, -np.ones(system.size), 1.0, flights_of(system))
