"""The particle side of a pinned-ball study: ensemble statistics at the observation times, as a labelled dataset."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.parallel import default_threads, on_root
from kinlim.pinned import PinnedStudy
from kinlim.provenance import provenance
from kinlim.stochastic.ensemble import Tick, run_ensemble
from kinlim.stochastic.moments import LaggedCovariances, Moments
from kinlim.stochastic.redistribute import LANES, advance, width, workspace
from kinlim.stochastic.streams import modulated_white_noise, start
from kinlim.study import dump

Array = NDArray[np.float64]

BLOCK = 8 * LANES
"""Replicas in a block: the unit of work of a thread."""

SLICE = 10**6
"""Collisions between two ticks, about 0.2 s."""


@dataclass(frozen=True)
class PinnedStatistics:
    """What is kept of a set of replicas; leading axis of every array: observation time.

    Attributes:
        velocity: moments of v_i, shape (times, n).
        pairs: covariances of v_i and v_(i+k).
        local: moments of (v_(i-1) - 2 v_i + v_(i+1))^2/6, shape (times, n - 2).
        totals: moments of momentum and energy, shape (times, 2).
        drift: largest relative change of momentum and energy within any replica since its start, shape (times, 2).
    """

    velocity: Moments
    pairs: LaggedCovariances
    local: Moments
    totals: Moments
    drift: Array

    def merge(self, other: Self) -> Self:
        """Statistics of the union with a disjoint set of replicas."""
        return type(self)(
            self.velocity.merge(other.velocity),
            self.pairs.merge(other.pairs),
            self.local.merge(other.local),
            self.totals.merge(other.totals),
            np.maximum(self.drift, other.drift),
        )

    @classmethod
    def of(cls, snapshots: Array, totals: Array, lags: int) -> Self:
        """Summarise velocities, shape (times, replicas, n), and totals, (1 + times, replicas, 2) from time 0."""
        velocity = Moments.of(snapshots)
        local = np.empty((*snapshots.shape[:2], snapshots.shape[2] - 2))
        _second_differences(snapshots, local)
        start_ = totals[0]
        # Momentum is measured against its largest possible size at the replica's energy, sqrt(2 length energy),
        # since it may well be zero; totals are per unit length here, so that is sqrt(2 energy).
        scale = np.stack([np.sqrt(2 * start_[:, 1]), start_[:, 1]], axis=-1)
        change = np.divide(np.abs(totals[1:] - start_), scale, out=np.zeros_like(totals[1:]), where=scale > 0)
        return cls(
            velocity,
            LaggedCovariances.of(snapshots, velocity.mean, lags),
            Moments.of(local),
            Moments.of(totals[1:]),
            change.max(axis=1),
        )


def simulate(study: PinnedStudy, comm: MPI.Comm = MPI.COMM_WORLD, threads: int | None = None) -> xr.Dataset:
    """Run the ensemble of a study.

    Args:
        study: the study.
        comm: the ranks that share the replicas. Collective.
        threads: per rank; None for all cores, shared among the ranks of a machine.

    Returns:
        The same dataset on every rank, with (time, site): mu, mu_se, sigma, sigma_se, sigma_local, sigma_local_se;
        (time, lag): correlation; (time): momentum, energy and their errors and drifts.
    """
    model, settings = study.model, study.particles
    threads = default_threads(comm) if threads is None else threads
    mu0, sigma0 = model.initial(model.sites, "site")

    def block(first: int, count: int, tick: Tick) -> PinnedStatistics:
        merged: PinnedStatistics | None = None
        for g in range(0, count, LANES):
            size = min(LANES, count - g)
            group = _group(study, mu0, sigma0, first + g, size, tick.part(g / count, (g + size) / count))
            merged = group if merged is None else merged.merge(group)
        assert merged is not None
        return merged

    began = time.perf_counter()
    statistics = run_ensemble(block, settings.replicas, BLOCK, comm, threads, "particles")
    seconds = time.perf_counter() - began
    attributes = on_root(
        comm,
        lambda: provenance(
            comm.size,
            threads,
            seconds,
            study=dump(study),
            seed=str(settings.seed),  # text, since NetCDF integers end at 2^63
            collisions=model.collisions[-1] * settings.replicas,
        ),
    )
    return _dataset(study, statistics).assign_attrs(attributes)


def _group(
    study: PinnedStudy, mu0: Array, sigma0: Array, first: int, count: int, tick: Callable[[float], None]
) -> PinnedStatistics:
    """Replicas first .. first+count-1, side by side; lanes beyond `count` run along and are not looked at."""
    model = study.model
    n = model.balls
    streams = np.empty((4, LANES), np.uint64)
    v = np.zeros((LANES, width(n)))
    room = workspace()
    start(streams, np.uint64(study.particles.seed), first)
    modulated_white_noise(streams, mu0, sigma0, v)
    snapshots = np.empty((len(model.collisions), count, n))
    totals = np.empty((1 + len(model.collisions), count, 2))
    _totals(v[:count, :n], totals[0])
    done = 0
    for t, collisions in enumerate(model.collisions):
        while done < collisions:
            step = min(SLICE, collisions - done)
            advance(v, n, streams, step, *room)
            done += step
            tick(done / model.collisions[-1])
        snapshots[t] = v[:count, :n]
        _totals(snapshots[t], totals[t + 1])
    return PinnedStatistics.of(snapshots, totals, study.particles.lags)


@njit(nogil=True, cache=True)
def _second_differences(v: Array, out: Array) -> None:
    """(v[i-1] - 2 v[i] + v[i+1])^2/6, whose mean is sigma^2 for white noise on a straight mean."""
    times, replicas, n = v.shape
    for t in range(times):
        for r in range(replicas):
            for i in range(1, n - 1):
                difference = v[t, r, i - 1] - 2.0 * v[t, r, i] + v[t, r, i + 1]
                out[t, r, i - 1] = difference * difference / 6.0


@njit(nogil=True, cache=True)
def _totals(v: Array, out: Array) -> None:
    """Mean of v and of v^2/2 over the sites of every replica: momentum and energy per unit length."""
    replicas, n = v.shape
    for r in range(replicas):
        momentum = energy = 0.0
        for i in range(n):
            momentum += v[r, i]
            energy += v[r, i] * v[r, i]
        out[r, 0] = momentum / n
        out[r, 1] = energy / (2 * n)


def _dataset(study: PinnedStudy, statistics: PinnedStatistics) -> xr.Dataset:
    """Label the statistics."""
    model, velocity, length = study.model, statistics.velocity, study.model.length

    def at_sites(local: Array) -> Array:
        """Fill the two end sites, which lack a neighbour, with NaN."""
        return np.pad(local, ((0, 0), (1, 1)), constant_values=np.nan)

    sigma_local = np.sqrt(statistics.local.mean)
    local_se = np.divide(
        statistics.local.mean_se, 2 * sigma_local, out=np.zeros_like(sigma_local), where=sigma_local > 0
    )
    profile, scalar = ("time", "site"), ("time",)
    totals, totals_se = statistics.totals.mean * length, statistics.totals.mean_se * length
    return xr.Dataset(
        {
            "mu": (profile, velocity.mean, {"long_name": "ensemble mean velocity"}),
            "mu_se": (profile, velocity.mean_se, {"long_name": "standard error of mu"}),
            "sigma": (profile, velocity.spread, {"long_name": "ensemble standard deviation of the velocity"}),
            "sigma_se": (profile, velocity.spread_se, {"long_name": "standard error of sigma, from the fourth moment"}),
            "sigma_local": (
                profile, at_sites(sigma_local),
                {"long_name": "spread within a replica: root of the mean of (v[i-1] - 2 v[i] + v[i+1])^2/6"},
            ),
            "sigma_local_se": (profile, at_sites(local_se), {"long_name": "standard error of sigma_local"}),
            "correlation": (
                ("time", "lag"), statistics.pairs.correlation(velocity.variance),
                {"long_name": "ensemble correlation of v[i] and v[i+lag], sites weighted by their spread"},
            ),
            "momentum": (scalar, totals[:, 0], {"long_name": "(b-a)/n sum of v, ensemble mean"}),
            "momentum_se": (scalar, totals_se[:, 0], {"long_name": "standard error of momentum"}),
            "energy": (scalar, totals[:, 1], {"long_name": "(b-a)/n sum of v^2/2, ensemble mean"}),
            "energy_se": (scalar, totals_se[:, 1], {"long_name": "standard error of energy"}),
            "momentum_drift": (
                scalar, statistics.drift[:, 0],
                {"long_name": "largest |change| of momentum in any replica over its bound sqrt(2 (b-a) energy)"},
            ),
            "energy_drift": (
                scalar, statistics.drift[:, 1], {"long_name": "largest relative |change| of energy in any replica"}
            ),
        },
        coords={
            "time": ("time", model.times, {"long_name": "time of the equations"}),
            "fraction": ("time", np.asarray(model.observe), {"long_name": "fraction of end_time"}),
            "collisions": ("time", np.asarray(model.collisions), {"long_name": "collisions of each replica"}),
            "site": ("site", np.arange(1, model.balls + 1), {"long_name": "ball"}),
            "x": ("site", model.sites, {"long_name": "position"}),
            "lag": ("lag", np.arange(1, study.particles.lags + 1), {"long_name": "distance in sites"}),
        },
        attrs={
            "title": f"{study.study.name}: particles", "model": "pinned", "kernel": study.particles.kernel,
            "balls": model.balls, "replicas": study.particles.replicas, "particle_lambda": model.particle_lambda,
            "end_time": model.end_time,
        },
    )  # fmt: skip
