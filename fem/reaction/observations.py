"""The dataset of a kinetic solution: densities, moments, extremes and balances at the observation times."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.equation import SENSITIVE, SENSITIVITY
from kinlim.fem.reaction.balances import INTEGRALS, accumulate, entropy, integrands
from kinlim.fem.reaction.system import KineticSystem, relative
from kinlim.layout import NAN_WHERE
from kinlim.models.reaction.tables import ReactionStudy

Array = NDArray[np.float64]

POINTS = 256
"""Of the uniform grid i/256 on which functions of x are given."""

NAMES = {
    "f": (("time", "node", "x"), "f/chi1"),
    "g": (("time", "node", "x"), "g/chi2"),
    "rho_f": (("time", "x"), "density of A"),
    "rho_g": (("time", "x"), "density of B"),
    "m": (("time", "x"), "rho_f - rho_g"),
    "flux_f": (("time", "x"), "flux of A: int v f dv/epsilon"),
    "flux_g": (("time", "x"), "flux of B: int v g dv/epsilon"),
    "lowest_f": (("time",), "least f/chi1 over velocities and Gauss points"),
    "highest_f": (("time",), "largest f/chi1"),
    "lowest_g": (("time",), "least g/chi2"),
    "highest_g": (("time",), "largest g/chi2"),
    "mass_difference": (("time",), "int (rho_f - rho_g), by the quadrature that the scheme conserves"),
    "entropy": (("time",), "H(f, g) of (5)"),
    "dissipation": (("time",), "-dH/dt by (6) for the scaled system: the integral of (6) over epsilon^2"),
    "dissipated": (("time",), "dissipation integrated over time: entropy + dissipated is constant"),
    "perp_f": (("time",), "int int f_perp^2/chi1 integrated over time, f = rho_f chi1 + epsilon f_perp"),
    "perp_g": (("time",), "int int g_perp^2/chi2 integrated over time, g = rho_g chi2 + epsilon g_perp"),
    "alignment": (("time",), "int (sqrt(rho_f rho_g) - 1)^2 integrated over time"),
}
"""Variables that depend on time: their dimensions, and what they are."""

POSITIVE = {"entropy", "dissipation", "dissipated", "alignment"}
"""Those that exist where all densities are positive, which the elements cannot make sure of."""


def dataset(
    study: ReactionStudy, system: KineticSystem, start: Array, observed: Array, times: Array, rates: Array
) -> xr.Dataset:
    """Label what was observed.

    Args:
        study: the study.
        system: its equations.
        start: unknowns at time 0.
        observed: unknowns at the observations, shape (len(model.observe), size).
        times: 0 and the ends of all steps.
        rates: `integrands` there, shape (len(times), 4).

    Returns:
        With the `NAMES`, and v_f(node), v_g(node), chi1(node), chi2(node): velocities, increasing, and the masses
        of chi1 and chi2 there. Functions of x are values of the finite elements.
    """
    model, x = study.model, np.arange(POINTS) / POINTS
    even, odd = system.line.even_at(x), system.line.odd_at(x)
    integrals = accumulate(times, rates, model.times, model.epsilon**2)
    rows = [
        _observe(system, u, model.rho_inf, even, odd) | dict(zip(INTEGRALS, total, strict=True))
        for u, total in zip(observed, integrals, strict=True)
    ]
    negative = not np.isfinite(rates).all() or min(min(row["lowest_f"], row["lowest_g"]) for row in rows) <= 0
    variables: dict[str, Any] = {
        name: (
            dims, np.array([row[name] for row in rows]),
            {"long_name": text}
            | ({NAN_WHERE: "a density is or was not positive"} if negative and name in POSITIVE else {}),
        )
        for name, (dims, text) in NAMES.items()
    }  # fmt: skip
    changes = np.array([_change(system, u, even) for u in observed]) * model.times[:, None, None]
    for k, name in enumerate(("rho_f", "rho_g", "m")):
        variables[f"{SENSITIVITY}{name}"] = NAMES[name][0], changes[:, k], {"long_name": f"{name}: {SENSITIVE}"}
    for name, chi, species, q in (("v_f", "chi1", "A", system.v_f), ("v_g", "chi2", "B", system.v_g)):
        variables[name] = ("node", q.nodes, {"long_name": f"velocities of {species}"})
        variables[chi] = ("node", q.masses, {"long_name": f"masses of {chi} there"})
    entropy_start, settings = entropy(system, start, model.rho_inf), study.kinetic
    lo, hi = model.region
    return xr.Dataset(
        variables,
        coords={
            "time": ("time", model.times, {"long_name": "time of the equations"}),
            "fraction": ("time", np.asarray(model.observe), {"long_name": "fraction of end_time"}),
            "x": ("x", x, {"long_name": "position"}),
            "node": ("node", np.arange(2 * system.shape[1]), {"long_name": "velocities, of A as v_f, of B as v_g"}),
        },
        attrs={
            "title": f"{study.study.name}: kinetic system",
            "model": "reaction",
            "epsilon": model.epsilon,
            "rho_inf": model.rho_inf,
            "region": [lo, hi],
            "modes": 2 * system.shape[1],
            "cells": system.line.cells,
            "degree": system.line.degree,
            "rtol": settings.rtol if settings else 0.0,
            "entropy_start": entropy_start,
            "mass_difference_start": system.mass_difference(start),
        },
    )


def _observe(system: KineticSystem, u: Array, rho_inf: float, even: Any, odd: Any) -> dict[str, Any]:
    """One row of every variable; `even` and `odd` evaluate parts on the grid."""
    f, g = system.split(u)
    v_f, v_g, epsilon = system.v_f, system.v_g, system.epsilon
    at_points = system.relative(u)
    rho_f, rho_g = even @ (f.e @ v_f.mass), even @ (g.e @ v_g.mass)
    return {
        "f": relative(even @ f.e, odd @ f.o, v_f).T,
        "g": relative(even @ g.e, odd @ g.o, v_g).T,
        "rho_f": rho_f,
        "rho_g": rho_g,
        "m": rho_f - rho_g,
        "flux_f": odd @ (f.o @ (v_f.mass * v_f.v)) / epsilon,
        "flux_g": odd @ (g.o @ (v_g.mass * v_g.v)) / epsilon,
        "lowest_f": at_points[0].min(),
        "highest_f": at_points[0].max(),
        "lowest_g": at_points[1].min(),
        "highest_g": at_points[1].max(),
        "mass_difference": system.mass_difference(u),
        "entropy": entropy(system, u, rho_inf),
        "dissipation": integrands(system, u)[0],
    }


def _change(system: KineticSystem, u: Array, even: Any) -> Array:
    """Time derivatives of rho_f, rho_g and their difference on the grid, shape (3, points)."""
    rate = np.empty_like(u)
    system.rates(u, rate)
    rho_f, rho_g = (
        even @ (part.e @ v.mass) / system.epsilon**2
        for part, v in zip(system.split(rate), (system.v_f, system.v_g), strict=True)
    )
    return np.stack([rho_f, rho_g, rho_f - rho_g])
