"""Explicit time integration of M u_t = -F(t, u, 0; v) with a lumped mass M, by schemes for stiff equations.

A step of length h by a scheme of `kinlim.fem.rock4` has s stages and is stable for eigenvalues of the slope's Jacobian
in (-0.349 s^2/h, 0], so that its cost grows with the square root of the stiffness; s is chosen for a spectral radius
that power iteration finds, as in Sommeijer, Shampine and Verwer, "RKC: an explicit solver for parabolic PDEs", J.
Comput. Appl. Math. 88 (1998) 315-326. No matrix is assembled and no system is solved.
"""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import ufl
from dolfinx import fem, la
from mpi4py import MPI
from petsc4py import PETSc
from ufl.algorithms import expand_derivatives

from kinlim.errors import InputError, RunError
from kinlim.fem.boxes import Boxes
from kinlim.fem.compiled import compiled
from kinlim.fem.landing import Landing
from kinlim.fem.place import SIMPLICES
from kinlim.fem.rock4 import Scheme, reaching

Array = NDArray[np.float64]

SHORTEN, LENGTHEN, SAFETY = 0.1, 10.0, 0.8
"""Bounds of the change from a step's length to the next, and what is kept of the one that the error allows."""

ORDER = 4
"""Order in the step's length of the estimated error."""

RENEW = 25
"""Steps after which the spectral radius is found anew."""

REACH = 0.349
"""Largest |eigenvalue| times step over the square of the number of stages, when there are many."""

MARGIN = 1.2
"""What is added to a spectral radius, which power iteration finds from below."""

CLOSE, MOST_ITERATIONS = 0.01, 100
"""Relative change at which power iteration ends, and its most iterations."""

MOST_REJECTED = 60
"""Times that a step may be shortened."""


