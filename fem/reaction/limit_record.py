"""What is written down of the limit equation while it is solved, and the state to go on from."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import ufl
from dolfinx import fem
from mpi4py import MPI

from kinlim.checkpoint import State
from kinlim.fem.compiled import compiled
from kinlim.fem.frames import POINTS as FRAME_POINTS
from kinlim.fem.frames import Frames
from kinlim.fem.reaction.diffusion import density_of, entropy
from kinlim.fem.sampling import Sampler, TorusNodes
from kinlim.grid import uniform
from kinlim.models.reaction.phase import POSITIONS
from kinlim.models.reaction.tables import ReactionStudy
from kinlim.study import dump

Array = NDArray[np.float64]

POINTS = (256, 64, 32)
"""Points i/n per axis, in dimension 1, 2, 3, at which solutions are written down."""

BEYOND = 2
"""Degree of quadrature of the entropy and of Fourier modes over that of m: their error is of higher order than m's."""

COUNTS = ("steps", "rejected_steps", "failed_solves", "linear_solves", "linear_iterations", "linear_iterations_max")
"""What is counted; the last is a maximum, the others are sums."""


class Observer:
    """Measures m: at the points of a grid, and as numbers."""

    def __init__(self, u: fem.Function, rho_inf: float) -> None:
        """Compile what is measured. Collective."""
        mesh = u.function_space.mesh
        self.u, self.comm, self.dimension = u, mesh.comm, mesh.topology.dim
        self.owned = u.function_space.dofmap.index_map.size_local
        self.sampler = Sampler(u.function_space, uniform(self.dimension, POINTS[self.dimension - 1]))
        degree = u.function_space.element.basix_element.degree
        dx = ufl.dx(metadata={"quadrature_degree": degree + BEYOND})
        self.entropy = compiled(entropy(u, fem.Constant(mesh, rho_inf)) * dx)
        self.wave, self.phase = fem.Constant(mesh, np.zeros(self.dimension)), fem.Constant(mesh, 0.0)
        angle = 2 * ufl.pi * ufl.inner(self.wave, ufl.SpatialCoordinate(mesh)) + self.phase
        self.mode = compiled(2 * u * ufl.cos(angle) * dx)

    def values(self) -> Array:
        """Values of m at the grid, shape (n^d,). Collective."""
        return self.sampler(self.u)

    def numbers(self, mass: float) -> Array:
        """Mass (given), least and largest nodal value, entropy, modes (axis, part). Collective."""
        here = self.u.x.array[: self.owned]
        lowest = self.comm.allreduce(here.min() if self.owned else np.inf, MPI.MIN)
        highest = self.comm.allreduce(here.max() if self.owned else -np.inf, MPI.MAX)
        return np.array([mass, lowest, highest, self._sum(self.entropy), *self._modes()])

    def _modes(self) -> list[float]:
        found = []
        for axis in range(self.dimension):
            for phase in (0.0, -np.pi / 2):  # cos(angle - pi/2) = sin(angle)
                self.wave.value[:] = np.eye(self.dimension)[axis]
                self.phase.value = phase
                found.append(self._sum(self.mode))
        return found

    def _sum(self, form: fem.Form) -> float:
        return float(self.comm.allreduce(fem.assemble_scalar(form)))


