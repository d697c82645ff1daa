"""What is written down of an equation while it is solved, and the state to go on from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dolfinx import fem

from kinlim.checkpoint import State
from kinlim.equation import SENSITIVE, SENSITIVITY, Interval, Torus
from kinlim.errors import InputError, RunError
from kinlim.fem.frames import POINTS, Frames, at_nodes
from kinlim.fem.nodes import Nodes
from kinlim.fem.problem import Problem, Stepping
from kinlim.fem.samples import CellValues, Means, Sample, sampler
from kinlim.grid import Points
from kinlim.study import dump

Array = NDArray[np.float64]

COUNTS = ("steps", "rejected_steps", "failed_solves", "evaluations", "linear_solves", "linear_iterations")
MOST = "linear_iterations_max"
"""What is counted, and what of it is a maximum, not a sum."""


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
        self.rates: list[Array] = []
        self.at_nodes: list[Array] = []
        self.numbers: list[Array] = []

    def begin(self) -> None:
        """Note the initial state. Collective."""
        if self.watch is not None:
            self.watch.begin()
        if self.frames is not None:
            self.frames.note(self.time, self.problem.u)

    def step(self, stepper: Stepping) -> None:
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

    def observe(self, stepper: Stepping) -> None:
        """Note an observation. Collective."""
        problem = self.problem
        self.values.append(self.observed(problem.u))
        lowest, highest = problem.extremes()
        totals = [float(problem.comm.allreduce(fem.assemble_scalar(form))) for form in problem.densities.values()]
        watched = np.empty(0) if self.watch is None else self.watch.observe(self.time)
        self.numbers.append(np.array([*lowest, *highest, *totals, *watched]))
        if self.nodes is not None:
            self.at_nodes.append(self.nodes(problem.u))
        if stepper.clock is None:
            stepper.rate()
            self.rates.append(self.observed(problem.u_t))
        self.taken += 1
        if self.frames is not None:
            self.frames.note(self.time, self.problem.u)

    def counts(self, stepper: Stepping) -> dict[str, int]:
        """Counts of steps and solves, those before a stop among them."""
        since = stepper.statistics()
        return {key: self.before[key] + since[key] for key in COUNTS} | {MOST: max(self.before[MOST], since[MOST])}

    def state(self, stepper: Stepping) -> State:
        """Everything that `restore` needs, in an order that no number of ranks changes. Collective."""
        return State(
            {
                "u": self.cells(self.problem.u),
                **({} if self.problem.settings.mesh is None else {"middles": self.cells.middles()}),
                "values": np.array(self.values),
                "rates": np.array(self.rates),
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
        self.at_nodes, self.rates = list(kept.arrays["at_nodes"]), list(kept.arrays["rates"])
        if self.watch is not None:
            self.watch.restore(self.time, kept.under("watch_"))
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
        # Of an equation that depends on time itself, another speed is no dilation of time.
        if self.rates and np.isfinite(self.rates).all():
            dilated = physics.times[:, None, None] * np.array(self.rates)
            variables |= {
                f"{SENSITIVITY}{name}": (field, dilated[:, :, k].reshape(shape), {"long_name": f"{name}: {SENSITIVE}"})
                for k, name in enumerate(names)
            }
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


def _tensor(grid: Points) -> Array:
    """Points of a grid, the last axis fastest, shape (points, dimension)."""
    axes = np.meshgrid(*grid.coordinates.values(), indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=1)
