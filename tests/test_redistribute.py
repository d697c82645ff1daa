"""The redistribute kernel: the paper's two steps, uniform choices, nothing gained or lost."""

import math
from fractions import Fraction

import numpy as np
import pytest
from numba import njit
from numpy.polynomial.polynomial import polyval
from scipy import stats

from kinlim.stochastic.arithmetic import mean_square, unbiased_sine_and_cosine
from kinlim.stochastic.pinned.redistribute import LANES, PAD, advance, perform, width, workspace
from kinlim.stochastic.pinned.redistribute import decode as kernel_decode
from kinlim.stochastic.streams import modulated_white_noise, start, words
from kinlim.stochastic.vectors import LENGTH, bits, load, store

SEEDS = range(1, 11)


def lanes(n, seed, first=0, mean=0.0, spread=1.0):
    """A group of replicas: velocities and streams."""
    streams, v = np.empty((4, LANES), np.uint64), np.zeros((LANES, width(n)))
    start(streams, np.uint64(seed), first)
    modulated_white_noise(streams, np.broadcast_to(mean, n).astype(float), np.broadcast_to(spread, n).astype(float), v)
    return v, streams


def decode(word, n):
    """Left site of the triple from 0, whether its left pair is sorted, and the angle: in whole numbers."""
    centre, fraction = divmod(word * (n - 2), 2**64)
    pair, rest = divmod(fraction * 2, 2**64)
    signed = (rest % 2**62) * 4
    r = (signed - 2**64 if signed >= 2**63 else signed) / 2**63
    angle = math.pi / 2 - r * math.pi / 4  # of the point (cos, sin) = (y, x)
    if rest >= 2**63:
        angle = math.pi / 2 - angle
    if rest >> 62 & 1:
        angle += math.pi
    return centre, bool(pair), angle


def collide(v, word):
    """Steps 2.1 and 2.2 as the paper writes them, for one replica: the kernel's plain twin."""
    i, left, angle = decode(word, len(v))
    a, b, d = v[i : i + 3]
    m = (a + b + d) / 3
    radius = math.sqrt(2 / 3 * ((a - m) ** 2 + (b - m) ** 2 + (d - m) ** 2))
    v[i : i + 3] = [m + radius * math.sin(angle + shift) for shift in (math.pi / 3, -math.pi / 3, math.pi)]
    pair = slice(i, i + 2) if left else slice(i + 1, i + 3)
    v[pair] = sorted(v[pair])


@pytest.mark.parametrize("n", [5, 6, 23])
def test_kernel_and_its_plain_twin_agree_event_by_event(n):
    v, streams = lanes(n, seed=4)
    twin = v[:, :n].copy()
    drawn, copy = np.empty((60, LANES), np.uint64), streams.copy()
    words(copy, drawn)
    for k in range(60):
        advance(v, n, streams, 1, *workspace())
        for lane in range(LANES):
            collide(twin[lane], int(drawn[k, lane]))
        assert v[:, :n] == pytest.approx(twin, abs=1e-13), f"collision {k}"


def test_a_run_may_be_cut_anywhere():
    # draws kept over a cut, or made ahead of it, would shift the stream
    whole, streams = lanes(12, seed=1)
    cut, cut_streams = whole.copy(), streams.copy()
    advance(whole, 12, streams, 43, *workspace())
    for part in (1, 0, 8, 2, 32):
        advance(cut, 12, cut_streams, part, *workspace())
    assert np.array_equal(whole[:, :12], cut[:, :12])
    assert np.array_equal(streams, cut_streams)


def test_the_centre_is_uniform_and_no_triple_is_favoured():
    # p-values of chi-square over the n - 2 triples, one a seed; uniform themselves if nothing is favoured
    p = [stats.chisquare(np.bincount(choices(23, seed)[0].ravel(), minlength=21)).pvalue for seed in SEEDS]
    assert min(p) > 1e-4, p
    assert stats.kstest(p, "uniform").pvalue > 1e-3, p


def test_the_angle_is_uniform():
    p = [stats.chisquare(np.histogram(choices(23, seed)[2], 96, (-np.pi, np.pi))[0]).pvalue for seed in SEEDS]
    assert min(p) > 1e-4, p
    assert stats.kstest(p, "uniform").pvalue > 1e-3, p


def test_centre_pair_and_angle_are_independent():
    # they share one word: a bit used twice would tie them together
    p = []
    for seed in SEEDS:
        site, pair, angle = choices(11, seed)
        cells = (site * 2 + pair) * 16 + ((angle + np.pi) * 8 / np.pi).astype(int) % 16
        p.append(stats.chisquare(np.bincount(cells.ravel(), minlength=9 * 2 * 16)).pvalue)
    assert min(p) > 1e-4, p
    assert stats.kstest(p, "uniform").pvalue > 1e-3, p


@njit
def _choices(drawn, n, out):
    for k in range(0, drawn.size, LENGTH):
        place, turn, first, second = kernel_decode(load(drawn, k), np.uint64(n - 2))
        store(out, k, place)
        store(out, drawn.size + k, turn)
        store(out, 2 * drawn.size + k, bits(first))
        store(out, 3 * drawn.size + k, bits(second))


