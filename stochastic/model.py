"""What a model of particles gives to the engine: an initial sampler, a kernel and observables.

Batching, random streams, statistics, threads, MPI ranks and checkpoints are the engine's (`kinlim.stochastic.ensemble`)
and the same for all models; docs/a-model-of-your-own.md adds one in sixty lines.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from kinlim.stochastic.statistic import Statistics

State = TypeVar("State")
"""Velocities, positions, streams, ...: whatever the model keeps of a block of replicas."""

Tick = Callable[[float], None]
"""To be called a few times a second with the fraction of the block that is done."""


class Model(Protocol[State]):
    """A model of particles, as a frozen object that all threads share.

    Attributes:
        lanes: replicas that its kernel advances side by side; streams come in multiples of so many.
        observations: how often a replica is observed.
    """

    @property
    def lanes(self) -> int: ...  # noqa: D102 - above

    @property
    def observations(self) -> int: ...  # noqa: D102

    def begin(self, streams: NDArray[np.uint64], first: int, threads: int) -> State:
        """Initial data.

        Args:
            streams: shape (4, replicas), the state of a generator for every replica (`kinlim.stochastic.streams`); to
                be drawn from here and in `advance`, and from nowhere else.
            first: the replica that stream 0 belongs to.
            threads: that this block may use.
        """
        ...

    def advance(self, state: State, observation: int, tick: Tick) -> None:
        """Let time pass from the observation before (or the beginning) to this one, changing the state."""
        ...

    def observe(self, state: State, observation: int, count: int) -> Statistics:
        """Statistics of the first `count` replicas; those beyond only fill the lanes."""
        ...
