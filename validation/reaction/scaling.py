"""What a sweep over epsilon (or over the number of particles) measures: distances from the limit, and noise."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from kinlim.model import Datasets, Measured
from kinlim.validation.drawing import legend, png
from kinlim.validation.reaction import facts
from kinlim.validation.reaction.limit import gaps

LEMMA = "Lemma 3.1"


def measured(data: Datasets, comparison: xr.Dataset | None = None) -> dict[str, Measured]:
    """Distances of the kinetic system from its limit at the last time, Lemma 3.1's norms, and those of particles."""
    found: dict[str, Measured] = {}
    kinetic = data.get("kinetic")
    if kinetic is not None:
        last, norms = gaps(data["pde"], kinetic, data.get("corrected")).isel(time=-1), facts.of_kinetic(kinetic)
        found |= {
            "gap_m": Measured(float(last["gap_m"]), 0, "‖ρ_f − ρ_g − m‖, last time"),
            "gap_product": Measured(float(last["gap_product"]), 0, "‖ρ_f ρ_g − 1‖, last time"),
            "local_equilibrium": Measured(
                norms["local_equilibrium"], 0, "‖√(ρ_f ρ_g) − 1‖ over all times", {"epsilon": 1.0}, LEMMA
            ),
            "perp": Measured(norms["perp"], 0, "‖(f⊥, g⊥)‖ over all times", {"epsilon": 0.0}, LEMMA),
        }
        if "gap_corrected" in last:
            found["gap_corrected"] = Measured(
                float(last["gap_corrected"]), 0, "‖ρ_f − ρ_g − m‖ with the corrected m(0), last time"
            )
    if comparison is not None:
        late = comparison.isel(time=-1)
        error = late["difference_m_se"].to_numpy()
        difference = np.where(np.isfinite(late["z_m"]), late["difference_m"], np.nan)
        found["error"] = Measured(
            float(np.sqrt(np.nanmean(difference**2))),
            float(np.sqrt(np.nanmean(error**2) / (2 * error.size))),
            f"root mean square over bins of particles − {'limit equation' if kinetic is None else 'kinetic system'}, "
            "last time",
        )
        found["noise"] = Measured(float(np.sqrt((error**2).mean())), 0, "root mean square standard error of m in a bin")
    return found


def overlay(
    points: Sequence[tuple[Mapping[str, Any], Datasets]],
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Draw the distances over time for all points that have a kinetic system; also the caption."""
    drawn = [
        (values, gaps(data["pde"], data["kinetic"], data.get("corrected")))
        for values, data in points
        if "kinetic" in data
    ]
    if not drawn:
        return {}, {}
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    for k, (values, gap) in enumerate(drawn):
        label = ", ".join(f"{key.split('.')[-1]} = {value}" for key, value in values.items())
        shade = (0.1, 0.1 + 0.7 * k / max(len(drawn) - 1, 1), 0.75)
        late = gap.isel(time=gap["time"].to_numpy() > 0)
        axes[0].plot(late["time"], late["gap_m"], "o-", ms=3, lw=1, color=shade, label=label)
        if "gap_corrected" in late:
            axes[0].plot(late["time"], late["gap_corrected"], "s--", ms=3, lw=1, color=shade)
        axes[1].plot(late["time"], late["gap_product"], "o-", ms=3, lw=1, color=shade, label=label)
    axes[0].set_title("‖ρ_f − ρ_g − m‖ (dashed: corrected m(0))", fontsize=10)
    axes[1].set_title("‖ρ_f ρ_g − 1‖", fontsize=10)
    for axis in axes:
        axis.set(xscale="log", yscale="log", xlabel="time t")
        axis.grid(alpha=0.25)
    legend(figure)
    return {"gaps": png(figure)}, {"gaps": "Distance of the kinetic system from the limit equation against time."}
