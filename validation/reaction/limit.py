"""How far the kinetic system is from its limit: ||rho_f - rho_g - m|| and ||rho_f rho_g - 1||, time by time."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]


def on_grid(values: Array, points: int) -> Array:
    """A periodic function on a grid i/n along the last axis, on the grid i/points: its trigonometric interpolant.

    Shape (..., n) becomes (..., points). Nothing is lost where points >= n.
    """
    n = values.shape[-1]
    if n == points:
        return values
    modes = np.fft.rfft(values, axis=-1) / n
    kept = min(n, points) // 2 + 1
    spectrum = np.zeros((*values.shape[:-1], points // 2 + 1), complex)
    spectrum[..., :kept] = modes[..., :kept]
    if n < points and n % 2 == 0:
        spectrum[..., n // 2] /= 2  # the highest mode stands for both signs
    return np.asarray(np.fft.irfft(spectrum * points, n=points, axis=-1), np.float64)


def norm(values: Array) -> Array:
    """L2 norm over the torus of functions on a uniform grid, shape (times, points, ...): shape (times,)."""
    return np.asarray(np.sqrt((values.reshape(len(values), -1) ** 2).mean(axis=1)), np.float64)


def gaps(pde: xr.Dataset, kinetic: xr.Dataset, corrected: xr.Dataset | None = None) -> xr.Dataset:
    """Distances of the kinetic system from the limit equation, dims (time,).

    gap_m = ||rho_f - rho_g - m||, gap_m_largest its maximum over x, gap_product = ||rho_f rho_g - 1||, all in L2 of the
    torus; gap_corrected is gap_m for the solution that starts from the corrected initial datum, where there is one
    (`kinlim.fem.reaction.layer`).

    Args:
        pde: as `kinlim.fem.reaction.limit.solve` gives it, in the dimension of the kinetic solution, or a higher one
            where it depends on x only.
        kinetic: as `kinlim.fem.reaction.kinetic.solve` gives it.
        corrected: the limit equation from the corrected initial datum, where the data have a flux.
    """
    m = kinetic["m"].to_numpy()
    difference = m - _as_in(pde["m"], kinetic["m"])
    product = kinetic["rho_f"].to_numpy() * kinetic["rho_g"].to_numpy() - 1
    found = {
        "gap_m": (norm(difference), "L2 distance of rho_f - rho_g from the limit m"),
        "gap_m_largest": (
            np.abs(difference).reshape(len(m), -1).max(axis=1),
            "largest distance of rho_f - rho_g from the limit m",
        ),
        "gap_product": (norm(product), "L2 norm of rho_f rho_g - 1"),
    }
    if corrected is not None:
        found["gap_corrected"] = (
            norm(m - _as_in(corrected["m"], kinetic["m"])),
            "L2 distance from the limit with the corrected initial datum",
        )
    return xr.Dataset(
        {name: ("time", values, {"long_name": what}) for name, (values, what) in found.items()},
        coords={"time": kinetic["time"], "fraction": kinetic["fraction"]},
    )


def _as_in(values: xr.DataArray, other: xr.DataArray) -> Array:
    """A function of (time, x, ...) on the grid of another, which may depend on fewer coordinates."""
    found = values.mean([name for name in values.dims if name not in other.dims]).transpose(*other.dims).to_numpy()
    for axis, points in enumerate(other.shape[1:], start=1):
        found = np.moveaxis(on_grid(np.moveaxis(found, axis, -1), points), -1, axis)
    return np.asarray(found, np.float64)


def along_x(values: xr.DataArray, axis: str = "x") -> Array:
    """Means of a function of (time, x, ...) over all but time and one axis, shape (times, n)."""
    rest = [name for name in values.dims if name not in ("time", axis)]
    return np.asarray(values.mean(rest).transpose("time", axis).to_numpy(), np.float64)
