"""Fourier and ETDRK4 in numpy, an afternoon's work.

The scheme of Cox and Matthews, its functions by contour integrals after Kassam and Trefethen (SIAM J. Sci. Comput. 26
(2005) 1214-1233); the linear part is diffusion with the mean of the largest and the smallest coefficient.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from torus import END, Array, diffusion, factors, initial

NAME = "Fourier, ETDRK4"
OFFSET = 0.0
SETTINGS = {
    1: list(itertools.product((8, 12, 16, 24, 32), (2, 4, 8, 16, 32, 64))),
    2: list(itertools.product((8, 12, 16, 24), (4, 8, 16, 32, 64))),
    3: list(itertools.product((8, 12, 16), (4, 8, 16, 32))),
}
"""Points along an axis, and steps."""


def label(n: int, steps: int) -> str:
    """A setting in words."""
    return f"{n} points an axis, {steps} steps"


def solver(dimension: int, n: int, steps: int) -> Callable[[], Array]:
    """What makes m at the end."""
    D1, u0, h = diffusion(dimension), initial(n, dimension), END / steps
    one = np.fft.fftfreq(n, 1 / n) * 2 * np.pi
    wave = np.meshgrid(*[one] * (dimension - 1), np.fft.rfftfreq(n, 1 / n) * 2 * np.pi, indexing="ij")
    axes, inside = tuple(range(dimension)), np.ones(wave[0].shape, bool)
    for k in wave:
        inside &= np.abs(k) < np.pi * n - 1  # the highest frequency has no sign
    a, b = factors(u0)
    mean1, mean2 = (a.max() + a.min()) / 2, (b.max() + b.min()) / 2
    linear = -sum(
        (mean1 * D1[i, j] + mean2 * (i == j)) * wave[i] * wave[j] for i in range(dimension) for j in range(dimension)
    )
    steps_of = [1j * k * inside for k in wave]
    roots = np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 32)
    at = h * linear[..., None] + roots
    half = h * np.mean((np.exp(at / 2) - 1) / at, axis=-1).real
    f1 = h * np.mean((-4 - at + np.exp(at) * (4 - 3 * at + at**2)) / at**3, axis=-1).real
    f2 = h * np.mean((2 + at + np.exp(at) * (at - 2)) / at**3, axis=-1).real
    f3 = h * np.mean((-4 - 3 * at - at**2 + np.exp(at) * (4 - at)) / at**3, axis=-1).real
    whole, halfway = np.exp(h * linear), np.exp(h * linear / 2)

    def rest(v: Any) -> Any:
        m = np.fft.irfftn(v, (n,) * dimension, axes)
        slope = [np.fft.irfftn(k * v, (n,) * dimension, axes) for k in steps_of]
        a, b = factors(m)
        flux = [a * sum(D1[i, j] * slope[j] for j in range(dimension)) + b * slope[i] for i in range(dimension)]
        return sum(k * np.fft.rfftn(f) for k, f in zip(steps_of, flux, strict=True)) - linear * v

    def run() -> Array:
        v = np.fft.rfftn(u0)
        for _ in range(steps):
            n0 = rest(v)
            a = halfway * v + half * n0
            na = rest(a)
            b = halfway * v + half * na
            nb = rest(b)
            c = halfway * a + half * (2 * nb - n0)
            v = whole * v + f1 * n0 + 2 * f2 * (na + nb) + f3 * rest(c)
        return np.fft.irfftn(v, (n,) * dimension, axes)

    return run
