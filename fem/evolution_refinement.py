"""Errors of any `kinlim.Equation` under refinement: on a solution that is made up, and on the study's own data."""

import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from pydantic import ValidationError

import ufl
from dolfinx import fem
from mpi4py import MPI

from kinlim.base import Study
from kinlim.equation import Interval, MeshFile
from kinlim.errors import InputError, RunError
from kinlim.fem.compiled import compiled
from kinlim.fem.refinement import distance
from kinlim.keeper import Keeper
from kinlim.parallel import on_root
from kinlim.provenance import provenance
from kinlim.study import dump

if TYPE_CHECKING:
    from kinlim.fem.evolution import EquationMaker
    from kinlim.fem.problem import Problem

FINE = (1e-9, 1e-8, 1e-6)
"""rtol where the error in time must not show, in dimension 1, 2, 3."""

LEVELS = (4, 3, 2)
"""Meshes whose errors are taken, in dimension 1, 2, 3."""

BELOW = (2, 2, 1)
"""How often the study's cells are halved in number for the coarsest mesh of its own data, in dimension 1, 2, 3."""

MOST_CELLS = (4096, 64, 16)
"""Cells along each axis that count as the study's own here, at most."""

COARSE = (8, 8, 8)
"""Cells along each axis of the coarsest mesh for a made-up solution, in dimension 1, 2, 3."""

TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)

STEPS = (12, 25, 50, 100, 200, 400, 800)
"""Fixed steps over the whole time, until the error cannot be told from that of the reference."""

DEGREES = (1, 2, 3, 4)
"""That are compared with the last one on a finer mesh."""

SPAN = 0.1
"""Time that a made-up solution goes."""

Row = dict[str, Any]


def converge(maker: "EquationMaker", study: Study, comm: MPI.Comm) -> xr.Dataset:
    """Measure errors under refinement. Collective.

    Rows, with `family` and `value`:
        "manufactured", the width of a cell: L2 errors of a known solution, see `made_up_errors`;
        "time", the size of fixed steps: errors on a smooth solution, where `EquationMaker.known` has one;
        "mesh", the width of a cell: against the finest, which is finer than the study's (of which MOST_CELLS count), at
            rtol FINE;
        "degree", in dimension 1, the degree: against the highest on a refined mesh, at rtol FINE;
        "steps", in dimension 1, the size of fixed steps: against the same mesh at rtol FINE/10;
        "tolerance", rtol: against the same mesh, with MOST_CELLS at most, at rtol FINE/10.
    In all but the first two, errors are relative L2 distances at the points of the grid at the last time. A
    solution that cannot be computed has no row.

    Returns:
        With (row): family, degree, value, error_NAME for each unknown, steps, seconds.
    """
    began = time.perf_counter()
    at_end = study.vary("model", observe=(1.0,))
    known = list(maker.known(at_end, comm))
    alone = _dimension(maker, study) == 1
    rows = known + [
        row for some in ((_mesh, _degree, _time) if alone else (_mesh, _time)) for row in some(maker, at_end, comm)
    ]
    tried = ("mesh", "degree", "steps", "tolerance") if alone else ("mesh", "tolerance")
    settings = getattr(study, maker.table)
    attributes = {
        "title": f"{study.study.name}: convergence", "model": study.study.model, "order_in_time": 0,
        "families": " ".join(dict.fromkeys([*(str(row["family"]) for row in known), *tried])),
        "about": (
            f"Degree {settings.degree}, {settings.cells} cells, {settings.refinements} refinements. Errors on the "
            "study's data are relative L² distances at the last time at the points where the solution is written down: "
            "to a mesh twice as fine as the finest (mesh), or to the same mesh at a much smaller tolerance (rtol). A "
            "manufactured solution is a known function with a source that makes it solve the equation in strong form, "
            "written apart from the weak form under test."
        ),
    }  # fmt: skip
    seconds = time.perf_counter() - began
    attributes |= dict(maker.about(study))
    attributes |= on_root(comm, lambda: provenance(comm.size, 1, seconds, study=dump(study)))
    if not rows:
        raise RunError("no solution under refinement reached the end, so there is nothing to be said of errors")
    return xr.Dataset({name: ("row", [row[name] for row in rows]) for name in rows[0]}, attrs=attributes)


