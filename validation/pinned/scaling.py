"""What a sweep over the pinned balls measures: how far particles and equations are apart at the last time."""

import xarray as xr

from kinlim.model import Measured


def measured(comparison: xr.Dataset) -> dict[str, Measured]:
    """Sizes of the signed gaps of mu and sigma, relative to the solution."""
    last = comparison.isel(time=-1)
    return {
        f"gap_{name}": Measured(
            abs(float(last[f"gap_{name}"])), float(last[f"gap_se_{name}"]), f"|gap| of {name}, last time"
        )
        for name in ("mu", "sigma")
    }
