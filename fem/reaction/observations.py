"""The dataset of a kinetic solution: densities, moments, extremes and balances at the observation times."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.equation import SENSITIVE, SENSITIVITY
from kinlim.fem.reaction.balances import INTEGRALS, accumulate, entropy, integrands
from kinlim.fem.reaction.system import KineticSystem, relative
from kinlim.grid import AXES
from kinlim.layout import NAN_WHERE
from kinlim.models.reaction.tables import ReactionStudy

Array = NDArray[np.float64]

POINTS = {1: 256, 2: 64}
"""By dimension, along each axis of the uniform grid i/256 or i/64 on which functions of x are given."""

PHASE = {
    "f": "f/chi1",
    "g": "g/chi2",
}
"""Functions of time, velocity and x, in dimension 1: more would fill disks."""

PROFILES = {
    "rho_f": "density of A",
    "rho_g": "density of B",
    "m": "rho_f - rho_g",
}
"""Functions of time and x."""

FLUXES = {
    "flux_f": "flux of A: int v f dv/epsilon",
    "flux_g": "flux of B: int v g dv/epsilon",
}
"""The same, in dimension 2 with one component for each axis."""

NUMBERS = {
    "lowest_f": "least f/chi1 over velocities and Gauss points",
    "highest_f": "largest f/chi1",
    "lowest_g": "least g/chi2",
    "highest_g": "largest g/chi2",
    "mass_difference": "int (rho_f - rho_g), by the quadrature that the scheme conserves",
    "entropy": "H(f, g) of (5)",
    "dissipation": "-dH/dt by (6) for the scaled system: the integral of (6) over epsilon^2",
    "dissipated": "dissipation integrated over time: entropy + dissipated is constant",
    "perp_f": "int int f_perp^2/chi1 integrated over time, f = rho_f chi1 + epsilon f_perp",
    "perp_g": "int int g_perp^2/chi2 integrated over time, g = rho_g chi2 + epsilon g_perp",
    "alignment": "int (sqrt(rho_f rho_g) - 1)^2 integrated over time",
}
"""Functions of time."""

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
        With the variables above, and v_f(node), v_g(node), chi1(node), chi2(node): velocities, in dimension 1
        increasing, in dimension 2 with one component for each axis, and the masses of chi1 and chi2 there. Functions of
        x are values of the finite elements.
    """
    model, mesh = study.model, system.mesh
    axes, x = AXES[: mesh.dimension], np.arange(POINTS[mesh.dimension]) / POINTS[mesh.dimension]
    even, odd = mesh.on_grid(len(x))
    names, sizes = _names(axes), {axis: len(x) for axis in axes} | {"node": 2 * system.pairs, "axis": len(axes)}
    integrals = accumulate(times, rates, model.times, model.epsilon**2)
    rows = [
        _observe(system, u, model.rho_inf, even, odd) | dict(zip(INTEGRALS, total, strict=True))
        for u, total in zip(observed, integrals, strict=True)
    ]
    negative = not np.isfinite(rates).all() or min(min(row["lowest_f"], row["lowest_g"]) for row in rows) <= 0
    variables: dict[str, Any] = {
        name: (
            dims, np.array([row[name] for row in rows]).reshape([len(rows), *(sizes[dim] for dim in dims[1:])]),
            {"long_name": text}
            | ({NAN_WHERE: "a density is or was not positive"} if negative and name in POSITIVE else {}),
        )
        for name, (dims, text) in names.items()
    }  # fmt: skip
    changes = np.array([_change(system, u, even) for u in observed]) * model.times[:, None, None]
    for k, name in enumerate(PROFILES):
        change = changes[:, k].reshape(variables[name][1].shape)
        variables[f"{SENSITIVITY}{name}"] = names[name][0], change, {"long_name": f"{name}: {SENSITIVE}"}
    for name, chi, species, q in (("v_f", "chi1", "A", system.v_f), ("v_g", "chi2", "B", system.v_g)):
        nodes = (("node",), q.nodes[0]) if mesh.dimension == 1 else (("axis", "node"), q.nodes)
        variables[name] = (*nodes, {"long_name": f"velocities of {species}"})
        variables[chi] = ("node", q.masses, {"long_name": f"masses of {chi} there"})
    entropy_start, settings = entropy(system, start, model.rho_inf), study.kinetic
    lo, hi = model.region
    return xr.Dataset(
        variables,
        coords={
            "time": ("time", model.times, {"long_name": "time of the equations"}),
            "fraction": ("time", np.asarray(model.observe), {"long_name": "fraction of end_time"}),
            **{axis: (axis, x, {"long_name": "position"}) for axis in axes},
            "node": ("node", np.arange(2 * system.pairs), {"long_name": "velocities, of A as v_f, of B as v_g"}),
            **({} if mesh.dimension == 1 else {"axis": ("axis", list(axes))}),
        },
        attrs={
            "title": f"{study.study.name}: kinetic system",
            "model": "reaction",
            "epsilon": model.epsilon,
            "rho_inf": model.rho_inf,
            "region": [lo, hi],
            "dimension": mesh.dimension,
            "periodic": 1,
            "velocities": 2 * system.pairs,
            "modes": settings.modes if settings else 0,
            "cells": mesh.cells,
            "degree": mesh.degree,
            "rtol": settings.rtol if settings else 0.0,
            "entropy_start": entropy_start,
            "mass_difference_start": system.mass_difference(start),
        },
    )


def _names(axes: tuple[str, ...]) -> dict[str, tuple[tuple[str, ...], str]]:
    """Variables that depend on time: their dimensions, and what they are."""
    one = len(axes) == 1
    kinds: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
        (("time", "node", "x"), PHASE if one else {}),
        (("time", *axes), PROFILES),
        (("time", *axes) if one else ("time", "axis", *axes), FLUXES),
        (("time",), NUMBERS),
    )
    return {name: (dims, text) for dims, some in kinds for name, text in some.items()}


def _observe(system: KineticSystem, u: Array, rho_inf: float, even: Any, odd: Any) -> dict[str, Any]:
    """One row of every variable; `even` and `odd` evaluate parts on the grid."""
    f, g = system.split(u)
    v_f, v_g, epsilon = system.v_f, system.v_g, system.epsilon
    at_points = system.relative(u)
    rho_f, rho_g = even @ (f.e @ v_f.mass), even @ (g.e @ v_g.mass)
    phase = {}
    if system.mesh.dimension == 1:
        for name, own, q in (("f", f, v_f), ("g", g, v_g)):
            phase[name] = relative(even @ own.e, odd @ own.o, q).T
    return phase | {
        "rho_f": rho_f,
        "rho_g": rho_g,
        "m": rho_f - rho_g,
        "flux_f": (odd @ (f.o @ (v_f.mass * v_f.v).T)).T / epsilon,
        "flux_g": (odd @ (g.o @ (v_g.mass * v_g.v).T)).T / epsilon,
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
