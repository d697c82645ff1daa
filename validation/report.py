"""Reports: HTML files with their figures inside, readable by a mathematician who has not seen the code."""

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

from kinlim.provenance import command

DPI = 120

if command():  # a stranger's matplotlibrc in the current folder decides nothing; a notebook's settings are its user's
    mpl.rcdefaults()


def png(figure: Figure) -> bytes:
    """Render a figure."""
    buffer = io.BytesIO()
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def render(name: str, **context: Any) -> str:
    """Fill the template `name` of this package: a self-contained page."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: files("kinlim.validation").joinpath(name).read_text(encoding="utf-8")
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["fixed"] = lambda value, digits: (
        "—" if value is None else f"{value:.{digits}f}".replace("-", "−")
    )
    environment.filters["percent"] = lambda value: (
        "—" if value is None else f"{_digits(100 * value, 2)}\N{NO-BREAK SPACE}%"
    )
    return environment.get_template(name).render(context)


def embedded(picture: bytes) -> str:
    """A PNG as text for an HTML page."""
    return base64.b64encode(picture).decode()


def model_of(dataset: xr.Dataset) -> dict[str, Any]:
    """The table [model] of the study that a dataset was made from."""
    return dict(tomllib.loads(str(dataset.attrs["study"]))["model"])


def number(value: float | None, digits: int = 3) -> str:
    """A number for readers: about `digits` digits, powers of ten where it would be long, a dash for none."""
    return "—" if value is None else _digits(value, digits)


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
