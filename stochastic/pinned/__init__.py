"""The particle side of a pinned-ball study: ensemble statistics at the observation times, as a labelled dataset."""

import xarray as xr

from kinlim.base import Study, narrowed
from kinlim.keeper import Keeper
from kinlim.model import Maker
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.stochastic.pinned.simulation import simulate


class Balls(Maker):
    """What makes particles.nc."""

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """See `simulate`."""
        return simulate(narrowed(study, PinnedStudy), keeper.comm, threads, keeper)

    def rehearsal(self, study: Study) -> tuple[Study, float]:
        """Without the pilot, whose replicas count besides."""
        settings = narrowed(study, PinnedStudy).particles
        return study.vary("particles", pilot=0), 1 + settings.pilot / settings.replicas


BALLS = Balls()

__all__ = ["BALLS", "simulate"]
