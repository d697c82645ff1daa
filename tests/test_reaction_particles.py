"""Reacting particles: velocities, flights, the chain in a cell, initial data, invariants, layouts, decay."""

import copy
from math import ceil, sqrt

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import expm

from mpi4py import MPI

from kinlim.errors import RunError
from kinlim.models.reaction.profile import GaussianProfile, MixtureProfile, PowerProfile
from kinlim.stochastic.reaction import simulate
from kinlim.stochastic.reaction.fixed import fly, locate
from kinlim.stochastic.reaction.gas import ReactingGas
from kinlim.stochastic.reaction.profiles import sampler, velocities
from kinlim.stochastic.reaction.recombination import AT_ONCE, edges, react, settle
from kinlim.stochastic.reaction.sift import CHUNK, sift
from kinlim.stochastic.reaction.supply import places
from kinlim.stochastic.streams import start
from kinlim.stochastic.vectors import LENGTH
from kinlim.study import check

TABLES = {
    "study": {"model": "reaction", "name": "small-reaction"},
    "model": {
        "dimension": 1,
        "chi1": {"family": "gaussian", "covariance": 1.0},
        "chi2": {"family": "gaussian", "covariance": 0.5},
        "f0": "1.5+0.5*cos(2*pi*x)",
        "g0": "1/(1.5+0.5*cos(2*pi*x))",
        "epsilon": 0.1,
        "end_time": 0.02,
        "observe": [0.0, 0.3, 1.0],
    },
    "particles": {"per_unit": 2000, "replicas": 40, "seed": 3, "bias": 0.02, "bins": 8},
}


@pytest.fixture
def tables():
    return copy.deepcopy(TABLES)


def supply(seed):
    """Lanes and the place for rare words of a stream."""
    stream = np.empty((4, 1), np.uint64)
    start(stream, np.uint64(seed), 0)
    found = places(stream[:, 0], LENGTH + 1)
    return np.ascontiguousarray(found[:, :LENGTH]), np.ascontiguousarray(found[:, LENGTH:])


