"""What must hold for every solution: conservation, entropy, the invariant region, the maximum principle, Lemma 3.1."""

import tomllib
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.models.reaction.tables import ReactionStudy

Array = NDArray[np.float64]


def study_of(dataset: xr.Dataset) -> ReactionStudy:
    """The study that a dataset was made from."""
    return ReactionStudy.model_validate(tomllib.loads(str(dataset.attrs["study"])))


def of_limit(pde: xr.Dataset) -> dict[str, float]:
    """Of the limit equation.

    mass_drift: largest change of int m, over 1 + |int m|. overshoot: by how much m leaves the range that it had at time
    0, over the width of that (0 if the maximum principle holds).
    """
    low, high, mass = (pde[name].to_numpy() for name in ("lowest", "highest", "mass"))
    beyond = max(float((high - high[0]).max()), float((low[0] - low).max()), 0.0)
    return {
        "mass_drift": float(np.abs(mass - mass[0]).max() / (1 + abs(mass[0]))),
        "overshoot": beyond / max(float(high[0] - low[0]), 1e-300) if high[0] > low[0] else 0.0,
    }


def of_kinetic(kinetic: xr.Dataset) -> dict[str, Any]:
    """Of the kinetic system.

    mass_drift: largest change of int int (f - g), over 1 + |its value|. entropy_balance: largest |H(t) - H(0) + entropy
    dissipated until t| over all that is dissipated, (5) and (6). entropy_falls: whether H never rises from one
    observation to the next. region_lo, region_hi: bounds of f/chi1 and chi2/g at time 0 (Theorem 1.1), lowest and
    highest what they were; outside: by how much they left, over the width of the region. local_equilibrium: root of
    int_0^T int (sqrt(rho_f rho_g) - 1)^2 and perp: root of int_0^T of |f_perp|^2/chi1 + |g_perp|^2/chi2, of Lemma 3.1.
    """
    mass, entropy, dissipated = (kinetic[name].to_numpy() for name in ("mass_difference", "entropy", "dissipated"))
    lo, hi = study_of(kinetic).model.region
    lowest = min(float(kinetic["lowest_f"].min()), float((1 / kinetic["highest_g"]).min()))
    highest = max(float(kinetic["highest_f"].max()), float((1 / kinetic["lowest_g"]).max()))
    balance = np.abs(entropy - entropy[0] + dissipated - dissipated[0])
    total = float(dissipated[-1] - dissipated[0])
    return {
        "mass_drift": float(np.abs(mass - mass[0]).max() / (1 + abs(mass[0]))),
        "entropy_balance": float(balance.max()) / total if total > 0 and np.isfinite(balance).all() else None,
        "entropy_falls": bool((np.diff(entropy) <= 1e-12 * max(1.0, float(np.abs(entropy).max()))).all()),
        "region_lo": lo,
        "region_hi": hi,
        "lowest": lowest,
        "highest": highest,
        "outside": max(lo - lowest, highest - hi, 0.0) / (hi - lo),
        "local_equilibrium": float(np.sqrt(max(float(kinetic["alignment"][-1]), 0.0))),
        "perp": float(np.sqrt(max(float(kinetic["perp_f"][-1] + kinetic["perp_g"][-1]), 0.0))),
    }
