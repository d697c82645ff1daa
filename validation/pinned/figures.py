"""Figures of the pinned balls besides the standard ones: the two spreads, and white noise."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from kinlim.validation.pinned.white_noise import normal
from kinlim.validation.standard_figures import DOTS, shown


def spreads(particles: xr.Dataset, pde: xr.Dataset) -> Figure:
    """Draw the ensemble spread, the local spread within a replica, and sigma of the equations."""
    times = shown(particles)
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
        axis.set_title(f"t = {float(particles.fraction[t]):g} T", fontsize=10)
        axis.set_xlabel("position x")
    axes[0].set_ylabel("spread")
    axes[0].ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
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
