"""The sorting kernel: (2.1)-(2.2) to the bit, uniform pairs, and the number of the last swap."""

import numpy as np
import pytest
from scipy import stats

from kinlim.stochastic.pinned.redistribute import LANES, PAD, width
from kinlim.stochastic.pinned.sorting import STEPS, advance, perform, workspace
from kinlim.stochastic.streams import modulated_white_noise, start, words

SEEDS = range(1, 11)


def replicas(n, seed, count=LANES):
    """Velocities, numbers of the last swap and streams."""
    streams, v = np.empty((4, count), np.uint64), np.zeros((count, width(n)))
    start(streams, np.uint64(seed), 0)
    modulated_white_noise(streams, np.zeros(n), np.ones(n), v)
    return v, np.zeros(count, np.int64), streams


def drawn(streams, count):
    """The next `count` words of every stream, which stays where it is."""
    out = np.empty((count, streams.shape[1]), np.uint64)
    words(streams.copy(), out)
    return out


def collide(v, word):
    """(2.1)-(2.2) for one replica, the kernel's plain twin. Returns whether anything was swapped."""
    x = word * (len(v) - 1) >> 64
    swapped = v[x] > v[x + 1]
    v[x], v[x + 1] = min(v[x], v[x + 1]), max(v[x], v[x + 1])
    return swapped


@pytest.mark.parametrize(("n", "count"), [(2, LANES), (5, 3 * LANES), (23, LANES)])
def test_kernel_and_its_plain_twin_agree_event_by_event(n, count):
    # several groups of lanes too: a group that took its neighbour's rows, streams or last swaps would differ
    v, last, streams = replicas(n, seed=4, count=count)
    twin, twin_last = v[:, :n].copy(), last.copy()
    sequence = drawn(streams, 60)
    for k in range(60):
        advance(v, last, n, streams, k, 1, *workspace())
        for r in range(count):
            if collide(twin[r], int(sequence[k, r])):
                twin_last[r] = k + 1
        assert np.array_equal(v[:, :n], twin), f"collision {k}"
        assert np.array_equal(last, twin_last), f"collision {k}"


def test_a_run_may_be_cut_anywhere():
    # draws kept over a cut would shift the stream; a last swap counted within the call would start again from 1
    whole, last, streams = replicas(12, seed=1, count=2 * LANES)
    cut, cut_last, cut_streams = whole.copy(), last.copy(), streams.copy()
    advance(whole, last, 12, streams, 0, 5 * STEPS + 3, *workspace())
    done = 0
    for part in (1, STEPS, 2 * STEPS + 1, 0, 2 * STEPS + 1):
        advance(cut, cut_last, 12, cut_streams, done, part, *workspace())
        done += part
    assert np.array_equal(whole, cut)
    assert np.array_equal(last, cut_last)
    assert np.array_equal(streams, cut_streams)
    assert last.max() > 3 * STEPS + 2  # there were swaps after the last cut


def test_velocities_are_only_rearranged_and_padding_is_not_touched():
    n = 30
    v, last, streams = replicas(n, seed=2)
    v[:, n:] = np.nan
    before = v.copy()
    for k in range(20):
        advance(v, last, n, streams, 37 * k, 37, *workspace())
        assert np.array_equal(np.sort(v[:, :n]), np.sort(before[:, :n]))
    assert np.isnan(v[:, n:]).all()


def test_the_last_swap_is_the_collision_after_which_all_is_sorted():
    # known without a twin: sorted after `last` collisions, not after `last` - 1, and `last` stays from then on
    n, end = 9, 2000
    v, last, streams = replicas(n, seed=3)
    again, _, from_start = v.copy(), last.copy(), streams.copy()
    advance(v, last, n, streams, 0, end, *workspace())
    assert np.array_equal(v[:, :n], np.sort(v[:, :n]))
    finished = last.copy()
    advance(v, last, n, streams, end, end, *workspace())
    assert np.array_equal(last, finished)
    for k in range(end):
        unsorted = (np.diff(again[:, :n]) < 0).any(axis=1)
        assert np.array_equal(unsorted, k < finished), f"after {k} collisions"
        advance(again, np.zeros(LANES, np.int64), n, from_start, k, 1, *workspace())


def test_equal_velocities_are_no_swap():
    # >= for > would count, and would go on counting for ever
    v, last, streams = replicas(9, seed=1)
    v[:] = 2.5
    advance(v, last, 9, streams, 0, 1000, *workspace())
    assert not last.any()


def test_pairs_are_uniform():
    # on decreasing velocities the first collision shows its pair; an end left out or favoured has p near 0
    n, p = 24, []
    for seed in SEEDS:
        count, rounds = 8 * LANES, 40
        _, last, streams = replicas(n, seed, count)
        seen = np.zeros(n - 1, int)
        for _ in range(rounds):
            v = np.tile(np.arange(width(n), 0, -1.0), (count, 1))
            advance(v, last, n, streams, 0, 1, *workspace())
            seen += (np.diff(v[:, :n]) > 0).sum(axis=0)
        assert seen.sum() == count * rounds
        p.append(stats.chisquare(seen).pvalue)
    assert min(p) > 1e-4, p
    assert stats.kstest(p, "uniform").pvalue > 1e-3, p


@pytest.mark.parametrize("kind", [np.uint32, np.int64])
def test_perform_does_what_advance_does(kind):
    # one replica's collisions dealt out to lanes by site, in lists of different lengths, some of them empty
    n, count, done = 3 * LANES + 1, 4000, 7 * 2**32
    v, _, streams = replicas(n, seed=6)
    sequence = drawn(streams, count)[:, 0]
    sites = np.array([int(word) * (n - 1) >> 64 for word in sequence])
    mine = sites % 3 != 2  # lane l has sites 3l .. 3l+2; collisions across two lanes are left out
    order = np.argsort(sites[mine] // 3, kind="stable")
    dealt, when = sequence[mine][order], np.flatnonzero(mine)[order]
    bounds = np.searchsorted(sites[mine][order] // 3, np.arange(LANES + 1))
    begin, end = bounds[:-1].copy(), bounds[1:].copy()
    begin[5] = end[5] = 0
    end[-1] = begin[-1] + 1
    kept = np.concatenate([np.arange(b, e) for b, e in zip(begin, end, strict=True)])
    twin = v[0, :n].copy()
    swapped = [done + 1 + j for j in np.sort(when[kept]) if collide(twin, int(sequence[j]))]
    flat = np.concatenate([v[0, :n], np.arange(PAD, 0, -1.0)])
    arguments = (n - 1, dealt, when.astype(kind), begin, end, done, n, *workspace())
    assert perform(flat, *arguments) == swapped[-1]
    assert np.array_equal(flat[:n], twin)
    begin[:] = end
    assert perform(flat, *arguments) == 0  # nobody has anything to do


def test_perform_on_one_lane_is_advance_on_one_row():
    # every collision, in order, on lane 17: swaps, their last number and the velocities are those of `advance`
    n, count = 23, 500
    v, last, streams = replicas(n, seed=8)
    sequence = np.ascontiguousarray(drawn(streams, count)[:, 0])
    flat = np.concatenate([v[0, :n], np.zeros(PAD)])
    begin, end = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    end[17] = count
    latest = perform(flat, n - 1, sequence, np.arange(count, dtype=np.uint32), begin, end, 10, n, *workspace())
    advance(v, last, n, streams, 10, count, *workspace())
    assert np.array_equal(flat[:n], v[0, :n])
    assert latest == last[0]
    assert perform(flat, n - 1, sequence[:0], np.zeros(0, np.uint32), begin, begin, 10, n, *workspace()) == 0
