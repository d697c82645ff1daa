"""Kac particles as a model of the engine: a system with its reservoir, beside the same system with a thermostat.

Coupled, the second system has the mirror of a reservoir for its thermostat (`kinlim.stochastic.collisions`): both have
the same clocks, pairs and Omega, and start from the same velocities, so that they differ by nothing but what the
reservoir remembers of the system. Apart, they share nothing, and the second system has no reservoir.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kinlim.kac import KacStudy
from kinlim.law import SCALE
from kinlim.stochastic import collisions, jump
from kinlim.stochastic.collisions import Clocks
from kinlim.stochastic.initial import Start
from kinlim.stochastic.model import Tick
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.observables import Sums, evaluate
from kinlim.stochastic.poisson import poisson
from kinlim.stochastic.statistic import Counts, Largest, Statistic, Statistics

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
        count: replicas; arrays may have more rows, which only fill lanes.
        v: velocities of system and reservoir.
        other: of the second system, and of the mirror of its reservoir if it has one.
        streams: three streams to each replica, shape (3, 4, rows): of the first system and all that the second shares
            with it, of the second, and of the components that the thermostat gives it.
        start: momentum and energy of system and reservoir at the beginning, shape (count, 4).
        events: collisions so far, of the first and the second system.
    """

    count: int
    v: Array
    other: Array
    streams: Streams
    start: Array
    events: NDArray[np.int64]


class KacSystems:
    """What the engine simulates."""

    def __init__(self, study: KacStudy) -> None:
        """Find the rates, and the functions to observe."""
        model = study.model
        self.system, self.reservoir, self.coupled = model.system, model.reservoir, study.particles.coupled
        self.steps = np.diff(model.times, prepend=0.0)
        self.initial = Start(model.h0, model.system)
        within, mixed, beyond = model.rates
        self.clocks = Clocks(model.system, model.reservoir, (within, mixed, beyond))
        self.alone = Clocks(model.system, 0, (within, mixed, 0.0))
        self.joint, self.own = model.functions, model.own_functions

    @property
    def observations(self) -> int:
        """Number of observation times."""
        return len(self.steps)

    def begin(self, streams: Streams, first: int, threads: int) -> Block:
        """h0 for the system, equilibrium for the reservoir; the second system is the same, or as random as the first."""
        count, particles = streams.shape[1], self.system + self.reservoir
        states = np.zeros((3, 4, collisions.rows(count)), np.uint64)
        states[0, :, :count] = streams
        for k in (1, 2):
            jump.jump(states[k - 1].copy(), far_ahead(), states[k])
        v = collisions.velocities(states.shape[2], particles)
        self.initial.draw(collisions.components(v, particles)[:count], states[0])
        if self.coupled:
            other = v.copy()
        else:
            other = collisions.velocities(states.shape[2], self.system)
            self.initial.draw(collisions.components(other, self.system)[:count], states[1])
        return Block(count, v, other, states, self._totals(v[:count]), np.zeros(2, np.int64))

    def advance(self, state: Block, observation: int, tick: Tick) -> None:
        """Let all clocks ring until the time of the observation."""
        first, second = self._rings(state.streams[0], state, self.clocks, observation), None
        if not self.coupled:
            second = self._rings(state.streams[1], state, self.alone, observation)
        state.events += first.sum(), (first if second is None else second).sum()
        step, done = max(1, SLICE // len(state.v)), 0
        most = max(int(first.max()), 0 if second is None else int(second.max()))
        while done < most:
            now = np.clip(first - done, 0, step)
            if second is None:
                shared = state.streams[0].copy()
                self._collide(state.v, self.clocks, state.streams[0], now)
                self._collide(state.other, self.clocks, shared, now, state.streams[2])
            else:
                self._collide(state.v, self.clocks, state.streams[0], now)
                self._collide(state.other, self.alone, state.streams[1], np.clip(second - done, 0, step), state.streams[2])
            done += step
            tick((observation + min(1.0, done / most)) / self.observations)

    def _rings(self, streams: Streams, state: Block, clocks: Clocks, observation: int) -> NDArray[np.int64]:
        """How many clocks ring until the observation, replica by replica: Poisson's law."""
        rings = np.zeros(streams.shape[1], np.int64)
        poisson(streams, clocks.total * self.steps[observation], rings[: state.count])
        return rings

    def _collide(
        self, v: Array, clocks: Clocks, streams: Streams, events: NDArray[np.int64], fresh: Streams | None = None
    ) -> None:
        """The kernel; with `fresh`, for the thermostat."""
        if clocks.reservoir:
            collisions.advance(
                v, clocks.system, clocks.reservoir, clocks.below, streams, events, fresh is not None, SCALE,
                np.zeros_like(streams) if fresh is None else fresh,
            )  # fmt: skip
        else:
            collisions.advance_alone(v, clocks.system, clocks.below, streams, events, SCALE, fresh)

    def observe(self, state: Block, observation: int) -> Statistics:
        """Statistics of both systems.

        reservoir: `Moments` of all symmetric Hermite functions of degree 1 and 2 of the first system and its reservoir.
        thermostat: `Moments` of those of the second system alone.
        difference: `Moments` of the first minus the second, where they are coupled.
        together: `Moments` of the fraction of particles that have the same velocity in both, to the last bit.
        means: `Moments` of velocity (3) and energy (1 in equilibrium) of a particle of the first system, of its reservoir
            and of the second system, shape (12,).
        events: `Counts` of collisions since the beginning, of the first and of the second system.
        drift: `Largest` change of momentum and energy of the first system with its reservoir, relative to the root of
            the energy times the number of particles, and to the energy.
        """
        m, count = self.system, state.count
        v = collisions.components(state.v, m + self.reservoir)[:count]
        other = collisions.components(state.other, m + self.reservoir if self.coupled else m)[:count, :m]
        first, beyond, second = Sums(v[:, :m], SCALE), Sums(v[:, m:], SCALE), Sums(other, SCALE)
        joint, own = evaluate(self.joint, first, beyond), evaluate(self.own, second, Sums(other[:, :0], SCALE))
        statistics: dict[str, Statistic] = {
            "reservoir": Moments.of(joint, 2),
            "thermostat": Moments.of(own, 2),
            "means": Moments.of(
                np.concatenate(
                    [
                        np.concatenate([SCALE * group.first / group.count, group.energy[:, None]], axis=1)
                        for group in (first, beyond, second)
                    ],
                    axis=1,
                ),
                2,
            ),
            "events": Counts(state.events.copy()),
        }
        before, now = state.start, self._totals(state.v[:count])
        size = np.sqrt((m + self.reservoir) * before[:, 3:])
        drift = np.abs(now - before) / np.concatenate([size, size, size, before[:, 3:]], axis=1)
        statistics["drift"] = Largest(np.array([drift[:, :3].max(), drift[:, 3].max()]))
        if self.coupled:
            common = joint[:, [self.joint.index(label) for label in self.own]]
            same = (v[:, :m] == other).all(axis=2).mean(axis=1, keepdims=True)
            statistics |= {"difference": Moments.of(common - own, 2), "together": Moments.of(same, 2)}
        return statistics

    def _totals(self, v: Array) -> Array:
        """Momentum and twice the energy of a system with its reservoir, shape (replicas, 4)."""
        sums = Sums(collisions.components(v, self.system + self.reservoir), 1.0)
        return np.concatenate([sums.first, 3 * sums.count * sums.energy[:, None]], axis=1)


@cache
def far_ahead() -> NDArray[np.uint64]:
    """What `kinlim.stochastic.jump.jump` needs to reach the next stream of a replica."""
    return jump.polynomial(APART)
