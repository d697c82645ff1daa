"""What all figures have in common: legends that cover nothing, ticks that do not touch, what is seen in words, PNG.

The words are for those who do not see the figure. They are its label, `figure.set_label(...)`, or else say where its
curves come from and go to; the PNG keeps them, and a page gives them as the alternative text.
"""

import io
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from kinlim.provenance import command
from kinlim.validation.report import WORDS, number

Array = NDArray[np.float64]

DPI = 120

BELOW = 38 / 72
"""Inches from the lower end of a panel to its legend, so that the labels of its axis have room."""

MOST = 0.9
"""Part of a panel's share of a figure that its legend may take."""

DECADES, NARROW = 2.0, 0.7
"""Powers of ten from which on an axis has ticks at these alone, and below which it has them as a linear axis does."""

APART = 0.12
"""Part of an axis that a label takes, about."""

READ = 4
"""Curves of a panel that are read out."""

if command():  # a stranger's matplotlibrc in the current folder decides nothing; a notebook's settings are its user's
    mpl.rcdefaults()


def png(figure: Figure) -> bytes:
    """Render a figure, with its words inside."""
    ticks(figure)
    buffer = io.BytesIO()
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(buffer, format="png", dpi=DPI, metadata={WORDS: str(figure.get_label()) or reading(figure)})
    return buffer.getvalue()


def legend(where: Axes | Figure, **options: Any) -> None:
    """Put a legend below a panel, or above the panels of a figure, in as many columns as there is room for.

    Call it last, when the panel or the figure has all its curves. Without curves that have a label there is none.
    """
    if isinstance(where, Axes):
        handles, labels = where.get_legend_handles_labels()
        offset = ScaledTranslation(0, -BELOW, where.figure.dpi_scale_trans)
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": where.transAxes + offset}
        spec = where.get_subplotspec()
        share = len(spec.colspan) / spec.get_gridspec().ncols if spec else where.get_position().width
        room = MOST * share * where.figure.bbox.width
    else:
        found = [axis.get_legend_handles_labels() for axis in where.axes]
        once = {label: handle for handles, labels in found for handle, label in zip(handles, labels, strict=True)}
        handles, labels = list(once.values()), list(once)
        place, room = {"loc": "outside upper left"}, where.bbox.width
    for columns in range(len(labels), 0, -1):
        drawn = where.legend(handles, labels, ncols=columns, frameon=False, fontsize=9, **place, **options)
        if columns == 1 or drawn.get_window_extent().width <= room:
            return
        drawn.remove()


def ticks(figure: Figure) -> None:
    """Give logarithmic axes as many ticks with labels as have room.

    Those whose ticks somebody has chosen stay as they are, and those that have negative values.
    """
    for axis in (one for panel in figure.axes for one in (panel.xaxis, panel.yaxis)):
        both = axis.get_scale() == "symlog" and min(axis.get_data_interval()) < 0
        chosen = both or isinstance(axis.get_major_locator(), FixedLocator)
        if axis.get_scale() in ("log", "symlog") and not chosen:
            values = _apart(axis, _values(axis))
            written = str if all(1e-3 <= value < 1e5 for value in values if value) else _power
            axis.set_major_locator(FixedLocator(values))
            axis.set_major_formatter(FixedFormatter([written(f"{value:g}") for value in values]))
            axis.set_minor_formatter(NullFormatter())


def reading(figure: Figure) -> str:
    """Where the curves of a figure come from and go to, panel by panel; empty where it has none."""
    return " ".join(filter(None, map(_panel, figure.axes)))


def course(x: Array, y: Array) -> str:
    """Where the values of a curve go, as in "falls from 3 at 0 to 2 at 1"."""
    there = np.isfinite(y)
    x, y = x[there], y[there]
    first, last, low, high = (number(float(value)) for value in (y[0], y[-1], y.min(), y.max()))
    if low == high:
        return f"is {first}"
    steps = np.diff(y)
    way = "falls" if (steps <= 0).all() else "rises" if (steps >= 0).all() else "goes"
    between = f", between {low} and {high}" if way == "goes" else ""
    return f"{way} from {first} at {plain(x[0])} to {last} at {plain(x[-1])}{between}"


def plain(value: float) -> str:
    """A coordinate in words."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}".replace("-", "−") if abs(value) >= 1e-3 or value == 0 else number(value)


def _values(axis: Axis) -> list[float]:
    """Values for the ticks of a logarithmic axis, with 0 if it is on it."""
    low, high = sorted(axis.get_view_interval())
    zero = [0.0] if low <= 0 else []
    if zero:
        low = axis.get_transform().linthresh
    decades = np.log10(high / low)
    locator = LogLocator(numticks=7) if decades >= DECADES else LogLocator(subs=(1, 2, 5), numticks=99)
    if decades < NARROW:
        locator = MaxNLocator(4)
    return [*zero, *(float(value) for value in locator.tick_values(low, high) if low <= value <= high)]


def _apart(axis: Axis, values: list[float]) -> list[float]:
    """Those of these, in their order, that have room for a label beside the one before."""
    transform = axis.get_transform().transform
    low, high = transform(np.array(sorted(axis.get_view_interval())))
    kept: list[float] = []
    last = -np.inf
    for value, place in zip(values, (transform(np.array(values)) - low) / (high - low), strict=True):
        if place - last > APART:
            kept.append(value)
            last = place
    return kept


def _power(value: str) -> str:
    """A number with a power of ten."""
    if value == "0":
        return value
    mantissa, exponent = f"{float(value):e}".split("e")
    factor = "" if float(mantissa) == 1 else f"{float(mantissa):g}·"
    return f"{factor}$10^{{{int(exponent)}}}$"


def _panel(axis: Axes) -> str:
    """What a panel's curves do."""
    curves = list(_curves(axis))
    if not curves:
        return ""
    title, along, up = axis.get_title(), axis.get_xlabel(), axis.get_ylabel()
    head = ", ".join(filter(None, (title, up))) + (f" over {along}" if along else "")
    said = [f"{name} {course(x, y)}".strip() for name, x, y in curves[:READ]]
    more = ["and more"] if len(curves) > READ else []
    return f"{head.strip() or 'Curves'}: {'; '.join([*said, *more])}."


def _curves(axis: Axes) -> Iterator[tuple[str, Array, Array]]:
    """Names and points of the curves that have a label, or of all others where none has."""
    handles, labels = axis.get_legend_handles_labels()
    named = [(label, _line(handle)) for handle, label in zip(handles, labels, strict=True)]
    for label, line in named or [("", line) for line in axis.lines]:
        if line is not None:
            x, y = (np.asarray(values, np.float64) for values in line.get_data(orig=False))
            if np.isfinite(y).any():
                yield label, x, y


def _line(handle: Any) -> Line2D | None:
    """The line of what a legend shows; None for an area."""
    if isinstance(handle, ErrorbarContainer):
        return handle[0]
    return None if not isinstance(handle, Line2D) else handle
