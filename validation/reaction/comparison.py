"""Particles against the kinetic system, and both against the limit equation."""

import tomllib
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.errors import InputError
from kinlim.validation.reaction.limit import along_x, gaps, on_grid

Array = NDArray[np.float64]

LEAST = 1e-6
"""Standard error in a bin, over that of Poisson's law with density 1, below which it is rounding: all counts agree."""

DENSITIES = ("rho_f", "rho_g", "m")
"""What particles, kinetic system and limit equation have in common."""

MAY_FAIL = ("entropy", "dissipated")
"""Not a number where a density is not positive, which the elements of the kinetic system cannot exclude."""

KINETIC = (
    *DENSITIES, "f", "g", "v_f", "v_g", "chi1", "chi2", "entropy", "dissipated", "mass_difference", "lowest_f",
    "highest_f", "lowest_g", "highest_g", "alignment", "perp_f", "perp_g",
)  # fmt: skip
"""Variables of the kinetic system that the report uses."""

AXES = ("x", "y", "z")


def compare(particles: xr.Dataset, pde: xr.Dataset, kinetic: xr.Dataset | None = None) -> xr.Dataset:
    """Hold particles against the kinetic system where it is solved, otherwise against the limit equation.

    z = (simulated - expected)/(standard error) for the mean densities in bins, NaN where there is no error. expected
    are means of the reference over the bins. The reference is the law of the particles as their number goes to
    infinity if it is kinetic; the limit equation differs from it at finite epsilon (docs/reaction.md).

    Args:
        particles: as `kinlim.stochastic.reaction.simulate` gives it.
        pde: as `kinlim.fem.reaction.limit.solve` gives it.
        kinetic: as `kinlim.fem.reaction.kinetic.solve` gives it.

    Returns:
        With (time, x[, y[, z]]): expected_rho_f, expected_rho_g, expected_m, z_rho_f, z_rho_g, z_m; with
        (time, part): expected_mode, z_mode, of wave number 1 along x; with (time,), if the kinetic system is there,
        what `kinlim.validation.reaction.limit.gaps` finds.

    Raises:
        InputError: they are of different physics or times, or something is missing.
    """
    _check(particles, pde, kinetic)
    axes = [axis for axis in AXES if axis in particles["m"].dims]
    reference = pde if kinetic is None else kinetic
    variables: dict[str, Any] = {}
    for name in DENSITIES:
        if name not in reference and kinetic is None:
            reference = reference.assign(_equilibrium(pde))
        expected = expectation(reference[name], particles, axes)
        error = particles[f"{name}_se"].to_numpy()
        z = np.full(error.shape, np.nan)
        known = error > LEAST * _poisson(particles, axes)
        np.divide(particles[name].transpose("time", *axes).to_numpy() - expected, error, out=z, where=known)
        variables[f"expected_{name}"] = (("time", *axes), expected, {"long_name": f"mean of {name} over a bin"})
        variables[f"z_{name}"] = (("time", *axes), z, {"long_name": f"{name}: (simulated - expected)/standard error"})
    mode = mode_of(reference["m"])
    simulated, error = (particles[key].sel(axis="x").to_numpy() for key in ("mode", "mode_se"))
    known = error > LEAST * _poisson(particles, [])
    z = np.divide(simulated - mode, error, out=np.full(error.shape, np.nan), where=known)
    variables["expected_mode"] = (("time", "part"), mode, {"long_name": "2 int m cos(2 pi x), 2 int m sin(2 pi x)"})
    variables["z_mode"] = (("time", "part"), z, {"long_name": "mode: (simulated - expected)/standard error"})
    comparison = xr.Dataset(
        variables,
        coords={name: particles[name] for name in ("time", "fraction", "part", *axes)},
        attrs={
            "title": particles.title, "model": "reaction", "replicas": particles.replicas,
            "reference": "limit equation" if kinetic is None else "kinetic system",
        },
    )  # fmt: skip
    return comparison if kinetic is None else comparison.merge(gaps(pde, kinetic), compat="no_conflicts")


def _poisson(particles: xr.Dataset, axes: list[str]) -> float:
    """Standard error of a density of 1 in a bin, were numbers of particles Poisson."""
    volume = float(np.prod([1 / particles.sizes[axis] for axis in axes]))
    return float(1 / np.sqrt(particles.attrs["per_unit"] * particles.attrs["replicas"] * volume))


def _equilibrium(pde: xr.Dataset) -> dict[str, xr.DataArray]:
    """Densities of local equilibrium: rho_f = rho(m), rho_g = 1/rho(m)."""
    return {"rho_f": pde["rho"], "rho_g": 1 / pde["rho"]}


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


def judged(z: Array) -> tuple[float | None, float | None, int]:
    """Mean of z^2, largest |z|, and how many there are."""
    there = z[np.isfinite(z)]
    return (float((there**2).mean()), float(np.abs(there).max()), there.size) if there.size else (None, None, 0)


def _check(particles: xr.Dataset, pde: xr.Dataset, kinetic: xr.Dataset | None) -> None:
    both = [f"{name}{suffix}" for name in (*DENSITIES, "mode") for suffix in ("", "_se")]
    needed = {
        "particles": (particles, [*both, "imbalance_drift"]),
        "pde": (pde, ["m", "rho", "mass", "lowest", "highest", "entropy"]),
        **({} if kinetic is None else {"kinetic": (kinetic, KINETIC)}),
    }
    there = tomllib.loads(str(particles.attrs.get("study", ""))).get("model", {})
    for name, (dataset, variables) in needed.items():
        if missing := [variable for variable in variables if variable not in dataset]:
            raise InputError(f"the {name} dataset has no variable {missing[0]}")
        for variable in variables:
            if not np.isfinite(dataset[variable]).all() and variable not in MAY_FAIL:
                raise InputError(f"the {name} dataset has values of {variable} that are no numbers")
        if not np.array_equal(dataset["time"].to_numpy(), particles["time"].to_numpy()):
            raise InputError(f"particles and the {name} dataset have different times")
        here = tomllib.loads(str(dataset.attrs.get("study", ""))).get("model", {})
        for key in here.keys() | there.keys():
            if here.get(key) != there.get(key):
                raise InputError(
                    f"particles have model.{key} = {there.get(key)!r}, the {name} dataset has {here.get(key)!r}"
                )
