"""Errors under refinement: the orders that they show, what was expected, and a verdict."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinlim.validation import drawing, report

Array = NDArray[np.float64]

LESS, LESS_IN_TIME = 0.2, 0.3
"""By how much an observed order may fall short: of degree + 1 on a manufactured solution, of the scheme's in time."""

TIMES = 10.0
"""Error over rtol up to which rtol means what it says."""

FAMILIES = {
    "manufactured": ("manufactured solutions", "widest cell h"),
    "time": ("smooth solution", "fixed time step"),
    "mesh": ("the study's data", "widest cell h"),
    "degree": ("the study's data", "degree p"),
    "steps": ("the study's data", "fixed time step"),
    "tolerance": ("the study's data", "rtol"),
}
"""Family of rows: what is solved, and what is refined."""

KNOWN = ("manufactured", "time")
"""Those whose unknowns may have symbols of their own."""


def judge(rows: xr.Dataset) -> dict[str, Any]:
    """Orders and verdict from the errors, JSON-able.

    Args:
        rows: with (row): family, degree, value, error_NAME for each unknown, steps, seconds. Of the attributes,
            `families` names those that were tried, with spaces between, `order_in_time` is that of the scheme, `about`
            says what was solved, and `symbols` and `symbols_known` are JSON: how unknowns are written, in all families
            and in those of `KNOWN`.

    Returns:
        table: one object a row, with an order for each error (order_mu to error_mu, ...), log(e/e')/log(h/h') to the
            row before of the same family and degree, None where there is none.
        passed: whether every manufactured solution shows an order of at least degree + 1 - LESS, the scheme its own but
            for LESS_IN_TIME on a smooth solution, and every error in time is at most TIMES its tolerance.
        headline: the conclusion in a line: what has failed, or that all passed.
        conclusion: sentences.
        families: that were tried.
        symbols: for each family, how unknowns are written.
    """
    table: list[dict[str, Any]] = []
    for k in range(rows.sizes["row"]):
        row: dict[str, Any] = {str(name): rows[name].to_numpy()[k].item() for name in rows.data_vars}
        before = next(
            (r for r in reversed(table) if (r["family"], r["degree"]) == (row["family"], row["degree"])), None
        )
        for name in unknowns(row):
            row[f"order_{name}"] = None if before is None or row["family"] == "degree" else _order(before, row, name)
        table.append(row)
    families = str(rows.attrs["families"]).split()
    plain, known = (json.loads(rows.attrs.get(key, "{}")) for key in ("symbols", "symbols_known"))
    found: Sentences = []
    for part in (
        _manufactured(table),
        _smooth(table, rows.attrs["order_in_time"]),
        _mesh(table),
        _degree(table),
        _steps(table) if "steps" in families else [],
        _tolerance(table),
    ):
        found += part
    passed = all(good for _, good in found)
    said = [sentence for sentence, _ in found]
    symbols = {family: plain | (known if family in KNOWN else {}) for family in families}
    return {
        "passed": passed, "headline": _headline(found), "conclusion": said, "table": table, "families": families,
        "symbols": symbols,
    }  # fmt: skip


def unknowns(row: dict[str, Any]) -> list[str]:
    """What the errors of a row are in: mu and sigma, or m."""
    return [key.removeprefix("error_") for key in row if key.startswith("error_")]


def written(verdict: dict[str, Any], family: str, name: str) -> str:
    """How an unknown is written in a family."""
    return str(verdict["symbols"][family].get(name, name))


