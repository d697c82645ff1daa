"""How far a solution is from the next better ones: finer mesh, higher degree, shorter steps, less regularisation."""

import json
import time
from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import ValidationError

from mpi4py import MPI

from kinlim.equation import Interval
from kinlim.errors import InputError, RunError
from kinlim.fem.pinned.manufactured import errors, errors_in_time
from kinlim.fem.pinned.solve import SYSTEMS, solve
from kinlim.fem.refinement import distance
from kinlim.meshes.domain import nodes_of
from kinlim.meshes.interval import graded
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.parallel import on_root
from kinlim.provenance import provenance
from kinlim.study import dump

Array = NDArray[np.float64]

LARGER = 10.0
"""Times the regularisation, for its effect on the answer."""

FINE = 1e-9
"""rtol where the error in time must not show."""

LEVELS = 4
"""Refinements that an order is read off."""

TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
SMOOTH_STEPS = (6, 12, 24)
STEPS = (50, 100, 200, 400, 800)


def better(study: PinnedStudy) -> dict[str, PinnedStudy]:
    """Studies that differ in one source of error each, see `kinlim.api.estimate`.

    One has every cell halved, one a tenth of the tolerance, one LARGER times the regularisation (ten times the former,
    or a LARGERth of the latter, where a study may not ask for that). What the first changes is the error due to the
    mesh, times 1 - 2^-order; the last is overestimated as long as its effect grows at least like delta^0.3, on the data
    measured 12 to 100 times.
    """
    settings = study.pde
    return {
        "mesh": study.vary("pde", refinements=settings.refinements + 1),
        "steps": _first_allowed(study, "rtol", settings.rtol / 10, settings.rtol * 10),
        "regularisation": _first_allowed(
            study, "regularisation", settings.regularisation * LARGER, settings.regularisation / LARGER
        ),
    }


def _about(study: PinnedStudy) -> str:
    """What is solved, for the report."""
    model, settings = study.model, study.pde
    return (
        f"System ({settings.system}) with ends “{settings.boundary}”, degree {settings.degree}, λ = "
        f"{model.lam:.6g}; μ₀ = {model.mu0}, σ₀ = {model.sigma0}, up to t = {model.end_time:.6g}. Errors on "
        "the study's data are relative L² distances at the balls' sites at the end, to a solution with one "
        "more refinement (mesh), the highest degree on a refined mesh (degree), or the same mesh at a much "
        "smaller tolerance (time). Manufactured solutions are known functions with sources that make them "
        "solve the equations for λ = 7, written in strong form apart from the weak forms under test; there "
        "the errors are L² norms, w stands for the second unknown (for A its σ, for C its E, in time), and "
        "the time error is kept below them. The smooth solution starts from such functions and goes by "
        "itself, λ = 7, on 16 cubic cells of [0, 1]; its errors are relative l² distances of nodal values to "
        "a solution in ten times shorter steps."
    )


def _nodes(study: PinnedStudy, comm: MPI.Comm) -> Array:
    return nodes_of(Interval(*study.model.interval), study.pde, comm, "pde")


def _first_allowed(study: PinnedStudy, key: str, wanted: float, otherwise: float) -> PinnedStudy:
    """The study with the value wanted of a key of [pde], or the other one where that is not allowed."""
    try:
        return study.vary("pde", **{key: wanted})
    except ValidationError:
        return study.vary("pde", **{key: otherwise})


def converge(study: PinnedStudy, comm: MPI.Comm) -> xr.Dataset:
    """Measure errors under refinement, on manufactured solutions and on the study's own data. Collective.

    Rows, with `family` and `value`:
        "manufactured", the width of a cell: L2 errors in mu and w; see `manufactured.errors`;
        "time", the size of fixed steps on a smooth solution; see `manufactured.errors_in_time`;
        "mesh", the widest cell: against one more refinement, at rtol FINE;
        "degree", the degree: against the highest on a refined mesh, at rtol FINE;
        "steps", the size of fixed steps: against the same mesh at rtol FINE / 10;
        "tolerance", rtol: against the same mesh at rtol FINE / 10.
    In the last four, errors are relative L2 distances of mu and sigma at the sites at end_time. A solution that
    cannot be computed has no row.

    Args:
        study: the study.
        comm: the ranks.

    Returns:
        With (row): family, degree, value, error_mu, error_sigma, steps, seconds.
    """
    began = time.perf_counter()
    at_end = study.model_copy(update={"model": study.model.model_copy(update={"observe": (1.0,)})})
    families = (_manufactured, _smooth, _mesh, _degree, _time)
    rows = [row for family in families for row in family(at_end, comm)]
    settings = study.pde
    attributes = {
        "title": f"{study.study.name}: convergence", "model": "pinned", "system": settings.system,
        "boundary": settings.boundary, "degree": settings.degree, "cells": len(_nodes(study, comm)) - 1,
        "lambda": study.model.lam, "families": "manufactured time mesh degree steps tolerance",
        "symbols": json.dumps({"mu": "μ", "sigma": "σ"}), "symbols_known": json.dumps({"mu": "μ", "sigma": "w"}),
        "about": _about(study), "order_in_time": SYSTEMS[settings.system].ORDER,
    }  # fmt: skip
    seconds = time.perf_counter() - began
    attributes |= on_root(comm, lambda: provenance(comm.size, 1, seconds, study=dump(study)))
    return xr.Dataset({name: ("row", [row[k] for row in rows]) for k, name in enumerate(COLUMNS)}, attrs=attributes)