def _mesh(maker: "EquationMaker", study: Study, comm: MPI.Comm) -> Iterator[Row]:
    settings, d = getattr(study, maker.table), _dimension(maker, study)
    if settings.mesh is None:
        # Thrice a number: points of the grid that are nodes on all meshes would show more than the order of elements.
        first = 3 * max(1, round(_cells(settings, d) / 2 ** BELOW[d - 1] / 3))
        sizes: list[dict[str, Any]] = [{"cells": first * 2**k, "refinements": 0} for k in range(LEVELS[d - 1] + 1)]
    else:
        sizes = [{"refinements": settings.refinements + k} for k in range(LEVELS[d - 1])]
    *some, finest = [(size, _tried(maker, study, comm, rtol=FINE[d - 1], **size)) for size in sizes]
    for size, found in some:
        if found is not None and finest[1] is not None:
            yield _row("mesh", _width(found, size), found, finest[1])


def _cells(settings: Any, dimension: int) -> int:
    """Cells along each axis that count as the study's."""
    return int(min(settings.cells * 2**settings.refinements, MOST_CELLS[dimension - 1]))


def _width(found: xr.Dataset, size: dict[str, Any]) -> float:
    """Of the widest cell; relative to the others of this family where only that is known."""
    if "node_x" in found.coords:
        return float(np.diff(found["node_x"].to_numpy()[:: int(found.attrs["degree"])]).max())
    return float(1 / size["cells"] if "cells" in size else 0.5 ** size["refinements"])


def _degree(maker: "EquationMaker", study: Study, comm: MPI.Comm) -> Iterator[Row]:
    more = getattr(study, maker.table).refinements + 1
    reference = _tried(maker, study, comm, rtol=FINE[0], degree=DEGREES[-1], refinements=more)
    for degree in DEGREES:
        found = _tried(maker, study, comm, rtol=FINE[0], degree=degree)
        if found is not None and reference is not None:
            yield _row("degree", degree, found, reference)


def _time(maker: "EquationMaker", study: Study, comm: MPI.Comm) -> Iterator[Row]:
    settings, d = getattr(study, maker.table), _dimension(maker, study)
    if settings.mesh is None:
        study = study.vary(maker.table, cells=_cells(settings, d), refinements=0)
    reference = _tried(maker, study, comm, rtol=FINE[d - 1] / 10)
    if reference is None:
        return
    for number in STEPS if d == 1 else ():
        try:
            row = _row("steps", study.model.times[-1] / number, maker.solve(study, Keeper(comm), number), reference)
        except RunError:  # too long a step
            continue
        if max(value for name, value in row.items() if name.startswith("error_")) < FINE[0] / 10:
            break
        yield row
    for rtol in TOLERANCES:
        if rtol >= 10 * FINE[d - 1]:
            found = _tried(maker, study, comm, rtol=rtol)
            if found is not None:
                yield _row("tolerance", rtol, found, reference)


def _dimension(maker: "EquationMaker", study: Study) -> int:
    return int(maker.equation(study).domain.dimension)


def _tried(maker: "EquationMaker", study: Study, comm: MPI.Comm, **settings: Any) -> xr.Dataset | None:
    """The solution with other settings; None where a mesh is too coarse or fine, or the integration fails."""
    try:
        other = study.vary(maker.table, **settings)
        maker.check(other, comm)
        return maker.solve(other, Keeper(comm))
    except (ValidationError, InputError, RunError):
        return None


def _row(family: str, value: float, solution: xr.Dataset, reference: xr.Dataset) -> Row:
    errors = {f"error_{n}": float(distance(solution[n], reference[n])[-1]) for n in str(solution.unknowns).split()}
    return {
        "family": family, "degree": int(solution.attrs["degree"]), "value": float(value), **errors,
        "steps": int(solution.attrs["steps"]), "seconds": float(solution.attrs["stepping_seconds"]),
    }  # fmt: skip


