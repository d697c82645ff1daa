"""Power laws: exponents of a measured quantity in the parameters of a sweep, with confidence intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, stdtrit

Array = NDArray[np.float64]

CONFIDENCE = 0.95

RARE = 1e-3
"""Probability below which a scatter about the fit is not put down to noise."""


@dataclass(frozen=True)
class PowerLaw:
    """y = exp(constant) prod_k x_k^exponent_k, fitted to the logarithms.

    Attributes:
        exponents: shape (parameters,).
        half_widths: of their confidence intervals; NaN where as many points as unknowns leave none.
        local: smallest and largest slope between neighbouring points that differ in one parameter only, shape
            (parameters, 2); NaN where there are none.
        last: that slope where the parameters are nearest their limit, shape (parameters,).
        points: how many were fitted.
        by_noise: whether the errors explain how far the points are from the law; None for exact numbers, or as many
            points as unknowns.
    """

    exponents: Array
    half_widths: Array
    local: Array
    last: Array
    points: int
    by_noise: bool | None = None


def fit(x: Array, y: Array, error: Array, down: Sequence[bool] | None = None) -> PowerLaw | None:
    """Fit a power law by least squares, or None where fewer points are positive than there are unknowns.

    Points count with the weight (y/error)^2, all alike where one of them has no error. The covariance of the result is
    scaled with the scatter about the fit, except that with errors it is never scaled down: so for exact numbers the
    interval says how far they are from one power law, and for measured ones noise is in it too. Student's t gives the
    interval.

    Args:
        x: positive parameters, shape (points, parameters), none of them the same everywhere.
        y: shape (points,); those that are not positive are left out.
        error: standard errors of y, shape (points,), 0 for none.
        down: of each parameter, whether its limit is 0; otherwise, and by default, it is infinity.
    """
    good = np.isfinite(y) & (y > 0)
    x, y, error = np.log(x[good]), y[good], error[good]
    unknowns = x.shape[1] + 1
    design = np.column_stack([x, np.ones(len(y))])
    if len(y) < unknowns or np.linalg.matrix_rank(design) < unknowns:
        return None
    known = bool((error > 0).all())
    weight = y / error if known else np.ones(len(y))
    scaled = design * weight[:, None]
    solution = np.linalg.lstsq(scaled, np.log(y) * weight, rcond=None)[0]
    free = len(y) - unknowns
    half, by_noise = np.full(unknowns - 1, np.nan), None
    if free:
        scatter = float((((np.log(y) - design @ solution) * weight) ** 2).sum()) / free
        by_noise = bool(chdtrc(free, free * scatter) > RARE) if known else None
        covariance = np.linalg.inv(scaled.T @ scaled) * (max(scatter, 1.0) if known else scatter)
        half = stdtrit(free, (1 + CONFIDENCE) / 2) * np.sqrt(np.diag(covariance)[:-1])
    sign = np.ones(x.shape[1]) if down is None else np.where(down, -1.0, 1.0)
    local, last = _slopes(x, np.log(y), sign)
    return PowerLaw(np.asarray(solution[:-1], np.float64), half, local, last, len(y), by_noise)


def _slopes(x: Array, log_y: Array, sign: Array) -> tuple[Array, Array]:
    """Slopes between neighbours along each parameter: smallest and largest, and that where sign * x is largest."""
    local, last = np.full((x.shape[1], 2), np.nan), np.full(x.shape[1], np.nan)
    for k in range(x.shape[1]):
        others = np.delete(x, k, axis=1)
        slopes = []
        for row in np.unique(others, axis=0):
            line = np.flatnonzero((others == row).all(axis=1))
            line = line[np.argsort(x[line, k])]
            slopes += [
                (
                    tuple(row * np.delete(sign, k)),
                    max(sign[k] * x[a, k], sign[k] * x[b, k]),
                    (log_y[b] - log_y[a]) / (x[b, k] - x[a, k]),
                )
                for a, b in pairwise(line)
                if x[b, k] > x[a, k]
            ]
        if slopes:
            values = [slope for *_, slope in slopes]
            local[k] = min(values), max(values)
            last[k] = max(slopes)[2]
    return local, last
