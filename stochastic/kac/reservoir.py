"""Kac particles as the framework wants them: a system with its reservoir, beside the same system with a thermostat.

Coupled, the second system has the mirror of a reservoir for its thermostat (`collisions`): both have
the same clocks, pairs and Omega, and start from the same velocities, so that they differ by nothing but what the
reservoir remembers of the system. Apart, they share nothing, and the second system has no reservoir.
"""

import threading
from dataclasses import dataclass
from functools import cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.base import Study, narrowed
from kinlim.models.kac.law import SCALE
from kinlim.models.kac.tables import KacParticles, KacStudy
from kinlim.particles import Observable, Particles, Tick
from kinlim.stochastic import jump
from kinlim.stochastic.kac import collisions
from kinlim.stochastic.kac.collisions import Clocks
from kinlim.stochastic.kac.initial import Start
from kinlim.stochastic.kac.observables import Sums, evaluate
from kinlim.stochastic.poisson import poisson
from kinlim.stochastic.statistic import Counts, Largest, Statistic

Array = NDArray[np.float64]
Streams = NDArray[np.uint64]

SLICE = 2 * 10**7
"""Collisions between two ticks, about 0.1 s."""

APART = 2**128
"""Words between two streams of a replica, more than will ever be drawn."""


@dataclass
class Block:
    """A block of replicas.

    Attributes:
        v: velocities of system and reservoir.
        other: of the second system, and of the mirror of its reservoir if it has one.
        streams: three streams to each replica, shape (3, 4, replicas): of the first system and all that the second
            shares with it, of the second, and of the components that the thermostat gives it.
        start: momentum and energy of system and reservoir at the beginning, shape (replicas, 4).
        events: collisions so far, of the first and the second system.
    """

    v: Array
    other: Array
    streams: Streams
    start: Array
    events: NDArray[np.int64]


GROUPS = ("system", "reservoir", "thermostatted")
"""The system that has a reservoir, its reservoir, and the system that has a thermostat."""

OBSERVED = {
    "reservoir": Observable("mean of a function, with a reservoir", ("function",)),
    "thermostat": Observable("mean of a function, with a thermostat", ("own",)),
    "velocity": Observable("mean velocity of a particle", ("group", "axis")),
    "energy": Observable("mean energy of a particle, 1 in equilibrium", ("group",)),
    "momentum_drift": Observable("relative change of momentum since time 0 in a replica", ()),
    "energy_drift": Observable("relative change of energy since time 0 in a replica", ()),
    "collisions": Observable("collisions", ("kind",)),
}

COUPLED = {
    "difference": Observable("reservoir minus thermostat", ("function",)),
    "together": Observable("fraction of particles that are the same in both systems", ()),
}


