"""The sides that most models have: an equation that evolves, an ensemble of particles, and what is known exactly."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from kinlim.base import Ensemble, Study
from kinlim.equation import SENSITIVE, SENSITIVITY, Equation, EvolutionSettings
from kinlim.errors import RunError
from kinlim.model import Maker, Side, parts_of
from kinlim.particles import Particles
from kinlim.table import Table

if TYPE_CHECKING:
    import xarray as xr

    from kinlim.keeper import Keeper

__all__ = ["Ensembles", "Evolution", "Known"]

STEP = 1e-4
"""Relative change of the times by which sensitivities are found."""

Variables = Mapping[str, tuple[tuple[str, ...] | str, ArrayLike, str]]
"""Dimensions, values and meaning of variables, by name; one that is named like its dimension is a coordinate."""


def Evolution(
    equation: Callable[[Study], Equation],
    *,
    file: str = "pde.nc",
    table: str = "pde",
    settings: type[EvolutionSettings] = EvolutionSettings,
) -> Side:
    """The side of an equation: solved by finite elements and PETSc's time integrators, observed, refined.

    Args:
        equation: a class made of `kinlim.Equation`, or a function that gives one for a study.
        file: of its dataset; PETSc's options have its stem as a prefix, such as `-pde_ts_type` for pde.nc.
        table: of the study, with its settings.
        settings: class of that table.
    """

    def maker() -> Maker:
        from kinlim.fem.evolution import EquationMaker

        return EquationMaker(equation, table, file)

    return Side(file, table, settings, "solve", maker)


def Ensembles(
    particles: Callable[[Study], Particles[Any]],
    *,
    file: str = "particles.nc",
    table: str = "particles",
    settings: type[Ensemble] = Ensemble,
) -> Side:
    """The side of a particle system: independent replicas over threads and ranks, statistics with standard errors.

    Args:
        particles: a class that is `kinlim.Particles`, or a function that gives one for a study.
        file: of its dataset.
        table: of the study, with its settings.
        settings: class of that table.
    """

    def maker() -> Maker:
        from kinlim.stochastic.replicas import ParticlesMaker

        return ParticlesMaker(particles, table)

    return Side(file, table, settings, "simulate", maker)


def Known(
    values: Callable[[Study], Variables],
    *,
    file: str = "exact.nc",
    table: str = "exact",
    settings: type[Table] = Table,
) -> Side:
    """The side of what is known without elements: an exact mean at finite n, a closed hierarchy, a formula.

    Args:
        values: gives for a study the variables of the dataset, name -> (dimensions, values, meaning). What depends on
            time has the dimension "time" first, with the study's observation times. It is called for two more end
            times, to find what another speed would change, unless it gives sensitivity_NAME = t dNAME/dt itself.
        file: of the dataset.
        table: of the study, with its settings.
        settings: class of that table.
    """
    return Side(file, table, settings, "solve", lambda: KnownMaker(values))


@dataclass(frozen=True)
class KnownMaker(Maker):
    """What makes the dataset of `Known`."""

    values: Callable[[Study], Variables]

    def make(self, study: Study, keeper: "Keeper", threads: int | None = None) -> "xr.Dataset":
        """The dataset, made on rank 0. Collective.

        Raises:
            RunError: the function fails, or gives what is no number or of another shape.
        """
        from kinlim.parallel import on_root
        from kinlim.provenance import provenance
        from kinlim.study import dump

        def made() -> "xr.Dataset":
            began = time.perf_counter()
            dataset = parts_of(study).call(RunError, lambda: self._label(study))
            about = provenance(keeper.comm.size, 1, time.perf_counter() - began, study=dump(study))
            return dataset.assign_attrs(about)

        return on_root(keeper.comm, made)

    def _label(self, study: Study) -> "xr.Dataset":
        import xarray as xr

        found, model = dict(self.values(study)), study.model
        if not any(name.startswith(SENSITIVITY) for name in found):
            found |= self._sensitivities(study, found)
        for name, (dims, values, _) in found.items():
            array = np.asarray(values)
            if array.dtype.kind in "fc" and not np.isfinite(array).all():
                raise ValueError(f"{name} has values that are no numbers")
            if "time" in dims and array.shape[0] != len(model.times):
                raise ValueError(f"{name} has {array.shape[0]} times, and the study observes at {len(model.times)}")
        variables = {
            name: (dims, np.asarray(values), {"long_name": what}) for name, (dims, values, what) in found.items()
        }
        coordinates = {
            "time": ("time", model.times, {"long_name": "time"}),
            "fraction": ("time", np.asarray(model.observe), {"long_name": "fraction of end_time"}),
            **{name: variables.pop(name) for name in list(variables) if variables[name][0] in (name, (name,))},
        }
        return xr.Dataset(variables, coordinates, {"title": f"{study.study.name}: exact", "model": study.study.model})

    def _sensitivities(self, study: Study, found: Variables) -> Variables:
        """What another speed would change, by central differences."""
        end = study.model.end_time
        faster, slower = (self.values(study.vary("model", end_time=end * (1 + sign * STEP))) for sign in (1, -1))
        return {
            f"{SENSITIVITY}{name}": (
                dims, (np.asarray(faster[name][1]) - np.asarray(slower[name][1])) / (2 * STEP), f"{name}: {SENSITIVE}",
            )
            for name, (dims, *_) in found.items()
            if "time" in dims
        }  # fmt: skip
