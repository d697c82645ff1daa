"""What a particle system is made of: initial data, a kernel, and what is observed.

Replicas, random streams, statistics, threads, ranks and checkpoints are the framework's (`kinlim.stochastic`), and the
same for all systems. Nothing here imports numba.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kinlim.base import Study
from kinlim.grid import Bins, Points

if TYPE_CHECKING:
    import xarray as xr

    from kinlim.stochastic.statistic import Statistic

Tick = Callable[[float], None]
"""To be called a few times a second with the fraction of the block that is done."""


@dataclass(frozen=True)
class Observable:
    """Something that is observed of every replica.

    Attributes:
        meaning: what it is, in words.
        dims: names of its dimensions; None, the default, for those of the grid, () for a single number.
        unit: of measurement, "1" for none.
    """

    meaning: str
    dims: tuple[str, ...] | None = None
    unit: str = "1"


class Particles[State](ABC):
    """A system of particles, as an object that all threads share and none changes. A class of your own has
    `observables`, `begin`, `advance` and `observe`.

    A block is a number of replicas that are simulated side by side. What is random comes from their streams, shape
    (4, replicas), through `kinlim.random`, and from nowhere else: then results do not depend on threads and ranks.

    Attributes:
        observables: what is observed, by name; particles and equation are compared where names agree.
        grid: where profiles are observed, the same as the equation's; None where there is none.
        labels: coordinates of further dimensions, by their names.
    """  # noqa: D205 - one sentence of two parts

    observables: Mapping[str, Observable]
    grid: Points | Bins | None = None
    labels: Mapping[str, Sequence[Any]] = {}

    def __init__(self, study: Study) -> None:
        """Of a study, whose physics is `self.model`."""
        self.study, self.model = study, study.model

    @property
    def observations(self) -> int:
        """How often a replica is observed."""
        return len(self.model.times)

    @property
    def intervals(self) -> NDArray[np.float64]:
        """Times from each observation to the next, the first from time 0, shape (observations,)."""
        return np.diff(self.model.times, prepend=0.0)

    def finish(self, dataset: "xr.Dataset") -> "xr.Dataset":
        """The dataset with what is not observed of single replicas: attributes, and variables made of others."""
        return dataset

    @abstractmethod
    def begin(self, streams: NDArray[np.uint64], first: int, threads: int) -> State:
        """Initial data of a block: whatever `advance` and `observe` want.

        Args:
            streams: shape (4, replicas), the state of the random streams; keep it, since kernels draw from it.
            first: number of the first replica in the ensemble.
            threads: that this block may use.
        """

    @abstractmethod
    def advance(self, state: State, observation: int, tick: Tick) -> None:
        """Let time pass from the observation before (or the beginning) to this one, changing the state."""

    @abstractmethod
    def observe(self, state: State, observation: int) -> "Mapping[str, NDArray[Any] | Statistic]":
        """The observables of the block as it is now, by name.

        Returns:
            Arrays whose first axis is the replica, of which means and standard errors are kept; or statistics, such as
            `kinlim.Moments` of a higher order.
        """