class KacSystems(Particles[Block]):
    """A system with a reservoir beside one with a thermostat.

    Functions are the orthonormal symmetric Hermite functions of degree 1 and 2 (`kinlim.models.kac.symmetric`).
    """

    study: KacStudy
    model: KacParticles

    def __init__(self, study: Study) -> None:
        """Find the rates, and the functions to observe."""
        self.study = study = narrowed(study, KacStudy)
        self.model = model = study.model
        self.system, self.reservoir, self.coupled = model.system, model.reservoir, study.particles.coupled
        self.steps = self.intervals
        self.initial = Start(model.h0, model.system)
        within, mixed, beyond = model.rates
        self.clocks = Clocks(model.system, model.reservoir, (within, mixed, beyond))
        self.alone = Clocks(model.system, 0, (within, mixed, 0.0))
        self.joint, self.own = model.functions, model.own_functions
        self.common = [self.joint.index(label) for label in self.own]
        self.rooms = threading.local()
        self.observables = OBSERVED | (COUPLED if self.coupled else {})
        self.labels = {
            "function": [str(label) for label in self.joint], "own": [str(label) for label in self.own],
            "group": list(GROUPS), "axis": list("xyz"), "kind": ["reservoir", "thermostat"],
        }  # fmt: skip

    def finish(self, dataset: xr.Dataset) -> xr.Dataset:
        """Settings, mean numbers of collisions, and the difference of independent systems.

        In equilibrium, and independent of the system, every function with a factor of the reservoir has mean 0.
        """
        physics, settings = self.study.model, self.study.particles
        total = int(dataset.collisions[-1].sum())
        dataset["collisions"] = (dataset.collisions / settings.replicas).assign_attrs(
            long_name="mean number of collisions of a replica"
        )
        if not self.coupled:
            both, error = dataset["reservoir"].copy(), dataset["reservoir_se"].copy()
            both[:, self.common] -= dataset["thermostat"].to_numpy()
            error[:, self.common] = np.hypot(error[:, self.common], dataset["thermostat_se"].to_numpy())
            dataset["difference"] = both.assign_attrs(long_name="reservoir minus thermostat")
            dataset["difference_se"] = error.assign_attrs(long_name="standard error: reservoir minus thermostat")
        return dataset.assign_attrs(
            system=physics.system, reservoir=physics.reservoir, coupled=int(self.coupled), end_time=physics.end_time,
            collisions=total,
        )  # fmt: skip

    def begin(self, streams: Streams, first: int, threads: int) -> Block:
        """h0 for the system, equilibrium for the reservoir; the second system is the same, or has a draw of its own."""
        count, particles = streams.shape[1], self.system + self.reservoir
        states = np.stack([streams] * 3)
        for k in (1, 2):
            jump.jump(states[k - 1].copy(), far_ahead(), states[k])
        v = self._room("v", count, particles)
        self.initial.draw(collisions.components(v, particles), states[0])
        if self.coupled:
            other = self._room("other", count, particles)
            other[:] = v
        else:
            other = self._room("other", count, self.system)
            self.initial.draw(collisions.components(other, self.system), states[1])
        return Block(v, other, states, self._totals(v), np.zeros(2, np.int64))

    def _room(self, name: str, replicas: int, particles: int) -> Array:
        """The calling thread's velocities of that name, which serve one block after another: new memory costs time."""
        room: Array | None = getattr(self.rooms, name, None)
        if room is None or len(room) != replicas:
            room = collisions.velocities(replicas, particles)
            setattr(self.rooms, name, room)
        return room

    def advance(self, state: Block, observation: int, tick: Tick) -> None:
        """Let all clocks ring until the time of the observation."""
        first = self._rings(state.streams[0], self.clocks, observation)
        second = first if self.coupled else self._rings(state.streams[1], self.alone, observation)
        state.events += first.sum(), second.sum()
        step, most = max(1, SLICE // len(state.v)), max(int(first.max()), int(second.max()))
        for done in range(0, most, step):
            now, then = np.clip(first - done, 0, step), np.clip(second - done, 0, step)
            if self.coupled:
                state.streams[1] = state.streams[0]
            self._collide(state.v, self.clocks, state.streams[0], now, state.streams[2], mirror=False)
            clocks = self.clocks if self.coupled else self.alone
            self._collide(state.other, clocks, state.streams[1], then, state.streams[2], mirror=True)
            tick((observation + min(1.0, (done + step) / most)) / self.observations)

    def _rings(self, streams: Streams, clocks: Clocks, observation: int) -> NDArray[np.int64]:
        """How many clocks ring until the observation, replica by replica: Poisson's law."""
        rings = np.zeros(streams.shape[1], np.int64)
        poisson(streams, clocks.total * self.steps[observation], rings)
        return rings

    def _collide(
        self, v: Array, clocks: Clocks, streams: Streams, events: NDArray[np.int64], fresh: Streams, *, mirror: bool
    ) -> None:
        """The kernel; a system without reservoir has a thermostat."""
        M, N, below = clocks.system, clocks.reservoir, clocks.below
        if N:
            collisions.advance(v, M, N, below, streams, events, mirror, SCALE, fresh)
        else:
            collisions.advance_alone(v, M, below, streams, events, SCALE, fresh)

    def observe(self, state: Block, observation: int) -> dict[str, Array | Statistic]:
        """Of both systems, replica by replica.

        reservoir: all symmetric Hermite functions of degree 1 and 2 of the first system and its reservoir.
        thermostat: those of the second system alone.
        difference: the first minus the same functions of the second with its mirror, where they are coupled; the mirror
            is in equilibrium whatever the system does, so what has a factor of it has mean 0 there.
        together: the fraction of particles that have the same velocity in both, to the last bit.
        velocity, energy: of a particle of the first system, of its reservoir and of the second system.
        collisions: since the beginning, of the first and of the second system, of all replicas.
        momentum_drift, energy_drift: largest change of the first system with its reservoir, relative to the root of the
            energy times the number of particles, and to the energy.
        """
        m, all_ = self.system, self.system + self.reservoir
        first, beyond = Sums(state.v, 0, m, SCALE), Sums(state.v, m, all_, SCALE)
        second, mirror = Sums(state.other, 0, m, SCALE), Sums(state.other, m, all_ if self.coupled else m, SCALE)
        joint = evaluate(self.joint, first, beyond)
        twin = evaluate(self.joint if self.coupled else self.own, second, mirror)
        groups = (first, beyond, second)
        before, now = state.start, self._totals(state.v)
        size = np.sqrt(all_ * before[:, 3:])
        drift = np.abs(now - before) / np.concatenate([size, size, size, before[:, 3:]], axis=1)
        found: dict[str, Array | Statistic] = {
            "reservoir": joint,
            "thermostat": np.ascontiguousarray(twin[:, self.common]) if self.coupled else twin,
            "velocity": np.stack([SCALE * group.first / group.count for group in groups], axis=1),
            "energy": np.stack([group.energy for group in groups], axis=1),
            "collisions": Counts(state.events.copy()),
            "momentum_drift": Largest(np.array([drift[:, :3].max()])),
            "energy_drift": Largest(np.array([drift[:, 3].max()])),
        }
        if self.coupled:
            v, other = (collisions.components(each, m) for each in (state.v, state.other))
            found |= {"difference": joint - twin, "together": (v == other).all(axis=2).mean(axis=1)}
        return found

    def _totals(self, v: Array) -> Array:
        """Momentum and twice the energy of a system with its reservoir, shape (replicas, 4)."""
        sums = Sums(v, 0, self.system + self.reservoir, 1.0)
        return np.concatenate([sums.first, 3 * sums.count * sums.energy[:, None]], axis=1)


@cache
def far_ahead() -> NDArray[np.uint64]:
    """What `kinlim.stochastic.jump.jump` needs to reach the next stream of a replica."""
    return jump.polynomial(APART)
