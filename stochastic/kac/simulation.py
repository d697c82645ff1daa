"""The particle side of a study of Kac particles: both systems at the observation times, as a labelled dataset."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.keeper import Keeper
from kinlim.models.kac.tables import KacStudy
from kinlim.stochastic.ensemble import Blocks
from kinlim.stochastic.kac.reservoir import KacSystems
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.stages import Stages
from kinlim.stochastic.statistic import Counts, Largest, Statistics, typed

GROUPS = ("system", "reservoir", "thermostatted")
"""The system that has a reservoir, its reservoir, and the system that has a thermostat."""


def simulate(
    study: KacStudy, comm: MPI.Comm = MPI.COMM_WORLD, threads: int | None = None, keeper: Keeper | None = None
) -> xr.Dataset:
    """Run the ensemble of a study.

    Args:
        study: the study.
        comm: the ranks that share the replicas. Collective.
        threads: per rank; None for all cores, shared among the ranks of a machine.
        keeper: what to go on from, and where to keep finished replicas; see `kinlim.stochastic.stages.Stages`.

    Returns:
        The same dataset on every rank, the same bits for any ranks, threads and stops. Functions e are the orthonormal
        symmetric Hermite functions of degree 1 and 2 (`models.kac.symmetric`); reservoir(time, function) is E[e] in the
        system with a reservoir, thermostat(time, own) in the one with a thermostat, difference(time, function) the
        first minus the second, where the second has a reservoir in equilibrium, each with its standard error *_se.

    Raises:
        Stopped: SIGTERM or SIGUSR1 came; the running blocks were finished and the state has been kept.
    """
    model = KacSystems(study)
    with Stages(study, study.particles, threads, keeper or Keeper(comm)) as stages:
        statistics = stages.run("particles", model, Blocks(study.particles.replicas, study.particles.block))
    events = typed(statistics["events"], Counts).count
    return _label(study, model, statistics).assign_attrs(stages.provenance(collisions=int(events[-1].sum())))


def _label(study: KacStudy, model: KacSystems, statistics: Statistics) -> xr.Dataset:
    """Give the statistics names and coordinates."""
    physics, settings = study.model, study.particles
    both, own, means = (typed(statistics[name], Moments) for name in ("reservoir", "thermostat", "means"))
    shape = (len(physics.observe), len(GROUPS), 4)
    average, error = means.mean.reshape(shape), means.mean_se.reshape(shape)
    if settings.coupled:
        paired = typed(statistics["difference"], Moments)
        difference, difference_se = paired.mean, paired.mean_se
    else:  # in equilibrium, and independent of the system, every function with a factor of the reservoir has mean 0
        difference, difference_se = both.mean.copy(), both.mean_se.copy()
        difference[:, model.common] -= own.mean
        difference_se[:, model.common] = np.hypot(both.mean_se[:, model.common], own.mean_se)
    drift, events = typed(statistics["drift"], Largest).value, typed(statistics["events"], Counts).count
    joint, single = ("time", "function"), ("time", "own")

    def of(
        dims: tuple[str, ...], values: NDArray[Any], name: str
    ) -> tuple[tuple[str, ...], NDArray[Any], dict[str, str]]:
        return dims, values, {"long_name": name}

    variables = {
        "reservoir": of(joint, both.mean, "mean of a function, with a reservoir"),
        "reservoir_se": of(joint, both.mean_se, "standard error of reservoir"),
        "thermostat": of(single, own.mean, "mean of a function, with a thermostat"),
        "thermostat_se": of(single, own.mean_se, "standard error of thermostat"),
        "difference": of(joint, difference, "reservoir minus thermostat"),
        "difference_se": of(joint, difference_se, "standard error of difference"),
        "velocity": of(("time", "group", "axis"), average[..., :3], "mean velocity of a particle"),
        "velocity_se": of(("time", "group", "axis"), error[..., :3], "standard error of velocity"),
        "energy": of(("time", "group"), average[..., 3], "mean energy of a particle, 1 in equilibrium"),
        "energy_se": of(("time", "group"), error[..., 3], "standard error of energy"),
        "momentum_drift": of(("time",), drift[:, 0], "largest relative change of momentum since time 0 in a replica"),
        "energy_drift": of(("time",), drift[:, 1], "largest relative change of energy since time 0 in a replica"),
        "collisions": of(("time", "kind"), events / settings.replicas, "mean number of collisions of a replica"),
    }
    if settings.coupled:
        together = typed(statistics["together"], Moments)
        variables |= {
            "together": of(("time",), together.mean[:, 0], "fraction of particles that are the same in both systems"),
            "together_se": of(("time",), together.mean_se[:, 0], "standard error of together"),
        }
    coordinates = {
        "time": (("time",), physics.times, {"long_name": "time"}),
        "fraction": (("time",), np.asarray(physics.observe), {"long_name": "fraction of end_time"}),
        "function": (("function",), [str(label) for label in model.joint], {"long_name": "function of degree 1 or 2"}),
        "own": (("own",), [str(label) for label in model.own], {"long_name": "function of the system alone"}),
        "group": (("group",), list(GROUPS)),
        "axis": (("axis",), list("xyz")),
        "kind": (("kind",), ["reservoir", "thermostat"]),
    }
    return xr.Dataset(
        variables,
        coords=coordinates,
        attrs={
            "title": f"{study.study.name}: particles", "model": "kac", "system": physics.system,
            "reservoir": physics.reservoir, "replicas": settings.replicas, "coupled": int(settings.coupled),
            "end_time": physics.end_time,
        },
    )  # fmt: skip
