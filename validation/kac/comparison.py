"""How far simulated Kac particles are from the exact sectors, and how far the two systems are from each other."""

import tomllib
from math import sqrt
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.errors import InputError

Array = NDArray[np.float64]

ENOUGH = 100
"""Particles that must have come apart before the standard error of a coupled difference is believed.

Before that, most replicas have no difference at all, and the few that have one say little of its variance.
"""

KINDS = ("reservoir", "thermostat", "difference")
"""What is compared: both systems, and the first minus the second."""


def compare(particles: xr.Dataset, exact: xr.Dataset) -> xr.Dataset:
    """Hold simulated means of the functions of degree 1 and 2 against exact ones.

    z = (simulated - exact)/(standard error), for each function, time and kind of `KINDS`; NaN where there is no error,
    and for differences before `ENOUGH` particles have come apart. sampled is what particles show of ||h_t - h~_t||: the
    root of the sum of squared differences over functions of degree 1 and 2; the squares of the standard errors are
    subtracted, which makes its square unbiased. sampled_exact is the same, exactly. gain is the variance of a
    difference of independent means over that of the coupled one, for as many replicas.

    Args:
        particles: as `kinlim.stochastic.kac.simulate` gives it.
        exact: as `kinlim.fem.kac.solve` gives it.

    Raises:
        InputError: the two are of different systems or times, or something is missing.
    """
    _check(particles, exact)
    variables: dict[str, Any] = {}
    for kind, over in zip(KINDS, ("function", "own", "function"), strict=True):
        error = particles[f"{kind}_se"].to_numpy()
        z = np.full(error.shape, np.nan)
        np.divide(particles[kind].to_numpy() - exact[kind].to_numpy(), error, out=z, where=error > 0)
        if kind == "difference" and "together" in particles:
            apart = (1 - particles["together"].to_numpy()) * particles.attrs["system"] * particles.attrs["replicas"]
            z[apart < ENOUGH] = np.nan
        variables[f"z_{kind}"] = (("time", over), z, {"long_name": f"{kind}: (simulated - exact)/standard error"})
    own = [list(exact["function"].to_numpy()).index(name) for name in exact["own"].to_numpy()]
    sampled, sampled_se = _sampled(particles["difference"].to_numpy(), particles["difference_se"].to_numpy())
    shown = np.sqrt((exact["difference"].to_numpy() ** 2).sum(axis=1))
    independent = particles["reservoir_se"].to_numpy()[:, own] ** 2 + particles["thermostat_se"].to_numpy() ** 2
    coupled = particles["difference_se"].to_numpy()[:, own] ** 2
    gain = np.divide(independent, coupled, out=np.full(coupled.shape, np.nan), where=coupled > 0)
    variables |= {
        "sampled": (("time",), sampled, {"long_name": "distance that the simulation shows in degrees 1 and 2"}),
        "sampled_se": (("time",), sampled_se, {"long_name": "standard error of sampled"}),
        "sampled_exact": (("time",), shown, {"long_name": "the same, exactly"}),
        "gain": (
            ("time", "own"),
            gain,
            {"long_name": "variance of an independent over that of the coupled difference"},
        ),
    }
    return xr.Dataset(
        variables,
        coords={name: exact[name] for name in ("time", "fraction", "function", "own")},
        attrs={"title": particles.title, "model": "kac", "replicas": particles.replicas, "coupled": particles.coupled},
    )


def _sampled(mean: Array, error: Array) -> tuple[Array, Array]:
    """Root of the unbiased square of the distance, 0 if that is negative, and its standard error to leading order."""
    square = (mean**2 - error**2).sum(axis=1)
    of_square = np.sqrt((4 * mean**2 * error**2 + 2 * error**4).sum(axis=1))
    root = np.sqrt(np.maximum(square, 0))
    return root, np.divide(of_square, 2 * root, out=np.sqrt(of_square), where=square > of_square)


