"""Streamed central moments and cumulants with standard errors, of samples merged in any number.

A sample is summarised by its size, mean and sums of powers of deviations; two summaries merge into that of the union
without the data, so memory does not grow with replicas and nothing large is ever subtracted from something large.

Source: Pebay, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical
moments", Sandia report SAND2008-6212 (2008), eq (2.1) of its arbitrary-order section.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kinlim.stochastic.arithmetic import fma
from kinlim.stochastic.copying import put
from kinlim.stochastic.statistic import Statistic
from kinlim.stochastic.vectors import LENGTH, load, store

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments(Statistic):
    """Count N, mean and sums of powers of deviations sum (v - mean)^p, p = 2 ... order.

    Attributes:
        count: N, the number of samples, the same for every entry.
        mean: any shape, after `stack` with one axis more in front.
        powers: shape (..., order - 1, entries) where the mean has shape (..., entries).
    """

    count: int
    mean: Array
    powers: Array

    @classmethod
    def of(cls, samples: Array, order: int) -> Self:
        """Summarise samples of shape (N, entries) up to moments of the given order, 2 ... 8."""
        out = np.empty((order, samples.shape[1]))
        _summarise(np.ascontiguousarray(samples), out)
        return cls(samples.shape[0], out[0], out[1:])

    def merge(self, other: Self) -> Self:
        """Summary of the union of two disjoint samples.

        With a, b the shares of the two in N and delta the difference of their means, the deviations of the one move by
        -b delta and those of the other by a delta.
        """
        count = self.count + other.count
        a, b = self.count / count, other.count / count
        delta = other.mean - self.mean
        powers = self._moved(-b * delta)
        powers += other._moved(a * delta)
        return type(self)(count, self.mean + delta * b, powers)

    def _moved(self, by: Array) -> Array:
        """Sum (d + by)^p, d the deviations: by the binomial theorem sum_k C(p, k) by^k M_(p-k), M_0 = N, M_1 = 0."""
        groups = (-1, *self.powers.shape[-2:])
        result = np.empty(self.powers.shape)
        _move(float(self.count), self.powers.reshape(groups), by.reshape(-1, by.shape[-1]), result.reshape(groups))
        return result

    def variables(self) -> Mapping[str, tuple[NDArray[Any], str]]:
        """Mean and standard error; from order 4 on also the standard deviation with its own."""
        found = {"": (self.mean, ""), "_se": (self.mean_se, "standard error: ")}
        if self.order >= 4:
            found |= {
                "_sd": (self.spread, "standard deviation: "),
                "_sd_se": (self.spread_se, "standard error of the standard deviation: "),
            }
        return found

    @property
    def order(self) -> int:
        """The highest power kept."""
        return int(self.powers.shape[-2]) + 1

    def central(self, p: int) -> Array:
        """Sum (v - mean)^p, p = 2 ... order."""
        return np.asarray(self.powers[..., p - 2, :], np.float64)

    @property
    def variance(self) -> Array:
        """Unbiased estimate of the second cumulant; NaN for one sample."""
        return self._cumulant(2)

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
        k4 = self._cumulant(4) if n > 3 else np.zeros_like(k2)
        of_variance = np.maximum(2 * n * k2**2 + (n - 1) * k4, 0) / (n * (n + 1))
        return np.divide(np.sqrt(of_variance), 2 * np.sqrt(k2), out=np.zeros_like(k2), where=k2 > 0)

    @property
    def third(self) -> Array:
        """Third cumulant <d^3>, d = v - <v>: the unbiased k-statistic; NaN for fewer than three samples."""
        return self._cumulant(3)

    @property
    def third_se(self) -> Array:
        """Standard error of `third`, see `_influence`: that of the mean of d^3 - 3 mu_2 d."""
        mu = self._normalised()
        return self._influence(mu[6] - mu[3] ** 2 - 6 * mu[4] * mu[2] + 9 * mu[2] ** 3)

    @property
    def fourth(self) -> Array:
        """Fourth cumulant <d^4> - 3 <d^2>^2: the unbiased k-statistic; NaN for fewer than four samples."""
        return self._cumulant(4)

    @property
    def fourth_se(self) -> Array:
        """Standard error of `fourth`, see `_influence`: that of the mean of d^4 - 6 mu_2 d^2 - 4 mu_3 d."""
        mu = self._normalised()
        return self._influence(
            mu[8] - mu[4] ** 2 - 12 * mu[2] * (mu[6] - mu[4] * mu[2]) + 36 * mu[2] ** 2 * (mu[4] - mu[2] ** 2)
            - 8 * mu[3] * mu[5] + 16 * mu[3] ** 2 * mu[2] + 48 * mu[3] ** 2 * mu[2]
        )  # fmt: skip

    def _normalised(self) -> dict[int, Array]:
        """Moments mu_p = <d^p> of the sample, p = 2 ... order."""
        return {p: self.central(p) / self.count for p in range(2, self.order + 1)}

    def _influence(self, variance: Array) -> Array:
        """Root of the variance of an estimate's influence function over N, with sample moments for the true ones.

        A cumulant is a function of central moments; to leading order its estimate is the mean of one term a sample
        (its influence function), so no law needs to be assumed. Exact to leading order in 1/N. NaN for one sample.
        """
        return np.sqrt(np.maximum(variance, 0) / self.count) if self.count > 1 else np.full_like(self.mean, np.nan)

    def _cumulant(self, p: int) -> Array:
        """k-statistic of order p = 2, 3, 4; NaN where there are fewer than p samples."""
        n = self.count
        if n < p:
            return np.full_like(self.mean, np.nan)
        if p == 4:
            return np.asarray(
                ((n + 1) * n * self.central(4) - 3 * (n - 1) * self.central(2) ** 2) / ((n - 1) * (n - 2) * (n - 3))
            )
        return self.central(p) / (n - 1) * (n / (n - 2) if p == 3 else 1)


STRIP = 256
"""Entries merged at a time, so that their sums stay in the first cache."""


@njit(nogil=True, cache=True, error_model="numpy")
def _summarise(samples: Array, out: Array) -> None:
    """Fill `out`, shape (order, entries), with mean and sums of powers: LENGTH entries at a time, in registers."""
    count, entries = samples.shape
    order, whole = out.shape[0], entries - entries % LENGTH
    if order == 2:
        for i in range(0, whole, LENGTH):
            mean = _mean(samples, i)
            m2 = mean * 0.0
            for r in range(count):
                d = load(samples, r * entries + i) - mean
                m2 = fma(d, d, m2)
            store(out, i, mean)
            store(out, entries + i, m2)
    elif order == 8:
        for i in range(0, whole, LENGTH):
            mean = _mean(samples, i)
            m2 = m3 = m4 = m5 = m6 = m7 = m8 = mean * 0.0
            for r in range(count):
                d = load(samples, r * entries + i) - mean
                d2 = d * d
                d3, d4 = d2 * d, d2 * d2
                m2, m3, m4, m5 = m2 + d2, m3 + d3, m4 + d4, fma(d4, d, m5)
                m6, m7, m8 = fma(d3, d3, m6), fma(d4, d3, m7), fma(d4, d4, m8)
            store(out, i, mean)
            store(out, entries + i, m2)
            store(out, 2 * entries + i, m3)
            store(out, 3 * entries + i, m4)
            store(out, 4 * entries + i, m5)
            store(out, 5 * entries + i, m6)
            store(out, 6 * entries + i, m7)
            store(out, 7 * entries + i, m8)
    else:
        whole = 0
    for i in range(whole, entries):  # the rest, and other orders
        out[:, i] = 0.0
        for r in range(1, count):
            out[0, i] += samples[r, i] - samples[0, i]
        out[0, i] = samples[0, i] + out[0, i] * (1.0 / count)
        for r in range(count):
            power = d1 = samples[r, i] - out[0, i]
            for p in range(1, order):
                power *= d1
                out[p, i] += power


@njit(inline="always")
def _mean(samples: Array, i: int) -> Any:
    """Means of entries i ... i + LENGTH - 1, counted from the first sample: equal samples have no spread at all."""
    count, entries = samples.shape
    first = load(samples, i)
    total = first * 0.0
    for r in range(1, count):
        total = total + (load(samples, r * entries + i) - first)
    return fma(total, 1.0 / count, first)


@njit(nogil=True, cache=True, error_model="numpy")
def _move(count: float, powers: Array, by: Array, result: Array) -> None:
    """Fill `result`, shape (groups, order - 1, entries): see `Moments._moved`.

    M_p += by M_(p-1) for p = order ... j + 1, for each j = 0, 1, ... in turn, adds up to the binomial coefficients.
    """
    groups, last, entries = powers.shape
    m = np.empty((last + 2, STRIP))
    for g in range(groups):
        for begin in range(0, entries, STRIP):
            width = min(STRIP, entries - begin)
            m[0, :width] = count
            m[1, :width] = 0.0
            put(m[2:, :width], powers[g, :, begin : begin + width])
            u = by[g, begin : begin + width]
            for j in range(last + 1):
                for p in range(last + 1, j, -1):
                    for i in range(width):
                        m[p, i] += u[i] * m[p - 1, i]
            put(result[g, :, begin : begin + width], m[2:, :width])