COLUMNS = ("family", "degree", "value", "error_mu", "error_sigma", "steps", "seconds")
Row = tuple[str, int, float, float, float, int, float]


def _manufactured(study: PinnedStudy, comm: MPI.Comm) -> Iterator[Row]:
    """P1 to P4 on three meshes of [a, b], with the study's system, ends and grading."""
    settings, ends = study.pde, study.model.interval
    for degree in (1, 2, 3, 4):
        for cells in (8, 16, 32):
            nodes = graded(ends, cells, settings.grading)
            began = time.perf_counter()
            found = on_root(comm, lambda: errors(settings.system, settings.boundary, degree, nodes))  # noqa: B023
            yield "manufactured", degree, float(np.diff(nodes).max()), *found, 0, time.perf_counter() - began


def _smooth(study: PinnedStudy, comm: MPI.Comm) -> Iterator[Row]:
    settings = study.pde
    found = on_root(comm, lambda: errors_in_time(settings.system, settings.boundary, SMOOTH_STEPS))
    for number, (step, mu, second) in zip(SMOOTH_STEPS, found, strict=True):
        yield "time", 3, step, mu, second, number, 0.0


def _mesh(study: PinnedStudy, comm: MPI.Comm) -> Iterator[Row]:
    settings = study.pde
    if settings.mesh is None:
        cells = max(4, settings.cells // 4)
        meshes = [study.vary("pde", cells=cells * 2**k, rtol=FINE) for k in range(LEVELS + 1)]
    else:
        more = settings.refinements
        meshes = [study.vary("pde", refinements=more + k, rtol=FINE) for k in range(LEVELS)]
    reference, _ = _timed(meshes[-1], comm)
    for finer in meshes[:-1]:
        try:
            solution, seconds = _timed(finer, comm)
        except (InputError, RunError):  # too coarse for the system, which is one of the answers
            continue
        yield _row("mesh", finer, float(np.diff(_nodes(finer, comm)).max()), solution, reference, seconds)


def _degree(study: PinnedStudy, comm: MPI.Comm) -> Iterator[Row]:
    reference, _ = _timed(study.vary("pde", degree=4, refinements=study.pde.refinements + 1, rtol=FINE), comm)
    for degree in (1, 2, 3, 4):
        other = study.vary("pde", degree=degree, rtol=FINE)
        try:
            solution, seconds = _timed(other, comm)
        except (InputError, RunError):
            continue
        yield _row("degree", other, degree, solution, reference, seconds)


def _time(study: PinnedStudy, comm: MPI.Comm) -> Iterator[Row]:
    reference, _ = _timed(study.vary("pde", rtol=FINE / 10), comm)
    for steps in STEPS:
        try:
            solution, seconds = _timed(study, comm, steps)
        except RunError:  # too long a step
            continue
        yield _row("steps", study, study.model.times[-1] / steps, solution, reference, seconds)
    for rtol in TOLERANCES:
        other = study.vary("pde", rtol=rtol)
        try:
            solution, seconds = _timed(other, comm)
        except RunError:
            continue
        yield _row("tolerance", other, rtol, solution, reference, seconds)


def _timed(study: PinnedStudy, comm: MPI.Comm, fixed_steps: int | None = None) -> tuple[xr.Dataset, float]:
    solution = solve(study, comm, fixed_steps=fixed_steps)
    return solution, float(solution.attrs["stepping_seconds"])


def _row(
    family: str, study: PinnedStudy, value: float, solution: xr.Dataset, reference: xr.Dataset, seconds: float
) -> Row:
    mu, sigma = (float(distance(solution[name], reference[name])[-1]) for name in ("mu", "sigma"))
    return family, study.pde.degree, float(value), mu, sigma, int(solution.attrs["steps"]), seconds
