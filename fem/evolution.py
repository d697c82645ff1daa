"""The side of an equation: mesh and elements, the weak form in time, what is observed, and errors under refinement.

One driver serves every `kinlim.Equation`: it lands on the observation times, says how far it has come, heeds signals,
keeps states from which any number of ranks can go on, and labels what it found.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import basix.ufl
import ufl
from dolfinx import fem
from mpi4py import MPI
from ufl.algorithms import compute_form_data
from ufl.algorithms.check_arities import ArityMismatch

from kinlim.base import Study
from kinlim.checkpoint import State
from kinlim.compat import interpolation_points
from kinlim.equation import Equation, Interval, MeshSettings, Torus
from kinlim.errors import InputError, RunError
from kinlim.fem import vtx
from kinlim.fem.compiled import compiled
from kinlim.fem.frames import POINTS, Frames, at_nodes
from kinlim.fem.integrate import integrate
from kinlim.fem.multigrid import LINEAR, multigrid
from kinlim.fem.nodes import Nodes
from kinlim.fem.place import Place
from kinlim.fem.samples import CellValues, Means, Sample, sampler
from kinlim.fem.timestepper import TimeStepper
from kinlim.grid import Points
from kinlim.keeper import Keeper
from kinlim.meshes.domain import build
from kinlim.model import Drawable, Refined, parts_of
from kinlim.parallel import on_root
from kinlim.provenance import provenance
from kinlim.study import dump

Array = NDArray[np.float64]

FIRST_STEP = 1e-6
"""First step tried, as a fraction of the whole time."""

BLOWN_UP = 1e4
"""Times the size of the data, beyond which an unknown is no solution."""

BEYOND = 2
"""Degree of the quadrature of what is conserved over that of the elements."""

COUNTS = ("steps", "rejected_steps", "failed_solves", "linear_solves", "linear_iterations")
MOST = "linear_iterations_max"
"""What is counted, and what of it is a maximum, not a sum."""

DIRECT: dict[str, Any] = {"pc_factor_mat_solver_type": "mumps"}
"""In two dimensions."""

BLOCKS: dict[str, Any] = {"ksp_type": "gmres", "pc_type": "bjacobi"}
"""In three dimensions, for discontinuous elements."""


class EquationMaker(Refined, Drawable):
    """What makes the dataset of `kinlim.Evolution`.

    Attributes:
        stepper: class of the time integration.
    """

    stepper: type[TimeStepper] = TimeStepper

    def __init__(self, equation: Callable[[Study], Equation], table: str, file: str) -> None:
        """Of an equation made for a study, whose settings are in a table."""
        self.equation, self.table, self.name = equation, table, Path(file).stem
        self.prefix = f"{self.name}_"

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """Build everything but the solution: mesh, data, forms and the time stepper. Collective.

        Raises:
            InputError: a part is missing, fails, or gives something that cannot be used.
        """
        problem = self.problem(study, comm)
        problem.check_form()
        Record(problem)
        with problem.stepper(study.model.end_time):
            pass

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """Solve: with (time, x[, y[, z]]) each unknown at the points of the grid, or its means over the bins.

        The same dataset on every rank. With (time): NAME_lowest and NAME_highest at the nodes, and what is conserved;
        in one dimension frame_NAME(frame, point), for pictures.

        Raises:
            InputError: `check` would have said so; or the kept state is of another mesh.
            RunError: the time integration failed; see `TimeStepper.advance`.
            Stopped: a signal came, and the state has been kept.
        """
        return self.solve(study, keeper)

    def solve(self, study: Study, keeper: Keeper, fixed_steps: int | None = None) -> xr.Dataset:
        """The same; with `fixed_steps` of equal size, without error control."""
        began = time.perf_counter()
        problem = self.problem(study, keeper.comm)
        record, end = Record(problem), float(study.model.times[-1])
        first_step = (end or study.model.end_time) * (FIRST_STEP if fixed_steps is None else 1 / fixed_steps)
        if (kept := keeper.found()) is None:
            record.begin()
        else:
            first_step = record.restore(kept)
        ready = time.perf_counter()
        with problem.stepper(first_step, record.time, fixed=fixed_steps is not None) as stepper:
            integrate(
                stepper,
                study.model.times[record.taken :],
                keeper,
                label=self.name,
                end=end,
                after_step=lambda: record.step(stepper),
                observe=record.observe,
                state=lambda: record.state(stepper),
            )
            counts, used = record.counts(stepper), stepper.preconditioner()
            seconds = {"seconds_assembly": stepper.assembling, "seconds_solver": stepper.solving}
        ended = time.perf_counter()
        about = on_root(
            keeper.comm,
            lambda: provenance(
                keeper.comm.size, 1, ended - began, study=dump(study), stepping_seconds=ended - ready,
                preconditioner=used, **seconds, **counts,
                linear_iterations_mean=counts["linear_iterations"] / max(counts["linear_solves"], 1),
            ),
        )  # fmt: skip
        return record.dataset().assign_attrs(about)

    def converge(self, study: Study, comm: MPI.Comm) -> xr.Dataset:
        """See `kinlim.fem.evolution_refinement.converge`."""
        from kinlim.fem.evolution_refinement import converge

        return converge(self, study, comm)

    def known(self, study: Study, comm: MPI.Comm) -> Iterator[Mapping[str, Any]]:
        """Errors on known solutions, rows of "manufactured" and "time": see `kinlim.validation.convergence.judge`."""
        from kinlim.fem.evolution_refinement import made_up_errors

        yield from made_up_errors(self, study, comm)

    def about(self, study: Study) -> Mapping[str, Any]:
        """Attributes of errors under refinement, besides the general ones."""
        return {}

    def better(self, study: Study) -> Mapping[str, Study]:
        """Every cell halved; a tenth of the tolerance, or ten times it where a study may not ask for less."""
        settings: MeshSettings = getattr(study, self.table)
        rtol = settings.rtol
        return {
            "mesh": study.vary(self.table, refinements=settings.refinements + 1),
            "steps": study.vary(self.table, rtol=rtol / 10 if rtol >= 1e-11 else 10 * rtol),
        }

    def paraview(self, dataset: xr.Dataset, path: Path) -> None:
        """Write the fields: on the mesh's nodes, with its degree, if these are there; otherwise linear on the grid."""
        write = vtx.write_nodes if "node_x" in dataset.coords else vtx.write_grid
        write(dataset, tuple(str(dataset.attrs.get("fields", dataset.attrs["unknowns"])).split()), path)

    def problem(self, study: Study, comm: MPI.Comm) -> "Problem":
        """The equation of a study on its mesh. Collective."""
        return Problem(self.equation, study, getattr(study, self.table), comm, self.prefix, self.table, self.stepper)


