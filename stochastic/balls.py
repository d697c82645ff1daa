"""The pinned balls as models of the engine: one initial sampler, two kernels, and what is observed of both.

Source: Burdzy, Hoskins and Steinerberger, Sections 2 and 3.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.pinned import PinnedStudy
from kinlim.stochastic import redistribute, sorting, white_noise
from kinlim.stochastic.correlations import LaggedCovariances
from kinlim.stochastic.model import Tick
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.statistic import Counts, Kept, Largest, Statistic, Statistics
from kinlim.stochastic.streams import modulated_white_noise
from kinlim.stochastic.white_noise import Frame

Array = NDArray[np.float64]

SLICE = 3 * 10**7
"""Collisions between two ticks, about 0.2 s."""


@dataclass
class Velocities:
    """A block of replicas.

    Attributes:
        v: velocities, shape (replicas, width), of which the first n columns count.
        streams: shape (4, replicas).
        first: the replica of the first row.
        start: momentum and energy per ball at the beginning, shape (replicas, 2).
        done: collisions that each has been through.
        room: the kernel's workspace.
    """

    v: Array
    streams: NDArray[np.uint64]
    first: int
    start: Array
    done: int = 0
    room: tuple[NDArray[Any], ...] = ()


class Balls:
    """What the two kernels share: initial data, and the observables of velocities.

    Attributes:
        study: the study.
        frame: in which W is measured; None to observe nothing of W.
        lanes: replicas that the kernel advances side by side.
    """

    lanes = redistribute.LANES

    def __init__(self, study: PinnedStudy, frame: Frame | None) -> None:
        """Evaluate the initial data."""
        self.study, self.frame, self.n = study, frame, study.model.balls
        self.mu0, self.sigma0 = study.model.initial(study.model.sites, "site")

    @property
    def observations(self) -> int:
        """Number of observation times."""
        return len(self.study.model.observe)

    def begin(self, streams: NDArray[np.uint64], first: int, threads: int) -> Velocities:
        """Modulated white noise (2.5): v_i = mu0(x_i) + sigma0(x_i) N(0, 1), independent."""
        v = np.zeros((streams.shape[1], redistribute.width(self.n)))
        modulated_white_noise(streams, self.mu0, self.sigma0, v)
        start = np.empty((len(v), 2))
        _totals(v, self.n, start)
        return Velocities(v, streams, first, start)

    def advance(self, state: Velocities, observation: int, tick: Tick) -> None:
        """Let all replicas collide until they have been through as many collisions as the observation is at."""
        collisions = self.study.model.collisions
        step = max(1, SLICE // len(state.v))
        while state.done < collisions[observation]:
            count = min(step, collisions[observation] - state.done)
            self.collide(state, count)
            state.done += count
            tick(state.done / collisions[-1])

    def collide(self, state: Velocities, count: int) -> None:
        """The kernel."""
        raise NotImplementedError

    def observe(self, state: Velocities, observation: int, count: int) -> Statistics:
        """Statistics of the velocities of the first `count` replicas, shape (count, n).

        velocity: `Moments` of v_i to order 8, which gives cumulants to the fourth their standard errors.
        pairs: `LaggedCovariances` of v_i and v_(i+k).
        local: `Moments` of (v_(i-1) - 2 v_i + v_(i+1))^2/6, shape (n - 2,).
        totals: `Moments` of momentum and energy per ball.
        drift: `Largest` relative change of momentum and energy within any replica since its start.
        snapshot: `Kept` velocities of the replicas that the study names.
        With a frame, what `kinlim.stochastic.white_noise.observe` gives.
        """
        settings = self.study.particles
        v = np.ascontiguousarray(state.v[:count, : self.n])
        velocity, local, totals = Moments.of(v, 8), np.empty((count, self.n - 2)), np.empty((count, 2))
        _second_differences(v, local)
        _totals(v, self.n, totals)
        before = state.start[:count]
        # Momentum is measured against its largest possible size at the replica's energy, sqrt(2 length energy),
        # since it may well be zero; totals are per unit length here, so that is sqrt(2 energy).
        scale = np.stack([np.sqrt(2 * before[:, 1]), before[:, 1]], axis=-1)
        change = np.divide(np.abs(totals - before), scale, out=np.zeros_like(totals), where=scale > 0)
        chosen = np.full((len(settings.snapshots), self.n), np.nan)
        for k, replica in enumerate(settings.snapshots):
            if 0 <= replica - state.first < count:
                chosen[k] = v[replica - state.first]
        statistics: dict[str, Statistic] = {
            "velocity": velocity,
            "pairs": LaggedCovariances.of(v, velocity.mean, settings.lags),
            "local": Moments.of(local, 2),
            "totals": Moments.of(totals, 2),
            "drift": Largest(change.max(axis=0)),
            "snapshot": Kept(chosen),
        }
        if self.frame is not None:
            left = tuple(i - 1 for i in settings.pairs)
            statistics |= white_noise.observe(v, self.frame, observation, settings.lags, left)
        return statistics


class Redistribute(Balls):
    """Steps 2.1 and 2.2: redistribute three velocities on their circle, then sort a pair."""

    def begin(self, streams: NDArray[np.uint64], first: int, threads: int) -> Velocities:
        """As for all balls, with room for the kernel."""
        state = super().begin(streams, first, threads)
        state.room = redistribute.workspace()
        return state

    def collide(self, state: Velocities, count: int) -> None:
        """See `kinlim.stochastic.redistribute`."""
        redistribute.advance(state.v, self.n, state.streams, count, *state.room)


@dataclass
class Ordered(Velocities):
    """A block of replicas that sort.

    Attributes:
        last: number of the last collision that changed anything, 0 for none, shape (replicas,).
        tag: the velocities that are followed, shape (replicas, followed).
    """

    last: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    tag: Array = field(default_factory=lambda: np.empty((0, 0)))


class Sorting(Balls):
    """(2.1)-(2.2): sort a pair. Velocities move about and stay as they are, so that they can be followed."""

    def begin(self, streams: NDArray[np.uint64], first: int, threads: int) -> Ordered:
        """As for all balls; the velocities that are followed are noted."""
        state = super().begin(streams, first, threads)
        followed = np.array(self.study.particles.follow, np.int64) - 1
        state.room = sorting.workspace()
        return Ordered(**vars(state), last=np.zeros(len(state.v), np.int64), tag=state.v[:, followed])

    def collide(self, state: Velocities, count: int) -> None:
        """See `kinlim.stochastic.sorting`."""
        assert isinstance(state, Ordered)
        sorting.advance(state.v, state.last, self.n, state.streams, state.done, count, *state.room)

    def observe(self, state: Velocities, observation: int, count: int) -> Statistics:
        """Besides what all balls show.

        last_swap: `Moments` to order 4 of the number of the last collision that changed anything, shape (1,).
        sorted: `Counts` of the replicas in which all velocities are in order, shape ().
        position: `Counts` of the sites at which the followed velocities are, shape (followed, n).
        """
        assert isinstance(state, Ordered)
        followed = state.tag.shape[1]
        finished, position = np.zeros(1, np.int64), np.zeros((followed, self.n), np.int64)
        _positions(state.v[:count], self.n, state.tag, finished, position)
        return {
            **super().observe(state, observation, count),
            "last_swap": Moments.of(state.last[:count, None].astype(float), 4),
            "sorted": Counts(finished),
            "position": Counts(position),
        }


class Pilot:
    """The first replicas, run beforehand for nothing but the mean and spread of their velocities."""

    def __init__(self, model: Balls) -> None:
        """Of the same balls."""
        self.model, self.lanes, self.observations = model, model.lanes, model.observations
        self.begin, self.advance = model.begin, model.advance

    def observe(self, state: Velocities, observation: int, count: int) -> Statistics:
        """velocity: `Moments` to order 2."""
        return {"velocity": Moments.of(np.ascontiguousarray(state.v[:count, : self.model.n]), 2)}


KERNELS: dict[str, type[Balls]] = {"redistribute": Redistribute, "sorting": Sorting}
"""By their names in a study."""


@njit(nogil=True, cache=True)
def _second_differences(v: Array, out: Array) -> None:
    """(v[i-1] - 2 v[i] + v[i+1])^2/6, whose mean is sigma^2 for white noise on a straight mean."""
    replicas, n = v.shape
    for r in range(replicas):
        for i in range(1, n - 1):
            difference = v[r, i - 1] - 2.0 * v[r, i] + v[r, i + 1]
            out[r, i - 1] = difference * difference / 6.0


@njit(nogil=True, cache=True)
def _totals(v: Array, n: int, out: Array) -> None:
    """Mean of v and of v^2/2 over the sites of every replica: momentum and energy per unit length."""
    for r in range(v.shape[0]):
        momentum = energy = 0.0
        for i in range(n):
            momentum += v[r, i]
            energy += v[r, i] * v[r, i]
        out[r, 0] = momentum / n
        out[r, 1] = energy / (2 * n)


@njit(nogil=True, cache=True)
def _positions(v: Array, n: int, tag: Array, finished: NDArray[np.int64], position: NDArray[np.int64]) -> None:
    """Count sorted replicas, and the sites of the tags: of equal velocities, the leftmost."""
    for r in range(v.shape[0]):
        in_order = True
        for i in range(n - 1):
            in_order &= v[r, i] <= v[r, i + 1]
        finished[0] += in_order
        for k in range(tag.shape[1]):
            for i in range(n):
                if v[r, i] == tag[r, k]:
                    position[k, i] += 1
                    break
