"""What a solution on a uniform grid says of particles: means over their bins, and amplitudes of wave number 1."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.validation.reaction.limit import along_x, on_grid

Array = NDArray[np.float64]


def expectation(values: xr.DataArray, particles: xr.Dataset, axes: list[str]) -> Array:
    """Means over the particles' bins of a function on a uniform grid, shape (times, bins, ...).

    Exact for its trigonometric interpolant: mode k loses the factor sinc(k/bins). A function of x alone is the same in
    all bins along the other axes.
    """
    own = [axis for axis in axes if axis in values.dims]
    found = np.asarray(values.transpose("time", *own).to_numpy(), np.float64)
    for place, axis in enumerate(own, start=1):
        found = np.moveaxis(_bin_means(np.moveaxis(found, place, -1), particles.sizes[axis]), -1, place)
    for place, axis in enumerate(axes, start=1):
        if axis not in own:
            found = np.repeat(np.expand_dims(found, place), particles.sizes[axis], axis=place)
    return found


def _bin_means(values: Array, bins: int) -> Array:
    """Means over [b/bins, (b + 1)/bins) of the trigonometric interpolant of values at i/n along the last axis."""
    n = values.shape[-1]
    fine = bins * max(1, -(-n // bins))
    modes = np.fft.rfft(on_grid(values, fine), axis=-1)
    k = np.arange(modes.shape[-1])
    centred = modes * np.sinc(k / bins) * np.exp(1j * np.pi * k / bins)
    return np.asarray(np.fft.irfft(centred, n=fine, axis=-1)[..., :: fine // bins], np.float64)


def mode_of(m: xr.DataArray, axis: str = "x") -> Array:
    """2 int m cos(2 pi x) and 2 int m sin(2 pi x), shape (times, 2), or along another axis."""
    values = along_x(m, axis)
    x = np.arange(values.shape[1]) / values.shape[1]
    return np.stack([2 * (values * wave(2 * np.pi * x)).mean(axis=1) for wave in (np.cos, np.sin)], axis=1)
