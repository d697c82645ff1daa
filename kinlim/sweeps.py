"""Sweeps: a study for several values of its parameters, and how what it measures scales with them."""

import hashlib
import itertools
import json
import re
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import ValidationError

from kinlim import layout
from kinlim.base import Ensemble
from kinlim.errors import InputError
from kinlim.model import STUDY
from kinlim.progress import announce
from kinlim.results import POINTS, SWEEP, Results
from kinlim.study import Study, check, dump, load, model_of
from kinlim.workflow import STAGES, Stage, claimed, run, write_pictures, writes

if TYPE_CHECKING:
    import xarray as xr

    from mpi4py import MPI

LONGEST = 100
"""Characters of the name of a point."""


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    Attributes:
        values: of the parameters.
        study: that has them, with a seed of its own (`_independent`).
    """

    values: dict[str, Any]
    study: Study

    @property
    def folder(self) -> str:
        """Where its results are, below the folder of the sweep."""
        name = _name(self.values)
        plain = re.sub(r"[^A-Za-z0-9.,=+_-]", "_", name)
        unique = "" if plain == name and len(name) <= LONGEST else f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return f"{POINTS}/{plain[:LONGEST]}{unique}"


def points_of(path: str | Path, over: Sequence[str], overrides: Sequence[str] = ()) -> list["Point"]:
    """All combinations of values of a sweep, each checked like a study of its own.

    Args:
        path: of the study.
        over: ``table.key=v1,v2,...`` with values in TOML, of one parameter each; further ``; table.key=v1,v2,...`` in
            the same text go along with it, value by value, such as an end_time that goes with the number of balls.
        overrides: ``table.key=value`` for all points.

    Raises:
        InputError: naming --over, the key and the value.
    """
    axes: list[dict[str, list[Any]]] = []
    for text in over:
        axis = dict(_parsed(part, text) for part in text.split(";"))
        named = [key for one in axes for key in one]
        if len(axis) < len(text.split(";")) or set(axis) & set(named):
            raise InputError(f"--over {text[:80]}: names a key or a value twice")
        first, *others = axis
        for key in others:
            if len(axis[key]) != len(axis[first]):
                raise InputError(
                    f"--over {text[:80]}: {key} has {len(axis[key])} values, and goes along with {len(axis[first])} of "
                    f"{first}"
                )
        if len(set(map(str, axis[first]))) < len(axis[first]):
            raise InputError(f"--over {text[:80]}: names a key or a value twice")
        axes.append(axis)
    points = []
    for places in itertools.product(*(range(len(next(iter(axis.values())))) for axis in axes)):
        every = {key: values[k] for axis, k in zip(axes, places, strict=True) for key, values in axis.items()}
        chosen = {key: every[key] for key in (next(iter(axis)) for axis in axes)}
        texts = [f"{key}={tomli_w.dumps({'value': value}).partition('=')[2].strip()}" for key, value in every.items()]
        try:
            study = load(path, [*overrides, *texts])
        except InputError as error:
            message = str(error)
            for key in every:
                message = message.replace(f"--set {key}=", f"--over {key}=", 1)
            raise InputError(message) from None
        points.append(Point(chosen, _independent(study, chosen)))
    return points


def points_over(study: Study, over: Mapping[str, Sequence[Any]]) -> list[Point]:
    """All combinations of values by ``table.key``, of a study that is loaded.

    Raises:
        InputError: a key names no table of the study, or a table does not allow a value.
    """
    points = []
    for values in itertools.product(*over.values()):
        chosen = dict(zip(over, values, strict=True))
        try:
            varied = check(tomllib.loads(dump(study.vary(**chosen))), "study")
        except ValidationError as error:
            raise InputError(f"{_name(chosen)}: {error.errors(include_url=False)[0]['msg']}") from None
        points.append(Point(chosen, _independent(varied, chosen)))
    return points


def _parsed(part: str, text: str) -> tuple[str, list[Any]]:
    """Key and values of ``table.key=v1,v2,...``, a part of the text of an --over."""
    key, equals, values = part.partition("=")
    key = key.strip()
    try:
        parsed = tomllib.loads(f"values = [{values}]") if equals else {}
    except (ValueError, RecursionError):
        parsed = {}
    allowed = all(isinstance(value, int | float | str) for value in parsed.get("values", []))
    if list(parsed) != ["values"] or not parsed["values"] or not allowed or "." not in key:
        raise InputError(
            f"--over {text[:80]}: must be table.key=v1,v2,... with numbers, texts in quotes or true and false, for "
            "example --over model.reservoir=100,1000"
        )
    return key, parsed["values"]


def _name(values: Mapping[str, Any]) -> str:
    return ",".join(f"{key}={values[key]}" for key in sorted(values))


def _independent(study: Study, values: Mapping[str, Any]) -> Study:
    """The study of a point with seeds that no other point has, since fits take the noise of the points as independent.

    With one seed it is not: neighbours in n, whose replicas draw the same numbers, were correlated by 0.3 to 0.7. A
    seed is a hash of that of the study and of the values, so it stays when a sweep gets more points. A seed that the
    sweep itself varies is left as it is.
    """
    for name, table in study:
        if isinstance(table, Ensemble) and f"{name}.seed" not in values:
            digest = hashlib.sha256(f"{table.seed},{_name(values)}".encode()).hexdigest()
            study = study.vary(name, seed=int(digest[:12], 16))
    return study


def sweep(
    study: Study,
    points: Sequence[Point] | Mapping[str, Sequence[Any]],
    folder: str | Path,
    *,
    stages: Sequence[Stage] = STAGES,
    comm: "MPI.Comm | None" = None,
    threads: int | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Go through all points of a sweep, each in a result folder of its own, and fit power laws. Collective.

    Args:
        study: that the points vary.
        points: values by ``table.key``, of which all combinations are run; or the points themselves, at least one.
        folder: for sweep.nc, .json, .html and figures, and below it those of the points.
        stages: of each point: all, or "solve" alone.
        comm: the ranks, which all work on one point at a time.
        threads: per rank, for the particles.
        resume: go on with a sweep that was stopped; points that are done stay, and there may be new ones.

    Returns:
        The content of sweep.json; raises as `run` does.

    Examples:
        kac.toml is what ``kinlim new kac`` prints. Its equations alone:

        >>> study = kinlim.load("kac.toml", ["exact.degree=2"])
        >>> found = kinlim.sweep(study, {"model.reservoir": [100, 1000]}, "results/reservoirs", stages=["solve"])
        >>> [point["model.reservoir"] for point in found["points"]]
        [100, 1000]
        >>> found["verdicts"][0]["sentence"]
        'plateau in reservoir: slope -0.482, from too few points to be sure, where -1 is claimed.'
    """
    from kinlim.parallel import default_threads, on_root, world
    from kinlim.provenance import provenance

    comm = comm or world()
    points = points_over(study, points) if isinstance(points, Mapping) else points
    results, began = Results(Path(folder)), time.perf_counter()
    threads = default_threads(comm) if threads is None else threads
    refuse(points, stages, comm)
    simulated = writes(study, "simulate") if "simulate" in stages else ()
    files = (*(f"{SWEEP}.{kind}" for kind in ("json", "nc", "html")), *simulated)
    with claimed(comm, results):
        on_root(comm, lambda: results.prepare(study, files, resume=resume))
        if resume:
            on_root(comm, lambda: _only_more(results, points, stages))
            on_root(comm, lambda: results.set_study(study))
        for number, point in enumerate(points, 1):
            there = Results(results.path / point.folder)
            if not on_root(comm, lambda: _has_all(there, point.study, stages)):  # noqa: B023 - called at once
                begun = on_root(comm, lambda: resume and there.has(STUDY))  # noqa: B023 - called at once
                if comm.rank == 0:
                    announce(f"point {number} of {len(points)}: {_name(point.values)}")
                run(point.study, there.path, stages, comm=comm, threads=threads, resume=begun)
        about = on_root(comm, lambda: provenance(comm.size, threads, time.perf_counter() - began, study=dump(study)))
        return on_root(comm, lambda: _conclude(study, points, results, stages, about))


