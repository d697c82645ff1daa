"""One collision of the real kernel on five balls of many: what Theorem 2.3 speaks of, by simulation."""

import numpy as np
from numpy.typing import NDArray

from kinlim.stochastic.moments import Moments
from kinlim.stochastic.pinned import redistribute
from kinlim.stochastic.streams import modulated_white_noise, start

Array = NDArray[np.float64]

WINDOW = 5
"""Balls that a collision which concerns the middle one can reach."""

GROUP = 1 << 16
"""Replicas at a time."""


def after_one_collision(mu: Array, sigma: Array, ball: int, replicas: int, seed: int) -> tuple[Array, Array]:
    """Estimate (n - 2) E(v'_i - v_i) and (n - 2) E(v'_i^2 - v_i^2) of one ball, and their standard errors.

    Of the n - 2 centres three at most concern a ball. Five balls around it, or at an end, have just three centres, and
    the same collisions: so their drift times 3 is that of all n balls times n - 2, at every n.

    Args:
        mu: means of the n balls, at least five.
        sigma: their standard deviations.
        ball: i, from 0.
        replicas: rounded up to whole groups.
        seed: of the streams.

    Returns:
        The two means, and their standard errors, each of shape (2,).
    """
    first = min(max(ball - WINDOW // 2, 0), len(mu) - WINDOW)
    window, at = slice(first, first + WINDOW), ball - first
    v, room = redistribute.velocities(GROUP, WINDOW), redistribute.workspace()
    streams, found = np.empty((4, GROUP), np.uint64), None
    for begin in range(0, replicas, GROUP):
        start(streams, np.uint64(seed), begin)
        modulated_white_noise(streams, mu[window], sigma[window], v)
        before = v[:, at].copy()
        redistribute.advance(v, WINDOW, streams, 1, *room)
        change = np.stack([v[:, at] - before, v[:, at] ** 2 - before**2], axis=1) * (WINDOW - 2)
        moments = Moments.of(change, 2)
        found = moments if found is None else found.merge(moments)
    assert found is not None
    return found.mean, found.mean_se