def choices(n, seed, count=8000 * LANES):
    """What the kernel reads from words: left site, pair and angle."""
    _, streams = lanes(n, seed)
    drawn = np.empty((count // LANES, LANES), np.uint64)
    words(streams, drawn)
    out = np.empty((4, count), np.uint64)
    _choices(drawn, n, out)
    sign = np.where(out[1] >> 63, -1.0, 1.0)
    first, second = sign * out[2:].view(np.float64)
    site, pair = (out[0] >> 32).astype(int), (out[1] >> 1 & 1).astype(int)
    return site, pair, np.arctan2(3 * (first + second), math.sqrt(3) * (first - second))


def test_the_circle_has_no_systematic_error():
    # in rational numbers, of the rounded coefficients: 1e-17 would show after a million collisions per site
    square = Fraction(1, 36)
    sine, cosine = ([Fraction(c) for c in part] for part in unbiased_sine_and_cosine(square, terms=7))
    bias = (mean_square(sine, 1) + mean_square(cosine, 0)) / square - 1
    assert abs(bias) < 1e-19
    r = np.linspace(0, 1, 1001)
    assert r * polyval(r**2, [float(c) for c in sine]) == pytest.approx(np.sin(np.pi / 4 * r) / 6, rel=4e-16)
    assert polyval(r**2, [float(c) for c in cosine]) == pytest.approx(np.cos(np.pi / 4 * r) / 6, rel=4e-16)


def test_replicas_are_served_in_groups():
    # a group that uses its neighbour's streams or velocities would show
    v, streams = lanes(12, seed=1)
    w, others = lanes(12, seed=1, first=LANES)
    both, both_streams = np.concatenate([v, w]), np.concatenate([streams, others], axis=1)
    advance(both, 12, both_streams, 19, *workspace())
    for part, part_streams in ((v, streams), (w, others)):
        advance(part, 12, part_streams, 19, *workspace())
    assert np.array_equal(both[:, :12], np.concatenate([v, w])[:, :12])
    assert np.array_equal(both_streams, np.concatenate([streams, others], axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("longest", [0, 1, 2, 43])
def test_tiles_of_one_replica_are_the_replica(longest):
    # lanes of one replica on tiles that touch: a store beyond a triple, a list read too far or an idle lane that
    # meets somebody else's sites would show
    tile = 7
    n = LANES * tile
    rng = np.random.default_rng(longest)
    lengths = rng.integers(0, longest + 1, LANES)
    lengths[[0, LANES - 1]] = longest
    end = np.cumsum(lengths)
    site = np.repeat(np.arange(LANES) * tile, lengths) + rng.integers(0, tile - 2, end[-1])
    inside = rng.integers(0, 2**64, end[-1], dtype=np.uint64)  # the words that choose this site, evenly
    listed = np.array([int(i) * 2**64 + int(u) for i, u in zip(site, inside, strict=True)], object) // (n - 2) + 1
    listed = listed.astype(np.uint64)
    assert all(decode(int(word), n)[0] == i for word, i in zip(listed, site, strict=True))

    start_v = rng.normal(size=n)
    tiles = np.concatenate([start_v, np.full(PAD, np.nan)])
    perform(tiles, n - 2, listed, end - lengths, end, n, *workspace())
    twin = start_v.copy()
    for word in listed:
        collide(twin, int(word))
    assert tiles[:n] == pytest.approx(twin, abs=1e-13)

    alone = np.concatenate([start_v, np.full(PAD, np.nan)])  # as `advance` would: one collision after the other
    first, last = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    last[3] = len(listed)
    perform(alone, n - 2, listed, first, last, n, *workspace())
    assert np.array_equal(tiles[:n], alone[:n])


def test_listed_and_drawn_collisions_are_the_same():
    n, count = 40, 29
    v, streams = lanes(n, seed=6)
    drawn, flat = np.empty((count, LANES), np.uint64), v[3, : n + PAD].copy()
    words(streams.copy(), drawn)
    advance(v, n, streams, count, *workspace())
    begin, end = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    end[5] = count
    perform(flat, n - 2, drawn[:, 3].copy(), begin, end, n, *workspace())
    assert np.array_equal(flat[:n], v[3, :n])


def test_momentum_and_energy_are_conserved_to_rounding():
    # 10^5 collisions per site: one constant rounded the same way in every collision would give 1e-11
    v, streams = lanes(30, seed=2, mean=np.linspace(-3, 1, 30))
    before = v[:, :30].copy()
    advance(v, 30, streams, 30 * 10**5, *workspace())
    energy = (v[:, :30] ** 2).sum(axis=1) / (before**2).sum(axis=1) - 1
    assert np.abs(energy.mean()) < 1e-13
    assert np.abs(v[:, :30].sum(axis=1) - before.sum(axis=1)).max() < 1e-11


def test_velocities_of_one_size_stay_as_they_are():
    v, streams = lanes(9, seed=1, mean=2.5, spread=0.0)
    advance(v, 9, streams, 1000, *workspace())
    assert np.array_equal(v[:, :9], np.full((LANES, 9), 2.5))


def test_one_step_drift_is_theorem_2_3():
    # (2.6) with sigma = 1 + x: (n-2) <v' - v> = -sigma_x/(sqrt(pi) (n-1)) + O(n^-3), at sites that three triples touch.
    # Sorting the wrong way, or with another probability, or a radius off by a factor, changes the coefficient.
    n, groups = 21, 12000
    x = np.linspace(0, 1, n)
    sums = np.zeros((groups, n))
    room = workspace()
    for g in range(groups):
        v, streams = lanes(n, seed=7, first=g * LANES, spread=1 + x)
        before = v[:, :n].copy()
        advance(v, n, streams, 1, *room)
        sums[g] = (v[:, :n] - before).mean(axis=0)
    inner = (n - 2) * sums[:, 2:-2].mean(axis=1)
    predicted = -1 / (math.sqrt(math.pi) * (n - 1))
    error = inner.std(ddof=1) / math.sqrt(groups)
    assert abs(predicted) > 8 * error  # the test can tell it from zero
    assert inner.mean() == pytest.approx(predicted, abs=3.5 * error + n**-3)
