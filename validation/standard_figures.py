"""Figures of any model: means against a solution, numbers over time, a solution over space and time."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kinlim.grid import AXES
from kinlim.model import Datasets

if TYPE_CHECKING:
    from kinlim.rules import Means, Numbers

COLUMNS = 6
"""Panels side by side; of more times, this many are drawn, first and last among them."""

DOTS = 60
"""Points drawn as dots, so that the line below them stays visible; differences show all."""

PARTICLES, SOLUTION = "tab:red", "tab:blue"

CURVES = 8
"""Numbers that are drawn over time, the largest ones."""

WIDE = 30.0
"""Last over first time from which on times are drawn on a logarithmic axis."""


def profile(rule: "Means | Numbers", compared: xr.Dataset, data: Datasets) -> Figure:
    """Draw means of particles on what is expected of them, and their difference with twice its error below."""
    particles = data[rule.particles][rule.name]
    axes = [axis for axis in AXES if axis in particles.dims]
    if len(axes) > 1:
        return _profile_as_maps(rule, compared, particles, axes)
    times = shown(compared)
    figure = Figure(figsize=(2.7 * len(times) + 1, 5), layout="constrained")
    upper, lower = figure.subplots(2, len(times), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 2))
    x = particles[axes[0]].to_numpy()
    every = -(-len(x) // DOTS)
    for top, below, t in zip(upper, lower, times, strict=True):
        top.plot(x, compared[f"expected_{rule.label}"][t], color=SOLUTION, lw=1.4, label="expected")
        top.plot(x[::every], particles[t][::every], "o", ms=2.6, color=PARTICLES, label="particles")
        band = 2 * compared[f"difference_{rule.label}_se"][t].to_numpy()
        below.fill_between(x, -band, band, color="0.8", lw=0, label="± 2 standard errors of the difference")
        below.plot(x, compared[f"difference_{rule.label}"][t], color=PARTICLES, lw=0.6)
        below.axhline(0, color="0.3", lw=0.6)
        chi2 = float(compared[f"chi2_{rule.label}"][t])
        text = f"χ² per point {chi2:.3g}" if chi2 < 1000 else f"χ² per point {chi2:,.0f}"
        below.text(0.5, 0.03, f"{text} (noise: 1)", transform=below.transAxes, fontsize=8, ha="center")
        below.margins(y=0.15)
        top.set_title(f"t = {float(compared.time[t]):.3g}", fontsize=10)
        below.set_xlabel(axes[0])
    upper[0].set_ylabel(rule.label)
    lower[0].set_ylabel("particles − expected")
    _scientific(lower[0])
    labels = [axis.get_legend_handles_labels() for axis in (upper[0], lower[0])]
    handles = [handle for some, _ in labels for handle in some]
    figure.legend(
        handles,
        [text for _, some in labels for text in some],
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    return figure


def _profile_as_maps(rule: "Means | Numbers", compared: xr.Dataset, particles: xr.DataArray, axes: list[str]) -> Figure:
    """Particles, expected and difference over its standard error at the last time; in the middle of a third axis."""
    error = compared[f"difference_{rule.label}_se"]
    panels = {
        "particles": particles.isel(time=-1),
        "expected": compared[f"expected_{rule.label}"].isel(time=-1),
        "difference / standard error": (compared[f"difference_{rule.label}"] / error.where(error > 0)).isel(time=-1),
    }
    low, high = (float(f(panels["expected"])) for f in (np.min, np.max))
    figure = Figure(figsize=(13, 4), layout="constrained")
    for axis, (title, values) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        limits = {"vmin": -5, "vmax": 5, "cmap": "RdBu_r"} if title.startswith("diff") else {"vmin": low, "vmax": high}
        image = axis.pcolormesh(*flat(values, axes), shading="nearest", **limits)
        axis.set(xlabel=axes[0], ylabel=axes[1], aspect="equal")
        axis.set_title(f"{title}, t = {float(compared.time[-1]):.3g}", fontsize=10)
        figure.colorbar(image, ax=axis, shrink=0.85)
    return figure


def numbers(rule: "Numbers", compared: xr.Dataset, data: Datasets) -> Figure:
    """Draw the largest of the numbers over time, of particles with twice their error, and a histogram of all z."""
    value, error, expected, z = (
        values.stack(entry=values.dims[1:]) if values.ndim > 1 else values.expand_dims("entry", axis=1)
        for values in (
            data[rule.particles][rule.name],
            data[rule.particles][f"{rule.name}_se"],
            compared[f"expected_{rule.label}"],
            compared[f"z_{rule.label}"],
        )
    )
    t = compared["time"].to_numpy()
    figure = Figure(figsize=(13, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    largest = np.argsort(-np.abs(expected.to_numpy()).max(axis=0), kind="stable")[:CURVES]
    for k, entry in enumerate(largest):
        left.plot(t, expected[:, entry], color=f"C{k}", lw=1)
        left.errorbar(
            t, value[:, entry], 2 * error[:, entry], fmt="o", ms=3, lw=1, color=f"C{k}",
            label=_name_of(expected, int(entry)),
        )  # fmt: skip
    spread_out = t[t > 0].size > 1 and t[-1] > WIDE * t[t > 0][0]
    left.set(xlabel="time t", ylabel=rule.label, title="dots: particles ± 2 standard errors; lines: expected")
    left.set_xscale("symlog" if spread_out else "linear", **({"linthresh": t[t > 0][0]} if spread_out else {}))
    if expected.sizes["entry"] > 1:
        left.legend(fontsize=8, frameon=False, ncols=2)
    x, there = np.linspace(-4.5, 4.5, 200), z.to_numpy()[np.isfinite(z.to_numpy())]
    if there.size:
        right.hist(np.clip(there, -4.5, 4.5), bins=[k / 4 for k in range(-18, 19)], density=True, color="0.8")
    right.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color="0.2", lw=1)
    right.set(xlabel="z = (particles − expected)/(standard error)", title=f"{there.size} z, and N(0, 1)")
    return figure


def _name_of(values: xr.DataArray, entry: int) -> str:
    """What the coordinates call an entry of a stacked array."""
    if "entry" not in values.coords:
        return ""
    names = values["entry"].to_numpy()[entry]
    return ", ".join(map(str, names)) if isinstance(names, tuple) else str(names)


def field(dataset: xr.Dataset, name: str) -> Figure:
    """Draw an unknown and its change over space and time in one dimension; maps at some times beyond."""
    axes = [axis for axis in AXES if axis in dataset[name].dims]
    if len(axes) > 1:
        return _maps(dataset, name, axes)
    x, t = dataset["frame_x"].to_numpy(), dataset["frame_time"].to_numpy()
    values = dataset[f"frame_{name}"].to_numpy()
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = ((values, name, "viridis"), (values - values[0], f"change of {name} since time 0", "RdBu_r"))
    for axis, (shades, title, colors) in zip(figure.subplots(1, 2, sharex=True, sharey=True), panels, strict=True):
        largest = float(np.abs(shades).max()) or 1.0
        limits: dict[str, Any] = {"vmin": -largest, "vmax": largest} if colors == "RdBu_r" else {}
        if len(t) > 1:
            image = axis.pcolormesh(x, t, shades, cmap=colors, shading="gouraud", rasterized=True, **limits)
            figure.colorbar(image, ax=axis)
            axis.set_ylabel("time t")
        else:
            axis.plot(x, shades[0])
        axis.set_title(title, fontsize=11)
        axis.set_xlabel(axes[0])
    return figure


def _maps(dataset: xr.Dataset, name: str, axes: list[str]) -> Figure:
    times = shown(dataset)[-4:]
    values = dataset[name]
    figure = Figure(figsize=(3.3 * len(times) + 1, 4.0), layout="constrained")
    panels = figure.subplots(1, len(times), sharex=True, sharey=True, squeeze=False)[0]
    low, high = float(values.min()), float(values.max())
    for axis, t in zip(panels, times, strict=True):
        image = axis.pcolormesh(*flat(values.isel(time=t), axes), shading="nearest", vmin=low, vmax=high)
        axis.set(xlabel=axes[0], aspect="equal")
        axis.set_title(f"{name}, t = {float(dataset.time[t]):.3g}", fontsize=10)
    panels[0].set_ylabel(axes[1])
    figure.colorbar(image, ax=panels, shrink=0.85)
    return figure


def flat(values: xr.DataArray, axes: list[str]) -> tuple[Any, Any, Any]:
    """Coordinates and values over the first two axes, in the middle of the third."""
    if len(axes) > 2:
        values = values.isel({axes[2]: values.sizes[axes[2]] // 2})
    across, up = axes[:2]
    return values[across].to_numpy(), values[up].to_numpy(), values.transpose(up, across).to_numpy()


def shown(dataset: xr.Dataset) -> list[int]:
    """Indices of the times that are drawn."""
    count = dataset.sizes["time"]
    return sorted(set(np.linspace(0, count - 1, min(count, COLUMNS)).round().astype(int).tolist()))


def _scientific(axis: Axes) -> None:
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
