"""Figures of any model: means against a solution, numbers over time, a solution over space and time."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from kinlim.grid import AXES
from kinlim.model import Datasets
from kinlim.validation.drawing import course, legend, plain
from kinlim.validation.report import number
from kinlim.validation.verdicts import SURE, percent

if TYPE_CHECKING:
    from kinlim.rules import Means, Numbers

Array = NDArray[np.float64]

COLUMNS = 6
"""Panels side by side; of more times, this many are drawn, first and last among them."""

DOTS = 60
"""Points drawn as dots, so that the line below them stays visible; differences show all."""

PARTICLES, SOLUTION = "tab:red", "tab:blue"

CURVES = 8
"""Numbers that are drawn over time, the largest ones."""

BAND = 2.0
"""Standard errors between which noise alone leaves about 95 of 100 differences."""

FAR = 8.0
"""Standard errors beyond which differences are drawn on a logarithmic scale, so that the band stays visible."""

EDGE = 4.5
"""Standard errors at which histograms end; what lies beyond is counted there."""

WIDE = 30.0
"""Last over first time from which on times are drawn on a logarithmic axis."""


def profile(rule: "Means | Numbers", compared: xr.Dataset, data: Datasets) -> Figure:
    """Draw means of particles on what is expected, their difference with twice its error, and the two's ratio.

    The last is (particles - expected)/(standard error), of whose squares chi2 is the mean.
    """
    particles = data[rule.particles][rule.name]
    axes = [axis for axis in AXES if axis in particles.dims]
    if len(axes) > 1:
        return _profile_as_maps(rule, compared, particles, axes)
    times = shown(compared)
    figure = Figure(figsize=(across(times), 6.4), layout="constrained")
    rows = figure.subplots(3, len(times), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 2, 2))
    z = _in_errors(rule, compared)[times]
    x = particles[axes[0]].to_numpy()
    every = -(-len(x) // DOTS)
    for top, below, last, t, off in zip(*rows, times, z, strict=True):
        top.plot(x, compared[f"expected_{rule.label}"][t], color=SOLUTION, lw=1.4, label="expected")
        top.plot(x[::every], particles[t][::every], "o", ms=2.6, color=PARTICLES, label="particles")
        band = BAND * compared[f"difference_{rule.label}_se"][t].to_numpy()
        below.fill_between(x, -band, band, color="0.8", lw=0, label="± 2 standard errors of the difference")
        below.plot(x, compared[f"difference_{rule.label}"][t], color=PARTICLES, lw=0.6)
        below.axhline(0, color="0.3", lw=0.6)
        last.axhspan(-BAND, BAND, color="0.8", lw=0)
        for level in (-BAND, BAND):
            last.axhline(level, color="0.3", lw=0.6, ls="--")
        last.plot(x, off, ".", ms=2 if len(x) > DOTS else 4, color=PARTICLES)
        top.set_title(f"t = {float(compared.time[t]):.3g}", fontsize=10)
        last.set_xlabel(f"{axes[0]}\n{_chi2(rule, compared, t)}", fontsize=9)
    rows[0, 0].xaxis.set_major_locator(MaxNLocator(3 if len(times) > 3 else 6, steps=(1, 2, 5, 10)))
    first = rows[:, 0]
    for axis, what in zip(first, (rule.label, "particles\n− expected", "the same, in\nstandard errors"), strict=True):
        axis.set_ylabel(what)
    _scientific(first[1])
    _show_band(first[2], z)
    legend(figure)
    figure.set_label(_found(rule, compared, axes))
    return figure


def _in_errors(rule: "Means | Numbers", compared: xr.Dataset) -> Array:
    """Differences over their standard errors, the times first; NaN where an error is 0."""
    error = compared[f"difference_{rule.label}_se"]
    z = compared[f"difference_{rule.label}"] / error.where(error > 0)
    return np.asarray(z.transpose("time", ...), np.float64)


def _chi2(rule: "Means | Numbers", compared: xr.Dataset, t: int) -> str:
    """What the mean square of these is at a time."""
    chi2 = float(compared[f"chi2_{rule.label}"][t])
    return f"χ² per point {f'{chi2:.3g}' if chi2 < 1000 else f'{chi2:,.0f}'} (noise: 1)"


def _show_band(axis: Axes, z: Array) -> None:
    """Choose a scale of differences in standard errors that shows the largest one, and BAND beside it."""
    most = float(np.abs(z[np.isfinite(z)]).max(initial=0))
    if most <= FAR:
        end = max(1.1 * most, 1.5 * BAND)
        axis.set(ylim=(-end, end), yticks=(-BAND, 0, BAND))
        return
    ticks = (BAND, 10.0 ** max(np.floor(np.log10(most)), 1))
    axis.set_yscale("symlog", linthresh=BAND)
    axis.set(ylim=(-2 * max(most, 10), 2 * max(most, 10)))
    axis.set_yticks([*(-tick for tick in reversed(ticks)), 0, *ticks])
    axis.yaxis.set_major_formatter(lambda value, _: plain(value))
    axis.minorticks_off()


def _found(rule: "Means | Numbers", compared: xr.Dataset, axes: list[str], last: int = 0) -> str:
    """How the particles' means compare with what is expected, at all times or at the last ones."""
    compared = compared.isel(time=slice(-last, None))
    d, s, u = (
        compared[key].transpose("time", ...).to_numpy()
        for key in (f"difference_{rule.label}", f"difference_{rule.label}_se", f"expected_{rule.label}")
    )
    t, gaps = compared["time"].to_numpy(), [_gap(*one) for one in zip(d, s, u, strict=True)]
    said = []
    for sign, word in ((-1, "smaller"), (1, "larger")):
        if sizes := [sign * gap for gap in gaps if sign * gap > 0]:
            how_often = f"all {len(t)}" if len(sizes) == len(t) else f"{len(sizes)} of {len(t)}"
            low, high = percent(min(sizes)), percent(max(sizes))
            by = low if low == high else f"{low} to {high}"
            said.append(f"{word} than expected by {by}" + (f" at {how_often} times" if len(t) > 1 else ""))
    what = " and ".join(said) or "on the whole as large as expected, but for noise"
    at = f"t = {plain(t[0])}" + (f" to {plain(t[-1])}" if len(t) > 1 else "")
    found = f"{rule.about} over {' and '.join(axes)}, {at}: the particles' values are {what}."
    return f"{found} {_off(np.divide(d, s, out=np.full_like(d, np.nan), where=s > 0), t)}"


