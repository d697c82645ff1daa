"""From a study to a result folder: the stages of a run, each written as soon as it is done."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kinlim import api
from kinlim.errors import InputError
from kinlim.results import FIGURES, METRICS, PARTICLES, PDE, REPORT, Results
from kinlim.study import Study

if TYPE_CHECKING:
    from mpi4py import MPI

Stage = Literal["simulate", "solve", "compare"]
STAGES: tuple[Stage, ...] = ("solve", "simulate", "compare")
"""The equations take a second, the particles hours: what is wrong with the first should not wait for the second."""

WRITES: dict[Stage, tuple[str, ...]] = {
    "simulate": (PARTICLES,),
    "solve": (PDE,),
    "compare": (METRICS, FIGURES, REPORT),
}


def run(
    study: Study,
    folder: str | Path,
    stages: Sequence[Stage] = STAGES,
    *,
    comm: "MPI.Comm | None" = None,
    threads: int | None = None,
) -> dict[str, Any] | None:
    """Go through stages of a study. Collective over `comm`, by default all ranks.

    Args:
        study: the study.
        folder: the result folder, described in `kinlim.results`. It may hold other stages of the same study.
        stages: "simulate" writes particles.nc, "solve" pde.nc, "compare" metrics.json, figures/ and report.html.
        comm: the ranks that share the work.
        threads: per rank, for the particles; None for all cores.

    Returns:
        The content of metrics.json if "compare" is among the stages.

    Raises:
        InputError: before any work, where earlier results would be overwritten, the folder cannot be written, or the
            equations cannot use the initial data.
        RunError: a stage failed, or a file could not be written.
    """
    from kinlim.parallel import on_root, world

    comm = comm or world()
    results = Results(Path(folder))
    if "solve" in stages:
        api.check(study, comm=comm)
    on_root(comm, lambda: results.claim(study, tuple(name for stage in stages for name in WRITES[stage])))
    numbers: dict[str, Any] | None = None
    for stage in stages:
        began = time.perf_counter()
        if stage == "compare":
            numbers = on_root(comm, lambda: compare(results))
            continue
        dataset = (
            api.simulate(study, comm=comm, threads=threads) if stage == "simulate" else api.solve(study, comm=comm)
        )
        on_root(comm, lambda: results.write_dataset(WRITES[stage][0], dataset))  # noqa: B023 - called at once
        seconds = time.perf_counter() - began
        on_root(comm, lambda: results.log(f"{stage}: {seconds:.2f} s on {comm.size} rank(s)"))  # noqa: B023
    return numbers


def compare(results: Results) -> dict[str, Any]:
    """Compare the two datasets of a folder and write metrics.json, figures/*.png and report.html, on rank 0 alone.

    All three follow from the datasets, so those of an earlier comparison are replaced.

    Raises:
        InputError: a dataset is missing, unreadable or of another study than the other.
    """
    from kinlim.validation import pinned, report

    began = time.perf_counter()
    results.study()  # or it is no result folder
    particles, pde = results.read(PARTICLES), results.read(PDE)
    try:
        comparison = pinned.compare(particles, pde)
    except InputError as error:
        raise InputError(f"{results.path}: {error}") from None
    numbers = pinned.metrics(comparison, particles, pde)
    pictures = report.draw(particles, pde, comparison)
    for name, data in pictures.items():
        results.write(f"{FIGURES}/{name}.png", lambda path: path.write_bytes(data))  # noqa: B023 - called at once
    page = report.html(particles, pde, comparison, numbers, pictures)
    results.write(REPORT, lambda path: path.write_text(page, encoding="utf-8"))
    results.write_json(METRICS, numbers)
    results.log(f"compare: {time.perf_counter() - began:.2f} s")
    return numbers
