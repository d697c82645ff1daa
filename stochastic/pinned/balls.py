"""The pinned balls as models of the engine: one initial sampler, two kernels, and what is observed of both.

Replicas are carried side by side in the lanes of a kernel, or one after another, each in tiles, where they are few or
so large that they would crowd each other out of the caches. Both ways give the same bits.

Source: Burdzy, Hoskins and Steinerberger, Sections 2 and 3.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.models.pinned.tables import PinnedStudy
from kinlim.stochastic.correlations import LaggedCovariances
from kinlim.stochastic.model import Tick
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.pinned import redistribute, sorting, white_noise
from kinlim.stochastic.pinned.redistribute import LANES
from kinlim.stochastic.pinned.tiles import Tiles
from kinlim.stochastic.pinned.white_noise import Frame
from kinlim.stochastic.statistic import Counts, Kept, Largest, Statistic, Statistics
from kinlim.stochastic.streams import modulated_white_noise

Array = NDArray[np.float64]

SLICE = 3 * 10**7
"""Collisions between two ticks, about 0.1 s."""

LARGE = 300_000
"""Balls from which on tiles are faster than lanes, whose replicas are too large for the caches together."""

FEW, SMALL = 8, 3000
"""Replicas up to which, and balls from which on, tiles are as fast as lanes that are mostly empty, or faster.

A replica in tiles is worth 7.5 lanes at 3000 balls, 14 at 10,000 and 35 at 300,000, measured on one core.
"""


@dataclass
class Velocities:
    """A block of replicas.

    Attributes:
        count: replicas.
        v: velocities, a row to each replica, of which the first n columns count, and rows that only fill lanes.
        streams: shape (4, rows).
        first: the replica of the first row.
        start: momentum and energy per ball at the beginning, shape (count, 2).
        last: number of the last collision that changed anything, 0 for none, shape (rows,): where sorting is all.
        tag: the velocities that are followed, shape (count, followed).
        tiles: for replicas one after another; None for replicas in lanes.
        done: collisions that each has been through.
    """

    count: int
    v: Array
    streams: NDArray[np.uint64]
    first: int
    start: Array
    last: NDArray[np.int64]
    tag: Array
    tiles: Tiles | None
    done: int = 0


class Balls:
    """What the two kernels share: initial data, and the observables of velocities.

    Attributes:
        study: the study.
        frame: in which W is measured; None to observe nothing of W.
    """

    def __init__(self, study: PinnedStudy, frame: Frame | None) -> None:
        """Evaluate the initial data."""
        self.study, self.frame, self.n = study, frame, study.model.balls
        self.mu0, self.sigma0 = study.model.initial(study.model.sites, "site")
        self.followed = np.array(study.particles.follow, np.int64) - 1
        self.own = threading.local()

    @property
    def observations(self) -> int:
        """Number of observation times."""
        return len(self.study.model.observe)

    def begin(self, streams: NDArray[np.uint64], first: int, threads: int) -> Velocities:
        """Modulated white noise (2.5): v_i = mu0(x_i) + sigma0(x_i) N(0, 1), independent."""
        count = streams.shape[1]
        tiles = self.tiles_of(threads) if self.n >= LARGE or (count <= FEW and self.n >= SMALL) else None
        rows = -(-count // LANES) * LANES if tiles is None else count
        filled = np.zeros((4, rows), np.uint64)
        filled[:, :count] = streams
        v = redistribute.velocities(rows, self.n) if tiles is None else np.zeros((rows, tiles.length))
        modulated_white_noise(filled, self.mu0, self.sigma0, v)
        start = np.empty((count, 2))
        _totals(v[:count], self.n, start)
        return Velocities(count, v, filled, first, start, np.zeros(rows, np.int64), v[:count, self.followed], tiles)

    def tiles_of(self, threads: int) -> Tiles:
        """The calling thread's tiles, which are large and serve one replica after another."""
        made, tiles = getattr(self.own, "tiles", (0, None))
        if tiles is None or made != threads:
            tiles = self.make_tiles(threads)
            self.own.tiles = threads, tiles
        return tiles

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
        """Let every replica go through `count` collisions: the kernel."""
        raise NotImplementedError

    def make_tiles(self, threads: int) -> Tiles:
        """The kernel for one replica on several threads."""
        raise NotImplementedError

    def observe(self, state: Velocities, observation: int) -> Statistics:
        """Statistics of the velocities, shape (replicas, n).

        velocity: `Moments` of v_i to order 8, which gives cumulants to the fourth their standard errors.
        pairs: `LaggedCovariances` of v_i and v_(i+k).
        local: `Moments` of (v_(i-1) - 2 v_i + v_(i+1))^2/6, shape (n - 2,).
        totals: `Moments` of momentum and energy per ball.
        drift: `Largest` relative change of momentum and energy within any replica since its start.
        snapshot: `Kept` velocities of the replicas that the study names.
        With a frame, what `kinlim.stochastic.pinned.white_noise.observe` gives.
        """
        settings, count = self.study.particles, state.count
        v = np.ascontiguousarray(state.v[:count, : self.n])
        velocity, local, totals = Moments.of(v, 8), np.empty((count, self.n - 2)), np.empty((count, 2))
        _second_differences(v, local)
        _totals(v, self.n, totals)
        before = state.start
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

    def collide(self, state: Velocities, count: int) -> None:
        """See `kinlim.stochastic.pinned.redistribute`."""
        if state.tiles is None:
            redistribute.advance(state.v, self.n, state.streams, count, *redistribute.workspace())
        else:
            for v, stream in _one_by_one(state):
                state.tiles.advance(v, stream, count)

    def make_tiles(self, threads: int) -> Tiles:
        """See `kinlim.stochastic.pinned.tiles`."""
        return Tiles(self.n, 3, redistribute_lists, redistribute.workspace, threads=threads)