def refuse(points: Sequence[Point], stages: Sequence[Stage], comm: "MPI.Comm") -> None:
    """Raise InputError if a point has nothing to measure or a side that cannot be made. Collective."""
    for point in points:
        model_of(point.study).compare().sweepable(point.study, stages)
        for side in model_of(point.study).wanted(point.study):
            if side.stage in stages:
                side.maker().check(point.study, comm)


def _conclude(
    study: Study, points: Sequence[Point], results: Results, stages: Sequence[Stage], about: dict[str, Any]
) -> dict[str, Any]:
    """Fit, draw and write what the points have measured, on rank 0 alone."""
    from kinlim.validation import sweep as sweeping
    from kinlim.validation.drawing import png

    comparison = model_of(study).compare()
    found, solutions = [], []
    for point in points:
        data = _read(Results(results.path / point.folder), point.study, stages)
        compared = comparison.compare(data) if "simulate" in stages else None
        found.append(comparison.measured(data, compared))
        solutions.append((point.values, data))
    dataset = sweeping.gather([point.values for point in points], found, study.model.LIMITS).assign_attrs(
        title=f"{study.study.name}: sweep", model=study.study.model, **about
    )
    verdict = {**sweeping.judge(dataset), "stages": list(stages)}
    more, captions = comparison.overlay(solutions)
    drawn = any(law["exponents"] for law in verdict["laws"])
    pictures = {**more, **({SWEEP: png(sweeping.figure(dataset, verdict))} if drawn else {})}
    results.write_dataset(f"{SWEEP}.nc", layout.seal(dataset, f"{SWEEP}.nc"))
    write_pictures(results, pictures)
    results.write_text(f"{SWEEP}.html", sweeping.html(dataset, verdict, pictures, captions))
    results.write_json(f"{SWEEP}.json", verdict)
    results.log(f"{SWEEP}: {len(points)} points, {about['wall_seconds']:.2f} s on {about['ranks']} rank(s)")
    return verdict


