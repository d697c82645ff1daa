"""The comparison of any model: its rules one by one, one page, and what a sweep measures."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinlim.base import Study
from kinlim.equation import SENSITIVITY
from kinlim.errors import InputError
from kinlim.model import Comparison, Datasets, Measured, Verdict
from kinlim.rules import Means, Numbers, Rule
from kinlim.study import model_of as studied
from kinlim.validation import standard_figures
from kinlim.validation.drawing import png
from kinlim.validation.explore import profiles
from kinlim.validation.profiles import changes, distances, speeds
from kinlim.validation.report import model_of, render

Array = NDArray[np.float64]


STEP = 1e-4
"""Relative error of the speed by which sensitivities are found; what is linear in the solution loses nothing."""


class Standard(Comparison):
    """Rules, and what a model says besides, on the standard page.

    A model that has more to say derives a class of its own and adds numbers, figures, sentences and sections.

    Attributes:
        template: of the page; a model's own extends standard.html.
        captions: of figures, by name.
    """

    template = "standard.html"
    captions: Mapping[str, str] = MappingProxyType({})

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Of these rules, each with a label of its own."""
        self.rules = tuple(rules)

    def rules_of(self, data: Datasets) -> tuple[Rule, ...]:
        """The rules where these datasets are there; here always the same."""
        return self.rules

    def more(self, data: Datasets) -> Mapping[str, Any]:
        """Further variables of the comparison, as `xarray.Dataset` takes them; here none."""
        return {}

    def facts(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Any]:
        """Further entries of metrics.json; here none."""
        return {}

    def figures(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Figure]:
        """Further figures of the comparison, by name; here none.

        What a figure has found its label says in words, `figure.set_label(...)`, for those who do not see it; without a
        label the page says where its curves come from and go to.
        """
        return {}

    def solution_figures(self, data: Datasets) -> dict[str, Figure]:
        """Every unknown over space and time: pictures in one dimension, maps at some times beyond."""
        return {
            f"{side}-{name}": standard_figures.field(dataset, name)
            for side, dataset in data.items()
            for name in str(dataset.attrs.get("unknowns", "")).split()
        }

    def context(self, comparison: xr.Dataset, numbers: Mapping[str, Any], data: Datasets) -> dict[str, Any]:
        """What the model's own template needs besides; here nothing."""
        return {}

    def findings(self, numbers: Mapping[str, Any]) -> list[str]:
        """Sentences of the model's own for a terminal, after the rules'; here none."""
        return []

    def sweepable(self, study: Study, stages: Sequence[str]) -> None:
        """Raise InputError without particles or without rules."""
        if "simulate" not in stages or not self.rules:
            raise InputError(
                f"study.model = '{study.study.model}': a sweep measures particles against equations by the model's "
                "rules, so it needs all of them; leave --without-particles out"
            )

    def check(self, study: Study) -> None:
        """Raise InputError if a rule names a side that the model does not have."""
        there = [side.name for side in studied(study).sides]
        for rule in self.rules:
            for side in (rule.particles, rule.solution):
                if side not in there:
                    raise InputError(
                        f"study.model = '{study.study.model}': the rule for {rule.label} wants {side}.nc; the sides of "
                        f"the model are {', '.join(there)}"
                    )

    def foresee(self, data: Datasets) -> None:
        """What the rules foresee."""
        for rule in self.rules_of(data):
            rule.foresee(data)

    def compare(self, data: Datasets) -> xr.Dataset:
        """What every rule finds, and more, in one dataset."""
        _check(data)
        rules, first = self.rules_of(data), next(iter(data.values()))
        coordinates = xr.Dataset(coords={name: first[name] for name in ("time", "fraction")})
        found = [rule.compare(data) for rule in rules]
        merged = xr.merge([coordinates, *found], compat="no_conflicts").assign(self.more(data))
        return merged.assign_attrs(title=str(first.attrs["title"]).split(":")[0], model=first.attrs["model"])

    def metrics(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Any]:
        """Numbers per time, what each rule counts, what each side conserves, and the model's own facts."""
        over_time = [str(name) for name, values in comparison.data_vars.items() if values.dims == ("time",)]
        replicas = [int(dataset.attrs["replicas"]) for dataset in data.values() if "replicas" in dataset.attrs]
        return {
            "model": str(comparison.attrs["model"]),
            "replicas": min(replicas, default=0),
            "rules": [rule.label for rule in self.rules_of(data)],
            "points": {
                rule.label: int(comparison[f"difference_{rule.label}"][0].size)
                for rule in self.rules
                if f"rel_l2_{rule.label}" in comparison
            },
            "deviations": {
                rule.label: {"against": rule.against, **judged(comparison[f"z_{rule.label}"].to_numpy())}
                for rule in self.rules_of(data)
                if isinstance(rule, Numbers)
            },
            "conservation": {
                side: {
                    str(n): finite(float(v.max())) for n, v in dataset.data_vars.items() if str(n).endswith("_drift")
                }
                for side, dataset in data.items()
            },
            "times": [
                {"time": float(moment.time), "fraction": float(moment.fraction)}
                | {name: finite(float(moment[name])) for name in over_time}
                for moment in (comparison.isel(time=t) for t in range(comparison.sizes["time"]))
            ],
            **self.facts(comparison, data),
        }

    def verdicts(self, numbers: Mapping[str, Any]) -> list[Verdict]:
        """One of each rule."""
        return [rule.verdict(numbers) for rule in self._applied(numbers)]

    def tell(self, numbers: Mapping[str, Any]) -> list[str]:
        """What the rules and the model say besides."""
        return [line for rule in self._applied(numbers) for line in rule.tell(numbers)] + self.findings(numbers)

    def _applied(self, numbers: Mapping[str, Any]) -> list[Rule]:
        """The rules that `rules_of` gave when these numbers were made."""
        return [rule for rule in self.rules if rule.label in numbers["rules"]]

    def draw(self, comparison: xr.Dataset, data: Datasets) -> dict[str, bytes]:
        """A figure of each rule, and the model's own."""
        found = {rule.label: rule.draw(comparison, data) for rule in self.rules_of(data)}
        found |= self.figures(comparison, data)
        return {name: png(figure) for name, figure in found.items()}

    def draw_solutions(self, data: Datasets) -> dict[str, bytes]:
        """The figures of the solutions alone."""
        return {name: png(figure) for name, figure in self.solution_figures(data).items()}

    def html(
        self, comparison: xr.Dataset, numbers: Mapping[str, Any], pictures: Mapping[str, bytes], data: Datasets
    ) -> str:
        """The page."""
        return render(
            self.template,
            title=str(comparison.attrs["title"]),
            numbers=numbers,
            said=self.tell(numbers),
            rules={rule.label: rule.about for rule in self.rules},
            pictures=pictures,
            explored=profiles(self.rules_of(data), comparison, data),
            captions=self.captions,
            sides={name: dataset.attrs for name, dataset in data.items()},
            meanings={
                name: {str(v): str(dataset[v].attrs.get("long_name", "")) for v in dataset.data_vars}
                for name, dataset in data.items()
            },
            study=str(next(iter(data.values())).attrs["study"]),
            model=model_of(next(iter(data.values()))),
            **self.context(comparison, numbers, data),
        )

    def measured(self, data: Datasets, comparison: xr.Dataset | None) -> dict[str, Measured]:
        """What every rule measures."""
        assert comparison is not None, "`sweepable` has said so"
        followed = [rule for rule in self.rules_of(data) if rule.follow]
        return {name: found for rule in followed for name, found in rule.measured(comparison).items()}


