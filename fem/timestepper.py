"""Time integration of F(t, u, u_t; v) = 0 by PETSc TS: implicit, adaptive, exact Jacobian, exact landing.

PETSc's implicit form asks for F and for dF = shift dF/du_t + dF/du; both are compiled once from the UFL residual.
"""

from collections import deque
from collections.abc import Callable, Sequence
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
    "ts_rosw_type": "4l",
    "ts_adapt_type": "basic",
    "ts_max_snes_failures": -1,  # a failed solve cuts the step instead of ending the run
    "ts_max_reject": 50,
    "ksp_type": "preonly",
    "pc_type": "lu",
    "pc_factor_mat_solver_type": "mumps",
}
"""PETSc options unless the user or the problem sets others under the same prefix."""


NOT_A_NUMBER = 72
"""PETSC_ERR_FP."""

KEPT = 4
"""Times of the last steps that are looked at after a landing."""


class TimeStepper:
    """Owns the PETSc objects of one time integration; use as a context, so that they are destroyed collectively.

    Attributes:
        ts: the PETSc TS.
        u: the solution, at the time reached.
    """

    def __init__(
        self,
        residual: ufl.Form,
        u: fem.Function,
        u_t: fem.Function,
        *,
        bcs: Sequence[fem.DirichletBC] = (),
        time: fem.Constant | None = None,
        rtol: float,
        atol: NDArray[np.float64],
        first_step: float,
        prefix: str,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Compile the forms and set up PETSc. Collective.

        Args:
            residual: F, linear in its test function.
            u: the unknown; holds the initial data, which satisfies `bcs`.
            u_t: stands for the time derivative in F.
            bcs: Dirichlet conditions, constant in time.
            time: stands for t in F, if F depends on it; the scheme is then ra34pw2, since 4l falls to order one.
            rtol: error allowed per step relative to |u|.
            atol: error allowed per step besides, one value a component of u.
            first_step: size of the first step tried.
            prefix: of the PETSc options, such as "pde_".
            options: PETSc options that go before `DEFAULTS`; the user's own go before both.

        Raises:
            InputError: PETSc does not know an option's value.
        """
        self.u, self.u_t, self.bcs, self.time = u, u_t, list(bcs), time
        space = u.function_space
        comm = space.mesh.comm
        self.shift = fem.Constant(space.mesh, 0.0)
        jacobian = self.shift * ufl.derivative(residual, u_t) + ufl.derivative(residual, u)
        self.residual_form = fem.form(residual)
        self.jacobian_form = fem.form(jacobian)
        self.residual_vector = la.vector(space.dofmap.index_map, space.dofmap.bs)
        self.owned = space.dofmap.index_map.size_local * space.dofmap.bs

        self.jacobian = fem_petsc.create_matrix(self.jacobian_form)
        self.solution = self.jacobian.createVecRight()
        self.solution.array[:] = u.x.array[: self.owned]
        tolerance = self.solution.duplicate()
        tolerance.array[:] = np.tile(atol, self.owned // len(atol))

        self.ts = PETSc.TS().create(comm)
        self.ts.setOptionsPrefix(prefix)
        database = PETSc.Options(prefix)
        chosen = DEFAULTS | ({"ts_rosw_type": "ra34pw2"} if time is not None else {}) | (options or {})
        ours = {key: value for key, value in chosen.items() if not database.hasName(key)}
        for key, value in ours.items():
            database[key] = value
        self.ts.setIFunction(self._residual, self.solution.duplicate())
        self.ts.setIJacobian(self._jacobian, self.jacobian)
        self.ts.setTime(0.0)
        self.ts.setTimeStep(first_step)
        self.ts.setExactFinalTime(PETSc.TS.ExactFinalTime.MATCHSTEP)
        self.ts.setTolerances(rtol=rtol, atol=tolerance)
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
        self.ts.setSolution(self.solution)
        self.tolerance = tolerance
        self.next_step = first_step

    def advance(self, until: float, report: Callable[[float], None] | None = None) -> None:
        """Integrate to the time `until` and land on it exactly. Collective.

        Args:
            until: the new time, not before the present one.
            report: called with the time after every step.

        Raises:
            RunError: PETSc gave up; its reason, the time and the step size are named.
        """
        ts = self.ts
        if until <= ts.getTime():
            return
        times, rejected = deque([ts.getTime()], maxlen=KEPT), ts.getStepRejections()

        def after_step(ts: PETSc.TS) -> None:
            times.append(ts.getTime())
            if report is not None:
                report(times[-1])

        ts.setPostStep(after_step)
        ts.setTimeStep(min(self.next_step, until - ts.getTime()))
        ts.setMaxTime(until)
        ts.setConvergedReason(PETSc.TS.ConvergedReason.CONVERGED_ITERATING)
        try:
            ts.solve(self.solution)
        except PETSc.Error as error:
            if error.__cause__ is not None:  # Python's own, from inside a callback: an interrupt, say
                raise error.__cause__ from None
            what = "a value was not a number" if error.ierr == NOT_A_NUMBER else f"PETSc raised its error {error.ierr}"
            raise RunError(
                f"the time integration stopped at t = {ts.getTime():.6g} of {until:.6g}: {what}; "
                "a finer mesh or a smaller lambda may help"
            ) from error
        reason = ts.getConvergedReason()
        if reason < 0 or ts.getTime() < until * (1 - 1e-12):
            raise RunError(
                f"the time integration stopped at t = {ts.getTime():.6g} of {until:.6g}: {_words(reason)} "
                f"(step {ts.getTimeStep():.3g}, {ts.getStepRejections()} rejected, {ts.getSNESFailures()} failed "
                "solves); a finer mesh or a larger rtol may help, -pde_ts_monitor after -- shows the steps"
            )
        # To land, PETSc cuts the last steps; the error control would go on with one like those before.
        untroubled = len(times) < KEPT and ts.getStepRejections() == rejected
        self.next_step = max(ts.getTimeStep(), *np.diff(times), self.next_step if untroubled else 0.0)
        self._take(self.solution, self.u)

    def statistics(self) -> dict[str, int]:
        """Counts since the beginning."""
        return {
            "steps": self.ts.getStepNumber(),
            "rejected_steps": self.ts.getStepRejections(),
            "failed_solves": self.ts.getSNESFailures(),
            "linear_solves": self.ts.getKSPIterations(),
        }

    def __enter__(self) -> Self:
        """Nothing to do: the objects exist."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Destroy the PETSc objects. Collective."""
        for thing in (self.ts, self.jacobian, self.solution, self.tolerance):
            thing.destroy()

    def _take(self, vector: PETSc.Vec, function: fem.Function) -> None:
        function.x.array[: self.owned] = vector.array_r
        function.x.scatter_forward()

    def _at(self, t: float, x: PETSc.Vec, x_t: PETSc.Vec) -> None:
        self._take(x, self.u)
        self._take(x_t, self.u_t)
        if self.time is not None:
            self.time.value = t

    def _residual(self, ts: PETSc.TS, t: float, x: PETSc.Vec, x_t: PETSc.Vec, out: PETSc.Vec) -> None:
        self._at(t, x, x_t)
        b = self.residual_vector
        b.array[:] = 0.0
        fem.assemble_vector(b.array, self.residual_form)
        b.scatter_reverse(la.InsertMode.add)
        for bc in self.bcs:
            bc.set(b.array, self.u.x.array, -1.0)  # u - g in the constrained rows
        out.array[:] = b.array[: self.owned]

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
        fem_petsc.assemble_matrix(preconditioner, self.jacobian_form, bcs=self.bcs)
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
