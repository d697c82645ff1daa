"""Time integration of an equation that conserves the integral of its unknown, with iterative linear solvers."""

from typing import Any, ClassVar

import numpy as np

from petsc4py import PETSc

from kinlim.fem.timestepper import TimeStepper
from kinlim.parallel import release


class ConservingStepper(TimeStepper):
    """A `TimeStepper` whose linear solves, however inexact, change no integral.

    The test function 1 makes the sum of all equations shift times the integral of the unknown alone. After each solve
    of J x = b, a constant is added to x, so that the residual has the sum 0 that the exact solution's has.

    Attributes:
        weights: integrals of the basis functions, so that weights.u = int u.
    """

    REMEDY: ClassVar[str] = "a finer mesh or a smaller rtol may help"

    def __init__(self, *args: Any, **options: Any) -> None:
        """As for `TimeStepper`. Collective."""
        super().__init__(*args, **options)
        self.weights = self.solution.duplicate()
        self._weigh()
        self.volume = self.weights.sum()

    def __exit__(self, *stopped: Any) -> None:
        """Destroy the PETSc objects; see `kinlim.parallel.release`."""
        release(stopped[1], self.ts.comm, self.weights)
        super().__exit__(*stopped)

    def mend(self, b: PETSc.Vec, x: PETSc.Vec) -> None:
        """Add the constant."""
        missing = b.sum() - float(self.shift.value) * self.weights.dot(x)
        if np.isfinite(missing):
            x.shift(missing / (float(self.shift.value) * self.volume))

    def _weigh(self) -> None:
        """Int phi_i is what u_t = 1 adds to the residual, at u = 0 so that a restart finds the same bits."""
        kept = self.u.x.array.copy()
        self.u.x.array[:] = 0.0
        self.u_t.x.array[:] = 1.0
        self.weights.array[:] = self._assemble(self.forms[0])
        self.u_t.x.array[:] = 0.0
        self.weights.array[:] -= self._assemble(self.forms[0])
        self.u.x.array[:] = kept
