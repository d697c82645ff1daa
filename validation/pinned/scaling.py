"""What a sweep over the pinned balls measures: how far particles and equations are apart at the last time."""

from collections.abc import Mapping, Sequence

import xarray as xr

from kinlim.errors import InputError
from kinlim.validation.sweep import Measured, Value


def measured(
    pde: xr.Dataset, *, particles: xr.Dataset | None = None, comparison: xr.Dataset | None = None
) -> dict[str, Measured]:
    """Sizes of the signed gaps of mu and sigma, relative to the solution.

    Raises:
        InputError: there are no particles.
    """
    if comparison is None:
        raise InputError("study.model = 'pinned': a sweep measures particles against equations, so it needs both")
    last = comparison.isel(time=-1)
    return {
        f"gap_{name}": Measured(
            abs(float(last[f"gap_{name}"])), float(last[f"gap_se_{name}"]), f"|gap| of {name}, last time"
        )
        for name in ("mu", "sigma")
    }


def overlay(
    points: Sequence[tuple[Mapping[str, Value], Sequence[xr.Dataset]]],
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Nothing is drawn besides."""
    return {}, {}
