"""The iteration behind Theorem 4.1 (Section 6.4): two linear heat equations over all of [0, T], again and again.

    mu_{k+1,t} - mu_{k+1,xx} = -lambda_B (sqrt|w_k|)_x,                          mu_x = 0 at the ends,
    w_{k+1,t}  - w_{k+1,xx}  = -lambda_B mu_{k,x} sqrt|w_k| + (mu_{k,x})^2,      w = 0 at the ends,

always from the same initial data; lambda_B = sqrt(2) lambda, since (B') is written with sqrt|w| = sigma/sqrt(2). The
paper asks of (mu_0, w_0) only that they start there: here they are the initial data at all times.

A fixed point solves (B') as the same scheme would step it: Radau IIA with three stages, of order five (Hairer and
Wanner, Solving Ordinary Differential Equations II, IV.5). What an iterate is up to a time T' depends on nothing later,
so one run shows the iteration on [0, T'] for every step end T'.
"""

import time
from math import ceil, sqrt
from types import TracebackType
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import basix.ufl
import ufl
from dolfinx import default_scalar_type, fem, la, mesh
from dolfinx.fem import petsc as fem_petsc
from mpi4py import MPI
from petsc4py import PETSc

from kinlim.compat import interpolation_points
from kinlim.errors import InputError, RunError
from kinlim.fem.compiled import compiled
from kinlim.fem.nodes import Nodes
from kinlim.fem.pinned import discretise
from kinlim.models.pinned.tables import MOST_MEMORY, NO_SPREAD, PinnedStudy
from kinlim.parallel import on_root, release
from kinlim.progress import Meter
from kinlim.provenance import provenance
from kinlim.study import dump

Array = NDArray[np.float64]

NODES = np.array([(4 - sqrt(6)) / 10, (4 + sqrt(6)) / 10, 1.0])
"""c of Radau IIA, shape (stages,): the last stage is the end of the step."""

STAGES = len(NODES)
POWERS = np.arange(1, STAGES + 1)
COEFFICIENTS = (NODES[:, None] ** POWERS / POWERS) @ np.linalg.inv(NODES[:, None] ** (POWERS - 1))
"""A, shape (stages, stages): integrals from 0 to c_i of the Lagrange polynomials of the nodes."""

WEIGHTS = COEFFICIENTS[-1]
"""b, shape (stages,): the quadrature of the step, exact to degree four; all positive."""

RATES = np.linalg.inv(COEFFICIENTS)
"""u_t at stage i of a step of length 1 is sum_j RATES[i, j] (u_j - u at the beginning)."""

MU, W = slice(0, STAGES), slice(STAGES, 2 * STAGES)
"""Components of the stage unknowns."""

QUADRATURE = 3
"""Degree of the quadrature in space over that of the elements, as for the time-stepped equations."""

BOUND = 1e130
"""Size beyond which an iterate is not followed: squares of its slope must not overflow."""

QUANTITIES = {
    "mu_l2": "||mu_k|| in L2 over x and [0, T']",
    "mu_x_l2": "||mu_{k,x}|| in L2",
    "w_l1": "||w_k|| in L1",
    "mu_change": "||mu_k - mu_{k-1}|| in L2",
    "mu_x_change": "||(mu_k - mu_{k-1})_x|| in L2",
    "b": "||w_k - w_{k-1}|| in L1, b_0 = ||w_0||",
    "root_change": "||sqrt|w_k| - sqrt|w_{k-1}||| in L2",
    "mu_x_sum": "||(mu_k + mu_{k-1})_x|| in L2",
    "weighted_change": "||(w_k - w_{k-1})/sqrt(d)|| in L2, d the distance from the ends",
}
"""What is recorded of iterate k; iterate -1 is 0. The order is that of `densities`."""


