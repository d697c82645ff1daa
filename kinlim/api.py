"""The Python interface: load a study, simulate it, solve it, compare; each stage gives an xarray dataset.

A model M is three modules of one name: kinlim.stochastic.M, kinlim.fem.M and kinlim.validation.M. They are imported when
a stage is called, not before: a typing mistake in a study should not wait for PETSc and numba to load.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kinlim import study as studies
from kinlim.study import Study

if TYPE_CHECKING:
    import xarray as xr

    from mpi4py import MPI


def load(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read and check a study; see `kinlim.study.load`."""
    return studies.load(path, overrides)


def simulate(study: Study, *, comm: "MPI.Comm | None" = None, threads: int | None = None) -> "xr.Dataset":
    """Simulate the particles of a study; see `kinlim.stochastic.pinned.simulate`. Collective over `comm`."""
    from kinlim.stochastic import pinned

    return pinned.simulate(study, threads=threads) if comm is None else pinned.simulate(study, comm, threads)
