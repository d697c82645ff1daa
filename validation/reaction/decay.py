"""Decay rates measured from time series: of one Fourier mode, of a norm, of a functional.

What decays as a sum of exponentials looks like one exponential only late. The window is chosen by the data alone: of
all those before the noise, the one in which the rate is known best, counting both its scatter and how much the rates of
its two halves disagree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, pi

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from kinlim.errors import InputError

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

FEWEST, FEWEST_OF_OSCILLATION = 4, 10
"""Points in a window."""

STARTS = 16
"""Places that are tried for the start of a window, and for its end where that is open, at most."""

SHARE = 6
"""A window has at least one of so many points: fewer agree by accident."""

FLOOR = 1e-9
"""Relative to the largest amplitude: what is smaller is rounding where no error is given."""

COMES_BACK = 1e-3
"""Relative to the largest amplitude: where no error is given, an oscillation is one that comes back to as much."""

SIGNIFICANT = 3.0
"""Standard errors by which an amplitude must differ from 0."""


@dataclass(frozen=True)
class Decay:
    """amplitude ~ exp(-rate t), or exp(-rate t) times an oscillation.

    Attributes:
        rate: per unit of time.
        uncertainty: standard error from the scatter, and disagreement of the halves of the window, added.
        frequency: angular frequency; 0 for a decay without oscillation.
        start: first time of the window.
        end: last time of it.
        points: in the window.
    """

    rate: float
    uncertainty: float
    frequency: float
    start: float
    end: float
    points: int


def rate(time: Array, amplitude: Array | Complex, error: Array | None = None) -> Decay | None:
    """Fit the late decay of an amplitude, or None where too few amplitudes are above the noise, or too few periods.

    A decay without oscillation is a line through log |amplitude|. Where |amplitude| goes up and down, the amplitude is
    fitted by exp(-rate t) (a cos(frequency t) + b sin(frequency t)): then it is the signed or complex amplitude that is
    needed, not its modulus.

    Args:
        time: increasing, shape (n,).
        amplitude: real or complex, shape (n,).
        error: standard errors of it, shape (n,).

    Raises:
        InputError: shapes do not match, an amplitude is not finite, or the times do not increase.
    """
    t, a = np.asarray(time, np.float64), np.asarray(amplitude, np.complex128)
    sd = None if error is None else np.asarray(error, np.float64)
    if t.ndim != 1 or t.shape != a.shape or (sd is not None and sd.shape != t.shape):
        shapes = ", ".join(str(part.shape) for part in (t, a, sd) if part is not None)
        raise InputError(f"time, amplitude and error must have one and the same length; their shapes are {shapes}")
    if not np.isfinite(a).all() or (np.diff(t) <= 0).any():
        raise InputError("the amplitudes must be finite and the times increase")
    noise = np.full(len(t), FLOOR * np.abs(a).max()) if sd is None else SIGNIFICANT * sd
    swings = _swings(a, noise if sd is not None else np.full(len(t), COMES_BACK / 2 * np.abs(a).max()))
    last = _until(a, noise, bool(swings))
    fewest = FEWEST_OF_OSCILLATION if swings else FEWEST
    if last < fewest:
        return None
    t, a = t[:last], a[:last]
    sd = None if sd is None else sd[:last]
    windows = _windows(last, max(fewest, last // SHARE), vary_end=sd is None and not swings)
    found = [_window(t[part], a[part], _part(sd, part), swings) for part in windows]
    best = min(found, key=lambda decay: decay.uncertainty)
    return best if best.uncertainty < inf else None


def _windows(count: int, fewest: int, vary_end: bool) -> list[slice]:
    """Where windows may lie. Without errors nobody says where the noise begins, and they may end anywhere."""
    ends = sorted(set(np.linspace(fewest, count, STARTS).astype(int).tolist())) if vary_end else [count]
    starts = sorted(set(np.linspace(0, count - fewest, STARTS).astype(int).tolist()))
    return [slice(start, end) for end in ends for start in starts if end - start >= fewest]


def _until(a: Complex, noise: Array, swings: bool) -> int:
    """How many amplitudes come before the noise: an oscillation passes through 0 and may come back."""
    loud = np.abs(a) > noise
    if swings:
        return int(np.flatnonzero(loud)[-1]) + 1 if loud.any() else 0
    return len(a) if loud.all() else int(np.argmin(loud))


def _swings(a: Complex, noise: Array) -> list[int]:
    """Where |a| has significant minima."""
    size = np.abs(a)
    middle = np.flatnonzero((size[1:-1] < size[:-2]) & (size[1:-1] < size[2:])) + 1
    return [int(i) for i in middle if size[i + 1 :].max() > size[i] + noise[i] + noise[i + 1]]


def _window(t: Array, a: Complex, sd: Array | None, swings: Sequence[int]) -> Decay:
    half = len(t) // 2 if swings or sd is None else _half(t, a, sd)
    parts = (slice(half), slice(half, None))
    if swings:
        value, scatter, frequency = _oscillation(t, a, sd)
        lasts = 2 * pi / frequency if frequency > 0 else inf
        if min(t[half] - t[0], t[-1] - t[half]) < lasts / 2:  # no half tells decay from oscillation
            return Decay(value, inf, frequency, float(t[0]), float(t[-1]), len(t))
        first, second = (_oscillation(t[part], a[part], _part(sd, part))[0] for part in parts)
    else:
        (value, scatter), frequency = _line(t, a, sd), 0.0
        first, second = (_line(t[part], a[part], _part(sd, part))[0] for part in parts)
    return Decay(value, scatter + abs(first - second), frequency, float(t[0]), float(t[-1]), len(t))


def _half(t: Array, a: Complex, sd: Array) -> int:
    """Where to part a window in two that know their rates equally well."""
    weight = (np.abs(a) / sd) ** 2

    def known(part: slice) -> float:
        centre = np.average(t[part], weights=weight[part])
        return float((weight[part] * (t[part] - centre) ** 2).sum())

    places = range(FEWEST // 2, len(t) - FEWEST // 2 + 1)
    return min(places, key=lambda place: abs(known(slice(place)) - known(slice(place, None))))


def _part(sd: Array | None, part: slice) -> Array | None:
    return None if sd is None else sd[part]


def _line(t: Array, a: Complex, sd: Array | None) -> tuple[float, float]:
    """Rate and its standard error from log |a|."""
    y = np.log(np.abs(a))
    weight = np.ones(len(t)) if sd is None else (np.abs(a) / sd) ** 2
    centre = np.average(t, weights=weight)
    spread = float((weight * (t - centre) ** 2).sum())
    slope = float((weight * (t - centre) * y).sum()) / spread
    if sd is not None:
        return -slope, float(np.sqrt(1 / spread))
    rest = y - y.mean() - slope * (t - centre)
    return -slope, float(np.sqrt((rest**2).sum() / max(1, len(t) - 2) / spread))


def _oscillation(t: Array, a: Complex, sd: Array | None) -> tuple[float, float, float]:
    """Rate, its standard error and frequency of a damped oscillation; the amplitudes are eliminated linearly."""
    size, s = np.abs(a), t - t[0]
    envelope = -float(np.polyfit(s, np.log(np.maximum(size, 1e-12 * size.max())), 1)[0])

    def residual(x: Array) -> Array:
        weight = np.exp(envelope * s) if sd is None else size.max() / sd
        basis = np.exp(-x[0] * s)[:, None] * np.column_stack([np.cos(x[1] * s), np.sin(x[1] * s)])
        left, right = basis * weight[:, None], a * weight
        rest = right - left @ np.linalg.lstsq(left, right, rcond=None)[0]
        return np.concatenate([rest.real, rest.imag]) / size.max()

    crossings = np.flatnonzero(np.diff(np.sign((a * np.conj(a[np.argmax(size)])).real)))
    guess = pi * max(len(crossings), 1) / s[-1]
    tight = {"xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-14, "x_scale": [1 / s[-1]] * 2}
    fits = [least_squares(residual, [envelope, factor * guess], **tight) for factor in (0.85, 1.15)]
    best = min(fits, key=lambda fit: fit.cost)
    variance = 2 * best.cost / max(1, 2 * len(t) - 6) if sd is None else 1.0
    covariance = np.linalg.pinv(best.jac.T @ best.jac) * variance
    return float(best.x[0]), float(np.sqrt(covariance[0, 0])), abs(float(best.x[1]))
