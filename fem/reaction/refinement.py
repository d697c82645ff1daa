"""How far a solution of the limit equation is from the truth: known answers, finer meshes, shorter steps."""

import time
from collections.abc import Iterator

import numpy as np
import xarray as xr

from mpi4py import MPI

from kinlim.errors import RunError
from kinlim.fem.reaction.limit import ORDER, solve
from kinlim.fem.reaction.manufactured import error, errors_in_time
from kinlim.models.reaction.tables import LimitEquation, ReactionStudy
from kinlim.parallel import on_root
from kinlim.provenance import provenance
from kinlim.study import dump

FINE = (1e-9, 1e-8, 1e-6)
"""rtol where the error in time must not show, in dimension 1, 2, 3."""

MESHES = {1: ((8, 16, 32), (1, 2, 3, 4)), 2: ((8, 16, 32), (1, 2)), 3: ((8, 16), (1, 2))}
"""Cells along each axis, and degrees, for manufactured solutions in each dimension."""

LEVELS = (3, 3, 2)
"""Meshes of the study's data whose errors are taken, in dimension 1, 2, 3."""

MOST_CELLS = (512, 64, 16)
"""Cells along each axis of meshes on which the tolerance is varied, at most."""

TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6)
SMOOTH_STEPS = (10, 20, 40)

COLUMNS = ("family", "degree", "value", "error_m", "steps", "seconds")
Row = tuple[str, int, float, float, int, float]


def distance(one: xr.Dataset, other: xr.Dataset) -> float:
    """L2 distance of m at the last time, over its range at the first, all at the points of the grid."""
    first = other["m"].to_numpy()[0]
    gap = one["m"].to_numpy()[-1] - other["m"].to_numpy()[-1]
    return float(np.sqrt((gap**2).mean()) / (np.ptp(first) or 1.0))


def _about(study: ReactionStudy) -> str:
    """What is solved, for the report."""
    model, settings, lumped = study.model, study.pde, ", lumped mass" if study.pde.lumped else ""
    return (
        f"∂ₜm = ∇·(D(m)∇m) on the torus of dimension {model.dimension}, degree {settings.degree}, {settings.all_cells} "
        f"cells along each axis ({settings.shape}){lumped}; f₀ = {model.f0}, g₀ = {model.g0} (over χ₁ and χ₂), up to "
        f"t = {model.end_time:.6g}. Errors on the study's data are L² distances of m at the end, over the range of m "
        "at time 0, to a mesh twice as fine as the finest (mesh), or to the same mesh at a much smaller tolerance "
        "(rtol); in two and three dimensions on coarser meshes than the study's, where that is large. The manufactured "
        "solution is a known function with a source that makes it solve the equation for two full matrices D₁, D₂, "
        "written in strong form apart from the weak form under test; there the errors are L² norms, and the time error "
        "is kept below them. The smooth solution goes without source, on 16 cubic cells of dimension 1; its errors are "
        "relative l² distances of nodal values to a solution in ten times shorter steps."
    )


def better(study: ReactionStudy) -> dict[str, ReactionStudy]:
    """Studies that differ in one source of error each, see `kinlim.fem.refinement.estimate`.

    One has twice the cells along each axis, which changes the solution by the error due to the mesh times 1 - 2^-order;
    one has a tenth of the tolerance, or ten times it where a study may not ask for less.
    """
    rtol = study.pde.rtol
    return {
        "mesh": study.vary("pde", refinements=study.pde.refinements + 1),
        "steps": study.vary("pde", rtol=rtol / 10 if rtol >= 1e-11 else 10 * rtol),
    }


