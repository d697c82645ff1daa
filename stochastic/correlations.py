"""Correlations of neighbouring sites over the ensemble, streamed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.statistic import Statistic

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LaggedCovariances(Statistic):
    """Count N, mean and, for each lag, products of deviations from the ensemble mean, summed over replicas and sites.

    Attributes:
        count: N.
        mean: shape (..., n).
        products: shape (..., lags); entry k-1 is sum over replicas and i of (v_i - mean_i)(v_(i+k) - mean_(i+k)).
    """

    count: int
    mean: Array
    products: Array

    @classmethod
    def of(cls, samples: Array, mean: Array, lags: int) -> Self:
        """Summarise samples of shape (N, n), whose means over N are given."""
        products = np.zeros(lags)
        _lag_products(samples, mean, products)
        return cls(samples.shape[0], mean, products)

    def merge(self, other: Self) -> Self:
        """Summary of the union of two disjoint samples."""
        n = self.count + other.count
        delta = other.mean - self.mean
        products = self.products + other.products
        for k in range(1, products.shape[-1] + 1):
            products[..., k - 1] += (delta[..., :-k] * delta[..., k:]).sum(axis=-1) * (self.count * other.count / n)
        return type(self)(n, self.mean + delta * (other.count / n), products)

    def variables(self) -> Mapping[str, tuple[NDArray[Any], str]]:
        """Covariances at lags 1, 2, ..., summed over the sites i of both."""
        return {"": (self.products / (self.count - 1), "covariance of sites i and i + lag, summed over i: ")}

    def correlation(self, variance: Array) -> Array:
        """Correlation at lags 1, 2, ..., shape (..., lags), given the variances, shape (..., n).

        Sites are weighted by their spread: sum_i cov(v_i, v_(i+k)) / sum_i (var v_i var v_(i+k))^(1/2). NaN where no
        site has any.
        """
        result = np.full_like(self.products, np.nan)
        for k in range(1, result.shape[-1] + 1):
            scale = np.sqrt(variance[..., :-k] * variance[..., k:]).sum(axis=-1)
            np.divide(self.products[..., k - 1] / (self.count - 1), scale, out=result[..., k - 1], where=scale > 0)
        return result


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _lag_products(samples: Array, mean: Array, products: Array) -> None:
    count, n = samples.shape
    deviation = np.empty(n)
    for r in range(count):
        for i in range(n):
            deviation[i] = samples[r, i] - mean[i]
        for k in range(1, products.shape[0] + 1):
            total = 0.0
            for i in range(n - k):
                total += deviation[i] * deviation[i + k]
            products[k - 1] += total