class Sorting(Balls):
    """(2.1)-(2.2): sort a pair. Velocities move about and stay as they are, so that they can be followed."""

    def collide(self, state: Velocities, count: int) -> None:
        """See `kinlim.stochastic.pinned.sorting`."""
        if state.tiles is None:
            room = sorting.workspace()
            sorting.advance(state.v, state.last, self.n, state.streams, state.done, count, *room)
            return
        latest = [room[0] for room in state.tiles.rooms]
        for row, (v, stream) in enumerate(_one_by_one(state)):
            for each in latest:
                each[0] = state.last[row]
            state.tiles.advance(v, stream, count, state.done)
            state.last[row] = max(int(each[0]) for each in latest)

    def make_tiles(self, threads: int) -> Tiles:
        """See `kinlim.stochastic.pinned.tiles`."""
        return Tiles(self.n, 2, sort_lists, sorting_workspace, threads=threads, numbered=True)

    def observe(self, state: Velocities, observation: int) -> Statistics:
        """Besides what all balls show.

        last_swap: `Moments` to order 4 of the number of the last collision that changed anything, shape (1,).
        sorted: `Counts` of the replicas in which all velocities are in order, shape (1,).
        position: `Counts` of the sites at which the followed velocities are, shape (followed, n).
        """
        finished, position = np.zeros(1, np.int64), np.zeros((len(self.followed), self.n), np.int64)
        _positions(state.v[: state.count], self.n, state.tag, finished, position)
        return {
            **super().observe(state, observation),
            "last_swap": Moments.of(state.last[: state.count, None].astype(float), 4),
            "sorted": Counts(finished),
            "position": Counts(position),
        }


class Pilot:
    """The first replicas, run beforehand for nothing but the mean and spread of their velocities."""

    def __init__(self, model: Balls) -> None:
        """Of the same balls."""
        self.n, self.observations = model.n, model.observations
        self.begin, self.advance = model.begin, model.advance

    def observe(self, state: Velocities, observation: int) -> Statistics:
        """velocity: `Moments` to order 2."""
        return {"velocity": Moments.of(np.ascontiguousarray(state.v[: state.count, : self.n]), 2)}


KERNELS: dict[str, type[Balls]] = {"redistribute": Redistribute, "sorting": Sorting}
"""By their names in a study."""


def _one_by_one(state: Velocities) -> Iterator[tuple[Array, NDArray[np.uint64]]]:
    """Velocities and stream of one replica after another."""
    for row in range(state.count):
        stream = state.streams[:, row].copy()
        yield state.v[row], stream
        state.streams[:, row] = stream


@njit(nogil=True)
def redistribute_lists(
    v: Any, choices: Any, words: Any, begin: Any, end: Any, first: Any, spare: Any, room: Any
) -> None:
    """What `Tiles` calls."""
    redistribute.perform(v, choices, words, begin, end, spare, *room)


@njit(nogil=True)
def sort_lists(v: Any, choices: Any, words: Any, begin: Any, end: Any, first: Any, spare: Any, room: Any) -> None:
    """What `Tiles` calls; the low halves of the words are the numbers of the collisions."""
    numbers = words.view(np.uint32)[::2]
    latest = sorting.perform(v, choices, words, numbers, begin, end, first, spare, *room[1:])
    room[0][0] = max(room[0][0], latest)


def sorting_workspace() -> tuple[NDArray[Any], ...]:
    """A thread's: the number of its last swap, and what `sorting.perform` needs."""
    return np.zeros(1, np.int64), *sorting.workspace()


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
