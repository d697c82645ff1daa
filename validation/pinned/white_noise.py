"""Are the velocities modulated white noise, v_i = mu_i + sigma_i W_i with independent N(0, 1) variables W_i?

Source: Section 3 of the paper, Figures 2 and 3.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

COUNTED = 100
"""Samples expected in a bin from which on it counts in chi-square."""


def normal(w: Array) -> Array:
    """Density of N(0, 1) averaged over each of the equally wide bins with centres w."""
    half = (w[1] - w[0]) / 2
    return np.asarray((ndtr(w + half) - ndtr(w - half)) / (2 * half), np.float64)


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
