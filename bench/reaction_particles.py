"""Bias and error of reacting particles: against the kinetic system, in N, in the time step and in the cells.

    python bench/reaction_particles.py [--work 4e8] [--threads 2] [--part settings,number,fluctuations,dt,cells]

settings: at the recommended dt and cells, the densities in bins and the first mode against the kinetic system, in
    standard errors.
number: N = 250 ... 64000 with as many replicas as keep the work: error of a replica, its slope in N, and the bias.
fluctuations: how much faster a wave decays with N V = 0.5 ... 2 particles to a cell than with 32, in all dimensions.
dt, cells: how much faster the first mode of a small wave decays when dt or the cells are coarse, against what
    `KineticReaction.time_step_bias` and `cell_bias` predict.

The work is N times replicas, so that all rows take about as long and have about the same standard errors.
"""

import argparse
from math import sqrt
from typing import Any

import numpy as np
from reaction_mean_field import POINTS, MeanField

from mpi4py import MPI

from kinlim.models.reaction.profile import GaussianProfile
from kinlim.models.reaction.tables import ReactionStudy
from kinlim.stochastic.reaction import simulate
from kinlim.stochastic.reaction.fixed import UNIT
from kinlim.stochastic.reaction.profiles import sampler
from kinlim.stochastic.reaction.reacting import Rules, run
from kinlim.stochastic.reaction.supply import places
from kinlim.stochastic.streams import start
from kinlim.stochastic.vectors import LENGTH
from kinlim.study import check

WAVE = {
    "chi1": {"family": "gaussian", "covariance": 1.0},
    "chi2": {"family": "gaussian", "covariance": 0.5},
    "f0": "1.5+0.5*cos(2*pi*x)",
    "g0": "1/(1.5+0.5*cos(2*pi*x))",
    "epsilon": 0.1,
    "end_time": 0.03,
    "observe": [0.1, 0.3, 1.0],
}
EVEN = WAVE | {"chi2": WAVE["chi1"], "f0": "1+0.2*cos(2*pi*x)", "g0": "1-0.2*cos(2*pi*x)"}


def made(physics: dict[str, Any], work: float, per_unit: int, **particles: Any) -> ReactionStudy:
    """A study with so many particles in all replicas together."""
    return check(
        {
            "study": {"model": "reaction", "name": "bench"},
            "model": physics,
            "particles": {"per_unit": per_unit, "replicas": max(2, round(work / per_unit)), "bins": 16} | particles,
        }
    )  # type: ignore[return-value]


