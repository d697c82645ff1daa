"""Figures of the reaction model: densities, decay, entropy and invariant region, particles."""

from math import pi
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinlim.validation.reaction.comparison import AXES, DENSITIES, mode_of
from kinlim.validation.reaction.limit import gaps

Array = NDArray[np.float64]

NOISE = 3.0
"""Error of a solution over its rtol, at least: what is smaller is not looked at when a rate is measured."""

ROUNDING = 1e-9
"""Range of m that cannot be told from none."""

LINES = 5
"""Times that are drawn."""

SYMBOL = {"rho_f": "ρ_f", "rho_g": "ρ_g", "m": "m = ρ_f − ρ_g"}
KINETIC, LIMIT, PARTICLES = "tab:blue", "tab:red", "0.15"


def densities(pde: xr.Dataset, kinetic: xr.Dataset | None = None) -> Figure:
    """Draw rho_f, rho_g and m at some times, of the kinetic system and of the limit; in 2D and 3D maps of m."""
    if "y" in pde["m"].dims and kinetic is None:
        return _maps(pde)
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    limit = {"rho_f": pde["rho"], "rho_g": 1 / pde["rho"], "m": pde["m"]}
    for axis, name in zip(figure.subplots(1, 3, sharex=True), DENSITIES, strict=True):
        for t in _some(pde.sizes["time"]):
            shade = _shade(t, pde.sizes["time"])
            label = f"t = {float(pde['time'][t]):.3g}"
            values = _profile(limit[name].isel(time=t))
            if kinetic is None:
                axis.plot(pde["x"], values, color=shade, lw=1.4, label=label)
            else:
                axis.plot(kinetic["x"], kinetic[name].isel(time=t), color=shade, lw=1.4, label=label)
                axis.plot(pde["x"], values, color=shade, lw=1, ls="--")
        axis.set(xlabel="x")
        axis.set_title(SYMBOL[name], fontsize=11)
        axis.grid(alpha=0.25)
    figure.axes[0].legend(fontsize=8, frameon=False)
    return figure


