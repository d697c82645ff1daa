"""Streamed statistics: central moments up to the fourth, and lagged covariances, of samples merged in any number.

A sample is summarised by its size, mean and sums of powers of deviations; two summaries merge into that of the union
without the data, so memory does not grow with replicas and nothing large is ever subtracted from something large.

Source: Pebay, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical
moments", Sandia report SAND2008-6212 (2008), eqs (3.1)-(3.3) of its arbitrary-order section.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Count N, mean and sums of powers of deviations m_p = sum (v - mean)^p, p = 2, 3, 4, all of one shape.

    Attributes:
        count: N, the number of samples, the same for every entry.
        mean: any shape.
        m2: the same shape.
        m3: the same shape.
        m4: the same shape.
    """

    count: int
    mean: Array
    m2: Array
    m3: Array
    m4: Array

    @classmethod
    def of(cls, samples: Array) -> Self:
        """Summarise samples of shape (groups, N, n) along their middle axis, to shape (groups, n)."""
        out = np.empty((4, samples.shape[0], samples.shape[2]))
        _summarise(samples, out)
        return cls(samples.shape[1], *out)

    def merge(self, other: Self) -> Self:
        """Summary of the union of two disjoint samples."""
        a, b = self.count, other.count
        n = a + b
        delta = other.mean - self.mean
        d2 = delta * delta
        m2 = self.m2 + other.m2 + d2 * (a * b / n)
        m3 = self.m3 + other.m3 + delta * (d2 * (a * b * (a - b) / n**2) + (a * other.m2 - b * self.m2) * (3 / n))
        m4 = (
            self.m4
            + other.m4
            + d2 * (d2 * (a * b * (a * a - a * b + b * b) / n**3) + (a * a * other.m2 + b * b * self.m2) * (6 / n**2))
            + delta * (a * other.m3 - b * self.m3) * (4 / n)
        )
        return type(self)(n, self.mean + delta * (b / n), m2, m3, m4)

    @property
    def variance(self) -> Array:
        """Unbiased estimate m2/(N-1)."""
        return self.m2 / (self.count - 1)

    @property
    def mean_se(self) -> Array:
        """Standard error of the mean."""
        return np.sqrt(self.variance / self.count)

    @property
    def spread(self) -> Array:
        """Standard deviation, the root of `variance`."""
        return np.sqrt(self.variance)

    @property
    def spread_se(self) -> Array:
        """Standard error of `spread` from the fourth moment, with no assumption of a Gaussian.

        The unbiased estimate of Var(s^2) is (2 N k2^2 + (N-1) k4)/(N (N+1)) with the k-statistics k2 = s^2 and k4; the
        root divides it by (2 s)^2 to leading order in 1/N. Three samples or fewer have no k4: 0, that of a Gaussian.

        Source: Kenney and Keeping, "Mathematics of Statistics", part two (1951), on k-statistics.
        """
        n, k2 = self.count, self.variance
        k4 = np.zeros_like(k2)
        if n > 3:
            k4 = ((n + 1) * n * self.m4 - 3 * (n - 1) * self.m2**2) / ((n - 1) * (n - 2) * (n - 3))
        of_variance = np.maximum(2 * n * k2**2 + (n - 1) * k4, 0) / (n * (n + 1))
        return np.divide(np.sqrt(of_variance), 2 * np.sqrt(k2), out=np.zeros_like(k2), where=k2 > 0)


@dataclass(frozen=True)
class LaggedCovariances:
    """Count N, mean and sums of products of deviations at sites i and i+k.

    Attributes:
        count: N.
        mean: shape (groups, n).
        products: shape (groups, lags, n); entry [g, k-1, i] is sum (v_i - mean_i)(v_(i+k) - mean_(i+k)), and 0 where
            i + k >= n.
    """

    count: int
    mean: Array
    products: Array

    @classmethod
    def of(cls, samples: Array, mean: Array, lags: int) -> Self:
        """Summarise samples of shape (groups, N, n), whose means over N are given."""
        groups, count, n = samples.shape
        products = np.zeros((groups, lags, n))
        _lag_products(samples, mean, products)
        return cls(count, mean, products)

    def merge(self, other: Self) -> Self:
        """Summary of the union of two disjoint samples."""
        n = self.count + other.count
        delta = other.mean - self.mean
        products = self.products + other.products
        for k in range(1, products.shape[1] + 1):
            products[:, k - 1, :-k] += delta[:, :-k] * delta[:, k:] * (self.count * other.count / n)
        return type(self)(n, self.mean + delta * (other.count / n), products)

    def correlation(self, variance: Array) -> Array:
        """Correlation at lags 1, 2, ..., shape (groups, lags), given the variances, shape (groups, n).

        Sites are weighted by their spread: sum_i cov(v_i, v_(i+k)) / sum_i (var v_i var v_(i+k))^(1/2). NaN where no
        site has any.
        """
        groups, lags, _ = self.products.shape
        result = np.full((groups, lags), np.nan)
        for k in range(1, lags + 1):
            scale = np.sqrt(variance[:, :-k] * variance[:, k:]).sum(axis=1)
            covariance = self.products[:, k - 1, :-k].sum(axis=1) / (self.count - 1)
            np.divide(covariance, scale, out=result[:, k - 1], where=scale > 0)
        return result


@njit(nogil=True, cache=True, error_model="numpy")
def _summarise(samples: Array, out: Array) -> None:
    groups, count, n = samples.shape
    for g in range(groups):
        mean, m2, m3, m4 = out[0, g], out[1, g], out[2, g], out[3, g]
        mean[:] = 0.0
        m2[:] = 0.0
        m3[:] = 0.0
        m4[:] = 0.0
        for r in range(count):
            for i in range(n):
                mean[i] += samples[g, r, i]
        for i in range(n):
            mean[i] /= count
        for r in range(count):
            for i in range(n):
                d = samples[g, r, i] - mean[i]
                d2 = d * d
                m2[i] += d2
                m3[i] += d2 * d
                m4[i] += d2 * d2


@njit(nogil=True, cache=True, error_model="numpy")
def _lag_products(samples: Array, mean: Array, products: Array) -> None:
    groups, count, n = samples.shape
    deviation = np.empty(n)
    for g in range(groups):
        for r in range(count):
            for i in range(n):
                deviation[i] = samples[g, r, i] - mean[g, i]
            for k in range(1, products.shape[1] + 1):
                for i in range(n - k):
                    products[g, k - 1, i] += deviation[i] * deviation[i + k]
