"""The ensemble: blocks of replicas over MPI ranks and threads, their statistics merged in the order of the blocks.

The engine knows nothing of the model: a model gives a function from a range of replicas to statistics that merge.
Contiguous runs of blocks go to the ranks, blocks of a rank to its threads; merging follows the order of the blocks
whatever the order in which they finish, so the layout changes results by rounding alone.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol, Self, TypeVar

from mpi4py import MPI

from kinlim.progress import Meter


class Mergeable(Protocol):
    """Statistics of a set of replicas."""

    def merge(self, other: Self) -> Self:
        """Statistics of the union with a disjoint set."""
        ...


S = TypeVar("S", bound=Mergeable)


def run_ensemble(
    simulate: Callable[[int, int], S], replicas: int, block: int, comm: MPI.Comm, threads: int, label: str
) -> S:
    """Simulate replicas 0 .. replicas-1 and merge their statistics.

    Args:
        simulate: called with the first replica of a block and the number of its replicas, from several threads.
        replicas: in all.
        block: replicas in a block; the last block may have fewer.
        comm: the ranks that share the work. Collective.
        threads: per rank.
        label: names the stage in progress messages.

    Returns:
        The merged statistics, on every rank.
    """
    blocks = -(-replicas // block)
    mine = range(blocks * comm.rank // comm.size, blocks * (comm.rank + 1) // comm.size)
    tasks = ((b * block, min(block, replicas - b * block)) for b in mine)
    merged: S | None = None
    with Meter(label, comm.rank == 0) as meter:
        for done, statistics in enumerate(_in_order(simulate, tasks, threads), start=1):
            merged = statistics if merged is None else merged.merge(statistics)
            meter(done / len(mine))
    parts = [part for part in comm.allgather(merged) if part is not None]
    total = parts[0]
    for part in parts[1:]:
        total = total.merge(part)
    return total


def _in_order(simulate: Callable[[int, int], S], tasks: Iterator[tuple[int, int]], threads: int) -> Iterator[S]:
    """Results in the order of the tasks, with a bounded number of blocks in flight or waiting."""
    with ThreadPoolExecutor(threads) as pool:
        flying: list[Future[S]] = [pool.submit(simulate, *task) for task in islice(tasks, 2 * threads)]
        try:
            while flying:
                result = flying.pop(0).result()
                flying += [pool.submit(simulate, *task) for task in islice(tasks, 1)]
                yield result
        finally:
            for future in flying:
                future.cancel()
