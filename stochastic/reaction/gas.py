"""Reacting particles as the framework wants them: replicas of A and B on the torus, and what is seen of them."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from kinlim.base import Study, narrowed
from kinlim.errors import RunError
from kinlim.grid import Bins
from kinlim.models.reaction.phase import POSITIONS
from kinlim.models.reaction.tables import KineticReaction, ReactionStudy
from kinlim.particles import Observable, Particles, Tick
from kinlim.stochastic.reaction.fixed import UNIT, Words32, locate
from kinlim.stochastic.reaction.profiles import sampler
from kinlim.stochastic.reaction.reacting import Kind, Rules, run
from kinlim.stochastic.reaction.scattering import scatter
from kinlim.stochastic.reaction.sift import CHUNK
from kinlim.stochastic.reaction.supply import Words, places
from kinlim.stochastic.statistic import Largest, Statistic
from kinlim.stochastic.vectors import LENGTH

Array = NDArray[np.float64]

SLICE = 10**7
"""Steps of single particles between two ticks, about 0.2 s."""

FEWEST = 8
"""Steps between two ticks at least, since each slice begins and ends with half a flight."""


@dataclass
class Replica:
    """One replica.

    Attributes:
        kinds: A and B.
        lanes: where words come from, see `kinlim.stochastic.reaction.supply`.
        rare: where those for large Poisson numbers come from.
        excess: A more than B, at the beginning.
        events: pairs created and destroyed since.
        drift: largest change of the excess since, in any observation.
    """

    kinds: tuple[Kind, Kind]
    lanes: Words
    rare: Words
    excess: int
    events: NDArray[np.int64]
    drift: int = 0


OBSERVED = {
    "rho_f": Observable("mass of A per unit volume"),
    "rho_g": Observable("mass of B per unit volume"),
    "m": Observable("rho_f - rho_g"),
    "product": Observable("(number of A) (number of B) in a bin over the square of the number that makes density one"),
    "mode": Observable("amplitude in m", ("axis", "part")),
    "mass_f": Observable("mass of A", ()),
    "mass_g": Observable("mass of B", ()),
    "mass_difference": Observable("mass of A minus mass of B", ()),
    "created": Observable("pairs created in a replica since time 0", ()),
    "destroyed": Observable("pairs destroyed in a replica since time 0", ()),
    "particles": Observable("particles in a replica", ()),
    "imbalance_drift": Observable("change of (number of A) - (number of B) since time 0 in a replica", ()),
}


class ReactingGas(Particles[list[Replica]]):
    """Replicas of A and B on the torus, and their densities in bins.

    Attributes:
        dimension: d.
        bins: along each axis, for densities.
        steps: between two observations, and from the beginning to the first one.
        dt: of these steps; 0 where there are none.
    """

    observables = OBSERVED
    study: ReactionStudy
    model: KineticReaction

    def __init__(self, study: Study) -> None:
        """Fit steps to the observations and make tables."""
        self.study = study = narrowed(study, ReactionStudy)
        model, settings = study.model, study.particles
        self.model, self.per_unit, self.bins = model, settings.per_unit, settings.bins
        self.dimension = d = model.dimension
        self.steps = [math.ceil(length / study.dt * (1 - 1e-12)) for length in self.intervals]
        self.dt = [length / count if count else 0.0 for length, count in zip(self.intervals, self.steps, strict=True)]
        self.profiles = sampler(model.chi1, d), sampler(model.chi2, d)
        self.rules = [
            Rules.of(self.profiles, d, study.cells, self.per_unit, model.epsilon, dt) if dt else None for dt in self.dt
        ]
        axes = POSITIONS[:d]
        self.grid = Bins(**dict.fromkeys(axes, np.arange(self.bins + 1) / self.bins))
        self.labels = {"axis": list(axes), "part": ["cos", "sin"]}

    def finish(self, dataset: xr.Dataset) -> xr.Dataset:
        """Settings, predicted biases and the number of events."""
        study, dt = self.study, max(self.dt)
        physics, settings = study.model, study.particles
        events = settings.replicas * (float(dataset.created[-1]) + float(dataset.destroyed[-1]))
        return dataset.assign_attrs(
            dimension=self.dimension, epsilon=physics.epsilon, per_unit=self.per_unit, dt=dt, steps=sum(self.steps),
            cells=study.cells, bins=self.bins, bias_dt=physics.time_step_bias(dt) if dt else 0.0,
            bias_cells=physics.cell_bias(1 / study.cells),
            bias_number=physics.number_bias(settings.per_unit, 1 / study.cells), end_time=physics.end_time,
            collisions=round(events),
        )  # fmt: skip

    def begin(self, streams: Words, first: int, threads: int) -> list[Replica]:
        """Poisson processes that have the initial data as their means."""
        lo, hi = self.model.data_bounds
        replicas = []
        for stream in streams.T:
            found = places(stream, LENGTH + 1)
            lanes, rare = np.ascontiguousarray(found[:, :LENGTH]), np.ascontiguousarray(found[:, LENGTH:])
            one = scatter(self.model.f0, "f0", hi, self.profiles[0], self.per_unit, lanes, rare)
            other = scatter(self.model.g0, "g0", 1 / lo, self.profiles[1], self.per_unit, lanes, rare)
            replicas.append(Replica((one, other), lanes, rare, one[2] - other[2], np.zeros(2, np.int64)))
        return replicas

    def advance(self, state: list[Replica], observation: int, tick: Tick) -> None:
        """Let time pass until the observation, in whole steps."""
        rules, steps = self.rules[observation], self.steps[observation]
        if rules is None:
            return
        for k, replica in enumerate(state):
            done = 0
            while done < steps:
                count = max(FEWEST, SLICE // max(1, sum(kind[2] for kind in replica.kinds)))
                count = steps - done if steps - done < 2 * count else count
                one, other, well = run(
                    *replica.kinds, count, *rules.arguments, replica.lanes, replica.rare, replica.events
                )
                if not well:
                    raise RunError(
                        f"more than {rules.capacity} that live were made in a step, which never happens by chance"
                    )
                replica.kinds, done = (one, other), done + count
                tick((observation + (k + done / steps) / len(state)) / self.observations)

    def observe(self, state: list[Replica], observation: int) -> dict[str, Array | Statistic]:
        """Of each replica rho_f, rho_g, m and n_A n_B/(N V)^2 in the bins, the amplitudes of cos 2 pi x_i and
        sin 2 pi x_i in m, masses, pairs created and destroyed, and how many particles there are.
        """  # noqa: D205 - one sentence
        samples: dict[str, list[Any]] = {name: [] for name in OBSERVED if name != "imbalance_drift"}
        shape = (self.bins,) * self.dimension
        for replica in state:
            (a, waves_a), (b, waves_b) = (observe(*kind, self.bins) for kind in replica.kinds)
            f, g = (number * (self.bins**self.dimension / self.per_unit) for number in (a, b))
            n_a, n_b = (kind[2] for kind in replica.kinds)
            replica.drift = max(replica.drift, abs(n_a - n_b - replica.excess))
            created, destroyed = replica.events.astype(np.float64)
            found = {
                "rho_f": f.reshape(shape), "rho_g": g.reshape(shape), "m": (f - g).reshape(shape),
                "product": (f * g).reshape(shape),
                "mode": ((waves_a - waves_b) * (2 / self.per_unit)).reshape(self.dimension, 2),
                "mass_f": n_a / self.per_unit, "mass_g": n_b / self.per_unit,
                "mass_difference": (n_a - n_b) / self.per_unit, "created": created, "destroyed": destroyed,
                "particles": float(n_a + n_b),
            }  # fmt: skip
            for name, value in found.items():
                samples[name].append(value)
        drift = Largest(np.array([float(max(replica.drift for replica in state))]))
        return {**{name: np.array(values) for name, values in samples.items()}, "imbalance_drift": drift}


@njit(nogil=True, cache=True, error_model="numpy")
def observe(pos: Words32, vel: NDArray[np.float32], number: int, bins: int) -> tuple[Array, Array]:
    """Particles of a kind in each bin, the last axis fastest, and sums of cos 2 pi x_i and sin 2 pi x_i, in turn."""
    d = pos.shape[0]
    found, waves, none = np.zeros(bins**d), np.zeros(2 * d), np.zeros(d, np.uint32)
    where = np.empty(CHUNK, np.uint32)
    for begin in range(0, number, CHUNK):
        end = min(begin + CHUNK, number)
        locate(pos, begin, end, none, bins, where)
        for i in range(end - begin):
            found[where[i]] += 1.0
        for axis in range(d):
            for i in range(begin, end):
                angle = 2 * math.pi * UNIT * np.float64(pos[axis, i])
                waves[2 * axis] += math.cos(angle)
                waves[2 * axis + 1] += math.sin(angle)
    return found, waves
