"""How far a field of means is from a solution, and how much of that is sampling noise, as numbers for each time."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BEYOND = 3.0
"""Standard errors from which on a difference at a point counts in L1: noise does that at 3 points of 1000."""


def distances(difference: Array, error: Array, solution: Array) -> dict[str, Array]:
    """Sizes of a difference d beside its standard errors s and the solution u, per time.

        rel_l2        = (sum d^2 / sum u^2)^(1/2),
        rel_l2_noise  = (sum s^2 / sum u^2)^(1/2), what sampling alone would give for rel_l2,
        rel_l2_excess = ((sum d^2 - sum s^2) / sum u^2)^(1/2), 0 where the noise exceeds the difference: what is left
                        of rel_l2 for the model (and the solver) once the noise is taken out,
        rel_l2_excess_se, its standard error: Var(sum d^2 - sum s^2) = sum 2 s^4 + 4 b^2 s^2 for independent Gaussian
                        points of bias b, with b^2 estimated by max(d^2 - s^2, 0); it means little near 0,
        excess_z      = (sum d^2 - sum s^2) / (2 sum s^4)^(1/2), about N(0, 1) if noise is all there is: the test,
        chi2          = mean of z^2 over the points with s > 0, z = d/s: 1 +- (2/points)^(1/2) if noise is all there is,
        z_rms         = chi2^(1/2),
        l1_excess     = mean over the points of |d| where it exceeds BEYOND standard errors, and of 0 elsewhere, and
                        l1_excess_se, its standard error. Smaller differences do not count.

    Args:
        difference: particles minus solution, shape (times, points).
        error: standard errors of the particles' means.
        solution: at the same points.
    """
    size, noise = _norm(solution), _norm(error)
    surplus = _norm(difference) ** 2 - noise**2
    excess = np.sqrt(np.maximum(surplus, 0))
    bias2 = np.maximum(difference**2 - error**2, 0)
    variance = (2 * error**4 + 4 * bias2 * error**2).sum(axis=1)
    known = error > 0
    z2 = np.divide(difference, error, out=np.zeros_like(error), where=known) ** 2
    beyond = np.abs(difference) > BEYOND * error
    chi2 = ratio(z2.sum(axis=1), known.sum(axis=1).astype(float))
    return {
        "rel_l2": ratio(_norm(difference), size),
        "rel_l2_noise": ratio(noise, size),
        "rel_l2_excess": ratio(excess, size),
        "rel_l2_excess_se": np.where(excess > 0, ratio(np.sqrt(variance), 2 * excess * size), 0.0),
        "excess_z": ratio(surplus, np.sqrt(2 * (error**4).sum(axis=1))),
        "chi2": chi2,
        "z_rms": np.sqrt(chi2),
        "l1_excess": np.where(beyond, np.abs(difference), 0).mean(axis=1),
        "l1_excess_se": _norm(np.where(beyond, error, 0)) / difference.shape[1],
    }


def changes(difference: Array, error: Array, solution: Array, change: Array) -> dict[str, Array]:
    """Signed numbers along the solution u and along its change since time 0, u - u_0, per time.

    gap           = sum d u / sum u^2, the signed size of the difference along the solution, and gap_se,
    moved         = (sum (u - u_0)^2 / sum u^2)^(1/2), how far the solution has come since time 0,
    response      = sum (u + d - u_0)(u - u_0) / sum (u - u_0)^2, the part of the predicted change that the
                    particles have made: 1 if they agree; and response_se. Where little has moved, a small rel_l2
                    says little, and this is the number to look at.
    """
    size2, moved2 = _norm(solution) ** 2, _norm(change) ** 2
    return {
        "gap": ratio((difference * solution).sum(axis=1), size2),
        "gap_se": ratio(_norm(error * solution), size2),
        "moved": ratio(np.sqrt(moved2), np.sqrt(size2)),
        "response": 1 + ratio((difference * change).sum(axis=1), moved2),
        "response_se": ratio(_norm(error * change), moved2),
    }


def speeds(difference: Array, error: Array, change: Array) -> dict[str, Array]:
    """Speed of the particles over that of the solution, minus 1, per time: the a for which u(t (1 + a)) fits best.

    change is t du/dt, so that a solution of another speed is u + a change to first order. Weighted by the standard
    errors s,
        speed    = sum (change d / s^2) / sum (change / s)^2,
        speed_se = (sum (change / s)^2)^(-1/2); a relative error of SURE of these would be seen.
    NaN where nothing changes. Points are taken as independent.
    """
    weight = np.divide(1, error, out=np.zeros_like(error), where=error > 0)
    information = ((change * weight) ** 2).sum(axis=1)
    return {
        "speed": ratio((change * difference * weight**2).sum(axis=1), information),
        "speed_se": np.sqrt(ratio(np.ones_like(information), information)),
    }


def ratio(numerator: Array, denominator: Array) -> Array:
    """Divide; NaN where the denominator is 0, since nothing can be said relative to nothing."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def _norm(values: Array) -> Array:
    return np.sqrt((values**2).sum(axis=1))
