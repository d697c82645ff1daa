"""The particle side of a study of kinetic reactions: densities at the observation times, as a labelled dataset."""

import xarray as xr

from mpi4py import MPI

from kinlim.base import Study, narrowed
from kinlim.keeper import Keeper
from kinlim.model import Maker
from kinlim.models.reaction.tables import ReactionStudy
from kinlim.stochastic.reaction.simulation import simulate


class Gas(Maker):
    """What makes particles.nc."""

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """See `ReactionStudy.simulable`."""
        narrowed(study, ReactionStudy).simulable()

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """See `simulate`."""
        return simulate(narrowed(study, ReactionStudy), keeper.comm, threads, keeper)


GAS = Gas()

__all__ = ["GAS", "simulate"]
