"""Modulated white noise, put to the test: W_i = (v_i - mu_i)/sigma_i within single runs and over the ensemble.

mu_i and sigma_i are the ensemble's mean and standard deviation at an observation time, known only when all runs are
done. A second pass over the same streams would double the work, and would have to be repeated whenever replicas are
added. Instead a few replicas (the pilot: the first ones of the ensemble) are run beforehand, and all are measured in
the frame that these give,
    U_i = (v_i - m_i)/s_i.
In the end mu_i and sigma_i are known after all, and with them the place a_i = (mu_i - m_i)/s_i and the width
b_i = sigma_i/s_i of U_i = a_i + b_i W_i. If the W_i have the density phi of N(0, 1), the histogram of the U_i over all
sites has the density mean_i phi((u - a_i)/b_i)/b_i. That is computed and subtracted, so that for the hypothesis that
is tested there is no bias at all; see `density`. What is left of it is the difference between the densities of W and
of N(0, 1), moved and widened by a_i and b_i: a part of about 1/(pilot replicas) of what is itself a difference.

Source: Section 3 of the paper, Figures 2-4.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtr

from kinlim.stochastic.moments import Moments
from kinlim.stochastic.statistic import Counts, Statistics

Array = NDArray[np.float64]

EDGES: Array = np.linspace(-6, 6, 241, dtype=np.float64)
"""Bins of W, 0.05 wide; what lies outside is counted in two bins more."""

PAIR_EDGES: Array = np.linspace(-4, 4, 41, dtype=np.float64)
"""Bins of a pair, 0.2 wide each way."""

R_EDGES: Array = np.linspace(-6, 6, 121, dtype=np.float64)
"""Bins of a correlation within a run, in units of (pairs - 1)^(-1/2), its standard deviation for independent W_i."""


ROUNDING = 1e-12
"""Spread, of the largest velocity, that collisions of equal velocities may come to by rounding."""


@dataclass(frozen=True)
class Frame:
    """Mean m and spread s of a pilot at every observation and site, shape (times, n); s = 0 where it is rounding."""

    mean: Array
    spread: Array

    @classmethod
    def of(cls, velocity: Moments) -> Self:
        """The frame that a pilot's velocities give."""
        mean, spread = velocity.mean, velocity.spread
        size = np.abs(mean).max(axis=-1, keepdims=True) + spread.max(axis=-1, keepdims=True)
        return cls(mean, np.where(spread > ROUNDING * size, spread, 0.0))

    def pairs(self, lags: int) -> NDArray[np.int64]:
        """Number of pairs of sites at distance 1 ... lags of which both have a spread, shape (times, lags)."""
        used = self.spread > 0
        return np.stack([(used[:, :-k] & used[:, k:]).sum(axis=1) for k in range(1, lags + 1)], axis=1)


def observe(v: Array, frame: Frame, observation: int, lags: int, sites: tuple[int, ...]) -> Statistics:
    """What single replicas show at one observation.

    Args:
        v: velocities, shape (replicas, n).
        frame: from the pilot. Sites without spread there are left out of everything.
        observation: which.
        lags: of correlations within a run.
        sites: left sites i, from 0, of pairs (W_i, W_(i+1)) that get a histogram of their own.

    Returns:
        w: `Counts` of U_i, all sites and replicas, shape (bins + 2,).
        pair: `Counts` of (U_i, U_(i+1)), all sites, shape (bins + 2, bins + 2).
        pair_at: `Counts` of the pairs at `sites`, shape (sites, bins + 2, bins + 2).
        within: `Moments` over the replicas of the correlation of U_i and U_(i+k) over the sites of one replica.
        within_count: `Counts` of it, shape (lags, bins + 2).
    """
    mean, spread = frame.mean[observation], frame.spread[observation]
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    missing = np.flatnonzero(spread == 0)
    pairs = frame.pairs(lags)[observation]
    w, pair = np.zeros(len(EDGES) + 1, np.int64), np.zeros((len(PAIR_EDGES) + 1,) * 2, np.int64)
    pair_at = np.zeros((len(sites), *pair.shape), np.int64)
    within, within_count = np.empty((len(v), lags)), np.zeros((lags, len(R_EDGES) + 1), np.int64)
    _measure(v, mean, scale, missing, pairs, np.array(sites, np.int64), w, pair, pair_at, within, within_count)
    return {
        "w": Counts(w),
        "pair": Counts(pair),
        "pair_at": Counts(pair_at),
        "within": Moments.of(within, 4),
        "within_count": Counts(within_count),
    }


