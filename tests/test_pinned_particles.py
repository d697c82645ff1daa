"""The particle side: the ensemble is the same in any layout, and its numbers are those of the replicas."""

import os
import signal

import numpy as np
import pytest

from mpi4py import MPI

from kinlim.errors import Stopped
from kinlim.keeper import Keeper
from kinlim.stochastic.pinned import balls, simulate
from kinlim.stochastic.pinned.redistribute import LANES, advance, width, workspace
from kinlim.stochastic.streams import modulated_white_noise, start
from kinlim.study import check


@pytest.mark.parallel
@pytest.mark.parametrize(("kernel", "threads"), [("redistribute", 1), ("redistribute", 2), ("sorting", 3)])
def test_ranks_and_threads_do_not_matter(tables, kernel, threads):
    # not even by rounding: merging in another order would show at the ends, where sigma is 1e-7 of mu
    tables["particles"] |= {"replicas": 451, "kernel": kernel, "block": 64, "pilot": 40, "snapshots": [0, 99]}
    study = check(tables)
    shared, alone = simulate(study, MPI.COMM_WORLD, threads), simulate(study, MPI.COMM_SELF, 1)
    for name in alone.data_vars:
        assert shared[name].equals(alone[name]), name


@pytest.mark.parallel
def test_more_ranks_than_blocks(tables):
    tables["particles"]["replicas"] = 2
    study = check(tables)
    shared, alone = simulate(study, MPI.COMM_WORLD, 2), simulate(study, MPI.COMM_SELF, 1)
    assert shared.mu.equals(alone.mu)


def test_statistics_are_those_of_the_replicas(tables):
    # one replica at a time, each at another lane: lanes that mix, or ghosts that are counted, would show
    tables["particles"]["replicas"] = LANES + 5
    study = check(tables)
    model, room = study.model, workspace()
    mu0, sigma0 = model.mu0(x=model.sites), model.sigma0(x=model.sites)
    runs = []
    for replica in range(LANES + 5):
        streams, v = np.empty((4, LANES), np.uint64), np.zeros((LANES, width(model.balls)))
        lane = replica % 7
        start(streams, np.uint64(3), replica - lane)
        modulated_white_noise(streams, mu0, sigma0, v)
        advance(v, model.balls, streams, model.collisions[-1], *room)
        runs.append(v[lane, : model.balls])
    sample = np.array(runs)
    result = simulate(study, MPI.COMM_SELF, 1).isel(time=-1)
    assert result.mu.values == pytest.approx(sample.mean(axis=0), abs=1e-13)
    assert result.sigma.values == pytest.approx(sample.std(axis=0, ddof=1), rel=1e-12)
    local = np.sqrt(((sample[:, :-2] - 2 * sample[:, 1:-1] + sample[:, 2:]) ** 2 / 6).mean(axis=0))
    assert result.sigma_local.values[1:-1] == pytest.approx(local, rel=1e-12)
    assert np.isnan(result.sigma_local.values[[0, -1]]).all()
    assert float(result.momentum) == pytest.approx(sample.mean(), abs=1e-13)
    assert float(result.energy) == pytest.approx((sample**2).mean() / 2, rel=1e-12)


def test_at_time_zero_the_moments_are_the_data(tables):
    tables["model"]["observe"] = [0.0, 1.0]
    tables["particles"]["replicas"] = 4000
    study = check(tables)
    start_ = simulate(study, MPI.COMM_SELF, 1).isel(time=0)
    inner = slice(1, -1)  # sigma0 = 0 at the ends: no error, no difference
    for name, formula in (("mu", study.model.mu0), ("sigma", study.model.sigma0)):
        z = (start_[name].values - formula(x=study.model.sites))[inner] / start_[f"{name}_se"].values[inner]
        assert (z**2).sum() == pytest.approx(48, abs=4 * np.sqrt(2 * 48))  # chi-square, 48 sites, 4 standard errors
    z = start_.sigma_local.values[inner] - start_.sigma.values[inner]
    assert np.abs(z).max() < 0.02  # white noise has one spread; second differences of mu0 add 1e-3


def test_conservation_in_every_replica(study):
    result = simulate(study, MPI.COMM_SELF, 1)
    assert float(result.momentum_drift.max()) < 1e-14
    assert float(result.energy_drift.max()) < 1e-13


def test_the_seed_matters_and_repeats(tables):
    first, again = simulate(check(tables)), simulate(check(tables))
    assert first.mu.equals(again.mu)
    tables["particles"]["seed"] = 4
    assert not simulate(check(tables)).mu.equals(first.mu)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kernel", ["redistribute", "sorting"])
def test_replicas_one_by_one_in_tiles_are_those_in_lanes(tables, kernel, threads, monkeypatch):
    # which of the two a study gets depends on its size alone, and no number may depend on that
    tables["particles"] |= {"replicas": 40, "kernel": kernel, "block": 40}
    study = check(tables)
    lanes = simulate(study, MPI.COMM_SELF, threads)
    monkeypatch.setattr(balls, "LARGE", 5)
    tiles = simulate(study, MPI.COMM_SELF, threads)
    for name in lanes.data_vars:
        assert lanes[name].equals(tiles[name]), name


def test_few_replicas_of_many_balls_go_through_tiles(tables):
    tables["model"] |= {"balls": balls.SMALL, "end_time": 1e-8}
    model = balls.Redistribute(check(tables), None)
    streams = np.ones((4, balls.FEW + 1), np.uint64)
    assert model.begin(streams, 0, 1).tiles is None
    assert model.begin(streams[:, :-1].copy(), 0, 2).tiles is not None


def test_a_signal_in_the_last_block_of_the_pilot_is_heard(tables, monkeypatch):
    # between two ensembles nobody would listen, and the second would run for hours
    tables["particles"] |= {"replicas": 2000, "block": 64, "pilot": 32}
    study, kept = check(tables), []
    observe = balls.Pilot.observe

    def observe_and_signal(self, state, observation):
        os.kill(os.getpid(), signal.SIGTERM)
        return observe(self, state, observation)

    with monkeypatch.context() as patch:
        patch.setattr(balls.Pilot, "observe", observe_and_signal)
        with pytest.raises(Stopped, match="0 of 32 blocks of replicas are done; a checkpoint is written"):
            simulate(study, MPI.COMM_SELF, 2, Keeper(MPI.COMM_SELF, write=kept.append))
    assert [state.attrs["stage"] for state in kept] == ["pilot", "particles"]
    rest, whole = simulate(study, MPI.COMM_SELF, 2, Keeper(MPI.COMM_SELF, kept[-1])), simulate(study, MPI.COMM_SELF, 2)
    assert all(rest[name].equals(whole[name]) for name in whole.data_vars)