PROFILES = {
    "full": (GaussianProfile(family="gaussian", covariance=((2.0, 0.5, 0.1), (0.5, 1.0, -0.3), (0.1, -0.3, 0.7))), 3),
    "two humps": (MixtureProfile(family="mixture", weights=(0.25, 0.75), means=(3.0, -1.0), covariances=(0.5, 1.0)), 1),
    "three in a plane": (
        MixtureProfile(
            family="mixture",
            weights=(0.5, 0.3, 0.2),
            means=((1.0, 0.0), (-1.0, 1.0), (-1.0, -1.5)),
            covariances=(1.0, (0.5, 2.0), ((1.0, 0.4), (0.4, 1.0))),
        ),
        2,
    ),
    "power 1": (PowerProfile(family="power", k=2.1), 1),
    "power 2": (PowerProfile(family="power", k=3.0), 2),
    "power 3": (PowerProfile(family="power", k=4.5), 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROFILES)
def test_velocities_have_their_law(name):
    # a transposed Cholesky factor, a component with the weight of another, the k of a wrong dimension
    profile, d = PROFILES[name]
    vel = np.zeros((d, 100_003), np.float32)  # an odd number: the end of a chunk
    velocities(sampler(profile, d), vel, 3, vel.shape[1], supply(1)[0])
    assert (vel[:, :3] == 0).all()
    v = vel[:, 3:].astype(float)
    for direction in np.concatenate([np.eye(d), np.ones((1, d)), np.array([[1.0, -2.0, 0.5]])[:, :d]]):
        if isinstance(profile, PowerProfile):  # a component is Student's t, in any direction
            freedom = 2 * profile.k - d
            law = stats.t(freedom, scale=np.linalg.norm(direction) / sqrt(freedom)).cdf
        else:
            m = profile.mixture(d)
            parts = [
                (w, stats.norm(mean @ direction, sqrt(direction @ c @ direction)))
                for w, mean, c in zip(m.weights, m.means, m.covariances, strict=True)
            ]
            law = lambda y, parts=parts: sum(w * part.cdf(y) for w, part in parts)  # noqa: E731
        assert stats.kstest(direction @ v, law).pvalue > 1e-4
    if isinstance(profile, PowerProfile):  # and the radius has its own law
        s = (v**2).sum(axis=0)
        assert stats.kstest(s / (1 + s), stats.beta(d / 2, profile.k - d / 2).cdf).pvalue > 1e-4


@pytest.mark.slow
def test_flights_are_exact():
    # wrapping, fast particles of heavy tails, cells across the seam of a shifted grid
    rng = np.random.default_rng(1)
    n, cells = 5000, 37
    pos = rng.integers(0, 2**32, (2, n), dtype=np.uint32)
    vel = (rng.standard_t(1.0, (2, n)) * 5).astype(np.float32)
    before, time = pos.astype(float), 0.013
    fly(pos, vel, 10, n - 7, time)
    expected = before + np.float64(2.0**32) * (vel.astype(float) * time)
    moved = slice(10, n - 7)
    gap = (pos - expected + 2.0**31) % 2.0**32 - 2.0**31
    assert np.abs(gap[:, moved]).max() <= 0.5 + 1e-3  # a unit is 2^-32; v time is rounded at 2^53 of ~1e4 units
    assert (pos[:, :10] == before[:, :10]).all()
    assert (pos[:, -7:] == before[:, -7:]).all()
    shift, where = rng.integers(0, 2**32, 2, dtype=np.uint32), np.empty(n, np.uint32)
    locate(pos, 0, n, shift, cells, where)
    x, y = ((pos + shift[:, None]) * 2.0**-32 * cells).astype(int)
    assert (where == x * cells + y).all()


@pytest.mark.parametrize("cells", [1, 3, 37])
def test_new_particles_are_in_their_cells(cells):
    rng = np.random.default_rng(2)
    count, shift = 4000, rng.integers(0, 2**32, 2, dtype=np.uint32)
    homes = rng.integers(0, cells**2, count).astype(np.uint32)
    spots, where, given = np.empty((2, count), np.uint32), np.empty(count, np.uint32), homes.copy()
    settle(homes, shift, edges(cells), supply(2)[0], np.empty(1024, np.uint64), spots)
    locate(spots, 0, count, shift, cells, where)
    assert (where == given).all()
    for row in (spots + shift[:, None]) * 2.0**-32 * cells % 1:
        assert stats.kstest(row, "uniform").pvalue > 1e-4


def outcome(a, b, mean, rate, cells, seed):
    """A and B taken away, new A and new B in cells that all began alike, and all pairs created."""
    padded = -(-cells // LENGTH) * LENGTH
    present, others = np.zeros((2, padded), np.uint64)
    present[:cells], others[:cells] = a, b
    capacity = int(cells * mean + 40 * sqrt(cells * mean) + 1000)
    homes, others_homes = np.empty((2, capacity + AT_ONCE), np.uint32)
    found = react(present, others, cells, mean, rate, *supply(seed), homes, others_homes)
    new, others_new = (
        np.bincount(all_homes[:count], minlength=padded)
        for all_homes, count in zip((homes, others_homes), found, strict=False)
    )
    gone, others_gone = ((numbers >> np.uint64(32)).astype(int) for numbers in (present, others))
    assert (new - gone == others_new - others_gone).all()  # as many of one kind as of the other
    assert (gone <= a).all()
    assert (others_gone <= b).all()
    assert found[2] - found[3] == (new - gone).sum()
    assert not any(numbers[cells:].any() for numbers in (new, others_new, gone, others_gone))
    return gone[:cells], new[:cells], others_gone[:cells], others_new[:cells], found[2]


CHAINS = [(2, 3, 0.4, 0.2), (0, 4, 1.5, 0.5), (7, 5, 3.0, 0.05), (60, 40, 14.0, 0.006), (300, 250, 70.0, 0.001)]


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b", "mean", "rate"), CHAINS)
def test_a_cell_obeys_the_master_equation(a, b, mean, rate):
    # a rate off by a factor, a ceiling that is too low, an order that is not uniform
    cells = 200_003 if a + b < 50 else 40_005  # not a multiple of what is done side by side
    gone, new, _, _, made = outcome(a, b, mean, rate, cells, 5)
    size = max(a, b) + ceil(mean + 12 * sqrt(mean) + 12)
    low = min(a, b)
    n_a, n_b = np.arange(size) + a - low, np.arange(size) + b - low
    generator = np.diag(np.full(size - 1, mean), 1) + np.diag(rate * (n_a * n_b)[1:], -1)
    generator -= np.diag(generator.sum(axis=1))
    law = expm(generator)[low]
    counts = np.bincount(a - gone + new - (a - low), minlength=size)[:size]
    assert counts.sum() == cells
    assert fits(counts, law)
    assert abs(made - cells * mean) < 4.5 * sqrt(cells * mean)


def fits(counts, law):
    """Whether counts are a sample of the law: chi-square, values expected fewer than ten times taken together."""
    expected = law * counts.sum()
    often = expected > 10
    observed = np.append(counts[: len(law)][often], counts.sum() - counts[: len(law)][often].sum())
    expected = np.append(expected[often], counts.sum() - expected[often].sum())
    return stats.chi2(len(expected) - 1).sf(((observed - expected) ** 2 / np.maximum(expected, 1)).sum()) > 1e-4


def plain(a, b, mean, rate, rng):
    """The same chain event by event, with marks on those that are new: a list for each kind."""
    one, other, t = [0] * a, [0] * b, 0.0
    while True:
        total = mean + rate * len(one) * len(other)
        t += rng.exponential(1 / total)
        if t > 1:
            return a - one.count(0), one.count(1), b - other.count(0), other.count(1)
        if rng.random() * total < mean:
            one.append(1)
            other.append(1)
        else:
            one.pop(rng.integers(len(one)))
            other.pop(rng.integers(len(other)))


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b", "mean", "rate"), CHAINS[:3])
def test_who_dies_is_as_in_a_plain_twin(a, b, mean, rate):
    # older ones that die too often, a new A that dies with its B, a list of new ones that is not kept in order
    gone, new, others_gone, others_new, _ = outcome(a, b, mean, rate, 100_000, 6)
    rng = np.random.default_rng(7)
    twin = np.array([plain(a, b, mean, rate, rng) for _ in range(8000)])
    kernel = np.stack([gone, new, others_gone, others_new], axis=1)
    codes = [rows @ [1000**3, 1000**2, 1000, 1] for rows in (kernel, twin)]
    values, counts = np.unique(codes[0], return_counts=True)
    common = values[counts > 100 * 12]
    table = [[*((c == value).sum() for value in common), (~np.isin(c, common)).sum()] for c in codes]
    assert stats.chi2_contingency(np.array(table)).pvalue > 1e-4


@pytest.mark.slow
def test_sifting_takes_away_what_it_should():
    # a particle that is passed over, one that is taken twice, a number that is lost, an order that changes
    rng = np.random.default_rng(8)
    n, cells, need = 3 * CHUNK + 77, 5, np.array([0, 1, 30, 700, 100])
    shift, none = np.array([7], np.uint32), np.zeros(1, np.uint32)
    chosen = np.zeros(n)
    lanes = supply(9)[0]
    room = np.empty(CHUNK // 2, np.uint64), np.empty(CHUNK, np.uint32), np.empty(CHUNK, np.uint32)
    begin = rng.integers(0, 2**32, (1, n), dtype=np.uint32)
    home = (begin[0] + shift).astype(np.uint64) * np.uint64(cells) >> np.uint64(32)
    rounds = 400
    for _ in range(rounds):
        pos, vel = begin.copy(), np.arange(n, dtype=np.float32)[None].copy()
        present = np.bincount(home, minlength=cells).astype(np.uint64) | (need.astype(np.uint64) << np.uint64(32))
        following = np.zeros(cells, np.uint64)
        left = sift(pos, vel, n, shift, none, cells, 0.0, present, following, lanes, room)
        kept = vel[0, :left].astype(int)
        assert left == n - need.sum()
        assert (np.diff(kept) > 0).all()
        assert (pos[0, :left] == begin[0, kept]).all()
        assert not present.any()
        gone = np.setdiff1d(np.arange(n), kept)
        assert (np.bincount(home[gone], minlength=cells) == need).all()
        assert (following == np.bincount(begin[0, kept].astype(np.uint64) * np.uint64(cells) >> np.uint64(32))).all()
        chosen[gone] += 1
    for cell in (2, 3, 4):
        mine = chosen[home == cell]
        share = need[cell] / len(mine)
        spread = ((mine - rounds * share) ** 2).sum() / (rounds * share * (1 - share))
        assert stats.chi2(len(mine) - 1).sf(spread) > 1e-4  # each as often, and not more evenly than by chance
        assert stats.chi2(len(mine) - 1).cdf(spread) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 2, 3])
def test_initial_particles_have_the_data_as_mean(tables, d):
    # densities that forget the velocity, kinds exchanged, axes in another order
    tables["model"] |= {
        "dimension": d,
        "f0": "(1.5+0.5*cos(2*pi*x))*(1+0.5*tanh(vx))" + ("*(1+0.3*sin(2*pi*y))" if d > 1 else ""),
        "g0": "0.8+0.2*sin(2*pi*x)" + ("*cos(2*pi*z)" if d > 2 else ""),
        "observe": [0.0, 1.0],
        "end_time": 1e-4,
    }
    tables["particles"] |= {"per_unit": 20_000, "bins": 4, "replicas": 60}
    study = check(tables)
    found = simulate(study, MPI.COMM_SELF, 1).isel(time=0)
    parts = 1 if d == 3 else 2  # of a bin, with two points of Gauss each
    offsets = np.array([-1, 1]) / sqrt(3) / (8 * parts)
    fine = ((np.arange(4 * parts) + 0.5)[:, None] / (4 * parts) + offsets).ravel()
    grid = np.stack(np.meshgrid(*[fine] * d, indexing="ij"), axis=-1).reshape(-1, d)
    rho_f, rho_g, *_ = study.model.initial(grid)
    for name, values in (("rho_f", rho_f), ("rho_g", rho_g), ("m", rho_f - rho_g)):
        exact = values.reshape((4, 2 * parts) * d).mean(axis=tuple(range(1, 2 * d, 2)))
        z = ((found[name] - exact) / found[f"{name}_se"]).values
        assert np.abs(z).max() < 4.5
        assert abs((z**2).mean() - 1) < 6 * sqrt(2 / z.size)
    # independent Poisson processes: known variances, product without bias
    error = np.sqrt((rho_f + rho_g).mean() / (20_000 * 60))
    assert float(found.mass_difference_se) == pytest.approx(error, rel=4 / sqrt(2 * 59))
    exact = (rho_f * 1.0).reshape((4, 2 * parts) * d).mean(axis=tuple(range(1, 2 * d, 2)))
    exact = exact * rho_g.reshape((4, 2 * parts) * d).mean(axis=tuple(range(1, 2 * d, 2)))
    assert np.abs(((found["product"] - exact) / found["product_se"]).values).max() < 4.5


@pytest.mark.slow
def test_data_beyond_their_bound_are_noticed(tables):
    tables["model"]["f0"] = "1+3*exp(-((x-0.50245)*3000)**2)"  # a needle between all points that are looked at
    study = check(tables)
    with pytest.raises(RunError, match=r"model.f0: is [23]\.\d+ at x = 0.50\d+, vx = .* outside"):
        ReactingGas(study).begin(np.array([[1], [2], [3], [4]], np.uint64).repeat(2000, axis=1), 0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 2, 3])
