"""MPI manners: the root acts, everybody learns how it went."""

import hashlib
import os
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from mpi4py import MPI

from kinlim.compat import unstartable
from kinlim.errors import InputError, RunError, Stopped


def world() -> MPI.Comm:
    """All ranks.

    Raises:
        InputError: several processes were started together, and each is alone.
    """
    if (reason := unstartable()) is not None:
        raise InputError(reason)
    return MPI.COMM_WORLD


def on_root[T](comm: MPI.Comm, action: Callable[[], T]) -> T:
    """Call `action` on rank 0 and give its result to all ranks; InputError, RunError and Stopped are raised on all.

    Collective. Any other exception stays on rank 0, where the command line ends all ranks.
    """
    outcome: tuple[T | None, BaseException | None] = (None, None)
    if comm.rank == 0:
        try:
            outcome = (action(), None)
        except (InputError, RunError, Stopped) as error:
            outcome = (None, error)
    result, failure = comm.bcast(outcome)
    if failure is not None:
        raise failure
    return result


class Sized(Protocol):
    """A communicator, of MPI or of PETSc."""

    @property
    def size(self) -> int:
        """Number of ranks."""


class Meeting:
    """Where all ranks come together in the end, on a communicator of its own, whatever they are doing on others."""

    def __init__(self) -> None:
        """Of all ranks. Collective, while nothing can have failed yet."""
        self.comm = MPI.COMM_WORLD.Dup() if MPI.COMM_WORLD.size > 1 else MPI.COMM_SELF

    def agree(self, outcome: str, patience: float | None = None) -> bool:
        """Whether every rank has come here with this outcome.

        A rank that waits for this one elsewhere never comes: False after `patience` seconds. Without it, wait for all:
        a rank that has failed ends the others.
        """
        if self.comm.size == 1:
            return True
        number = int.from_bytes(hashlib.sha256(outcome.encode()).digest()[:7])
        mine, most = np.array([number, -number]), np.empty(2, np.int64)
        request, began = self.comm.Iallreduce(mine, most, MPI.MAX), time.monotonic()
        while not request.Test():
            if patience is not None and time.monotonic() - began > patience:
                return False
            time.sleep(0.005)
        return bool(most[0] == -most[1])


class Destroyable(Protocol):
    """An object of PETSc."""

    def destroy(self) -> object:
        """Free it. Collective."""


def release(error: BaseException | None, comm: Sized, *things: Destroyable) -> None:
    """Destroy PETSc objects at the end of a context. Collective without an error.

    After an error on several ranks they are left to PETSc's own collection of garbage: the error need not have happened
    on the other ranks, and to destroy would be to wait for them.
    """
    if error is None or comm.size == 1:
        for thing in things:
            thing.destroy()


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads(comm: MPI.Comm) -> int:
    """Cores this process may use, shared among the ranks of its machine; at least 1. Collective."""
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    ranks = node.size
    node.Free()
    return max(1, cores() // ranks)