def text(verdict: dict[str, Any]) -> str:
    """Give the verdict as a table for a terminal."""
    lines = []
    for family, (what, refined) in FAMILIES.items():
        rows = [row for row in verdict["table"] if row["family"] == family]
        if not rows:
            continue
        names = unknowns(rows[0])
        columns = " ".join(f"{'error ' + written(verdict, family, name):>12} {'order':>6}" for name in names)
        lines += [f"{what}, {refined} ", f"{'p':>3} {refined:>16} {columns} {'steps':>6} {'s':>8}"]
        for row in rows:
            orders = ["" if row[f"order_{name}"] is None else f"{row[f'order_{name}']:.2f}" for name in names]
            errors = " ".join(
                f"{row[f'error_{name}']:>12.2e} {order:>6}" for name, order in zip(names, orders, strict=True)
            )
            lines.append(
                f"{row['degree']:>3} {row['value']:>16.4g} {errors} {row['steps'] or '':>6} {row['seconds']:>8.3f}"
            )
        lines.append("")
    return "\n".join([*lines, *verdict["conclusion"]])


def figure(verdict: dict[str, Any]) -> Figure:
    """Draw the errors of every family: the first unknown's as lines, those of a second (w or sigma) as dashes."""
    families = {name: FAMILIES[name] for name in FAMILIES if name in verdict["families"]}
    columns = max(-(-len(families) // 2), 1)
    figure = Figure(figsize=(4.4 * columns, 8), layout="constrained")
    figure.get_layout_engine().set(hspace=0.08)
    axes = figure.subplots(2, columns, squeeze=False).ravel()
    found = []
    for axis in axes[len(families) :]:
        axis.set_visible(False)
    for axis, (family, (what, refined)) in zip(axes, families.items(), strict=False):
        rows = _of(verdict["table"], family)
        axis.set(
            title=what[0].upper() + what[1:], xlabel=refined,
            ylabel="L² error" + ("" if family == "manufactured" else ", relative"),
            xscale="linear" if family == "degree" else "log", yscale="log",
        )  # fmt: skip
        if not rows:
            axis.text(0.5, 0.5, "no run reached the end", ha="center", transform=axis.transAxes)
            continue
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault("" if family == "degree" else f"P{row['degree']}", []).append(row)
        for k, (name, some) in enumerate(groups.items()):
            x = [row["value"] for row in some]
            for unknown, style in zip(unknowns(some[0]), ("o-", "s--"), strict=False):
                symbol = written(verdict, family, unknown)
                label = f"{symbol} {name}" if len(groups) == 1 else name if style == "o-" else None
                axis.plot(x, [row[f"error_{unknown}"] for row in some], style, ms=4, color=f"C{k}", lw=1.2, label=label)
        if family in ("manufactured", "mesh"):
            for some in groups.values():
                last, power = some[-1], some[-1]["degree"] + 1
                start = 1.6 * _largest(last)
                guide = [start * (row["value"] / last["value"]) ** power for row in some]
                axis.plot([row["value"] for row in some], guide, ":", color="0.6", lw=1)
        if family == "tolerance":
            x = [row["value"] for row in rows]
            axis.plot(x, x, color="0.6", lw=1, label="error = rtol")
            axis.fill_between(x, x, [TIMES * v for v in x], color="0.9", lw=0, label=f"up to {TIMES:g} rtol")
        values = sorted({row["value"] for row in rows})
        axis.set_xticks(values, [f"{value:.3g}" for value in values])
        axis.minorticks_off()
        drawing.legend(axis)
        lowest = {name: _lowest(some[-1]) for name, some in groups.items()}
        orders = [f"{name} {order:.2f}" for name, order in lowest.items() if order is not None]
        if orders:
            found.append(f"{what} in {refined}: {', '.join(orders)}")
    figure.set_label(f"Orders on the finest pairs. {'; '.join(found)}.")
    return figure


def html(rows: xr.Dataset, verdict: dict[str, Any], picture: bytes) -> str:
    """Fill the template: one file with its figure inside.

    Args:
        rows: as for `judge`.
        verdict: as `judge` gives it.
        picture: `figure` as PNG, from `kinlim.validation.drawing.png`.
    """
    return report.render(
        "convergence.html",
        rows=rows.attrs,
        verdict=verdict,
        families=FAMILIES,
        less=LESS,
        unknowns=unknowns,
        written=written,
        picture=picture,
    )


Sentences = list[tuple[str, bool]]


def _headline(found: Sentences) -> str:
    """How many checks have failed, and the first of them; or that all passed."""
    if failed := [sentence for sentence, good in found if not good]:
        return f"Errors under refinement: {len(failed)} check{'s' * (len(failed) > 1)} FAILED. {failed[0]}"
    return "Errors under refinement: every check passed." + (f" {found[0][0]}" if found else "")


def _order(before: dict[str, Any], row: dict[str, Any], name: str) -> float | None:
    old, new = before[f"error_{name}"], row[f"error_{name}"]
    if not (old > 0 and new > 0):
        return None
    return float(np.log(old / new) / np.log(before["value"] / row["value"]))


def _of(table: list[dict[str, Any]], family: str) -> list[dict[str, Any]]:
    return [row for row in table if row["family"] == family]


def _lowest(row: dict[str, Any]) -> float | None:
    orders = [row[f"order_{name}"] for name in unknowns(row) if row[f"order_{name}"] is not None]
    return min(orders) if orders else None


def _largest(row: dict[str, Any]) -> float:
    return max(row[f"error_{name}"] for name in unknowns(row))


def _manufactured(table: list[dict[str, Any]]) -> Sentences:
    rows = _of(table, "manufactured")
    said: Sentences = []
    for degree in sorted({row["degree"] for row in rows}):
        lowest = _lowest([row for row in rows if row["degree"] == degree][-1])
        if lowest is None:
            continue
        good = lowest >= degree + 1 - LESS
        said.append(
            (
                f"Manufactured solution, P{degree}: order {lowest:.2f} on the finest pair of meshes, where "
                f"{degree + 1} is expected: {'passed' if good else 'FAILED'}.",
                good,
            )
        )
    return said


def _smooth(table: list[dict[str, Any]], order: int) -> Sentences:
    rows = _of(table, "time")
    lowest = _lowest(rows[-1]) if rows else None
    if lowest is None:
        return []
    good = bool(lowest >= order - LESS_IN_TIME)
    said = f"Fixed time steps on a smooth solution: order {lowest:.2f} on the finest pair, where {order} is expected"
    return [(f"{said}: {'passed' if good else 'FAILED'}.", good)]


def _mesh(table: list[dict[str, Any]]) -> Sentences:
    rows = _of(table, "mesh")
    lowest = _lowest(rows[-1]) if rows else None
    if lowest is None:
        return []
    degree = rows[-1]["degree"]
    full = lowest >= degree + 1 - LESS
    why = (
        "as smooth data allow"
        if full
        else f"less than the {degree + 1} of smooth data: the solution is rougher than the mesh can follow"
    )
    return [(f"On the study's own data the order in h is {lowest:.2f} on the finest pair, {why}.", True)]


def _degree(table: list[dict[str, Any]]) -> Sentences:
    rows = _of(table, "degree")
    if len(rows) < 2:
        return []
    gains = [_largest(one) / _largest(next_) for one, next_ in pairwise(rows) if _largest(next_)]
    if not gains:
        return []
    return [(f"A degree more divides the largest error by {min(gains):.3g} to {max(gains):.3g}.", True)]


def _steps(table: list[dict[str, Any]]) -> Sentences:
    rows = _of(table, "steps")
    if not rows:
        return [("Fixed time steps do not reach the end on these data; error control does.", True)]
    if (lowest := _lowest(rows[-1])) is None:
        return []
    return [
        (f"With fixed time steps the order in time on the study's own data is {lowest:.2f} on the finest pair.", True)
    ]


def _tolerance(table: list[dict[str, Any]]) -> Sentences:
    rows = _of(table, "tolerance")
    if not rows:
        return []
    worst = max(rows, key=lambda row: _largest(row) / row["value"])
    ratio = _largest(worst) / worst["value"]
    good = ratio <= TIMES
    return [
        (
            f"The error in time is at most {ratio:.2g} times rtol (at rtol = {worst['value']:g}), "
            f"where up to {TIMES:g} is promised: {'passed' if good else 'FAILED'}.",
            good,
        )
    ]
