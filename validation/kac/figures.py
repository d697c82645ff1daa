"""Figures of the Kac model: distance and bounds over time, and the distance that the simulation shows."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinlim.validation.drawing import legend, plain
from kinlim.validation.report import number

Array = NDArray[np.float64]

COLOR = {
    "reservoir": "tab:blue", "difference": "tab:blue", "thermostat": "tab:orange", "paper": "tab:red", "sharp": "0.35",
}  # fmt: skip


def distance(exact: xr.Dataset) -> Figure:
    """Draw the distance over time with all bounds, of this h0 and of the worst of each degree."""
    size, t = exact.attrs["resolved"], exact["frame_time"].to_numpy()[1:]
    here = exact["distance"][1:] / size
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    left.plot(t, here.sel(part="joint"), color=COLOR["reservoir"], lw=2.2, label="‖h − h̃‖, system and reservoir")
    left.plot(
        t,
        here.sel(part="transient"),
        color=COLOR["reservoir"],
        lw=1,
        ls=":",
        label="its part that decays, ‖(I − R)(h − h̃)‖",
    )
    left.plot(t, here.sel(part="marginal"), color=COLOR["thermostat"], lw=2.2, label="‖E[h | v] − h̃‖, the system alone")
    for n in exact["degree"].to_numpy():
        worst = exact["worst"].sel(degree=n, part="joint")[1:]
        right.plot(t, worst, lw=1.4, color=COLOR["reservoir"], alpha=1 - 0.75 * (n - 1) / exact.sizes["degree"],
                   label=f"‖h − h̃‖, worst of degree {n}")  # fmt: skip
    worst = exact["worst"].sel(part="marginal").max("degree")[1:]
    right.plot(t, worst, lw=1.4, color=COLOR["thermostat"], label="‖E[h | v] − h̃‖, worst of all degrees")
    for axis in (left, right):
        axis.plot(t, exact["bound_paper"][1:], color=COLOR["paper"], lw=1.2, label="the paper's bound")
        axis.plot(t, exact["bound_joint"][1:], color=COLOR["sharp"], lw=1, ls="--", label="√((M/N)(1 − e$^{-μt/3}$))")
        axis.plot(t, exact["bound_marginal"][1:], color=COLOR["sharp"], lw=1, ls="-.", label="(M/N)(1 − e$^{-μt/3}$)")
        axis.set(xscale="log", yscale="log", xlabel="time t")
        axis.grid(alpha=0.25)
        legend(axis)
    bounds = np.concatenate([exact["bound_paper"], exact["bound_joint"]])
    top = 3 * float(bounds[np.isfinite(bounds)].max())
    left.set_ylim(float(here.sel(part="marginal")[len(t) // 4 :].min()) / 3 or 1e-12, top)
    truncated = exact.attrs["unresolved"] > 0
    title = f"this h₀, of which degrees up to {exact.attrs['highest_degree']} are shown" if truncated else "this h₀"
    left.set_title(title, fontsize=11)
    right.set_title("the worst h₀ of each degree", fontsize=11)
    left.set_ylabel("distance over ‖h₀ − 1‖")
    joint, alone, paper = (
        float(values[-1]) for values in (here.sel(part="joint"), here.sel(part="marginal"), exact["bound_paper"])
    )
    figure.set_label(
        f"At t = {plain(t[-1])} the joint laws of this h₀ are {number(joint)} apart and those of the system alone "
        f"{number(alone)}, over ‖h₀ − 1‖; the paper's bound is {number(paper)}. Of the worst h₀ of all degrees these "
        f"distances are {number(float(exact['worst'].sel(part='joint')[-1].max()))} and {number(float(worst[-1]))}."
    )
    figure.suptitle(
        f"M = {exact.attrs['system']} particles, N = {exact.attrs['reservoir']} in the reservoir", fontsize=11
    )
    return figure


def simulated(particles: xr.Dataset, exact: xr.Dataset, comparison: xr.Dataset) -> Figure:
    """Draw the distance that the simulation shows, and what coupling gains."""
    coupled, size = bool(particles.attrs["coupled"]), exact.attrs["resolved"]
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 1 + coupled))
    t = exact["time"].to_numpy()
    axes[0].plot(t, comparison["sampled_exact"] / size, color=COLOR["reservoir"], lw=1, label="exact")
    axes[0].errorbar(
        t, comparison["sampled"] / size, 2 * comparison["sampled_se"] / size, fmt="o", ms=3, lw=1,
        color=COLOR["reservoir"], label="simulated (± 2 se)",
    )  # fmt: skip
    ratio = exact.attrs["system"] / exact.attrs["reservoir"]
    for value, name in ((ratio, "M/N"), (ratio**0.5, "√(M/N)")):
        axes[0].axhline(value, color="0.5", lw=0.7)
        axes[0].text(0.02, value, name, transform=axes[0].get_yaxis_transform(), fontsize=8, va="bottom")
    axes[0].set_ylim(0, 1.25 * max(ratio**0.5, float((comparison["sampled_exact"] / size).max())))
    axes[0].set_title("distance over ‖h₀ − 1‖, degrees 1, 2", fontsize=10)
    legend(axes[0])
    mean, error, exactly = (float(comparison[name][-1]) / size for name in ("sampled", "sampled_se", "sampled_exact"))
    said = (
        f"At t = {plain(t[-1])} the simulated distance over ‖h₀ − 1‖ in degrees 1 and 2 is {number(mean)} ± "
        f"{number(error, 1)}, the exact one {number(exactly)}, M/N {number(ratio)} and its root {number(ratio**0.5)}."
    )
    if coupled:
        gain = comparison["gain"].to_numpy()
        known = np.isfinite(gain).any(axis=1)
        if known.any():
            gained = np.nanmedian(gain[known], axis=1)
            first, last = (number(float(value)) for value in gained[[0, -1]])
            said += f" Coupling divides the variance by {first} at first and {last} at last."
            axes[-1].plot(t, gain, color="0.7", lw=0.7)
            axes[-1].plot(t[known], gained, "o-", ms=3, color="0.2")
            axes[-1].set(yscale="log")
        else:
            axes[-1].text(0.5, 0.5, "no two systems\nhave parted", ha="center", transform=axes[-1].transAxes)
        axes[-1].set_title("variance, independent/coupled", fontsize=10)
    for axis in axes:
        axis.set(xscale=_scale(t), xlabel="time t")
    figure.set_label(said)
    return figure


def _scale(t: Array) -> str:
    """Of an axis of times: logarithmic, if more than one of them is positive."""
    return "log" if (t > 0).sum() > 1 else "linear"
