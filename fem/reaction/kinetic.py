"""The kinetic side of a reaction study: the system (9) at its epsilon, in dimension 1 or 2, as a labelled dataset."""

import time

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.checkpoint import State
from kinlim.errors import InputError, RunError
from kinlim.fem.integrate import integrate
from kinlim.fem.reaction.balances import INTEGRALS, integrands
from kinlim.fem.reaction.integration import KineticStepper
from kinlim.fem.reaction.observations import dataset
from kinlim.fem.reaction.system import KineticSystem
from kinlim.keeper import Keeper
from kinlim.models.reaction.tables import KineticSettings, ReactionStudy
from kinlim.parallel import on_root
from kinlim.provenance import provenance
from kinlim.study import dump

Array = NDArray[np.float64]

LAYER = 0.1
"""First step tried, in the time that the fastest reaction takes: data out of equilibrium change in that time."""

FIRST_STEP = 1e-3
"""The longest one, as a fraction of the whole time."""

COUNTS = ("steps", "rejected_steps", "failed_solves", "linear_solves", "linear_iterations")


def check(study: ReactionStudy, comm: MPI.Comm) -> None:
    """Raise InputError on all ranks if the kinetic system of a study cannot be made. Collective."""
    on_root(comm, lambda: _check(study))


def _check(study: ReactionStudy) -> None:
    system = KineticSystem.of(study.model, _settings(study))
    with _stepper(study, system, _Run.fresh(system, system.initial(study.model))) as stepper:
        stepper.rehearse()


def solve(
    study: ReactionStudy,
    comm: MPI.Comm = MPI.COMM_WORLD,
    *,
    keeper: Keeper | None = None,
    fixed_steps: int | None = None,
) -> xr.Dataset:
    """Solve the kinetic system of a study.

    Args:
        study: the study, which has a table [kinetic].
        comm: the ranks. Collective. They share the velocities in dimension 2. In dimension 1 rank 0 does it and the
            others wait: one eigenproblem serves all velocities.
        keeper: what to go on from, bit by bit with a one-step scheme.
        fixed_steps: of equal size, without error control, where the order in time is to be seen.

    Returns:
        The dataset of `kinlim.fem.reaction.observations`, the same on every rank.

    Raises:
        InputError: the study has no table [kinetic], chi1 or chi2 cannot be represented, or a PETSc option has no
            meaning.
        RunError: the time integration failed, or a density is no longer positive: the mesh is too coarse.
        Stopped: a signal came, and the state has been kept.
    """
    system = KineticSystem.of(study.model, _settings(study))
    with keeper or Keeper(comm) as keeper:  # signals may come to ranks that wait
        if system.mesh.dimension == 1:
            return on_root(comm, lambda: _solve(study, system, keeper.alone(), comm.size, fixed_steps))
        return _solve(study, system, keeper, comm.size, fixed_steps)


def _settings(study: ReactionStudy) -> KineticSettings:
    if study.kinetic is None:
        raise InputError("kinetic: the study has no table [kinetic], so there is no kinetic system to solve")
    return study.kinetic


