"""What a sweep over M and N measures: distances, their parts and their bounds, all relative to ||h0 - 1||."""

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from kinlim.model import Datasets, Measured
from kinlim.validation.drawing import legend, png
from kinlim.validation.report import number

LASTING, EARLY = {"system": 1.0, "reservoir": -1.0}, {"system": 1.0, "reservoir": -0.5}
"""Exponents of M and N that the paper's abstract and theorem state: M/N in the long run, M/sqrt(N) before."""

PANELS = 9
"""Points of a sweep that are drawn."""


def measured(exact: xr.Dataset, comparison: xr.Dataset | None = None) -> dict[str, Measured]:
    """Long-time limits and early parts of the distance, of h0 and of the worst h0 of degree up to the highest."""
    a = exact.attrs
    size = a["resolved"]
    here = f" (degrees up to {a['highest_degree']} of h₀)" if a["unresolved"] > 0 else ""
    worst = exact["worst"].max(["frame_time", "degree"])
    paper = "the paper's abstract and theorem"
    found = {
        "plateau": Measured(a["plateau"] / size, 0, f"distance in the long run, joint law{here}", LASTING, paper),
        "plateau_worst": Measured(
            float(exact["lemma1"].max()), 0, "the same, worst h₀ (Lemma 1's ratio)", LASTING, paper
        ),
        "C": Measured(a["C"] if np.isfinite(a["C"]) else nan, 0, "the paper's C", LASTING, paper),
        "transient": Measured(a["bump"] / size, 0, f"largest transient part, joint law{here}", EARLY, paper),
        "transient_worst": Measured(float(worst.sel(part="transient")), 0, "the same, worst h₀", EARLY, paper),
        "plateau_marginal": Measured(a["plateau_marginal"] / size, 0, f"distance in the long run, system alone{here}"),
        "marginal_worst": Measured(
            float(worst.sel(part="marginal")), 0, "largest distance of the system alone, worst h₀"
        ),
    }
    if comparison is not None:
        last = comparison.isel(time=-1)
        found["simulated"] = Measured(
            float(last.sampled) / size, float(last.sampled_se) / size,
            "distance that the simulation shows at the last time, degrees 1 and 2", LASTING, paper,
        )  # fmt: skip
    return found


def overlay(
    points: Sequence[tuple[Mapping[str, Any], Datasets]],
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Draw the distance over time with the bounds, for several points; also the caption."""
    chosen = sorted(set(np.linspace(0, len(points) - 1, min(len(points), PANELS)).round().astype(int).tolist()))
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(4.3 * columns, 3.2 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    ends = []
    for axis, p in zip(axes.flat, chosen, strict=False):
        values, exact = points[p][0], points[p][1]["exact"]
        t, size = exact["frame_time"].to_numpy()[1:], exact.attrs["resolved"]
        joint, marginal = (exact["distance"].sel(part=part)[1:] / size for part in ("joint", "marginal"))
        ends.append(f"{number(float(joint[-1]))} and {number(float(marginal[-1]))} for {_named(values)}")
        axis.plot(t, joint, color="tab:blue", lw=2, label="joint law")
        axis.plot(t, marginal, color="tab:orange", lw=2, label="system alone")
        axis.plot(t, exact["bound_paper"][1:], color="tab:red", lw=1, label="the paper's bound")
        axis.plot(t, exact["bound_joint"][1:], color="0.35", lw=1, ls="--", label="√((M/N)(1 − e$^{-μt/3}$))")
        axis.plot(t, exact["bound_marginal"][1:], color="0.35", lw=1, ls="-.", label="(M/N)(1 − e$^{-μt/3}$)")
        axis.set(xscale="log", yscale="log")
        axis.grid(alpha=0.25)
        axis.set_title(_named(values), fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("time t")
    for axis in axes.flat[len(chosen) :]:
        axis.set_visible(False)
    axes[0, 0].set_ylim(bottom=1e-9)
    figure.supylabel("distance over ‖h₀ − 1‖", fontsize=10)
    legend(figure)
    figure.set_label(f"Distances over ‖h₀ − 1‖ at the last time, joint law and system alone: {'; '.join(ends)}.")
    caption = "Distance over ‖h₀ − 1‖ against time for this h₀, with the paper's bound and the sharper ones."
    return {"distances": png(figure)}, {"distances": caption}


def _named(values: Mapping[str, Any]) -> str:
    """The parameters of a point."""
    return ", ".join(f"{key.split('.')[-1]} = {value}" for key, value in values.items())
