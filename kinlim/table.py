"""The base of every table in a study file: frozen, strict about keys, formulas and finite numbers."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from kinlim.errors import InputError
from kinlim.formula import Formula


class Table(BaseModel):
    """One table of a study: unknown keys, wrong types and non-finite numbers are refused; values never change."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        populate_by_name=True,
        validate_default=True,  # a formula may have text for a default
    )


def parse_formula(value: Any, variables: tuple[str, ...] = ("x",)) -> Formula:
    """Make a formula of what a study gives: text, or a number.

    Raises:
        ValueError: it is no formula in these variables.
    """
    if isinstance(value, Formula):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = repr(value)
    if not isinstance(value, str):
        raise ValueError("must be a formula in quotes")
    try:
        return Formula.parse(value, variables)
    except InputError as error:
        raise ValueError(str(error)) from None


def formula_in(*variables: str) -> BeforeValidator:
    """What makes a field of a study a formula in these variables; `WRITTEN` goes with it."""
    return BeforeValidator(lambda value: parse_formula(value, variables))


WRITTEN = PlainSerializer(str, return_type=str)
"""What writes a formula as it was given."""

FormulaOfX = Annotated[Formula, formula_in("x"), WRITTEN]
"""A function of x, written as a formula."""

FormulaOfXY = Annotated[Formula, formula_in("x", "y"), WRITTEN]
"""A function of x and y, written as a formula."""

FormulaOfXYZ = Annotated[Formula, formula_in("x", "y", "z"), WRITTEN]
"""A function of x, y and z, written as a formula."""

Positive = Annotated[float, Field(gt=0)]
