"""Kinetic generation and recombination: the limit equation, and the kinetic system at finite epsilon."""

from collections.abc import Mapping

import xarray as xr
from pydantic import ValidationError

from mpi4py import MPI

from kinlim.base import Study, narrowed
from kinlim.errors import InputError
from kinlim.fem.reaction import kinetic
from kinlim.fem.reaction.limit import CORRECTED, LIMIT
from kinlim.fem.reaction.system import KineticSystem
from kinlim.keeper import Keeper
from kinlim.model import Estimated
from kinlim.models.reaction.tables import ReactionStudy


class Kinetic(Estimated):
    """What makes kinetic.nc."""

    estimated = ("rho_f", "rho_g")

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """See `kinlim.fem.reaction.kinetic.check`."""
        kinetic.check(narrowed(study, ReactionStudy), comm)

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """See `kinlim.fem.reaction.kinetic.solve`."""
        return kinetic.solve(narrowed(study, ReactionStudy), keeper.comm, keeper=keeper)

    def better(self, study: Study) -> Mapping[str, Study]:
        """Twice the cells, a tenth of the tolerance, half as many velocities again; the reverse of what is too much."""
        settings = narrowed(study, ReactionStudy).kinetic
        assert settings is not None, "this side is wanted where there is this table"
        cells, rtol, pairs = settings.cells, settings.rtol, settings.modes // 2
        return {
            "mesh": _one_of(study, {"cells": 2 * cells}, {"cells": max(cells // 2, 4)}),
            "steps": _one_of(study, {"rtol": rtol / 10}, {"rtol": 10 * rtol}),
            "velocities": _one_of(study, {"modes": 2 * (pairs + pairs // 2)}, {"modes": 2 * max(pairs * 2 // 3, 2)}),
        }

    def coarser(self, study: Study) -> Study | None:
        """Half of the cells."""
        settings = narrowed(study, ReactionStudy).kinetic
        cells = 0 if settings is None else max(settings.cells // 2, 4)
        return None if settings is None or cells >= settings.cells else study.vary("kinetic", cells=cells)


def _one_of(study: Study, better: dict[str, float], other: dict[str, float]) -> Study:
    """The study with better settings if they are possible, otherwise with the others."""
    try:
        found = narrowed(study.vary("kinetic", **better), ReactionStudy)
        assert found.kinetic is not None, "it has only other settings"
        KineticSystem.of(found.model, found.kinetic)
    except (InputError, ValidationError):
        return study.vary("kinetic", **other)
    return found


KINETIC = Kinetic()

__all__ = ["CORRECTED", "KINETIC", "LIMIT"]
