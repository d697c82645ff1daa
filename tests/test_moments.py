"""Streamed statistics: the numbers of the whole sample, however it was cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinlim.stochastic.moments import LaggedCovariances, Moments

RNG = np.random.default_rng(5)
# far from 0 and skewed: naive sums of powers would lose the variance, a wrong sign in m3 would show
SAMPLE = 1e6 + RNG.exponential(size=(2, 300, 7)) * np.arange(1, 8)


def merged(cuts):
    parts = np.split(SAMPLE, sorted(cuts), axis=1)
    moments = [Moments.of(np.ascontiguousarray(part)) for part in parts if part.shape[1]]
    total = moments[0]
    for part in moments[1:]:
        total = total.merge(part)
    return total


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=6))
def test_any_cut_gives_the_moments_of_the_whole(cuts):
    total = merged(cuts)
    assert total.count == 300
    assert total.mean == pytest.approx(SAMPLE.mean(axis=1), rel=3e-14)  # 300 additions, 1e-16 each
    for p, m in ((2, total.m2), (3, total.m3), (4, total.m4)):
        # deviations are exact to 1e6 * 1e-16, relative to a spread of about 1
        assert m == pytest.approx(((SAMPLE - SAMPLE.mean(axis=1, keepdims=True)) ** p).sum(axis=1), rel=1e-8)


def test_standard_errors_have_the_size_of_the_scatter():
    # 400 experiments of 500 draws from a skewed law: the scatter of mean and spread is what their errors say
    sample = RNG.gamma(2.0, size=(400, 500, 1))
    moments = Moments.of(sample)
    for estimate, error in ((moments.mean, moments.mean_se), (moments.spread, moments.spread_se)):
        ratio = estimate.std(ddof=1) / np.sqrt((error**2).mean())
        assert ratio == pytest.approx(1, abs=4 / np.sqrt(2 * 400) + 0.05)  # 4 standard errors, and O(1/500) bias
    gaussian = moments.spread / np.sqrt(2 * 499)
    assert (moments.spread_se / gaussian).mean() > 1.3  # kurtosis 6: the Gaussian formula would be wrong by 1.58


@pytest.mark.parametrize("count", [5, 20])
def test_the_error_of_the_spread_is_unbiased_in_small_samples(count):
    # the plain fourth moment would be 30 % too small for 20 samples
    moments = Moments.of(RNG.normal(size=(40000, count, 1)))
    of_variance = (moments.spread_se * 2 * moments.spread) ** 2
    assert of_variance.mean() == pytest.approx(2 / (count - 1), rel=0.03)  # exact; 40000 samples know it to 1 %


def test_few_samples_have_the_error_of_a_gaussian():
    moments = Moments.of(np.array([[[0.0], [1.0]]]))
    assert moments.spread_se[0, 0] == pytest.approx(np.sqrt(2 * 0.5**2 / 3) / (2 * np.sqrt(0.5)))


def test_no_spread_has_no_error():
    constant = Moments.of(np.full((1, 10, 3), 2.5))
    assert constant.spread.tolist() == [[0, 0, 0]]
    assert constant.spread_se.tolist() == [[0, 0, 0]]


def test_lagged_covariances_of_cut_samples():
    sample = RNG.normal(size=(3, 200, 40))
    sample[:, :, 1:] += 0.5 * sample[:, :, :-1]
    whole = None
    for part in np.split(sample, [31, 32, 150], axis=1):
        one = LaggedCovariances.of(part, part.mean(axis=1), 3)
        whole = one if whole is None else whole.merge(one)
    assert whole is not None
    deviation = sample - sample.mean(axis=1, keepdims=True)
    for k in (1, 2, 3):
        expected = (deviation[:, :, :-k] * deviation[:, :, k:]).sum(axis=1)
        assert whole.products[:, k - 1, :-k] == pytest.approx(expected, rel=1e-10, abs=1e-10)
        assert not whole.products[:, k - 1, -k:].any()
    variance = sample.var(axis=1, ddof=1)
    covariance = sum(np.cov(sample[0, :, i], sample[0, :, i + 1])[0, 1] for i in range(39))
    weight = np.sqrt(variance[0, :-1] * variance[0, 1:]).sum()
    assert whole.correlation(variance)[0, 0] == pytest.approx(covariance / weight, rel=1e-12)


def test_sites_without_spread_do_not_count_in_the_correlation():
    sample = RNG.normal(size=(1, 50, 6))
    sample[:, :, :3] = 1.0
    covariances = LaggedCovariances.of(sample, sample.mean(axis=1), 4)
    correlation = covariances.correlation(sample.var(axis=1, ddof=1))
    assert np.isfinite(correlation[0, :2]).all()
    assert np.isnan(correlation[0, 2:]).all()  # no pair at that distance has spread
