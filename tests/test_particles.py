"""Particles of a user's own, held to a known answer through the engine, with statistics of every kind."""

import numpy as np
import pytest
from numba import njit

from mpi4py import MPI

import kinlim
from kinlim import random, statistics
from kinlim.keeper import Keeper
from kinlim.stochastic.replicas import ParticlesMaker

N = 10


class Bar(kinlim.Physics):
    """A bar of N sites; time is counted in exchanges."""


@njit(nogil=True)
def exchange(energy, streams, count):
    """`count` times in every replica, a pair of neighbours divides its energy uniformly."""
    replicas, n = energy.shape
    for r in range(replicas):
        for _ in range(count):
            i = random.integer(streams[:, r], n - 1)
            total = energy[r, i] + energy[r, i + 1]
            energy[r, i] = total * random.uniform(streams[:, r])
            energy[r, i + 1] = total - energy[r, i]


class Energies(kinlim.Particles):
    """Kipnis, Marchioro and Presutti, "Heat flow in an exactly solvable model", J. Stat. Phys. 27 (1982)."""

    observables = {
        "energy": kinlim.Observable("energy of a site"),
        "square": kinlim.Observable("mean square energy", ()),
        "largest": kinlim.Observable("energy of a site", ()),
        "above": kinlim.Observable("sites above k", ("level",), unit="1"),
        "covariance": kinlim.Observable("energy", ("lag",)),
        "mode": kinlim.Observable("Fourier mode of the energy", ("wave", "part")),
    }
    grid = kinlim.Points(x=np.arange(N) / N)
    labels = {"lag": [1, 2, 3], "level": [1.0, 2.0], "wave": [1, 2], "part": ["cos", "sin"]}

    def begin(self, streams, first, threads):
        return np.ones((streams.shape[1], N)), streams

    def advance(self, state, observation, tick):
        exchange(*state, round(self.intervals[observation]))
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        energy, _ = state
        return {
            "energy": statistics.Moments.of(energy, 4),
            "square": (energy**2).mean(axis=1),
            "largest": statistics.Largest(np.array([energy.max()])),
            "above": statistics.Counts(np.array([(energy > level).sum() for level in (1.0, 2.0)])),
            "mode": statistics.fourier(energy, 2),
            "covariance": statistics.LaggedCovariances.of(energy, energy.mean(axis=0), 3),
        }


def simulated(comm, threads=1, replicas=20_000):
    model = kinlim.Model("bar", Bar, (kinlim.Ensembles(Energies),))
    tables = {"study": {"model": "bar", "name": "bar"}, "model": {"end_time": 2000.0, "observe": [0.005, 1.0]}}
    study = model.study.model_validate(tables | {"particles": {"replicas": replicas, "block": 500}})
    maker = ParticlesMaker(Energies, "particles")
    maker.check(study, comm)
    return maker.make(study, Keeper(comm), threads)


@pytest.mark.slow
def test_energies_become_uniform_on_those_of_one_sum():
    # then <e^2> = 2 n/(n + 1), and the variance of a site is (n - 1)/(n + 1); a biased pair would heat one end
    found = simulated(MPI.COMM_SELF, threads=2)
    last = found.isel(time=-1)
    assert float(last.square) == pytest.approx(2 * N / (N + 1), abs=4 * float(last.square_se))
    assert np.abs((last.energy - 1) / last.energy_se).max() < 5
    z = (last.energy_sd.values - np.sqrt((N - 1) / (N + 1))) / last.energy_sd_se.values
    assert np.abs(z).max() < 5
    assert np.abs(last["mode"] / last.mode_se).max() < 5
    assert float(found.energy[-1].sum()) == pytest.approx(N, rel=1e-12)
    assert float(found.square[0]) < 1.7  # after ten exchanges it is not there yet
    beyond = (1 - np.array([1.0, 2.0]) / N) ** (N - 1)  # P(e > k) on the simplex of sum N
    sites = N * found.attrs["replicas"]
    assert last.above.values / sites == pytest.approx(beyond, abs=4 * np.sqrt(1 / sites))
    assert float(last.largest) < N
    # cov(e_i, e_j) = -1/(n + 1) on the simplex, n - k pairs at lag k; each known to about 1/sqrt(replicas)
    pairs = N - last.lag.values
    assert last.covariance.values / pairs == pytest.approx(-1 / (N + 1), abs=5 / np.sqrt(sites / N))
    assert found["mode"].dims == ("time", "wave", "part")
    assert found.energy.attrs["units"] == "1"


@pytest.mark.parallel
def test_the_same_bits_on_any_ranks_and_threads():
    one = simulated(MPI.COMM_SELF, replicas=3000)
    other = simulated(MPI.COMM_WORLD, threads=2, replicas=3000)
    for name in one.data_vars:
        assert (one[name].values == other[name].values).all(), name
