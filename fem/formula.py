"""Formulas of a study in UFL."""

from collections.abc import Callable
from typing import Any

import ufl

from kinlim.formula import Formula

UFL_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": ufl.sin, "cos": ufl.cos, "tan": ufl.tan, "exp": ufl.exp, "log": ufl.ln, "sqrt": ufl.sqrt, "erf": ufl.erf,
    "abs": abs, "tanh": ufl.tanh, "min": ufl.min_value, "max": ufl.max_value,
}  # fmt: skip


def to_ufl(formula: Formula, **coordinates: Any) -> Any:
    """Turn the formula into a UFL expression in the given coordinates, for example x = SpatialCoordinate(mesh)[0]."""
    return ufl.as_ufl(formula.evaluate(UFL_FUNCTIONS, **coordinates))
