"""The engine: blocks of replicas handed out to threads and MPI ranks, their statistics merged in the order of blocks.

Rank 0 hands out one block at a time to every thread of every rank, itself included, so that ranks of different speed
finish together: none waits for another before the last block. Statistics come back to rank 0, which adds them to the
sum of the blocks before, in the order of blocks; what comes early waits. So every layout gives the same bits, and
all that must be kept, in memory and in a checkpoint, is the sum, the few blocks that wait and their numbers: nothing
grows with the number of replicas.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.checkpoint import State
from kinlim.errors import InputError, RunError, Stopped
from kinlim.progress import Meter
from kinlim.signals import StopRequests, cause
from kinlim.stochastic import statistic, streams
from kinlim.stochastic.model import Model
from kinlim.stochastic.statistic import Statistics

ALONE, TOGETHER = 0.5, 0.002
"""Seconds between two looks at what else there is to do while blocks run: for signals; for messages of other ranks."""

KEEP_EVERY = 0.2
"""Seconds between two checkpoints at least: of small blocks there are thousands a second."""

ASK, REPLY, ARRAY, GIVE_UP = 1, 2, 3, 4
"""Tags of messages."""


class Cancelled(Exception):
    """The ensemble is being given up; raised inside a block by its `tick`."""


class Tick:
    """Given to a block to be called with the fraction of it that is done: a fraction of a second apart."""

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


@dataclass(frozen=True)
class Blocks:
    """Replicas 0 ... replicas - 1 in blocks of `size`, of which the last may have fewer."""

    replicas: int
    size: int

    def __len__(self) -> int:
        """How many blocks there are."""
        return -(-self.replicas // self.size)

    def count(self, index: int) -> int:
        """Replicas of a block."""
        return min(self.size, self.replicas - index * self.size)


class Sum:
    """Statistics of finished blocks, added in the order of blocks.

    Attributes:
        blocks: what there is to do.
        total: of all blocks before `added`, whole ones only: the last may grow when more replicas are asked for.
        waiting: those that are finished and not added yet, with the number of their replicas.
    """

    def __init__(self, blocks: Blocks, kept: State | None = None) -> None:
        """Begin with nothing, or with the blocks of a checkpoint."""
        self.blocks, self.total, self.added = blocks, None, 0
        self.waiting: dict[int, tuple[int, Statistics]] = {}
        if kept is not None:
            self.added = int(kept.attrs["added"])
            self.total = statistic.from_arrays(kept.arrays, "total/") if self.added else None
            for index, count in kept.attrs["waiting"]:
                if index < len(blocks) and count == blocks.count(index):
                    self.add(index, statistic.from_arrays(kept.arrays, f"{index}/"))

    def add(self, index: int, statistics: Statistics) -> None:
        """Take a finished block."""
        self.waiting[index] = self.blocks.count(index), statistics
        while self.added in self.waiting and self.waiting[self.added][0] == self.blocks.size:
            _, following = self.waiting.pop(self.added)
            self.total = following if self.total is None else statistic.merge(self.total, following)
            self.added += 1

    def missing(self) -> Iterator[int]:
        """Blocks that are not there, when asked."""
        there = set(self.waiting)
        return (index for index in range(self.added, len(self.blocks)) if index not in there)

    @property
    def done(self) -> int:
        """Blocks that are there."""
        return self.added + len(self.waiting)

    def result(self) -> Statistics:
        """Statistics of all replicas, once they are all there."""
        rest = (statistics for _, (_, statistics) in sorted(self.waiting.items()))
        return reduce(statistic.merge, chain([] if self.total is None else [self.total], rest))

    def state(self) -> State:
        """What a checkpoint must hold."""
        arrays = statistic.to_arrays(self.total or {}, "total/")
        for index, (_, statistics) in self.waiting.items():
            arrays |= statistic.to_arrays(statistics, f"{index}/")
        return State(
            arrays,
            {
                "added": self.added,
                "replicas": self.added * self.blocks.size,
                "waiting": [(index, count) for index, (count, _) in sorted(self.waiting.items())],
            },
        )


class Workers:
    """The threads of this rank."""

    def __init__(self, model: Model[Any], seed: int, blocks: Blocks, threads: int, each: int) -> None:
        """Have `threads` threads, of which every block may use `each`."""
        self.model, self.seed, self.blocks, self.each = model, seed, blocks, each
        self.slots = -(-threads // each)
        self.cancelled, self.pool = threading.Event(), ThreadPoolExecutor(self.slots)
        self.running: dict[Future[Statistics], tuple[int, Tick]] = {}

    def launch(self, index: int) -> None:
        """Begin a block."""
        tick = Tick(self.cancelled)
        self.running[self.pool.submit(self._simulate, index, tick)] = index, tick

    def finished(self, timeout: float) -> list[tuple[int, Statistics | None]]:
        """Blocks that have ended, after waiting for the first of them, `timeout` seconds at most; None if given up."""
        if not self.running:
            time.sleep(timeout)
        done, _ = wait(self.running, timeout, FIRST_COMPLETED)
        return [(self.running.pop(future)[0], self._result(future)) for future in done]

    @staticmethod
    def _result(future: Future[Statistics]) -> Statistics | None:
        try:
            return future.result()
        except Cancelled:
            return None

    def give_up(self) -> None:
        """Have the running blocks end with nothing, at their next `tick`."""
        self.cancelled.set()

    @property
    def fraction(self) -> float:
        """Of a block, that the running ones have done together."""
        return sum(tick.fraction for _, tick in self.running.values())

    def stop(self) -> None:
        """Give up what still runs, and the threads."""
        self.give_up()
        self.pool.shutdown(cancel_futures=True)

    def _simulate(self, index: int, tick: Tick) -> Statistics:
        model, first, count = self.model, index * self.blocks.size, self.blocks.count(index)
        states = np.empty((4, count), np.uint64)
        streams.start(states, np.uint64(self.seed), first)
        state = model.begin(states, first, self.each)
        observed = []
        for observation in range(model.observations):
            model.advance(state, observation, tick)
            observed.append(model.observe(state, observation))
        return statistic.stack(observed)


def run_ensemble(
    model: Model[Any],
    seed: int,
    blocks: Blocks,
    comm: MPI.Comm,
    threads: int,
    label: str,
    kept: State | None = None,
    keep: Callable[[State], None] | None = None,
    requests: StopRequests | None = None,
) -> Statistics:
    """Simulate all replicas and merge their statistics. Collective.

    Args:
        model: what is simulated.
        seed: picks the streams; replica r has stream r of the seed, whoever simulates it.
        blocks: the replicas, in the portions that are handed out.
        comm: the ranks that share the work.
        threads: per rank. Where there are fewer blocks than threads, a block gets several.
        label: names the stage in progress messages.
        kept: blocks that are done already, as `keep` was given them; looked at on rank 0.
        keep: called on rank 0 with all that is done, after the first block, every KEEP_EVERY seconds and at the end.
        requests: entered by the caller, where signals are listened to for longer than this ensemble.

    Returns:
        The merged statistics, on every rank.

    Raises:
        Stopped: a signal came; the running blocks were finished, and `keep` was called.
        RunError: by `keep`.
    """
    total = Sum(blocks, kept) if comm.rank == 0 else None
    left = comm.bcast(len(blocks) - total.done if total else 0)
    each = min(threads, max(1, comm.size * threads // max(1, left)))
    workers = Workers(model, seed, blocks, threads, each)
    failure: BaseException | None = None
    given_up = heard = False
    try:
        with contextlib.nullcontext(requests) if requests is not None else StopRequests() as requests:
            if total is None:
                heard = _follow(workers, comm, requests)
            else:
                with Meter(label, True, begun=total.done / len(blocks)) as meter:
                    failure, given_up = _lead(total, workers, comm, meter, keep, requests)
    finally:
        workers.stop()
    failure, given_up = comm.bcast((failure, given_up))
    if given_up and comm.rank and not heard:  # no message stays behind for the next ensemble
        comm.recv(source=0, tag=GIVE_UP)
    if failure is not None:
        raise failure
    return _share(total, comm)


def _lead(
    total: Sum,
    workers: Workers,
    comm: MPI.Comm,
    meter: Meter,
    keep: Callable[[State], None] | None,
    requests: StopRequests,
) -> tuple[BaseException | None, bool]:
    """Hand out blocks and take their statistics until nothing is left, or until something goes wrong.

    Returns:
        What went wrong, and whether running blocks were given up.
    """
    todo, status = total.missing(), MPI.Status()
    failure: BaseException | None = None
    saved, unsaved = -KEEP_EVERY, False
    stopping: float | None = None  # since when
    given_up = False
    others = comm.reduce(0, root=0)  # their threads that have not been sent home

    def following() -> int | None:
        """The next block, if there is one and no reason to stop."""
        nonlocal failure
        index = next(todo, None) if failure is None else None
        if index is not None and requests.received:
            failure, index = Stopped(), None
        return index

    def launch() -> None:
        if (index := following()) is not None:
            workers.launch(index)

    def give_up() -> None:
        nonlocal failure
        failure = failure or Stopped()  # also where no more blocks were to be handed out
        workers.give_up()
        for rank in range(1, comm.size):
            comm.send(None, rank, GIVE_UP)

    def save() -> None:
        nonlocal failure, keep, saved, unsaved
        try:
            if keep is not None:
                keep(total.state())
        except (InputError, RunError) as error:  # the disk is full: the other ranks must hear of it
            failure, keep = error, None
        saved, unsaved = time.monotonic(), False

    for _ in range(workers.slots):
        launch()
    while workers.running or others:
        arrived = []
        while others and comm.iprobe(MPI.ANY_SOURCE, ASK, status):
            source = status.source
            index, layout, stop = comm.recv(source=source, tag=ASK)
            requests.received |= stop
            if layout is not None:
                arrived.append((index, _receive(layout, comm, source)))
            answer = following()
            others -= answer is None
            comm.send(answer, source, REPLY)
        for index, ended in workers.finished(TOGETHER if comm.size > 1 else ALONE):
            launch()
            if ended is not None:
                arrived.append((index, ended))
        if requests.received and stopping is None:
            stopping = time.monotonic()
        if stopping is not None and not given_up and time.monotonic() - stopping > requests.patience:
            give_up()
            given_up = True
        for index, statistics in arrived:
            total.add(index, statistics)
        meter((total.done + workers.fraction) / len(total.blocks))
        unsaved |= bool(arrived)
        if unsaved and time.monotonic() - saved >= KEEP_EVERY:
            save()
    if unsaved or isinstance(failure, Stopped):
        save()  # also where nothing was done yet: the folder then says that there is something to go on with
    return Stopped(_goodbye(total, keep)) if isinstance(failure, Stopped) else failure, given_up


def _goodbye(total: Sum, keep: Callable[[State], None] | None) -> str:
    """What is said when a signal ends the ensemble."""
    done = f"{total.done} of {len(total.blocks)} blocks of replicas are done"
    kept = "; a checkpoint is written, and --resume goes on from it" if keep is not None else ""
    return f"stopped by {cause[0]}: {done}{kept}"


def _follow(workers: Workers, comm: MPI.Comm, requests: StopRequests) -> bool:
    """Ask rank 0 for a block for every thread, and for another with every result, until there are no more.

    Returns:
        Whether rank 0 has said to give up the running blocks.
    """
    comm.reduce(workers.slots, root=0)
    asked, heard = workers.slots, False
    for _ in range(asked):
        comm.send((None, None, requests.received), 0, ASK)
    while asked or workers.running:
        while asked and comm.iprobe(0, REPLY):
            index = comm.recv(source=0, tag=REPLY)
            asked -= 1
            if index is not None:
                workers.launch(index)
        if not heard and comm.iprobe(0, GIVE_UP):
            comm.recv(source=0, tag=GIVE_UP)
            workers.give_up()
            heard = True
        for index, statistics in workers.finished(TOGETHER):
            arrays = statistic.to_arrays(statistics or {})
            comm.send((index, None if statistics is None else _layout(arrays), requests.received), 0, ASK)
            for array in arrays.values():
                comm.Send(array, 0, ARRAY)
            asked += 1
    return heard


def _layout(arrays: dict[str, NDArray[Any]]) -> list[tuple[str, str, tuple[int, ...]]]:
    """Names, types and shapes of arrays, which travel apart from them: a message may have no more than 2^31 entries."""
    return [(name, array.dtype.str, array.shape) for name, array in arrays.items()]


def _receive(layout: list[tuple[str, str, tuple[int, ...]]], comm: MPI.Comm, source: int) -> Statistics:
    """Statistics that another rank sends."""
    arrays = {name: np.empty(shape, dtype) for name, dtype, shape in layout}
    for array in arrays.values():
        comm.Recv(array, source, ARRAY)
    return statistic.from_arrays(arrays)


def _share(total: Sum | None, comm: MPI.Comm) -> Statistics:
    """The result of rank 0, on all ranks."""
    arrays = {} if total is None else statistic.to_arrays(total.result())
    layout = comm.bcast(_layout(arrays))
    for name, dtype, shape in layout:
        array = np.asarray(arrays.get(name, np.empty(shape, dtype)), order="C")
        comm.Bcast(array)
        arrays[name] = array
    return statistic.from_arrays(arrays)
