"""The limit equation of a study of generation and recombination, on the torus: m at the observation times."""

import time
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import ufl
from dolfinx import fem
from mpi4py import MPI

from kinlim.errors import InputError
from kinlim.fem.integrate import integrate
from kinlim.fem.multigrid import multigrid
from kinlim.fem.reaction.conserving import ConservingStepper
from kinlim.fem.reaction.diffusion import residual
from kinlim.fem.reaction.layer import corrected, lifetime
from kinlim.fem.reaction.limit_record import Record
from kinlim.fem.reaction.monotone import is_monotone
from kinlim.keeper import Keeper
from kinlim.meshes.torus import torus
from kinlim.models.reaction.tables import LimitEquation, ReactionStudy
from kinlim.parallel import on_root
from kinlim.provenance import provenance
from kinlim.study import dump

Array = NDArray[np.float64]

SCHEME: dict[str, Any] = {"ts_type": "rosw", "ts_rosw_type": "rodaspr2"}
"""Stiffly accurate, six linear systems with one matrix a step."""

ORDER = 4
"""Of the scheme, in fixed steps; on smooth solutions of this equation it shows up to 5."""

ROUNDING = 1e-9
"""Range of data, over their size, that cannot be told from none."""

FIRST_STEP = 1e-6
"""First step tried, as a fraction of end_time."""

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
    if (unknowns := float(settings.all_cells * settings.degree) ** dimension) > MOST_UNKNOWNS:
        raise InputError(
            f"pde.cells = {settings.all_cells} of degree {settings.degree} makes {unknowns:.3g} unknowns in dimension "
            f"{dimension}; at most {MOST_UNKNOWNS:.0e} are possible"
        )
    try:
        mesh = torus(comm, settings.all_cells, dimension, settings.shape)
    except ValueError as error:
        raise InputError(f"pde.cells = {settings.all_cells}: {error}") from None
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
    keeper: Keeper | None = None,
    fixed_steps: int | None = None,
) -> xr.Dataset:
    """Solve the limit equation of a study.

    Args:
        study: the study.
        comm: the ranks that share the mesh. Collective.
        keeper: what to go on from, on any number of ranks.
        fixed_steps: of equal size over end_time, without error control, where the order in time is to be seen.

    Returns:
        The same dataset on every rank, with (time, x[, y[, z]]): m, rho and, where the data have a flux, m_corrected,
        at points i/n; (time): mass, lowest, highest, entropy; (time, axis, part): mode. All but m_corrected are of m.

    Raises:
        InputError: the mesh or the data cannot be used, or a PETSc option has no meaning.
        RunError: the time integration failed; see `Stepper.advance`.
        Stopped: a signal came, and the state has been kept.
    """
    began, keeper = time.perf_counter(), keeper or Keeper(comm)
    space = space_of(study.pde, study.model.dimension, comm)
    initial = data(study, space)
    record = Record(study, fem.Function(space, name="m"), tuple(initial))
    first = study.model.end_time * (FIRST_STEP if fixed_steps is None else 1 / fixed_steps)
    kept = keeper.found()
    current, next_step = ("m", first) if kept is None else record.restore(kept)
    seconds, size = np.zeros(4), max(range_of(m) for m in initial.values())
    for name in tuple(initial)[tuple(initial).index(current) :]:
        if kept is None or name != current:
            record.begin(initial[name])
            next_step = first
        with _stepper(study, record, size, next_step, fixed_steps is not None) as stepper:
            seconds += _integrate(study, record, name, stepper, keeper)
            preconditioner = stepper.preconditioner()
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
            preconditioner=preconditioner,
            maximum_principle=int(has_maximum_principle(study)),
            **dict(zip(SECONDS, map(float, seconds), strict=True)),
        ),
    )
    return record.dataset().assign_attrs(attributes)


def _integrate(study: ReactionStudy, record: Record, name: str, stepper: ConservingStepper, keeper: Keeper) -> Array:
    """Integrate one solution to the end; what `SECONDS` names."""
    model, began, observing = study.model, time.perf_counter(), 0.0

    def after_step() -> None:
        record.step(name, stepper.time)

    def observe() -> None:
        nonlocal observing
        reached = time.perf_counter()
        record.observe(name, stepper.integral())
        observing += time.perf_counter() - reached

    integrate(
        stepper,
        model.times[record.taken[name] :],
        keeper,
        label="limit equation",
        end=model.times[-1] or model.end_time,
        after_step=after_step,
        observe=observe,
        state=lambda: record.checkpoint(name, stepper.next_step, _counts(stepper)),
    )
    record.before = record.count(_counts(stepper))
    other = time.perf_counter() - began - observing - stepper.assembling - stepper.solving
    return np.array([stepper.assembling, stepper.solving, other, observing])


def _stepper(study: ReactionStudy, record: Record, size: float, first_step: float, fixed: bool) -> ConservingStepper:
    """The time integration from where `record` is. Collective."""
    model, settings, u = study.model, study.pde, record.u
    space, mesh = u.function_space, u.function_space.mesh
    D1, D2 = (fem.Constant(mesh, D) for D in model.diffusion)
    u_t = fem.Function(space, name="m_t")
    dx = measures(settings)
    return ConservingStepper(
        residual(u, u_t, ufl.TestFunction(space), D1, D2, dx.flux, dx.mass),
        u,
        u_t,
        rtol=0.0,
        atol=np.array([settings.rtol * size]),
        start=record.time,
        first_step=first_step,
        prefix="pde_",
        options=options(settings, model.dimension) | ({"ts_adapt_type": "none"} if fixed else {}),
    )


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
    return SCHEME if dimension == 1 else SCHEME | multigrid(dimension, settings.degree, settings.rtol)


def _counts(stepper: ConservingStepper) -> dict[str, int]:
    return stepper.statistics() | {
        "linear_solves": stepper.solves,
        "linear_iterations": stepper.iterations,
        "linear_iterations_max": stepper.most_iterations,
    }
