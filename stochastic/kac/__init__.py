"""The particle side of a study of Kac particles: both systems at the observation times, as a labelled dataset."""

import xarray as xr

from kinlim.base import Study, narrowed
from kinlim.keeper import Keeper
from kinlim.model import Maker
from kinlim.models.kac.tables import KacStudy
from kinlim.stochastic.kac.simulation import simulate


class Systems(Maker):
    """What makes particles.nc."""

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """See `simulate`."""
        return simulate(narrowed(study, KacStudy), keeper.comm, threads, keeper)


SYSTEMS = Systems()

__all__ = ["SYSTEMS", "simulate"]
