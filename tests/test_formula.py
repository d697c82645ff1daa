"""Formulas: the right numbers in NumPy and in UFL, and nothing but formulas gets through."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import erf

import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

import kinlim
from kinlim.errors import InputError
from kinlim.fem.formula import to_ufl
from kinlim.formula import FUNCTIONS, Formula

X = np.linspace(-2, 2, 41)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("erf(27*(x-1/2)**3)", erf(27 * (X - 0.5) ** 3)),
        ("(1-cos(2*pi*x))/1000", (1 - np.cos(2 * np.pi * X)) / 1000),
        ("-x**2", -(X**2)),  # ** binds tighter than the sign
        ("2**-x", 2.0**-X),
        ("max(x, 0) - min(x, 0)", np.abs(X)),
        ("abs(x) + e*0", np.abs(X)),
        ("tanh(x)*exp(-x)*sin(x)*tan(x/4)", np.tanh(X) * np.exp(-X) * np.sin(X) * np.tan(X / 4)),
        ("sqrt(x*x+1) + log(x*x+1)", np.sqrt(X**2 + 1) + np.log(X**2 + 1)),
        ("1/3", np.full_like(X, 1 / 3)),  # a constant has the shape of the points; 1/3 is no integer division
        ("+.5e1", np.full_like(X, 5.0)),
    ],
)
def test_values(text, expected):
    assert Formula.parse(text)(x=X) == pytest.approx(expected, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("y", "unknown name 'y'; the names are x, pi, e"),
        ("__import__('os').system('id')", "'__import__('os').system' is not a known function"),
        ("exec(x)", "'exec' is not a known function"),
        ("x.real", "'x.real' is not allowed"),
        ("x if x > 0 else 0", "is not allowed"),
        ("x > 0", "'x > 0' is not allowed"),
        ("[x]", "'[x]' is not allowed"),
        ("(lambda: x)()", "is not a known function"),
        ("x[0]", "'x[0]' is not allowed"),
        ("'x'", "is not allowed"),
        ("1j*x", "'1j' is not a real number"),
        ("True", "'True' is not a real number"),
        ("sin", "'sin' is a function"),
        ("sin(x, x)", "sin takes 1 argument(s), not 2"),
        ("sin(*x)", "is not allowed"),
        ("sin(x=1)", "is not a known function"),
        ("x // 2", "is not allowed"),
        ("x**1000", "has exponent 1e+03"),
        ("9**9**9", "has exponent"),
        ("9**9**9**9**9", "has exponent"),
        ("2**(1/0)", "has exponent inf"),
        ("x**(10*11)", "has exponent 110"),
        ("1e999", "beyond 1e300"),
        ("1" + "0" * 400, "beyond 1e300"),
        ("x +", "not a formula"),
        ("", "not a formula"),
        ("x; x", "not a formula"),
        ("(" * 300 + "x" + ")" * 300, "not a formula"),
        ("-" * 500 + "x", "nested"),
        ("2**-" * 249 + "2", "nested"),
        ("x+" * 499 + "x", "nested"),
        ("x" * 2000, "2000 characters"),
        ("a\0b", "not a formula"),
    ],
)
def test_refused(text, named):
    with pytest.raises(InputError) as refusal:
        Formula.parse(text)
    assert named in str(refusal.value)


@pytest.mark.parametrize("text", ["1/x", "log(x)", "sqrt(x)", "x**0.5", "1/0", "exp(1000*x)", "(0-1)**0.5"])
def test_non_finite_values_are_refused_with_the_point(text):
    with pytest.raises(InputError, match="must be finite everywhere|cannot be evaluated"):
        Formula.parse(text)(x=X)


@given(st.text(alphabet="x0123456789.+-*/()sincope, ", max_size=40))
def test_any_text_is_a_formula_or_an_input_error(text):
    try:
        values = Formula.parse(text)(x=np.array([0.3]))
    except InputError:
        return
    assert np.isfinite(values).all()


@pytest.mark.slow
def test_ufl_agrees_with_numpy_in_every_function():
    # a function mapped to the wrong UFL operator (log for ln, say) would show
    domain = mesh.create_interval(MPI.COMM_SELF, 1, (0.2, 0.9))
    x = ufl.SpatialCoordinate(domain)[0]
    for name, arity in FUNCTIONS.items():
        formula = Formula.parse(f"{name}({'x, 1/2' if arity == 2 else 'x'}) * x**2 / pi - e")
        points = np.array([[0.0], [0.25], [0.8], [1.0]])
        values = fem.Expression(to_ufl(formula, x=x), points).eval(domain, np.array([0], dtype=np.int32)).ravel()
        assert values == pytest.approx(formula(x=0.2 + 0.7 * points[:, 0]), rel=1e-14), name


def test_a_constant_formula_is_a_ufl_expression():
    assert float(to_ufl(Formula.parse("pi"), x=None)) == math.pi


NESTED = ["~" * 900 + "x", "x" + ".x" * 480, "x" + "()" * 480, "~" + "-" * 990 + "x", "x if " + "-" * 980 + "x else x",
          "(" * 450 + "x" + ")" * 450, "sin(" * 190 + "x" + ")" * 190, "2**(" * 190 + "2" + ")" * 190]  # fmt: skip


@pytest.mark.parametrize("text", NESTED)
def test_what_is_nested_deeply_is_refused_in_words(text):
    with pytest.raises(InputError):
        Formula.parse(text)


@pytest.mark.parametrize("text", ["1or 2", "0x1for x in y", "1[0]", "'\\d'", "(1)(x)", "x is 1"])
def test_python_has_nothing_to_say_of_a_formula(text, recwarn):
    with pytest.raises(InputError):
        Formula.parse(text)
    assert not recwarn.list


PIECES = st.lists(
    st.sampled_from(
        [*"x12.+-*/(),[]'~#:=@ ",
         "pi", "e", "**", "sin(", "sqrt(", "log(", "min(", "1e308", "100", " if ", " else ", "or",
         "lambda ", "0x", "1j", "x.", "\n", "\\", "\x00", "\u200b", "not ", "None", "9" * 400]
    ),
    max_size=40,
)  # fmt: skip


@given(PIECES)
def test_any_text_is_a_formula_or_refused_in_words(pieces):
    try:
        Formula.parse("".join(pieces))(x=np.linspace(0, 1, 3))
    except InputError as refusal:
        assert str(refusal)  # noqa: PT017 - either outcome is right


def test_a_formula_in_a_study_has_the_variables_of_its_field():
    class Data(kinlim.Table):
        plane: kinlim.FormulaOfXY
        space: kinlim.FormulaOfXYZ = "x + 2*y + 4*z"

    one = np.array([1.0])
    data = Data(plane="x - y")
    assert data.plane(x=3 * one, y=one).tolist() == [2.0]
    assert data.space(x=one, y=one, z=one).tolist() == [7.0]
    assert data.plane.used == {"x", "y"}
    assert Data(plane="pi*y").plane.used == {"y"}
    assert data.model_dump(mode="json") == {"plane": "x - y", "space": "x + 2*y + 4*z"}
    with pytest.raises(ValidationError, match="unknown name 'z'; the names are x, y, pi, e"):
        Data(plane="z")
