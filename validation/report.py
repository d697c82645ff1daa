"""Reports: HTML files with their figures inside, readable by a mathematician who has not seen the code."""

import base64
import io
import math
import re
import tomllib
from importlib.resources import files
from typing import Any

import jinja2
import xarray as xr
from PIL import Image

from kinlim.validation.mathml import mathml

PRINTED = (
    "<script>addEventListener('beforeprint', () => document.querySelectorAll('details').forEach(d => d.open = true))"
    "</script>"
)
"""On paper nothing is folded."""

WORDS = "Description"
"""Key of the words in a PNG, one of those that the format names."""

SIGNS = {"+-": "±", "chi2": "χ²", "chi_1": "χ₁", "chi_2": "χ₂", "||": "‖", "<=": "≤", ">=": "≥", "sqrt(": "√("}
"""What a terminal's sentences have, and what a page has in its place."""

MINUS = re.compile(r"(?<![\w.)\]-])-(?=\d)|(?<= )-(?= )")
"""A hyphen that is a minus sign: before a number, or alone between spaces."""

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
"""What stands in the place of an exponent."""

POWER = re.compile(r"\^(-?\d+)(?![\d.])")
"""A whole exponent without brackets."""


def render(name: str, **context: Any) -> str:
    """Fill the template `name` of this package: a self-contained page, its sections folded but those marked open.

    A section begins with <h2>, or with <h2 class="open">, and goes on to the next one.
    """
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
    environment.filters["readable"] = readable
    environment.filters["words"] = words
    environment.filters["base64"] = lambda picture: base64.b64encode(picture).decode()
    environment.filters["mathml"] = mathml
    return _folded(environment.get_template(name).render(context))


def readable(sentence: str) -> str:
    """A sentence for a terminal, with the signs of print."""
    for plain, sign in SIGNS.items():
        sentence = sentence.replace(plain, sign)
    sentence = POWER.sub(lambda power: power[1].translate(RAISED), sentence)
    return MINUS.sub("−", sentence)


def _folded(page: str) -> str:
    """The page with every section in a <details>."""
    head, *sections = re.split(r"(?=<h2[ >])", page)
    if not sections:
        return page
    sections[-1], end, tail = sections[-1].partition("</body>")
    folded = []
    for section in sections:
        title, heading, content = section.partition("</h2>")
        state = " open" if title.startswith('<h2 class="open"') else ""
        folded.append(f"<details{state}><summary>{title}{heading}</summary>{content}</details>\n")
    return f"{head}{''.join(folded)}{PRINTED}\n{end}{tail}"


def words(picture: bytes) -> str:
    """What a PNG says of itself; empty if it says nothing."""
    with Image.open(io.BytesIO(picture)) as image:
        return str(image.info.get(WORDS, ""))


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
    return f"{mantissa.replace('-', '−')}·10{str(int(exponent)).translate(RAISED)}"