def density(count: NDArray[np.int64], edges: Array, frame: Frame, velocity: Moments) -> tuple[Array, Array]:
    """Density of the W_i in each bin, averaged over the sites, and its standard error.

    (share of U in the bin - what the share would be if all W_i were N(0, 1) + that of N(0, 1))/(width of the bin); the
    error is that of the share, with sites taken as independent.

    Args:
        count: of U_i, shape (times, bins + 2).
        edges: of the bins.
        frame: in which U_i was measured.
        velocity: moments of the whole ensemble.

    Returns:
        Two arrays of shape (times, bins).
    """
    total = np.maximum(count.sum(axis=1), 1)
    expected = np.stack(
        [p.mean(axis=0) if len(p) else np.full(len(edges) + 1, np.nan) for p in _shares(edges, frame, velocity)]
    )
    share, normal, width = (count / total[:, None])[:, 1:-1], np.diff(ndtr(edges)), np.diff(edges)
    return (share - expected[:, 1:-1] + normal) / width, np.sqrt(share * (1 - share) / total[:, None]) / width


def pair_density(count: NDArray[np.int64], edges: Array, frame: Frame, velocity: Moments) -> Array:
    """The same for (W_i, W_(i+1)), against independent N(0, 1).

    From shape (times, bins + 2, bins + 2) to (times, bins, bins).
    """
    share = count / np.maximum(count.sum(axis=(1, 2)), 1)[:, None, None]
    normal, width = np.diff(ndtr(edges)), np.diff(edges)
    expected = np.full_like(share, np.nan)
    for t, (p, used) in enumerate(zip(_shares(edges, frame, velocity), frame.spread > 0, strict=True)):
        everywhere = np.zeros((len(used), len(edges) + 1))
        everywhere[used] = p
        if both := (used[:-1] & used[1:]).sum():
            expected[t] = everywhere[:-1].T @ everywhere[1:] / both
    return (share - expected)[:, 1:-1, 1:-1] / np.outer(width, width) + np.outer(normal / width, normal / width)


def _shares(edges: Array, frame: Frame, velocity: Moments) -> Iterator[Array]:
    """For each time, the probability of each bin of U_i if W_i is N(0, 1), shape (sites with a spread, bins + 2)."""
    for m, s, mu, sigma in zip(frame.mean, frame.spread, velocity.mean, velocity.spread, strict=True):
        used = s > 0
        place, size = ((mu - m)[used] / s[used])[:, None], (sigma[used] / s[used])[:, None]
        below = ndtr(np.divide(edges - place, size, out=np.where(edges > place, np.inf, -np.inf), where=size > 0))
        yield np.diff(np.pad(below, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1))), axis=1)


@njit(inline="always")
def _bin(u: float, low: float, per_unit: float, inner: int) -> int:
    """0 below the edges, 1 ... inner between them, inner + 1 above."""
    return int(min(max(math.floor((u - low) * per_unit) + 1.0, 0.0), inner + 1.0))


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _measure(
    v: Array,
    mean: Array,
    scale: Array,
    missing: NDArray[np.int64],
    pairs: NDArray[np.int64],
    sites: NDArray[np.int64],
    w: NDArray[np.int64],
    pair: NDArray[np.int64],
    pair_at: NDArray[np.int64],
    within: Array,
    within_count: NDArray[np.int64],
) -> None:
    """Fill the last five; `scale` is 1/s, or 0 at the sites `missing` a spread, where U is then 0."""
    replicas, n = v.shape
    u, bin_w, bin_pair = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64)
    bins, pair_bins = w.shape[0] - 2, pair.shape[0] - 2
    for r in range(replicas):
        total = squares = 0.0
        for i in range(n):
            u[i] = (v[r, i] - mean[i]) * scale[i]
            total += u[i]
            squares += u[i] * u[i]
        for i in range(n):  # apart from the counting, so that it becomes vector instructions
            bin_w[i] = _bin(u[i], -6.0, 20.0, bins)
            bin_pair[i] = _bin(u[i], -4.0, 5.0, pair_bins)
        for i in range(n):
            w[bin_w[i]] += scale[i] > 0
        for i in range(n - 1):
            pair[bin_pair[i], bin_pair[i + 1]] += scale[i] * scale[i + 1] > 0
        for j in range(sites.shape[0]):
            i = sites[j]
            if scale[i] > 0 and scale[i + 1] > 0:
                pair_at[j, bin_pair[i], bin_pair[i + 1]] += 1
        for k in range(1, within.shape[1] + 1):
            # Sums over the pairs i, i+k of which both are there: over all, less those whose partner is not.
            product, left, left2, right, right2 = 0.0, total, squares, total, squares
            for i in range(n - k):
                product += u[i] * u[i + k]
            for i in range(n - k, n):
                left -= u[i]
                left2 -= u[i] * u[i]
            for i in range(k):
                right -= u[i]
                right2 -= u[i] * u[i]
            for j in missing:
                if j >= k:
                    left -= u[j - k]
                    left2 -= u[j - k] * u[j - k]
                if j + k < n:
                    right -= u[j + k]
                    right2 -= u[j + k] * u[j + k]
            m = pairs[k - 1]
            variance = (left2 - left * left / m) * (right2 - right * right / m)
            correlation = (product - left * right / m) / math.sqrt(variance) if m > 2 and variance > 0 else math.nan
            within[r, k - 1] = correlation
            if correlation == correlation:
                within_count[k - 1, _bin(correlation * math.sqrt(m - 1.0), -6.0, 10.0, within_count.shape[1] - 2)] += 1
