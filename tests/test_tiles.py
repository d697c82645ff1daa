"""One replica in tiles: the same bits as one collision after the other, whatever the tiles, chunks and threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from kinlim.stochastic.pinned import redistribute, sorting
from kinlim.stochastic.pinned.balls import redistribute_lists, sort_lists, sorting_workspace
from kinlim.stochastic.pinned.barrier import wait_for_all
from kinlim.stochastic.pinned.layout import SPARE, left_site, number
from kinlim.stochastic.pinned.redistribute import LANES
from kinlim.stochastic.pinned.tiles import Tiles, _quotient
from kinlim.stochastic.streams import modulated_white_noise, start


@njit(nogil=True)
def record_lists(v, choices, words, begin, end, first, spare, room):
    """Changes nothing; notes the number, the left site, the call and the lane of every collision."""
    log, filled = room
    for lane in range(LANES):
        for at in range(begin[lane], end[lane]):
            k = filled[0]
            log[k, 0] = first + np.int64(words[at] & np.uint64(0xFFFFFFFF))
            log[k, 1] = left_site(words[at], choices)
            log[k, 2] = filled[1]
            log[k, 3] = lane
            filled[0] += 1
    filled[1] += 1


def group(n, seed):
    """A group of replicas, of which the first is what is compared."""
    streams, v = np.empty((4, LANES), np.uint64), np.zeros((LANES, redistribute.width(n)))
    start(streams, np.uint64(seed), 0)
    modulated_white_noise(streams, np.zeros(n), np.ones(n), v)
    return v, streams


def alone(v, streams, tiles):
    """Its first replica by itself."""
    n = tiles.length - SPARE * len(tiles.threads)
    return np.concatenate([v[0, :n], np.zeros(tiles.length - n)]), streams[:, 0].copy()


TINY = {"tile": 6, "steps": 16, "limit": 16, "late": 8, "outer": 40}

LAYOUTS = [
    # balls, collisions, layout
    (5, 200, {}),  # fewer balls than one tile has
    (64, 6000, {}),
    (64, 6000, {"tile": 8, "steps": 16, "chunk": 4096}),  # far more collisions than sites: boundaries meet everywhere
    (700, 20000, TINY | {"chunk": 350}),  # four panels; a chunk shorter than the replica
    (700, 20000, TINY | {"chunk": 700}),
    (700, 20000, TINY | {"chunk": 5000}),  # panels are closed
    (700, 20000, TINY | {"chunk": 5000, "outer": 1}),
    (997, 20000, TINY | {"chunk": 1111, "limit": 19}),  # nothing divides anything
    (3000, 90000, TINY | {"chunk": 6000, "outer": 100}),
    (20011, 200_000, {"tile": 100, "limit": 128}),
]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("n", "collisions", "layout"), LAYOUTS)
def test_a_replica_in_tiles_has_the_bits_of_the_plain_kernel(n, collisions, layout, threads):
    # two overlapping collisions exchanged, one forgotten or done twice, a word drawn twice or skipped between pieces,
    # threads or chunks: any of them changes velocities, and nothing heals them
    v, streams = group(n, seed=3)
    tiles = Tiles(n, 3, redistribute_lists, redistribute.workspace, threads=threads, **layout)
    row, stream = alone(v, streams, tiles)
    redistribute.advance(v, n, streams, collisions, *redistribute.workspace())
    tiles.advance(row, stream, collisions)
    assert np.array_equal(row[:n], v[0, :n])
    assert np.array_equal(stream, streams[:, 0])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("n", "collisions", "layout"), [LAYOUTS[1], LAYOUTS[4], LAYOUTS[5], LAYOUTS[9]])
def test_a_run_may_be_cut_anywhere(n, collisions, layout, threads):
    # what a call leaves behind in lists, pieces or the pool would be used by the next one
    v, streams = group(n, seed=4)
    tiles = Tiles(n, 3, redistribute_lists, redistribute.workspace, threads=threads, **layout)
    row, stream = alone(v, streams, tiles)
    redistribute.advance(v, n, streams, collisions, *redistribute.workspace())
    parts = [0, 1, 255, collisions // 3, 256, 0]
    for part in (*parts, collisions - sum(parts)):
        tiles.advance(row, stream, part)
    assert np.array_equal(row[:n], v[0, :n])
    assert np.array_equal(stream, streams[:, 0])


def test_tiles_serve_one_replica_after_the_other():
    # the place in the stream of the replica before would be kept
    n, tiles = 700, Tiles(700, 3, redistribute_lists, redistribute.workspace, **TINY)
    for seed in (1, 2):
        v, streams = group(n, seed)
        row, stream = alone(v, streams, tiles)
        redistribute.advance(v, n, streams, 3000, *redistribute.workspace())
        tiles.advance(row, stream, 3000)
        assert np.array_equal(row[:n], v[0, :n])


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("layout", [{}, TINY | {"chunk": 4000, "tile": 4}])
def test_sorting_in_tiles_knows_the_last_swap(layout, threads):
    # numbers counted from the chunk, the call or the replica; a number that changed the left site of its word
    n, done, collisions = 300, 17 * 2**33, 150_000
    v, streams = group(n, seed=5)
    tiles = Tiles(n, 2, sort_lists, sorting_workspace, threads=threads, numbered=True, **layout)
    row, stream = alone(v, streams, tiles)
    last = np.zeros(LANES, np.int64)
    sorting.advance(v, last, n, streams, done, collisions, *sorting.workspace())
    tiles.advance(row, stream, 90_000, done)
    tiles.advance(row, stream, collisions - 90_000, done + 90_000)
    assert np.array_equal(row[:n], v[0, :n])
    assert max(room[0][0] for room in tiles.rooms) == last[0]
    assert np.array_equal(stream, streams[:, 0])


@pytest.mark.slow
@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    balls=st.integers(5, 900),
    reach=st.sampled_from([2, 3, 4]),
    tile=st.integers(0, 12),
    chunk=st.integers(1, 3000),
    collisions=st.integers(1, 4000),
    limit=st.integers(16, 80),
    late=st.integers(1, 40),
    outer=st.integers(1, 40),
)
def test_every_collision_once_and_overlapping_ones_in_order(
    seed, balls, reach, tile, chunk, collisions, limit, late, outer
):
    # the two conditions of the proof, without any model: a word in two lists or none, an interval that is not cut on
    # the other side of a boundary, a boundary that begins anew too early, ends of panels merged the wrong way round
    streams = np.empty((4, 1), np.uint64)
    start(streams, np.uint64(seed), 0)
    log, filled = np.zeros((collisions, 4), np.int64), np.zeros(2, np.int64)
    tiles = Tiles(
        balls, reach, record_lists, lambda: (log, filled), numbered=True, tile=tile + 2 * reach, chunk=chunk, steps=16,
        limit=limit, late=late, outer=outer,
    )  # fmt: skip
    tiles.advance(np.zeros(tiles.length), streams[:, 0].copy(), collisions)
    assert np.array_equal(np.sort(log[:, 0]), np.arange(collisions))
    place = np.empty(collisions, np.int64)
    place[log[:, 0]] = np.arange(collisions)
    sites, calls, lanes = log[place, 1], log[place, 2], log[place, 3]
    latest = np.full(balls, -1)  # collision that touched the site last; so all overlapping pairs follow, by chains
    for k in range(collisions):
        touched = slice(sites[k], sites[k] + reach)
        for before in latest[touched][latest[touched] >= 0]:
            same_list = calls[before] == calls[k] and lanes[before] == lanes[k]
            assert calls[before] < calls[k] or (same_list and place[before] < place[k])
        latest[touched] = k


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**31), st.integers(0, 2**32 - 1))
def test_a_numbered_word_keeps_its_left_site(word, choices, index):
    for u in (word, -(-(word * choices >> 64) * 2**64 // choices)):  # also the first word of a left site
        numbered = int(number(np.uint64(u), np.uint64(choices), np.uint64(index)))
        assert numbered % 2**32 == index
        assert numbered * choices >> 64 == u * choices >> 64


@given(st.integers(1, 2**20), st.integers(1, 2**31 - 1), st.data())
def test_division_by_multiplication_is_exact(divisor, largest, data):
    k = data.draw(st.integers(0, largest))
    factor, shift = (int(x) for x in _quotient(divisor, largest))
    for j in {k, min(k // divisor * divisor + divisor, largest), max(k // divisor * divisor - 1, 0), largest}:
        assert (j * factor) >> shift == j // divisor
        assert j * factor < 2**64
    assert factor < 2**32  # the kernel multiplies 32-bit numbers


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_nobody_leaves_a_barrier_before_all_have_come(threads):
    counter, here, early = np.zeros(1, np.int64), [0] * threads, []
    began = threading.Barrier(threads)

    def work(me):
        began.wait()
        for meeting in range(1, 21):
            here[me] = meeting
            wait_for_all(counter, threads, meeting)
            early.extend(other for other in here if other < meeting)

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, me) for me in range(threads)]:
            future.result()
    assert not early
    assert counter[0] == (20 * threads if threads > 1 else 0)


def test_velocities_and_layouts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"balls = 2: .* at least 3"):
        Tiles(2, 3, redistribute_lists, redistribute.workspace)
    with pytest.raises(ValueError, match=r"balls = 2147483648: .*"):
        Tiles(2**31, 3, redistribute_lists, redistribute.workspace)
    with pytest.raises(ValueError, match=r"threads = 0"):
        Tiles(100, 3, redistribute_lists, redistribute.workspace, threads=0)
    tiles = Tiles(100, 3, redistribute_lists, redistribute.workspace)
    with pytest.raises(ValueError, match=r"shape \(60,\): one contiguous row of 116"):
        tiles.advance(np.zeros(60), np.ones(4, np.uint64), 1)
    with pytest.raises(ValueError, match="contiguous"):
        tiles.advance(np.zeros(232)[::2], np.ones(4, np.uint64), 1)