def equations(u: Any, given: Any, before: Any, test: Any, dt: Any, lam: Any, dx: Any) -> ufl.Form:
    """All stages of one step, for all (phi_i, psi_i), i = 1..stages, with s = sqrt|w_k| and p = mu_{k,x} given:

        int mu_t phi + (mu_x - lambda_B s) phi_x = 0,
        int w_t psi + w_x psi_x + (lambda_B p s - p^2) psi = 0.

    Args:
        u: the unknown stages of iterate k+1, (mu_1, ..., mu_stages, w_1, ..., w_stages).
        given: those of iterate k; with `u` itself this is a step of (B').
        before: its last stage is the value of iterate k+1 at the beginning of the step.
        test: the test functions.
        dt: length of the step.
        lam: lambda_B.
        dx: the measure.
    """  # noqa: D415
    form = 0
    for i in range(STAGES):
        mu, w, phi, psi = (part[component] for part in (u, test) for component in (i, STAGES + i))
        mu_t, w_t = (
            sum(float(RATES[i, j]) / dt * (u[first + j] - before[first + STAGES - 1]) for j in range(STAGES))
            for first in (MU.start, W.start)
        )
        s, p = ufl.sqrt(abs(given[STAGES + i])), given[i].dx(0)
        form += (mu_t * phi + (mu.dx(0) - lam * s) * phi.dx(0)) * dx
        form += (w_t * psi + w.dx(0) * psi.dx(0) + (lam * s - p) * p * psi) * dx
    return form


def densities(mu: Any, w: Any, old_mu: Any, old_w: Any, distance: Any) -> list[Any]:
    """Integrands of `QUANTITIES`: those of L2 norms are squares."""
    return [
        mu**2,
        mu.dx(0) ** 2,
        abs(w),
        (mu - old_mu) ** 2,
        (mu - old_mu).dx(0) ** 2,
        abs(w - old_w),
        (ufl.sqrt(abs(w)) - ufl.sqrt(abs(old_w))) ** 2,
        (mu + old_mu).dx(0) ** 2,
        (w - old_w) ** 2 / distance,
    ]