def _gap(d: Array, s: Array, u: Array) -> float:
    """Signed relative size of a difference along the solution; 0 where noise makes it."""
    size = float((u**2).sum())
    gap, error = float((d * u).sum()), SURE * float(np.sqrt(((s * u) ** 2).sum()))
    return gap / size if size and abs(gap) > error else 0.0


def _off(z: Array, t: Array) -> str:
    """How many of these are far from 0, and the farthest; `t` are the times along their first axis."""
    known = np.where(np.isfinite(z), np.abs(z), -1)
    size = known[known >= 0]
    if not size.size:
        return "No mean has a standard error."
    when = plain(t[known.reshape(len(t), -1).max(axis=1).argmax()])
    return (
        f"{(size > 2).sum():,} of {size.size:,} means are more than two standard errors off, where noise makes about "
        f"{max(size.size / 20, 1):,.0f}; the largest difference is {number(float(size.max()), 2)} standard errors, at "
        f"t = {when}."
    )


def _profile_as_maps(rule: "Means | Numbers", compared: xr.Dataset, particles: xr.DataArray, axes: list[str]) -> Figure:
    """Particles, expected and difference over its standard error at the last time; in the middle of a third axis."""
    z = compared[f"difference_{rule.label}"].transpose("time", ...)
    panels = {
        "particles": particles.isel(time=-1),
        "expected": compared[f"expected_{rule.label}"].isel(time=-1),
        "difference / standard error": z.copy(data=_in_errors(rule, compared)).isel(time=-1),
    }
    low, high = (float(f(panels["expected"])) for f in (np.min, np.max))
    figure = Figure(figsize=(11, 3.4), layout="compressed")
    for axis, (title, values) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        apart = title.startswith("difference")
        limits = {"vmin": -5, "vmax": 5, "cmap": "RdBu_r"} if apart else {"vmin": low, "vmax": high}
        image = axis.pcolormesh(*flat(values, axes), shading="nearest", **limits)
        axis.set(xlabel=axes[0], ylabel=axes[1], aspect="equal")
        axis.set_title(f"{title}, t = {float(compared.time[-1]):.3g}", fontsize=10)
        bar = figure.colorbar(image, ax=axis, shrink=0.85, extend="neither" if title == "expected" else "both")
        if apart:
            bar.set_ticks((-5, -BAND, 0, BAND, 5))
            axis.set_xlabel(f"{axes[0]}\n{_chi2(rule, compared, -1)}")
    figure.set_label(_found(rule, compared, axes, last=1))
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
    figure = Figure(figsize=(11, 4), layout="constrained")
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
        legend(left, title=", ".join(map(str, data[rule.particles][rule.name].dims[1:])), title_fontsize=9)
    x, there = np.linspace(-EDGE, EDGE, 200), z.to_numpy()[np.isfinite(z.to_numpy())]
    if there.size:
        right.hist(np.clip(there, -EDGE, EDGE), bins=np.linspace(-EDGE, EDGE, 37), density=True, color="0.8")
    for level in (-BAND, BAND):
        right.axvline(level, color="0.3", lw=0.6, ls="--")
    right.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color="0.2", lw=1)
    beyond = f"\n(the bars at the ends hold all beyond ±{EDGE})" if (np.abs(there) > EDGE).any() else ""
    right.set(xlabel=f"z = (particles − expected)/(standard error){beyond}", ylabel="density")
    right.set_title(f"{there.size:,} values of z (grey), and N(0, 1)")
    first = int(largest[0])
    name = _name_of(expected, first)
    figure.set_label(
        f"{rule.about} over time: {name or rule.label} {course(t, value.to_numpy()[:, first])}, where "
        f"{number(float(expected[-1, first]))} is expected. {_off(z.to_numpy(), t)}"
    )
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
    change = np.abs(values - values[0]).max(axis=0)
    where = f"{number(float(change.max()))} at {axes[0]} = {plain(x[change.argmax()])}"
    figure.set_label(f"{name} as solved {ranges(t, values)}. Its largest change is {where}.")
    return figure


