"""From a study to a result folder: the stages of a run, each written as soon as it is done."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from kinlim import api
from kinlim.errors import InputError, Stopped
from kinlim.results import (
    CONVERGENCE,
    FIGURES,
    ITERATION,
    METRICS,
    PARTICLES,
    POINTS,
    REPORT,
    VTX,
    Results,
    checkpoint_of,
)
from kinlim.signals import StopRequests
from kinlim.study import Study

if TYPE_CHECKING:
    import xarray as xr

    from mpi4py import MPI

    from kinlim.checkpoint import State

Stage = Literal["simulate", "solve", "compare"]
STAGES: tuple[Stage, ...] = ("solve", "simulate", "compare")
"""The equations take a second, the particles hours: what is wrong with the first should not wait for the second."""

STEPPED = 1e-9
"""rtol of the time-stepped solution beside the iteration."""


def writes(study: Study, stage: Stage) -> tuple[str, ...]:
    """The files that a stage writes; the first is there when, and only when, the stage is done."""
    match stage:
        case "simulate":
            return (PARTICLES,)
        case "solve":
            return (study.SOLUTION, *(f"{FIGURES}/{name}.png" for name in study.SOLUTION_PICTURES))
        case "compare":
            return (METRICS, REPORT, *(f"{FIGURES}/{name}.png" for name in study.PICTURES))


def run(
    study: Study,
    folder: str | Path,
    stages: Sequence[Stage] = STAGES,
    *,
    comm: "MPI.Comm | None" = None,
    threads: int | None = None,
    resume: bool = False,
    estimate_error: bool = False,
) -> dict[str, Any] | None:
    """Go through stages of a study. Collective over `comm`, by default all ranks.

    Args:
        study: the study.
        folder: the result folder, described in `kinlim.results`. It may hold other stages of the same study.
        stages: "simulate" writes particles.nc, "solve" pde.nc or exact.nc, "compare" metrics.json, figures/ and
            report.html.
        comm: the ranks that share the work.
        threads: per rank, for the particles; None for all cores.
        resume: go on with a run of this study that was stopped, or with one that has fewer replicas: stages that are
            done stay, the others go on from their checkpoints.
        estimate_error: solve the equations three times more, and add what that tells of their error.

    Returns:
        The content of metrics.json if "compare" is among the stages.

    Raises:
        InputError: before any work, where earlier results would be overwritten, the folder cannot be written, or the
            equations cannot use the initial data.
        RunError: a stage failed, or a file could not be written.
        Stopped: a signal came; the checkpoint of the stage is written, or the stage done.
    """
    from kinlim.parallel import world

    comm = comm or world()
    with heeding(comm) as heed:
        return _run(study, folder, stages, comm, heed, threads, resume, estimate_error)


@contextlib.contextmanager
def heeding(comm: "MPI.Comm") -> "Iterator[Callable[[str], None]]":
    """Listen to signals; what is given raises Stopped on all ranks if one came, and says where. Collective."""
    from mpi4py import MPI

    with StopRequests() as requests:

        def heed(where: str) -> None:
            if comm.allreduce(requests.received, MPI.LOR):
                raise Stopped(f"stopped by a signal {where}; what is done is kept, --resume goes on from it")

        yield heed


def _run(
    study: Study,
    folder: str | Path,
    stages: Sequence[Stage],
    comm: "MPI.Comm",
    heed: Callable[[str], None],
    threads: int | None,
    resume: bool,
    estimate_error: bool,
) -> dict[str, Any] | None:
    """What `run` does; `heed` is called between stages."""
    from kinlim.parallel import on_root

    results = Results(Path(folder))
    if estimate_error:
        api.of_pinned(study, "solve --estimate-error")
    if "compare" in stages:
        study.comparable()
    if "solve" in stages:
        api.check(study, comm=comm)
    files = tuple(name for stage in stages for name in writes(study, stage))
    on_root(comm, lambda: results.claim(study, files, resume=resume))
    found: list[State | None] = [None]  # on rank 0 alone: of many balls, it is large
    if resume:
        on_root(comm, lambda: found.append(_take_up(results, study, stages)))
    numbers: dict[str, Any] | None = None
    for stage in stages:
        heed(f"before `{stage}`")
        began = time.perf_counter()
        if stage == "compare":
            numbers = on_root(comm, lambda: compare(results))
            continue
        if resume and on_root(comm, lambda: _is_done(results, stage)):  # noqa: B023 - called at once
            continue
        if stage == "simulate":
            dataset = api.simulate(
                study,
                comm=comm,
                threads=threads,
                checkpoint=found[-1],
                keep=lambda state: results.write_checkpoint(checkpoint_of(PARTICLES), state),
            )
            on_root(comm, lambda: _write_particles(results, dataset))  # noqa: B023 - called at once
        else:
            name = checkpoint_of(study.SOLUTION)
            checkpoint = on_root(comm, lambda: results.read_checkpoint(name)) if resume else None  # noqa: B023
            dataset = api.solve(
                study,
                comm=comm,
                estimate_error=estimate_error,
                checkpoint=checkpoint,
                keep=lambda state: results.write_checkpoint(name, state),  # noqa: B023 - called at once
            )
            on_root(comm, lambda: _write_solution(results, study, dataset))  # noqa: B023 - called at once
        seconds = time.perf_counter() - began
        on_root(comm, lambda: results.log(f"{stage}: {seconds:.2f} s on {comm.size} rank(s)"))  # noqa: B023
    return numbers


def _take_up(results: Results, study: Study, stages: Sequence[Stage]) -> "State | None":
    """Verify what a folder holds of the stages, before anything in it changes; the checkpoint of the particles.

    Raises:
        InputError: something is damaged, or has more replicas than the study.
    """
    for stage in stages:
        if stage != "compare" and results.has(writes(study, stage)[0]):
            dataset = results.read(writes(study, stage)[0])
            if stage == "simulate":
                _enough(results, PARTICLES, int(dataset.attrs["replicas"]), study)
    name = checkpoint_of(PARTICLES)
    checkpoint = results.read_checkpoint(name) if "simulate" in stages else None
    if checkpoint is not None and checkpoint.attrs["stage"] == "particles":
        _enough(results, name, checkpoint.attrs["added"] * study.particles.block, study)
    elif checkpoint is None and results.has(PARTICLES):
        results.log(f"there is no {name}: replicas that are to be added begin with the first")
    results.adopt(study)
    return checkpoint


def _enough(results: Results, name: str, there: int, study: Study) -> None:
    """Refuse to go on to fewer replicas than there are."""
    if there > study.particles.replicas:
        raise InputError(
            f"{results.path / name}: has {there} replicas, and particles.replicas = {study.particles.replicas}; with "
            "--resume replicas can only be added"
        )


def _is_done(results: Results, stage: Stage) -> bool:
    """Whether a stage has written what it writes; a checkpoint of the equations that it left behind goes."""
    name = writes(results.study(), stage)[0]
    if not results.has(name):
        return False
    if stage == "solve":
        results.drop_checkpoint(checkpoint_of(name))
        return True
    return bool(results.read(name).attrs["replicas"] == results.study().particles.replicas)


def _write_particles(results: Results, particles: "xr.Dataset") -> None:
    """Write the particles. Their checkpoint stays, so that replicas can be added; one of it is enough."""
    results.write_dataset(PARTICLES, particles)
    results.drop(f"{checkpoint_of(PARTICLES)}.previous")


def _write_solution(results: Results, study: Study, solution: "xr.Dataset") -> None:
    """Draw and write the solution, in this order: where it is, nothing is left to do but to drop the checkpoint."""
    for name, picture in api.side("validation", study).draw_solution(solution).items():
        results.write(f"{FIGURES}/{name}.png", lambda path: path.write_bytes(picture))  # noqa: B023 - called at once
    results.write_dataset(study.SOLUTION, solution)
    results.drop_checkpoint(checkpoint_of(study.SOLUTION))


def converge(study: Study, folder: str | Path, *, comm: "MPI.Comm | None" = None) -> dict[str, Any]:
    """Measure the errors of the equations' solver on a study and write convergence.nc, .json, .html and figure.

    Collective. Returns the verdict of `kinlim.validation.convergence.judge`; raises as `run` does.
    """
    from kinlim.validation import convergence

    api.check(api.of_pinned(study, "converge"), comm=comm)
    return _examine(CONVERGENCE, api.converge, convergence.judge, convergence, study, folder, comm)


def iterate(study: Study, folder: str | Path, *, comm: "MPI.Comm | None" = None) -> dict[str, Any]:
    """Run the iteration of the well-posedness proof on a study and write iteration.nc, .json, .html and figure.

    Collective. The fixed point is held against the time-stepped solution of (B') with the paper's ends. Returns the
    verdict of `kinlim.validation.wellposed.judge`; raises as `run` does.
    """
    from kinlim.parallel import world
    from kinlim.validation import wellposed

    iterated = api.as_in_the_paper(study)
    api.check(iterated, comm=comm)

    def judge(trace: "xr.Dataset") -> dict[str, Any]:
        stepped = iterated.vary(rtol=min(iterated.pde.rtol, STEPPED))
        return wellposed.judge(trace, api.solve(stepped, comm=comm or world()))

    return _examine(ITERATION, api.iterate, judge, wellposed, study, folder, comm)


def _examine(
    name: str,
    measure: Callable[..., "xr.Dataset"],
    judge: Callable[["xr.Dataset"], dict[str, Any]],
    pages: Any,
    study: Study,
    folder: str | Path,
    comm: "MPI.Comm | None",
) -> dict[str, Any]:
    """Measure, judge and write under one `name`; `pages` has figure and html."""
    from kinlim.parallel import on_root, world
    from kinlim.validation import report

    comm = comm or world()
    results, began = Results(Path(folder)), time.perf_counter()
    on_root(comm, lambda: results.claim(study, tuple(f"{name}.{kind}" for kind in ("nc", "json", "html"))))
    dataset = measure(study, comm=comm)
    verdict = judge(dataset)

    def write() -> None:
        arguments = (verdict,) if name == CONVERGENCE else (dataset, verdict)
        picture = report.png(pages.figure(*arguments))
        page = pages.html(dataset, verdict, picture)
        results.write_dataset(f"{name}.nc", dataset)
        results.write(f"{FIGURES}/{name}.png", lambda path: path.write_bytes(picture))
        results.write(f"{name}.html", lambda path: path.write_text(page, encoding="utf-8"))
        results.write_json(f"{name}.json", verdict)
        results.log(f"{name}: {time.perf_counter() - began:.2f} s on {comm.size} rank(s)")

    on_root(comm, write)
    return verdict


def paraview(folder: str | Path) -> Path:
    """Write pde.bp, for ParaView, from the pde.nc of a result folder, on this rank alone.

    Raises:
        InputError: there is no pde.nc, or pde.bp is there already.
    """
    from kinlim.fem.pinned import paraview

    results = Results(Path(folder))
    study = api.of_pinned(results.study(), "paraview")
    target = results.path / VTX
    if target.exists():
        raise InputError(f"{target}: is there already, and kept; move it away to have it written again")
    paraview.write(results.read(study.SOLUTION), target)
    return target


def compare(results: Results) -> dict[str, Any]:
    """Compare the two datasets of a folder and write metrics.json, figures/*.png and report.html, on rank 0 alone.

    All three follow from the datasets, so those of an earlier comparison are replaced.

    Raises:
        InputError: a dataset is missing, unreadable or of another study than the other.
    """
    began = time.perf_counter()
    study = results.study()  # or it is no result folder
    study.comparable()
    if results.has(POINTS) and not results.has(PARTICLES):
        raise InputError(f"{results.path}: is the folder of a sweep; the folders of its points are in {POINTS}")
    side, particles, solution = api.side("validation", study), results.read(PARTICLES), results.read(study.SOLUTION)
    try:
        comparison = side.compare(particles, solution)
    except InputError as error:
        raise InputError(f"{results.path}: {error}") from None
    numbers = side.metrics(comparison, particles, solution)
    pictures = side.draw(particles, solution, comparison)
    for name, data in pictures.items():
        results.write(f"{FIGURES}/{name}.png", lambda path: path.write_bytes(data))  # noqa: B023 - called at once
    page = side.html(particles, solution, comparison, numbers, pictures)
    results.write(REPORT, lambda path: path.write_text(page, encoding="utf-8"))
    results.write_json(METRICS, numbers)
    results.log(f"compare: {time.perf_counter() - began:.2f} s")
    return cast("dict[str, Any]", numbers)