class Problem:
    """An equation on its mesh.

    Attributes:
        names: of the unknowns.
        built: the mesh, and what is known of it.
        u: the solution, as one function with as many components as there are unknowns.
        place: what forms need besides.
        form: the weak form.
        tests: its test functions.
        held: unknowns with the boundaries on which they are given.
        largest: absolute value beyond which an unknown is no solution.
    """

    def __init__(
        self,
        equation: Callable[[Study], Equation],
        study: Study,
        settings: MeshSettings,
        comm: MPI.Comm,
        prefix: str,
        table: str,
        stepper: type[TimeStepper] = TimeStepper,
    ) -> None:
        """Build mesh, space and forms, and interpolate the initial data. Collective.

        Raises:
            InputError: on all ranks.
        """
        self.study, self.settings, self.comm, self.prefix, self.table = study, settings, comm, prefix, table
        self.parts, self.kind = parts_of(study), stepper
        self.equation = self.parts.instance(equation, Equation, study)
        self.where = self.parts.where(self.equation)
        self.names = tuple(self.equation.unknowns)
        if settings.degree == 0 and self.equation.element == "continuous":
            raise InputError(f"{table}.degree = 0: continuous elements have at least degree 1")
        self.built = build(self.equation.domain, settings, comm, table)
        mesh = self.built.mesh
        family = "Lagrange" if self.equation.element == "continuous" else "Discontinuous Lagrange"
        shape = (len(self.names),) if len(self.names) > 1 else None
        cell = mesh.topology.cell_name()
        self.space = fem.functionspace(mesh, basix.ufl.element(family, cell, settings.degree, shape=shape))
        self.u, self.u_t = fem.Function(self.space, name="u"), fem.Function(self.space, name="u_t")
        self.place = Place(self.built, settings.degree)
        self._interpolate()
        self.sizes = self._sizes()
        self.largest = float(BLOWN_UP * self.sizes.max())
        test = ufl.TestFunction(self.space)
        self.tests = self.split(test)
        self.form = self._call("residual", self.split(self.u), self.split(self.u_t), self.tests, self.place)
        if not isinstance(self.form, ufl.Form) or len(self.form.arguments()) != 1:
            raise InputError(f"{self.where}.residual must give a UFL form, linear in its test functions v")
        self.rows, self.condition = self._held(test)
        densities = self._call("conserved", self.split(self.u))
        degree = {"quadrature_degree": 2 * settings.degree + BEYOND}
        self.densities = {
            name: compiled(ufl.as_ufl(e) * ufl.dx(mesh, metadata=degree)) for name, e in densities.items()
        }

    def stepper(self, first_step: float, start: float = 0.0, *, fixed: bool = False) -> TimeStepper:
        """The time integration from `u` at the time `start`. Collective.

        Raises:
            InputError: a PETSc option has no meaning.
        """
        clock = self.place.t if self.place.t in self._constants() else None
        options = self._linear() | dict(self.equation.options) | ({"ts_adapt_type": "none"} if fixed else {})
        return self.kind(
            self.form,
            self.u,
            self.u_t,
            held=self.rows,
            condition=self.condition,
            clock=clock,
            rtol=self.settings.rtol,
            atol=self.settings.rtol * self.sizes,
            start=start,
            first_step=first_step,
            prefix=self.prefix,
            options=options,
        )

    def check_form(self) -> None:
        """Raise InputError if the weak form, or its derivative, is none that FFCx can take.

        To be found before FFCx: what it fails on, it leaves half done in DOLFINx's cache, and waits for ever after.
        """
        try:
            for form in (self.form, ufl.derivative(self.form, self.u) + ufl.derivative(self.form, self.u_t)):
                compute_form_data(form, do_apply_function_pullbacks=True, do_apply_geometry_lowering=True)
        except (Exception, ArityMismatch) as error:  # the latter is no Exception
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"{self.where}.residual is not linear in v, or holds what UFL cannot differentiate "
                f"({type(error).__name__}: {reason})"
            ) from error

    def _linear(self) -> dict[str, Any]:
        """PETSc options for the linear systems: direct up to dimension 2, iterative beyond."""
        dimension, settings = self.built.mesh.topology.dim, self.settings
        if dimension < 3:
            return DIRECT if dimension == 2 else {}
        if self.equation.element == "discontinuous":
            return BLOCKS | {"ksp_rtol": LINEAR * settings.rtol}
        return multigrid(dimension, settings.degree, settings.rtol)

    @property
    def quadrature(self) -> int:
        """Degree of the quadrature of `place.dx`."""
        return int(self.place.dx.metadata()["quadrature_degree"])

    def values(self) -> Array:
        """The unknowns at this rank's nodes, shape (nodes, unknowns)."""
        block = len(self.names)
        owned = self.space.dofmap.index_map.size_local
        return np.asarray(self.u.x.array[: owned * block].reshape(-1, block), np.float64)

    def strong(self, u: Any, u_t: Any) -> Any:
        """The equation in strong form, or None."""
        return self._call("strong", u, u_t, self.place)

    def begin_with(self, values: Any) -> None:
        """Give u the values of expressions, by interpolation. Collective."""
        points = interpolation_points(self.space)
        parts = values if isinstance(values, tuple) else (values,)
        vector = ufl.as_vector(parts) if len(parts) > 1 else parts[0]
        self.u.interpolate(fem.Expression(vector, points))

    def extremes(self) -> tuple[Array, Array]:
        """Least and largest of the unknowns' nodal values, shape (unknowns,) each. Collective."""
        here = self.values()
        lowest = _reduced(self.comm, here.min(axis=0, initial=np.inf), MPI.MIN)
        return lowest, _reduced(self.comm, here.max(axis=0, initial=-np.inf), MPI.MAX)

    def moments(self) -> tuple[Array, Array]:
        """Mean and range of the unknowns' nodal values, shape (unknowns,) each. Collective."""
        found = np.concatenate(self.comm.allgather(self.values()))
        return found.mean(axis=0), np.ptp(found, axis=0) + 0.1 * np.abs(found).max(axis=0) + 0.01

    def _constants(self) -> list[Any]:
        forms = [self.form, *([self.condition] if self.condition is not None else [])]
        return [constant for form in forms for constant in form.constants()]

    def split(self, function: Any) -> Any:
        """The parts of a function, as a tuple where there are several unknowns."""
        return tuple(ufl.split(function)) if len(self.names) > 1 else function

    def _call(self, name: str, *arguments: Any) -> Any:
        return self.parts.call(InputError, lambda: getattr(self.equation, name)(*arguments))

    def _interpolate(self) -> None:
        """Give u the initial data. Collective.

        Raises:
            InputError: their shape is wrong, or a value is no number; on all ranks.
        """
        x = self.space.tabulate_dof_coordinates()[:, : self.built.mesh.topology.dim]
        if isinstance(self.built.domain, Torus):
            x = x % 1.0
        values, problem = np.empty(0), None
        try:
            values = self._initial(x)
        except InputError as error:
            problem = error
        for found in self.comm.allgather(problem):
            if found is not None:
                raise found
        self.u.x.array[:] = values.ravel()

    def _initial(self, x: Array) -> Array:
        """Initial data at points, shape (points, dimension): shape (points, unknowns)."""
        count = len(self.names)
        with np.errstate(all="ignore"):  # what is no number is looked for below
            found = np.asarray(self._call("initial", *x.T.copy()), np.float64)
        wanted = (len(x),) if count == 1 else (count, len(x))
        if found.shape != wanted:
            raise InputError(
                f"{self.where}.initial gives the shape {found.shape} for {len(x)} points; it must be {wanted}"
            )
        found = found.reshape(count, -1).T
        if not (good := np.isfinite(found).all(axis=1)).all():
            bad = int(np.argmin(good))
            place = ", ".join(f"{axis} = {p:.6g}" for axis, p in zip("xyz", x[bad], strict=False))
            raise InputError(f"{self.where}.initial is {found[bad].tolist()} at {place}; it must be finite")
        return found

    def _sizes(self) -> Array:
        """Sizes of the unknowns, shape (unknowns,). Collective."""
        here = np.abs(self.values()).max(axis=0, initial=0.0)
        data = _reduced(self.comm, here, MPI.MAX)
        given = self._call("size")
        if unknown := sorted(set(given) - set(self.names)):
            raise InputError(f"{self.where}.size names {unknown[0]}; the unknowns are {', '.join(self.names)}")
        return np.array([float(given.get(name, data[k])) or 1.0 for k, name in enumerate(self.names)])

    def _held(self, test: Any) -> tuple[NDArray[np.int32] | None, ufl.Form | None]:
        """Rows in which Dirichlet conditions take the place of the equation, and these conditions. Collective.

        Raises:
            InputError: a name is unknown, or the elements have no nodes on the boundary.
        """
        components, tests = self.split(self.u), self.split(test)
        conditions = self._call("held", components, self.place)
        self.held = set(conditions)
        if not conditions:
            return None, None
        if self.equation.element == "discontinuous":
            raise InputError(
                f"{self.where}.held: discontinuous elements are not held at nodes; put the condition into the flux "
                "through at.ds"
            )
        rows, form = [], None
        for (name, boundary), value in conditions.items():
            if name not in self.names:
                raise InputError(f"{self.where}.held names {name}; the unknowns are {', '.join(self.names)}")
            try:
                ds = self.place.ds(boundary)
            except ValueError as error:
                raise InputError(f"{self.where}.held: {error}") from None
            k = self.names.index(name)
            component, v = (components, tests) if len(self.names) == 1 else (components[k], tests[k])
            term = (component - ufl.as_ufl(value)) * v * ds
            form = term if form is None else form + term
            facets = self.built.facets(boundary)
            nodes = fem.locate_dofs_topological(self.space, self.built.mesh.topology.dim - 1, facets, remote=True)
            rows.append(len(self.names) * nodes + k)
        return np.unique(np.concatenate(rows)).astype(np.int32), form