class Record:
    """Collects what a dataset is made of, solution by solution, and what a checkpoint is made of.

    Attributes:
        names: of the solutions: "m", and "m_corrected" if the data have a flux.
        taken: observations made of each.
        time: reached by the solution that is under way.
    """

    def __init__(self, study: ReactionStudy, u: fem.Function, names: tuple[str, ...]) -> None:
        """Prepare to measure u. Collective."""
        self.study, self.u, self.names, self.time = study, u, names, 0.0
        self.observer, self.nodes = Observer(u, study.model.rho_inf), TorusNodes(u.function_space)
        self.values: dict[str, list[Array]] = {name: [] for name in names}
        self.numbers: dict[str, list[Array]] = {name: [] for name in names}
        self.before = dict.fromkeys(COUNTS, 0)
        x = np.arange(FRAME_POINTS) / FRAME_POINTS
        sampler = Sampler(u.function_space, x[:, None]) if study.model.dimension == 1 else None
        end = float(study.model.times[-1])
        self.frames = None if sampler is None else Frames(x, lambda u: sampler(u)[:, None], end)

    @property
    def taken(self) -> dict[str, int]:
        """Observations made of each solution."""
        return {name: len(found) for name, found in self.values.items()}

    def begin(self, initial: fem.Function) -> None:
        """Start a solution from its initial data."""
        self.u.x.array[:] = initial.x.array
        self.time = 0.0
        if self.frames is not None:
            self.frames.note(0.0, self.u)

    def step(self, name: str, time: float) -> None:
        """Note a step; pictures are of m alone. Collective."""
        self.time = time
        if self.frames is not None and name == "m":
            self.frames.note(time, self.u, self.frames.spacing)

    def observe(self, name: str, mass: float) -> None:
        """Note an observation. Collective."""
        if self.frames is not None and name == "m":
            self.frames.note(self.time, self.u)
        self.values[name].append(self.observer.values())
        self.numbers[name].append(self.observer.numbers(mass))

    def count(self, since: dict[str, int]) -> dict[str, int]:
        """Counts: those `since` the start of this solution, and those before."""
        most = COUNTS[-1]
        return {key: self.before[key] + since[key] for key in COUNTS[:-1]} | {most: max(self.before[most], since[most])}

    def checkpoint(self, name: str, next_step: float, since: dict[str, int]) -> State:
        """Everything that `restore` needs, in an order that no layout changes. Collective."""
        arrays = {"nodes": self.nodes(self.u), **({} if self.frames is None else self.frames.state())}
        for key in self.names:
            arrays[f"values_{key}"] = np.reshape(
                self.values[key], (self.taken[key], -1) if self.values[key] else (0, 0)
            )
            arrays[f"numbers_{key}"] = np.reshape(
                self.numbers[key], (self.taken[key], -1) if self.numbers[key] else (0, 0)
            )
        attrs = {"study": dump(self.study), "solution": name, "time": self.time, "next_step": next_step}
        return State(arrays, attrs | self.count(since))

    def restore(self, kept: State) -> tuple[str, float]:
        """Take up a checkpoint; which solution was under way, and its next step. Collective."""
        self.nodes.fill(self.u, kept.arrays["nodes"])
        if self.frames is not None:
            self.frames.restore(kept.arrays)
        self.time = float(kept.attrs["time"])
        for key in self.names:
            self.values[key], self.numbers[key] = (list(kept.arrays[f"{what}_{key}"]) for what in ("values", "numbers"))
        self.before = {key: int(kept.attrs[key]) for key in COUNTS}
        return str(kept.attrs["solution"]), float(kept.attrs["next_step"])

    def dataset(self) -> xr.Dataset:
        """Label what was recorded."""
        model, settings = self.study.model, self.study.pde
        count, axes = POINTS[model.dimension - 1], POSITIONS[: model.dimension]
        shape = (len(model.times), *[count] * model.dimension)
        field, scalar = ("time", *axes), ("time",)
        m = np.reshape(self.values["m"], shape)
        numbers = np.array(self.numbers["m"])
        variables: dict[str, Any] = {
            "m": (field, m, {"long_name": "rho_f - rho_g in the limit"}),
            "rho": (field, density_of(m), {"long_name": "rho_f = 1/rho_g in the limit"}),
            "mass": (scalar, numbers[:, 0], {"long_name": "integral of m"}),
            "lowest": (scalar, numbers[:, 1], {"long_name": "least m at a node"}),
            "highest": (scalar, numbers[:, 2], {"long_name": "largest m at a node"}),
            "entropy": (scalar, numbers[:, 3], {"long_name": "entropy (5) of the limit"}),
            "mode": (
                ("time", "axis", "part"), numbers[:, 4:].reshape(len(numbers), -1, 2),
                {"long_name": "2 integral of m cos(2 pi x_axis), 2 integral of m sin(2 pi x_axis)"},
            ),
        }  # fmt: skip
        if "m_corrected" in self.names:
            variables["m_corrected"] = (
                field, np.reshape(self.values["m_corrected"], shape),
                {"long_name": "the same from data that the initial layer has shifted"},
            )  # fmt: skip
        frames = {} if self.frames is None else self.frames.coordinates()
        if self.frames is not None:
            variables |= self.frames.variables({"m": "rho_f - rho_g"})
        return xr.Dataset(
            variables,
            coords={
                **frames,
                "time": ("time", model.times, {"long_name": "time of the equations"}),
                "fraction": ("time", np.asarray(model.observe), {"long_name": "fraction of end_time"}),
                **{axis: (axis, np.arange(count) / count, {"long_name": "position"}) for axis in axes},
                "axis": ("axis", list(axes)),
                "part": ("part", ["cos", "sin"]),
            },
            attrs={
                "title": f"{self.study.study.name}: limit equation", "model": "reaction", "unknowns": "m",
                "dimension": model.dimension,
                "cells": settings.all_cells, "shape": settings.shape, "degree": settings.degree, "rtol": settings.rtol,
                "lumped": int(settings.lumped), "rho_inf": model.rho_inf,
            },
        )  # fmt: skip
