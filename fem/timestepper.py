"""Time integration of F(t, u, u_t; v) = 0 by PETSc TS: implicit, adaptive, exact Jacobian, exact landing.

PETSc's implicit form asks for F and for dF = shift dF/du_t + dF/du; both are compiled once from the UFL residual.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

import ufl
from dolfinx import fem, la
from dolfinx.fem import petsc as fem_petsc
from petsc4py import PETSc

from kinlim.errors import InputError, RunError

DEFAULTS = {
    "ts_type": "rosw",
    "ts_rosw_type": "rodaspr2",
    "ts_adapt_type": "basic",
    "ts_adapt_wnormtype": "infinity",  # a mean square would not see an error where one node starts from sigma = 0
    "ts_max_snes_failures": -1,  # a failed solve cuts the step instead of ending the run
    "ts_max_reject": 50,
    "ts_adapt_dt_min": 1e-100,  # PETSc's own limits, of steps, residuals and pivots, are absolute
    "ts_adapt_dt_max": 1e100,
    "snes_atol": 0,
    "pc_factor_zeropivot": 0,
    "ksp_type": "preonly",
    "pc_type": "lu",
}
"""PETSc options unless the user or the problem sets others under the same prefix."""

FORCED = {"ts_type": "dirk", "ts_dirk_type": "es648sa", "snes_linesearch_type": "basic"}
"""Where t stands in the forms: PETSc's Rosenbrock schemes are for autonomous equations, and fall to order one."""

ALONE = {"pc_factor_mat_ordering_type": "rcm"}
TOGETHER = {"pc_factor_mat_solver_type": "mumps"}
"""Where one rank is alone, PETSc's own factorisation of an interval's band takes a tenth of the time (400 P2 cells)."""

OWNED = ("ts_dt", "ts_time_step", "ts_init_time", "ts_max_time", "ts_max_steps", "ts_exact_final_time")
"""Options that the step loop sets itself."""

IMPLICIT = {"rosw", "bdf", "dirk", "arkimex", "theta", "cn", "beuler", "alpha"}
"""Types of PETSc TS for F(t, u, u_t) = 0."""

MOST_REFUSED = 30
"""Times that a step may be quartered because it led to values that are no numbers."""

NOT_A_NUMBER = 72
"""PETSC_ERR_FP."""


