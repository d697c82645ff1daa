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
            pictures = (f"{FIGURES}/{name}.png" for name in study.SOLUTION_PICTURES)
            return (study.solutions[-1], *study.solutions[:-1], *pictures)
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
        stages: "simulate" writes particles.nc, "solve" pde.nc, kinetic.nc or exact.nc, "compare" metrics.json, figures/
            and report.html.
        comm: the ranks that share the work.
        threads: per rank, for the particles; None for all cores.
        resume: go on with a run of this study that was stopped, or with one that has fewer replicas: stages that are
            done stay, the others go on from their checkpoints.
        estimate_error: solve the equations three times more, and add what that tells of their error.

    Returns:
        The content of metrics.json if "compare" is among the stages.

    Raises:
        InputError: before any work, where earlier results would be overwritten, the folder cannot be written, the
            particles cannot be simulated as wanted, or the equations cannot use the initial data.
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
    if "simulate" in stages:
        study.simulable()
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
        if stage == "solve":
            for name in study.solutions:
                if not (resume and on_root(comm, lambda: _has_solution(results, name))):  # noqa: B023 - called at once
                    _solve(results, study, name, comm, resume, estimate_error)
        elif not (resume and on_root(comm, lambda: _has_particles(results))):
            dataset = api.simulate(
                study,
                comm=comm,
                threads=threads,
                checkpoint=found[-1],
                keep=lambda state: results.write_checkpoint(checkpoint_of(PARTICLES), state),
            )
            on_root(comm, lambda: _write_particles(results, dataset))  # noqa: B023 - called at once
            _log(results, comm, "simulate", began)
    return numbers


def _solve(results: Results, study: Study, name: str, comm: "MPI.Comm", resume: bool, estimate_error: bool) -> None:
    """Make one of the solutions and write it."""
    from kinlim.parallel import on_root

    began, kept = time.perf_counter(), checkpoint_of(name)
    checkpoint = on_root(comm, lambda: results.read_checkpoint(kept)) if resume else None
    dataset = api.solve(
        study,
        Path(name).stem,
        comm=comm,
        estimate_error=estimate_error,
        checkpoint=checkpoint,
        keep=lambda state: results.write_checkpoint(kept, state),
    )
    on_root(comm, lambda: _write_solution(results, study, name, dataset))
    with_it = f" with the preconditioner {used}" if (used := dataset.attrs.get("preconditioner")) else ""
    _log(results, comm, f"solve {name if len(study.solutions) > 1 else ''}".rstrip() + with_it, began)


def _log(results: Results, comm: "MPI.Comm", what: str, began: float) -> None:
    """Say in the log how long something took."""
    from kinlim.parallel import on_root

    seconds = time.perf_counter() - began
    on_root(comm, lambda: results.log(f"{what}: {seconds:.2f} s on {comm.size} rank(s)"))


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


def _has_solution(results: Results, name: str) -> bool:
    """Whether a solution is there; a checkpoint of it that was left behind goes."""
    if results.has(name):
        results.drop_checkpoint(checkpoint_of(name))
    return results.has(name)


def _has_particles(results: Results) -> bool:
    """Whether all replicas are there."""
    there = results.has(PARTICLES)
    return there and bool(results.read(PARTICLES).attrs["replicas"] == results.study().particles.replicas)


def _write_particles(results: Results, particles: "xr.Dataset") -> None:
    """Write the particles. Their checkpoint stays, so that replicas can be added; one of it is enough."""
    results.write_dataset(PARTICLES, particles)
    results.drop(f"{checkpoint_of(PARTICLES)}.previous")


def _write_solution(results: Results, study: Study, name: str, solution: "xr.Dataset") -> None:
    """Write a solution. The last one is written after the figures of all: where it is, nothing is left to do."""
    if name == study.solutions[-1]:
        others = (results.read(other) for other in study.solutions[:-1])
        for picture, data in api.side("validation", study).draw_solution(*others, solution).items():
            results.write(f"{FIGURES}/{picture}.png", lambda path: path.write_bytes(data))  # noqa: B023 - called at once
    results.write_dataset(name, solution)
    results.drop_checkpoint(checkpoint_of(name))


def converge(study: Study, folder: str | Path, *, comm: "MPI.Comm | None" = None) -> dict[str, Any]:
    """Measure the errors of the equations' solver on a study and write convergence.nc, .json, .html and figure.

    Collective. Returns the verdict of `kinlim.validation.convergence.judge`; raises as `run` does.
    """
    from kinlim.validation import convergence

    api.having("converge", study, api.REFINES)
    api.check(study, comm=comm)
    return _examine(CONVERGENCE, api.converge, convergence.judge, convergence, study, folder, comm)


def iterate(study: Study, folder: str | Path, *, comm: "MPI.Comm | None" = None) -> dict[str, Any]:
    """Run the iteration of the well-posedness proof on a study and write iteration.nc, .json, .html and figure.

    Collective. The fixed point is held against the time-stepped solution of (B') with the paper's ends. Returns the
    verdict of `kinlim.validation.pinned.wellposed.judge`; raises as `run` does.
    """
    from kinlim.parallel import world
    from kinlim.validation.pinned import wellposed

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
        InputError: there is no pde.nc, or pde.bp is there already; or the model has no fields.
    """
    results = Results(Path(folder))
    study = results.study()
    side = api.having("to_paraview", study, "writes fields, and this model's solution is none")
    target = results.path / VTX
    if target.exists():
        raise InputError(f"{target}: is there already, and kept; move it away to have it written again")
    side.to_paraview(results.read(study.solutions[0]), target)
    return target


def compare(results: Results) -> dict[str, Any]:
    """Compare the datasets of a folder and write metrics.json, figures/*.png and report.html, on rank 0 alone.

    All three follow from the datasets, so those of an earlier comparison are replaced.

    Raises:
        InputError: a dataset is missing, unreadable or of another study than the other.
    """
    began = time.perf_counter()
    study = results.study()  # or it is no result folder
    study.comparable()
    if results.has(POINTS) and not results.has(PARTICLES):
        raise InputError(f"{results.path}: is the folder of a sweep; the folders of its points are in {POINTS}")
    side, particles = api.side("validation", study), results.read(PARTICLES)
    solutions = [results.read(name) for name in study.solutions]
    try:
        comparison = side.compare(particles, *solutions)
    except InputError as error:
        raise InputError(f"{results.path}: {error}") from None
    numbers = side.metrics(comparison, particles, *solutions)
    pictures = side.draw(comparison, particles, *solutions)
    for name, data in pictures.items():
        results.write(f"{FIGURES}/{name}.png", lambda path: path.write_bytes(data))  # noqa: B023 - called at once
    page = side.html(comparison, numbers, pictures, particles, *solutions)
    results.write(REPORT, lambda path: path.write_text(page, encoding="utf-8"))
    results.write_json(METRICS, numbers)
    results.log(f"compare: {time.perf_counter() - began:.2f} s")
    return cast("dict[str, Any]", numbers)
