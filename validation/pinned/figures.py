"""Figures of the pinned balls: the paper's Figure 5 with its uncertainty and its differences, and the two spreads."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kinlim.validation.pinned.white_noise import normal

COLUMNS = 6
"""Panels side by side; of more observation times, this many are drawn, first and last among them."""

DOTS = 60
"""Balls drawn as dots, so that the line below them stays visible; the differences show every ball."""

STYLE = {
    "mu": {"particles": "tab:red", "pde": "tab:blue", "symbol": "μ", "name": "mean velocity μ"},
    "sigma": {"particles": "tab:orange", "pde": "tab:green", "symbol": "σ", "name": "spread σ"},
}


def moments(particles: xr.Dataset, pde: xr.Dataset, comparison: xr.Dataset) -> Figure:
    """Draw mu and sigma of both sides at the observation times, and below each the difference with twice its error.

    Rows: mu, difference in mu, sigma, difference in sigma; a column is a time.
    """
    times = shown(comparison)
    figure = Figure(figsize=(2.7 * len(times) + 1, 8.6), layout="constrained")
    axes = figure.subplots(4, len(times), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 2, 3, 2))
    x = particles["x"].to_numpy()
    every = -(-len(x) // DOTS)
    for column, t in enumerate(times):
        for row, name in ((0, "mu"), (2, "sigma")):
            style = STYLE[name]
            top, below = axes[row, column], axes[row + 1, column]
            top.plot(x, pde[name][t], color=style["pde"], lw=1.4)
            top.plot(x[::every], particles[name][t][::every], "o", ms=2.6, color=style["particles"])
            difference = comparison[f"difference_{name}"][t].to_numpy()
            band = 2 * comparison[f"difference_{name}_se"][t].to_numpy()
            below.fill_between(x, -band, band, color="0.8", lw=0)
            below.plot(x, difference, color=style["particles"], lw=0.6)
            below.axhline(0, color="0.3", lw=0.6)
            chi2 = float(comparison[f"chi2_{name}"][t])
            text = (
                f"χ²/sites = {chi2:.3g} (noise alone: 1)" if chi2 < 1000 else f"χ²/sites = {chi2:,.0f} (noise alone: 1)"
            )
            below.text(0.5, 0.03, text, transform=below.transAxes, fontsize=8, ha="center")
            below.margins(y=0.15)
        axes[0, column].set_title(f"t = {float(comparison.fraction[t]):g} T", fontsize=10)
        axes[3, column].set_xlabel("position x")
    for row, name in ((0, "mu"), (2, "sigma")):
        axes[row, 0].set_ylabel(STYLE[name]["name"])
        axes[row + 1, 0].set_ylabel(f"{STYLE[name]['symbol']}: particles\n− equations")
        _scientific(axes[row + 1, 0])
    _scientific(axes[2, 0])
    replicas = comparison.attrs["replicas"]
    dots: dict[str, Any] = {"ls": "", "marker": "o", "ms": 4}
    figure.legend(
        handles=[
            Line2D([], [], **dots, color=STYLE["mu"]["particles"], label=f"μ, mean of {replicas:,} runs"),
            Line2D([], [], color=STYLE["mu"]["pde"], label="μ, equations"),
            Line2D([], [], **dots, color=STYLE["sigma"]["particles"], label="σ, spread over runs"),
            Line2D([], [], color=STYLE["sigma"]["pde"], label="σ, equations"),
            Patch(color="0.8", label="± 2 standard errors of the difference"),
        ],
        loc="outside upper center",
        ncols=5,
        frameon=False,
        fontsize=9,
    )
    return figure


def spreads(particles: xr.Dataset, pde: xr.Dataset, comparison: xr.Dataset) -> Figure:
    """Draw the ensemble spread, the local spread within a replica, and sigma of the equations."""
    times = shown(comparison)
    figure = Figure(figsize=(2.7 * len(times) + 1, 3.2), layout="constrained")
    axes = figure.subplots(1, len(times), sharex=True, sharey=True, squeeze=False)[0]
    x = particles["x"].to_numpy()
    every = -(-len(x) // DOTS)
    for axis, t in zip(axes, times, strict=True):
        axis.plot(x, pde["sigma"][t], color="tab:green", lw=1.4, label="σ of the equations")
        for name, color, label in (
            ("sigma", "tab:orange", "over runs at a site"),
            ("sigma_local", "tab:purple", "among neighbours in a run"),
        ):
            axis.plot(x[::every], particles[name][t][::every], "o", ms=2.6, color=color, label=label)
        axis.set_title(f"t = {float(comparison.fraction[t]):g} T", fontsize=10)
        axis.set_xlabel("position x")
    axes[0].set_ylabel("spread")
    _scientific(axes[0])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9, markerscale=1.6)
    return figure


def noise(particles: xr.Dataset) -> Figure:
    """Draw how far W is from independent N(0, 1) variables: its density, and its correlations within runs."""
    times = shown(particles)
    figure = Figure(figsize=(2.7 * len(times) + 1, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, len(times), sharex="row", sharey="row", squeeze=False)
    w, lag = particles["w"].to_numpy(), particles["lag"].to_numpy()
    for axis, t in zip(upper, times, strict=True):
        axis.fill_between(w, -2 * particles["w_density_se"][t], 2 * particles["w_density_se"][t], color="0.8", lw=0)
        axis.plot(w, particles["w_density"][t] - normal(w), color="tab:blue", lw=0.9)
        axis.axhline(0, color="0.3", lw=0.6)
        axis.set_title(f"t = {float(particles.fraction[t]):g} T", fontsize=10)
        axis.set_xlabel("W")
    for axis, t in zip(lower, times, strict=True):
        one = 2 / np.sqrt(particles["correlation_within_pairs"][t] - 1)
        axis.fill_between(lag, -one, one, color="0.9", lw=0, label="± 2 sd of a single run of independent W")
        for name, color, label in (
            ("correlation_within", "tab:blue", "within a run, mean over runs (± 2 standard errors)"),
            ("correlation", "tab:orange", "over the ensemble"),
        ):
            error = 2 * particles["correlation_within_se"][t] if name == "correlation_within" else None
            axis.errorbar(lag, particles[name][t], error, fmt="o", ms=3, color=color, label=label)
        axis.axhline(0, color="0.3", lw=0.6)
        axis.set_xlabel("distance in sites")
    upper[0].set_ylabel("density of W − that of N(0, 1)\n(grey: ± 2 standard errors)")
    lower[0].set_ylabel("correlation")
    handles, labels = lower[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def field(pde: xr.Dataset) -> Figure:
    """Draw mu, its change since time 0 and sigma over space and time."""
    x, t = pde["frame_x"].to_numpy(), pde["frame_time"].to_numpy()
    mu, sigma = pde["frame_mu"].to_numpy(), pde["frame_sigma"].to_numpy()
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    for axis, values, title, colors in (
        (axes[0], mu, "mean velocity μ", "RdBu_r"),
        (axes[1], mu - mu[0], "change of μ since time 0", "RdBu_r"),
        (axes[2], sigma, "spread σ", "viridis"),
    ):
        largest = float(np.abs(values).max()) or 1.0
        image = axis.pcolormesh(
            x, t, values, cmap=colors, vmin=-largest if colors == "RdBu_r" else 0, vmax=largest,
            shading="gouraud", rasterized=True,
        )  # fmt: skip
        bar = figure.colorbar(image, ax=axis)
        bar.formatter.set_powerlimits((-2, 3))
        axis.set_title(title, fontsize=11)
        axis.set_xlabel("position x")
    axes[0].set_ylabel("time t")
    axes[0].ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    return figure


def shown(comparison: xr.Dataset) -> list[int]:
    """Indices of the times that are drawn."""
    count = comparison.sizes["time"]
    return sorted(set(np.linspace(0, count - 1, min(count, COLUMNS)).round().astype(int).tolist()))


def _scientific(axis: Axes) -> None:
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
