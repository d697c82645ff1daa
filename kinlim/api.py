"""The Python interface: load a study, simulate it, solve it, compare; each stage gives an xarray dataset.

The modules that do the work are imported when a stage is called, not before: a typing mistake in a study should not
wait for PETSc and numba to load.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinlim import study as studies
from kinlim.errors import InputError
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.study import Study

if TYPE_CHECKING:
    import xarray as xr

    from mpi4py import MPI


def load(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read and check a study; see `kinlim.study.load`."""
    return studies.load(path, overrides)


def side(layer: str, study: Study) -> Any:
    """The module of the study's model in a layer: "stochastic", "fem" or "validation" (see `kinlim.base.BaseStudy`)."""
    return import_module(f"kinlim.{layer}.{study.study.model}")


def simulate(study: Study, *, comm: "MPI.Comm | None" = None, threads: int | None = None, **more: Any) -> "xr.Dataset":
    """Simulate the particles; see `simulate` in `kinlim.stochastic` of the model. Collective over `comm`.

    Args:
        study: the study.
        comm: the ranks; by default all.
        threads: per rank; None for all cores.
        more: `checkpoint` and `keep` of `kinlim.stochastic.stages.Stages`.

    Raises:
        InputError: the study asks for what its particles cannot do, such as a bias that they cannot meet.
    """
    from kinlim.parallel import world

    study.simulable()
    return side("stochastic", study).simulate(study, comm or world(), threads, **more)


def solve(
    study: Study,
    name: str | None = None,
    *,
    comm: "MPI.Comm | None" = None,
    estimate_error: bool = False,
    **more: Any,
) -> "xr.Dataset":
    """Solve the equations; see `SOLVERS` in `kinlim.fem` of the model. Collective over `comm`, by default all ranks.

    Args:
        study: the study.
        name: of the solution: "pde", "kinetic" or "exact"; None for the first that the study has.
        comm: the ranks.
        estimate_error: add what `kinlim.fem.pinned.refinement.estimate` finds.
        more: `checkpoint` and `keep` of `kinlim.fem.pinned.solve`.

    Raises:
        InputError: an estimate is asked for, and the model has none; or the study has no such solution.
    """
    from kinlim.parallel import world

    comm = comm or world()
    if estimate_error:
        of_pinned(study, "solve --estimate-error")
    names = [Path(file).stem for file in study.solutions]
    if name is not None and name not in names:
        raise InputError(f"the study has no solution {name!r}; it has {', '.join(names)}")
    solution = side("fem", study).SOLVERS[name or names[0]](study, comm, **more)
    if estimate_error:
        return solution.merge(side("fem", study).estimate(study, solution, comm), compat="no_conflicts")
    return solution


def converge(study: Study, *, comm: "MPI.Comm | None" = None) -> "xr.Dataset":
    """Measure errors under refinement; see `converge` in `kinlim.fem` of the model. Collective.

    Raises:
        InputError: the model's solution is exact, so there is nothing to refine.
    """
    from kinlim.parallel import world

    return having("converge", study, REFINES).converge(study, comm or world())


def having(name: str, study: Study, what: str) -> Any:
    """The model's module in `kinlim.fem`, which has a function of this name.

    Raises:
        InputError: it has none; `what` says what the command of the same name does.
    """
    module = side("fem", study)
    if not hasattr(module, name):
        command = name.removeprefix("to_")
        raise InputError(f"study.model = '{study.study.model}': `kinlim {command}` {what}")
    return module


REFINES = "refines meshes and time steps, and this model's solution has none"


def as_in_the_paper(study: Study) -> PinnedStudy:
    """The study that `iterate` works on; see `kinlim.fem.pinned.picard.as_in_the_paper`."""
    from kinlim.fem.pinned import picard

    return picard.as_in_the_paper(of_pinned(study, "iterate"))


def iterate(study: Study, *, comm: "MPI.Comm | None" = None) -> "xr.Dataset":
    """Run the iteration of the well-posedness proof; see `kinlim.fem.pinned.picard.iterate`. Collective."""
    from kinlim.fem.pinned import picard
    from kinlim.parallel import world

    pinned = of_pinned(study, "iterate")
    return picard.iterate(pinned, comm or world(), **pinned.iteration.model_dump())


def check(study: Study, *, comm: "MPI.Comm | None" = None) -> None:
    """Raise InputError if the solver cannot use the study. Collective; takes milliseconds."""
    from kinlim.parallel import world

    side("fem", study).check(study, comm or world())


def compare(particles: "xr.Dataset", *solutions: "xr.Dataset") -> "xr.Dataset":
    """Hold particles against the solution, or against all; see `compare` in `kinlim.validation` of the model.

    Raises:
        InputError: they are not of one model.
    """
    first, *others = (dataset.attrs.get("model") for dataset in (particles, *solutions))
    for other in others:
        if other != first or first not in studies.STUDIES:
            raise InputError(f"particles of the model {first!r} and a solution of {other!r} cannot be compared")
    return import_module(f"kinlim.validation.{first}").compare(particles, *solutions)


def of_pinned(study: Study, command: str) -> PinnedStudy:
    """The study, if it is one of pinned balls; `command` is for nothing else.

    Raises:
        InputError: it is of another model.
    """
    if not isinstance(study, PinnedStudy):
        raise InputError(f"study.model = '{study.study.model}': `kinlim {command}` is for the model pinned")
    return study