def metrics(comparison: xr.Dataset, particles: xr.Dataset, exact: xr.Dataset) -> dict[str, Any]:
    """The content of metrics.json: one object per time, and what holds for all of them.

    chi2 is the mean of z^2 over functions, and over functions and times at the end; 1 +- sqrt(2/count) if simulation
    and exact means agree, a little more spread since functions and times are not independent.
    """
    times = []
    for t in range(comparison.sizes["time"]):
        now = comparison.isel(time=t)
        row: dict[str, Any] = {"time": float(now.time), "fraction": float(now.fraction)}
        for kind in KINDS:
            row[f"chi2_{kind}"], row[f"largest_z_{kind}"] = _judged(now[f"z_{kind}"].to_numpy())[:2]
        row |= {
            "distance": float(exact["distance_observed"].sel(part="joint")[t]),
            "distance_marginal": float(exact["distance_observed"].sel(part="marginal")[t]),
            "sampled": float(now.sampled), "sampled_se": float(now.sampled_se),
            "sampled_exact": float(now.sampled_exact),
            "gain": _median(now.gain.to_numpy()) if comparison.coupled else None,
            "conservation": {
                "momentum_drift": float(particles.momentum_drift[t]), "energy_drift": float(particles.energy_drift[t]),
            },
        }  # fmt: skip
        times.append(row)
    overall: dict[str, Any] = {}
    for kind in KINDS:
        overall[f"chi2_{kind}"], overall[f"largest_z_{kind}"], overall[f"count_{kind}"] = _judged(
            comparison[f"z_{kind}"].to_numpy()
        )
    return {"replicas": int(particles.replicas), "times": times, "overall": overall, "theorem": theorem(exact)}


def theorem(exact: xr.Dataset) -> dict[str, Any]:
    """The theorem's numbers: of the parts of h0 up to the highest degree, distances relative to the norm of these."""
    a = exact.attrs
    size, M, N = a["resolved"], a["system"], a["reservoir"]
    t, distance = exact["frame_time"].to_numpy(), exact["distance"].sel(part="joint").to_numpy()
    late = t > 0
    ratio = size * exact["bound_paper"].to_numpy()[late] / np.maximum(distance[late], 1e-300)
    return {
        "initial_distance": _finite(a["initial_distance"]),
        "resolved": size,
        "unresolved": a["unresolved"],
        "plateau": a["plateau"] / size,
        "plateau_marginal": a["plateau_marginal"] / size,
        "plateau_worst": sqrt(M / (M + N)),
        "plateau_bound_paper": _finite(a["C"]),
        "bump": a["bump"] / size,
        "bump_time": a["bump_time"],
        "peak_marginal": a["peak_marginal"] / size,
        "k": a["k"],
        "l": a["l"],
        "b": a["b"],
        "C": _finite(a["C"]),
        "Lambda": a["Lambda"],
        "bound_over_distance_least": _finite(float(ratio.min())),
    }


def _judged(z: Array) -> tuple[float | None, float | None, int]:
    """Mean of z^2, largest |z|, and how many there are."""
    there = z[np.isfinite(z)]
    return (float((there**2).mean()), float(np.abs(there).max()), there.size) if there.size else (None, None, 0)


def _median(values: Array) -> float | None:
    there = values[np.isfinite(values)]
    return float(np.median(there)) if there.size else None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _check(particles: xr.Dataset, exact: xr.Dataset) -> None:
    needed = {
        "particles": (particles, [*KINDS, *(f"{kind}_se" for kind in KINDS), "momentum_drift", "energy_drift"]),
        "exact": (exact, [*KINDS, "distance", "distance_observed", "bound_paper", "worst"]),
    }
    for name, (dataset, variables) in needed.items():
        if missing := [variable for variable in variables if variable not in dataset]:
            raise InputError(f"the {name} dataset has no variable {missing[0]}")
    for key in ("resolved", "unresolved", "plateau", "bump", "k", "C", "highest_degree"):
        if key not in exact.attrs:
            raise InputError(f"the exact dataset has no attribute {key}")
    there, here = (tomllib.loads(str(d.attrs.get("study", ""))).get("model", {}) for d in (particles, exact))
    for key in here.keys() & there.keys():
        if here[key] != there[key]:
            raise InputError(f"particles have model.{key} = {there[key]!r}, the exact side has {here[key]!r}")
    for key in ("system", "reservoir"):
        if particles.attrs.get(key) != exact.attrs.get(key):
            raise InputError(
                f"particles have {key} = {particles.attrs.get(key)}, the exact side has {exact.attrs.get(key)}"
            )
    for name in ("time", "function", "own"):
        if not np.array_equal(particles[name].to_numpy(), exact[name].to_numpy()):
            raise InputError(f"particles and exact side have different coordinates {name}")