def _maps(pde: xr.Dataset) -> Figure:
    """Maps of m, in dimension 3 over the two axes along which it varies most, in the middle of the third."""
    m, (across, up) = pde["m"], ("x", "y")
    if "z" in m.dims:
        least = min(AXES, key=lambda axis: float(m.isel(time=0).std(axis).mean()))
        m = m.isel({least: m.sizes[least] // 2})
        across, up = (axis for axis in AXES if axis != least)
    times = _some(pde.sizes["time"], 4)
    figure = Figure(figsize=(13, 3.5), layout="constrained")
    axes = figure.subplots(1, len(times), sharex=True, sharey=True, squeeze=False)[0]
    low, high = float(m.min()), float(m.max())
    for axis, t in zip(axes, times, strict=True):
        image = axis.imshow(
            m.isel(time=t).transpose(up, across), origin="lower", extent=(0, 1, 0, 1), vmin=low, vmax=high
        )
        where = f", {least} = 1/2" if "z" in pde.dims else ""
        axis.set(xlabel=across, title=f"m at t = {float(pde['time'][t]):.3g}{where}")
    axes[0].set_ylabel(up)
    figure.colorbar(image, ax=axes, shrink=0.85)
    return figure


def decay(rates: list[dict[str, Any]], pde: xr.Dataset, kinetic: xr.Dataset | None = None) -> Figure:
    """Draw the amplitude of wave number 1 of m over time with the exact rates, and the distance from the limit.

    Args:
        rates: rows of the table of Fourier modes, see `kinlim.validation.reaction.page.rates`.
        pde: the limit equation.
        kinetic: the kinetic system.
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    t = pde["time"].to_numpy()
    along = slowest_axis(pde)
    first = next((row for row in rates if (row["k"], row["axis"]) == (1, along)), None)
    for label, dataset, color, style, key in (
        ("limit equation", pde, LIMIT, "s--", "limit"),
        ("kinetic system", kinetic, KINETIC, "o-", "gap"),
    ):
        if dataset is None:
            continue
        size = np.hypot(*mode_of(dataset["m"], along).T)
        loud = size > floor(dataset)
        if not loud.any():
            left.text(0.5, 0.5, "the data have no such wave", ha="center", transform=left.transAxes)
            continue
        left.plot(t[loud], size[loud], style, ms=3, lw=1.2, color=color, label=label)
        if first is not None and first.get("frequency", 0) == 0:
            last = np.flatnonzero(loud)[-1]
            line = size[last] * np.exp(np.clip(first[key] * (t[last] - t), -50, 50))
            shown = loud & (line < 4 * size.max())
            left.plot(t[shown], line[shown], ":", lw=1.5, color="0.3", label=f"{label}, linearised")
    left.set(yscale="log" if left.lines else "linear", xlabel="time t")
    left.set_title(f"amplitude of wave number 1 of m, along {along}", fontsize=10)
    if kinetic is None:
        right.plot(t, pde["highest"], color=LIMIT, label="largest m")
        right.plot(t, pde["lowest"], color=LIMIT, ls="--", label="smallest m")
        right.set_title("maximum principle", fontsize=10)
    else:
        gap = gaps(pde, kinetic).isel(time=t > 0)
        right.plot(gap["time"], gap["gap_m"], "o-", ms=3, lw=1.2, color=KINETIC, label="‖ρ_f − ρ_g − m‖")
        if "gap_corrected" in gap:
            right.plot(
                gap["time"], gap["gap_corrected"], "s--", ms=3, lw=1.2, color="tab:green",
                label="the same, corrected m(0)",
            )  # fmt: skip
        right.plot(gap["time"], gap["gap_product"], "^-", ms=3, lw=1.2, color="tab:orange", label="‖ρ_f ρ_g − 1‖")
        if gap.sizes["time"] > 1 and float(gap["gap_m"].max()) > 0:
            right.set(xscale="log", yscale="log")
        right.set_title("distance from the limit", fontsize=10)
    right.set_xlabel("time t")
    for axis in (left, right):
        axis.grid(alpha=0.25)
        if axis.lines:
            axis.legend(fontsize=8, frameon=False)
    return figure


def floor(solution: xr.Dataset) -> float:
    """Amplitude of a wave below which it is an error of the solution: NOISE rtol times the range of m at time 0."""
    return NOISE * float(solution.attrs["rtol"]) * max(float(np.ptp(solution["m"][0].to_numpy())), ROUNDING)


def slowest_axis(pde: xr.Dataset) -> str:
    """The axis along which wave number 1 of m is largest at the beginning."""
    axes = [axis for axis in AXES if axis in pde["m"].dims]
    return max(axes, key=lambda axis: float(np.hypot(*mode_of(pde["m"][:1], axis).T)[0]))


def entropy(
    pde: xr.Dataset,
    kinetic: xr.Dataset | None = None,
    functionals: xr.Dataset | None = None,
    region: tuple[float, float] | None = None,
) -> Figure:
    """Draw entropy above equilibrium, the functionals of hypocoercivity, and the invariant region.

    Args:
        pde: the limit equation.
        kinetic: the kinetic system.
        functionals: H0 and H1 along it, see `kinlim.validation.reaction.functionals`.
        region: of Theorem 1.1.
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    t = pde["time"].to_numpy()
    least = entropy_least(float(pde.attrs["rho_inf"]))
    left.plot(t, _above(pde["entropy"], least), "s--", ms=3, lw=1.2, color=LIMIT, label="limit: H − H∞")
    if kinetic is not None:
        h = kinetic["entropy"]
        left.plot(t, _above(h, least), "o-", ms=3, lw=1.2, color=KINETIC, label="kinetic: H − H∞")
        left.plot(
            t, _above(h[0] - kinetic["dissipated"] + kinetic["dissipated"][0], least), "x", color="0.2",
            label="H(0) − H∞ − dissipated",
        )  # fmt: skip
        for name, label, color in (("H0", "H⁰", "tab:green"), ("H1", "H¹", "tab:purple")):
            if functionals is not None and name in functionals:
                values = functionals[name].to_numpy()
                left.plot(t, np.where(values > 0, values, np.nan), lw=1.2, color=color, label=label)
        low = np.minimum(kinetic["lowest_f"], 1 / kinetic["highest_g"])
        high = np.maximum(kinetic["highest_f"], 1 / kinetic["lowest_g"])
        right.fill_between(t, low, high, color=KINETIC, alpha=0.25, lw=0, label="f/χ₁ and χ₂/g")
    right.fill_between(
        t, _rho(pde["lowest"]), _rho(pde["highest"]), color=LIMIT, alpha=0.3, lw=0, label="ρ(m) of the limit"
    )
    for bound in region or ():
        right.axhline(bound, color="0.3", lw=1, ls=":")
    right.axhline(float(pde.attrs["rho_inf"]), color="0.6", lw=0.8)
    positive = any(np.nanmax(line.get_ydata(), initial=0.0) > 0 for line in left.lines)
    left.set(yscale="log" if positive else "linear", xlabel="time t")
    left.set_title("entropy and Lyapunov functionals", fontsize=10)
    right.set(xlabel="time t")
    right.set_title("invariant region (dotted) and equilibrium ρ∞", fontsize=10)
    for axis in (left, right):
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8, frameon=False)
    return figure


def particles(comparison: xr.Dataset, particles: xr.Dataset) -> Figure:
    """Draw simulated densities on expected ones (dimension 1), modes, and all z."""
    one = "y" not in particles["m"].dims
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    axes = figure.subplots(1, 3)
    if one:
        for axis, name in zip(axes, ("rho_f", "m"), strict=False):
            _bars(axis, comparison, particles, name)
    else:
        _modes(axes[0], comparison, particles)
        _scatter(axes[1], comparison, particles)
    z = np.concatenate([comparison[f"z_{name}"].to_numpy().ravel() for name in DENSITIES])
    z = z[np.isfinite(z)]
    x = np.linspace(-4.5, 4.5, 200)
    axes[2].hist(np.clip(z, -4.5, 4.5), bins=[k / 4 for k in range(-18, 19)], density=True, color="0.8")
    axes[2].plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * pi), color="0.2", lw=1)
    axes[2].set_title(f"{z.size} z, and N(0, 1)", fontsize=10)
    axes[2].set_xlabel("z = (simulated − expected)/se")
    return figure


