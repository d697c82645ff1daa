"""Kac particles: samples of the initial laws, both systems against the exact sectors, coupling, layouts and stops."""

import os
import signal
from math import perm, prod, sqrt

import numpy as np
import pytest

from mpi4py import MPI

from kinlim.errors import InputError, RunError, Stopped
from kinlim.fem.kac import solve
from kinlim.formula import Formula
from kinlim.keeper import Keeper
from kinlim.models.kac.law import SCALE, GaussianLaw, PolynomialLaw
from kinlim.models.kac.symmetric import labels, orbit
from kinlim.stochastic.kac import simulate
from kinlim.stochastic.kac.collisions import components, velocities
from kinlim.stochastic.kac.initial import Start
from kinlim.stochastic.kac.observables import Sums, evaluate
from kinlim.stochastic.streams import start
from kinlim.study import check
from kinlim.validation.kac import COMPARISON


def compare(particles, exact):
    """What is found of them."""
    return COMPARISON.compare({"particles": particles, "exact": exact})


LAWS = {
    "one squared": (PolynomialLaw(family="polynomial", density="(1+sqrt(2*pi)*x)**2/2"), 3),
    "two quartic": (PolynomialLaw(family="polynomial", density="4*pi**2*x**2*(y-z)**2/2", particles=2), 3),
    "hot and drifting": (GaussianLaw(family="gaussian", temperature=1.5, drift=(0.2, 0.0, -0.1)), 2),
    "two of four cold": (GaussianLaw(family="gaussian", temperature=0.3, particles=2), 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_samples_have_the_law(name):
    # all symmetric functions of degree 1 and 2: a wrong sign, a wrong choice of particles, a reservoir that knows of it
    law, system = LAWS[name]
    replicas, reservoir = 100_000, 2
    v, streams = velocities(replicas, system + reservoir), np.empty((4, replicas), np.uint64)
    start(streams, np.uint64(11), 0)
    Start(law, system).draw(components(v, system + reservoir), streams)
    names = labels(1, system, reservoir) + labels(2, system, reservoir)
    values = evaluate(names, Sums(v, 0, system, SCALE), Sums(v, system, system + reservoir, SCALE))
    expected = []
    for label in names:
        s = len(label.system)
        size = 0.0 if label.reservoir else sqrt(orbit(label, system, reservoir) / label.factorial)
        expected.append(size * perm(law.chosen(system), s) / perm(system, s) * prod(map(law.moment, label.system)))
    z = (values.mean(axis=0) - expected) / (values.std(axis=0) / sqrt(replicas))
    assert np.abs(z).max() < 4.5
    assert (z**2).mean() < 1 + 4 * sqrt(2 / len(z))


def test_sums_over_particles():
    # odd numbers of particles at either end, which are summed one by one; a turned component in the wrong place
    rng = np.random.default_rng(2)
    for begin, end, particles in ((0, 1, 1), (0, 2, 3), (1, 8, 9), (3, 3, 5), (2, 13, 14)):
        v = velocities(3, particles)
        components(v, particles)[:] = rng.normal(size=(3, particles, 3))
        part, sums = components(v, particles)[:, begin:end], Sums(v, begin, end, 0.5)
        assert sums.count == end - begin
        assert sums.first == pytest.approx(part.sum(axis=1) / 0.5, abs=1e-13)
        for a in range(3):
            for b in range(3):
                assert sums.product(a, b) == pytest.approx((part[..., a] * part[..., b]).sum(axis=1) / 0.25, abs=1e-12)


@pytest.mark.slow
def test_fourth_moments_of_a_polynomial_law():
    # degree 2 would not notice a proposal with the wrong number of degrees of freedom in every case
    law, _ = LAWS["two quartic"]
    v, streams = np.zeros((200_000, 2, 3)), np.empty((4, 200_000), np.uint64)
    start(streams, np.uint64(12), 0)
    Start(law, 2).draw(v, streams)
    x, y, z = np.moveaxis(v[:, 0] / SCALE, -1, 0)
    for alpha, value in {
        (4, 0, 0): x**4 - 6 * x**2 + 3,
        (2, 1, 1): (x**2 - 1) * y * z,
        (0, 3, 1): (y**3 - 3 * y) * z,
    }.items():
        assert abs(value.mean() - law.moment(alpha)) < 4.5 * value.std() / sqrt(len(value)), alpha


@pytest.mark.slow
def test_a_density_that_is_negative_after_all_is_noticed():
    law = PolynomialLaw.model_construct(family="polynomial", density=Formula.parse("1+x", ("x", "y", "z")))
    streams = np.empty((4, 2000), np.uint64)
    start(streams, np.uint64(1), 0)
    with pytest.raises(RunError, match=r"the density is negative at \(x, y, z\) = \(-"):
        Start(law, 1).draw(np.zeros((2000, 2, 3)), streams)


@pytest.mark.slow
@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize(
    "physics",
    [
        {},
        {"system": 1, "reservoir": 1, "h0": {"family": "gaussian", "temperature": 0.5, "drift": [0.3, 0.0, 0.1]}},
        {"system": 2, "reservoir": 2, "lambda_s": 3.0, "h0": {"family": "gaussian", "drift": [0.2, 0.0, 0.0]}},
        {"system": 10, "reservoir": 100, "lambda_r": 0.2, "h0": {"family": "polynomial", "density": "2*pi*x**2"}},
    ],
)
def test_both_systems_follow_the_exact_sectors(kac, physics, coupled):
    # rates off by a factor, pairs that are not uniform, a partner that is not fresh: all show in these means
    kac["model"] |= physics
    kac["particles"] |= {"replicas": 20_000, "coupled": coupled}
    study = check(kac)
    found = compare(simulate(study, MPI.COMM_SELF, 1), solve(study, MPI.COMM_SELF))
    for kind in ("reservoir", "thermostat", "difference"):
        z = found[f"z_{kind}"].values
        z = z[np.isfinite(z)]
        assert np.abs(z).max() < 4.5, kind
        # means at different times and of different functions are correlated: twice the spread of independent ones
        assert abs((z**2).mean() - 1) < 8 * sqrt(2 / z.size), kind


def test_coupling_changes_nothing_in_the_first_system(kac):
    # the mirror drawing from the stream of the first system would
    one = simulate(check(kac), MPI.COMM_SELF, 1)
    kac["particles"]["coupled"] = False
    two = simulate(check(kac), MPI.COMM_SELF, 1)
    assert one.reservoir.equals(two.reservoir)
    assert one.momentum_drift.equals(two.momentum_drift)
    assert not one.thermostat.equals(two.thermostat)
    assert "together" not in two


def test_coupled_systems_stay_together_until_the_reservoir_remembers(kac):
    # at early times a system differs from its twin only after a reservoir particle has come back: of order t^2
    kac["model"] |= {"system": 5, "reservoir": 500, "observe": [0.0, 0.05, 0.1, 0.2]}
    found = simulate(check(kac), MPI.COMM_SELF, 1)
    assert float(found.together[0]) == 1
    apart = 1 - found.together.values[1:]
    assert (apart < 0.01).all()
    assert apart[2] > apart[1] > apart[0] > 0
    gain = compare(found, solve(check(kac), MPI.COMM_SELF)).gain.values[-1]
    assert np.median(gain) > 100


def test_what_is_conserved_and_counted(kac):
    found = simulate(check(kac), MPI.COMM_SELF, 1)
    # 49 collisions a replica, each rounding a few ulps of one particle's velocity
    assert float(found.energy_drift.max()) < 49 * 4 * 2**-52
    assert float(found.momentum_drift.max()) < 49 * 4 * 2**-52
    rate, time = sum(check(kac).model.rates), 4.0
    for kind in ("reservoir", "thermostat"):
        count = float(found.collisions.sel(kind=kind)[-1])
        assert abs(count - rate * time) < 4.5 * sqrt(rate * time / 4000)
    assert found.attrs["collisions"] == round(2 * 4000 * float(found.collisions[-1, 0]))


@pytest.mark.parallel
@pytest.mark.parametrize(("threads", "coupled"), [(1, True), (3, False)])
def test_ranks_and_threads_do_not_matter(kac, threads, coupled):
    kac["particles"] |= {"replicas": 333, "block": 32, "coupled": coupled}
    study = check(kac)
    shared, alone = simulate(study, MPI.COMM_WORLD, threads), simulate(study, MPI.COMM_SELF, 1)
    for name in alone.data_vars:
        assert shared[name].equals(alone[name]), name


@pytest.mark.parallel
def test_ranks_share_the_exact_side(kac):
    shared, alone = solve(check(kac), MPI.COMM_WORLD), solve(check(kac), MPI.COMM_SELF)
    for name in alone.data_vars:
        assert shared[name].equals(alone[name]), name


def test_observing_more_often_changes_nothing_but_noise(kac):
    # a clock that is not memoryless would; with the same seed the numbers are others, so this is a test of laws
    kac["model"]["observe"] = [0.3]
    once = simulate(check(kac), MPI.COMM_SELF, 1)
    kac["model"]["observe"] = [0.05 * k for k in range(1, 6)] + [0.3]
    often = simulate(check(kac | {"particles": {"replicas": 4000, "seed": 4}}), MPI.COMM_SELF, 1).isel(time=[-1])
    z = (once.reservoir.values - often.reservoir.values) / np.hypot(once.reservoir_se.values, often.reservoir_se.values)
    assert np.abs(z).max() < 4.5


def test_threads_must_be_some(kac):
    with pytest.raises(InputError, match="threads = 0: must be at least 1"):
        simulate(check(kac), MPI.COMM_SELF, 0)


def test_more_replicas_from_a_checkpoint(kac):
    kac["particles"] |= {"replicas": 200, "block": 64}
    states = []
    simulate(check(kac), MPI.COMM_SELF, 1, Keeper(MPI.COMM_SELF, write=states.append))
    kac["particles"]["replicas"] = 400
    study = check(kac)
    resumed = simulate(study, MPI.COMM_SELF, 1, Keeper(MPI.COMM_SELF, states[-1], states.append))
    whole = simulate(study, MPI.COMM_SELF, 1)
    for name in whole.data_vars:
        assert resumed[name].equals(whole[name]), name


def test_a_signal_keeps_what_is_done(kac):
    kac["particles"] |= {"replicas": 320, "block": 32}
    study, states = check(kac), []

    def keep(state):
        states.append(state)
        os.kill(os.getpid(), signal.SIGUSR1)

    with pytest.raises(Stopped, match="blocks of replicas are done"):
        simulate(study, MPI.COMM_SELF, 1, Keeper(MPI.COMM_SELF, write=keep))
    resumed = simulate(study, MPI.COMM_SELF, 1, Keeper(MPI.COMM_SELF, states[-1]))
    assert resumed.reservoir.equals(simulate(study, MPI.COMM_SELF, 1).reservoir)