class HeatEquations:
    """One step of the two linear equations; use as a context, so that the PETSc objects are destroyed collectively.

    Attributes:
        u: stages of iterate k+1, `u.x.array` local: (mu_1, ..., mu_stages, w_1, ..., w_stages) at every node.
        given: those of iterate k.
        before: of `u`, at the step before; its last stage counts.
    """

    def __init__(self, initial: fem.Function, lam: float, ends: tuple[float, float]) -> None:
        """Compile the forms. Collective.

        Args:
            initial: (mu, w) at time 0, w = 0 at the ends.
            lam: lambda_B.
            ends: a and b.
        """
        domain = initial.function_space.mesh
        degree = initial.function_space.element.basix_element.degree
        self.comm = domain.comm
        space = fem.functionspace(domain, basix.ufl.element("Lagrange", "interval", degree, shape=(2 * STAGES,)))
        self.u, self.given, self.before = (fem.Function(space) for _ in range(3))
        self.owned = space.dofmap.index_map.size_local * space.dofmap.bs
        both = ufl.as_vector([initial[0]] * STAGES + [initial[1]] * STAGES)
        self.start = fem.Function(space)
        self.start.interpolate(fem.Expression(both, interpolation_points(space)))

        domain.topology.create_connectivity(0, 1)
        held = mesh.exterior_facet_indices(domain.topology)
        self.bcs = [
            fem.dirichletbc(default_scalar_type(0), fem.locate_dofs_topological(space.sub(i), 0, held), space.sub(i))
            for i in range(W.start, W.stop)
        ]
        dx = ufl.dx(domain=domain, metadata={"quadrature_degree": QUADRATURE * degree})
        self.dt = fem.Constant(domain, 1.0)
        trial, test = ufl.TrialFunction(space), ufl.TestFunction(space)
        system = equations(trial, self.given, self.before, test, self.dt, fem.Constant(domain, lam), dx)
        self.left, self.right = compiled(ufl.lhs(system)), compiled(ufl.rhs(system))
        self.load = la.vector(space.dofmap.index_map, space.dofmap.bs)
        self.vectors: list[PETSc.Vec] = []
        self.solvers: dict[float, PETSc.KSP] = {}

        # All integrals at once, as the vector of a form whose test functions are constant on cells.
        x, (a, b) = ufl.SpatialCoordinate(domain)[0], ends
        per_cell = fem.functionspace(domain, basix.ufl.element("DG", "interval", 0, shape=(len(QUANTITIES),)))
        distance = ufl.min_value(x - a, b - x)
        sums = sum(
            self.dt * float(WEIGHTS[i])
            * ufl.as_vector(
                densities(self.u[i], self.u[STAGES + i], self.given[i], self.given[STAGES + i], distance)
            )
            for i in range(STAGES)
        )  # fmt: skip
        self.integrals = compiled(ufl.inner(sums, ufl.TestFunction(per_cell)) * dx)
        self.cells = la.vector(per_cell.dofmap.index_map, per_cell.dofmap.bs)

    def restart(self) -> None:
        """Go back to time 0."""
        self.before.x.array[:] = self.start.x.array

    def advance(self, dt: float) -> None:
        """Find `u` from `before` and `given`. Collective.

        Raises:
            RunError: the linear solver failed.
        """
        self.dt.value = dt
        solver = self.solvers.get(dt) or self._factor(dt)
        load, solution = self.vectors
        self.load.array[:] = 0.0
        fem.assemble_vector(self.load.array, self.right)
        self.load.scatter_reverse(la.InsertMode.add)
        for bc in self.bcs:
            bc.set(self.load.array)
        load.array[:] = self.load.array[: self.owned]
        solver.solve(load, solution)
        if (reason := solver.getConvergedReason()) < 0:
            raise RunError(f"the linear solve of a step of length {dt:.3g} failed (PETSc's reason is {reason})")
        self.u.x.array[: self.owned] = solution.array_r
        self.u.x.scatter_forward()

    def measure(self, dt: float) -> Array:
        """Integrals of `densities` over the step and this rank's cells, of `u` beside `given`: shape (quantities,)."""
        self.dt.value = dt
        self.cells.array[:] = 0.0
        fem.assemble_vector(self.cells.array, self.integrals)
        return self.cells.array.reshape(-1, len(QUANTITIES)).sum(axis=0)

    def size(self) -> float:
        """Largest value of `u`, on every rank; infinite where one is no number. Collective."""
        here = np.abs(self.u.x.array).max(initial=0.0)
        return float(self.comm.allreduce(here if here <= BOUND else np.inf, MPI.MAX))

    def __enter__(self) -> Self:
        """Nothing to do: the objects exist."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Destroy the PETSc objects; see `kinlim.parallel.release`."""
        release(error, self.comm, *self.solvers.values(), *self.vectors)

    def _factor(self, dt: float) -> PETSc.KSP:
        """Assemble and factor the matrix of steps of this length."""
        matrix = fem_petsc.assemble_matrix(self.left, bcs=self.bcs)
        matrix.assemble()
        solver = PETSc.KSP().create(self.comm)
        solver.setType(PETSc.KSP.Type.PREONLY)
        solver.getPC().setType(PETSc.PC.Type.LU)
        solver.getPC().setFactorSolverType(PETSc.Mat.SolverType.MUMPS)
        solver.setOperators(matrix)
        solver.setUp()
        if not self.vectors:
            self.vectors = [matrix.createVecLeft(), matrix.createVecRight()]
        matrix.destroy()  # the solver keeps its own reference
        self.solvers[dt] = solver
        return solver