def _read(results: Results, study: Study, stages: Sequence[Stage]) -> dict[str, "xr.Dataset"]:
    """What the stages of a point have made, particles first."""
    sides = sorted(model_of(study).wanted(study), key=lambda side: side.stage == "solve")
    return {side.name: results.read(side.file) for side in sides if side.stage in stages}


def _has_all(results: Results, study: Study, stages: Sequence[Stage]) -> bool:
    """Whether a folder is that of the study and holds all that its stages write."""
    files = (name for stage in stages for name in writes(study, stage))
    return results.has(STUDY) and results.study() == study and all(map(results.has, files))


def _only_more(results: Results, points: Sequence[Point], stages: Sequence[Stage]) -> None:
    """Refuse a sweep that has less than the one whose results are there.

    Raises:
        InputError: points or stages of that are missing.
    """
    path = results.path / f"{SWEEP}.json"
    if not path.exists():
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        before = [{key: point[key] for key in there["parameters"]} for point in there["points"]]
        left_out = set(there["stages"]) - set(stages)
    except (OSError, ValueError, KeyError, TypeError):
        return  # not one of ours: it is written anew
    missing = next((point for point in before if point not in [one.values for one in points]), None)
    if missing is not None or left_out:
        what = f"the stage {min(left_out)}" if missing is None else ", ".join(f"{k} = {v}" for k, v in missing.items())
        raise InputError(
            f"{path}: is of a sweep with {what}, which this one has not; with --resume a sweep can only have more, so "
            "name its points too, or give another folder with -o"
        )