class Exact:
    """The kinetic system at the observations: the mean field with steps whose own bias is below 1e-4."""

    def __init__(self, study: ReactionStudy) -> None:
        """Solve."""
        field, before = MeanField(study.model), 0.0
        self.densities, self.mode = [], []
        for time in study.model.times:
            field.advance(time - before, study.model.epsilon**2 / 40)
            self.densities.append(np.fft.rfft(field.densities(field.h)) / POINTS)
            self.mode.append(field.mode())
            before = time

    def in_bins(self, kind: int, bins: int) -> np.ndarray:
        """Means of rho_f (0) or rho_g (1) over bins, shape (times, bins)."""
        k = np.arange(POINTS // 2 + 1)
        waves = np.array(self.densities)[:, kind] * np.where((k == 0) | (2 * k == POINTS), 1, 2) * np.sinc(k / bins)
        return np.asarray((waves @ np.exp(2j * np.pi * np.outer(k, (np.arange(bins) + 0.5) / bins))).real)


def settings(work: float, threads: int) -> None:
    """At the recommended dt and cells."""
    study = made(WAVE, work, 20_000)
    particles, exact = simulate(study, MPI.COMM_SELF, threads), Exact(study)
    about = particles.attrs
    print(f"recommended: dt = {about['dt']:.3g}, {about['cells']} cells, {about['replicas']} replicas of N = 20000")
    for kind, name in enumerate(("rho_f", "rho_g")):
        z = (particles[name].values - exact.in_bins(kind, 16)) / particles[f"{name}_se"].values
        print(f"  {name}: z rms {np.sqrt((z**2).mean()):.2f}, largest {np.abs(z).max():.2f}")
    found, error = particles["mode"].values[:, 0, 0], particles["mode_se"].values[:, 0, 0]
    print(f"  first mode of m, over the kinetic one minus 1: {found / exact.mode - 1}, se {error / exact.mode}")
    print(f"  largest change of N_A - N_B: {particles.imbalance_drift.values.max():g}")


def number(work: float, threads: int) -> None:
    """Error and bias in N."""
    rows = []
    exact = None
    for n in (250, 1000, 4000, 16_000, 64_000):
        study = made(WAVE, work, n, bias=0.002, block=max(1, 16_000 // n))
        exact = Exact(study) if exact is None else exact
        found = simulate(study, MPI.COMM_SELF, threads).isel(time=-1)
        error = float(np.sqrt((found.m_se.values**2).mean())) * sqrt(study.particles.replicas)
        gap, se = float(found["mode"][0, 0]) - exact.mode[-1], float(found["mode_se"][0, 0])
        rows.append((n, error))
        mass = float(found.mass_f) - exact.in_bins(0, 1)[-1, 0]
        print(
            f"N = {n:6d}, {n / found.attrs['cells']:7.1f} to a cell: error of m in a bin {error:.4f} a replica; "
            f"bias of mode {gap / exact.mode[-1]:+.4f} ± {se / exact.mode[-1]:.4f}, "
            f"of mass_f {mass:+.5f} ± {float(found.mass_f_se):.5f}",
            flush=True,
        )
    n, error = np.log(np.array(rows)).T
    print(f"slope of the error in N: {np.polyfit(n, error, 1)[0]:.3f}")


def decay(study: ReactionStudy, threads: int) -> tuple[float, float]:
    """Rate at which the first mode decays between the first and the last observation, and its standard error."""
    found = simulate(study, MPI.COMM_SELF, threads).isel(axis=0, part=0)
    amplitude, error, t = found["mode"].values, found["mode_se"].values, found.time.values
    length = t[-1] - t[0]
    return -np.log(amplitude[-1] / amplitude[0]) / length, np.hypot(*(error / amplitude)[[0, -1]]) / length


def wave(d: int, per_unit: int, work: float, epsilon: float, cells: int) -> tuple[float, float]:
    """Exponent of the decay of a wave of 0.3 in m between 8 and 40 steps of epsilon^2/4, and its standard error."""
    chi = sampler(GaussianProfile(family="gaussian"), d)
    stream, rng = np.empty((4, 1), np.uint64), np.random.default_rng(per_unit)
    start(stream, np.uint64(per_unit), 0)
    words = places(stream[:, 0], LENGTH + 1)
    lanes, rare = np.ascontiguousarray(words[:, :LENGTH]), np.ascontiguousarray(words[:, LENGTH:])
    rules = Rules.of((chi, chi), d, cells, per_unit, epsilon, epsilon**2 / 4)
    found = []
    for _ in range(max(4, round(work / per_unit))):
        kinds = []
        for sign in (1, -1):
            pos = rng.integers(0, 2**32, (d, rng.poisson(1.3 * per_unit)), np.uint32)
            stays = rng.random(pos.shape[1]) * 1.3 < 1 + sign * 0.3 * np.cos(2 * np.pi * UNIT * pos[0])
            pos = np.ascontiguousarray(pos[:, stays])
            kinds.append((pos, rng.standard_normal(pos.shape, np.float32), pos.shape[1]))
        amplitudes = []
        for steps in (8, 32):
            *kinds, _ = run(*kinds, steps, *rules.arguments, lanes, rare, np.zeros(2, np.int64))
            sums = [np.cos(2 * np.pi * UNIT * pos[0, :count]).sum() for pos, _, count in kinds]
            amplitudes.append(2 / per_unit * (sums[0] - sums[1]))
        found.append(amplitudes)
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / sqrt(len(found))
    return float(np.log(mean[0] / mean[1])), float(np.hypot(*(error / mean)))


def fluctuations(d: int, work: float) -> None:
    """Excess of the decay when there are few particles in a cell: as wide as epsilon/2, or epsilon/4 in dimension 1."""
    epsilon = 0.05
    for cells in (40, 80) if d == 1 else (40,):
        reference, spread = wave(d, 32 * cells**d, work, epsilon, cells)
        for held in (0.5, 1, 2):
            exponent, error = wave(d, round(held * cells**d), work, epsilon, cells)
            ratio, error = exponent / reference, np.hypot(error / exponent, spread / reference)
            print(
                f"dimension {d}, h = {1 / cells / epsilon:g} epsilon, N V = {held:g}: excess {ratio - 1:+.4f} ± "
                f"{error:.4f}, times N V {held * (ratio - 1):+.4f} ± {held * error:.4f}",
                flush=True,
            )


def coarse(work: float, threads: int, key: str, values: list[tuple[float, int]]) -> None:
    """Decay with coarse dt or cells over that with fine ones."""
    physics = EVEN | {"end_time": 0.04, "observe": [0.25, 1.0]}
    reference, spread = None, 0.0
    for dt, cells in values:
        study = made(physics, work, 20_000, dt=dt, cells=cells, bias=1.0)
        rate, error = decay(study, threads)
        predicted = study.model.time_step_bias(dt) if key == "dt" else study.model.cell_bias(1 / cells)
        reference, spread = (rate, error) if reference is None else (reference, spread)
        print(
            f"{key}: dt = {dt:.4g}, {cells:3d} cells: decay {rate:.4f}, over the finest {rate / reference - 1:+.4f} ± "
            f"{np.hypot(error, spread) / reference:.4f}, predicted at most {predicted:+.4f}",
            flush=True,
        )


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=float, default=4e8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--part", default="settings,number,fluctuations,dt,cells")
    options = parser.parse_args()
    parts = options.part.split(",")
    if "settings" in parts:
        settings(options.work, options.threads)
    if "number" in parts:
        number(options.work, options.threads)
    if "fluctuations" in parts:
        for d in (1, 2, 3):
            fluctuations(d, options.work)
    if "dt" in parts:
        coarse(options.work, options.threads, "dt", [(0.001, 80), (0.005, 80), (0.01, 80), (0.02, 80)])
    if "cells" in parts:
        coarse(options.work, options.threads, "cells", [(0.001, 80), (0.001, 20), (0.001, 10), (0.001, 5)])


if __name__ == "__main__":
    main()
