"""The report of the reaction model, its numbers, and what is said of it in a terminal."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.validation.chance import sure
from kinlim.validation.reaction import facts, figures
from kinlim.validation.reaction.comparison import DENSITIES, judged, mode_of
from kinlim.validation.reaction.decay import rate
from kinlim.validation.reaction.functionals import functionals
from kinlim.validation.reaction.hypocoercivity import table
from kinlim.validation.report import embedded, model_of, number, png, render

Array = NDArray[np.float64]


def metrics(
    comparison: xr.Dataset, particles: xr.Dataset, pde: xr.Dataset, kinetic: xr.Dataset | None = None
) -> dict[str, Any]:
    """The content of metrics.json: one object per time, and what holds for all of them.

    chi2 is the mean of z^2 over bins, and over bins and times at the end: 1 +- sqrt(2/count) for noise alone.
    """
    times = []
    for t in range(comparison.sizes["time"]):
        now = comparison.isel(time=t)
        row: dict[str, Any] = {"time": float(now["time"]), "fraction": float(now["fraction"])}
        for name in DENSITIES:
            row[f"chi2_{name}"], row[f"largest_z_{name}"], _ = judged(now[f"z_{name}"].to_numpy())
        row |= {
            name: float(now[name]) if name in now else None
            for name in ("gap_m", "gap_m_largest", "gap_product", "gap_corrected")
        }
        row["mode"] = [
            {"part": str(part), **{key: float(value) for key, value in _mode(now, particles.isel(time=t), part).items()}}
            for part in particles["part"].to_numpy()
        ]
        row["conservation"] = {
            "imbalance_drift": float(particles["imbalance_drift"][t]),
            "mass_drift_pde": float(abs(pde["mass"][t] - pde["mass"][0])),
            "mass_drift_kinetic": None
            if kinetic is None
            else float(abs(kinetic["mass_difference"][t] - kinetic["mass_difference"][0])),
        }
        times.append(row)
    overall: dict[str, Any] = {}
    for name in DENSITIES:
        overall[f"chi2_{name}"], overall[f"largest_z_{name}"], overall[f"count_{name}"] = judged(
            comparison[f"z_{name}"].to_numpy()
        )
    return {
        "times": times,
        "overall": overall,
        "reference": comparison.attrs["reference"],
        "predicted_bias": float(particles.attrs["bias_dt"] + particles.attrs["bias_cells"]),
        "limit": facts.of_limit(pde),
        "kinetic": None if kinetic is None else facts.of_kinetic(kinetic),
        "decay": decay(pde, kinetic, particles),
    }


def _mode(now: xr.Dataset, particles: xr.Dataset, part: str) -> dict[str, xr.DataArray]:
    one = particles.sel(axis="x", part=part)
    return {
        "simulated": one["mode"],
        "se": one["mode_se"],
        "expected": now["expected_mode"].sel(part=part),
    }


def decay(
    pde: xr.Dataset, kinetic: xr.Dataset | None = None, particles: xr.Dataset | None = None
) -> dict[str, Any]:
    """Rates of decay: exact and bounded for the linearised system, measured where wave number 1 of m decays."""
    found = table(facts.study_of(pde).model)
    t = pde["time"].to_numpy()
    measured = {"limit": rate(t, np.hypot(*mode_of(pde["m"]).T))}
    if kinetic is not None:
        measured["kinetic"] = rate(t, np.hypot(*mode_of(kinetic["m"]).T))
    if particles is not None:
        mode, error = (particles[name].sel(axis="x").to_numpy() for name in ("mode", "mode_se"))
        size = np.hypot(*mode.T)
        spread = np.sqrt((mode**2 * error**2).sum(axis=1)) / np.maximum(size, 1e-300)
        measured["particles"] = rate(t, size, spread)
    return {"theory": found, "measured": measured}
