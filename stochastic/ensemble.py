"""The ensemble: blocks of replicas over MPI ranks and threads, their statistics merged in one fixed tree.

The engine knows nothing of the model: a model gives a function from a range of replicas to statistics that merge.
Contiguous runs of blocks go to the ranks, blocks of a rank to its threads. Whoever computes them and whenever they
finish, blocks 2i and 2i+1 are merged with each other, then pairs of pairs, and so on: every layout gives the same bits.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import reduce
from itertools import chain, islice
from typing import Generic, Protocol, Self, TypeVar

from mpi4py import MPI

from kinlim.progress import Meter


class Mergeable(Protocol):
    """Statistics of a set of replicas."""

    def merge(self, other: Self) -> Self:
        """Statistics of the union with a disjoint set."""
        ...


S = TypeVar("S", bound=Mergeable)

POLL = 0.5
"""Seconds between two looks at the progress of the running blocks."""


class Cancelled(Exception):
    """The ensemble is being given up; raised inside a block by its `tick`."""


class Tick:
    """Given to a block to be called now and then with the fraction of it that is done: a fraction of a second apart."""

    def __init__(self, cancelled: threading.Event) -> None:
        """Nothing is done yet."""
        self.cancelled, self.fraction = cancelled, 0.0

    def __call__(self, fraction: float) -> None:
        """Note the fraction done, in [0, 1].

        Raises:
            Cancelled: nobody waits for the block any more.
        """
        self.fraction = fraction
        if self.cancelled.is_set():
            raise Cancelled

    def part(self, begin: float, end: float) -> Callable[[float], None]:
        """Tick for a part of the block, from the fraction `begin` to the fraction `end`."""
        return lambda fraction: self(begin + fraction * (end - begin))


class Tree(Generic[S]):
    """Merges statistics of blocks 0, 1, 2, ... pair by pair, pairs of pairs, ...; a binary counter of partial results.

    Attributes:
        nodes: (level, index, statistics) of blocks index 2^level .. (index + 1) 2^level - 1, in order; at most two of
            a level.
    """

    def __init__(self) -> None:
        """No blocks yet."""
        self.nodes: list[tuple[int, int, S]] = []

    def add(self, level: int, index: int, statistics: S) -> None:
        """Add the node that follows the last one, and merge it with its sibling, and those with theirs."""
        while self.nodes and index % 2 == 1 and self.nodes[-1][:2] == (level, index - 1):
            statistics = self.nodes.pop()[2].merge(statistics)
            level, index = level + 1, index // 2
        self.nodes.append((level, index, statistics))

    def merged(self) -> S:
        """Statistics of all blocks, once they are all there."""
        return reduce(lambda left, right: left.merge(right), (statistics for _, _, statistics in self.nodes))


def run_ensemble(
    simulate: Callable[[int, int, Tick], S], replicas: int, block: int, comm: MPI.Comm, threads: int, label: str
) -> S:
    """Simulate replicas 0 .. replicas-1 and merge their statistics.

    Args:
        simulate: called with the first replica of a block, the number of its replicas and a `Tick`, from several
            threads.
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
    tasks = [(b * block, min(block, replicas - b * block)) for b in mine]
    tree: Tree[S] = Tree()
    with Meter(label, comm.rank == 0) as meter:
        for b, statistics in zip(mine, _in_order(simulate, tasks, threads, meter), strict=True):
            tree.add(0, b, statistics)
    parts = comm.gather(tree.nodes)
    total: S | None = None
    if parts is not None:
        whole: Tree[S] = Tree()
        for node in chain.from_iterable(parts):
            whole.add(*node)
        total = whole.merged()
    return comm.bcast(total)


def _in_order(
    simulate: Callable[[int, int, Tick], S], tasks: list[tuple[int, int]], threads: int, meter: Meter
) -> Iterator[S]:
    """Results in the order of the tasks, with a bounded number of blocks in flight or waiting.

    The caller's thread only waits, and wakes now and then: for the meter, and so that an interrupt is heard at once.
    """
    cancelled = threading.Event()
    waiting, flying, done = iter(tasks), deque[tuple[Future[S], Tick]](), 0
    with ThreadPoolExecutor(threads) as pool:

        def launch(count: int) -> None:
            for task in islice(waiting, count):
                tick = Tick(cancelled)
                flying.append((pool.submit(simulate, *task, tick), tick))

        try:
            launch(2 * threads)
            while flying:
                while not wait([flying[0][0]], timeout=POLL).done:
                    meter((done + sum(tick.fraction for _, tick in flying)) / len(tasks))
                future, _ = flying.popleft()
                launch(1)
                done += 1
                meter((done + sum(tick.fraction for _, tick in flying)) / len(tasks))
                yield future.result()
        finally:
            cancelled.set()
            pool.shutdown(cancel_futures=True)
