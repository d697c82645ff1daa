"""Are the velocities modulated white noise, v_i = mu_i + sigma_i W_i with independent N(0, 1) variables W_i?

Source: Section 3 of the paper, Figures 2 and 3.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtr

from kinlim.validation.profiles import ratio

Array = NDArray[np.float64]

SELDOM = 1.95
"""N^(1/2) times the KS distance that N independent samples exceed once in a thousand times (Kolmogorov's law)."""

COUNTED = 100
"""Samples expected in a bin from which on it counts in chi-square."""


def normal(w: Array) -> Array:
    """Density of N(0, 1) averaged over each of the equally wide bins with centres w."""
    half = (w[1] - w[0]) / 2
    return np.asarray((ndtr(w + half) - ndtr(w - half)) / (2 * half), np.float64)


def kolmogorov_smirnov(w: Array, density: Array) -> float:
    """Largest distance at a bin's edge of the distribution function of binned samples from that of N(0, 1)."""
    width = w[1] - w[0]
    return float(np.abs(_below(w, density) - ndtr(w + width / 2)).max())


def anderson_darling(w: Array, density: Array) -> float:
    """A^2/N = int (F - Phi)^2/(Phi (1 - Phi)) dPhi of binned samples, F between edges by the mean of both."""
    width = w[1] - w[0]
    edges = np.append(w[0] - width / 2, w + width / 2)
    gap = np.append(0.0, _below(w, density)) - ndtr(edges)
    middle, mass = (gap[1:] + gap[:-1]) / 2, np.diff(ndtr(edges))
    phi = ndtr(w)
    return float((middle**2 / np.maximum(phi * ndtr(-w), 1e-300) * mass).sum())


def _below(w: Array, density: Array) -> Array:
    """Part of the samples up to each bin's right edge; half of those outside all bins are taken to lie on each side."""
    mass = density * (w[1] - w[0])
    return np.asarray((1 - mass.sum()) / 2 + np.cumsum(mass), np.float64)


def anisotropy(w: Array, density: Array, wave: int) -> float:
    """Mean of cos(wave theta) over binned pairs, theta their angle, less that of independent N(0, 1): 0 if isotropic.

    Its standard error is (2 N)^(-1/2) for N independent pairs.
    """
    width = w[1] - w[0]
    mass = ndtr(w + width / 2) - ndtr(w - width / 2)
    angle = np.arctan2(w[None, :], w[:, None])
    return float(((density * width**2 - np.outer(mass, mass)) * np.cos(wave * angle)).sum())


def null_deviation(sigma: Array, lag: int, replicas: int) -> Array:
    """Standard deviation of a correlation over the ensemble, were sites independent; shape (...,) for (..., sites)."""
    weight = sigma[..., :-lag] * sigma[..., lag:]
    return ratio(np.sqrt((weight**2).sum(axis=-1)), weight.sum(axis=-1)) / np.sqrt(replicas - 1)


def judged(particles: xr.Dataset, time: int = -1) -> dict[str, float | int] | None:
    """What one time, by default the last, says of (2.5); None where W was not recorded, or nothing spreads.

    ks, ad: as above, with ks_noise, what KS exceeds once in a thousand times by noise, were all samples independent.
    correlation_z: largest |correlation over the ensemble| over its null standard deviation, of `lags` of them.
    anisotropy: of wave number 4, with its standard error; 2 would be another measure of correlations.
    """
    last = particles.isel(time=time)
    if "w_density" not in particles or not last["w_samples"] > 0 or not np.isfinite(last["correlation"]).all():
        return None
    w, density, samples = last["w"].to_numpy(), last["w_density"].to_numpy(), float(last["w_samples"])
    sigma, lags = last["sigma"].to_numpy(), last["lag"].to_numpy()
    z = []
    for k, rho in zip(lags, last["correlation"].to_numpy(), strict=True):
        z.append(abs(rho) / null_deviation(sigma, int(k), int(particles.attrs["replicas"])))
    return {
        "ks": kolmogorov_smirnov(w, density),
        "ks_noise": SELDOM / samples**0.5,
        "ad": anderson_darling(w, density),
        "correlation_z": float(max(z)),
        "largest_lag": int(lags[int(np.argmax(z))]),
        "lags": len(z),
        "anisotropy": anisotropy(last["w_left"].to_numpy(), last["pair_density"].to_numpy(), 4),
        "anisotropy_se": (2 * float(last["pair_samples"])) ** -0.5,
        "samples": samples,
    }


def measure(particles: xr.Dataset) -> dict[str, Array]:
    """Distances of a simulation from white noise, arrays over the times; nothing where W was not recorded.

    w_distance              half the integral of |f - phi|, f the density of W over all sites and replicas: how much of
                            it would have to be moved;
    w_distance_noise        what sampling noise alone gives for it: half the sum of (2/pi)^(1/2) s_j over the bins;
    w_chi2                  mean of ((f_j - phi_j)/s_j)^2 over the bins with at least COUNTED samples expected: 1 if
                            noise is all there is, were sites and replicas independent;
    correlation_within      of neighbours within a run, mean over the runs, and _se, its standard error;
    correlation_within_sd   standard deviation over the runs, and _null_sd, (pairs - 1)^(-1/2), that of independent W.
    """
    if "w_density" not in particles:
        return {}
    w, f, s = (particles[name].to_numpy() for name in ("w", "w_density", "w_density_se"))
    phi, width = normal(w), float(w[1] - w[0])
    counted = phi * width * particles["w_samples"].to_numpy()[:, None] > COUNTED
    z2 = np.divide(f - phi, s, out=np.zeros_like(f), where=counted & (s > 0)) ** 2
    first = particles.isel(lag=0)
    pairs = first["correlation_within_pairs"].to_numpy()
    return {
        "w_distance": np.abs(f - phi).sum(axis=1) * width / 2,
        "w_distance_noise": s.sum(axis=1) * width / 2 * np.sqrt(2 / np.pi),
        "w_chi2": z2.sum(axis=1) / np.maximum(counted.sum(axis=1), 1),
        **{
            name: first[name].to_numpy()
            for name in ("correlation_within", "correlation_within_se", "correlation_within_sd")
        },
        "correlation_within_null_sd": 1 / np.sqrt(np.maximum(pairs - 1, 1)),
    }
