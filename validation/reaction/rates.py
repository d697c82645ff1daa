"""Rates of decay to equilibrium: exact and bounded for the linearised system, and measured."""

from dataclasses import asdict
from math import pi
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.validation.reaction import facts, figures
from kinlim.validation.reaction.compactness import lemma_3_2, lemma_3_4
from kinlim.validation.reaction.decay import rate
from kinlim.validation.reaction.expectation import mode_of
from kinlim.validation.reaction.hypocoercivity import AXES, overall, table
from kinlim.validation.reaction.linearised import Linearised
from kinlim.validation.reaction.spectrum import critical
from kinlim.validation.reaction.theorem import METHODS, Bound

Array = NDArray[np.float64]

VAGUE = 0.5
"""Uncertainty of a rate, over the rate, from which on it is none."""


def rates(pde: xr.Dataset, kinetic: xr.Dataset | None = None, particles: xr.Dataset | None = None) -> dict[str, Any]:
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
    system = Linearised.of(model)
    edge = critical(system.mode([int(one == axis) for one in AXES[: system.dimension]]))
    return {
        "overall": found,
        "modes": rows,
        "axis": axis,
        "first": row,
        "measured": measured,
        "critical_epsilon": None if edge is None else edge / (2 * pi),
        "epsilon": model.epsilon,
        "averaging": asdict(lemma_3_2(system)),
        "interpolation": lemma_3_4(),
    }


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
