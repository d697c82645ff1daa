"""Profiles that a page shows at any time, point by point: the numbers behind its figures, few enough for a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from kinlim.grid import AXES
from kinlim.model import Datasets
from kinlim.rules import Rule
from kinlim.validation.standard_figures import DOTS

NUMBERS = 12_000
"""Numbers in a page, at most, unless there are very many times; each takes about eight characters."""


def profiles(rules: Sequence[Rule], compared: xr.Dataset, data: Datasets) -> dict[str, Any]:
    """Means of the particles over one axis with their standard errors, and what is expected, for explore.js.

    Where there are too many points, every second, third, ... is kept, DOTS at least.
    """
    drawn = [rule for rule in rules if _is_profile(rule, compared, data)]
    times = compared.sizes["time"]
    room = max(NUMBERS // (3 * times * max(len(drawn), 1)), DOTS)
    return {
        "time": _rounded(compared["time"], digits=4),
        "profiles": [_profile(rule, compared, data, room) for rule in drawn],
    }


def _is_profile(rule: Rule, compared: xr.Dataset, data: Datasets) -> bool:
    """Whether it holds means over time and one axis against others."""
    means = data[rule.particles].get(rule.name)
    return (
        means is not None and means.dims in {("time", axis) for axis in AXES} and f"expected_{rule.label}" in compared
    )


def _profile(rule: Rule, compared: xr.Dataset, data: Datasets, room: int) -> dict[str, Any]:
    """The numbers of a rule, at so many points at most."""
    means = data[rule.particles][rule.name]
    axis = str(means.dims[1])
    every = -(-means.sizes[axis] // room)
    thin = {axis: slice(None, None, every)}
    return {
        "name": rule.label,
        "about": rule.about,
        "axis": axis,
        "every": every,
        "points": means.sizes[axis],
        "x": _rounded(means[axis].isel(thin)),
        "particles": _rounded(means.isel(thin)),
        "error": _rounded(compared[f"difference_{rule.label}_se"].transpose("time", axis).isel(thin), digits=3),
        "expected": _rounded(compared[f"expected_{rule.label}"].transpose("time", axis).isel(thin)),
    }


def _rounded(values: xr.DataArray, digits: int = 6) -> Any:
    """Lists of numbers of so many digits; None for what is no number, which JSON does not know."""
    flat = [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in values.to_numpy().ravel()]
    return flat if values.ndim == 1 else [flat[k : k + values.shape[1]] for k in range(0, len(flat), values.shape[1])]
