"""Public helpers for kernels: random numbers of the right law, from the stream alone, and what samples show."""

import math
from itertools import pairwise

import numpy as np
import pytest
from numba import njit
from scipy import stats

from kinlim import random, statistics
from kinlim.stochastic import streams
from kinlim.stochastic.poisson import poisson as many

DRAWS = 40_000

SURE = 1e-4
"""Chance that a test of a right law fails; the seeds are fixed."""


def stream(seed=1):
    words = np.empty((4, 1), np.uint64)
    streams.start(words, np.uint64(seed), 0)
    return words[:, 0]


@njit
def drawn(kind, stream, a, count):
    found = np.empty(count)
    for k in range(count):
        if kind == 0:
            found[k] = random.uniform(stream)
        elif kind == 1:
            found[k] = random.normal(stream)
        elif kind == 2:
            found[k] = random.exponential(stream, a)
        elif kind == 3:
            found[k] = random.poisson(stream, a)
        else:
            found[k] = random.integer(stream, int(a))
    return found


@pytest.mark.parametrize(
    ("kind", "a", "law"),
    [(0, 0.0, stats.uniform()), (1, 0.0, stats.norm()), (2, 3.0, stats.expon(scale=1 / 3))],
)
def test_continuous_laws(kind, a, law):
    assert stats.kstest(drawn(kind, stream(), a, DRAWS), law.cdf).pvalue > SURE


@pytest.mark.parametrize("mean", [0.0, 0.3, 4.0, 9.9, 10.0, 250.0])
def test_poisson_numbers(mean):
    found = drawn(3, stream(), mean, DRAWS)
    assert found.mean() == pytest.approx(mean, abs=4 * math.sqrt(mean / DRAWS))
    low, high = (int(stats.poisson(mean).ppf(q)) for q in (0.02, 0.98))
    edges = [-1, *range(low, high + 1), math.inf]
    seen = np.array([((found > a) & (found <= b)).sum() for a, b in pairwise(edges)])
    expected = DRAWS * np.diff([0.0, *(stats.poisson(mean).cdf(k) for k in edges[1:])])
    if mean > 0:
        assert stats.chisquare(seen[expected > 0], expected[expected > 0]).pvalue > SURE


def test_one_poisson_number_is_what_the_kernel_for_many_draws():
    words, out = np.empty((4, 50), np.uint64), np.empty(50, np.int64)
    streams.start(words, np.uint64(7), 0)
    each = words.copy()
    for mean in (2.0, 40.0):
        many(words, mean, out)
        assert [random.poisson(each[:, lane], mean) for lane in range(50)] == out.tolist()
        assert (each == words).all()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 1000])
def test_whole_numbers_are_as_likely(n):
    found = drawn(4, stream(), n, DRAWS)
    assert stats.chisquare(np.bincount(found.astype(int), minlength=n)).pvalue > SURE or n == 1
    assert found.max() < n


def test_whole_numbers_have_no_bias():
    # of n = 3 2^30, the plain product with 32 bits would give multiples of 3 twice as often: 1/2 of all, not 1/3
    n = 3 * 2**30
    multiples = (drawn(4, stream(), n, DRAWS) % 3 == 0).mean()
    assert multiples == pytest.approx(1 / 3, abs=4 * math.sqrt(2 / 9 / DRAWS))


@njit
def chosen(stream, rates, count):
    found = np.zeros(rates.shape[0], np.int64)
    for _ in range(count):
        found[random.choice(stream, rates, rates.sum())] += 1
    return found


def test_choice_by_rate():
    rates = np.array([0.0, 2.0, 0.5, 0.0, 1.5, 0.0])
    seen = chosen(stream(), rates, DRAWS)
    assert (seen[rates == 0] == 0).all()
    assert stats.chisquare(seen[rates > 0], DRAWS * rates[rates > 0] / rates.sum()).pvalue > SURE


def test_points_on_the_circle_are_uniform():
    """A wrong arc, or one covered twice, would show in the angles; a wrong polynomial in the radius."""
    some = stream()
    points = np.array([random.circle(some) for _ in range(DRAWS)])
    assert np.hypot(*points.T) == pytest.approx(1, abs=1e-14)
    angles = np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) + 0.5
    assert stats.kstest(angles, "uniform").pvalue > SURE


def test_helpers_advance_the_stream_and_nothing_else():
    one, other = stream(), stream()
    before = one.copy()
    assert random.uniform(one) == (int(random.word(other)) >> 11) * 2.0**-53
    assert (one == other).all()
    assert (one != before).any()
    assert random.uniform(one) != random.uniform(before)


def test_block_means_histogram_and_fourier_modes():
    values = np.array([[1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 6]], np.int8)
    assert statistics.block_means(values, 3).tolist() == [[1.5, 3.5, 5.5], [0, 0, 3]]
    places = np.array([[0.1, 0.6, 0.9, 1.5], [-0.1, 0.0, 0.49, 0.5]])
    assert statistics.histogram(places, 0.0, 1.0, 2).tolist() == [[0.5, 1.0], [1.0, 0.5]]
    x = np.arange(10) / 10
    waves = np.stack([0.3 + 2 * np.cos(2 * np.pi * x) - 0.5 * np.sin(6 * np.pi * x), x * 0])
    modes = statistics.fourier(waves, 4)
    exact = np.zeros((2, 4, 2))
    exact[0, 0, 0], exact[0, 2, 1] = 2, -0.5
    assert modes == pytest.approx(exact, abs=1e-12)
