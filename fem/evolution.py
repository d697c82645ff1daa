"""The side of an equation: mesh and elements, the weak form in time, what is observed, and errors under refinement.

One driver serves every `kinlim.Equation`: it lands on the observation times, says how far it has come, heeds signals,
keeps states from which any number of ranks can go on, and labels what it found.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.base import Study
from kinlim.equation import Equation, MeshSettings
from kinlim.fem import vtx
from kinlim.fem.integrate import integrate
from kinlim.fem.problem import Problem
from kinlim.fem.record import Record
from kinlim.fem.timestepper import TimeStepper
from kinlim.keeper import Keeper
from kinlim.model import Drawable, Refereed, Refined
from kinlim.parallel import on_root
from kinlim.provenance import provenance
from kinlim.study import dump

Array = NDArray[np.float64]

FIRST_STEP = 1e-6
"""First step tried, as a fraction of the whole time."""


COARSEST = 4
"""Cells along an axis of the coarsest mesh that tells how a solution goes in time."""


class EquationMaker(Refined, Drawable, Refereed):
    """What makes the dataset of `kinlim.Evolution`.

    Attributes:
        stepper: class of the time integration.
    """

    stepper: type[TimeStepper] = TimeStepper

    def __init__(self, equation: Callable[[Study], Equation], table: str, file: str) -> None:
        """Of an equation made for a study, whose settings are in a table."""
        self.equation, self.table, self.name = equation, table, Path(file).stem
        self.prefix = f"{self.name}_"

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """Build everything but the solution: mesh, data, forms and the time stepper. Collective.

        Where there are options for PETSc, the first step is made, too: only then is it seen that one has no meaning.

        Raises:
            InputError: a part is missing, fails, or gives something that cannot be used.
            RunError: there are options, and the first step fails.
        """
        problem = self.problem(study, comm)
        problem.check_form()
        Record(problem)
        with problem.stepper(_horizon(study) * FIRST_STEP) as stepper:
            stepper.rehearse()

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """Solve: with (time, x[, y[, z]]) each unknown at the points of the grid, or its means over the bins.

        The same dataset on every rank. With (time): NAME_lowest and NAME_highest at the nodes, and what is conserved;
        in one dimension frame_NAME(frame, point), for pictures.

        Raises:
            InputError: `check` would have said so; or the kept state is of another mesh.
            RunError: the time integration failed; see `TimeStepper.advance`.
            Stopped: a signal came, and the state has been kept.
        """
        return self.solve(study, keeper)

    def solve(self, study: Study, keeper: Keeper, fixed_steps: int | None = None) -> xr.Dataset:
        """The same; with `fixed_steps` of equal size, without error control."""
        began = time.perf_counter()
        problem = self.problem(study, keeper.comm)
        record, end = Record(problem), float(study.model.times[-1])
        why = problem.way.why  # before a kept state takes the place of the data
        first_step = _horizon(study) * (FIRST_STEP if fixed_steps is None else 1 / fixed_steps)
        if (kept := keeper.found()) is None:
            record.begin()
        else:
            first_step = record.restore(kept)
        with problem.stepper(first_step, record.time, fixed=fixed_steps is not None) as stepper:
            ready = time.perf_counter()
            integrate(
                stepper,
                study.model.times[record.taken :],
                keeper,
                label=self.name,
                end=end,
                after_step=lambda: record.step(stepper),
                observe=lambda: record.observe(stepper),
                state=lambda: record.state(stepper),
                forget=fixed_steps is None,
            )
            counts, solver = record.counts(stepper), stepper.about()
            seconds = {"seconds_assembly": stepper.assembling, "seconds_solver": stepper.solving}
        ended = time.perf_counter()
        about = on_root(
            keeper.comm,
            lambda: provenance(
                keeper.comm.size, 1, ended - began, study=dump(study), stepping_seconds=ended - ready,
                **solver, **({"stepping": why} if why else {}), **seconds, **counts,
                linear_iterations_mean=counts["linear_iterations"] / max(counts["linear_solves"], 1),
            ),
        )  # fmt: skip
        return record.dataset().assign_attrs(about)

    def converge(self, study: Study, comm: MPI.Comm) -> xr.Dataset:
        """See `kinlim.fem.evolution_refinement.converge`."""
        from kinlim.fem.evolution_refinement import converge

        return converge(self, study, comm)

    def known(self, study: Study, comm: MPI.Comm) -> Iterator[Mapping[str, Any]]:
        """Errors on known solutions, rows of "manufactured" and "time": see `kinlim.validation.convergence.judge`."""
        from kinlim.fem.evolution_refinement import made_up_errors

        yield from made_up_errors(self, study, comm)

    def about(self, study: Study) -> Mapping[str, Any]:
        """Attributes of errors under refinement, besides the general ones."""
        return {}

    def better(self, study: Study) -> Mapping[str, Study]:
        """Every cell halved; a tenth of the tolerance, or ten times it where a study may not ask for less."""
        settings: MeshSettings = getattr(study, self.table)
        rtol = settings.rtol
        return {
            "mesh": study.vary(self.table, refinements=settings.refinements + 1),
            "steps": study.vary(self.table, rtol=rtol / 10 if rtol >= 1e-11 else 10 * rtol),
        }

    def coarser(self, study: Study) -> Study | None:
        """Half of the cells along each axis, which a mesh from a file has only if it is refined."""
        settings: MeshSettings = getattr(study, self.table)
        if settings.refinements:
            return study.vary(self.table, refinements=settings.refinements - 1)
        cells = max(settings.cells // 2, COARSEST)
        return None if settings.mesh or cells >= settings.cells else study.vary(self.table, cells=cells)

    def refereeable(self, study: Study, comm: MPI.Comm) -> None:
        """Raise InputError if the equation is not on the torus, or has no strong form. Collective."""
        from kinlim.fem.fourier import Fourier

        Fourier(self.problem(study, comm))

    def referee(self, study: Study, solution: xr.Dataset, comm: MPI.Comm) -> xr.Dataset:
        """See `kinlim.fem.fourier`; rank 0 alone solves. Collective."""
        from kinlim.fem.fourier import judged

        problem = self.problem(study, comm)
        return on_root(comm, lambda: judged(problem, solution))

    def paraview(self, dataset: xr.Dataset, path: Path) -> None:
        """Write the fields: on the mesh's nodes, with its degree, if these are there; otherwise linear on the grid."""
        write = vtx.write_nodes if "node_x" in dataset.coords else vtx.write_grid
        write(dataset, tuple(str(dataset.attrs.get("fields", dataset.attrs["unknowns"])).split()), path)

    def problem(self, study: Study, comm: MPI.Comm) -> "Problem":
        """The equation of a study on its mesh. Collective."""
        return Problem(self.equation, study, getattr(study, self.table), comm, self.prefix, self.table, self.stepper)


def _horizon(study: Study) -> float:
    """The time of the last observation, or the end if there is none after time 0."""
    return float(study.model.times[-1]) or study.model.end_time
