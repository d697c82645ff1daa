"""What a study will cost here, found by beginning it: `kinlim run --dry-run`. Nothing is written.

Each side of a study is begun as it would be run, on the same ranks and threads, and stopped after some seconds. What
is left then follows from the fraction that its meter shows, in two ways:

- replicas and sectors: a fraction f that took t seconds means t/f for all;
- time stepping: steps grow and shrink, so the time reached is no measure. Solutions on coarser meshes are carried to
  the end, as fine a mesh as there is time for: with c(f) its seconds up to a fraction f of the time, t c(1)/c(f) for
  all. It is assumed that error control, not the mesh, decides how long steps are, or that the mesh does so in the same
  proportion all the time, and that a long step takes as many times the work of a short one on both meshes.

What is compiled in the course of it is kept for the run, and not counted. Not counted either are figures and reports.
"""

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kinlim import progress
from kinlim.errors import InputError, RunError, Stopped
from kinlim.model import Maker
from kinlim.progress import compiling, lasting, percent
from kinlim.study import Study, model_of

if TYPE_CHECKING:
    from mpi4py import MPI

TRIAL = 3.0
"""Seconds after which a side is stopped; up to twice as many where it has not come forward `FORWARD` times by then, and
as many as it takes to come forward once.
"""

FORWARD = 3

SHORT = 10.0
"""Seconds up to which tenths are told."""

COARSE = 12.0
"""Seconds for a solution on a coarser mesh."""

LEVELS = 6
"""Most times that cells are halved for it."""

GROWTH = 8.0
"""Times as long as a solution takes the one on the next finer mesh, before that is known."""


@dataclass(frozen=True)
class Cost:
    """What a side of a study costs.

    Attributes:
        file: of the dataset.
        seconds: until it is there.
        how: how this was found, in words.
    """

    file: str
    seconds: float
    how: str

    def __str__(self) -> str:
        """A line for a terminal."""
        return f"{self.file}: about {told(self.seconds)} ({self.how})"


def told(seconds: float) -> str:
    """A time for a reader."""
    return lasting(seconds) if seconds >= SHORT else f"{seconds:.1f} s"


class _Trial:
    """Listens to the meter of a side and asks for its end when it has seen enough.

    Attributes:
        laps: (seconds, fraction) as they were reported, on rank 0.
        ended: whether the side came to its end.
        besides: seconds that it took before and after its meter.
    """

    def __init__(self, maker: Maker, study: Study, comm: "MPI.Comm", threads: int | None, limit: float) -> None:
        """Begin the side. Collective.

        Raises:
            RunError: it failed.
        """
        from kinlim.keeper import Keeper

        keeper = Keeper(comm)
        self.requests, self.limit, self.enough = keeper.requests, limit, False
        self.requests.patience = 0.0
        self.laps: list[tuple[float, float]] = []
        began = time.monotonic() - compiling.spent()
        with progress.told_to(self._note):
            try:
                maker.make(study, keeper, threads)
                self.ended = True
            except Stopped:
                if not any(comm.allgather(self.enough)):  # a signal
                    raise
                self.ended = False
        whole = time.monotonic() - compiling.spent() - began
        self.besides = whole - (self.laps[-1][0] if self.laps else 0.0)
        # Where blocks report only that they are done, the time since the last one has brought nothing yet.
        steps = [lap for k, lap in enumerate(self.laps) if lap[1] > (self.laps[k - 1][1] if k else 0.0)]
        self.seconds, self.fraction = steps[-1] if steps else (0.0, 1.0)

    def _note(self, elapsed: float, fraction: float) -> None:
        self.laps.append((elapsed, fraction))
        forward = len({lap[1] for lap in self.laps} - {0.0})
        if forward >= (FORWARD if elapsed < 2 * self.limit else 1) and elapsed >= self.limit:
            self.enough = self.requests.received = True

    def at(self, fraction: float) -> float:
        """Seconds until a fraction was reached."""
        seconds, fractions = np.array(self.laps).T
        return float(np.interp(fraction, fractions, seconds))


def forecast(
    study: Study, stages: Sequence[str], *, comm: "MPI.Comm | None" = None, threads: int | None = None
) -> list[Cost]:
    """What the sides of a study cost, those of the stages named: the same on every rank. Collective.

    Args:
        study: the study.
        stages: "solve", "simulate" or both.
        comm: the ranks that would share the work; by default all.
        threads: per rank; None for all cores.

    Raises:
        InputError: a side cannot be made.
        RunError: a side failed as it began.

    Examples:
        >>> study = kinlim.load("mine.toml", ["model.balls=100"])
        >>> [cost.file for cost in forecast(study, ["solve"])]
        ['pde.nc']
    """
    from kinlim.parallel import world

    comm, costs = comm or world(), []
    for side in model_of(study).wanted(study):
        if side.stage in stages:
            maker = side.maker()
            maker.check(study, comm)
            seconds, how = comm.bcast(_cost(maker, study, comm, threads))
            costs.append(Cost(side.file, seconds, how))
    return costs


def _cost(maker: Maker, study: Study, comm: "MPI.Comm", threads: int | None) -> tuple[float, str]:
    """Seconds and how they were found, on rank 0. Collective."""
    begun, share = maker.rehearsal(study)
    trial = _Trial(maker, begun, comm, threads, TRIAL)
    if trial.ended:
        return share * (trial.besides + trial.seconds), "it has run to its end"
    seen = f"{percent(trial.fraction)} of it in {lasting(trial.seconds)}"
    coarse = _coarse(maker, begun, comm, threads)
    if coarse is None or comm.rank:
        return share * (trial.besides + trial.seconds / trial.fraction), seen
    left = coarse.at(1.0) / coarse.at(trial.fraction)
    return share * (trial.besides + trial.seconds * left), f"{seen}, and the rest as on a coarser mesh"


def _coarse(maker: Maker, study: Study, comm: "MPI.Comm", threads: int | None) -> _Trial | None:
    """The solution on the finest coarser mesh for which there is time; None where there is none. Collective."""
    chain = [study]
    while (coarser := maker.coarser(chain[-1])) is not None and len(chain) <= LEVELS:
        chain.append(coarser)
    best: _Trial | None = None
    for one in reversed(chain[1:]):
        if best is not None and comm.bcast(best.seconds * GROWTH > COARSE):
            break
        try:
            trial = _Trial(maker, one, comm, threads, COARSE)
        except (InputError, RunError):  # it is too coarse to be solved
            continue
        if not trial.ended:
            break
        best = trial
    return best


def memory(comm: "MPI.Comm") -> str:
    """The most memory that these ranks have had so far, in words. Collective."""
    each = comm.gather(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if each is None:
        return ""
    together = f", {sum(each):.0f} MB on {len(each)} ranks together" if len(each) > 1 else ""
    return f"memory: {max(each):.0f} MB{' a rank at most' if together else ''}{together}"
