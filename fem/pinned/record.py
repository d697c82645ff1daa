"""What is written down of a solution while it is computed: moments, balances, frames, and the state to go on from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dolfinx import fem

from kinlim.checkpoint import State
from kinlim.errors import InputError
from kinlim.fem.compiled import compiled
from kinlim.fem.pinned.flux import EndFlux
from kinlim.fem.probe import Nodes, Probe
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.study import dump

Array = NDArray[np.float64]

FRAMES = 200
"""Pictures of the solution, spread evenly over the time."""

FRAME_NODES = 400
"""Nodes in each, spread evenly among those of the mesh."""

IMPLAUSIBLE = 0.1
"""Relative change of a conserved energy beyond which there is no solution left to speak of."""

COUNTS = ("steps", "rejected_steps", "failed_solves", "linear_solves")


class Balance:
    """Momentum int mu and energy of a solution.

    Attributes:
        start: both at time 0.
    """

    def __init__(self, u: fem.Function, energy: Any, dx: Any) -> None:
        """Compile the integrals; `energy` is the density as an expression of u. Collective."""
        self.comm = u.function_space.mesh.comm
        self.forms = [compiled(u[0] * dx), compiled(energy * dx)]
        self.start: Array = np.zeros(2)

    def now(self) -> Array:
        """Momentum and energy. Collective."""
        here = np.array([fem.assemble_scalar(form) for form in self.forms])
        everywhere = np.empty_like(here)
        self.comm.Allreduce(here, everywhere)
        return everywhere

    def plausible(self, let_in: float) -> bool:
        """Whether the energy is what it was, but for what the ends have let in. Collective."""
        change = self.now()[1] - self.start[1] - let_in
        return bool(abs(change) <= IMPLAUSIBLE * self.start[1])


class Record:
    """Collects what a dataset is made of, observation by observation, and what a checkpoint is made of.

    Attributes:
        time: the time reached.
        taken: observations made.
    """

    def __init__(self, study: PinnedStudy, u: fem.Function, balance: Balance, flux: EndFlux, unit: float) -> None:
        """Find the sites in the mesh of u, whose velocities are counted in the given unit. Collective."""
        model = study.model
        self.study, self.u, self.balance, self.flux, self.unit = study, u, balance, flux, unit
        self.before = dict.fromkeys(COUNTS, 0)
        self.probe, self.nodes = Probe(u.function_space.mesh, model.sites), Nodes(u)
        count = min(FRAME_NODES, len(self.nodes.x))
        self.chosen = np.linspace(0, len(self.nodes.x) - 1, count).round().astype(int)
        self.time, self.frame_spacing = 0.0, model.times[-1] / FRAMES
        self.at_sites: list[Array] = []
        self.at_nodes: list[Array] = []
        self.balances: list[Array] = []
        self.frames: list[Array] = []
        self.frame_times: list[float] = []

    @property
    def taken(self) -> int:
        """Observations made."""
        return len(self.at_sites)

    @property
    def cells(self) -> int:
        """Cells of the mesh."""
        return (len(self.nodes.x) - 1) // self.study.pde.degree

    def begin(self) -> None:
        """Note the initial state. Collective."""
        self.balance.start = self.balance.now()
        self._frame(self.nodes(self.u))

    def step(self, time: float) -> None:
        """Note a step. Collective."""
        self.time = time
        self.flux.after_step(time)
        if time >= self.frame_times[-1] + self.frame_spacing:
            self._frame(self.nodes(self.u))

    def observe(self) -> None:
        """Note an observation. Collective."""
        self.at_sites.append(self.probe(self.u))
        self.at_nodes.append(self.nodes(self.u))
        self.balances.append(np.array([*self.balance.now(), self.flux.total]))
        if self.time > self.frame_times[-1]:
            self._frame(self.at_nodes[-1])

    def counts(self, since: dict[str, int]) -> dict[str, int]:
        """Counts of steps and solves: those `since` the start or the checkpoint, and those before it."""
        return {key: self.before[key] + since[key] for key in COUNTS}

    def checkpoint(self, next_step: float, since: dict[str, int]) -> State:
        """Everything that `restore` needs; `since` as in `counts`. Collective."""
        sites, nodes, unknowns = self.study.model.balls, len(self.nodes.x), 2
        return State(
            {
                "u": self.nodes(self.u),
                "node_x": self.nodes.x,
                "at_sites": np.reshape(self.at_sites, (self.taken, sites, unknowns)),
                "at_nodes": np.reshape(self.at_nodes, (self.taken, nodes, unknowns)),
                "balances": np.reshape(self.balances, (self.taken, 3)),
                "frames": np.array(self.frames),
                "frame_times": np.array(self.frame_times),
                "flux_history": np.array(self.flux.history),
                "start": self.balance.start,
            },
            {
                "study": dump(self.study),
                "time": self.time,
                "next_step": next_step,
                "let_in": self.flux.total,
                **self.counts(since),
            },
        )

    def restore(self, kept: State) -> float:
        """Take up a checkpoint; the next step. Collective.

        Raises:
            InputError: it was written on another mesh: the file of pde.mesh has changed.
        """
        x = kept.arrays["node_x"]
        if x.shape != self.nodes.x.shape or not np.allclose(x, self.nodes.x, rtol=1e-12, atol=0):
            raise InputError(
                f"pde.mesh = '{self.study.pde.mesh}' is not the mesh of the checkpoint, which has {len(x)} nodes where "
                f"this one has {len(self.nodes.x)}: start again in another folder"
            )
        self.nodes.fill(self.u, kept.arrays["u"])
        self.time = float(kept.attrs["time"])
        self.at_sites, self.at_nodes = list(kept.arrays["at_sites"]), list(kept.arrays["at_nodes"])
        self.balances, self.frames = list(kept.arrays["balances"]), list(kept.arrays["frames"])
        self.frame_times = [float(t) for t in kept.arrays["frame_times"]]
        self.balance.start = kept.arrays["start"]
        history = [(float(t), float(rate)) for t, rate in kept.arrays["flux_history"]]
        self.flux.start(self.time, float(kept.attrs["let_in"]), history)
        self.before = {key: int(kept.attrs[key]) for key in COUNTS}
        return float(kept.attrs["next_step"])

    def dataset(self, to_moments: Callable[[Array], tuple[Array, Array]]) -> xr.Dataset:
        """Label what was recorded; `to_moments` gives mu and w from the unknowns."""
        model, settings = self.study.model, self.study.pde
        (mu, w), (node_mu, node_w), (frame_mu, frame_w) = (
            (self.unit * mu, self.unit**2 * w)
            for mu, w in (to_moments(np.array(part)) for part in (self.at_sites, self.at_nodes, self.frames))
        )
        mu0, sigma0 = model.initial(model.sites, "site")
        units = np.array([self.unit, self.unit**2, self.unit**2])
        start, later = self.balance.start * units[:2], np.array(self.balances) * units
        bound = np.sqrt(2 * model.length * start[1])  # the largest momentum at this energy
        at_x, at_node, at_point, scalar = ("time", "x"), ("time", "node"), ("frame", "point"), ("time",)
        return xr.Dataset(
            {
                "mu": (at_x, mu, {"long_name": "mean velocity"}),
                "sigma": (at_x, _spread(w), {"long_name": "standard deviation of the velocity"}),
                "initial_mu": ("x", mu0, {"long_name": "mean velocity at time 0"}),
                "initial_sigma": ("x", sigma0, {"long_name": "standard deviation of the velocity at time 0"}),
                "E": (at_x, mu**2 / 2 + w, {"long_name": "energy density (mu^2 + sigma^2)/2"}),
                "node_mu": (at_node, node_mu, {"long_name": "mean velocity at the mesh's nodes"}),
                "node_sigma": (at_node, _spread(node_w), {"long_name": "standard deviation at the mesh's nodes"}),
                "node_E": (at_node, node_mu**2 / 2 + node_w, {"long_name": "energy density at the mesh's nodes"}),
                "frame_mu": (at_point, frame_mu, {"long_name": "mean velocity in a frame"}),
                "frame_sigma": (at_point, _spread(frame_w), {"long_name": "standard deviation in a frame"}),
                "momentum": (scalar, later[:, 0], {"long_name": "integral of mu"}),
                "energy": (
                    scalar, later[:, 1], {"long_name": "integral of (mu^2 + sigma^2)/2, as the weak form has it"}
                ),
                "energy_flux": (
                    scalar, -later[:, 2],
                    {"long_name": "energy gone out through the ends since time 0: energy + energy_flux is constant"},
                ),
                "momentum_drift": (
                    scalar, np.abs(later[:, 0] - start[0]) / (bound or 1.0),
                    {"long_name": "|change| of momentum over its bound sqrt(2 (b-a) energy)"},
                ),
                "energy_drift": (
                    scalar, np.abs(later[:, 1] - later[:, 2] - start[1]) / (start[1] or 1.0),
                    {"long_name": "|change of energy + energy_flux| over the initial energy"},
                ),
                "min_w": (scalar, node_w.min(axis=1), {"long_name": "least w = sigma^2/2 at a node"}),
                "max_w": (scalar, node_w.max(axis=1), {"long_name": "largest w at a node"}),
            },
            coords={
                "time": ("time", model.times, {"long_name": "time of the equations"}),
                "fraction": ("time", np.asarray(model.observe), {"long_name": "fraction of end_time"}),
                "x": ("x", model.sites, {"long_name": "position of the balls"}),
                "node_x": ("node", self.nodes.x, {"long_name": "position of the mesh's nodes"}),
                "frame_time": ("frame", np.array(self.frame_times), {"long_name": "time of a frame"}),
                "frame_x": ("point", self.nodes.x[self.chosen], {"long_name": "position of a point in a frame"}),
            },
            attrs={
                "title": f"{self.study.study.name}: equations", "model": "pinned", "unknowns": "mu sigma",
                "system": settings.system,
                "boundary": settings.boundary, "lambda": model.lam,
                "cells": self.cells, "grading": settings.grading,
                "degree": settings.degree, "rtol": settings.rtol,
            },
        )  # fmt: skip

    def _frame(self, values: Array) -> None:
        self.frames.append(values[self.chosen])
        self.frame_times.append(self.time)


def _spread(w: Array) -> Array:
    """Give sigma = sqrt(2w), 0 where w is negative (`min_w` says by how much)."""
    return np.sqrt(2 * np.maximum(w, 0))
