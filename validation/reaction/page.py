"""The report of the reaction model, its numbers, and what is said of it in a terminal."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.model import Verdict
from kinlim.models.reaction.profile import Profile
from kinlim.validation.reaction import facts, figures
from kinlim.validation.reaction.comparison import DENSITIES, judged, mode_of
from kinlim.validation.reaction.decay import rate
from kinlim.validation.reaction.functionals import functionals
from kinlim.validation.reaction.hypocoercivity import NODES, overall, table
from kinlim.validation.reaction.theorem import METHODS, Bound
from kinlim.validation.report import embedded, model_of, number, png, render
from kinlim.validation.standard_figures import field
from kinlim.validation.verdicts import of_deviations

Array = NDArray[np.float64]

VAGUE = 0.5
"""Uncertainty of a rate, over the rate, from which on it is none."""


def metrics(
    comparison: xr.Dataset, particles: xr.Dataset, pde: xr.Dataset, kinetic: xr.Dataset | None = None
) -> dict[str, Any]:
    """The content of metrics.json: one object per time, and what holds for all of them.

    chi2 is the mean of z^2 over bins, and over bins and times at the end: for noise alone about chi2_expected =
    (R - 1)/(R - 3) with R replicas, since standard errors are estimated too (Student's t). without_error counts means
    that have no standard error, since all replicas agree.
    """
    times = []
    for t in range(comparison.sizes["time"]):
        now = comparison.isel(time=t)
        row: dict[str, Any] = {"time": float(now["time"]), "fraction": float(now["fraction"])}
        for name in DENSITIES:
            row[f"chi2_{name}"], row[f"largest_z_{name}"], _ = judged(now[f"z_{name}"].to_numpy())
        row |= {
            name: float(now[name]) if name in now else None
            for name in ("gap_m", "gap_m_largest", "gap_product", "gap_corrected")
        }
        row["mode"] = [
            {
                "part": str(part),
                **{key: float(value) for key, value in _mode(now, particles.isel(time=t), part).items()},
            }
            for part in particles["part"].to_numpy()
        ]
        row["conservation"] = {
            "imbalance_drift": float(particles["imbalance_drift"][t]),
            "mass_drift_pde": float(abs(pde["mass"][t] - pde["mass"][0])),
            "mass_drift_kinetic": None
            if kinetic is None
            else float(abs(kinetic["mass_difference"][t] - kinetic["mass_difference"][0])),
        }
        times.append(row)
    overall: dict[str, Any] = {}
    for name in DENSITIES:
        overall[f"chi2_{name}"], overall[f"largest_z_{name}"], overall[f"count_{name}"] = judged(
            comparison[f"z_{name}"].to_numpy()
        )
    return {
        "replicas": int(particles.replicas),
        "times": times,
        "overall": overall,
        "reference": comparison.attrs["reference"],
        "chi2_expected": (replicas - 1) / (replicas - 3) if (replicas := int(particles.replicas)) > 3 else None,
        "without_error": sum(int(np.isnan(comparison[f"z_{name}"]).sum()) for name in DENSITIES),
        "predicted_bias": float(sum(particles.attrs[f"bias_{part}"] for part in ("dt", "cells", "number"))),
        "limit": facts.of_limit(pde),
        "kinetic": None if kinetic is None else facts.of_kinetic(kinetic),
        "decay": decay(pde, kinetic, particles),
    }


def _mode(now: xr.Dataset, particles: xr.Dataset, part: str) -> dict[str, xr.DataArray]:
    one = particles.sel(axis="x", part=part)
    return {
        "simulated": one["mode"],
        "se": one["mode_se"],
        "expected": now["expected_mode"].sel(part=part),
    }


def decay(pde: xr.Dataset, kinetic: xr.Dataset | None = None, particles: xr.Dataset | None = None) -> dict[str, Any]:
    """Rates of decay: exact and bounded for the linearised system, measured where wave number 1 of m decays."""
    model = facts.study_of(pde).model
    whole, rows = overall(model), table(model)
    found: dict[str, Any] = {
        "gap": whole["gap"],
        "k": None if whole["k"] is None else list(whole["k"]),
        "essential": whole["essential"],
        "limit": min(row["limit"] for row in rows if row["limit"] is not None),
        **{method: _bound(whole[method]) for method in METHODS},
    }
    t, axis = pde["time"].to_numpy(), figures.slowest_axis(pde)
    row = next(row for row in rows if (row["k"], row["axis"]) == (1, axis))
    measured = {"limit": _solved(t, pde, axis), "kinetic": None, "particles": None}
    if row["discrete"]:  # or there is no exponential to be measured
        measured["kinetic"] = None if kinetic is None else _solved(t, kinetic, axis)
        if particles is not None:
            mode, error = (particles[name].sel(axis=axis).to_numpy() for name in ("mode", "mode_se"))
            measured["particles"] = _measured(t, mode, error)
    return {"overall": found, "modes": rows, "axis": axis, "first": row, "measured": measured}


def _bound(bound: Bound | None) -> dict[str, float] | None:
    return None if bound is None else {name: value for name, value in asdict(bound).items() if np.isfinite(value)}


def _solved(t: Array, solution: xr.Dataset, axis: str) -> dict[str, float] | None:
    """The same of a solution, whose errors are `figures.floor`."""
    if axis not in solution["m"].dims:
        return None
    mode = mode_of(solution["m"], axis)
    error = figures.floor(solution)
    return _measured(t, mode, np.full(mode.shape, error)) if np.hypot(*mode.T).max() > error else None


def _measured(t: Array, mode: Array, error: Array | None = None) -> dict[str, float] | None:
    """Rate of a wave 2 int m cos, 2 int m sin, shape (times, 2), as one complex amplitude."""
    size = np.hypot(*mode.T)
    along = None
    if error is not None:  # of the modulus, which is what a decay without oscillation is read off
        along = np.sqrt((mode**2 * error**2).sum(axis=1)) / np.where(size > 0, size, np.inf)
        along = np.maximum(along, error.min(axis=1))
    found = rate(t, mode[:, 0] + 1j * mode[:, 1], along) if size.max() > 0 else None
    if found is None or not found.uncertainty < VAGUE * abs(found.rate):
        return None
    return {name: float(value) for name, value in asdict(found).items()}


def draw_solution(pde: xr.Dataset, kinetic: xr.Dataset | None = None) -> dict[str, bytes]:
    """Every figure of the solutions alone as PNG, by name."""
    model = facts.study_of(pde).model
    along = None if kinetic is None else functionals(kinetic)
    over_time = {"field": png(field(pde, "m"))} if "frame_m" in pde else {}
    return {
        **over_time,
        "densities": png(figures.densities(pde, kinetic)),
        "decay": png(figures.decay(table(model, modes=(1,)), pde, kinetic)),
        "entropy": png(figures.entropy(pde, kinetic, along, model.region)),
    }


def draw(
    comparison: xr.Dataset, particles: xr.Dataset, pde: xr.Dataset, kinetic: xr.Dataset | None = None
) -> dict[str, bytes]:
    """Every figure of the comparison as PNG, by name."""
    return {"particles": png(figures.particles(comparison, particles)), **draw_solution(pde, kinetic)}


def html(
    comparison: xr.Dataset,
    numbers: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    particles: xr.Dataset,
    pde: xr.Dataset,
    kinetic: xr.Dataset | None = None,
) -> str:
    """Fill the template of the reaction model.

    Args:
        comparison: what `kinlim.validation.reaction.compare` finds.
        numbers: as in metrics.json.
        pictures: as `draw` makes them.
        particles: the ensemble.
        pde: the limit equation.
        kinetic: the kinetic system, where it is solved.
    """
    model = facts.study_of(pde).model
    return render(
        "reaction/page.html",
        particles=particles.attrs,
        pde=pde.attrs,
        kinetic=None if kinetic is None else kinetic.attrs,
        model=model_of(pde),
        numbers=numbers,
        profiles=[_words(chi) for chi in (model.chi1, model.chi2)],
        worst_imbalance=float(particles["imbalance_drift"].max()),
        nodes=NODES,
        rise=None if kinetic is None else functionals(kinetic).attrs,
        pictures={name: embedded(data) for name, data in pictures.items()},
    )


def _words(chi: Profile) -> str:
    """A profile in words."""
    match chi.family:
        case "gaussian":
            return f"Gaussian with covariance {_plain(chi.covariance)}"
        case "power":
            return f"c(1 + |v|²)^(−{chi.k:g})"
        case _:
            return (
                f"a mixture of Gaussians with weights {_plain(chi.weights)}, means {_plain(chi.means)} and covariances "
                f"{_plain(chi.covariances)}"
            )


def _plain(value: Any) -> str:
    return f"[{', '.join(map(_plain, value))}]" if isinstance(value, tuple) else f"{value:g}"


def verdicts(numbers: Mapping[str, Any]) -> list[Verdict]:
    """Whether the densities of the particles are those of the reference, over all bins and times."""
    all_, replicas = numbers["overall"], numbers["replicas"]
    names = {"rho_f": "The density of A", "rho_g": "The density of B", "m": "The difference of densities"}
    return [
        of_deviations(
            names[name], f"the {numbers['reference']}", all_[f"largest_z_{name}"], all_[f"count_{name}"],
            all_[f"chi2_{name}"], replicas,
        )
        for name in DENSITIES
    ]  # fmt: skip


def tell(numbers: Mapping[str, Any]) -> list[str]:
    """What came out, in sentences."""
    last, rates = numbers["times"][-1], numbers["decay"]
    lines = []
    if last["gap_m"] is not None:
        corrected = (
            "" if last["gap_corrected"] is None else f" ({number(last['gap_corrected'])} from the corrected datum)"
        )
        lines.append(
            f"At t = {last['time']:g} the kinetic system is {number(last['gap_m'])} from its limit in L2{corrected}, "
            f"and rho_f rho_g {number(last['gap_product'])} from 1."
        )
    lines.append(f"Predicted bias of the particles' diffusion: {100 * numbers['predicted_bias']:.2g} %.")
    measured, first = rates["measured"]["kinetic"], rates["first"]
    seen = (
        "" if measured is None else f", measured {number(measured['rate'], 5)} +- {number(measured['uncertainty'], 1)}"
    )
    lines.append(
        f"Small perturbations decay at the rate {number(rates['overall']['gap'], 5)}"
        + ("" if rates["overall"]["k"] is not None else ", that of the essential spectrum")
        + f"; wave number 1 along {rates['axis']} at {number(first['gap'], 5)}{seen}."
    )
    return lines
