"""Poisson numbers: the exact law below, around and far above the mean at which the algorithm changes."""

import math

import numpy as np
import pytest
from scipy import stats

from kinlim.stochastic.poisson import SWITCH, poisson
from kinlim.stochastic.streams import start


def drawn(mean, lanes, seed=1):
    streams, out = np.empty((4, lanes), np.uint64), np.full(lanes, -1, np.int64)
    start(streams, np.uint64(seed), 0)
    poisson(streams, mean, out)
    return out


@pytest.mark.parametrize("mean", [1e-3, 0.7, SWITCH * (1 - 1e-12), SWITCH, 10.5, 31.0, 40.0, 300.0, 1e4, 1e6])
def test_the_law_is_the_exact_one(mean):
    # a constant of the rejection that is wrong, factorials that do not fit where the series begins
    numbers = drawn(mean, 400_000)
    inner = np.unique(stats.poisson.ppf(np.linspace(0.002, 0.998, 60), mean))  # upper ends of cells
    expected = len(numbers) * np.diff(np.concatenate([[0], stats.poisson.cdf(inner, mean), [1]]))
    counts = np.bincount(np.searchsorted(inner, numbers), minlength=len(expected))
    kept = expected > 5
    rest = np.array([counts[~kept].sum()]), np.array([expected[~kept].sum()])
    if rest[1][0] > 5:
        counts, expected = np.append(counts[kept], rest[0]), np.append(expected[kept], rest[1])
    else:
        expected = expected[kept] * counts[kept].sum() / expected[kept].sum()
        counts = counts[kept]
    assert stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("mean", [25.0, 1e6, 1e8, 1e9, 1e12])
def test_moments_of_large_means(mean):
    # differences of large numbers in the test of acceptance would distort the law, first its spread and skewness
    z = (drawn(mean, 400_000, seed=2) - mean) / math.sqrt(mean)
    moments = [0, 1, mean**-0.5, 3 + 1 / mean]
    exact_spread = [1, math.sqrt(2 + 1 / mean), math.sqrt(15 + 25 / mean), math.sqrt(96 + 500 / mean)]
    for k, (moment, spread) in enumerate(zip(moments, exact_spread, strict=True), start=1):
        assert (z**k).mean() == pytest.approx(moment, abs=4 * spread / math.sqrt(len(z))), k


def test_tails_are_there():
    # where only the last test of the rejection decides: 1e-4 of the law on either side
    mean = 1e6
    numbers = drawn(mean, 2_000_000, seed=3)
    for tail in (1e-4, 1e-5):
        low, high = stats.poisson.ppf(tail, mean), stats.poisson.isf(tail, mean)
        for count, p in (
            ((numbers <= low).sum(), stats.poisson.cdf(low, mean)),
            ((numbers > high).sum(), stats.poisson.sf(high, mean)),
        ):
            assert abs(count - len(numbers) * p) < 4.5 * math.sqrt(len(numbers) * p)


def test_a_mean_of_nothing_gives_nothing():
    assert not drawn(0.0, 100).any()


def test_a_stream_has_its_number_whatever_is_beside_it():
    for mean in (3.0, 50.0):
        streams = np.empty((4, 3), np.uint64)
        start(streams, np.uint64(1), 5)
        out = np.empty(3, np.int64)
        poisson(streams, mean, out)
        assert out.tolist() == drawn(mean, 8)[5:].tolist()
