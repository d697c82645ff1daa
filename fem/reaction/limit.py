"""The limit equation of a study of generation and recombination, on the torus: m at the observation times."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import ufl
from dolfinx import fem
from mpi4py import MPI
from petsc4py import PETSc

from kinlim.checkpoint import State
from kinlim.errors import InputError, Stopped
from kinlim.fem.reaction.conserving import ConservingStepper
from kinlim.fem.reaction.diffusion import residual
from kinlim.fem.reaction.layer import corrected, lifetime
from kinlim.fem.reaction.limit_record import Record
from kinlim.fem.reaction.monotone import is_monotone
from kinlim.meshes.torus import torus
from kinlim.models.reaction.tables import LimitEquation, ReactionStudy
from kinlim.parallel import on_root
from kinlim.progress import Meter
from kinlim.provenance import provenance
from kinlim.signals import StopRequests
from kinlim.study import dump

Array = NDArray[np.float64]

SCHEME: dict[str, Any] = {"ts_type": "rosw", "ts_rosw_type": "rodaspr2"}
"""Stiffly accurate, six linear systems with one matrix a step."""

ORDER = 4
"""Of the scheme, in fixed steps; on smooth solutions of this equation it shows up to 5."""

HYPRE: dict[str, Any] = {
    "pc_type": "hypre",
    "pc_hypre_type": "boomeramg",
    "pc_hypre_boomeramg_agg_nl": 1,
    "pc_hypre_boomeramg_coarsen_type": "HMIS",
    "pc_hypre_boomeramg_interp_type": "ext+i",
    "pc_hypre_boomeramg_P_max": 4,
    "pc_hypre_boomeramg_strong_threshold": 0.5,
}
"""Multigrid in dimension 2 and 3, where PETSc has hypre; on each level, sweeps of a smoother as many as the degree."""

GAMG: dict[str, Any] = {
    "pc_type": "gamg",
    "pc_gamg_agg_nsmooths": 0,
    "pc_gamg_aggressive_coarsening": 0,
    "pc_gamg_reuse_interpolation": "true",
    "mg_levels_ksp_type": "richardson",
    "mg_levels_ksp_max_it": 1,
    "mg_levels_pc_type": "bjacobi",
}
"""PETSc's own multigrid elsewhere: plain aggregation, once for all steps, and ILU(0) as smoother.

Smoothed aggregation takes three times as many iterations for P2 in the plane.
"""

CYCLE = {2: "w", 3: "v"}
"""Of PETSc's own multigrid, by dimension: the W-cycle takes fewer iterations on fine meshes of the plane."""

LINEAR = 1e-2
"""Relative residual of linear solvers over rtol."""

ROUNDING = 1e-9
"""Range of data, over their size, that cannot be told from none."""

FIRST_STEP = 1e-6
"""First step tried, as a fraction of end_time."""

KEEP_EVERY = 60.0
"""Seconds between checkpoints."""

MOST_UNKNOWNS = 10**9
"""Of a mesh."""

SECONDS = ("seconds_assembly", "seconds_solver", "seconds_other", "seconds_observing")
"""Where the time goes: other is Python and PETSc's vector operations, observing is evaluating m for the dataset."""

AT_ONCE = 1024
"""Nodes whose initial data are integrated over velocities at a time."""


class Measures(NamedTuple):
    """Quadrature: `flux` for what has D in it, `mass` for the time derivative."""

    flux: ufl.Measure
    mass: ufl.Measure


def measures(settings: LimitEquation) -> Measures:
    """Quadrature that keeps the order p + 1: of degree 2p - 1 on simplices, Gauss with p + 1 points an axis on boxes.

    The mass is exact, or lumped by the vertex rule.
    """
    p = settings.degree
    flux = ufl.dx(metadata={"quadrature_degree": 2 * p - 1 if settings.shape == "simplex" else 2 * p})
    vertices = {"quadrature_rule": "vertex", "quadrature_degree": 1}
    return Measures(flux, ufl.dx(metadata=vertices if settings.lumped else {"quadrature_degree": 2 * p}))


def space_of(settings: LimitEquation, dimension: int, comm: MPI.Comm) -> fem.FunctionSpace:
    """Lagrange elements on the torus. Collective.

    Raises:
        InputError: the mesh is too large, or has fewer cells than ranks.
    """
    if (unknowns := float(settings.cells * settings.degree) ** dimension) > MOST_UNKNOWNS:
        raise InputError(
            f"pde.cells = {settings.cells} of degree {settings.degree} makes {unknowns:.3g} unknowns in dimension "
            f"{dimension}; at most {MOST_UNKNOWNS:.0e} are possible"
        )
    try:
        mesh = torus(comm, settings.cells, dimension, settings.shape)
    except ValueError as error:
        raise InputError(f"pde.cells = {settings.cells}: {error}") from None
    return fem.functionspace(mesh, ("Lagrange", settings.degree))


