"""Time integration of F(t, u, u') = 0 by PETSc TS, whatever F is made of: options, landing, refusals, words.

PETSc's implicit form asks for F and for dF = shift dF/du' + dF/du. A subclass gives both; `kinlim.fem.timestepper` does
so from forms, `kinlim.fem.reaction.kinetic` by hand.
"""

import time
from abc import abstractmethod
from types import TracebackType
from typing import Any

import numpy as np

from petsc4py import PETSc

from kinlim.compat import option_used
from kinlim.errors import InputError, RunError
from kinlim.fem.landing import Landing
from kinlim.parallel import release

DEFAULTS = {
    "ts_type": "rosw",
    "ts_rosw_type": "rodaspr2",
    "ts_adapt_type": "basic",
    "ts_adapt_wnormtype": "infinity",  # a mean square would not see an error where one node starts from sigma = 0
    "ts_max_snes_failures": -1,  # a failed solve cuts the step instead of ending the run
    "ts_adapt_dt_min": 1e-100,  # PETSc's own limits, of steps, residuals and pivots, are absolute
    "ts_adapt_dt_max": 1e100,
    "snes_atol": 0,
    "pc_factor_zeropivot": 0,
    "ksp_type": "preonly",
    "pc_type": "lu",
}
"""PETSc options unless the user or the problem sets others under the same prefix."""

OWNED = ("ts_dt", "ts_time_step", "ts_init_time", "ts_max_time", "ts_max_steps", "ts_exact_final_time")
"""Options that the step loop sets itself."""

OF_ONE = ("pc_factor_mat_", "pc_hypre_", "pc_gamg_", "pc_mg_", "mg_")
"""Beginnings of options of one preconditioner, which are not there for another one of the user's."""

IMPLICIT = {"rosw", "bdf", "dirk", "theta", "cn", "beuler", "alpha"}
"""Types of PETSc TS for F(t, u, u') = 0 that can be stopped and go on bit by bit.

arkimex and those dirk whose first stage is explicit, which are called es..., take a slope from the step before, and do
not find it again when they are restarted.
"""

MOST_REJECTED = 50
"""Times that a step may be repeated because its error was too large or a solve failed."""

MOST_REFUSED = 30
"""Times that a step may be quartered because it led to values that are no numbers."""

NOT_A_NUMBER = 72
"""PETSC_ERR_FP."""