def test_equilibrium_stays(tables, d):
    # rates of creation and destruction that do not balance, kinds that are not destroyed together, cells left out
    rho, n = 1.6, 3000
    tables["model"] |= {"dimension": d, "f0": str(rho), "g0": str(1 / rho), "end_time": 0.05, "observe": [0.0, 1.0]}
    tables["particles"] |= {"per_unit": n, "bins": 3, "replicas": 60, "bias": 0.1}
    found = simulate(check(tables), MPI.COMM_SELF, 1)
    assert (found.imbalance_drift == 0).all()
    last = found.isel(time=-1)
    for name, exact in (("rho_f", rho), ("rho_g", 1 / rho), ("product", 1.0)):
        z = ((last[name] - exact) / last[f"{name}_se"]).values
        assert np.abs(z).max() < 4.5
        # numbers in equilibrium are Poisson: variance rho/(N V)
        if name != "product":
            spread = (last[f"{name}_se"].values ** 2 * 60).mean()
            assert spread == pytest.approx(exact * 3**d / n, rel=5 * sqrt(2 / 59 / 3**d) + 0.02)
    rate = n * 0.05 / 0.1**2
    assert abs(float(last.created) - rate) < 4.5 * float(last.created_se)
    assert float(last.created_se) == pytest.approx(sqrt(rate / 60), rel=4 / sqrt(2 * 59))
    assert abs(float(last.destroyed) - rate) < 4.5 * float(last.destroyed_se)
    assert np.abs(((last["mode"]) / last["mode_se"]).values).max() < 4.5


