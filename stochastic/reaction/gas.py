"""Reacting particles as a model of the engine: replicas of A and B on the torus, and what is seen of them."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.errors import RunError
from kinlim.models.reaction.tables import ReactionStudy
from kinlim.stochastic.model import Tick
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.reaction.fixed import UNIT, Words32, locate
from kinlim.stochastic.reaction.profiles import sampler
from kinlim.stochastic.reaction.reacting import Kind, Rules, run
from kinlim.stochastic.reaction.scattering import scatter
from kinlim.stochastic.reaction.sift import CHUNK
from kinlim.stochastic.reaction.supply import Words, places
from kinlim.stochastic.statistic import Largest, Statistics
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


class ReactingGas:
    """What the engine simulates.

    Attributes:
        dimension: d.
        bins: along each axis, for densities.
        steps: between two observations, and from the beginning to the first one.
        dt: of these steps; 0 where there are none.
    """

    def __init__(self, study: ReactionStudy) -> None:
        """Fit steps to the observations and make tables."""
        model, settings = study.model, study.particles
        self.model, self.per_unit, self.bins = model, settings.per_unit, settings.bins
        self.dimension = d = model.dimension
        intervals = np.diff(model.times, prepend=0.0)
        self.steps = [math.ceil(length / study.dt * (1 - 1e-12)) for length in intervals]
        self.dt = [length / count if count else 0.0 for length, count in zip(intervals, self.steps, strict=True)]
        self.profiles = sampler(model.chi1, d), sampler(model.chi2, d)
        self.rules = [
            Rules.of(self.profiles, d, study.cells, self.per_unit, model.epsilon, dt) if dt else None for dt in self.dt
        ]

    @property
    def observations(self) -> int:
        """Number of observation times."""
        return len(self.steps)

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

    def observe(self, state: list[Replica], observation: int) -> Statistics:
        """Statistics of the replicas.

        densities: `Moments` of rho_f, rho_g, rho_f - rho_g and n_A n_B/(N V)^2 in the bins, shape (4 bins^d,).
        modes: `Moments` of twice the means of cos 2 pi x_i and sin 2 pi x_i, those of A minus those of B, shape (2 d,).
        totals: `Moments` of the masses of A and B, their difference, pairs created and destroyed since the beginning
            and the number of particles, shape (6,).
        drift: `Largest` change of (number of A) - (number of B) since the beginning.
        """
        densities, modes, totals = [], [], []
        for replica in state:
            (a, waves_a), (b, waves_b) = (observe(*kind, self.bins) for kind in replica.kinds)
            f, g = (number * (self.bins**self.dimension / self.per_unit) for number in (a, b))
            densities.append(np.concatenate([f, g, f - g, f * g]))
            modes.append((waves_a - waves_b) * (2 / self.per_unit))
            n_a, n_b = (kind[2] for kind in replica.kinds)
            replica.drift = max(replica.drift, abs(n_a - n_b - replica.excess))
            masses = n_a / self.per_unit, n_b / self.per_unit, (n_a - n_b) / self.per_unit
            totals.append([*masses, *replica.events.astype(np.float64), float(n_a + n_b)])
        return {
            "densities": Moments.of(np.array(densities), 2),
            "modes": Moments.of(np.array(modes), 2),
            "totals": Moments.of(np.array(totals), 2),
            "drift": Largest(np.array([float(max(replica.drift for replica in state))])),
        }


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
