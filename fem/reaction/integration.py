"""Time integration of the kinetic system by PETSc TS, with linear solves of its own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from petsc4py import PETSc

from kinlim.fem.multigrid import LINEAR
from kinlim.fem.reaction.elimination import Elimination
from kinlim.fem.reaction.system import KineticSystem
from kinlim.fem.reaction.twolevel import Flights, TwoLevel
from kinlim.fem.stepper import Stepper

Array = NDArray[np.float64]

Solver = Elimination | TwoLevel
"""What PETSc's preconditioner does: in dimension 1 the exact solution, otherwise an approximate one for GMRES."""


class KineticStepper(Stepper):
    """A `Stepper` for the kinetic system, on the ranks that share its velocities."""

    def __init__(
        self,
        system: KineticSystem,
        u: Array,
        sizes: tuple[float, float],
        *,
        rtol: float,
        start: float,
        first_step: float,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Set up PETSc. Collective.

        Args:
            system: the equations, with velocities shared among ranks or not.
            u: the unknowns at the start, this rank's.
            sizes: of f/chi1 and of g/chi2.
            rtol: error allowed per step, relative to these sizes.
            start: its time.
            first_step: size of the first step tried.
            options: PETSc options that go before the defaults.

        Raises:
            InputError: a PETSc option has no meaning.
        """
        self.system = system
        plane = system.mesh.dimension > 1
        self.flights = (Flights(system.mesh, system.v_f.v), Flights(system.mesh, system.v_g.v)) if plane else None
        solution = PETSc.Vec().createMPI((system.size, None), comm=system.comm)
        solution.array[:] = u
        tolerance = solution.duplicate()
        tolerance.array[:] = np.repeat(np.array(sizes) * rtol, system.size // 2)
        jacobian = PETSc.Mat().createPython(2 * [solution.sizes], self, comm=system.comm)
        jacobian.setUp()
        super().__init__(
            solution,
            tolerance,
            jacobian,
            rtol=rtol,
            start=start,
            first_step=first_step,
            prefix="kinetic_",
            options=self._linear(rtol) | (options or {}),
            remedy="more cells or a smaller rtol may help",
        )
        self.ts.getSNES().getKSP().getPC().setPythonContext(self)

    def joined(self) -> Array:
        """The unknowns at the time reached, see `KineticSystem.joined`. Collective."""
        return self.system.joined(np.array(self.solution.array_r))

    def preconditioner(self) -> str:
        """The one that was used: kinlim's own, unless PETSc's options chose another."""
        used = super().preconditioner()
        return (Elimination if self.flights is None else TwoLevel).NAME if used == "python" else used

    def mend(self, b: PETSc.Vec, x: PETSc.Vec) -> None:
        """Make up for what GMRES misses of the mass: its rate is 0 for the exact solution."""
        if self.flights is None:
            return
        system, values = self.system, x.array_w
        exact = system.mass_difference(b.array_r) / (self.shift * system.epsilon**2)
        missing = (exact - system.mass_difference(values)) / 2
        if np.isfinite(missing):
            f, g = system.split(values)
            f.e[:] += missing
            g.e[:] -= missing

    def take(self) -> None:
        """Nothing to do: `joined` looks at the solution itself."""

    def residual_at(self, ts: PETSc.TS, t: float, x: PETSc.Vec, x_t: PETSc.Vec, out: PETSc.Vec) -> None:
        """epsilon^2 u' - rates(u)."""
        values = out.array_w
        with np.errstate(all="ignore"):  # of what is no number, the step loop takes care
            self.system.rates(x.array_r, values)
            np.subtract(self.system.epsilon**2 * x_t.array_r, values, values)

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
        """Factorise shift dF/du' + dF/du."""
        self.shift, self.at = shift, np.array(x.array_r)
        self.solver = self._factorised(shift)
        preconditioner.assemble()
        return True

    def mult(self, matrix: PETSc.Mat, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """The Jacobian, as PETSc asks for it."""
        values = y.array_w
        self.system.derivative(self.at, x.array_r, values)
        np.subtract(self.shift * self.system.epsilon**2 * x.array_r, values, values)

    def apply(self, preconditioner: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Its inverse, as PETSc asks for it."""
        self.solver.solve(x.array_r, y.array_w)

    def _factorised(self, shift: float) -> Solver:
        if self.flights is None:
            return Elimination(self.system, self.at, shift)
        return TwoLevel(self.system, self.at, shift, self.flights)

    def _linear(self, rtol: float) -> dict[str, Any]:
        """PETSc options for the linear solver."""
        if self.flights is None:
            return {"ksp_type": "preonly", "pc_type": "python"}
        # Flexible GMRES keeps what the preconditioner made of each vector, where GMRES would ask once more in the end.
        return {"pc_type": "python", "ksp_type": "fgmres", "ksp_rtol": LINEAR * rtol, "ksp_atol": 0}
