"""A referee for equations on the torus: Fourier collocation in space, extrapolation in time, from the strong form.

It shares with the elements nothing but the equation's declaration: no mesh, no weak form, no quadrature, no PETSc, no
time steps. The number N of points along each axis is raised, and the error allowed in a time step cut to a third, until
that makes no difference: for smooth solutions the error falls faster than any power of N.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import ufl

from kinlim.equation import Torus
from kinlim.errors import InputError
from kinlim.fem.collocation import Collocation, Tape, interpolated
from kinlim.fem.damping import Damping
from kinlim.fem.extrapolation import EXCESS, Extrapolation
from kinlim.fem.problem import Problem
from kinlim.fem.refinement import relative
from kinlim.grid import Grid
from kinlim.progress import Meter

Array = NDArray[np.float64]

SIZES = (16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024)
"""Points along each axis, one after the other."""

MOST = (1024, 256, 64)
"""Points along each axis, at most, in dimension 1, 2, 3."""

ENOUGH = 1e-8
"""Relative L2 difference of two solutions that follow each other, below which the last one is taken."""

RTOL, LEAST_RTOL, STRICTER = 1e-7, 1e-12, 3.0
"""Error of a time step, relative to the size of the data: to begin with, and at least; by what it is cut each time."""


class Fourier:
    """The referee of a problem on the torus.

    Attributes:
        problem: whose equation and initial data it takes.
        size: points along each axis of the last solution.
        rtol: error allowed in its time steps, relative to the size of the data.
        error: relative L2 difference to the one before, by unknown: more than the error of the last solution.
    """

    def __init__(self, problem: Problem) -> None:
        """Look at the strong form.

        Raises:
            InputError: the domain is no torus, there is no strong form, or it is not u_t plus terms without u_t.
        """
        self.problem, self.domain = problem, problem.built.domain
        self.names, self.error, self.size, self.rtol = problem.names, np.zeros(0), 0, RTOL
        if not isinstance(self.domain, Torus):
            raise InputError(f"{problem.where}: the referee is for equations on the torus")
        u, u_t = (problem.split(f) for f in (problem.u, problem.u_t))
        found = problem.strong(u, u_t)
        if found is None:
            raise InputError(f"{problem.where} has no `strong`, the strong form, which the referee solves")
        parts: Sequence[Any] = found if isinstance(found, list | tuple) else [found]
        if len(parts) != len(self.names) or any(ufl.as_ufl(part).ufl_shape for part in parts):
            raise InputError(f"{problem.where}.strong must give one scalar expression for each unknown")
        self.forms = [ufl.replace(ufl.as_ufl(part), {problem.u_t: ufl.zero(*problem.u_t.ufl_shape)}) for part in parts]
        self._check_speed(parts)

    def _check_speed(self, parts: Sequence[Any]) -> None:
        grid = Collocation(self.domain.dimension, 8)
        u = self._initial(grid)
        u_t = np.cos(np.arange(u.size)).reshape(u.shape)
        moving = Tape(grid, parts, [self.problem.u, self.problem.u_t], self.problem.place.t)
        still, found = moving(0.0, [*u, *(0 * u_t)]), moving(0.0, [*u, *u_t])
        if not np.abs(found - still - u_t).max() <= 1e-9 * max(1.0, np.abs(still).max()):
            raise InputError(f"{self.problem.where}.strong must be u_t plus terms without u_t for the referee")

    def solve(self, times: Array, grid: Grid) -> dict[str, Array]:
        """The unknowns at times, on a grid: shape (times, *grid.shape) each.

        Raises:
            RunError: a step failed: the equation has no smooth solution, or its diffusion is not positive.
        """
        before = None
        for k, size in enumerate(SIZES[: SIZES.index(MOST[self.domain.dimension - 1]) + 1]):
            self.size, self.rtol = size, max(RTOL / STRICTER**k, LEAST_RTOL)
            found = self.with_points(size, self.rtol, times, grid)
            if before is not None:
                self.error = np.array([relative(*pair).max() for pair in zip(before, found, strict=True)])
                if self.error.max() <= ENOUGH:
                    break
            before = found
        return dict(zip(self.names, found, strict=True))

    def with_points(self, size: int, rtol: float, times: Array, grid: Grid) -> Array:
        """The unknowns with so many points along each axis and a tolerance: shape (unknowns, times, *grid.shape).

        Raises:
            RunError: as in `solve`.
        """
        points = Collocation(self.domain.dimension, size)
        u, t, found = self._initial(points), 0.0, []
        this = self.problem
        residual = Tape(points, self.forms, [this.u], this.place.t)
        damping = Damping(points, self.forms, this.u, this.u_t, this.place.t, EXCESS)
        with Meter(f"referee, {size} points along each axis", shown=True) as meter:
            steps = Extrapolation(
                points, lambda t, u: -residual(t, u), damping, rtol * this.sizes, lambda t: meter(t / times[-1])
            )
            # One integration from observation to observation: what lies between is not needed.
            for time in times:
                u, t = steps.advance(t, u, float(time)), float(time)
                found.append(np.stack([interpolated(part, grid) for part in u]))
        return np.stack(found, axis=1)

    def _initial(self, points: Collocation) -> Array:
        """Initial data, shape (unknowns, *points.shape)."""
        x = points.x.reshape(points.dimension, -1).T
        return self.problem.initial(x).T.reshape(-1, *points.shape)


def judged(problem: Problem, solution: xr.Dataset) -> xr.Dataset:
    """A solution of a problem with what the referee says of it: referee_NAME(time) and the attribute `referee`.

    Raises:
        RunError: the referee has found no solution.
    """
    referee = Fourier(problem)
    found = referee.solve(solution["time"].to_numpy(), problem.equation.grid)
    gaps = {name: relative(solution[name].to_numpy(), values) for name, values in found.items()}
    about = "relative L2 distance to the referee's solution"
    told = ", ".join(f"{name} {gap.max():.2g}" for name, gap in gaps.items())
    return solution.assign(
        {f"referee_{name}": ("time", gap, {"long_name": f"{name}: {about}"}) for name, gap in gaps.items()}
    ).assign_attrs(
        referee=f"Largest {about}: {told} (Fourier, {referee.size} points along each axis, itself right to "
        f"{referee.error.max():.1g})"
    )