def iterate(
    study: PinnedStudy, comm: MPI.Comm = MPI.COMM_WORLD, *, steps: int, iterations: int, tolerance: float
) -> xr.Dataset:
    """Run the iteration on [0, T] for a study, whatever its system and boundary: they are (B') and the paper's.

    With a_k the H1 change of mu_k and b_k the L1 change of w_k up to T', iterate k has converged on [0, T'] if
    a_k <= tolerance ||mu_k|| and b_k <= tolerance ||w_k||, norms likewise. It ends when this is so for all T'.

    Args:
        study: the study; T is its last observation time.
        comm: the ranks that share the mesh. Collective.
        steps: of [0, T], about; every observation time ends one, see `step_ends`.
        iterations: at most so many.
        tolerance: of the changes.

    Returns:
        The same dataset on every rank, with (iteration, time), times being step ends: a, mu_h1, converged, and those of
        `QUANTITIES`; NaN where an iterate was not followed because it, or an earlier one, grew beyond `BOUND` before.
        (observation, node): node_mu, node_w of the last iterate. (iteration, node): iterate_mu, iterate_w of all of
        them at T, NaN where an iterate did not get there.

    Raises:
        InputError: the initial data cannot be used, or sigma0 is not 0 at the ends.
        RunError: the linear solver failed.
    """
    began = time.perf_counter()
    model = study.model
    initial = discretise(as_in_the_paper(study), comm)
    room = steps * 8 * initial.function_space.dofmap.index_map.size_global * 2 * STAGES
    if room > MOST_MEMORY:
        raise InputError(
            f"iteration.steps = {steps} on this mesh need {room / 2**30:.3g} GiB for an iterate; at most "
            f"{MOST_MEMORY / 2**30:.0f} are allowed"
        )
    lam = sqrt(2) * model.lam
    ends = step_ends(model.times, steps)
    # Steps as equal as they can be told: one matrix serves all of a length.
    lengths = [float(f"{length:.12e}") for length in np.diff(ends, prepend=0.0)]
    record = np.full((iterations + 1, len(ends), len(QUANTITIES)), np.nan)
    with (
        HeatEquations(initial, lam, model.interval) as heat,
        Meter("iteration", comm.rank == 0) as meter,
    ):
        path = np.tile(heat.start.x.array, (len(ends), 1))  # of the present iterate: steps, local unknowns
        heat.u.x.array[:] = heat.start.x.array
        unit = heat.measure(1.0)  # beside nothing, `given` being 0
        record[0] = np.cumsum(comm.allreduce(np.outer(lengths, unit)), axis=0)
        reached, last, nodes = len(ends), 0, Nodes(heat.u)
        at_end = np.full((iterations + 1, len(nodes.x), 2), np.nan)
        at_end[0] = nodes(heat.start)[:, [MU.stop - 1, W.stop - 1]]
        for k in range(1, iterations + 1):
            here = np.zeros((reached, len(QUANTITIES)))
            heat.restart()
            for n in range(reached):
                heat.given.x.array[:] = path[n]
                heat.advance(lengths[n])
                if heat.size() > BOUND:
                    reached = n
                    break
                here[n] = heat.measure(lengths[n])
                path[n] = heat.before.x.array[:] = heat.u.x.array
                meter((k - 1 + (n + 1) / reached) / iterations)
            record[k, :reached] = np.cumsum(comm.allreduce(here[:reached]), axis=0)
            last = k
            if reached == len(ends):
                at_end[k] = nodes(heat.u)[:, [MU.stop - 1, W.stop - 1]]
            if reached == 0 or (reached == len(ends) and _converged(record[k], tolerance).all()):
                break
        profiles = np.full((len(model.times), len(nodes.x), 2), np.nan)
        for row, moment in enumerate(model.times):
            step = int(np.searchsorted(ends, moment * (1 - 1e-12)))
            if moment == 0 or step < reached:
                heat.u.x.array[:] = path[step] if moment > 0 else heat.start.x.array
                profiles[row] = nodes(heat.u)[:, [MU.stop - 1, W.stop - 1]]
    seconds = time.perf_counter() - began
    attributes = on_root(comm, lambda: provenance(comm.size, 1, seconds, study=dump(study)))
    result = _dataset(record[: last + 1], tolerance, ends, nodes.x, profiles, study)
    at_T = {
        f"iterate_{name}": (
            ("iteration", "node"),
            at_end[: last + 1, :, part],
            {"long_name": f"{name} of the iterates at T"},
        )
        for part, name in enumerate(("mu", "w"))
    }
    result = result.assign(at_T)
    return result.assign_attrs(attributes)


