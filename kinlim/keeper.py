"""What a stage of a run needs to be stopped and to go on: its checkpoint, signals, and when to write the next one."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from mpi4py import MPI

from kinlim.checkpoint import State
from kinlim.errors import Stopped
from kinlim.parallel import on_root
from kinlim.signals import StopRequests, cause

KEEP_EVERY = 60.0
"""Seconds between checkpoints of an integration."""


class Keeper:
    """The state of one stage between runs. Use it as a context: signals ask for the end only meanwhile.

    Attributes:
        comm: the ranks of the stage.
        kept: what to go on from, on rank 0; None there for a fresh start, and always None on the others.
        write: called on rank 0 with a state that is to be kept; None where nothing can be.
        requests: the signals that came.
    """

    def __init__(self, comm: MPI.Comm, kept: State | None = None, write: Callable[[State], None] | None = None) -> None:
        """Nothing has been kept by this process yet."""
        self.comm, self.kept, self.write = comm, kept, write
        self.requests, self.last = StopRequests(), time.monotonic()

    def alone(self) -> "Keeper":
        """The same for rank 0, where it does the work while the others wait. The others give it no signals."""
        other = Keeper(MPI.COMM_SELF, self.kept, self.write)
        other.requests = self.requests
        return other

    def found(self) -> State | None:
        """What to go on from, on every rank. Collective."""
        found: State | None = self.comm.bcast(self.kept)
        return found

    def due(self) -> bool:
        """Whether a state should be kept now: the last one is old, or a signal asks for the end. Collective."""
        wanted = self.requests.received or (self.write is not None and time.monotonic() - self.last > KEEP_EVERY)
        return bool(self.comm.allreduce(wanted, MPI.LOR)) if self.comm.size > 1 else wanted

    def keep(self, state: State, where: str) -> None:
        """Keep a state, of which rank 0's counts. Collective.

        Raises:
            Stopped: a signal asks for the end; `where` says how far the stage has come.
            RunError: it cannot be written.
        """
        write = self.write
        if write is not None:
            on_root(self.comm, lambda: write(state))
            self.last = time.monotonic()
        if self.comm.allreduce(self.requests.received, MPI.LOR):
            raise Stopped(self.goodbye(where))

    def goodbye(self, where: str) -> str:
        """What is said when a signal ends the stage."""
        after = "; a checkpoint is written, and --resume goes on from it" if self.write is not None else ""
        return f"stopped by {cause[0]}{where}{after}"

    def __enter__(self) -> Self:
        """Listen to signals."""
        self.requests.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self.requests.__exit__(kind, error, trace)
