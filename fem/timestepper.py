"""Time integration of F(t, u, u_t; v) = 0 by PETSc TS: implicit, adaptive, exact Jacobian, exact landing.

PETSc's implicit form asks for F and for dF = shift dF/du_t + dF/du; both are compiled once from the UFL residual.
"""

import time
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import ufl
from dolfinx import fem, la
from dolfinx.fem import petsc as fem_petsc
from petsc4py import PETSc

from kinlim.fem.compiled import compiled
from kinlim.fem.stepper import Stepper

FORCED = {"ts_type": "dirk", "ts_dirk_type": "7510sal", "snes_linesearch_type": "basic"}
"""Where t stands in the forms: PETSc's Rosenbrock schemes are for autonomous equations, and fall to order one.

No stage of this scheme is explicit, so that it needs no slope from the step before, and a stop changes no bit.
"""

BAND = {"pc_factor_mat_ordering_type": "rcm"}
"""On an interval and one rank: PETSc's own factorisation of the band takes a tenth of the time (400 P2 cells)."""

DIRECT = {"pc_factor_mat_solver_type": "mumps"}
"""Everywhere else. MUMPS orders unknowns by itself: as a band they took 50 times as long (32^2 boxes of degree 2)."""

BRIEF = 1e9
"""The time reached over the length of the step by which the time derivative is found."""


