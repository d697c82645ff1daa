"""Kac particles, simulated: both systems at the observation times, see docs/kac.md."""

import xarray as xr

from mpi4py import MPI

from kinlim.base import Study
from kinlim.keeper import Keeper
from kinlim.models.kac.tables import KacStudy
from kinlim.stochastic.kac.reservoir import KacSystems
from kinlim.stochastic.replicas import ParticlesMaker


class Systems(ParticlesMaker):
    """What makes particles.nc."""

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """Nothing that the tables allow is too much."""


SYSTEMS = Systems(KacSystems, "particles")


def simulate(
    study: KacStudy,
    comm: MPI.Comm = MPI.COMM_WORLD,
    threads: int | None = None,
    keeper: Keeper | None = None,
) -> xr.Dataset:
    """Run the ensemble of a study; see `kinlim.stochastic.replicas.ParticlesMaker.make`. Collective."""
    return SYSTEMS.make(study, keeper or Keeper(comm), threads)


__all__ = ["SYSTEMS", "simulate"]
