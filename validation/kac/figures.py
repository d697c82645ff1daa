"""Figures of the Kac model: distance and bounds over time, simulated means on exact ones, and coupled differences."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinlim.validation.kac.comparison import KINDS

Array = NDArray[np.float64]

SHOWN = 2
"""Functions that are drawn: those whose means are largest."""

COLOR = {
    "reservoir": "tab:blue", "difference": "tab:blue", "thermostat": "tab:orange", "paper": "tab:red", "sharp": "0.35",
}  # fmt: skip


def distance(exact: xr.Dataset) -> Figure:
    """Draw the distance over time with all bounds, of this h0 and of the worst of each degree."""
    size, t = exact.attrs["resolved"], exact["frame_time"].to_numpy()[1:]
    here = exact["distance"][1:] / size
    figure = Figure(figsize=(13, 5.6), layout="constrained")
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
        axis.legend(fontsize=8, loc="best")
    bounds = np.concatenate([exact["bound_paper"], exact["bound_joint"]])
    top = 3 * float(bounds[np.isfinite(bounds)].max())
    left.set_ylim(float(here.sel(part="marginal")[len(t) // 4 :].min()) / 3 or 1e-12, top)
    truncated = exact.attrs["unresolved"] > 0
    title = f"this h₀, of which degrees up to {exact.attrs['highest_degree']} are shown" if truncated else "this h₀"
    left.set_title(title, fontsize=11)
    right.set_title("the worst h₀ of each degree", fontsize=11)
    left.set_ylabel("distance over ‖h₀ − 1‖")
    figure.suptitle(
        f"M = {exact.attrs['system']} particles, N = {exact.attrs['reservoir']} in the reservoir", fontsize=11
    )
    return figure


def moments(particles: xr.Dataset, exact: xr.Dataset, comparison: xr.Dataset) -> Figure:
    """Draw the largest means of functions of the system and of the reservoir, and a histogram of all z."""
    own, every = (exact[name].to_numpy() for name in ("own", "function"))
    beyond = np.array([name for name in every if name.startswith("|")])
    names = [
        *_largest(np.abs(exact["thermostat"].to_numpy()), own),
        *_largest(np.abs(exact["reservoir"].sel(function=beyond).to_numpy()), beyond),
    ]
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    axes = figure.subplots(1, len(names) + 1)
    t = exact["time"].to_numpy()
    for axis, name in zip(axes, names, strict=False):
        # A function of the reservoir has mean 0 with a thermostat, and its mean is known best as a coupled difference.
        kinds = [("reservoir", "function"), ("thermostat", "own")] if name in own else [("difference", "function")]
        for k, (kind, over) in enumerate(kinds):
            axis.plot(t, exact[kind].sel({over: name}), color=COLOR[kind], lw=1, label=f"{kind}, exact")
            axis.errorbar(
                t * 1.03**k, particles[kind].sel({over: name}), 2 * particles[f"{kind}_se"].sel({over: name}), fmt="o",
                ms=3, lw=1, color=COLOR[kind], label=f"{kind}, simulated (± 2 se)",
            )  # fmt: skip
        if name not in own:
            axis.axhline(0, color=COLOR["thermostat"], lw=1)
        axis.set_title(f"mean of {name}", fontsize=10)
        axis.set(xscale=_scale(t), xlabel="time t")
    handles, texts = axes[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    _histogram(axes[-1], comparison)
    return figure


def differences(particles: xr.Dataset, exact: xr.Dataset, comparison: xr.Dataset) -> Figure:
    """Draw the distance that the simulation shows, the largest differences of means, and what coupling gains."""
    own = exact["own"].to_numpy()
    names = _largest(np.abs(exact["difference"].sel(function=own).to_numpy()), own)
    coupled, size = bool(particles.attrs["coupled"]), exact.attrs["resolved"]
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 1 + len(names) + coupled))
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
    axes[0].legend(fontsize=8, loc="center left")
    for axis, name in zip(axes[1:], names, strict=False):
        axis.axhline(0, color="0.5", lw=0.6)
        axis.plot(t, exact["difference"].sel(function=name), color="tab:green", lw=1)
        found, error = (particles[kind].sel(function=name) for kind in ("difference", "difference_se"))
        axis.errorbar(t, found, 2 * error, fmt="o", ms=3, lw=1, color="tab:green")
        axis.set_title(f"mean of {name}: difference", fontsize=10)
        axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
    if coupled:
        gain = comparison["gain"].to_numpy()
        known = np.isfinite(gain).any(axis=1)
        if known.any():
            axes[-1].plot(t, gain, color="0.7", lw=0.7)
            axes[-1].plot(t[known], np.nanmedian(gain[known], axis=1), "o-", ms=3, color="0.2")
            axes[-1].set(yscale="log")
        else:
            axes[-1].text(0.5, 0.5, "no two systems\nhave parted", ha="center", transform=axes[-1].transAxes)
        axes[-1].set_title("variance, independent/coupled", fontsize=10)
    for axis in axes:
        axis.set(xscale=_scale(t), xlabel="time t")
    return figure


def _scale(t: Array) -> str:
    """Of an axis of times: logarithmic, if more than one of them is positive."""
    return "log" if (t > 0).sum() > 1 else "linear"


def _largest(sizes: Array, names: NDArray[np.str_]) -> list[str]:
    """Names of the functions with the largest values at any time, largest first."""
    return [str(names[k]) for k in np.argsort(-sizes.max(axis=0), kind="stable")[:SHOWN]]


def _histogram(axis: Axes, comparison: xr.Dataset) -> None:
    """All z beside the normal density."""
    z = np.concatenate([comparison[f"z_{kind}"].to_numpy().ravel() for kind in KINDS])
    z = z[np.isfinite(z)]
    x = np.linspace(-4.5, 4.5, 200)
    axis.hist(np.clip(z, -4.5, 4.5), bins=[k / 4 for k in range(-18, 19)], density=True, color="0.8")
    axis.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color="0.2", lw=1)
    axis.set_title(f"{z.size} z, and N(0, 1)", fontsize=10)
    axis.set_xlabel("z = (simulated − exact)/se")
