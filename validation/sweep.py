"""A sweep over parameters: what each point measures, the power laws in it, and its report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinlim.layout import NAN_WHERE
from kinlim.model import Measured
from kinlim.validation import powers
from kinlim.validation.report import number, render
from kinlim.validation.verdicts import VAGUE, of_exponent

Array = NDArray[np.float64]

Value = float | int | str | bool

NOTHING_MEASURED = "the point has nothing to measure"
"""Why a quantity of a sweep need not be a number."""


def gather(
    points: Sequence[Mapping[str, Value]],
    found: Sequence[Mapping[str, Measured]],
    limits: Mapping[str, Literal["up", "down"]],
) -> xr.Dataset:
    """Put what the points measure into one dataset, dimension point.

    Args:
        points: values of the parameters.
        found: what is measured there.
        limits: where parameters go in the limit, by the last part of their keys.
    """
    variables: dict[str, Any] = {}
    for key in points[0]:
        variables[key] = ("point", np.array([point[key] for point in points]))
    for name, first in found[0].items():
        about = {"long_name": first.what, "source": first.source, NAN_WHERE: NOTHING_MEASURED}
        if first.claimed is not None:
            about["claimed"] = json.dumps(dict(first.claimed))
        variables[name] = ("point", np.array([one[name].value for one in found]), about)
        error = {"long_name": f"standard error of {name}", NAN_WHERE: NOTHING_MEASURED}
        variables[f"{name}_se"] = ("point", np.array([one[name].error for one in found]), error)
    dataset = xr.Dataset(variables)
    return dataset.set_coords(list(points[0])).assign_attrs(
        parameters=json.dumps(list(points[0])),
        quantities=json.dumps(list(found[0])),
        limits=json.dumps({key: limits[_short(key)] for key in points[0] if _short(key) in limits}),
    )


def judge(sweep: xr.Dataset) -> dict[str, Any]:
    """Exponents of all quantities in all parameters that are positive numbers and vary: the content of sweep.json."""
    names, keys = json.loads(sweep.attrs["quantities"]), json.loads(sweep.attrs["parameters"])
    varied = [key for key in keys if not key.endswith(".seed") and _is_scale(sweep[key].to_numpy())]
    x = np.stack([sweep[key].to_numpy().astype(float) for key in varied], axis=1) if varied else np.empty((0, 0))
    limits = json.loads(sweep.attrs["limits"])
    down = [limits.get(key) == "down" for key in varied]
    laws, verdicts = [], []
    for name in names:
        law = powers.fit(x, sweep[name].to_numpy(), sweep[f"{name}_se"].to_numpy(), down) if varied else None
        about = sweep[name].attrs
        claimed = json.loads(about.get("claimed", "null"))
        row: dict[str, Any] = {
            "quantity": name,
            "what": about["long_name"],
            "source": about["source"],
            "exponents": None,
        }
        if law is not None:
            row["points"] = law.points
            row["exponents"] = {
                key: {
                    "value": float(law.exponents[k]),
                    "half_width": _finite(law.half_widths[k]),
                    "local": [_finite(v) for v in law.local[k]],
                    "last": _finite(law.last[k]),
                    "by_noise": law.by_noise,
                    "claimed": None if claimed is None else claimed.get(_short(key)),
                }
                for k, key in enumerate(varied)
            }
            verdicts += [of_exponent(name, _short(key), one) for key, one in row["exponents"].items()]
        laws.append(row)
    points = [
        {
            **{key: sweep[key][p].item() for key in keys},
            **{name: [_finite(sweep[name][p]), _finite(sweep[f"{name}_se"][p])] for name in names},
        }
        for p in range(sweep.sizes["point"])
    ]
    return {
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "parameters": keys,
        "varied": varied,
        "limits": limits,
        "laws": laws,
        "points": points,
    }


def text(verdict: Mapping[str, Any]) -> str:
    """The exponents, for a terminal."""
    if not verdict["varied"]:
        return "No parameter varies over positive numbers, so there are no exponents."
    lines = [f"Exponents over {len(verdict['points'])} points (95 % confidence):"]
    lines += [f"  {one['sentence']}" for one in verdict["verdicts"]]
    lines += [f"  {law['quantity']}: too few positive values" for law in verdict["laws"] if law["exponents"] is None]
    lines.append("Slopes between neighbours, and the one nearest the limit:")
    for law in verdict["laws"]:
        for key, one in (law["exponents"] or {}).items():
            low, high = one["local"]
            if low is not None:
                fewer = (
                    "" if law["points"] == len(verdict["points"]) else f" ({law['points']} points; the others are 0)"
                )
                end = "smallest" if verdict["limits"].get(key) == "down" else "largest"
                slopes = f"{low:.3f} ... {high:.3f}, {one['last']:.3f} at the {end} {_short(key)}"
                lines.append(f"  {law['quantity']} in {_short(key)}: {slopes}{fewer}")
    return "\n".join(lines)


WAYS = {"up": "∞", "down": "0"}
"""Limits of parameters."""


def _short(key: str) -> str:
    """The last part of a key."""
    return key.split(".")[-1]


def _title(one: Mapping[str, Any]) -> str:
    """What a panel says of an exponent."""
    if one["half_width"] is None:
        return f"slope {one['value']:.3g}, uncertainty unknown"
    if one["half_width"] > VAGUE:
        return "exponent not determined"
    return f"exponent {one['value']:.3g} ± {one['half_width']:.1g}"


def figure(sweep: xr.Dataset, verdict: Mapping[str, Any]) -> Figure:
    """Draw every quantity over every parameter, one line for each choice of the others."""
    varied, names = verdict["varied"], [law["quantity"] for law in verdict["laws"] if law["exponents"] is not None]
    drawn = Figure(figsize=(max(4.0 * len(varied), 9), 2.1 * max(len(names), 1) + 0.4), layout="constrained")
    axes = drawn.subplots(max(len(names), 1), max(len(varied), 1), squeeze=False, sharey="row", sharex="col")
    said: dict[str, list[str]] = {key: [] for key in varied}
    for row, name in enumerate(names):
        y, error = sweep[name].to_numpy(), sweep[f"{name}_se"].to_numpy()
        for column, key in enumerate(varied):
            axis, x = axes[row, column], sweep[key].to_numpy().astype(float)
            others = np.stack(
                [sweep[k].to_numpy().astype(str) for k in verdict["parameters"] if k != key] or [np.zeros(len(x), str)],
                axis=1,
            )
            lines = np.unique(others, axis=0)
            axis.set(xscale="log", yscale="log")
            for k, line in enumerate(lines):
                chosen = np.flatnonzero((others == line).all(axis=1) & (y > 0))
                chosen = chosen[np.argsort(x[chosen])]
                shade = 0.15 + 0.6 * k / max(len(lines) - 1, 1)
                axis.errorbar(x[chosen], y[chosen], 2 * error[chosen], fmt="o-", ms=3, lw=1, color=(0.1, shade, 0.7))
            axis.grid(alpha=0.25)
            law = next(law for law in verdict["laws"] if law["quantity"] == name)["exponents"][key]
            axis.set_title(_title(law), fontsize=9)
            said[key].append(f"{name}, {_title(law)}")
            if row == len(names) - 1:
                limit = WAYS.get(verdict["limits"].get(key, ""), "")
                axis.set_xlabel(f"{key} → {limit}" if limit else key)
        axes[row, 0].set_ylabel(name, fontsize=9)
    drawn.set_label(" ".join(f"{_short(key)}: {'; '.join(said[key])}." for key in varied))
    return drawn


def html(
    sweep: xr.Dataset, verdict: Mapping[str, Any], pictures: Mapping[str, bytes], captions: Mapping[str, str]
) -> str:
    """Fill the template of a sweep.

    Args:
        sweep: what `gather` gives, with provenance.
        verdict: what `judge` gives.
        pictures: PNG by name.
        captions: of those pictures that a model adds.
    """
    return render(
        "sweep.html",
        sweep=sweep.attrs,
        verdict=verdict,
        pictures=pictures,
        captions=captions,
        ways=WAYS,
        vague=VAGUE,
        shown=lambda pair: number(pair[0]) + (f" ± {number(pair[1], 1)}" if pair[1] else ""),
    )


def _is_scale(values: NDArray[Any]) -> bool:
    """Whether a parameter is a positive number that varies."""
    return bool(values.dtype.kind in "iuf" and (values > 0).all() and (values != values[0]).any())


def _finite(value: Any) -> float | None:
    number_ = float(value)
    return number_ if np.isfinite(number_) else None
