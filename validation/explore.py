"""Profiles that a page shows at any time, point by point: the numbers behind its figures, few enough for a page."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from kinlim.grid import AXES
from kinlim.model import Datasets
from kinlim.rules import Rule
from kinlim.validation.drawing import plain
from kinlim.validation.standard_figures import DOTS

NUMBERS = 12_000
"""Numbers in a page, at most, unless there are very many times; each takes about eight characters."""


def profiles(rules: Sequence[Rule], compared: xr.Dataset, data: Datasets) -> dict[str, Any]:
    """Means of the particles over an axis with their standard errors, and what is expected, for explore.js.

    Means over more axes are given along the first one, section by section: one for each place on the others. Where
    there are too many points, every second, third, ... is kept, DOTS at least, and then of the sections.
    """
    drawn = [rule for rule in rules if _is_profile(rule, compared, data)]
    times = compared.sizes["time"]
    room = max(NUMBERS // (3 * times * max(len(drawn), 1)), DOTS)
    return {
        "time": _rounded(compared["time"], digits=4),
        "profiles": [_profile(rule, compared, data, room) for rule in drawn],
    }


def _is_profile(rule: Rule, compared: xr.Dataset, data: Datasets) -> bool:
    """Whether it holds means over time and space alone against others."""
    means = data[rule.particles].get(rule.name)
    return (
        means is not None
        and means.dims[:1] == ("time",)
        and bool(means.dims[1:])
        and set(means.dims[1:]) <= set(AXES)
        and f"expected_{rule.label}" in compared
    )


def _profile(rule: Rule, compared: xr.Dataset, data: Datasets, room: int) -> dict[str, Any]:
    """The numbers of a rule, at so many points at most."""
    means = data[rule.particles][rule.name]
    axis, *others = map(str, means.dims[1:])
    every = -(-means.sizes[axis] // room)
    count = int(np.prod([means.sizes[other] for other in others]))
    skipped = -(-count * -(-means.sizes[axis] // every) // room)
    places = [means[other].to_numpy() for other in others]

    def rows(values: xr.DataArray, digits: int = 6) -> Any:
        """Those of all times and sections, in this order, one row each."""
        sections = values.transpose("time", *others, axis).to_numpy().reshape(values.sizes["time"], count, -1)
        kept = sections[:, ::skipped, ::every]
        return _rounded(xr.DataArray(kept.reshape(-1, kept.shape[2]), dims=("row", axis)), digits)

    return {
        "name": rule.label,
        "about": rule.about,
        "axis": axis,
        "every": every,
        "points": means.sizes[axis],
        "sections": [
            ", ".join(f"{other} = {plain(float(place))}" for other, place in zip(others, where, strict=True))
            for where in product(*places)
        ][::skipped],
        "x": _rounded(means[axis][::every]),
        "particles": rows(means),
        "error": rows(compared[f"difference_{rule.label}_se"], digits=3),
        "expected": rows(compared[f"expected_{rule.label}"]),
    }


def _rounded(values: xr.DataArray, digits: int = 6) -> Any:
    """Lists of numbers of so many digits; None for what is no number, which JSON does not know."""
    flat = [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in values.to_numpy().ravel()]
    return flat if values.ndim == 1 else [flat[k : k + values.shape[1]] for k in range(0, len(flat), values.shape[1])]
