"""What pages are made of: formulas as mathematics, sections that fold, signs of print, profiles to look into."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr

import kinlim
from kinlim.validation import explore
from kinlim.validation.mathml import mathml
from kinlim.validation.report import _folded, readable, render


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        ("erf(27*(x-1/2)**3)", "erf(27((x−[1/2])^3))"),
        ("a-(b-c)", "a−(b−c)"),
        ("a-b-c", "a−b−c"),
        ("(a+b)*c", "(a+b)c"),
        ("-x**2", "−(x^2)"),
        ("(-x)**2", "((−x)^2)"),
        ("2*pi*x", "2πx"),
        ("2*3", "2·3"),
        ("x*(1/2)", "x·[1/2]"),
        ("sqrt(1+x)/abs(x)", "[√(1+x)/|x|]"),
        ("max(x, 0.5)", "max(x,0.5)"),
        ("vx**2", "(v_x^2)"),
        ("1 - cos(2*pi*x)", "1−cos(2πx)"),
        ("2", "2"),
    ],
)
def test_formulas_are_mathematics(formula, shown):
    """Brackets stand where, and only where, the formula means something else without them."""
    assert _plain(ElementTree.fromstring(str(mathml(formula)))) == shown


FORMS = {"mfrac": "[{}/{}]", "msup": "({}^{})", "msub": "{}_{}", "msqrt": "√({})"}


def _plain(element):
    parts = [_plain(one) for one in element]
    text = FORMS[element.tag].format(*parts) if element.tag in FORMS else (element.text or "") + "".join(parts)
    return text.replace("\N{INVISIBLE TIMES}", "")


def test_names_are_escaped():
    assert "<script>" not in str(mathml("x"))
    with pytest.raises(ValueError, match="is in no formula"):
        mathml("x if x else x")


def test_sections_fold_and_nothing_is_lost():
    page = '<body><p>first</p>\n<h2>A</h2>a\n<h2 class="open">B</h2>b\n</body>\n</html>\n'
    folded = _folded(page)
    assert folded.index("first") < folded.index("<details>")
    assert re.findall(r"<details( open)?><summary><h2[^>]*>(.)</h2></summary>(.)\n", folded) == [
        ("", "A", "a"), (" open", "B", "b"),
    ]  # fmt: skip
    assert folded.endswith("</body>\n</html>\n")
    assert _folded("<p>no section</p>") == "<p>no section</p>"


@pytest.mark.parametrize(
    ("plain", "printed"),
    [
        ("chi2 is 1.1, where noise makes 1 +- 0.1", "χ² is 1.1, where noise makes 1 ± 0.1"),
        ("f/chi_1 and chi_2/g stay", "f/χ₁ and χ₂/g stay"),  # the densities, and no χ²
        ("slope -0.6, x - 1, O(n^-3) (-1)", "slope −0.6, x − 1, O(n⁻³) (−1)"),
        ("R^2 = R, sqrt(M/N), sigma^2/2, e^(-t)", "R² = R, √(M/N), sigma²/2, e^(-t)"),
        ("rtol = 1e-07, (2.1)-(2.2), Figures 2-4, --over a-b", "rtol = 1e-07, (2.1)-(2.2), Figures 2-4, --over a-b"),
    ],
)
def test_signs_of_print(plain, printed):
    assert readable(plain) == printed


def test_brackets_grow_around_what_is_tall_alone():
    """Without a font for mathematics, stretched ones around one line were twice as tall as it."""
    assert str(mathml("sin(4*pi*x)")).count('stretchy="false"') == 2
    assert "stretchy" not in str(mathml("sin(x/2)"))


def profiles(times, points, axes=("x",), rules=("u",)):
    """What a page has of made-up means; the first standard error is not known."""
    shape, dims = (times, *(points for _ in axes)), ("time", *axes)
    means = np.arange(np.prod(shape)).reshape(shape) / 7
    errors = np.full(shape, 0.0123456)
    errors[0, 0] = np.nan
    coordinates = {"time": np.arange(times) / 3, **{axis: np.linspace(0, 1, points) for axis in axes}}
    data = {"particles": xr.Dataset(dict.fromkeys(rules, (dims, means)), coordinates)}
    compared = xr.Dataset(
        {f"expected_{name}": (dims, means + 1) for name in rules}
        | {f"difference_{name}_se": (dims, errors) for name in rules},
        coordinates,
    )
    return explore.profiles([kinlim.Means(name) for name in rules], compared, data)


def test_profiles_hold_all_points_where_there_are_few():
    """Digits are cut as said, and what is not known is null: NaN is no JSON."""
    found = profiles(times=2, points=50)
    assert found["time"] == [0.0, 0.3333]
    (one,) = found["profiles"]
    assert (one["every"], one["points"], one["axis"], one["name"]) == (1, 50, "x", "u")
    assert one["particles"][1][3] == 7.57143
    assert one["expected"][1][3] == 8.57143
    assert one["error"][0][:2] == [None, 0.0123]
    json.loads(json.dumps(found, allow_nan=False))


@pytest.mark.parametrize(("times", "points", "rules"), [(6, 1000, "uv"), (6, 10_000, "u"), (40, 3000, "uvw")])
def test_profiles_stay_small(times, points, rules):
    """A page stays a file to send: some 100 kB of numbers, and never fewer than 60 points each."""
    found = profiles(times, points, rules=tuple(rules))
    assert len(json.dumps(found)) < 200_000
    for one in found["profiles"]:
        assert len(one["x"]) == len(one["particles"][0]) >= explore.DOTS
        assert one["x"][1] == pytest.approx(one["every"] / (points - 1), rel=1e-5)


def test_means_over_more_axes_come_section_by_section():
    """One row for each time and each place on the other axes, in this order; few enough of them."""
    (one,) = profiles(times=2, points=5, axes=("x", "y"))["profiles"]
    assert one["sections"] == ["y = 0", "y = 0.25", "y = 0.5", "y = 0.75", "y = 1"]
    assert one["particles"][5 + 2][3] == pytest.approx((25 + 3 * 5 + 2) / 7, rel=1e-5)  # t = 1, y = 0.5, x = 0.75
    assert one["expected"][2][0] == pytest.approx(2 / 7 + 1, rel=1e-5)
    (one,) = profiles(times=4, points=40, axes=("x", "y", "z"))["profiles"]
    assert one["sections"][0] == "y = 0, z = 0"
    assert len(one["particles"]) == 4 * len(one["sections"])
    assert len(json.dumps(one)) < 200_000


def test_numbers_are_no_profiles():
    assert profiles(times=2, points=5, axes=("wave",))["profiles"] == []


def test_names_in_profiles_are_not_markup():
    """A user's label stands in a script element: it must not end it."""
    found = profiles(times=1, points=3)
    found["profiles"][0]["name"] = found["profiles"][0]["about"] = "</script><b>"
    page = render("explore.html", explored=found)
    assert page.count("</script>") == 2
    assert json.loads(re.search(r'json">(.*)</script>', page)[1]) == found