class TimeStepper:
    """Owns the PETSc objects of one time integration; use as a context, so that they are destroyed collectively.

    Its state is (`time`, `next_step`, `u`): one-step schemes go on from it bit by bit, wherever it was kept meanwhile.

    Attributes:
        ts: the PETSc TS.
        u: the solution, at the time reached.
        time: the time reached.
        next_step: size of the step that the error control would take from here.
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
            options: PETSc options that go before `DEFAULTS`; the user's own go before both.

        Raises:
            InputError: PETSc does not know an option's value.
        """
        self.u, self.u_t, self.clock = u, u_t, clock
        self.time, self.next_step = start, first_step
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

        self.jacobian = fem_petsc.create_matrix(self.forms[1])
        self.jacobian.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self.jacobian.setOption(PETSc.Mat.Option.NO_OFF_PROC_ZERO_ROWS, True)
        self.solution = self.jacobian.createVecRight()
        self.solution.array[:] = u.x.array[: self.owned]
        self.accepted, self.tolerance = self.solution.duplicate(), self.solution.duplicate()
        self.refused = self.refused_in_a_row = 0
        self.tolerance.array[:] = np.tile(atol, self.owned // len(atol))

        self.ts = PETSc.TS().create(comm)
        self.ts.setOptionsPrefix(prefix)
        database = PETSc.Options(prefix)
        if taken := [key for key in OWNED if database.hasName(key)]:
            raise InputError(f"-{prefix}{taken[0]}: is set by kinlim itself; the study says how far and how exactly")
        given_in_time = FORCED if clock is not None else {}
        chosen = DEFAULTS | (ALONE if comm.size == 1 else TOGETHER) | given_in_time | (options or {})
        ours = {key: value for key, value in chosen.items() if not database.hasName(key)}
        for key, value in ours.items():
            database[key] = value
        self.ts.setIFunction(self._residual, self.solution.duplicate())
        self.ts.setIJacobian(self._jacobian, self.jacobian)
        self.ts.setExactFinalTime(PETSc.TS.ExactFinalTime.STEPOVER)  # `advance` sees to the landing
        self.ts.setTolerances(rtol=rtol, atol=self.tolerance)
        self.ts.setMaxSteps(10**9)
        self.ts.setErrorIfStepFails(False)  # `advance` says why
        try:
            self.ts.setFromOptions()
        except PETSc.Error as error:
            raise InputError(
                f"PETSc does not accept the options that begin with -{prefix} (its error {error.ierr}): "
                + ", ".join(f"-{prefix}{key} {value}" for key, value in database.getAll().items() if key not in ours)
            ) from error
        finally:
            for key in ours:
                database.delValue(key)
        self.ts.setTime(start)
        self.ts.setSolution(self.solution)
        if self.ts.getType() not in IMPLICIT:
            raise InputError(
                f"-{prefix}ts_type {self.ts.getType()}: is not a scheme for implicit equations; those are "
                + ", ".join(sorted(IMPLICIT))
            )

    def advance(self, until: float, after_step: Callable[[], bool] | None = None) -> bool:
        """Integrate to the time `until` and land on it exactly. Collective.

        Args:
            until: the new time, not before the present one.
            after_step: called after every step, with `u` and `time` up to date. Where it returns True (on all ranks)
                the integration pauses; it goes on where `advance` is called again.

        Returns:
            Whether `until` is reached.

        Raises:
            RunError: PETSc gave up; its reason, the time and the step size are named.
        """
        while self.time < until:
            before = self.time
            self._step(until)
            self._take(self.solution, self.u)
            if self.time > before and after_step is not None and after_step():
                break
        return self.time >= until

    def largest(self) -> float:
        """Largest absolute value of the solution. Collective."""
        return float(self.solution.norm(PETSc.NormType.NORM_INFINITY))

    def statistics(self) -> dict[str, int]:
        """Counts since the beginning."""
        return {
            "steps": self.ts.getStepNumber(),
            "rejected_steps": self.ts.getStepRejections() + self.refused,
            "failed_solves": self.ts.getSNESFailures(),
            "linear_solves": self.ts.getKSPIterations(),
        }

    def _step(self, until: float) -> None:
        ts, left = self.ts, until - self.time
        step = left if self.next_step > left * (1 - 1e-9) else self.next_step
        if left / 2 < step < left:
            step = left / 2  # two equal steps rather than one and a sliver
        ts.setTimeStep(step)
        self.solution.copy(self.accepted)
        try:
            ts.step()
            # The largest of some errors says nothing of those that are NaN: PETSc may have been content.
            error = None if np.isfinite(self.solution.sum()) else PETSc.Error(NOT_A_NUMBER)
        except PETSc.Error as raised:
            if raised.__cause__ is not None:  # Python's own, from inside a callback: an interrupt, say
                raise raised.__cause__ from None
            error = raised
        if error is not None:
            no_number = error.ierr == NOT_A_NUMBER
            if no_number and self._refuse(step):
                return
            what = "a value was not a number" if no_number else f"PETSc raised its error {error.ierr}"
            raise RunError(
                f"the time integration stopped at t = {self.time:.6g} of {until:.6g}: {what}; "
                "a finer mesh or a smaller lambda may help"
            ) from error
        reason = ts.getConvergedReason()
        if reason < 0:
            raise RunError(
                f"the time integration stopped at t = {self.time:.6g} of {until:.6g}: {_words(reason)} "
                f"(step {ts.getTimeStep():.3g}, {ts.getStepRejections()} rejected, {ts.getSNESFailures()} failed "
                "solves); a finer mesh or a larger rtol may help, -pde_ts_monitor after -- shows the steps"
            )
        self.refused_in_a_row = 0
        rejected = ts.getTime() - self.time < step * (1 - 1e-12)
        # A step cut in order to land says nothing against the size that the error control had in mind.
        self.next_step = (
            ts.getTimeStep() if rejected else max(ts.getTimeStep(), self.next_step * (step < self.next_step))
        )
        self.time = ts.getTime()
        if not rejected and step == left:
            self.time = until
            ts.setTime(until)
        ts.monitor(ts.getStepNumber(), self.time, self.solution)

    def _refuse(self, step: float) -> bool:
        """Undo a step of this size that led to no numbers and try a shorter one next, unless that was tried often."""
        self.refused_in_a_row += 1
        if self.refused_in_a_row > MOST_REFUSED:
            return False
        self.accepted.copy(self.solution)
        self.ts.setTime(self.time)
        self.ts.restartStep()
        self.next_step = step / 4
        self.refused += 1
        return True

    def _compile(self, form: ufl.Form) -> tuple[fem.Form, fem.Form]:
        """Compile the form and shift d/du_t + d/du of it."""
        jacobian = self.shift * ufl.derivative(form, self.u_t) + ufl.derivative(form, self.u)
        return fem.form(form), fem.form(jacobian)

    def __enter__(self) -> Self:
        """Nothing to do: the objects exist."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Destroy the PETSc objects. Collective."""
        for thing in (self.ts, self.jacobian, self.solution, self.accepted, self.tolerance):
            thing.destroy()

    def _take(self, vector: PETSc.Vec, function: fem.Function) -> None:
        self.values[function][: self.owned] = vector.array_r
        if not self.alone:
            function.x.scatter_forward()

    def _at(self, t: float, x: PETSc.Vec, x_t: PETSc.Vec) -> None:
        self._take(x, self.u)
        self._take(x_t, self.u_t)
        if self.clock is not None:
            self.clock.value = t

    def _assemble(self, form: fem.Form) -> NDArray[np.float64]:
        """Assemble over all ranks; the entries of this rank."""
        self.assembled[:] = 0.0
        fem.assemble_vector(self.assembled, form)
        if not self.alone:
            self.vector.scatter_reverse(la.InsertMode.add)
        return self.assembled[: self.owned]

    def _residual(self, ts: PETSc.TS, t: float, x: PETSc.Vec, x_t: PETSc.Vec, out: PETSc.Vec) -> None:
        self._at(t, x, x_t)
        values = out.array_w
        values[:] = self._assemble(self.forms[0])
        if self.condition is not None:
            values[self.held_owned] = self._assemble(self.condition[0])[self.held_owned]

    def _jacobian(
        self,
        ts: PETSc.TS,
        t: float,
        x: PETSc.Vec,
        x_t: PETSc.Vec,
        shift: float,
        matrix: PETSc.Mat,
        preconditioner: PETSc.Mat,
    ) -> bool:
        self._at(t, x, x_t)
        self.shift.value = shift
        preconditioner.zeroEntries()
        fem_petsc.assemble_matrix(preconditioner, self.forms[1])
        preconditioner.assemble()
        if self.condition is not None:
            preconditioner.zeroRowsLocal(self.held_owned, diag=0.0)
            fem_petsc.assemble_matrix(preconditioner, self.condition[1])
            preconditioner.assemble()
        return True


def _words(reason: int) -> str:
    """PETSc's reason in words."""
    names = {value: name for name, value in vars(PETSc.TS.ConvergedReason).items() if isinstance(value, int)}
    words = {
        "DIVERGED_NONLINEAR_SOLVE": "a nonlinear solve failed however small the step",
        "DIVERGED_STEP_REJECTED": "the step was rejected too often",
    }
    name = names.get(reason, str(reason))
    return words.get(name, f"PETSc's reason is {name}")
