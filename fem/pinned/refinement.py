"""How far a solution is from the next better ones: finer mesh, higher degree, shorter steps, less regularisation."""

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import ValidationError

from mpi4py import MPI

from kinlim.fem.pinned.manufactured import errors, errors_in_time
from kinlim.fem.pinned.solve import SYSTEMS
from kinlim.meshes.interval import graded
from kinlim.models.pinned.tables import PinnedBalls, PinnedEquations, PinnedStudy
from kinlim.parallel import on_root

LARGER = 10.0
"""Times the regularisation, for its effect on the answer."""

SMOOTH_STEPS = (6, 12, 24)


def better(study: PinnedStudy, table: str) -> dict[str, PinnedStudy]:
    """Studies that differ in one source of error each, see `kinlim.api.estimate`.

    One has every cell halved, one a tenth of the tolerance, one LARGER times the regularisation (ten times the former,
    or a LARGERth of the latter, where a study may not ask for that). What the first changes is the error due to the
    mesh, times 1 - 2^-order; the last is overestimated as long as its effect grows at least like delta^0.3, on the data
    measured 12 to 100 times.
    """
    settings: PinnedEquations = getattr(study, table)
    less = settings.regularisation
    return {
        "mesh": study.vary(table, refinements=settings.refinements + 1),
        "steps": _first_allowed(study, table, "rtol", settings.rtol / 10, settings.rtol * 10),
        "regularisation": _first_allowed(study, table, "regularisation", less * LARGER, less / LARGER),
    }


def _about(model: PinnedBalls, settings: PinnedEquations) -> str:
    """What is solved, for the report."""
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


def _first_allowed(study: PinnedStudy, table: str, key: str, wanted: float, otherwise: float) -> PinnedStudy:
    """The study with the value wanted of a key of a table, or the other one where that is not allowed."""
    try:
        return study.vary(table, **{key: wanted})
    except ValidationError:
        return study.vary(table, **{key: otherwise})


def about(model: PinnedBalls, settings: PinnedEquations) -> dict[str, Any]:
    """Attributes of errors under refinement: what was solved, how unknowns are written, and the order in time."""
    return {
        "system": settings.system, "boundary": settings.boundary, "lambda": model.lam, "about": _about(model, settings),
        "symbols": json.dumps({"mu": "μ", "sigma": "σ"}), "symbols_known": json.dumps({"mu": "μ", "sigma": "w"}),
        "order_in_time": SYSTEMS[settings.system].ORDER,
    }  # fmt: skip


def known(model: PinnedBalls, settings: PinnedEquations, comm: MPI.Comm) -> Iterator[dict[str, Any]]:
    """Errors in mu and w on known solutions, with the study's system, ends and grading. Collective.

    "manufactured", the width of a cell: P1 to P4 on three meshes of [a, b], see `manufactured.errors`;
    "time", the size of fixed steps on a smooth solution: see `manufactured.errors_in_time`.
    """
    ends = model.interval
    for degree in (1, 2, 3, 4):
        for cells in (8, 16, 32):
            nodes = graded(ends, cells, settings.grading)
            began = time.perf_counter()
            mu, w = on_root(comm, lambda: errors(settings.system, settings.boundary, degree, nodes))  # noqa: B023
            seconds = time.perf_counter() - began
            yield _row("manufactured", degree, float(np.diff(nodes).max()), mu, w, seconds=seconds)
    found = on_root(comm, lambda: errors_in_time(settings.system, settings.boundary, SMOOTH_STEPS))
    for number, (step, mu, second) in zip(SMOOTH_STEPS, found, strict=True):
        yield _row("time", 3, step, mu, second, steps=number)


def _row(
    family: str, degree: int, value: float, mu: float, sigma: float, *, steps: int = 0, seconds: float = 0.0
) -> dict[str, Any]:
    return {
        "family": family, "degree": degree, "value": value, "error_mu": mu, "error_sigma": sigma, "steps": steps,
        "seconds": seconds,
    }  # fmt: skip