def converge(study: ReactionStudy, comm: MPI.Comm) -> xr.Dataset:
    """Measure errors under refinement, on a manufactured solution and on the study's own data. Collective.

    Rows, with `family` and `value`:
        "manufactured", the width of a cell: L2 error in m; see `manufactured.error`;
        "time", the size of fixed steps on a smooth solution; see `manufactured.errors_in_time`;
        "mesh", the width of a cell, a multiple of 3 of them: against one twice as fine as the finest, at rtol FINE;
        "tolerance", rtol: against the same mesh at rtol FINE / 10.
    In the last two, errors are those of `distance` at end_time, and the finest mesh is the study's or one of at most
    MOST_CELLS cells along each axis. A solution that cannot be computed has no row.

    Args:
        study: the study.
        comm: the ranks.

    Returns:
        With (row): family, degree, value, error_m, steps, seconds.
    """
    began = time.perf_counter()
    model = study.model.model_copy(update={"observe": (0.0, 1.0)})
    at_end = study.model_copy(update={"model": model})
    rows = [row for family in (_manufactured, _smooth, _mesh, _tolerance) for row in family(at_end, comm)]
    settings = study.pde
    attributes = {
        "title": f"{study.study.name}: convergence", "model": "reaction", "dimension": study.model.dimension,
        "shape": settings.shape, "degree": settings.degree, "cells": settings.all_cells, "lumped": int(settings.lumped),
        "families": "manufactured time mesh tolerance", "about": _about(study), "order_in_time": ORDER,
    }  # fmt: skip
    seconds = time.perf_counter() - began
    attributes |= on_root(comm, lambda: provenance(comm.size, 1, seconds, study=dump(study)))
    return xr.Dataset({name: ("row", [row[k] for row in rows]) for k, name in enumerate(COLUMNS)}, attrs=attributes)


def _manufactured(study: ReactionStudy, comm: MPI.Comm) -> Iterator[Row]:
    settings, dimension = study.pde, study.model.dimension
    meshes, degrees = MESHES[dimension]
    for degree in (1,) if settings.lumped else degrees:
        for cells in meshes:
            finer = LimitEquation(cells=cells, degree=degree, shape=settings.shape, lumped=settings.lumped)
            began = time.perf_counter()
            found = error(finer, dimension, comm, rtol=FINE[dimension - 1])
            yield "manufactured", degree, 1 / cells, found, 0, time.perf_counter() - began


def _smooth(study: ReactionStudy, comm: MPI.Comm) -> Iterator[Row]:
    found = on_root(comm, lambda: errors_in_time(SMOOTH_STEPS))
    for number, (step, smooth) in zip(SMOOTH_STEPS, found, strict=True):
        yield "time", 3, step, smooth, number, 0.0


def _mesh(study: ReactionStudy, comm: MPI.Comm) -> Iterator[Row]:
    fine, levels = FINE[study.model.dimension - 1], LEVELS[study.model.dimension - 1]
    # A factor of 3: on nodes, and the grid's points i/2^k would all be nodes, elements converge faster than elsewhere.
    coarsest = 3 * max(2, round((_cells(study) >> (levels - 1)) / 3))
    reference, _ = _timed(_vary(study, cells=coarsest << levels, rtol=fine), comm)
    for level in range(levels):
        other = _vary(study, cells=coarsest << level, rtol=fine)
        solution, seconds = _timed(other, comm)
        yield _row("mesh", other, 1 / other.pde.all_cells, solution, reference, seconds)


def _tolerance(study: ReactionStudy, comm: MPI.Comm) -> Iterator[Row]:
    cells = _cells(study)
    reference, _ = _timed(_vary(study, cells=cells, rtol=FINE[study.model.dimension - 1] / 10), comm)
    for rtol in TOLERANCES:
        other = _vary(study, cells=cells, rtol=rtol)
        try:
            solution, seconds = _timed(other, comm)
        except RunError:
            continue
        yield _row("tolerance", other, rtol, solution, reference, seconds)


def _cells(study: ReactionStudy) -> int:
    return min(study.pde.all_cells, MOST_CELLS[study.model.dimension - 1])


def _vary(study: ReactionStudy, *, cells: int, rtol: float) -> ReactionStudy:
    return study.model_copy(
        update={"pde": study.pde.model_copy(update={"cells": cells, "refinements": 0, "rtol": rtol})}
    )


def _timed(study: ReactionStudy, comm: MPI.Comm) -> tuple[xr.Dataset, float]:
    solution = solve(study, comm)
    parts = ("assembly", "solver", "other")
    return solution, sum(float(solution.attrs[f"seconds_{part}"]) for part in parts)


def _row(
    family: str, study: ReactionStudy, value: float, solution: xr.Dataset, reference: xr.Dataset, seconds: float
) -> Row:
    found = distance(solution, reference)
    return family, study.pde.degree, float(value), found, int(solution.attrs["steps"]), seconds
