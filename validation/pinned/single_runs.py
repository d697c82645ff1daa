"""Is one run modulated white noise? Statistics of W along a run, and how seldom independent N(0, 1) exceed them.

Source: Section 3 of the paper, Figures 2 to 4, where W_i = (v_i - mu_i)/sigma_i of runs is looked at. Every statistic
is held against its law for independent N(0, 1), which is simulated, so that one rule serves all of them.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import binom

Array = NDArray[np.float64]

LAGS = 50
"""Distances at which correlations are looked for; less than half of the sites where there are few."""

DRAWS = 4000
"""White noises that give the laws of the statistics: probabilities down to 1/4000."""

TESTS: Mapping[str, str] = {
    "ks": "histogram, Kolmogorov and Smirnov",
    "ad": "histogram, Anderson and Darling",
    "lags": f"largest of the correlations at distances 1 to {LAGS}",
    "pairs_2": "isotropy of pairs, wave 2",
    "pairs_4": "isotropy of pairs, wave 4",
}
"""Statistics and what they look at."""

LEVEL, CHANCE = 0.01, 1e-3
"""White noise is rejected for a run at LEVEL, and for all runs where so many rejections have less than CHANCE."""


def statistics(w: Array) -> dict[str, Array]:
    """The statistics of `TESTS`, large where W is no white noise, each of shape (runs,).

    ks: largest |F - Phi|. ad: Anderson and Darling's A^2. lags: the largest |sum W_i W_(i+k)|/(n - k)^(1/2). pairs_m:
    |mean e^(i m theta)| of the angles theta of the pairs (W_1, W_2), (W_3, W_4), ...

    Args:
        w: shape (runs, n).
    """
    n = w.shape[1]
    u = np.sort(ndtr(w), axis=1)
    steps = np.arange(n + 1) / n
    ks = np.maximum(steps[1:] - u, u - steps[:-1]).max(axis=1)
    safe = np.clip(u, 1e-300, 1 - 2**-53)
    weight = 2 * np.arange(1, n + 1) - 1
    ad = -n - (weight * (np.log(safe) + np.log1p(-safe[:, ::-1]))).sum(axis=1) / n
    far = range(1, min(LAGS, n // 2) + 1)
    products = [np.abs((w[:, k:] * w[:, :-k]).sum(axis=1)) / np.sqrt(n - k) for k in far]
    even = 2 * (n // 2)
    angle = np.arctan2(w[:, 1:even:2], w[:, :even:2])
    found = {f"pairs_{m}": np.abs(np.exp(1j * m * angle).mean(axis=1)) for m in (2, 4)}
    return {"ks": ks, "ad": ad, "lags": np.max(products, axis=0), **found}


def p_values(w: Array) -> dict[str, Array]:
    """How often white noise of as many sites has statistics as large, each of shape (runs,).

    Args:
        w: shape (runs, n).
    """
    null = _null(w.shape[1])
    return {
        name: (1 + DRAWS - np.searchsorted(null[name], values)) / (1 + DRAWS) for name, values in statistics(w).items()
    }


@cache
def _null(n: int) -> dict[str, Array]:
    """The statistics of DRAWS white noises on n sites, each in increasing order."""
    found = statistics(np.random.default_rng(0).standard_normal((DRAWS, n)))
    return {name: np.sort(values) for name, values in found.items()}


def beyond_chance(rejected: int, runs: int, looks: int = 1) -> bool:
    """Whether white noise would be rejected so often with less than CHANCE, in any of so many looks."""
    return bool(binom.sf(rejected - 1, runs, LEVEL) < CHANCE / looks)