def step_ends(times: Array, steps: int) -> Array:
    """Ends of about `steps` steps from 0 to the last of the increasing `times`; every time is one, time 0 is none.

    Equal between neighbouring times, where their number is the share of `steps` rounded up; a share is let off a
    hundredth of a step, since observation times are those of whole collisions.
    """
    edges = np.union1d(0.0, times)
    counts = [max(ceil(steps * gap / edges[-1] - 0.01), 1) for gap in np.diff(edges)]
    pieces = [np.linspace(a, b, n + 1)[1:] for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)]
    return np.concatenate(pieces)


def as_in_the_paper(study: PinnedStudy) -> PinnedStudy:
    """Give the study with (B') and the paper's ends, which ask that sigma0 is 0 there.

    Raises:
        InputError: it is not.
    """
    study.model.refuse_spread_at_ends(
        "the iteration of Section 6 is for ends with sigma = 0, so choose a sigma0 that vanishes at both"
    )
    return study.vary("pde", system="B'", boundary="paper")


def _norms(record: Array) -> dict[str, Array]:
    """Norms by name from cumulative integrals, shape (..., quantities); a and mu_h1 besides."""
    norms = {
        name: record[..., i] if name in ("w_l1", "b") else np.sqrt(record[..., i])
        for i, name in enumerate(QUANTITIES)
    }  # fmt: skip
    norms["a"] = np.hypot(norms["mu_change"], norms["mu_x_change"])
    norms["mu_h1"] = np.hypot(norms["mu_l2"], norms["mu_x_l2"])
    return norms


def _converged(record: Array, tolerance: float) -> NDArray[np.bool_]:
    """Where an iterate has; a w that rounding alone makes counts as none."""
    n = _norms(record)
    size_w = np.maximum(n["w_l1"], NO_SPREAD**2 * n["mu_l2"] ** 2)
    return (n["a"] <= tolerance * n["mu_h1"]) & (n["b"] <= tolerance * size_w)


def _dataset(
    record: Array, tolerance: float, ends: Array, node_x: Array, profiles: Array, study: PinnedStudy
) -> xr.Dataset:
    """Label what was recorded, shape (iterations + 1, step ends, quantities), and the last profiles."""
    model, settings, dims = study.model, study.pde, ("iteration", "time")
    names = QUANTITIES | {"a": "||mu_k - mu_{k-1}|| in H1, a_0 = ||mu_0||", "mu_h1": "||mu_k|| in H1"}
    norms = _norms(record)
    converged = _converged(record, tolerance)
    converged[0] = False  # a_0 and b_0 are no changes
    return xr.Dataset(
        {name: (dims, norms[name], {"long_name": text}) for name, text in names.items()}
        | {
            "converged": (
                dims, converged.astype(np.int8), {"long_name": "1 where the iterate has converged on [0, T']"}
            ),
            "node_mu": (("observation", "node"), profiles[..., 0], {"long_name": "mu of the last iterate"}),
            "node_w": (("observation", "node"), profiles[..., 1], {"long_name": "w = sigma^2/2 of the last iterate"}),
        },
        coords={
            "iteration": ("iteration", np.arange(len(record)), {"long_name": "k"}),
            "time": ("time", ends, {"long_name": "T', ends of the time steps"}),
            "observation": ("observation", model.times, {"long_name": "observation times of the study"}),
            "node_x": ("node", node_x, {"long_name": "position of the mesh's nodes"}),
        },
        attrs={
            "title": f"{study.study.name}: iteration", "model": "pinned", "system": "B'", "boundary": "paper",
            "lambda": model.lam, "lambda_B": sqrt(2) * model.lam, "length": model.length,
            "end_time": float(ends[-1]), "tolerance": tolerance, "bound": BOUND,
            "cells": (len(node_x) - 1) // settings.degree, "grading": settings.grading, "degree": settings.degree,
        },
    )  # fmt: skip
