"""Time integration of an equation that conserves the integral of its unknown, with iterative linear solvers."""

import time
from typing import Any, ClassVar

import numpy as np

from petsc4py import PETSc

from kinlim.fem.timestepper import TimeStepper


class ConservingStepper(TimeStepper):
    """A `TimeStepper` whose linear solves, however inexact, change no integral; it counts and times them.

    The test function 1 makes the sum of all equations shift times the integral of the unknown alone. After each solve
    of J x = b, a constant is added to x, so that the residual has the sum 0 that the exact solution's has.

    Attributes:
        weights: integrals of the basis functions, so that weights.u = int u.
        solving: seconds in linear solvers.
        solves: linear systems solved.
        iterations: of the linear solver, in all.
        most_iterations: in one solve.
    """

    REMEDY: ClassVar[str] = "a finer mesh or a smaller rtol may help"

    def __init__(self, *args: Any, **options: Any) -> None:
        """As for `TimeStepper`. Collective."""
        super().__init__(*args, **options)
        self.solving, self.solves, self.iterations, self.most_iterations, self.began = 0.0, 0, 0, 0, 0.0
        self.weights = self.solution.duplicate()
        self._weigh()
        self.volume = self.weights.sum()
        ksp = self.ts.getSNES().getKSP()
        ksp.setPreSolve(self._before_solve)
        ksp.setPostSolve(self._after_solve)

    def integral(self) -> float:
        """The integral of u, as the equation conserves it. Collective."""
        return float(self.weights.dot(self.solution))

    def __exit__(self, *stopped: Any) -> None:
        """Destroy the PETSc objects. Collective."""
        self.weights.destroy()
        super().__exit__(*stopped)

    def _weigh(self) -> None:
        """Int phi_i is what u_t = 1 adds to the residual, at u = 0 so that a restart finds the same bits."""
        kept = self.u.x.array.copy()
        self.u.x.array[:] = 0.0
        self.u_t.x.array[:] = 1.0
        self.weights.array[:] = self._assemble(self.forms[0])
        self.u_t.x.array[:] = 0.0
        self.weights.array[:] -= self._assemble(self.forms[0])
        self.u.x.array[:] = kept

    def _before_solve(self, ksp: PETSc.KSP, b: PETSc.Vec, x: PETSc.Vec) -> None:
        self.began = time.perf_counter()

    def _after_solve(self, ksp: PETSc.KSP, b: PETSc.Vec, x: PETSc.Vec) -> None:
        missing = b.sum() - float(self.shift.value) * self.weights.dot(x)
        if np.isfinite(missing):
            x.shift(missing / (float(self.shift.value) * self.volume))
        self.solves += 1
        self.iterations += ksp.getIterationNumber()
        self.most_iterations = max(self.most_iterations, ksp.getIterationNumber())
        self.solving += time.perf_counter() - self.began
