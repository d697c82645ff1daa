"""The engine: every replica once, blocks in their order, in any layout, through stops and failures."""

import os
import signal
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from mpi4py import MPI

from kinlim.checkpoint import State
from kinlim.errors import RunError, Stopped
from kinlim.stochastic.ensemble import Blocks, Sum, run_ensemble
from kinlim.stochastic.statistic import Counts, Statistic
from kinlim.stochastic.streams import words


@dataclass(frozen=True)
class Trace(Statistic):
    """Remembers what was merged, in which order."""

    replica: np.ndarray

    def merge(self, other):
        return Trace(np.concatenate([self.replica, other.replica], axis=-1))


@dataclass
class Toy:
    """A model whose state is its replicas, and which sums the first words of their streams."""

    observations: int = 2
    pause: float = 0.0
    begun: list = field(default_factory=list)

    def begin(self, streams, first, threads):
        self.begun.append(first)
        return first, streams

    def advance(self, state, observation, tick):
        for part in range(10):
            time.sleep(self.pause)
            tick(part / 10)

    def observe(self, state, observation):
        first, streams = state
        count = streams.shape[1]
        out = np.empty((1, count), np.uint64)
        words(streams.copy(), out)
        return {
            "trace": Trace(np.arange(first, first + count)),
            "word": Counts((out[0] >> np.uint64(40)).astype(np.int64).sum(keepdims=True)),
        }


def run(model=None, replicas=50, size=5, comm=MPI.COMM_SELF, threads=2, **more):
    return run_ensemble(model or Toy(), 1, Blocks(replicas, size), comm, threads, "test", **more)


@pytest.mark.parallel
@pytest.mark.parametrize(("replicas", "size"), [(1, 10), (9, 10), (10, 10), (11, 10), (97, 10), (250, 1)])
def test_every_replica_is_merged_once_in_order_on_any_layout(replicas, size):
    found = run(replicas=replicas, size=size, comm=MPI.COMM_WORLD, threads=3)
    assert found["trace"].replica.tolist() == [list(range(replicas))] * 2
    assert found["word"].count.tolist() == run(replicas=replicas, size=size, threads=1)["word"].count.tolist()


@pytest.mark.slow
@pytest.mark.parallel
def test_a_slow_rank_holds_up_nobody():
    # dealt out evenly beforehand, half of the blocks would wait for the rank that takes 50 times as long
    comm = MPI.COMM_WORLD
    model = Toy(pause=0.005 if comm.rank == comm.size - 1 > 0 else 0.0001)
    run(model, replicas=200, size=1, comm=comm, threads=1)
    shares = comm.allgather(len(model.begun))
    assert sum(shares) == 200
    assert comm.size == 1 or shares[-1] < 200 / comm.size / 2


@pytest.mark.parallel
def test_a_checkpoint_follows_every_block_and_any_of_them_can_be_gone_on_from():
    comm = MPI.COMM_WORLD
    kept: list[State] = []
    whole = run(replicas=48, comm=comm, keep=kept.append)
    if comm.rank == 0:
        assert kept[-1].attrs["added"] == 9
        assert kept[-1].attrs["waiting"] == [(9, 3)]  # an incomplete block waits for more replicas
    for k in comm.bcast(range(len(kept))):
        model = Toy()
        again = run(model, replicas=48, comm=comm, kept=kept[k] if comm.rank == 0 else None)
        assert np.array_equal(again["trace"].replica, whole["trace"].replica)
        done = comm.bcast(len(kept) and kept[k].attrs["added"] + len(kept[k].attrs["waiting"]))
        assert comm.allreduce(len(model.begun)) == 10 - done  # nothing that is done is done again


@pytest.mark.parametrize(("replicas", "fresh"), [(48, 0), (50, 1), (73, 6)])
def test_replicas_can_be_added(replicas, fresh):
    # 48 are nine blocks of 5 and one of 3, which must be done again when it grows
    kept: list[State] = []
    run(replicas=48, keep=kept.append)
    model = Toy()
    more = run(model, replicas=replicas, kept=kept[-1])
    assert len(model.begun) == fresh
    assert more["trace"].replica.tolist() == [list(range(replicas))] * 2
    assert more["word"].count.tolist() == run(replicas=replicas)["word"].count.tolist()


