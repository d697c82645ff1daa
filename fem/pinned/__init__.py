"""The limit equations of the pinned balls: one file per system, one per boundary condition, `solve` to run them."""

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from mpi4py import MPI

from kinlim.base import Study, narrowed
from kinlim.fem.pinned import paraview, refinement
from kinlim.fem.pinned.solve import check, discretise, solve
from kinlim.keeper import Keeper
from kinlim.model import Drawable, Refined
from kinlim.models.pinned.tables import PinnedStudy


class Equations(Refined, Drawable):
    """What makes pde.nc."""

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """See `kinlim.fem.pinned.solve.check`."""
        check(narrowed(study, PinnedStudy), comm)

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """See `kinlim.fem.pinned.solve.solve`."""
        return solve(narrowed(study, PinnedStudy), keeper.comm, keeper=keeper)

    def converge(self, study: Study, comm: MPI.Comm) -> xr.Dataset:
        """See `kinlim.fem.pinned.refinement.converge`."""
        return refinement.converge(narrowed(study, PinnedStudy), comm)

    def better(self, study: Study) -> Mapping[str, Study]:
        """See `kinlim.fem.pinned.refinement.better`."""
        return refinement.better(narrowed(study, PinnedStudy))

    def paraview(self, dataset: xr.Dataset, path: Path) -> None:
        """See `kinlim.fem.pinned.paraview.write`."""
        paraview.write(dataset, path)


EQUATIONS = Equations()

__all__ = ["EQUATIONS", "check", "discretise", "solve"]