NOTHING = Standard(())
"""Of a model without rules."""


def foresee_variables(rule: Rule, data: Datasets, wanted: Sequence[str]) -> None:
    """Refuse datasets, or drafts of them, without the variables that a rule wants.

    Args:
        rule: wants its variable of the particles, with a standard error.
        data: some of the sides.
        wanted: of the solution.

    Raises:
        InputError: one is missing in a side that is there.
    """
    for side, names in ((rule.particles, (rule.name, f"{rule.name}_se")), (rule.solution, wanted)):
        for name in names if side in data else ():
            _present(data[side], name, side)


def foresee_means(rule: Means, data: Datasets) -> None:
    """The same of `Means`; where both sides are there, their dimensions and coordinates must be alike, too."""
    other = rule.of or rule.name
    foresee_variables(rule, data, (other,))
    if rule.particles in data and rule.solution in data:
        _alike(data[rule.particles][rule.name], data[rule.solution][other], rule)


def compare_means(rule: Means, data: Datasets) -> xr.Dataset:
    """Differences of means, and what `distances` and `changes` of `kinlim.validation.profiles` say of them.

    Raises:
        InputError: see `Rule.compare`.
    """
    particles, solution = _sides(rule, data)
    other = rule.of or rule.name
    here, there = variable(particles, rule.name, rule.particles), variable(solution, other, rule.solution)
    error = variable(particles, f"{rule.name}_se", rule.particles)
    _alike(here, there, rule)
    u = there.transpose(*here.dims).to_numpy()
    difference, start = here.to_numpy() - u, np.full(u.shape[1:], np.nan)
    if f"initial_{other}" in solution:
        start = variable(solution, f"initial_{other}", rule.solution).transpose(*here.dims[1:]).to_numpy()
    sensitive = sensitivity(solution, lambda dataset: dataset[other]).transpose(*here.dims).to_numpy()
    d, s, flat, change, dilated = (
        values.reshape(len(u), -1) for values in (difference, error.to_numpy(), u, u - start, sensitive)
    )
    numbers = distances(d, s, flat) | changes(d, s, flat, change) | speeds(d, s, dilated)
    found = _differences(rule.label, here, u, difference, error)
    return found.assign({f"{key}_{rule.label}": ("time", values) for key, values in numbers.items()})


