"""The particle side of a study of kinetic reactions: densities at the observation times, as a labelled dataset."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.keeper import Keeper
from kinlim.models.reaction.phase import POSITIONS
from kinlim.models.reaction.tables import ReactionStudy
from kinlim.stochastic.ensemble import Blocks
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.reaction.gas import ReactingGas
from kinlim.stochastic.stages import Stages
from kinlim.stochastic.statistic import Largest, Statistics, typed

Variables = dict[str, tuple[tuple[str, ...], NDArray[Any], dict[str, str]]]

DENSITIES = {
    "rho_f": "mass of A per unit volume",
    "rho_g": "mass of B per unit volume",
    "m": "rho_f - rho_g",
    "product": "(number of A) (number of B) in a bin over the square of the number that makes density one",
}
TOTALS = {
    "mass_f": "mass of A",
    "mass_g": "mass of B",
    "mass_difference": "mass of A minus mass of B",
    "created": "pairs created in a replica since time 0",
    "destroyed": "pairs destroyed in a replica since time 0",
    "particles": "particles in a replica",
}


def simulate(
    study: ReactionStudy, comm: MPI.Comm = MPI.COMM_WORLD, threads: int | None = None, keeper: Keeper | None = None
) -> xr.Dataset:
    """Run the ensemble of a study.

    Args:
        study: the study.
        comm: the ranks that share the replicas. Collective.
        threads: per rank; None for all cores, shared among the ranks of a machine.
        keeper: what to go on from, and where to keep finished replicas; see `kinlim.stochastic.stages.Stages`.

    Returns:
        The same dataset on every rank, the same bits for any ranks, threads and stops. Means over replicas, each with
        its standard error *_se: rho_f, rho_g, m and product(time, x[, y[, z]]) in bins, mode(time, axis, part), the
        amplitudes of cos 2 pi x_i and sin 2 pi x_i in m, and mass_f, mass_g, mass_difference, created, destroyed and
        particles(time). imbalance_drift(time) is the largest change of (number of A) - (number of B) in a replica: 0.

    Raises:
        Stopped: SIGTERM or SIGUSR1 came; the running blocks were finished and the state has been kept.
    """
    settings, model = study.particles, ReactingGas(study)
    with Stages(study, study.particles, threads, keeper or Keeper(comm)) as stages:
        statistics = stages.run("particles", model, Blocks(settings.replicas, settings.block))
    dataset = _label(study, model, statistics)
    events = settings.replicas * (float(dataset.created[-1]) + float(dataset.destroyed[-1]))
    return dataset.assign_attrs(stages.provenance(collisions=round(events)))


def _label(study: ReactionStudy, model: ReactingGas, statistics: Statistics) -> xr.Dataset:
    """Give the statistics names and coordinates."""
    physics, settings, d = study.model, study.particles, model.dimension
    axes = POSITIONS[:d]
    centres = (np.arange(settings.bins) + 0.5) / settings.bins
    drift = typed(statistics["drift"], Largest).value[:, 0]
    variables = {
        **_means(typed(statistics["densities"], Moments), DENSITIES, ("time", *axes), (settings.bins,) * d),
        **_means(typed(statistics["modes"], Moments), {"mode": "amplitude in m"}, ("time", "axis", "part"), (d, 2)),
        **_means(typed(statistics["totals"], Moments), TOTALS, ("time",), ()),
        "imbalance_drift": (
            ("time",), drift, {"long_name": "largest change of (number of A) - (number of B) since time 0 in a replica"}
        ),
    }  # fmt: skip
    coordinates: Variables = {
        "time": (("time",), physics.times, {"long_name": "time"}),
        "fraction": (("time",), np.asarray(physics.observe), {"long_name": "fraction of end_time"}),
        **{name: ((name,), centres, {"long_name": "centre of a bin"}) for name in axes},
        "axis": (("axis",), np.array(axes), {}),
        "part": (("part",), np.array(["cos", "sin"]), {}),
    }
    dt = max(model.dt)
    return xr.Dataset(
        variables,
        coords=coordinates,
        attrs={
            "title": f"{study.study.name}: particles", "model": "reaction", "dimension": d, "epsilon": physics.epsilon,
            "per_unit": settings.per_unit, "replicas": settings.replicas, "dt": dt, "steps": sum(model.steps),
            "cells": study.cells, "bins": settings.bins, "bias_dt": physics.time_step_bias(dt) if dt else 0.0,
            "bias_cells": physics.cell_bias(1 / study.cells),
            "bias_number": physics.number_bias(settings.per_unit, 1 / study.cells), "end_time": physics.end_time,
        },
    )  # fmt: skip


def _means(found: Moments, names: dict[str, str], dims: tuple[str, ...], shape: tuple[int, ...]) -> Variables:
    """Means and standard errors of several things of one shape, which lie one after the other."""
    variables: Variables = {}
    for suffix, about, values in (("", "", found.mean), ("_se", "standard error: ", found.mean_se)):
        parts = np.moveaxis(values.reshape(len(values), len(names), *shape), 1, 0)
        for (name, long_name), part in zip(names.items(), parts, strict=True):
            variables[name + suffix] = dims, np.ascontiguousarray(part), {"long_name": about + long_name}
    return variables
