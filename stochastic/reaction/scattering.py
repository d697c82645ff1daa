"""Initial particles of the reaction model: independent Poisson processes whose mean is the data, without any bias.

A Poisson number of candidates with mean N times a bound, uniform in space and with velocities from chi, is thinned: a
candidate at (x, v) stays with probability f0(x, v)/bound. What stays is a Poisson process of intensity N f0 chi in
phase space, so that every mean of particles is exactly that of the data. Global equilibrium is of this kind, and stays.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinlim.errors import RunError
from kinlim.formula import Formula
from kinlim.models.reaction.phase import POSITIONS, VELOCITIES
from kinlim.stochastic.poisson import poisson
from kinlim.stochastic.reaction.fixed import UNIT, Singles, Words32
from kinlim.stochastic.reaction.profiles import Sampler, velocities
from kinlim.stochastic.reaction.supply import Words, fill
from kinlim.stochastic.vectors import LENGTH

Array = NDArray[np.float64]

BATCH = 2**19
"""Candidates at a time."""

MARGIN = 1.05
"""Bound over the bound of the study, which comes from values at points."""


def scatter(
    formula: Formula, key: str, bound: float, profile: Sampler, mean: float, lanes: Words, rare: Words
) -> tuple[Words32, Singles, int]:
    """Draw the initial particles of a kind.

    Args:
        formula: f0 or g0, the density in phase space over that of the profile.
        key: its name.
        bound: of its values.
        profile: velocities.
        mean: N, particles for mass one.
        lanes: shape (4, LENGTH), where words come from; advanced.
        rare: shape (4, 1), where words for large Poisson numbers come from; advanced.

    Returns:
        positions and velocities, shape (d, number), and the number.

    Raises:
        RunError: a value is above the bound after all, or not positive.
    """
    bound *= MARGIN
    number = np.zeros(1, np.int64)
    poisson(rare, mean * bound, number)
    batches = [
        _batch(formula, key, bound, profile, min(BATCH, int(number[0]) - begin), lanes)
        for begin in range(0, int(number[0]), BATCH)
    ]
    d = profile.means.shape[1]
    pos = np.concatenate([np.empty((d, 0), np.uint32), *(pos for pos, _ in batches)], axis=1)
    vel = np.concatenate([np.empty((d, 0), np.float32), *(vel for _, vel in batches)], axis=1)
    return pos, vel, pos.shape[1]


def _batch(
    formula: Formula, key: str, bound: float, profile: Sampler, count: int, lanes: Words
) -> tuple[Words32, Singles]:
    """Candidates that stay, of so many."""
    d = profile.means.shape[1]
    pos, vel = np.empty((d, count), np.uint32), np.empty((d, count), np.float32)
    for axis in range(d):
        pos[axis] = words(lanes, count) >> np.uint64(32)
    velocities(profile, vel, 0, count, lanes)
    points: dict[str, Any] = {name: np.zeros(count) for name in POSITIONS + VELOCITIES}
    points |= {name: (x + 0.5) * UNIT for name, x in zip(POSITIONS, pos, strict=False)}
    points |= {name: v.astype(np.float64) for name, v in zip(VELOCITIES, vel, strict=False)}
    values = formula(**points)
    bad = np.flatnonzero((values > bound) | (values <= 0))
    if len(bad):
        names = (*POSITIONS[:d], *VELOCITIES[:d])
        where = ", ".join(f"{name} = {points[name][bad[0]]:.6g}" for name in names)
        raise RunError(
            f"model.{key}: is {values[bad[0]]:.6g} at {where}, outside (0, {bound:.6g}], where a search before the run "
            "had not looked; model.bounds can say how far it reaches"
        )
    stays = (words(lanes, count) >> np.uint64(11)) * 2.0**-53 * bound < values
    return np.ascontiguousarray(pos[:, stays]), np.ascontiguousarray(vel[:, stays])


def words(lanes: Words, count: int) -> Words:
    """So many words."""
    found = np.empty(-(-count // LENGTH) * LENGTH, np.uint64)
    fill(lanes, found)
    return found[:count]