class ExplicitStepper(Landing):
    """A `Landing` for equations given as forms whose u_t stands in a mass that can be lumped.

    Lumped is the sum of a row: exact for elements of degree p with Gauss-Lobatto nodes and a rule exact to degree
    2p - 1, which are those of intervals and boxes; on triangles and tetrahedra for degree 1.

    Attributes:
        u: the solution, at the time reached.
        radius: the spectral radius that stages are chosen for; 0 where it is not known yet.
    """

    def __init__(
        self,
        residual: ufl.Form,
        u: fem.Function,
        u_t: fem.Function,
        *,
        held: NDArray[np.int32] | None = None,
        condition: ufl.Form | None = None,
        clock: fem.Constant | None = None,
        rtol: float,
        atol: Array,
        start: float = 0.0,
        first_step: float,
        prefix: str,
        where: str,
        fixed: bool = False,
    ) -> None:
        """Compile the form and lump the mass. Collective.

        Args:
            residual: F, linear in its test function.
            u: the unknown; holds the initial data, which satisfies `condition` in the rows `held`.
            u_t: stands for the time derivative in F.
            held: rows (unrolled indices, of this rank and its ghosts) in which u keeps its value.
            condition: what holds there, which must not depend on time.
            clock: stands for t in the forms, if they depend on it.
            rtol: error allowed per step relative to |u|.
            atol: error allowed per step besides, one value a component of u.
            start: time of the initial data.
            first_step: size of the first step tried.
            prefix: of PETSc's options, of which there may be none.
            where: what asks for it, to begin a sentence.
            fixed: whether all steps are as long as the first.

        Raises:
            InputError: this equation, or these elements, cannot be integrated so.
        """
        self.u, self.u_t, self.clock, self.where, self.fixed = u, u_t, clock, where, fixed
        self.time, self.next_step, self.rtol, self.atol = start, first_step, rtol, np.asarray(atol)
        space = u.function_space
        self.comm, self.owned = space.mesh.comm, space.dofmap.index_map.size_local * space.dofmap.bs
        self.alone, self.block = self.comm.size == 1, space.dofmap.bs
        if given := [key for key in PETSc.Options().getAll() if key.startswith(prefix)]:
            raise InputError(f"-{given[0]}: {where}, which takes no step with PETSc")
        if clock is not None and condition is not None and clock in condition.constants():
            raise InputError(f"{where}, and conditions that depend on time cannot be held so")
        cell, degree = space.mesh.topology.cell_name(), space.ufl_element().embedded_superdegree
        if cell in SIMPLICES and degree > 1:  # sums of a mass's rows are positive for degree 1 alone
            raise InputError(
                f"{where}, and a mass of degree {degree} on cells of the kind {cell} cannot be lumped; take "
                "degree = 1, or boxes (shape = 'box') on a torus"
            )
        direction = fem.Function(space)
        derivative = expand_derivatives(ufl.derivative(residual, u_t, direction))
        if {u, u_t, clock} & {*derivative.coefficients(), *derivative.constants()}:
            raise InputError(f"{where}, but the factor of a time derivative depends on the unknowns or on time")
        held_owned = np.empty(0, np.int32) if held is None else held[held < self.owned]
        self.vector = la.vector(space.dofmap.index_map, space.dofmap.bs)
        self.inverse = -1 / self._lumped(derivative, direction, held_owned)
        self.inverse[held_owned] = 0.0
        u_t.x.array[:] = 0.0
        still = ufl.replace(residual, {u_t: ufl.zero(*u_t.ufl_shape)})
        self.boxes, rest = Boxes.of(still, u)
        self.form = None if rest.empty() else compiled(rest)
        self.y = u.x.array[: self.owned].copy()
        self.slope = np.empty_like(self.y)
        self.direction: Array | None = None
        self.radius, self.age = 0.0, 0
        self.steps = self.rejected = self.evaluations = self.most_stages = 0
        self.fresh = False

    @property
    def remembers(self) -> bool:
        """The direction of the spectral radius, and its age in steps."""
        return not self.fixed

    def forget(self) -> None:
        """Find the spectral radius anew, from nothing."""
        self.direction, self.age = None, 0

    def take(self) -> None:
        """Put the solution into `u`. Collective."""
        self._fill(self.u, self.y)

    def rate(self) -> None:
        """Put the slope into u_t. Collective."""
        self.slope, self.fresh = self._slope(self.time, self.y), True
        self._fill(self.u_t, self.slope)

    def stages(self, step: float) -> float:
        """Stages that a step of this length needs from here on, as a number that is not rounded up. Collective."""
        self.slope, self.fresh = self._slope(self.time, self.y), True
        radius = self._spectral_radius()
        self.take()
        return float(np.sqrt(step * MARGIN * radius / REACH))

    def largest(self) -> float:
        """Largest absolute value of the solution. Collective."""
        return self._over_ranks(float(np.abs(self.y).max(initial=0.0)), MPI.MAX)

    def preconditioner(self) -> str:
        """What takes the place of linear solves."""
        return f"none: explicit, up to {self.most_stages} stages a step"

    def statistics(self) -> dict[str, int]:
        """Counts since the beginning."""
        none = dict.fromkeys(("failed_solves", "linear_solves", "linear_iterations", "linear_iterations_max"), 0)
        return {"steps": self.steps, "rejected_steps": self.rejected, "evaluations": self.evaluations, **none}

    @property
    def options(self) -> str:
        """There are none."""
        return ""

    @property
    def chosen(self) -> str:
        """There are none."""
        return ""

    @property
    def size(self) -> int:
        """Degrees of freedom, on all ranks together."""
        return int(self.u.function_space.dofmap.index_map.size_global * self.block)

    def _step(self, until: float) -> None:
        step = h = self.length(until)
        if not self.fresh:
            self.slope = self._slope(self.time, self.y)
        if self.age == 0:
            self.radius = MARGIN * self._spectral_radius()
        self.age = (self.age + 1) % RENEW
        for _ in range(MOST_REJECTED):
            scheme, h = self._scheme(h)
            found, slopes = self._stages(scheme, h)
            error = self._over(h * (scheme.error @ slopes), found)
            factor = float(np.clip(SAFETY / max(error, 1e-30) ** (1 / ORDER), SHORTEN, LENGTHEN))
            if error <= 1 or (self.fixed and np.isfinite(error)):
                break
            h *= min(factor, SAFETY)
            self.rejected += 1
            self.radius = max(self.radius, MARGIN * self._spectral_radius())  # it may have been unstable
            if self.time + h == self.time:
                self._give_up(until, h)
        else:
            self._give_up(until, h)
        reached = self.time + h
        self.y, self.slope = found, slopes[-1].copy()
        self.steps += 1
        self.stepped(step, reached, self.next_step if self.fixed else h * factor, until)
        self.fresh = self.time == reached

    def _scheme(self, h: float) -> tuple[Scheme, float]:
        """The scheme that is stable with steps of this length, and the length; a shorter one if none is."""
        scheme = reaching(h * self.radius)
        self.most_stages = max(self.most_stages, scheme.stages)
        return scheme, min(h, scheme.reach / self.radius) if self.radius > 0 else h

    def _stages(self, scheme: Scheme, h: float) -> tuple[Array, Array]:
        """The solution after a step; its last four slopes and that at its end, shape (5, rows). Collective."""
        times = list(self.time + h * scheme.times)
        before, now, slopes = self.y, self.y, np.empty((5, self.y.size))
        for j, (mu, nu, kappa) in enumerate(scheme.recurrence.tolist()):
            slope = self.slope if j == 0 else self._slope(times[j], now)
            after = (h * mu) * slope
            after -= nu * now
            after -= kappa * before
            before, now = now, after
        for k, row in enumerate(scheme.a):
            slopes[k] = self._slope(times[k - 4], now + h * (row[:k] @ slopes[:k]))
        found = now + h * (scheme.b @ slopes[:4])
        slopes[4] = self._slope(self.time + h, found)
        return found, slopes

    def _over(self, change: Array, found: Array) -> float:
        """Largest change over what is allowed as error between y and `found`; inf for no number. Collective."""
        with np.errstate(invalid="ignore", over="ignore"):
            size = np.maximum(np.abs(self.y), np.abs(found)).reshape(-1, self.block)
            worst = (np.abs(change).reshape(-1, self.block) / (self.atol + self.rtol * size)).max(initial=0.0)
        return self._over_ranks(float(worst) if np.isfinite(worst) else np.inf, MPI.MAX)

    def _spectral_radius(self) -> float:
        """Largest |eigenvalue| of the slope's Jacobian, by power iteration on differences of slopes. Collective."""
        size = max(self._norm(self.y), float(np.linalg.norm(self.atol)), np.finfo(float).tiny)
        small, v, radius = np.sqrt(np.finfo(float).eps) * size, self.direction, 0.0
        if v is None:
            v = self._rough()
        for _ in range(MOST_ITERATIONS):
            v = v * (small / self._norm(v))
            v, before = self._slope(self.time, self.y + v) - self.slope, radius
            radius = self._norm(v) / small
            if not np.isfinite(radius) or radius == 0:
                self.direction = None
                return self.radius if radius != 0 else 0.0
            if abs(radius - before) <= CLOSE * radius:
                break
        self.direction = v
        return radius

    def _rough(self) -> Array:
        """A vector with a part along every eigenvector, the same on any number of ranks."""
        x = self.u.function_space.tabulate_dof_coordinates()[: self.owned // self.block]
        phase = 1e3 * x @ np.array([1.0, np.sqrt(2), np.sqrt(3)])
        rough = np.sin(np.add.outer(phase, np.arange(self.block))).ravel()
        return np.where(self.inverse == 0, 0.0, rough)

    def _lumped(self, derivative: ufl.Form, direction: fem.Function, held: NDArray[np.int32]) -> Array:
        """Sums of the rows of the mass, as its products with a 1 in every place of an unknown. Collective.

        Raises:
            InputError: a sum is not positive, or the mass couples unknowns.
        """
        sums = np.zeros((self.owned // self.block, self.block))
        coupled = 0.0
        if not derivative.empty():
            form = compiled(derivative)
            for k in range(self.block):
                direction.x.array[:] = 0.0
                direction.x.array[k :: self.block] = 1.0
                rows = self._assemble(form).reshape(-1, self.block)
                sums[:, k] = rows[:, k]
                coupled = max(coupled, float(np.abs(np.delete(rows, k, axis=1)).max(initial=0.0)))
        found = sums.ravel()
        found[held] = 1.0
        least = self._over_ranks(float(found.min(initial=np.inf)), MPI.MIN)
        if self._over_ranks(coupled, MPI.MAX) > 0:
            raise InputError(f"{self.where}, but one of its equations has the time derivatives of several unknowns")
        if not least > 0:
            raise InputError(
                f"{self.where}, which needs a time derivative with a positive factor in every equation; the least sum "
                f"of a row of the mass is {least:.2g}"
            )
        return found

    def _assemble(self, form: fem.Form | None, boxes: Sequence[Boxes] = ()) -> Array:
        """Assemble over all ranks; the entries of this rank. Collective."""
        self.vector.array[:] = 0.0
        for part in boxes:
            part.add(self.vector.array)
        if form is not None:
            fem.assemble_vector(self.vector.array, form)
        if not self.alone:
            self.vector.scatter_reverse(la.InsertMode.add)
        return self.vector.array[: self.owned]

    def _slope(self, t: float, y: Array) -> Array:
        """The slope at a state. Collective."""
        began = time.perf_counter()
        if self.clock is not None:
            self.clock.value = t
        self._fill(self.u, y)
        self.evaluations += 1
        slope = self.inverse * self._assemble(self.form, self.boxes)
        self.assembling += time.perf_counter() - began
        return slope

    def _fill(self, function: fem.Function, values: Array) -> None:
        function.x.array[: self.owned] = values
        if not self.alone:
            function.x.scatter_forward()

    def _over_ranks(self, value: float, op: MPI.Op) -> float:
        return value if self.alone else float(self.comm.allreduce(value, op))

    def _norm(self, v: Array) -> float:
        return float(np.sqrt(self._over_ranks(float(v @ v), MPI.SUM)))

    def _give_up(self, until: float, h: float) -> None:
        raise RunError(
            f"the time integration stopped at t = {self.time:.6g} of {until:.6g}: an explicit step was rejected too "
            f"often (step {h:.3g}, {self.rejected} rejected); {self.where}: implicit ones may lead on"
        )
