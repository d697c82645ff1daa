"""Figures of the solutions of the reaction model: densities, decay, entropy and invariant region."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinlim.grid import AXES
from kinlim.validation.drawing import legend
from kinlim.validation.reaction.expectation import mode_of
from kinlim.validation.reaction.limit import gaps
from kinlim.validation.standard_figures import ranges

Array = NDArray[np.float64]

NOISE = 3.0
"""Error of a solution over its rtol, at least: what is smaller is not looked at when a rate is measured."""

ROUNDING = 1e-9
"""Range of m that cannot be told from none."""

LINES = 5
"""Times that are drawn."""

SYMBOL = {"rho_f": r"$\rho_f$", "rho_g": r"$\rho_g$", "m": r"m = $\rho_f - \rho_g$"}
KINETIC, LIMIT = "tab:blue", "tab:red"


def densities(pde: xr.Dataset, kinetic: xr.Dataset | None = None) -> Figure:
    """Draw rho_f, rho_g and m at some times, of the kinetic system and of the limit."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    limit = {"rho_f": pde["rho"], "rho_g": 1 / pde["rho"], "m": pde["m"]}
    for axis, name in zip(figure.subplots(1, 3, sharex=True), SYMBOL, strict=True):
        for t in _some(pde.sizes["time"]):
            shade = _shade(t, pde.sizes["time"])
            label = f"t = {float(pde['time'][t]):.3g}"
            values = _profile(limit[name].isel(time=t))
            if kinetic is None:
                axis.plot(pde["x"], values, color=shade, lw=1.4, label=label)
            else:
                axis.plot(kinetic["x"], kinetic[name].isel(time=t), color=shade, lw=1.4, label=label)
                axis.plot(pde["x"], values, color=shade, lw=1, ls="--")
        if kinetic is not None:
            axis.plot([], [], color="0.4", lw=1.4, label="kinetic system")
            axis.plot([], [], color="0.4", lw=1, ls="--", label="limit equation")
        axis.set(xlabel="x")
        axis.set_title(SYMBOL[name], fontsize=11)
        axis.grid(alpha=0.25)
    legend(figure)
    sides = {"kinetic system": kinetic, "limit equation": pde}
    times = pde["time"].to_numpy()
    figure.set_label(
        " ".join(f"m of the {name} {ranges(times, side['m'])}." for name, side in sides.items() if side is not None)
    )
    return figure


def decay(
    rates: list[dict[str, Any]],
    pde: xr.Dataset,
    kinetic: xr.Dataset | None = None,
    corrected: xr.Dataset | None = None,
) -> Figure:
    """Draw the amplitude of wave number 1 of m over time with the exact rates, and the distance from the limit.

    Args:
        rates: rows of the table of Fourier modes, see `kinlim.validation.reaction.hypocoercivity.table`.
        pde: the limit equation.
        kinetic: the kinetic system.
        corrected: the limit equation from the corrected datum.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
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
            left.plot(t[shown], line[shown], ":", lw=2, color=color, label=f"{label}, linearised")
    left.set(yscale="log" if left.lines else "linear", xlabel="time t")
    if not left.lines:
        left.set(xticks=[], yticks=[])
    left.set_title(f"amplitude of wave number 1 of m, along {along}", fontsize=10)
    if kinetic is None:
        right.plot(t, pde["highest"], color=LIMIT, label="largest m")
        right.plot(t, pde["lowest"], color=LIMIT, ls="--", label="smallest m")
        right.set_title("maximum principle", fontsize=10)
    else:
        gap = gaps(pde, kinetic, corrected).isel(time=t > 0)
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
        legend(axis)
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
    figure = Figure(figsize=(11, 4.2), layout="constrained")
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
        legend(axis)
    return figure


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