class Record:
    """Collects what a dataset is made of, observation by observation, and the state to go on from.

    Attributes:
        time: the time reached.
        taken: observations made.
    """

    def __init__(self, problem: Problem) -> None:
        """Find the points of the grid in the mesh. Collective."""
        self.problem, self.time, self.taken = problem, 0.0, 0
        self.before = dict.fromkeys((*COUNTS, MOST), 0)
        grid = problem.equation.grid
        at = sampler(problem.built, problem.space)
        self.grid, dimension = grid, problem.built.mesh.topology.dim
        if len(grid.axes) != dimension:
            raise InputError(
                f"{problem.where}.grid has {len(grid.axes)} axes, and the domain has dimension {dimension}"
            )
        try:
            self.observed: Any = (
                at(_tensor(grid)) if isinstance(grid, Points) else Means(at, grid, problem.built, problem.settings)
            )
        except ValueError as error:
            raise InputError(f"{problem.where}.grid: {error}") from None
        self.cells = CellValues(problem.built, problem.space)
        on_nodes = isinstance(problem.equation.domain, Interval) and problem.equation.element == "continuous"
        self.nodes = Nodes(problem.u) if on_nodes else None
        self.frames = self._frames(at) if dimension == 1 else None
        self.watch = problem.parts.call(InputError, lambda: problem.equation.watch(problem))
        self.initial = self.observed(problem.u)
        self.values: list[Array] = []
        self.at_nodes: list[Array] = []
        self.numbers: list[Array] = []

    def begin(self) -> None:
        """Note the initial state. Collective."""
        if self.watch is not None:
            self.watch.begin()
        if self.frames is not None:
            self.frames.note(self.time, self.problem.u)

    def step(self, stepper: TimeStepper) -> None:
        """Note a step. Collective.

        Raises:
            RunError: an unknown is larger than any solution.
        """
        self.time = stepper.time
        if self.watch is not None:
            self.watch.step(self.time)
        if self.frames is not None:
            self.frames.note(self.time, self.problem.u, self.frames.spacing)
        if stepper.largest() > self.problem.largest:
            raise RunError(
                f"the solution has blown up by t = {stepper.time:.6g}: {self.problem.table}.rtol = "
                f"{self.problem.settings.rtol:g} is too coarse, or the mesh ({self.cells.shape[0]} cells of degree "
                f"{self.problem.settings.degree}) is, or the equation has no solution as long as this"
            )

    def observe(self) -> None:
        """Note an observation. Collective."""
        problem = self.problem
        self.values.append(self.observed(problem.u))
        lowest, highest = problem.extremes()
        totals = [float(problem.comm.allreduce(fem.assemble_scalar(form))) for form in problem.densities.values()]
        watched = np.empty(0) if self.watch is None else self.watch.observe(self.time)
        self.numbers.append(np.array([*lowest, *highest, *totals, *watched]))
        if self.nodes is not None:
            self.at_nodes.append(self.nodes(problem.u))
        self.taken += 1
        if self.frames is not None:
            self.frames.note(self.time, self.problem.u)

    def counts(self, stepper: TimeStepper) -> dict[str, int]:
        """Counts of steps and solves, those before a stop among them."""
        since = stepper.statistics()
        return {key: self.before[key] + since[key] for key in COUNTS} | {MOST: max(self.before[MOST], since[MOST])}

    def state(self, stepper: TimeStepper) -> State:
        """Everything that `restore` needs, in an order that no number of ranks changes. Collective."""
        return State(
            {
                "u": self.cells(self.problem.u),
                **({} if self.problem.settings.mesh is None else {"middles": self.cells.middles()}),
                "values": np.array(self.values),
                "at_nodes": np.array(self.at_nodes),
                "numbers": np.array(self.numbers),
                **({} if self.frames is None else self.frames.state()),
                **({} if self.watch is None else {f"watch_{k}": a for k, a in self.watch.state().items()}),
            },
            {
                "study": dump(self.problem.study), "time": self.time, "next_step": stepper.next_step,
                "taken": self.taken, **self.counts(stepper),
            },
        )  # fmt: skip

    def restore(self, kept: State) -> float:
        """Take up a state; the next step. Collective.

        Raises:
            InputError: it is of another mesh: the file of the mesh has changed.
        """
        settings, there = self.problem.settings, kept.arrays["u"]
        same = there.shape == self.cells.shape
        if same and settings.mesh is not None:
            same = bool(np.allclose(kept.arrays["middles"], self.cells.middles(), rtol=1e-12, atol=0))
        if not same:
            raise InputError(
                f"{self.problem.table}.mesh = '{settings.mesh}' is not the mesh of the checkpoint, which has "
                f"{there.shape[0]} cells where this one has {self.cells.shape[0]}: start again in another folder"
            )
        self.cells.fill(self.problem.u, kept.arrays["u"])
        self.time, self.taken = float(kept.attrs["time"]), int(kept.attrs["taken"])
        self.values, self.numbers = list(kept.arrays["values"]), list(kept.arrays["numbers"])
        self.at_nodes = list(kept.arrays["at_nodes"])
        if self.watch is not None:
            arrays = {k.removeprefix("watch_"): a for k, a in kept.arrays.items() if k.startswith("watch_")}
            self.watch.restore(self.time, arrays)
        if self.frames is not None:
            self.frames.restore(kept.arrays)
        self.before = {key: int(kept.attrs[key]) for key in self.before}
        return float(kept.attrs["next_step"])

    def dataset(self) -> xr.Dataset:
        """Label what was recorded."""
        problem, physics, grid = self.problem, self.problem.study.model, self.grid
        names, equation, settings = problem.names, problem.equation, problem.settings
        field, shape = ("time", *grid.axes), (self.taken, *grid.shape)
        values = {name: np.array(self.values)[:, :, k].reshape(shape) for k, name in enumerate(names)}
        numbers, count = np.array(self.numbers), len(names)
        variables: dict[str, Any] = {}
        for k, name in enumerate(names):
            what = equation.unknowns[name]
            variables[name] = (field, values[name], {"long_name": what})
            start = self.initial[:, k].reshape(grid.shape)
            variables[f"initial_{name}"] = (grid.axes, start, {"long_name": f"{what} at time 0"})
            variables[f"{name}_lowest"] = ("time", numbers[:, k], {"long_name": f"least {what} at a node"})
            variables[f"{name}_highest"] = ("time", numbers[:, count + k], {"long_name": f"largest {what} at a node"})
            if self.nodes is not None:
                at_nodes = np.array(self.at_nodes)[:, :, k]
                variables[f"node_{name}"] = (("time", "node"), at_nodes, {"long_name": f"{what} at the mesh's nodes"})
        watched: tuple[str, ...] = () if self.watch is None else self.watch.names
        for k, name in enumerate((*problem.densities, *watched)):
            variables[name] = ("time", numbers[:, 2 * count + k], {"long_name": name})
        for name, (found, what) in problem.parts.call(RunError, lambda: equation.fields(values)).items():
            variables[name] = (field, np.asarray(found), {"long_name": what})
        coordinates: dict[str, Any] = {
            "time": ("time", physics.times, {"long_name": "time"}),
            "fraction": ("time", np.asarray(physics.observe), {"long_name": "fraction of end_time"}),
            **{axis: (axis, x, {"long_name": "position"}) for axis, x in grid.coordinates.items()},
        }
        if self.frames is not None:
            variables |= self.frames.variables(equation.unknowns)
            coordinates |= self.frames.coordinates()
        if self.nodes is not None:
            coordinates["node_x"] = ("node", self.nodes.x, {"long_name": "position of the mesh's nodes"})
        dataset = xr.Dataset(
            variables,
            coords=coordinates,
            attrs={
                "title": f"{problem.study.study.name}: equation", "model": problem.study.study.model,
                "unknowns": " ".join(names), "cells": self.cells.shape[0], "degree": settings.degree,
                "element": equation.element, "rtol": settings.rtol,
                "periodic": int(isinstance(problem.built.domain, Torus)),
            },
        )  # fmt: skip
        return problem.parts.call(RunError, lambda: equation.finish(dataset))

    def _frames(self, at: Callable[[Array], Sample]) -> Frames:
        """Pictures: at nodes of the mesh where there are some, otherwise at equidistant points."""
        built, end = self.problem.built, float(self.problem.study.model.times[-1])
        if self.nodes is not None:
            return Frames(*at_nodes(self.nodes), end)
        periodic = isinstance(built.domain, Torus)
        x = np.linspace(*built.ends, POINTS + periodic)[: -1 if periodic else None]
        return Frames(x, at(x[:, None]), end)


def _reduced(comm: MPI.Comm, here: Array, op: MPI.Op) -> Array:
    """An array reduced over the ranks, entry by entry. Collective."""
    everywhere = np.empty_like(here)
    comm.Allreduce(here, everywhere, op)
    return everywhere


def _tensor(grid: Points) -> Array:
    """Points of a grid, the last axis fastest, shape (points, dimension)."""
    axes = np.meshgrid(*grid.coordinates.values(), indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=1)
