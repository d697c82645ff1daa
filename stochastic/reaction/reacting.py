"""A replica of the reacting particles: what there is of A and B, and how it goes on.

A particle of one kind is a column of two arrays: positions (`fixed`) and velocities, as singles. One
step is half a flight, a grid shifted by a random vector, what is created and destroyed in its cells
(`recombination`), and another half: Strang's splitting, with the halves of neighbouring steps merged.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.copying import put
from kinlim.stochastic.reaction.fixed import Singles, Words32, fly, locate
from kinlim.stochastic.reaction.profiles import Sampler, velocities
from kinlim.stochastic.reaction.recombination import AT_ONCE, edges, react, settle
from kinlim.stochastic.reaction.sift import CHUNK, count, sift
from kinlim.stochastic.reaction.supply import Words, fill
from kinlim.stochastic.vectors import LENGTH

Array = NDArray[np.float64]

RUNS, FEW = 8, 1024
"""New particles are appended in so many runs in parallel, so that neighbours in memory are not neighbours in space and
do not wait for each other's counter; in one run where there are more than so many cells, so that counters stay near."""

_32 = np.uint64(32)


@dataclass(frozen=True)
class Rules:
    """What is the same in all steps between two observations.

    Attributes:
        profiles: of A and B.
        cells: along each axis.
        flight: of a whole step, over epsilon.
        mean: pairs made in a cell and a step.
        rate: at which an A and a B in a cell are destroyed, times the step.
        lines: see `edges`.
        capacity: particles of a kind that are made in a step and live, at most.
    """

    profiles: tuple[Sampler, Sampler]
    cells: int
    flight: float
    mean: float
    rate: float
    lines: Words
    capacity: int

    @classmethod
    def of(
        cls, profiles: tuple[Sampler, Sampler], dimension: int, cells: int, per_unit: int, epsilon: float, dt: float
    ) -> "Rules":
        """Find them from N = per_unit, epsilon and dt."""
        volume = float(cells) ** -dimension
        mean, made = per_unit * volume * dt / epsilon**2, per_unit * dt / epsilon**2
        return cls(
            profiles, cells, dt / epsilon, mean, dt / (epsilon**2 * per_unit * volume), edges(cells),
            int(made + 40 * sqrt(made) + 1000),
        )  # fmt: skip

    @property
    def arguments(self) -> tuple[Any, ...]:
        """In the order in which `run` takes them."""
        return (
            *self.profiles, self.cells, self.flight, self.mean, self.rate, self.lines,
            self.capacity,
        )  # fmt: skip


Kind = tuple[Words32, Singles, int]
"""Positions and velocities, shape (d, capacity), and how many there are."""


@njit(nogil=True, cache=True, error_model="numpy")
def _shifts(shift: Words32, lanes: Words) -> None:
    """Draw where a grid begins."""
    words = np.empty(LENGTH, np.uint64)
    fill(lanes, words)
    for axis in range(shift.size):
        shift[axis] = np.uint32(words[axis] >> _32)


@njit(nogil=True, cache=True, error_model="numpy")
def _enter(
    kind: Any, homes: Words32, mixed: Words32, profile: Sampler, time: float, lanes: Words, before: Words32,
    after: Words32, lines: Words, present: Words, room: Any,
) -> Any:  # fmt: skip
    """Append new particles, one for each of the cells `homes`, with velocities, and let them fly."""
    pos, vel, number = kind
    d, new = pos.shape[0], homes.size
    total = number + new
    if total > pos.shape[1]:
        more = total + total // 4
        longer, faster = np.empty((d, more), np.uint32), np.empty((d, more), np.float32)
        put(longer[:, :number], pos[:, :number])
        put(faster[:, :number], vel[:, :number])
        pos, vel = longer, faster
    length, at = -(-new // (RUNS if present.size <= FEW else 1)), 0
    for k in range(length):
        for run in range(k, new, length):
            mixed[at] = homes[run]
            at += 1
    words, where, _ = room
    settle(mixed[:new], before, lines, lanes, words, pos[:, number:total])
    velocities(profile, vel, number, total, lanes)
    fly(pos, vel, number, total, time)
    for begin in range(number, total, CHUNK):
        size = min(CHUNK, total - begin)
        locate(pos, begin, begin + size, after, lines.size - 1, where)
        count(where, size, present)
    return pos, vel, total


@njit(nogil=True, cache=True, error_model="numpy")
def _begin(
    pos: Words32, vel: Singles, number: int, time: float, shift: Words32, cells: int, present: Words, where: Words32
) -> None:
    """Let all particles fly, and count them."""
    for begin in range(0, number, CHUNK):
        end = min(begin + CHUNK, number)
        fly(pos, vel, begin, end, time)
        locate(pos, begin, end, shift, cells, where)
        count(where, end - begin, present)


@njit(nogil=True, cache=True, error_model="numpy")
def run(
    one: Any, other: Any, steps: int, chi1: Sampler, chi2: Sampler, cells: int, flight: float, mean: float, rate: float,
    lines: Words, capacity: int, lanes: Words, rare: Words, events: Any,
) -> Any:  # fmt: skip
    """Carry out whole steps.

    Args:
        one: positions and velocities of A, shape (d, capacity), and their number.
        other: the same of B.
        steps: how many.
        chi1: velocities of new A.
        chi2: velocities of new B.
        cells: see `Rules`, also for the following arguments.
        flight: see there.
        mean: see there.
        rate: see there.
        lines: see there.
        capacity: see there.
        lanes: shape (4, LENGTH), where words come from.
        rare: shape (4, 1), where words for large Poisson numbers come from.
        events: shape (2,): pairs created and destroyed are added.

    Returns:
        A and B as they were given, and whether all went well: False if there is no room for those that are made in a
        step and live, which has a probability below 1e-300.
    """
    d = one[0].shape[0]
    a, b, next_a, next_b = np.zeros((4, -(-(cells**d) // LENGTH) * LENGTH), np.uint64)
    homes, others_homes, mixed = np.empty((3, capacity + AT_ONCE), np.uint32)
    room = np.empty(CHUNK // 2, np.uint64), np.empty(CHUNK, np.uint32), np.empty(CHUNK, np.uint32)
    before, after = np.zeros(d, np.uint32), np.zeros(d, np.uint32)
    _shifts(before, lanes)
    for (pos, vel, number), present in ((one, a), (other, b)):
        _begin(pos, vel, number, 0.5 * flight, before, cells, present, room[1])
    for step in range(steps):
        new_a, new_b, created, destroyed = react(a, b, cells**d, mean, rate, lanes, rare, homes, others_homes)
        if new_a < 0:
            return one, other, False
        events[0] += created
        events[1] += destroyed
        time = flight if step + 1 < steps else 0.5 * flight
        _shifts(after, lanes)
        left = sift(one[0], one[1], one[2], before, after, cells, time, a, next_a, lanes, room)
        one = _enter(
            (one[0], one[1], left), homes[:new_a], mixed, chi1, time, lanes, before, after, lines, next_a, room
        )
        left = sift(other[0], other[1], other[2], before, after, cells, time, b, next_b, lanes, room)
        other = _enter(
            (other[0], other[1], left), others_homes[:new_b], mixed, chi2, time, lanes, before, after, lines, next_b,
            room,
        )  # fmt: skip
        a, b, next_a, next_b = next_a, next_b, a, b
        before, after = after, before
    return one, other, True
