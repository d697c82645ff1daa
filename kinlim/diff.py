"""`kinlim diff A B`: which keys of two studies differ, and whether their results do, beyond their standard errors.

A variable NAME with standard errors NAME_se on both sides is compared by z = (a - b)/(se_a^2 + se_b^2)^(1/2), and its
largest |z| is held against that of as many independent normal numbers. Where values are correlated the probability of
so much is less than that (Sidak's inequality), so that a difference is told too seldom rather than too often.
Everything else has no noise: its difference is told as a root mean square, beside its size, and held against the errors
that both sides estimate, where they do (`kinlim solve --estimate-error`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kinlim.errors import InputError
from kinlim.model import STUDY
from kinlim.results import Results, differences

if TYPE_CHECKING:
    import xarray as xr

ERROR = "_se"
"""What the name of a standard error ends in."""

CHANCE = 0.01
"""Probability of a largest |z| of so much or more below which results are said to differ."""


def diff(first: Path, second: Path) -> str:
    """What differs between two result folders, in lines for a terminal.

    Raises:
        InputError: one of them is no result folder, a dataset is damaged, or they have no dataset in common.
    """
    results = Results(first), Results(second)
    a, b = (one.tables() for one in results)
    lines = [f"{one.key}: {_shown(one.before)} and {_shown(one.now)}" for one in differences(a, b)]
    lines = lines or [f"the same {STUDY}"]
    names = [{path.name for path in one.path.glob("*.nc")} for one in results]
    if not (shared := sorted(names[0] & names[1])):
        raise InputError(f"{first} and {second}: have no dataset in common ({_names(names[0])}; {_names(names[1])})")
    for name in shared:
        lines += [f"{name}:", *(f"    {line}" for line in _datasets(*(one.opened(name) for one in results)))]
    for path, own in ((first, names[0] - names[1]), (second, names[1] - names[0])):
        if own:
            lines.append(f"only in {path}: {_names(own)}")
    return "\n".join(lines)


def _datasets(a: "xr.Dataset", b: "xr.Dataset") -> Iterator[str]:
    """A line a variable that differs, and how many are the same to the last bit."""
    alike = 0
    both = [str(name) for name in a.variables if name in b.variables]
    for name in both:
        x, y = a[name], b[name]
        if x.sizes != y.sizes:
            yield f"{name}: other sizes, {_sizes(x)} and {_sizes(y)}"
        elif x.dtype.kind not in "fiu" or y.dtype.kind not in "fiu":
            same = bool((x.to_numpy() == y.to_numpy()).all())
            alike += same
            if not same:
                yield f"{name}: other values"
        elif np.array_equal(x.to_numpy(), y.to_numpy(), equal_nan=True):
            alike += 1
        elif name.removesuffix(ERROR) not in both or name == name.removesuffix(ERROR):
            yield f"{name}: {_numbers(a, b, name)}"
    yield f"{alike} of {len(both)} variables are the same to the last bit"
    if alone := sorted(map(str, set(a.variables) ^ set(b.variables))):
        yield f"only in one of them: {', '.join(alone)}"


def _numbers(a: "xr.Dataset", b: "xr.Dataset", name: str) -> str:
    """How far apart the values of a variable are."""
    from scipy.special import log_ndtr

    x, y = (one[name].to_numpy().astype(float) for one in (a, b))
    size = float(np.sqrt(np.nanmean(y**2)))
    apart = float(np.sqrt(np.nanmean((x - y) ** 2)))
    far = f"{apart:.2g}, where its size is {size:.2g}"
    if f"{name}{ERROR}" not in a or f"{name}{ERROR}" not in b:
        return f"differs by {far}{_estimated(a, b, name, apart / size if size > 0 else np.inf)}"
    errors = np.hypot(*(one[f"{name}{ERROR}"].to_numpy() for one in (a, b)))
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.abs(x - y) / errors
    z = z[np.isfinite(z)]
    if z.size == 0:
        return f"differs by {far}"
    chance = float(-np.expm1(z.size * np.log1p(-2 * np.exp(log_ndtr(-z.max())))))
    told = "agrees within errors" if chance >= CHANCE else "DIFFERS"
    return f"{told}: {z.max():.1f} standard errors at most, of {z.size} values (chance {chance:.2g}); {far}"


def _estimated(a: "xr.Dataset", b: "xr.Dataset", name: str, far: float) -> str:
    """Whether a relative distance is within the errors that both solutions estimate, if they do."""
    total = f"error_{name}_total"
    if total not in a or total not in b:
        return ""
    allowed = sum(float(one[total].max()) for one in (a, b))
    return (
        f"; {'agrees within' if far <= allowed else 'DIFFERS by more than'} the errors estimated, {allowed:.2g} of it"
    )


def _shown(value: Any) -> str:
    return "not given" if value is None else repr(value)


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _sizes(variable: "xr.DataArray") -> str:
    return "(" + ", ".join(f"{dim}: {size}" for dim, size in variable.sizes.items()) + ")"
