"""What pages are made of: formulas as mathematics, sections that fold, signs of print."""

import re
from xml.etree import ElementTree

import pytest

from kinlim.validation.mathml import mathml
from kinlim.validation.report import _folded, readable


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


def test_signs_of_print():
    assert readable("chi2 is 1.1, where noise makes 1 +- 0.1") == "χ² is 1.1, where noise makes 1 ± 0.1"
