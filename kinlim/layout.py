"""What a dataset holds, written into it when it is made and verified before it is used.

The attribute `layout` of a dataset is JSON: for every variable and coordinate the kind of its values and its dimensions
with their sizes, and for every other attribute its kind. Values are finite, but for variables with the attribute
`nan_where`, which says in words where they are not. So what reads a dataset needs no second list of what is in it.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kinlim.errors import InputError, RunError

if TYPE_CHECKING:
    import xarray as xr

LAYOUT, NAN_WHERE = "layout", "nan_where"

WORDS = {"f": "real numbers", "i": "integers", "b": "truth values", "U": "texts", "c": "complex numbers"}
"""Kinds of values, as numpy calls them."""


def seal(dataset: "xr.Dataset", what: str) -> "xr.Dataset":
    """The dataset with its layout.

    Args:
        dataset: as it is to be used and written.
        what: it is called in messages.

    Raises:
        RunError: a variable holds NaN or infinity, and nothing says that it may.
    """
    for name, variable in dataset.variables.items():
        if NAN_WHERE not in variable.attrs and (where := _not_finite(variable)):
            raise RunError(f"{what}: {name} holds values that are no finite numbers ({where}), and none should be")
    attributes = {str(name): _kind(value) for name, value in dataset.attrs.items() if name != LAYOUT}
    variables = {
        str(name): [_kind(one), {str(dim): size for dim, size in one.sizes.items()}, NAN_WHERE in one.attrs]
        for name, one in dataset.variables.items()
    }
    return dataset.assign_attrs({LAYOUT: json.dumps({"variables": variables, "attributes": attributes})})


def verify(dataset: "xr.Dataset", what: str) -> None:
    """Refuse a dataset that is not as it was made; what has been added to it does not matter.

    Raises:
        InputError: `what`, and the variable or attribute that is missing or another.
    """
    try:
        layout: Mapping[str, Any] = json.loads(dataset.attrs[LAYOUT])
        variables = [(name, kind, dict(sizes), bool(nan)) for name, (kind, sizes, nan) in layout["variables"].items()]
        attributes = list(layout["attributes"].items())
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"{what}: was not made by this version of kinlim, or was changed (it has no attribute {LAYOUT} that can be "
            "read)"
        ) from None
    for name, kind in attributes:
        if name not in dataset.attrs:
            raise InputError(f"{what}: has no attribute {name}")
        if _kind(dataset.attrs[name]) != kind:
            raise InputError(
                f"{what}: has the attribute {name} = {dataset.attrs[name]!r:.80}, and should be of {_word(kind)}"
            )
    for name, kind, sizes, may_be_nan in variables:
        if name not in dataset.variables:
            there = ", ".join(sorted(map(str, dataset.data_vars)))
            raise InputError(f"{what}: has no variable {name}; it has {there:.200}")
        variable = dataset.variables[name]
        if _kind(variable) != kind:
            raise InputError(f"{what}: the values of {name} are {_word(_kind(variable))}, and should be {_word(kind)}")
        if list(variable.sizes.items()) != list(sizes.items()):
            raise InputError(
                f"{what}: {name} has the dimensions {_sizes(variable.sizes)}, and was made with {_sizes(sizes)}"
            )
        if not may_be_nan and (where := _not_finite(variable)):
            raise InputError(f"{what}: {name} holds values that are no finite numbers ({where})")


def _not_finite(variable: "xr.Variable") -> str:
    """Where the first value is that is NaN or infinite, and how many there are; empty where there is none."""
    if variable.dtype.kind not in "fc":
        return ""
    wrong = ~np.isfinite(variable.to_numpy())
    if not wrong.any():
        return ""
    first = zip(variable.dims, np.argwhere(wrong)[0], strict=True)
    at = ", ".join(f"{dim} number {index + 1}" for dim, index in first)
    return f"{wrong.sum()} of {wrong.size}" + (f", the first at {at}" if at else "")


def _kind(value: Any) -> str:
    """Kind of a variable's or an attribute's values: one for all texts, and one for all integers."""
    kind = np.asarray(value).dtype.kind if not hasattr(value, "dtype") else value.dtype.kind
    return {"O": "U", "T": "U", "S": "U", "u": "i"}.get(kind, str(kind))


def _word(kind: str) -> str:
    return WORDS.get(kind, f"of the kind {kind!r:.10}")


def _sizes(sizes: Mapping[Any, int]) -> str:
    """Dimensions with their sizes, as a reader wants them."""
    return "(" + ", ".join(f"{dim}: {size}" for dim, size in sizes.items()) + ")"