@pytest.mark.slow
def test_equilibrium_stays_with_few_particles(tables):
    # new A and B at one point: they would meet too often, and the mass of A would be 0.93
    epsilon, cells = 2e-4, 5000
    step = 0.25 * epsilon**2
    gaussian = {"family": "gaussian"}
    data = {"chi1": gaussian, "chi2": gaussian, "f0": "1", "g0": "1"}
    tables["model"] |= data | {"epsilon": epsilon, "end_time": 60 * step, "observe": [0.0, 1.0]}
    tables["particles"] |= {
        "per_unit": 1000, "cells": cells, "dt": step, "replicas": 120, "block": 10, "bias": 1.0
    }  # fmt: skip
    found = simulate(check(tables), MPI.COMM_SELF, 1).isel(time=-1)
    for name in ("mass_f", "mass_g"):
        assert abs(float(found[name]) - 1) < 4.5 * float(found[f"{name}_se"])
        assert float(found[f"{name}_se"]) < 0.005
    assert np.abs((found["product"] - 1) / found.product_se).max() < 4.5


def test_steps_end_at_the_observations(tables):
    tables["model"] |= {"observe": [0.0, 0.001, 0.37, 0.370001, 1.0], "end_time": 0.03}
    study = check(tables)
    gas = ReactingGas(study)
    assert gas.steps[0] == 0
    assert np.array(gas.dt) * gas.steps == pytest.approx(np.diff(study.model.times, prepend=0), abs=1e-18)
    assert max(gas.dt) <= study.dt
    assert min(steps for steps in gas.steps[1:]) == 1


