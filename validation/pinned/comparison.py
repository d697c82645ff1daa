"""How far the ensemble of pinned balls is from its limit equations, and how much of that is sampling noise."""

import tomllib
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.errors import InputError
from kinlim.validation.pinned import white_noise
from kinlim.validation.profiles import changes, distances, ratio

Array = NDArray[np.float64]


PROFILES = ("mu", "mu_se", "sigma", "sigma_se")
SCALARS = ("momentum", "energy", "momentum_drift", "energy_drift")
NEEDED: dict[str, dict[str, tuple[str, ...]]] = {
    "particles": {
        **dict.fromkeys((*PROFILES, "sigma_local"), ("time", "x")),
        **dict.fromkeys((*SCALARS, "momentum_se", "energy_se", "fraction"), ("time",)),
        "correlation": ("time", "lag"),
        "x": ("x",),
    },
    "equations": {
        "mu": ("time", "x"),
        "sigma": ("time", "x"),
        "initial_mu": ("x",),
        "initial_sigma": ("x",),
        **dict.fromkeys((*SCALARS, "min_w", "energy_flux"), ("time",)),
    },
}
"""Variables that a comparison reads, and their dimensions."""

ATTRIBUTES = {
    "particles": ("balls", "replicas", "particle_lambda", "end_time", "collisions"),
    "equations": (
        "lambda",
        "cells",
        "degree",
        "grading",
        "rtol",
        "steps",
        "rejected_steps",
        "initial_error_mu",
        "regularisation",
    ),
}
"""Numbers among the attributes."""

MAY_BE_NAN = ("sigma_local", "correlation")
"""Where there is no neighbour, or no spread."""


def compare(particles: xr.Dataset, pde: xr.Dataset) -> xr.Dataset:
    """Hold the moments of the particles against the solution of the equations, at the sites and observation times.

    Per time and for mu and sigma, what `distances` and `changes` of `kinlim.validation.profiles` give, over the sites.
    Besides, per time:
        correlation, correlation_2 of neighbours and next neighbours over the ensemble, weighted by their spread, and
                        correlation_null_sd, the standard deviation that independent sites would give the first,
        rel_l2_sigma_local, rel_l2 of the spread among neighbours within a run, another thing than the spread over runs,
        spread_ratio  = (sum sigma_local^2 / sum sigma^2)^(1/2) over the inner sites, and spread_ratio_predicted
                        = (1 - 4 rho_1/3 + rho_2/3)^(1/2), what second differences make of the two correlations.
    and what `kinlim.validation.pinned.white_noise.measure` finds. Sites are taken as independent in every standard
    error.

    Args:
        particles: as `kinlim.simulate` returns it.
        pde: as `kinlim.solve` returns it.

    Raises:
        InputError: something is missing or not finite, or the two do not share sites, times and model.
    """
    for side, dataset in (("particles", particles), ("equations", pde)):
        _check(side, dataset)
    if particles.attrs.get("kernel", "redistribute") != "redistribute":
        raise InputError(
            f"the particles have the kernel {particles.attrs['kernel']!r}, which is not the model whose limit the "
            "equations are"
        )
    if particles.sizes["x"] != pde.sizes["x"] or not np.allclose(particles.x, pde.x, rtol=1e-12, atol=1e-12):
        raise InputError(
            "the particles and the equations were recorded at different sites: they are of different studies"
        )
    if particles.sizes["time"] != pde.sizes["time"] or not np.allclose(particles.time, pde.time, rtol=1e-9, atol=0):
        raise InputError(
            "the particles and the equations were recorded at different times: they are of different studies"
        )
    models = [tomllib.loads(str(dataset.attrs.get("study", ""))).get("model") for dataset in (particles, pde)]
    if models[0] != models[1]:
        raise InputError(
            f"the particles and the equations are of different studies: [model] is {models[0]} and {models[1]}"
        )
    result = xr.Dataset(coords={name: particles[name] for name in ("time", "fraction", "site", "x")})
    result.attrs = {
        "title": "particles against equations",
        "model": "pinned",
        "sites": particles.sizes["x"],
        "replicas": particles.attrs["replicas"],
        "lambda": pde.attrs["lambda"],
        "particle_lambda": particles.attrs["particle_lambda"],
        "end_time": particles.attrs["end_time"],
    }
    for name in ("mu", "sigma"):
        solution = pde[name].to_numpy()
        difference, error = particles[name].to_numpy() - solution, particles[f"{name}_se"].to_numpy()
        result[f"difference_{name}"] = (("time", "x"), difference)
        result[f"difference_{name}_se"] = (("time", "x"), error)
        change = solution - pde[f"initial_{name}"].to_numpy()
        for key, values in (
            distances(difference, error, solution) | changes(difference, error, solution, change)
        ).items():
            result[f"{key}_{name}"] = ("time", values)
    for key, values in (_spreads(particles, pde) | white_noise.measure(particles)).items():
        result[key] = ("time", values)
    return result