def compare_numbers(rule: Numbers, data: Datasets) -> xr.Dataset:
    """Differences of numbers, z = difference/(standard error), NaN where that is not known, and what z says per time.

    chi2_NAME is the mean of z^2, largest_z_NAME the largest |z|.

    Raises:
        InputError: see `Rule.compare`.
    """
    particles, solution = _sides(rule, data)
    here, error = (variable(particles, name, rule.particles) for name in (rule.name, f"{rule.name}_se"))
    _timed(here, rule.particles)

    def expectation(dataset: xr.Dataset) -> xr.DataArray:
        there = rule.expectation(dataset, particles)
        for dim in map(str, here.dims[1:]):  # more may be known than was observed
            if dim in there.coords and dim in here.coords and set(here[dim].values) <= set(there[dim].values):
                there = there.sel({dim: here[dim].values})
        if set(here.dims) != set(there.dims) or there.sizes != here.sizes:
            raise InputError(
                f"{rule.name} has the dimensions {dict(here.sizes)} in {rule.particles}.nc, and {dict(there.sizes)} "
                "are expected"
            )
        return there.transpose(*here.dims)

    expected, sensitive = (f(solution).to_numpy() for f in (expectation, lambda one: sensitivity(one, expectation)))
    known = rule.known(particles).transpose(*here.dims).to_numpy()
    difference = here.to_numpy() - expected
    z = np.divide(difference, error.to_numpy(), out=np.full(difference.shape, np.nan), where=known)
    of_times = [judged(now) for now in z]
    found = speeds(*(v.reshape(len(z), -1) for v in (difference, np.where(known, error, 0.0), sensitive)))
    return _differences(rule.label, here, expected, difference, error).assign(
        {
            f"z_{rule.label}": (here.dims, z, {"long_name": "difference over its standard error"}),
            **{
                f"{key}_{rule.label}": ("time", np.array([now[key] for now in of_times], np.float64))
                for key in ("chi2", "largest_z")
            },
            **{f"{key}_{rule.label}": ("time", values) for key, values in found.items()},
        }
    )


