"""The report: one HTML file with its figures inside, readable by a mathematician who has not seen the code."""

import base64
import io
import math
import tomllib
from importlib.resources import files
from typing import Any

import jinja2
import matplotlib as mpl
import xarray as xr
from matplotlib.figure import Figure

from kinlim.validation import figures

DPI = 120

SURE = 5.0
"""Standard deviations of noise from which on a difference is called one: noise does that once in two million times."""

ENOUGH = 100
"""Runs from which on standard errors are known well enough for that."""


def png(figure: Figure) -> bytes:
    """Render a figure."""
    buffer = io.BytesIO()
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def draw(particles: xr.Dataset, pde: xr.Dataset, comparison: xr.Dataset) -> dict[str, bytes]:
    """Every figure of the comparison as PNG, by name."""
    return {
        "moments": png(figures.moments(particles, pde, comparison)),
        "spreads": png(figures.spreads(particles, pde, comparison)),
    }


def html(
    particles: xr.Dataset, pde: xr.Dataset, comparison: xr.Dataset, numbers: dict[str, Any], pictures: dict[str, bytes]
) -> str:
    """Fill the template of the pinned balls.

    Args:
        particles: the ensemble.
        pde: the solution.
        comparison: their differences.
        numbers: as in metrics.json.
        pictures: as `draw` makes them.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = _number
    environment.filters["fixed"] = lambda value, digits: (
        "—" if value is None else f"{value:.{digits}f}".replace("-", "−")
    )
    environment.filters["percent"] = lambda value: (
        "—" if value is None else f"{_digits(100 * value, 2)}\N{NO-BREAK SPACE}%"
    )
    template = environment.from_string(files("kinlim.validation").joinpath("pinned.html").read_text(encoding="utf-8"))
    return template.render(
        particles=particles.attrs,
        pde=pde.attrs,
        comparison=comparison.attrs,
        totals={
            name: (float(particles[name][-1]), float(particles[f"{name}_se"][-1]), float(pde[name][-1]))
            for name in ("momentum", "energy")
        },
        min_w=float(pde["min_w"].min()),
        numbers=numbers,
        model=_model(particles),
        system=str(pde.attrs["system"]).replace("'", "′"),
        sure=SURE,
        enough=ENOUGH,
        pictures={name: base64.b64encode(data).decode() for name, data in pictures.items()},
    )


def _model(particles: xr.Dataset) -> dict[str, Any]:
    """Give the table [model] of the study that the particles were made from."""
    table = tomllib.loads(str(particles.attrs["study"]))["model"]
    return dict(table)


def _digits(value: float, digits: int) -> str:
    """Fixed-point with about `digits` significant digits, powers of ten where that would be long."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return "—"
    if 1e-3 <= abs(value) < 10**digits:
        return f"{value:#.{digits}g}".rstrip(".").replace("-", "−")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.replace('-', '−')}·10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def _number(value: float | None, digits: int = 3) -> str:
    return "—" if value is None else _digits(value, digits)
