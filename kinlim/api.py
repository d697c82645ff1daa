"""The Python interface: load a study, simulate it, solve it, compare; each stage gives an xarray dataset.

The modules that do the work are imported when a stage is called, not before: a typing mistake in a study should not
wait for PETSc and numba to load.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinlim import study as studies
from kinlim.study import Study

if TYPE_CHECKING:
    import xarray as xr

    from mpi4py import MPI


def load(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read and check a study; see `kinlim.study.load`."""
    return studies.load(path, overrides)


def simulate(study: Study, *, comm: "MPI.Comm | None" = None, threads: int | None = None, **more: Any) -> "xr.Dataset":
    """Simulate the particles; see `kinlim.stochastic.pinned.simulate`. Collective over `comm`, by default all ranks.

    Args:
        study: the study.
        comm: the ranks.
        threads: per rank; None for all cores.
        more: `checkpoint` and `keep` of `kinlim.stochastic.pinned.simulate`.
    """
    from kinlim.parallel import world
    from kinlim.stochastic import pinned

    return pinned.simulate(study, comm or world(), threads, **more)


def solve(study: Study, *, comm: "MPI.Comm | None" = None, estimate_error: bool = False, **more: Any) -> "xr.Dataset":
    """Solve the limit equations; see `kinlim.fem.pinned.solve`. Collective over `comm`, by default all ranks.

    Args:
        study: the study.
        comm: the ranks.
        estimate_error: add what `kinlim.fem.pinned.refinement.estimate` finds.
        more: `checkpoint` and `keep` of `kinlim.fem.pinned.solve`.
    """
    from kinlim.fem import pinned
    from kinlim.fem.pinned import refinement
    from kinlim.parallel import world

    comm = comm or world()
    solution = pinned.solve(study, comm, **more)
    return solution.merge(refinement.estimate(study, solution, comm)) if estimate_error else solution


def converge(study: Study, *, comm: "MPI.Comm | None" = None) -> "xr.Dataset":
    """Measure errors under refinement; see `kinlim.fem.pinned.refinement.converge`. Collective."""
    from kinlim.fem.pinned import refinement
    from kinlim.parallel import world

    return refinement.converge(study, comm or world())


def as_in_the_paper(study: Study) -> Study:
    """The study that `iterate` works on; see `kinlim.fem.picard.as_in_the_paper`."""
    from kinlim.fem import picard

    return picard.as_in_the_paper(study)


def iterate(study: Study, *, comm: "MPI.Comm | None" = None) -> "xr.Dataset":
    """Run the iteration of the well-posedness proof; see `kinlim.fem.picard.iterate`. Collective."""
    from kinlim.fem import picard
    from kinlim.parallel import world

    return picard.iterate(study, comm or world(), **study.iteration.model_dump())


def check(study: Study, *, comm: "MPI.Comm | None" = None) -> None:
    """Raise InputError if the equations cannot use the initial data on their mesh. Collective; takes milliseconds."""
    from kinlim.fem import pinned
    from kinlim.parallel import world

    pinned.discretise(study, comm or world())


def compare(particles: "xr.Dataset", pde: "xr.Dataset") -> "xr.Dataset":
    """Hold particles against equations; see `kinlim.validation.pinned.compare`."""
    from kinlim.validation import pinned

    return pinned.compare(particles, pde)