def sensitivity(solution: xr.Dataset, expected: Callable[[xr.Dataset], xr.DataArray]) -> xr.DataArray:
    """What a relative error of the equation's speed changes in what is expected, per unit of that error.

    The derivative of `expected` along the sensitivities that the dataset has, t du/dt; 0 where it has none.
    """
    changed = {
        str(name): solution[name] + STEP * solution[f"{SENSITIVITY}{name}"]
        for name in solution.data_vars
        if f"{SENSITIVITY}{name}" in solution
    }
    return (expected(solution.assign(changed)) - expected(solution)) / STEP


def _differences(name: str, here: xr.DataArray, expected: Array, difference: Array, error: xr.DataArray) -> xr.Dataset:
    """What is expected, and how far the particles are from it."""
    return xr.Dataset(
        {
            f"expected_{name}": (here.dims, expected, {"long_name": f"{name} that is expected"}),
            f"difference_{name}": (here.dims, difference, {"long_name": f"{name}: particles - expected"}),
            f"difference_{name}_se": (here.dims, error.to_numpy(), {"long_name": "its standard error"}),
        },
        coords={name: values for name, values in here.coords.items() if set(values.dims) <= set(here.dims)},
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
    return excess_of(d, s)


def excess_of(d: Array, s: Array) -> tuple[float, float]:
    """The same of differences and their standard errors, of one shape."""
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
        for key in models[first] | models[name]:
            if models[first].get(key) != models[name].get(key):
                raise InputError(
                    f"{first}.nc has model.{key} = {models[first].get(key)!r}, {name}.nc has "
                    f"{models[name].get(key)!r}; they are of different studies"
                )
        if not np.array_equal(dataset["time"].to_numpy(), one["time"].to_numpy()):
            raise InputError(f"{first}.nc and {name}.nc have different times")


def _sides(rule: Rule, data: Datasets) -> tuple[xr.Dataset, xr.Dataset]:
    for side in (rule.particles, rule.solution):
        if side not in data:
            raise InputError(f"the rule for {rule.name} wants {side}.nc; there are {', '.join(data)}")
    return data[rule.particles], data[rule.solution]


def variable(dataset: xr.Dataset, name: str, side: str) -> xr.DataArray:
    """A variable of a side.

    Raises:
        InputError: it is missing, or holds what is no number.
    """
    _present(dataset, name, side)
    values = dataset[name]
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise InputError(f"{side}.nc has values of {name} that are not finite numbers")
    return values


def _present(dataset: xr.Dataset, name: str, side: str) -> None:
    """Refuse a dataset without a variable."""
    if name not in dataset:
        raise InputError(f"{side}.nc has no variable {name}; it has {', '.join(map(str, dataset.data_vars))}")


def _timed(values: xr.DataArray, side: str) -> None:
    """Refuse values whose first dimension is not time."""
    if values.dims[:1] != ("time",):
        raise InputError(
            f"{side}.nc has the dimensions ({', '.join(map(str, values.dims))}) of {values.name}; time must be first"
        )


def _alike(here: xr.DataArray, there: xr.DataArray, rule: Means) -> None:
    """Refuse two fields whose axes differ."""
    _timed(here, rule.particles)
    _timed(there, rule.solution)
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


def judged(z: Array) -> dict[str, Any]:
    """Mean of z^2 and largest |z| of those that are numbers, and how many these are."""
    there = z[np.isfinite(z)]
    if not there.size:
        return {"largest_z": None, "chi2": None, "count": 0}
    return {"largest_z": float(np.abs(there).max()), "chi2": float((there**2).mean()), "count": int(there.size)}


def finite(value: float) -> float | None:
    """A number for JSON, which has neither NaN nor infinity."""
    return value if np.isfinite(value) else None
