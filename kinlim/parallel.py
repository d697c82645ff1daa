"""MPI manners: the root acts, everybody learns how it went."""

import os
from collections.abc import Callable

from mpi4py import MPI

from kinlim.compat import lost_ranks
from kinlim.errors import InputError, RunError


def world() -> MPI.Comm:
    """All ranks.

    Raises:
        InputError: several processes were started together, and each is alone.
    """
    if (lost := lost_ranks()) is not None:
        raise InputError(str(lost))
    return MPI.COMM_WORLD


def on_root[T](comm: MPI.Comm, action: Callable[[], T]) -> T:
    """Call `action` on rank 0 and give its result to all ranks; an InputError or RunError is raised on all of them.

    Collective. Any other exception stays on rank 0, where the command line ends all ranks.
    """
    outcome: tuple[T | None, Exception | None] = (None, None)
    if comm.rank == 0:
        try:
            outcome = (action(), None)
        except (InputError, RunError) as error:
            outcome = (None, error)
    result, failure = comm.bcast(outcome)
    if failure is not None:
        raise failure
    return result


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads(comm: MPI.Comm) -> int:
    """Cores this process may use, shared among the ranks of its machine; at least 1. Collective."""
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    ranks = node.size
    node.Free()
    return max(1, cores() // ranks)