def _solve(
    study: ReactionStudy, whole: KineticSystem, keeper: Keeper, ranks: int, fixed_steps: int | None
) -> xr.Dataset:
    """Solve it on the keeper's ranks; that they are all of `ranks` is for the record."""
    began, model, settings, comm = time.perf_counter(), study.model, _settings(study), keeper.comm
    system, times, kept = whole.shared(comm), model.times, keeper.found()
    start = system.initial(model)
    run = _Run.fresh(system, start) if kept is None else _Run.restored(system, kept)
    with _stepper(study, system, run, fixed_steps) as stepper:

        def after_step() -> None:
            run.note(stepper.time, integrands(system, stepper.solution.array_r))
            if not (least := system.least_density(stepper.solution.array_r)) > 0:
                raise RunError(
                    f"a density is {least:.3g} at t = {stepper.time:.6g}: kinetic.cells = {settings.cells} of degree "
                    f"{settings.degree} are too few, or kinetic.rtol = {settings.rtol:g} too coarse"
                )

        integrate(
            stepper,
            times[len(run.observed) :],
            keeper,
            label="kinetic system",
            end=float(times[-1]),
            after_step=after_step,
            observe=lambda: run.observed.append(stepper.joined()),
            state=lambda: run.checkpoint(study, stepper),
            forget=fixed_steps is None,
        )
        counts, solver, start = run.counts(stepper), stepper.about(), system.joined(start)
    seconds = time.perf_counter() - began

    def labelled() -> xr.Dataset:
        observed = np.reshape(run.observed, (len(times), whole.size))
        found = dataset(study, whole, start, observed, np.array(run.times), np.array(run.rates))
        return found.assign_attrs(counts, **solver, **provenance(ranks, 1, seconds, study=dump(study)))

    return on_root(comm, labelled)


def _stepper(
    study: ReactionStudy, system: KineticSystem, run: "_Run", fixed_steps: int | None = None
) -> KineticStepper:
    """What goes on from a state."""
    model, end = study.model, float(study.model.times[-1]) or study.model.end_time
    lo, hi = model.region
    first = min(LAYER * model.epsilon**2 / max(hi, 1 / lo), FIRST_STEP * end)
    equal = end / fixed_steps if fixed_steps else None
    return KineticStepper(
        system,
        run.u,
        (hi, 1 / lo),
        rtol=_settings(study).rtol,
        start=run.time,
        first_step=run.next_step or equal or first,
        options={} if equal is None else {"ts_adapt_type": "none"},
    )


class _Run:
    """How far a solution has come, in memory or in a checkpoint.

    Attributes:
        u: this rank's unknowns where it starts or goes on.
        time: of u.
        observed: all unknowns at the observations so far, on rank 0.
        times: 0 and the ends of all steps.
        rates: `integrands` there.
        next_step: size of the next step; None before the first.
        before: counts of steps and solves before a checkpoint.
    """

    def __init__(
        self, u: Array, observed: list[Array], times: list[float], rates: list[Array], next_step: float | None
    ) -> None:
        self.u, self.observed, self.times, self.rates, self.next_step = u, observed, times, rates, next_step
        self.time = times[-1]
        self.before = dict.fromkeys(COUNTS, 0)

    @classmethod
    def fresh(cls, system: KineticSystem, u: Array) -> "_Run":
        return cls(u, [], [0.0], [integrands(system, u)], None)

    @classmethod
    def restored(cls, system: KineticSystem, kept: State) -> "_Run":
        arrays = kept.arrays
        times = [float(t) for t in arrays["times"]]
        u, next_step = system.share(arrays["u"]), float(kept.attrs["next_step"])
        run = cls(u, list(arrays["observed"]), times, list(arrays["rates"]), next_step)
        run.before = {key: int(kept.attrs.get(key, 0)) for key in COUNTS}
        return run

    def note(self, time: float, rates: Array) -> None:
        """Note the end of a step."""
        self.times.append(time)
        self.rates.append(rates)

    def counts(self, stepper: KineticStepper) -> dict[str, int]:
        since = stepper.statistics()
        return {key: self.before[key] + since[key] for key in COUNTS}

    def checkpoint(self, study: ReactionStudy, stepper: KineticStepper) -> State:
        """What is kept, on rank 0; on the others, nothing. Collective."""
        u, counts = stepper.joined(), self.counts(stepper)
        if stepper.system.comm.rank > 0:
            return State({}, {})
        return State(
            {
                "u": u,
                "observed": np.reshape(self.observed, (len(self.observed), len(u))),
                "times": np.array(self.times),
                "rates": np.reshape(self.rates, (len(self.times), len(INTEGRALS))),
            },
            {"study": dump(study), "time": stepper.time, "next_step": stepper.next_step, **counts},
        )
