"""Kac particles, exactly: both evolutions on permutation-symmetric polynomials."""

import xarray as xr

from mpi4py import MPI

from kinlim.base import Study, narrowed
from kinlim.fem.kac.solve import check, solve
from kinlim.keeper import Keeper
from kinlim.model import Maker
from kinlim.models.kac.tables import KacStudy


class Sectors(Maker):
    """What makes exact.nc."""

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """See `kinlim.fem.kac.solve.check`."""
        check(narrowed(study, KacStudy), comm)

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """See `kinlim.fem.kac.solve.solve`."""
        return solve(narrowed(study, KacStudy), keeper.comm, keeper)


SECTORS = Sectors()

__all__ = ["SECTORS", "check", "solve"]
