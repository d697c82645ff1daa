"""The particle side: the ensemble is the same in any layout, and its numbers are those of the replicas."""

import time

import numpy as np
import pytest

from mpi4py import MPI

from kinlim.stochastic.ensemble import run_ensemble
from kinlim.stochastic.pinned import BLOCK, simulate
from kinlim.stochastic.redistribute import LANES, advance, width, workspace
from kinlim.stochastic.streams import modulated_white_noise, start
from kinlim.study import check


@pytest.mark.parallel
@pytest.mark.parametrize("threads", [1, 2])
def test_ranks_and_threads_do_not_matter(tables, threads):
    # not even by rounding: merging in another order would show at the ends, where sigma is 1e-7 of mu
    tables["particles"]["replicas"] = 7 * BLOCK + 3
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


class Blocks:
    """Statistics that remember how they were merged: a range of replicas, or two that were put together."""

    def __init__(self, history):
        self.history = history

    def merge(self, other):
        return Blocks((self.history, other.history))


@pytest.mark.parallel
@pytest.mark.parametrize("replicas", [1, 9, 10, 11, 97, 160, 250])
def test_every_replica_is_simulated_once_and_the_tree_is_fixed(replicas):
    def histories(comm, threads):
        return run_ensemble(lambda first, count, _: Blocks((first, count)), replicas, 10, comm, threads, "test").history

    def leaves(history):
        return [history] if isinstance(history[0], int) else [leaf for part in history for leaf in leaves(part)]

    tree = histories(MPI.COMM_WORLD, 3)
    assert tree == histories(MPI.COMM_SELF, 1)
    assert leaves(tree) == [(first, min(10, replicas - first)) for first in range(0, replicas, 10)]


def test_an_error_in_a_block_reaches_the_caller():
    def simulate_block(first, count, _tick):
        if first == 30:
            raise ZeroDivisionError("in block 3")
        return Blocks((first, count))

    with pytest.raises(ZeroDivisionError, match="in block 3"):
        run_ensemble(simulate_block, 100, 10, MPI.COMM_SELF, 2, "test")


def test_an_interrupt_ends_the_running_blocks():
    # a block of an hour must not be waited for: those that run give up at their next tick
    finished = []

    def simulate_block(first, count, tick):
        if first == 0:
            raise KeyboardInterrupt
        for part in range(1000):
            time.sleep(0.01)
            tick(part / 1000)
        finished.append(first)

    with pytest.raises(KeyboardInterrupt):
        run_ensemble(simulate_block, 100, 10, MPI.COMM_SELF, 2, "test")
    assert finished == []


def test_blocks_are_whole_groups():
    assert BLOCK % LANES == 0