class TimeStepper(Stepper):
    """A `Stepper` for equations given as forms.

    Attributes:
        REMEDY: what may help when an integration fails.
        u: the solution, at the time reached.
        assembling: seconds that assembly took.
    """

    REMEDY: ClassVar[str] = "a finer mesh or a smaller lambda may help"

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
        atol: NDArray[np.float64],
        start: float = 0.0,
        first_step: float,
        prefix: str,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Compile the forms and set up PETSc. Collective.

        Args:
            residual: F, linear in its test function.
            u: the unknown; holds the initial data, which satisfies `condition` in the rows `held`.
            u_t: stands for the time derivative in F.
            held: rows (unrolled indices, of this rank and its ghosts) in which `condition` takes the place of F.
            condition: an integral over the boundary, linear in the test function, such as (u - g) v ds.
            clock: stands for t in the forms, if they depend on it; see `FORCED`.
            rtol: error allowed per step relative to |u|.
            atol: error allowed per step besides, one value a component of u.
            start: time of the initial data.
            first_step: size of the first step tried.
            prefix: of the PETSc options, such as "pde_".
            options: PETSc options that go before the defaults; the user's own go before both.

        Raises:
            InputError: PETSc does not know an option's value.
        """
        self.u, self.u_t, self.clock = u, u_t, clock
        self.assembling = 0.0
        space = u.function_space
        comm = space.mesh.comm
        self.owned = space.dofmap.index_map.size_local * space.dofmap.bs
        self.shift = fem.Constant(space.mesh, 0.0)
        self.held = np.empty(0, np.int32) if held is None else held
        self.held_owned = self.held[self.held < self.owned]
        self.forms = self._compile(residual)
        self.condition = None if condition is None else self._compile(condition)
        self.vector = la.vector(space.dofmap.index_map, space.dofmap.bs)
        self.alone = comm.size == 1
        self.values = {function: function.x.array for function in (u, u_t)}  # looked up once, not in every stage
        self.assembled = self.vector.array

        jacobian = fem_petsc.create_matrix(self.forms[1])
        jacobian.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        jacobian.setOption(PETSc.Mat.Option.NO_OFF_PROC_ZERO_ROWS, True)
        solution = jacobian.createVecRight()
        solution.array[:] = u.x.array[: self.owned]
        tolerance = solution.duplicate()
        tolerance.array[:] = np.tile(atol, self.owned // len(atol))
        given_in_time = FORCED if clock is not None else {}
        super().__init__(
            solution,
            tolerance,
            jacobian,
            rtol=rtol,
            start=start,
            first_step=first_step,
            prefix=prefix,
            options=(BAND if self.alone and u.function_space.mesh.topology.dim == 1 else DIRECT)
            | given_in_time
            | (options or {}),
            remedy=self.REMEDY,
        )

    def take(self) -> None:
        """Put the solution into `u`. Collective."""
        self._fill(self.u, self.solution)

    def rate(self) -> None:
        """Put the time derivative at the time reached into `u_t`; NaN where the equation determines none. Collective.

        It is what an implicit step of next to no length makes: (s dF/du_t + dF/du) d = -F(u, 0), u_t = s d as s grows,
        which is right for unknowns without a time derivative of their own, too.
        """
        counts = self.solving, self.solves, self.iterations, self.most_iterations
        shift = BRIEF / (self.time or self.next_step)
        rest, defect = self.solution.duplicate(), self.solution.duplicate()
        rest.set(0.0)
        self.residual_at(self.ts, self.time, self.solution, rest, defect)
        self.jacobian_at(self.ts, self.time, self.solution, rest, shift, self.jacobian, self.jacobian)
        ksp = self.ts.getSNES().getKSP()
        ksp.setOperators(self.jacobian)
        ksp.solve(defect, rest)
        rest.scale(-shift if ksp.getConvergedReason() > 0 else np.nan)
        self._fill(self.u_t, rest)
        for vector in (rest, defect):
            vector.destroy()
        self.solving, self.solves, self.iterations, self.most_iterations = counts

    def residual_at(self, ts: PETSc.TS, t: float, x: PETSc.Vec, x_t: PETSc.Vec, out: PETSc.Vec) -> None:
        """Assemble F. Collective."""
        self._at(t, x, x_t)
        self.evaluations += 1
        values = out.array_w
        values[:] = self._assemble(self.forms[0])
        if self.condition is not None:
            values[self.held_owned] = self._assemble(self.condition[0])[self.held_owned]

    def jacobian_at(
        self,
        ts: PETSc.TS,
        t: float,
        x: PETSc.Vec,
        x_t: PETSc.Vec,
        shift: float,
        matrix: PETSc.Mat,
        preconditioner: PETSc.Mat,
    ) -> bool:
        """Assemble shift dF/du_t + dF/du. Collective."""
        self._at(t, x, x_t)
        self.shift.value = shift
        began = time.perf_counter()
        preconditioner.zeroEntries()
        fem_petsc.assemble_matrix(preconditioner, self.forms[1])
        preconditioner.assemble()
        if self.condition is not None:
            preconditioner.zeroRowsLocal(self.held_owned, diag=0.0)
            fem_petsc.assemble_matrix(preconditioner, self.condition[1])
            preconditioner.assemble()
        self.assembling += time.perf_counter() - began
        return True

    def _compile(self, form: ufl.Form) -> tuple[fem.Form, fem.Form]:
        """Compile the form and shift d/du_t + d/du of it."""
        jacobian = self.shift * ufl.derivative(form, self.u_t) + ufl.derivative(form, self.u)
        return compiled(form), compiled(jacobian)

    def _fill(self, function: fem.Function, vector: PETSc.Vec) -> None:
        self.values[function][: self.owned] = vector.array_r
        if not self.alone:
            function.x.scatter_forward()

    def _at(self, t: float, x: PETSc.Vec, x_t: PETSc.Vec) -> None:
        self._fill(self.u, x)
        self._fill(self.u_t, x_t)
        if self.clock is not None:
            self.clock.value = t

    def _assemble(self, form: fem.Form) -> NDArray[np.float64]:
        """Assemble over all ranks; the entries of this rank."""
        began = time.perf_counter()
        self.assembled[:] = 0.0
        fem.assemble_vector(self.assembled, form)
        if not self.alone:
            self.vector.scatter_reverse(la.InsertMode.add)
        self.assembling += time.perf_counter() - began
        return self.assembled[: self.owned]
