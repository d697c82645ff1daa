"""Streamed statistics: the numbers of the whole sample, however it was cut, and errors of the right size."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinlim.stochastic.correlations import LaggedCovariances
from kinlim.stochastic.moments import Moments

RNG = np.random.default_rng(5)
# far from 0 and skewed: naive sums of powers would lose the variance, a wrong sign in an odd power would show
SAMPLE = 1e6 + RNG.exponential(size=(300, 7)) * np.arange(1, 8)


def merged(cuts):
    parts = np.split(SAMPLE, sorted(cuts))
    moments = [Moments.of(np.ascontiguousarray(part), 8) for part in parts if len(part)]
    total = moments[0]
    for part in moments[1:]:
        total = total.merge(part)
    return total


@settings(max_examples=25)
@given(st.lists(st.integers(0, 300), max_size=6))
def test_any_cut_gives_the_moments_of_the_whole(cuts):
    total = merged(cuts)
    assert total.count == 300
    assert total.mean == pytest.approx(SAMPLE.mean(axis=0), rel=3e-14)  # 300 additions, 1e-16 each
    for p in range(2, 9):
        # deviations are exact to 1e6 * 1e-16, relative to a spread of about 1
        assert total.central(p) == pytest.approx(((SAMPLE - SAMPLE.mean(axis=0)) ** p).sum(axis=0), rel=1e-8)


@pytest.mark.parametrize("order", [2, 4, 8])
def test_stacked_moments_merge_like_single_ones(order):
    # an axis taken for another would mix times
    parts = [[Moments.of(RNG.normal(size=(n, 5)), order) for _ in range(3)] for n in (10, 17)]
    stacked = Moments.stack(parts[0]).merge(Moments.stack(parts[1]))
    for t in range(3):
        single = parts[0][t].merge(parts[1][t])
        assert np.array_equal(stacked.mean[t], single.mean)
        assert stacked.powers[t] == pytest.approx(single.powers, rel=1e-14)


@pytest.mark.parametrize("name", ["mean", "spread", "third", "fourth"])
def test_standard_errors_have_the_size_of_the_scatter(name):
    # 2000 experiments of 4000 draws from a skewed law (gamma, 9): a wrong coefficient in an influence function shows
    moments = Moments.of(RNG.gamma(9.0, size=(4000, 2000)) - 9, 8)
    estimate, error = getattr(moments, name), getattr(moments, f"{name}_se")
    ratio = estimate.std(ddof=1) / np.sqrt((error**2).mean())
    # 4 standard errors of the scatter (its own kurtosis is small), 3 % for O(1/N) and heavy tails of the eighth moment
    assert ratio == pytest.approx(1, abs=4 / np.sqrt(2 * 2000) + 0.03)


@pytest.mark.parametrize(("name", "known"), [("variance", 9.0), ("third", 18.0), ("fourth", 54.0)])
def test_cumulants_of_the_gamma_law(name, known):
    # shape k: variance k, third cumulant 2 k, fourth 6 k
    moments = Moments.of(RNG.gamma(9.0, size=(50, 20000)), 4)
    estimate = getattr(moments, name)  # unbiased, however small the sample
    assert estimate.mean() == pytest.approx(known, abs=4 * estimate.std() / np.sqrt(20000))


def test_errors_of_gaussian_cumulants():
    # sqrt(6/N) sigma^3 and sqrt(24/N) sigma^4, Kendall and Stuart; a million draws know them to 1 %
    moments = Moments.of(3 * RNG.normal(size=(10**6, 1)), 8)
    assert moments.third_se[0] == pytest.approx(27 * np.sqrt(6e-6), rel=0.02)
    assert moments.fourth_se[0] == pytest.approx(81 * np.sqrt(24e-6), rel=0.02)


@pytest.mark.parametrize("count", [5, 20])
def test_the_error_of_the_spread_is_unbiased_in_small_samples(count):
    # the plain fourth moment would be 30 % too small for 20 samples
    moments = Moments.of(RNG.normal(size=(count, 40000)), 4)
    of_variance = (moments.spread_se * 2 * moments.spread) ** 2
    assert of_variance.mean() == pytest.approx(2 / (count - 1), rel=0.03)  # exact; 40000 samples know it to 1 %


def test_few_samples_have_the_error_of_a_gaussian():
    moments = Moments.of(np.array([[0.0], [1.0]]), 8)
    assert moments.spread_se[0] == pytest.approx(np.sqrt(2 * 0.5**2 / 3) / (2 * np.sqrt(0.5)))
    assert np.isnan(moments.third[0])
    assert np.isnan(moments.fourth[0])


def test_no_spread_has_no_error():
    constant = Moments.of(np.full((10, 3), 2.5), 8)
    for name in ("spread", "spread_se", "third", "third_se", "fourth", "fourth_se"):
        assert getattr(constant, name).tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e6 + 0.1])
def test_equal_samples_have_no_spread_at_all(value):
    # a mean that is off by one rounding, or a merge of such, would be a spread
    parts = [Moments.of(np.full((n, 19), value), 8) for n in (3, 17, 256)]
    total = parts[0].merge(parts[1]).merge(parts[2])
    assert total.mean.tolist() == [value] * 19
    assert not total.powers.any()


def test_one_replica_has_a_mean_and_nothing_more():
    # blocks of one are what huge replicas come in
    one = Moments.of(np.array([[1.0, 2.0]]), 8)
    assert np.isnan(one.variance).all()
    two = one.merge(Moments.of(np.array([[3.0, 2.0]]), 8))
    assert two.variance.tolist() == [2, 0]


def test_lagged_covariances_of_cut_samples():
    sample = 5 + RNG.normal(size=(200, 40))
    sample[:, 1:] += 0.5 * sample[:, :-1]
    parts = [LaggedCovariances.of(part, part.mean(axis=0), 3) for part in np.split(sample, [31, 32, 150])]
    whole = reduce(LaggedCovariances.merge, parts)
    variance = sample.var(axis=0, ddof=1)
    for k in (1, 2, 3):
        covariance = sum(np.cov(sample[:, i], sample[:, i + k])[0, 1] for i in range(40 - k))
        weight = np.sqrt(variance[:-k] * variance[k:]).sum()
        assert whole.correlation(variance)[k - 1] == pytest.approx(covariance / weight, rel=1e-11)
    stacked = LaggedCovariances.stack([parts[0], parts[0]]).merge(LaggedCovariances.stack([parts[1], parts[1]]))
    assert stacked.products[1] == pytest.approx(parts[0].merge(parts[1]).products, rel=1e-13)


def test_sites_without_spread_do_not_count_in_the_correlation():
    sample = RNG.normal(size=(50, 6))
    sample[:, :3] = 1.0
    covariances = LaggedCovariances.of(sample, sample.mean(axis=0), 4)
    correlation = covariances.correlation(sample.var(axis=0, ddof=1))
    assert np.isfinite(correlation[:2]).all()
    assert np.isnan(correlation[2:]).all()  # no pair at that distance has spread