def metrics(comparison: xr.Dataset, particles: xr.Dataset, pde: xr.Dataset) -> dict[str, Any]:
    """Collect metrics.json: one object per time, and what each side conserved; a number that does not exist is None."""
    names = [str(name) for name, values in comparison.data_vars.items() if values.dims == ("time",)]
    return {
        "model": "pinned",
        "replicas": int(particles.attrs["replicas"]),
        "sites": int(particles.sizes["x"]),
        "times": [
            {"time": float(moment.time), "fraction": float(moment.fraction)}
            | {name: _number(float(moment[name])) for name in names}
            for moment in (comparison.isel(time=t) for t in range(comparison.sizes["time"]))
        ],
        "conservation": {
            side: {name: float(dataset[name].max()) for name in ("momentum_drift", "energy_drift")}
            for side, dataset in (("particles", particles), ("pde", pde))
        },
    }


def _check(side: str, dataset: xr.Dataset) -> None:
    """Refuse a dataset that a comparison cannot read."""
    for name, dims in NEEDED[side].items():
        if name not in dataset.variables or dataset[name].dims != dims:
            raise InputError(f"the dataset of the {side} lacks {name}({', '.join(dims)})")
        values = dataset[name].to_numpy()
        if values.dtype.kind not in "fiu" or not (name in MAY_BE_NAN or np.isfinite(values).all()):
            raise InputError(f"the dataset of the {side} holds values of {name} that are not finite numbers")
    for name in ATTRIBUTES[side]:
        if not isinstance(dataset.attrs.get(name), int | float | np.number):
            raise InputError(f"the dataset of the {side} lacks the attribute {name}, a number")


def _spreads(particles: xr.Dataset, pde: xr.Dataset) -> dict[str, Array]:
    """Give the numbers that `compare` explains for the two spreads and the correlations, shape (times,)."""
    inner = slice(1, -1)
    sigma, local = particles["sigma"].to_numpy(), particles["sigma_local"].to_numpy()[:, inner]
    solution = pde["sigma"].to_numpy()[:, inner]
    first, second = particles["correlation"].to_numpy()[:, :2].T
    weight = sigma[:, :-1] * sigma[:, 1:]
    return {
        "correlation": first,
        "correlation_2": second,
        "correlation_null_sd": ratio(_norm(weight), weight.sum(axis=1)) / np.sqrt(particles.attrs["replicas"] - 1),
        "rel_l2_sigma_local": ratio(_norm(local - solution), _norm(solution)),
        "spread_ratio": ratio(_norm(local), _norm(sigma[:, inner])),
        "spread_ratio_predicted": np.sqrt(np.maximum(1 - 4 * first / 3 + second / 3, 0)),
    }


def _norm(values: Array) -> Array:
    return np.sqrt((values**2).sum(axis=1))


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
