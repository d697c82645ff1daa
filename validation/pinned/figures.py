"""Figures of the pinned balls besides the standard ones: the two spreads, and white noise."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from kinlim.validation.drawing import legend
from kinlim.validation.pinned.white_noise import normal
from kinlim.validation.report import number
from kinlim.validation.standard_figures import DOTS, across, shown

Array = NDArray[np.float64]


def spreads(particles: xr.Dataset, pde: xr.Dataset) -> Figure:
    """Draw the ensemble spread, the local spread within a replica, and sigma of the equations."""
    times = shown(particles)
    figure = Figure(figsize=(across(times), 3.2), layout="constrained")
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
        axis.xaxis.set_major_locator(MaxNLocator(3 if len(times) > 3 else 6, steps=(1, 2, 5, 10)))
    axes[0].set_ylabel("spread")
    axes[0].ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
    legend(figure, markerscale=1.6)
    runs, local = (_size(particles[name]) / _size(pde["sigma"]) for name in ("sigma", "sigma_local"))
    figure.set_label(
        "Root mean squares over the inner sites, as parts of that of sigma of the equations: the spread over runs is "
        f"{number(runs[0])} at first and {number(runs[-1])} at last, that among neighbours {number(local[0])} and "
        f"{number(local[-1])}."
    )
    return figure


def _size(spread: xr.DataArray) -> Array:
    """Root mean square of a spread over the inner sites, per time."""
    return np.asarray(np.sqrt((spread.to_numpy()[:, 1:-1] ** 2).mean(axis=1)), np.float64)


def noise(particles: xr.Dataset) -> Figure:
    """Draw how far W is from independent N(0, 1) variables: its density, and its correlations within runs."""
    times = shown(particles)
    figure = Figure(figsize=(across(times), 5.4), layout="constrained")
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
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axis.set_xlabel("distance in sites")
    upper[0].set_ylabel("density of W − that of N(0, 1)\n(grey: ± 2 standard errors)")
    lower[0].set_ylabel("correlation")
    legend(figure)
    last = particles.isel(time=-1)
    off, its_error = (last["w_density"] - normal(w)).to_numpy(), last["w_density_se"].to_numpy()
    worst = int(np.abs(off).argmax())
    most, its, at = (number(float(values[worst]), 2) for values in (np.abs(off), its_error, w))
    within, se, ensemble = (
        number(float(last[name][0]), 2) for name in ("correlation_within", "correlation_within_se", "correlation")
    )
    figure.set_label(
        f"At the last time the density of W is at most {most} from that of N(0, 1), at W = {at}, with a standard error "
        f"of {its}. Neighbours have the correlation {within} ± {se} within a run and {ensemble} over the ensemble; "
        "independence would give 0."
    )
    return figure
