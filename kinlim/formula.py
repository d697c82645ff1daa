"""Formulas in study files: parsed once against a whitelist, evaluated to NumPy or to any other algebra.

A formula is built from numbers, the names a model declares (``x``; ``pi`` and ``e`` always), the operators
``+ - * / **`` and the functions of `FUNCTIONS`. Python's own parser reads it, but nothing is ever evaluated by
Python: the tree is checked node by node and walked with a table of operations, so a study file is data, never code.
"""

import ast
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinlim.errors import InputError

CONSTANTS = {"pi": math.pi, "e": math.e}

FUNCTIONS: dict[str, int] = {
    "sin": 1, "cos": 1, "tan": 1, "exp": 1, "log": 1, "sqrt": 1, "erf": 1, "abs": 1, "tanh": 1, "min": 2, "max": 2,
}  # fmt: skip
"""Function name and number of arguments."""


def _erf(x: Any) -> Any:
    """The error function; SciPy is loaded when a formula has it evaluated."""
    from scipy.special import erf

    return erf(x)


NUMPY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "erf": _erf,
    "abs": np.abs, "tanh": np.tanh, "min": np.minimum, "max": np.maximum,
}  # fmt: skip

OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}

MAX_LENGTH = 1000
"""Characters. Python's parser and the walk below recurse, so the length bounds their depth."""

MAX_EXPONENT = 100
"""A literal exponent beyond this is a slip of the pen: x**101 is below 1e-30 already at x = 1/2."""

MAX_DEPTH = 100


@dataclass(frozen=True)
class Formula:
    """A real function of the model's coordinates, such as ``erf(27*(x-1/2)**3)``.

    >>> Formula.parse("sin(pi*x)/2")(x=np.array([0.0, 0.5])).tolist()
    [0.0, 0.5]
    >>> Formula.parse("open(x)")
    Traceback (most recent call last):
    ...
    kinlim.errors.InputError: 'open' is not a known function; the functions are sin, cos, tan, exp, log, ...

    Attributes:
        text: the formula as written.
        variables: the coordinates it may use.
        tree: its checked syntax tree.
    """

    text: str
    variables: tuple[str, ...]
    tree: ast.expr = field(compare=False)

    @classmethod
    def parse(cls, text: str, variables: tuple[str, ...] = ("x",)) -> "Formula":
        """Parse and check.

        Raises:
            InputError: anything outside the whitelist, with the offending part and what is allowed.
        """
        if len(text) > MAX_LENGTH:
            raise InputError(f"the formula has {len(text)} characters; at most {MAX_LENGTH} are allowed")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Python code that may be a slip: what it says is said below
                tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InputError(f"not a formula ({getattr(error, 'msg', error)})") from None
        for offence in _offences(tree, variables):
            raise InputError(offence)
        return cls(text, variables, tree)

    @property
    def used(self) -> set[str]:
        """Those of its variables that stand in it.

        >>> sorted(Formula.parse("cos(x) + z", ("x", "y", "z")).used)
        ['x', 'z']
        """
        return {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)} & set(self.variables)

    def evaluate(self, functions: Mapping[str, Callable[..., Any]], **values: Any) -> Any:
        """Walk the tree in the algebra that `functions` and `values` belong to (NumPy, UFL, ...)."""
        names: dict[str, Any] = {**CONSTANTS, **values}

        def walk(node: ast.expr) -> Any:
            match node:
                case ast.Constant(value=int() | float() as number):
                    return float(number)
                case ast.Name(id=name):
                    return names[name]
                case ast.UnaryOp(op=ast.USub(), operand=operand):
                    return -walk(operand)
                case ast.UnaryOp(operand=operand):
                    return walk(operand)
                case ast.BinOp(left=left, op=op, right=right):
                    return OPERATORS[type(op)](walk(left), walk(right))
                case ast.Call(func=ast.Name(id=name), args=args):
                    return functions[name](*map(walk, args))
            raise AssertionError(ast.dump(node))  # `_offences` lets nothing else pass

        return walk(self.tree)

    def __call__(self, **points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at points.

        Args:
            points: one array per coordinate, all of one shape.

        Returns:
            Values of that shape.

        Raises:
            InputError: the formula is not finite at some point, which is named.
        """
        coordinates = {name: np.asarray(points[name], dtype=np.float64) for name in self.variables}
        shape = next(iter(coordinates.values())).shape
        with np.errstate(all="ignore"):
            try:
                values = np.broadcast_to(np.float64(1) * self.evaluate(NUMPY_FUNCTIONS, **coordinates), shape).copy()
            except (OverflowError, ZeroDivisionError) as error:  # Python's own floats, where no coordinate enters
                raise InputError(f"cannot be evaluated ({error})") from None
        if values.dtype != np.float64 or not np.isfinite(values).all():
            real = values.dtype == np.float64
            bad = np.argwhere(~np.isfinite(values))[0] if real else np.zeros(values.ndim, int)
            where = ", ".join(f"{name} = {array[tuple(bad)]:.6g}" for name, array in coordinates.items())
            raise InputError(f"is {values[tuple(bad)]} at {where}; it must be finite everywhere")
        return values

    def __str__(self) -> str:
        """Return the formula as written."""
        return self.text


def _offences(tree: ast.expr, variables: tuple[str, ...]) -> Iterator[str]:
    """Everything in the tree that the whitelist does not allow, in reading order."""
    names = [*variables, *CONSTANTS]
    stack = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            yield f"is nested more than {MAX_DEPTH} deep"
            return
        match node:
            case ast.Constant(value=bool()) | ast.Constant(value=complex()):
                yield f"'{_written(node)}' is not a real number"
            case ast.Constant(value=int() | float() as number):
                if number > 1e300:
                    yield "holds a number beyond 1e300"
            case ast.Name(id=name):
                if name not in names:
                    hint = f" ('{name}' is a function: write {name}(...))" if name in FUNCTIONS else ""
                    yield f"unknown name '{name}'{hint}; the names are {', '.join(names)}"
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                stack.append((operand, depth + 1))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                if isinstance(op, ast.Pow) and (size := _magnitude(right)) > MAX_EXPONENT:
                    yield f"the power '{_written(node)}' has exponent {size:.3g}; at most {MAX_EXPONENT} is allowed"
                stack += [(right, depth + 1), (left, depth + 1)]
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
                if len(args) != FUNCTIONS[name]:
                    yield f"{name} takes {FUNCTIONS[name]} argument(s), not {len(args)}"
                stack += [(argument, depth + 1) for argument in reversed(args)]
            case ast.Call(func=function):
                yield f"'{_written(function)}' is not a known function; the functions are {', '.join(FUNCTIONS)}"
            case _:
                yield (
                    f"'{_written(node)}' is not allowed in a formula, which is made of numbers, "
                    f"{', '.join(names)}, + - * / ** and {', '.join(FUNCTIONS)}"
                )


def _written(node: ast.expr) -> str:
    """A part of a formula for a message; Python writes it recursively, and may not get to the end."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return "(...)"


def _magnitude(node: ast.expr) -> float:
    """Size of a constant exponent; 0 where a coordinate enters, since finiteness is then checked at the points."""
    if any(isinstance(part, ast.Name) and part.id not in CONSTANTS for part in ast.walk(node)):
        return 0.0
    try:
        formula = Formula("", (), node)
        return abs(float(formula.evaluate(NUMPY_FUNCTIONS)))
    except (OverflowError, ZeroDivisionError, RecursionError):
        return math.inf
    except (KeyError, AssertionError, TypeError, ValueError):
        return 0.0  # not a number: the walk over the operands says why