def test_memory_and_checkpoints_do_not_grow():
    # with blocks that finish out of order only those in between wait
    blocks = Sum(Blocks(10**6, 1))
    for index in (1, 0, 3, 2, 5, 4, 7):
        blocks.add(index, {"count": Counts(np.array([1]))})
    assert list(blocks.waiting) == [7]
    assert set(blocks.state().arrays) == {"total/count/Counts/count", "7/count/Counts/count"}
    assert next(blocks.missing()) == 6
    assert blocks.total["count"].count == [6]


@pytest.mark.parallel
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_finishes_the_running_blocks_and_stops(number):
    # on any rank: the last one gets it here
    comm = MPI.COMM_WORLD

    class Signalled(Toy):
        def begin(self, streams, first, threads):
            if first >= 10 and comm.rank == comm.size - 1:
                os.kill(os.getpid(), number)
            return super().begin(streams, first, threads)

    kept: list[State] = []
    model = Signalled(pause=0.002)
    with pytest.raises(Stopped, match="of 40 blocks of replicas are done; a checkpoint is written"):
        run(model, replicas=200, comm=comm, threads=1, keep=kept.append)
    begun = comm.allreduce(len(model.begun))
    assert begun < 40
    if comm.rank == 0:
        done = kept[-1].attrs["added"] + len(kept[-1].attrs["waiting"])
        assert done == begun


@pytest.mark.parallel
@pytest.mark.parametrize("blocks", [4, 40])
def test_blocks_that_take_too_long_after_a_signal_are_given_up(monkeypatch, blocks):
    # also the last ones, after which no more are handed out: their replicas must not be missing in a result
    comm = MPI.COMM_WORLD
    monkeypatch.setattr("kinlim.signals.GRACE", 0.2)

    class Signalled(Toy):
        def begin(self, streams, first, threads):
            if comm.rank == 0:
                os.kill(os.getpid(), signal.SIGUSR1)
            return super().begin(streams, first, threads)

    kept: list[State] = []
    with pytest.raises(Stopped, match=f"0 of {blocks} blocks of replicas are done; a checkpoint is written"):
        run(Signalled(pause=2.0), replicas=5 * blocks, comm=comm, threads=4, keep=kept.append)
    found = run(replicas=5 * blocks, comm=comm, kept=kept[-1] if kept else None)
    assert found["trace"].replica.tolist() == [list(range(5 * blocks))] * 2


@pytest.mark.parallel
def test_a_full_disk_is_told_to_all_ranks():
    def keep(state):
        raise RunError("no space left")

    with pytest.raises(RunError, match="no space left"):
        run(replicas=200, comm=MPI.COMM_WORLD, keep=keep)


def test_an_error_in_a_block_reaches_the_caller():
    class Broken(Toy):
        def observe(self, state, observation):
            if state[0] == 30:
                raise ZeroDivisionError("in block 6")
            return super().observe(state, observation)

    with pytest.raises(ZeroDivisionError, match="in block 6"):
        run(Broken())


def test_an_interrupt_ends_the_running_blocks():
    # a block of an hour must not be waited for: those that run give up at their next tick
    finished = []

    class Slow(Toy):
        def begin(self, streams, first, threads):
            if first == 0:
                raise KeyboardInterrupt
            return super().begin(streams, first, threads)

        def observe(self, state, observation):
            finished.append(state[0])
            return super().observe(state, observation)

    with pytest.raises(KeyboardInterrupt):
        run(Slow(pause=1.0))
    assert finished == []


@pytest.mark.parametrize(("blocks", "threads", "each"), [(8, 4, 1), (2, 4, 2), (1, 4, 4), (3, 4, 1)])
def test_few_blocks_get_several_threads(blocks, threads, each):
    given = []

    class Wide(Toy):
        def begin(self, streams, first, threads):
            given.append(threads)
            return super().begin(streams, first, threads)

    run(Wide(), replicas=blocks, size=1, threads=threads)
    assert given == [each] * blocks
