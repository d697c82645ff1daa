"""The comparison of any model: its rules one by one, one page, and what a sweep measures."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.base import Study
from kinlim.errors import InputError
from kinlim.model import Comparison, Datasets, Measured, Verdict
from kinlim.validation import standard_figures
from kinlim.validation.profiles import changes, distances
from kinlim.validation.report import embedded, png, render

if TYPE_CHECKING:
    from kinlim.rules import Means, Numbers, Rule

Array = NDArray[np.float64]


class Standard(Comparison):
    """Rules, and the standard page."""

    def __init__(self, rules: "Sequence[Rule]") -> None:
        """Of these rules."""
        self.rules = tuple(rules)

    def sweepable(self, study: Study, stages: Sequence[str]) -> None:
        """Raise InputError without particles or without rules."""
        if "simulate" not in stages or not self.rules:
            raise InputError(
                f"study.model = '{study.study.model}': a sweep measures particles against equations by the model's "
                "rules, so it needs all of them"
            )

    def compare(self, data: Datasets) -> xr.Dataset:
        """What every rule finds, in one dataset."""
        _check(data)
        found = [rule.compare(data) for rule in self.rules]
        first = next(iter(data.values()))
        merged = xr.merge(found) if found else xr.Dataset(coords={k: first[k] for k in ("time", "fraction")})
        return merged.assign_attrs(title=first.title, model=first.model)

    def metrics(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Any]:
        """Numbers per time, and the size of what was compared."""
        names = [str(name) for name, values in comparison.data_vars.items() if values.dims == ("time",)]
        replicas = [int(dataset.attrs["replicas"]) for dataset in data.values() if "replicas" in dataset.attrs]
        return {
            "model": str(comparison.attrs["model"]),
            "replicas": min(replicas, default=0),
            "points": {
                rule.name: int(comparison[f"difference_{rule.name}"][0].size)
                for rule in self.rules
                if f"rel_l2_{rule.name}" in comparison
            },
            "deviations": {
                rule.name: _deviations(comparison[f"z_{rule.name}"].to_numpy())
                for rule in self.rules
                if f"z_{rule.name}" in comparison
            },
            "times": [
                {"time": float(moment.time), "fraction": float(moment.fraction)}
                | {name: _number(float(moment[name])) for name in names}
                for moment in (comparison.isel(time=t) for t in range(comparison.sizes["time"]))
            ],
        }

    def verdicts(self, numbers: Mapping[str, Any]) -> list[Verdict]:
        """One of each rule."""
        return [rule.verdict(numbers) for rule in self.rules]

    def draw(self, comparison: xr.Dataset, data: Datasets) -> dict[str, bytes]:
        """A figure of each rule, and those of the solutions."""
        found = {rule.name: png(rule.draw(comparison, data)) for rule in self.rules}
        return {**found, **self.draw_solutions(data)}

    def draw_solutions(self, data: Datasets) -> dict[str, bytes]:
        """Every unknown over space and time: pictures in one dimension, maps at some times beyond."""
        return {
            f"{side}-{name}": png(standard_figures.field(dataset, name))
            for side, dataset in data.items()
            for name in str(dataset.attrs.get("unknowns", "")).split()
        }

    def html(
        self, comparison: xr.Dataset, numbers: Mapping[str, Any], pictures: Mapping[str, bytes], data: Datasets
    ) -> str:
        """The standard page."""
        columns = {
            rule.name: [key for key in numbers["times"][0] if key.endswith(f"_{rule.name}")] for rule in self.rules
        }
        return render(
            "standard.html",
            title=str(comparison.attrs["title"]).split(":")[0],
            numbers=numbers,
            columns=columns,
            pictures={name: embedded(picture) for name, picture in pictures.items()},
            sides={name: dataset.attrs for name, dataset in data.items()},
            meanings={
                name: {str(v): str(dataset[v].attrs.get("long_name", "")) for v in dataset.data_vars}
                for name, dataset in data.items()
            },
            study=str(next(iter(data.values())).attrs["study"]),
        )

    def measured(self, data: Datasets, comparison: xr.Dataset | None) -> dict[str, Measured]:
        """What every rule measures."""
        assert comparison is not None, "`sweepable` has said so"
        return {name: found for rule in self.rules for name, found in rule.measured(comparison).items()}


NOTHING = Standard(())
"""Of a model without rules."""


def compare_means(rule: "Means", data: Datasets) -> xr.Dataset:
    """Differences of means, and what `distances` and `changes` of `kinlim.validation.profiles` say of them.

    Raises:
        InputError: see `Rule.compare`.
    """
    particles, solution = _sides(rule, data)
    other = rule.of or rule.name
    here, there = variable(particles, rule.name, rule.particles), variable(solution, other, rule.solution)
    error = variable(particles, f"{rule.name}_se", rule.particles)
    _alike(here, there, rule)
    difference = here.to_numpy() - there.transpose(*here.dims).to_numpy()
    flat = (difference.shape[0], -1)
    d, s, u = (
        values.reshape(flat) for values in (difference, error.to_numpy(), there.transpose(*here.dims).to_numpy())
    )
    numbers = distances(d, s, u)
    if f"initial_{other}" in solution:
        start = solution[f"initial_{other}"].transpose(*here.dims[1:]).to_numpy().reshape(1, -1)
        numbers |= changes(d, s, u, u - start)
    return xr.Dataset(
        {
            f"difference_{rule.name}": (here.dims, difference, {"long_name": f"{rule.name}: particles - solution"}),
            f"difference_{rule.name}_se": (here.dims, error.to_numpy(), {"long_name": "its standard error"}),
            **{f"{key}_{rule.name}": ("time", values) for key, values in numbers.items()},
        },
        coords={str(name): particles[name] for name in ("time", "fraction", *here.dims[1:])},
    )


def compare_numbers(rule: "Numbers", data: Datasets) -> xr.Dataset:
    """Differences of numbers, and z = difference/(standard error), NaN where there is no error.

    Raises:
        InputError: see `Rule.compare`.
    """
    particles, solution = _sides(rule, data)
    here, error = (variable(particles, name, rule.particles) for name in (rule.name, f"{rule.name}_se"))
    there = rule.expectation(solution)
    for dim in map(str, here.dims[1:]):  # more may be known than was observed
        if dim in there.coords and dim in here.coords and set(here[dim].values) <= set(there[dim].values):
            there = there.sel({dim: here[dim].values})
    if set(here.dims) != set(there.dims) or there.sizes != here.sizes:
        raise InputError(
            f"{rule.name} has the dimensions {dict(here.sizes)} in {rule.particles}.nc, and {dict(there.sizes)} are "
            "expected"
        )
    difference = here.to_numpy() - there.transpose(*here.dims).to_numpy()
    z = np.full(difference.shape, np.nan)
    np.divide(difference, error.to_numpy(), out=z, where=error.to_numpy() > 0)
    return xr.Dataset(
        {
            f"expected_{rule.name}": (here.dims, there.transpose(*here.dims).to_numpy()),
            f"difference_{rule.name}": (here.dims, difference, {"long_name": f"{rule.name}: particles - expected"}),
            f"difference_{rule.name}_se": (here.dims, error.to_numpy(), {"long_name": "its standard error"}),
            f"z_{rule.name}": (here.dims, z, {"long_name": "difference over its standard error"}),
        },
        coords={str(name): particles[name] for name in ("time", "fraction", *here.dims[1:])},
    )


def modes(u: xr.DataArray) -> xr.DataArray:
    """2 int u cos(2 pi k x) and 2 int u sin(2 pi k x) of values at i/n, over (time, wave, part), all k below n/2."""
    n = u.sizes["x"]
    found = np.fft.rfft(u.transpose("time", "x").to_numpy(), axis=1)[:, 1 : (n + 1) // 2] * 2 / n
    values = np.stack([found.real, -found.imag], axis=2)
    waves = np.arange(1, values.shape[1] + 1)
    return xr.DataArray(values, dims=("time", "wave", "part"), coords={"wave": waves, "part": ["cos", "sin"]})


def excess(compared: xr.Dataset, name: str) -> tuple[float, float]:
    """Root of the unbiased squared size of a difference at the last time, NaN where noise exceeds it, and its error."""
    d, s = (compared[key].isel(time=-1).to_numpy().ravel() for key in (f"difference_{name}", f"difference_{name}_se"))
    surplus = float((d**2).sum() - (s**2).sum())
    if surplus <= 0:
        return float("nan"), 0.0
    variance = float((2 * s**4 + 4 * np.maximum(d**2 - s**2, 0) * s**2).sum())
    return surplus**0.5, variance**0.5 / (2 * surplus**0.5)


def _check(data: Datasets) -> None:
    """Refuse datasets of different studies or times."""
    (first, one), *others = data.items()
    models = {
        name: tomllib.loads(str(dataset.attrs.get("study", ""))).get("model", {}) for name, dataset in data.items()
    }
    for name, dataset in others:
        for key in models[first].keys() | models[name].keys():
            if models[first].get(key) != models[name].get(key):
                raise InputError(
                    f"{first}.nc has model.{key} = {models[first].get(key)!r}, {name}.nc has "
                    f"{models[name].get(key)!r}; they are of different studies"
                )
        if not np.array_equal(dataset["time"].to_numpy(), one["time"].to_numpy()):
            raise InputError(f"{first}.nc and {name}.nc have different times")


def _sides(rule: "Rule", data: Datasets) -> tuple[xr.Dataset, xr.Dataset]:
    for side in (rule.particles, rule.solution):
        if side not in data:
            raise InputError(f"the rule for {rule.name} wants {side}.nc; there are {', '.join(data)}")
    return data[rule.particles], data[rule.solution]


def variable(dataset: xr.Dataset, name: str, side: str) -> xr.DataArray:
    """A variable of a side.

    Raises:
        InputError: it is missing, or holds what is no number.
    """
    if name not in dataset:
        raise InputError(f"{side}.nc has no variable {name}; it has {', '.join(map(str, dataset.data_vars))}")
    values = dataset[name]
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise InputError(f"{side}.nc has values of {name} that are not finite numbers")
    return values


def _alike(here: xr.DataArray, there: xr.DataArray, rule: "Means") -> None:
    """Refuse two fields whose axes differ."""
    if set(here.dims) != set(there.dims):
        raise InputError(
            f"{rule.name} has the dimensions ({', '.join(map(str, here.dims))}) in {rule.particles}.nc and "
            f"({', '.join(map(str, there.dims))}) in {rule.solution}.nc"
        )
    for axis in here.dims[1:]:
        a, b = here[axis].to_numpy(), there[axis].to_numpy()
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-12, atol=1e-12):
            raise InputError(
                f"{rule.name} has other coordinates along {axis} in {rule.particles}.nc than in {rule.solution}.nc: "
                "give both sides the same grid"
            )


def _deviations(z: Array) -> dict[str, Any]:
    there = z[np.isfinite(z)]
    if not there.size:
        return {"largest_z": None, "chi2": None, "count": 0}
    return {"largest_z": float(np.abs(there).max()), "chi2": float((there**2).mean()), "count": int(there.size)}


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