@pytest.mark.parallel
def test_layouts_give_the_same_bits(tables):
    # a stream that belongs to a thread, a sum in the order of arrival
    tables["particles"] |= {"replicas": 6, "per_unit": 500}
    first = simulate(check(tables), MPI.COMM_SELF, 1)
    for block, threads, comm in ((1, 3, MPI.COMM_SELF), (1, 2, MPI.COMM_WORLD)):
        tables["particles"]["block"] = block
        other = simulate(check(tables), comm, threads)
        for name in first.data_vars:
            assert first[name].equals(other[name]), name
    tables["particles"]["block"] = 4  # other blocks: the same numbers, added in another order
    other = simulate(check(tables), MPI.COMM_WORLD, 2)
    for name in first.data_vars:
        assert other[name].values == pytest.approx(first[name].values, rel=1e-10, abs=1e-12), name


@pytest.mark.slow
def test_a_small_wave_decays_as_the_linearised_equations_say(tables):
    # a flight of v instead of v/epsilon, dt once more or less, chi1 in place of chi2: the rate would be off by a factor
    amplitude, epsilon, end = 0.1, 0.1, 0.04
    tables["model"] |= {
        "f0": f"1+{amplitude}*cos(2*pi*x)",
        "g0": f"1-{amplitude}*cos(2*pi*x)",
        "epsilon": epsilon,
        "end_time": end,
        "observe": [0.0, 0.5, 1.0],
    }
    tables["particles"] |= {"per_unit": 40_000, "replicas": 60}
    study = check(tables)
    found = simulate(study, MPI.COMM_SELF, 1).isel(axis=0)
    nodes, weights = zip(*(chi.quadrature(1, 40) for chi in (study.model.chi1, study.model.chi2)), strict=True)
    v, zero = np.concatenate(nodes)[:, 0], np.zeros((40, 40))
    ones = np.ones((40, 1))
    loss = np.block([[zero, ones * weights[1]], [ones * weights[0], zero]]) + np.eye(80)  # rho_f = rho_g = 1
    generator = -1j * 2 * np.pi * np.diag(v) / epsilon - loss / epsilon**2
    begin = amplitude * np.concatenate([ones, -ones])[:, 0]
    signed = np.concatenate([weights[0], -weights[1]])
    exact = [float((signed @ expm(generator * t) @ begin).real) for t in study.model.times]
    assert exact[-1] < 0.5 * exact[0]
    gap = found["mode"].sel(part="cos").values - exact
    # the splitting makes at most bias more diffusion, and the square of the amplitude enters at the next order
    known = np.array(exact) * (study.particles.bias * np.log(exact[0] / np.array(exact)) + amplitude**2)
    assert (np.abs(gap) < 4 * found["mode_se"].sel(part="cos").values + known).all()
    assert (np.abs(found["mode"].sel(part="sin")) < 4 * found["mode_se"].sel(part="sin")).all()