def _bars(axis: Axes, comparison: xr.Dataset, particles: xr.Dataset, name: str) -> None:
    for t in _some(particles.sizes["time"]):
        shade = _shade(t, particles.sizes["time"])
        x = particles["x"].to_numpy()
        axis.step(x, comparison[f"expected_{name}"].isel(time=t), where="mid", color=shade, lw=1)
        axis.errorbar(
            x, particles[name].isel(time=t), 2 * particles[f"{name}_se"].isel(time=t), fmt="o", ms=3, lw=1, color=shade,
            label=f"t = {float(particles['time'][t]):.3g}",
        )  # fmt: skip
    axis.set_title(f"{SYMBOL[name]}: particles (± 2 se) on the {comparison.attrs['reference']}", fontsize=10)
    axis.set_xlabel("x")
    axis.legend(fontsize=8, frameon=False)


def _modes(axis: Axes, comparison: xr.Dataset, particles: xr.Dataset) -> None:
    t = particles["time"].to_numpy()
    for k, part in enumerate(particles["part"].to_numpy()):
        axis.plot(t, comparison["expected_mode"].sel(part=part), color=f"C{k}", lw=1)
        one = particles.sel(axis="x", part=part)
        axis.errorbar(t, one["mode"], 2 * one["mode_se"], fmt="o", ms=3, lw=1, color=f"C{k}", label=str(part))
    axis.set_title("wave number 1 of m along x: particles (± 2 se)", fontsize=10)
    axis.set_xlabel("time t")
    axis.legend(fontsize=8, frameon=False)


def _scatter(axis: Axes, comparison: xr.Dataset, particles: xr.Dataset) -> None:
    expected, found = (d.isel(time=-1).to_numpy().ravel() for d in (comparison["expected_m"], particles["m"]))
    axis.plot(expected, found, ".", ms=3, color=PARTICLES)
    ends = [expected.min(), expected.max()]
    axis.plot(ends, ends, color=KINETIC, lw=1)
    axis.set_title("m in all bins at the last time", fontsize=10)
    axis.set(xlabel="expected", ylabel="simulated")


def _some(count: int, most: int = LINES) -> list[int]:
    """A few times, the first and the last among them."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


def _shade(t: int, count: int) -> tuple[float, float, float]:
    share = t / max(count - 1, 1)
    return (0.1 + 0.8 * share, 0.25, 0.75 - 0.6 * share)


def _profile(values: xr.DataArray) -> xr.DataArray:
    return values.mean([axis for axis in AXES[1:] if axis in values.dims])


def _above(values: xr.DataArray, least: float) -> Array:
    above = values.to_numpy() - least
    return np.where(above > 0, above, np.nan)


def _rho(m: xr.DataArray) -> Array:
    values = m.to_numpy()
    return np.asarray((values + np.sqrt(values**2 + 4)) / 2, np.float64)


def entropy_least(rho_inf: float) -> float:
    """H of (5) in equilibrium: -rho_inf - 1/rho_inf."""
    return -rho_inf - 1 / rho_inf