class Stepper(Landing):
    """Owns the PETSc objects of one time integration; use as a context, so that they are destroyed collectively.

    Attributes:
        ts: the PETSc TS.
        solution: the unknowns at the time reached.
    """

    def __init__(
        self,
        solution: PETSc.Vec,
        tolerance: PETSc.Vec,
        jacobian: PETSc.Mat,
        *,
        rtol: float,
        start: float,
        first_step: float,
        prefix: str,
        options: dict[str, Any],
        remedy: str,
    ) -> None:
        """Set up PETSc. Collective. The three objects are destroyed with this one.

        Args:
            solution: the initial data.
            tolerance: error allowed per step besides rtol |u|, for each unknown.
            jacobian: the matrix that `jacobian_at` fills.
            rtol: error allowed per step relative to |u|.
            start: time of the initial data.
            first_step: size of the first step tried.
            prefix: of the PETSc options, such as "pde_".
            options: PETSc options that go before `DEFAULTS`; the user's own go before both.
            remedy: what may help when the integration fails, to end a sentence.

        Raises:
            InputError: PETSc does not know an option's value.
        """
        self.solution, self.tolerance, self.jacobian = solution, tolerance, jacobian
        self.accepted = solution.duplicate()
        self.time, self.next_step, self.prefix, self.remedy = start, first_step, prefix, remedy
        self.refused = self.refused_in_a_row = self.evaluations = 0
        self.solving, self.solves, self.iterations, self.most_iterations, self.solve_began = 0.0, 0, 0, 0, 0.0
        self.ts = PETSc.TS().create(solution.comm)
        self.ts.setOptionsPrefix(prefix)
        self.ts.setIFunction(self.residual_at, solution.duplicate())
        self.ts.setIJacobian(self.jacobian_at, jacobian)
        self.ts.setExactFinalTime(PETSc.TS.ExactFinalTime.STEPOVER)  # `advance` sees to the landing
        self.ts.setTolerances(rtol=rtol, atol=tolerance)
        self.ts.setMaxSteps(10**9)
        self.ts.setMaxStepRejections(MOST_REJECTED)
        self.ts.setErrorIfStepFails(False)  # `advance` says why
        self.known = False
        self._configure(DEFAULTS | options)
        ksp = self.ts.getSNES().getKSP()
        ksp.setPreSolve(self._before_solve)
        ksp.setPostSolve(self._after_solve)
        self.ts.setTime(start)
        self.ts.setSolution(solution)
        if (kind := self.ts.getType()) not in IMPLICIT:
            raise InputError(
                f"-{prefix}ts_type {kind}: is not a scheme for implicit equations that can be stopped and go on; those "
                "are " + ", ".join(sorted(IMPLICIT))
            )
        if kind == "dirk" and self.dirk.startswith("es"):
            raise InputError(
                f"-{prefix}ts_dirk_type {self.dirk}: takes a slope from the step before, so that it cannot be stopped "
                "and go on; take one whose name does not begin with es, such as 7510sal"
            )

    @abstractmethod
    def residual_at(self, ts: PETSc.TS, t: float, x: PETSc.Vec, x_t: PETSc.Vec, out: PETSc.Vec) -> None:
        """Put F(t, x, x_t) into `out`. Collective."""

    @abstractmethod
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
        """Put shift dF/du' + dF/du at (t, x, x_t) into `preconditioner`, and return True. Collective."""

    @property
    def remembers(self) -> bool:
        """Whether a step depends on more than the state: on solutions or slopes of steps before."""
        return self.ts.getType() not in ("rosw", "dirk")

    def forget(self) -> None:
        """Have the next step depend on the state alone, as the first one does. Collective."""
        self.ts.restartStep()

    def rehearse(self) -> None:
        """See `Landing.rehearse`: PETSc asks for its options when it first needs them."""
        if self.given:
            snes = self.ts.getSNES()
            for part in (self.ts, snes, snes.getKSP()):
                part.monitorCancel()  # what they print is for the run itself
            self._step(self.time + self.next_step)

    def largest(self) -> float:
        """Largest absolute value of the solution. Collective."""
        return float(self.solution.norm(PETSc.NormType.NORM_INFINITY))

    def preconditioner(self) -> str:
        """The one that was used, as PETSc calls it: "lu petsc", "lu mumps", "hypre boomeramg", "gamg", ..."""
        pc = self.ts.getSNES().getKSP().getPC()
        kind = pc.getType()
        if kind in ("lu", "cholesky"):
            return f"{kind} {pc.getFactorSolverType() or ''}".rstrip()
        return f"{kind} {pc.getHYPREType()}" if kind == "hypre" else str(kind)

    def statistics(self) -> dict[str, int]:
        """Counts since the beginning."""
        return {
            "steps": self.ts.getStepNumber(),
            "rejected_steps": self.ts.getStepRejections() + self.refused,
            "failed_solves": self.ts.getSNESFailures(),
            "evaluations": self.evaluations,
            "linear_solves": self.solves,
            "linear_iterations": self.iterations,
            "linear_iterations_max": self.most_iterations,
        }

    def mend(self, b: PETSc.Vec, x: PETSc.Vec) -> None:
        """Called after every linear solve J x = b, to make up for what an inexact one has missed. Collective."""

    def _before_solve(self, ksp: PETSc.KSP, b: PETSc.Vec, x: PETSc.Vec) -> None:
        self.solve_began = time.perf_counter()

    def _after_solve(self, ksp: PETSc.KSP, b: PETSc.Vec, x: PETSc.Vec) -> None:
        self.mend(b, x)
        self.solves += 1
        self.iterations += ksp.getIterationNumber()
        self.most_iterations = max(self.most_iterations, ksp.getIterationNumber())
        self.solving += time.perf_counter() - self.solve_began

    def _configure(self, chosen: dict[str, Any]) -> None:
        """Read PETSc's options; those chosen here are in its database only meanwhile."""
        prefix, database = self.prefix, PETSc.Options(self.prefix)
        if taken := [key for key in OWNED if database.hasName(key)]:
            raise InputError(f"-{prefix}{taken[0]}: is set by kinlim itself; the study says how far and how exactly")
        everything = PETSc.Options().getAll()
        self.dirk = str(everything.get(f"{prefix}ts_dirk_type", chosen.get("ts_dirk_type", "es...")))
        self.given = {key.removeprefix(prefix): value for key, value in everything.items() if key.startswith(prefix)}
        if "snes_mf" in self.given:
            raise InputError(
                f"-{prefix}snes_mf: kinlim needs the Jacobian that PETSc would not ask for; stepping = 'explicit' "
                "needs no matrix"
            )
        other = OF_ONE if self.given.get("pc_type", chosen["pc_type"]) != chosen["pc_type"] else ()
        self.ours = {
            key: value for key, value in chosen.items() if not (database.hasName(key) or key.startswith(other))
        }
        for key, value in self.ours.items():
            database[key] = value
        try:
            self.ts.setFromOptions()
        except PETSc.Error as error:
            raise InputError(
                f"PETSc does not accept the options that begin with -{prefix} (its error {error.ierr}): " + self.options
            ) from error
        finally:
            for key in self.ours:
                database.delValue(key)

    @property
    def options(self) -> str:
        """PETSc's options as the user has given them after --, for the record."""
        return self._written(self.given)

    @property
    def chosen(self) -> str:
        """PETSc's options that were set here: of `DEFAULTS` and the problem's, those that the user's leave in place."""
        return self._written(self.ours)

    def _written(self, options: dict[str, Any]) -> str:
        """Options as on a command line."""
        words = ((key, "" if value is None else str(value)) for key, value in options.items())
        return " ".join(f"-{self.prefix}{key} {value}".rstrip() for key, value in words)

    @property
    def size(self) -> int:
        """Degrees of freedom, on all ranks together."""
        return int(self.solution.getSize())

    def _refuse_unknown(self) -> None:
        """Raise InputError if the user has given an option that nothing has asked for after a step."""
        if unknown := [key for key in self.given if not option_used(f"{self.prefix}{key}")]:
            for key in unknown:  # PETSc need not say it again when it ends
                PETSc.Options(self.prefix).delValue(key)
            raise InputError(
                f"-{self.prefix}{unknown[0]}: no part of PETSc that this solution uses knows this option; "
                "-help after -- lists what there is"
            )

    def _step(self, until: float) -> None:
        ts, step = self.ts, self.length(until)
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
                f"the time integration stopped at t = {self.time:.6g} of {until:.6g}: {what}; {self.remedy}"
            ) from error
        reason = ts.getConvergedReason()
        if reason < 0:
            raise RunError(
                f"the time integration stopped at t = {self.time:.6g} of {until:.6g}: {_words(reason)} "
                f"(step {ts.getTimeStep():.3g}, {ts.getStepRejections()} rejected, {ts.getSNESFailures()} failed "
                f"solves); a finer mesh or a larger rtol may help, -{self.prefix}ts_monitor after -- shows the steps"
            )
        self.refused_in_a_row = 0
        if not self.known:
            self._refuse_unknown()
            self.known = True
        self.stepped(step, ts.getTime(), ts.getTimeStep(), until)
        if self.time == until:
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Destroy the PETSc objects; see `kinlim.parallel.release`."""
        release(error, self.ts.comm, self.ts, self.jacobian, self.solution, self.accepted, self.tolerance)


def _words(reason: int) -> str:
    """PETSc's reason in words."""
    names = {value: name for name, value in vars(PETSc.TS.ConvergedReason).items() if isinstance(value, int)}
    words = {
        "DIVERGED_NONLINEAR_SOLVE": "a nonlinear solve failed however small the step",
        "DIVERGED_STEP_REJECTED": "the step was rejected too often",
    }
    name = names.get(reason, str(reason))
    return words.get(name, f"PETSc's reason is {name}")