def ranges(t: Array, values: Any) -> str:
    """Between which values a field over (time, ...) lies at first and at last."""
    return "lies " + " and ".join(
        f"between {number(float(values[k].min()))} and {number(float(values[k].max()))} at t = {plain(t[k])}"
        for k in dict.fromkeys((0, len(t) - 1))
    )


def _maps(dataset: xr.Dataset, name: str, axes: list[str]) -> Figure:
    times = shown(dataset)[-4:]
    values = dataset[name]
    figure = Figure(figsize=(3.3 * len(times) + 1, 3.5), layout="compressed")
    panels = figure.subplots(1, len(times), sharex=True, sharey=True, squeeze=False)[0]
    low, high = float(values.min()), float(values.max())
    for axis, t in zip(panels, times, strict=True):
        image = axis.pcolormesh(*flat(values.isel(time=t), axes), shading="nearest", vmin=low, vmax=high)
        axis.set(xlabel=axes[0], aspect="equal")
        axis.set_title(f"{name}, t = {float(dataset.time[t]):.3g}", fontsize=10)
    panels[0].set_ylabel(axes[1])
    figure.colorbar(image, ax=panels, shrink=0.85)
    figure.set_label(f"{name} as solved {ranges(dataset.time.to_numpy(), values.transpose('time', ...))}.")
    return figure


def flat(values: xr.DataArray, axes: list[str]) -> tuple[Any, Any, Any]:
    """Coordinates and values over the first two axes, in the middle of the third."""
    if len(axes) > 2:
        values = values.isel({axes[2]: values.sizes[axes[2]] // 2})
    across, up = axes[:2]
    return values[across].to_numpy(), values[up].to_numpy(), values.transpose(up, across).to_numpy()


def across(times: list[int]) -> float:
    """Inches of a figure that has a panel for each of these times, and room for a legend."""
    return max(2.2 * len(times) + 1, 6.4)


def shown(dataset: xr.Dataset) -> list[int]:
    """Indices of the times that are drawn."""
    count = dataset.sizes["time"]
    return sorted(set(np.linspace(0, count - 1, min(count, COLUMNS)).round().astype(int).tolist()))


def _scientific(axis: Axes) -> None:
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
