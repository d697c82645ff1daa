"""What the engine asks of a system of particles; `kinlim.Particles` is what a user makes one of."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from kinlim.stochastic.statistic import Statistics

State = TypeVar("State")
"""Velocities, positions, streams, ...: whatever the system keeps of a block of replicas."""

Tick = Callable[[float], None]
"""To be called a few times a second with the fraction of the block that is done."""


class Model(Protocol[State]):
    """A system of particles, as a frozen object that all threads share.

    Attributes:
        observations: how often a replica is observed.
    """

    @property
    def observations(self) -> int: ...  # noqa: D102 - above

    def begin(self, streams: NDArray[np.uint64], first: int, threads: int) -> State:
        """Initial data.

        Args:
            streams: shape (4, replicas), the state of a generator for every replica of the block
                (`kinlim.stochastic.streams`); what is random comes from there, here and in `advance`, and from
                nowhere else.
            first: the replica that stream 0 belongs to.
            threads: that this block may use.
        """
        ...

    def advance(self, state: State, observation: int, tick: Tick) -> None:
        """Let time pass from the observation before (or the beginning) to this one, changing the state."""
        ...

    def observe(self, state: State, observation: int) -> Statistics:
        """Statistics of the replicas of the block, as they are now."""
        ...
