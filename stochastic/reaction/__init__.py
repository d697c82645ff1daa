"""Kinetic generation and recombination as particles: densities over time, see docs/reaction-particles.md."""

import xarray as xr

from mpi4py import MPI

from kinlim.base import Study, narrowed
from kinlim.keeper import Keeper
from kinlim.models.reaction.tables import ReactionStudy
from kinlim.stochastic.reaction.gas import ReactingGas
from kinlim.stochastic.replicas import ParticlesMaker


class Gas(ParticlesMaker):
    """What makes particles.nc."""

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """See `ReactionStudy.simulable`."""
        narrowed(study, ReactionStudy).simulable()


GAS = Gas(ReactingGas, "particles")


def simulate(
    study: ReactionStudy,
    comm: MPI.Comm = MPI.COMM_WORLD,
    threads: int | None = None,
    keeper: Keeper | None = None,
) -> xr.Dataset:
    """Run the ensemble of a study; see `kinlim.stochastic.replicas.ParticlesMaker.make`. Collective."""
    return GAS.make(study, keeper or Keeper(comm), threads)


__all__ = ["GAS", "simulate"]
