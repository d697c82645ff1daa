"""Kinetic generation and recombination: the limit equation, and the kinetic system at finite epsilon."""

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from mpi4py import MPI

from kinlim.base import Study, narrowed
from kinlim.fem import torus_vtx
from kinlim.fem.reaction import kinetic, limit, refinement
from kinlim.keeper import Keeper
from kinlim.model import Drawable, Maker, Refined
from kinlim.models.reaction.tables import ReactionStudy


class Limit(Refined, Drawable):
    """What makes pde.nc."""

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """See `kinlim.fem.reaction.limit.check`."""
        limit.check(narrowed(study, ReactionStudy), comm)

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """See `kinlim.fem.reaction.limit.solve`."""
        return limit.solve(narrowed(study, ReactionStudy), keeper.comm, keeper=keeper)

    def converge(self, study: Study, comm: MPI.Comm) -> xr.Dataset:
        """See `kinlim.fem.reaction.refinement.converge`."""
        return refinement.converge(narrowed(study, ReactionStudy), comm)

    def better(self, study: Study) -> Mapping[str, Study]:
        """See `kinlim.fem.reaction.refinement.better`."""
        return refinement.better(narrowed(study, ReactionStudy))

    def paraview(self, dataset: xr.Dataset, path: Path) -> None:
        """See `kinlim.fem.torus_vtx.write`."""
        torus_vtx.write(dataset, path)


class Kinetic(Maker):
    """What makes kinetic.nc."""

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """See `kinlim.fem.reaction.kinetic.check`."""
        kinetic.check(narrowed(study, ReactionStudy), comm)

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """See `kinlim.fem.reaction.kinetic.solve`."""
        return kinetic.solve(narrowed(study, ReactionStudy), keeper.comm, keeper=keeper)


LIMIT, KINETIC = Limit(), Kinetic()