def made_up_errors(maker: "EquationMaker", study: Study, comm: MPI.Comm) -> Iterator[Row]:
    """Rows of the family "manufactured". Collective.

    None without a strong form, or where an unknown is not given on every part of the boundary.
    """
    first = maker.problem(study, comm)
    built, asked = first.built, first.strong(first.split(first.u), first.split(first.u_t))
    # A slope that is given somewhere is part of the weak form, and not of the strong one.
    given = first.held == set(product(first.names, built.boundaries))
    if asked is None or not given or isinstance(built.domain, MeshFile):
        return
    d = first.built.domain.dimension
    for degree in range(1 if first.equation.element == "continuous" else 0, 4 if d == 1 else 3):
        for level in range(LEVELS[d - 1]):
            cells = COARSE[d - 1] * 2**level
            began = time.perf_counter()
            try:
                other = study.vary(maker.table, cells=cells, refinements=0, mesh=None, degree=degree, rtol=FINE[d - 1])
                errors = _known(maker.problem(other, comm))
            except (ValidationError, RunError):
                continue
            yield {
                "family": "manufactured", "degree": degree, "value": 1 / cells, **errors, "steps": 0,
                "seconds": time.perf_counter() - began,
            }  # fmt: skip


def _known(problem: "Problem") -> dict[str, float]:
    """L2 errors of the unknowns at the time SPAN, where the solution is known."""
    exact, rates = made_up(problem)
    problem.begin_with(exact)
    source = problem.strong(exact, rates)
    tests = problem.tests if len(problem.names) > 1 else (problem.tests,)
    sources = source if isinstance(source, tuple | list) else (source,)
    for term, test in zip(sources, tests, strict=True):
        problem.form = problem.form - term * test * problem.place.dx
    if problem.condition is not None:
        ends = zip(_tuple(problem.split(problem.u)), _tuple(exact), tests, strict=True)
        problem.condition = sum((u - known) * test * problem.place.ds for u, known, test in ends)
    with problem.stepper(1e-6 * SPAN) as stepper:
        stepper.advance(SPAN)
    problem.place.t.value = SPAN
    solution = problem.split(problem.u)
    pairs = zip((solution,) if len(problem.names) == 1 else solution, _tuple(exact), problem.names, strict=True)
    fine = ufl.dx(problem.built.mesh, metadata={"quadrature_degree": 2 * problem.settings.degree + 6})
    return {f"error_{name}": _norm(problem, u - known, fine) for u, known, name in pairs}


def _norm(problem: "Problem", difference: Any, dx: Any) -> float:
    form = compiled(difference**2 * dx)
    return float(np.sqrt(max(problem.comm.allreduce(fem.assemble_scalar(form)), 0.0)))


def made_up(problem: "Problem") -> tuple[Any, Any]:
    """A smooth solution and its rate: mean and size of each unknown's data, waves that no symmetry makes easy."""
    place, mesh = problem.place, problem.built.mesh
    domain, x = problem.built.domain, ufl.SpatialCoordinate(mesh)
    if isinstance(domain, Interval):
        x = (x - ufl.as_vector([domain.a])) / (domain.b - domain.a)
    values, rates = [], []
    means, spans = problem.moments()
    for k, (mean, span) in enumerate(zip(means, spans, strict=True)):
        wave: Callable[..., Any] = ufl.sin
        shape = sum(wave(2 * ufl.pi * x[axis] + 0.3 + k + axis) for axis in range(mesh.topology.dim))
        shape += 0.4 * ufl.cos(4 * ufl.pi * x[0] + 1.1 * k)
        height = span / (2 * mesh.topology.dim + 1)
        values.append(mean + height * shape * ufl.exp(-place.t))
        rates.append(-height * shape * ufl.exp(-place.t))
    return (values[0], rates[0]) if len(values) == 1 else (tuple(values), tuple(rates))


def _tuple(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)
