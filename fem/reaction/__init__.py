"""Kinetic generation and recombination: the limit equation, and the kinetic system at finite epsilon."""

import xarray as xr

from mpi4py import MPI

from kinlim.base import Study, narrowed
from kinlim.fem.reaction import kinetic
from kinlim.fem.reaction.limit import CORRECTED, LIMIT
from kinlim.keeper import Keeper
from kinlim.model import Maker
from kinlim.models.reaction.tables import ReactionStudy


class Kinetic(Maker):
    """What makes kinetic.nc."""

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """See `kinlim.fem.reaction.kinetic.check`."""
        kinetic.check(narrowed(study, ReactionStudy), comm)

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """See `kinlim.fem.reaction.kinetic.solve`."""
        return kinetic.solve(narrowed(study, ReactionStudy), keeper.comm, keeper=keeper)

    def coarser(self, study: Study) -> Study | None:
        """Half of the cells."""
        settings = narrowed(study, ReactionStudy).kinetic
        cells = 0 if settings is None else max(settings.cells // 2, 4)
        return None if settings is None or cells >= settings.cells else study.vary("kinetic", cells=cells)


KINETIC = Kinetic()

__all__ = ["CORRECTED", "KINETIC", "LIMIT"]