def check(study: ReactionStudy, comm: MPI.Comm) -> None:
    """Raise InputError where the mesh or the data at its nodes cannot be used. Collective."""
    data(study, space_of(study.pde, study.model.dimension, comm))


def data(study: ReactionStudy, space: fem.FunctionSpace) -> dict[str, fem.Function]:
    """Data at time 0: m, and m_corrected if the data have a flux, see `kinlim.fem.reaction.layer`. Collective.

    Raises:
        InputError: f0 or g0 is not finite at a node (on all ranks).
        RunError: the correction could not be computed.
    """
    model, comm = study.model, space.mesh.comm
    x = space.tabulate_dof_coordinates()[:, : model.dimension] % 1.0
    problem, moments = None, []
    try:
        for part in np.array_split(x, max(1, -(-len(x) // AT_ONCE))):
            moments.append(model.initial(part))
    except InputError as error:
        problem = InputError(f"model.{error}")
    for found in comm.allgather(problem):
        if found is not None:
            raise found
    rho_f, rho_g, flux_f, flux_g = (np.concatenate(parts) for parts in zip(*moments, strict=True))
    m = fem.Function(space, name="m")
    m.x.array[:] = rho_f - rho_g
    shift = lifetime(rho_f, rho_g)[:, None] * flux_f - lifetime(rho_g, rho_f)[:, None] * flux_g
    size = comm.allreduce(max(np.abs(flux_f).max(initial=0), np.abs(flux_g).max(initial=0)), MPI.MAX)
    if size <= ROUNDING:
        return {"m": m}
    return {"m": m, "m_corrected": corrected(m, model.epsilon * shift, measures(study.pde).mass)}


def solve(
    study: ReactionStudy,
    comm: MPI.Comm = MPI.COMM_WORLD,
    *,
    checkpoint: State | None = None,
    keep: Callable[[State], None] | None = None,
    fixed_steps: int | None = None,
) -> xr.Dataset:
    """Solve the limit equation of a study.

    Args:
        study: the study.
        comm: the ranks that share the mesh. Collective.
        checkpoint: go on from here, on any number of ranks.
        keep: called on rank 0 with a checkpoint now and then, and when SIGTERM or SIGUSR1 asks for the end.
        fixed_steps: of equal size over end_time, without error control, where the order in time is to be seen.

    Returns:
        The same dataset on every rank, with (time, x[, y[, z]]): m, rho and, where the data have a flux, m_corrected,
        at points i/n; (time): mass, lowest, highest, entropy; (time, axis, part): mode. All but m_corrected are of m.

    Raises:
        InputError: the mesh or the data cannot be used, or a PETSc option has no meaning.
        RunError: the time integration failed; see `Stepper.advance`.
        Stopped: a signal came, and `keep` has been called.
    """
    began = time.perf_counter()
    space = space_of(study.pde, study.model.dimension, comm)
    initial = data(study, space)
    u = fem.Function(space, name="m")
    record = Record(study, u, tuple(initial))
    current, first_step = "m", study.model.end_time * (FIRST_STEP if fixed_steps is None else 1 / fixed_steps)
    resumed = checkpoint is not None
    if checkpoint is not None:
        current, first_step = record.restore(checkpoint)
    seconds, size = np.zeros(4), max(range_of(m) for m in initial.values())
    for name in tuple(initial)[tuple(initial).index(current) :]:
        if not resumed:
            u.x.array[:] = initial[name].x.array
            record.time = 0.0
        run = _Integration(study, record, name, size, first_step, fixed_steps, keep)
        seconds += run()
        resumed, first_step = False, study.model.end_time * (FIRST_STEP if fixed_steps is None else 1 / fixed_steps)
    counts = record.before
    attributes = on_root(
        comm,
        lambda: provenance(
            comm.size,
            1,
            time.perf_counter() - began,
            study=dump(study),
            **{key: counts[key] for key in ("steps", "rejected_steps", "failed_solves", "linear_solves")},
            linear_iterations_mean=counts["linear_iterations"] / max(counts["linear_solves"], 1),
            linear_iterations_max=counts["linear_iterations_max"],
            preconditioner=run.preconditioner,
            maximum_principle=int(has_maximum_principle(study)),
            **dict(zip(SECONDS, map(float, seconds), strict=True)),
        ),
    )
    return record.dataset().assign_attrs(attributes)


def has_maximum_principle(study: ReactionStudy) -> bool:
    """Whether the semi-discrete equation keeps m between its bounds by theory: see `kinlim.fem.reaction.monotone`."""
    settings = study.pde
    degree = measures(settings).flux.metadata()["quadrature_degree"]
    return settings.lumped and all(is_monotone(settings.shape, D, degree) for D in study.model.diffusion)


def range_of(m: fem.Function) -> float:
    """What errors in time are relative to: the range of the data, which only shrinks. Collective."""
    here, comm = m.x.array, m.function_space.mesh.comm
    lowest = comm.allreduce(here.min(initial=np.inf), MPI.MIN)
    highest = comm.allreduce(here.max(initial=-np.inf), MPI.MAX)
    return float(max(highest - lowest, ROUNDING * max(1.0, abs(lowest), abs(highest))))


def options(settings: LimitEquation, dimension: int) -> dict[str, Any]:
    """PETSc options: a direct solver in dimension 1, GMRES with algebraic multigrid beyond.

    The matrix is not symmetric, since D depends on m. Short steps leave little more than the mass, whose condition
    rises with the degree: hypre's smoother sweeps as often.
    """
    if dimension == 1:
        return SCHEME
    if PETSc.Sys.hasExternalPackage("hypre"):
        multigrid = HYPRE | {"pc_hypre_boomeramg_grid_sweeps_all": settings.degree}
    else:
        multigrid = GAMG | {"pc_mg_cycle_type": CYCLE[dimension]}
    return SCHEME | multigrid | {"ksp_type": "gmres", "ksp_rtol": LINEAR * settings.rtol}


class _Integration:
    """One solution, from where `record` is to the end."""

    def __init__(
        self,
        study: ReactionStudy,
        record: Record,
        name: str,
        size: float,
        first_step: float,
        fixed_steps: int | None,
        keep: Callable[[State], None] | None,
    ) -> None:
        self.study, self.record, self.name, self.keep = study, record, name, keep
        self.comm = record.u.function_space.mesh.comm
        self.kept, self.size = time.monotonic(), size
        self.first_step, self.fixed, self.preconditioner = first_step, fixed_steps is not None, ""

    def __call__(self) -> Array:
        """Integrate; what `SECONDS` names."""
        model, record, comm = self.study.model, self.record, self.comm
        end = model.times[-1] or model.end_time
        with (
            StopRequests() as requests,
            self._stepper() as stepper,
            Meter("limit equation", comm.rank == 0, begun=record.time / end) as meter,
        ):
            began, observing = time.perf_counter(), 0.0

            def after_step() -> bool:
                record.time = stepper.time
                meter(stepper.time / end)
                wanted = requests.received or (self.keep is not None and time.monotonic() - self.kept > KEEP_EVERY)
                return bool(comm.allreduce(wanted)) if comm.size > 1 else wanted

            for moment in model.times[record.taken[self.name] :]:
                while not stepper.advance(moment, after_step):
                    self._keep(stepper)
                    if comm.allreduce(requests.received):
                        raise Stopped(
                            f"stopped by a signal at t = {stepper.time:.6g} of {end:.6g}"
                            + ("; a checkpoint is written, --resume goes on from it" if self.keep is not None else "")
                        )
                reached = time.perf_counter()
                record.observe(self.name, stepper.integral())
                observing += time.perf_counter() - reached
            whole = time.perf_counter() - began - observing
            record.before = record.count(_counts(stepper))
            self.preconditioner = stepper.preconditioner()
            other = whole - stepper.assembling - stepper.solving
            return np.array([stepper.assembling, stepper.solving, other, observing])

    def _keep(self, stepper: ConservingStepper) -> None:
        if self.keep is not None:
            state = self.record.checkpoint(self.name, stepper.next_step, _counts(stepper))
            on_root(self.comm, lambda: self.keep(state) if self.keep is not None else None)
            self.kept = time.monotonic()

    def _stepper(self) -> ConservingStepper:
        model, settings, u = self.study.model, self.study.pde, self.record.u
        space, mesh = u.function_space, u.function_space.mesh
        D1, D2 = (fem.Constant(mesh, D) for D in model.diffusion)
        u_t = fem.Function(space, name="m_t")
        dx = measures(settings)
        return ConservingStepper(
            residual(u, u_t, ufl.TestFunction(space), D1, D2, dx.flux, dx.mass),
            u,
            u_t,
            rtol=0.0,
            atol=np.array([settings.rtol * self.size]),
            start=self.record.time,
            first_step=self.first_step,
            prefix="pde_",
            options=options(settings, model.dimension) | ({"ts_adapt_type": "none"} if self.fixed else {}),
        )


def _counts(stepper: ConservingStepper) -> dict[str, int]:
    return stepper.statistics() | {
        "linear_solves": stepper.solves,
        "linear_iterations": stepper.iterations,
        "linear_iterations_max": stepper.most_iterations,
    }
