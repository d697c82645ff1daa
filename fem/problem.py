"""An equation on its mesh: elements, initial data, weak form, and the time stepper that integrates it."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import basix.ufl
import ufl
from dolfinx import fem
from mpi4py import MPI
from ufl.algorithms import compute_form_data
from ufl.algorithms.check_arities import ArityMismatch

from kinlim.base import Study
from kinlim.compat import interpolation_points
from kinlim.equation import Equation, MeshSettings, Torus
from kinlim.errors import InputError
from kinlim.fem.compiled import compiled
from kinlim.fem.explicit import ExplicitStepper
from kinlim.fem.multigrid import LINEAR, multigrid
from kinlim.fem.place import Place
from kinlim.fem.timestepper import TimeStepper
from kinlim.meshes.domain import build
from kinlim.model import parts_of

Array = NDArray[np.float64]

Stepping = TimeStepper | ExplicitStepper


class Way(NamedTuple):
    """How steps are made.

    Attributes:
        explicit: whether without a matrix.
        why: a few words, if it was not asked for.
    """

    explicit: bool
    why: str


PART = 0.05
"""Of the whole time, a typical step."""

WORTHWHILE = {1: (0, 0, 0, 0, 0), 2: (28, 28, 70, 96, 96), 3: (15, 15, 70, 140, 140)}
"""Stages of an explicit step that take as long as an implicit one (bench/stepping.py).

By dimension and degree; the last number is for all higher degrees, too.
"""

BLOWN_UP = 1e4
"""Times the size of the data, beyond which an unknown is no solution."""

LEAST = 1e-11
"""Error of a step over the size of an unknown, below which rounding leaves nothing to control."""

BEYOND = 2
"""Degree of the quadrature of what is conserved over that of the elements."""

BLOCKS: dict[str, Any] = {"ksp_type": "gmres", "pc_type": "bjacobi"}
"""In three dimensions, for discontinuous elements."""


class Problem:
    """An equation on its mesh.

    Attributes:
        names: of the unknowns.
        built: the mesh, and what is known of it.
        u: the solution, as one function with as many components as there are unknowns.
        place: what forms need besides.
        form: the weak form.
        tests: its test functions.
        held: unknowns with the boundaries on which they are given.
        largest: absolute value beyond which an unknown is no solution.
    """

    def __init__(
        self,
        equation: Callable[[Study], Equation],
        study: Study,
        settings: MeshSettings,
        comm: MPI.Comm,
        prefix: str,
        table: str,
        stepper: type[TimeStepper] = TimeStepper,
    ) -> None:
        """Build mesh, space and forms, and interpolate the initial data. Collective.

        Raises:
            InputError: on all ranks.
        """
        self.study, self.settings, self.comm, self.prefix, self.table = study, settings, comm, prefix, table
        self.parts, self.kind = parts_of(study), stepper
        self.equation = self.parts.instance(equation, Equation, study)
        self.where = self.parts.where(self.equation)
        self.names = tuple(self.equation.unknowns)
        if settings.degree == 0 and self.equation.element == "continuous":
            raise InputError(f"{table}.degree = 0: continuous elements have at least degree 1")
        self.built = build(self.equation.domain, settings, comm, table)
        mesh = self.built.mesh
        family = "Lagrange" if self.equation.element == "continuous" else "Discontinuous Lagrange"
        shape = (len(self.names),) if len(self.names) > 1 else None
        cell = mesh.topology.cell_name()
        self.space = fem.functionspace(mesh, basix.ufl.element(family, cell, settings.degree, shape=shape))
        self.u, self.u_t = fem.Function(self.space, name="u"), fem.Function(self.space, name="u_t")
        self.place = Place(self.built, settings.degree)
        self._interpolate()
        self.sizes = self._sizes()
        self.largest = float(BLOWN_UP * self.sizes.max())
        test = ufl.TestFunction(self.space)
        self.tests = self.split(test)
        self.form = self._call("residual", self.split(self.u), self.split(self.u_t), self.tests, self.place)
        if not isinstance(self.form, ufl.Form) or len(self.form.arguments()) != 1:
            raise InputError(f"{self.where}.residual must give a UFL form, linear in its test functions v")
        self.rows, self.condition = self._held(test)
        densities = self._call("conserved", self.split(self.u))
        degree = {"quadrature_degree": 2 * settings.degree + BEYOND}
        self.densities = {
            name: compiled(ufl.as_ufl(e) * ufl.dx(mesh, metadata=degree)) for name, e in densities.items()
        }

    def stepper(self, first_step: float, start: float = 0.0, *, fixed: bool = False) -> Stepping:
        """The time integration from `u` at the time `start`. Collective.

        Raises:
            InputError: a PETSc option has no meaning; or there are no explicit steps for this equation.
        """
        common, options = self._common(first_step, start), dict(self.equation.options)
        if self.way.explicit:
            return self._explicit(common, options, fixed)
        options = self._linear() | options | ({"ts_adapt_type": "none"} if fixed else {})
        return self.kind(self.form, self.u, self.u_t, **common, rtol=self.rtol, options=options)

    @cached_property
    def way(self) -> Way:
        """Explicit or implicit steps. From the initial data, so it must be asked for before `u` changes. Collective."""
        stepping, dimension = self.settings.stepping, self.built.mesh.topology.dim
        if stepping != "auto":
            return Way(stepping == "explicit", "")
        end = float(self.study.model.end_time)
        try:
            stages = self._explicit(self._common(end, 0.0), dict(self.equation.options), False).stages(end * PART)
        except InputError as error:
            return Way(False, f"implicit steps ({error})")
        row = WORTHWHILE[dimension]
        most = row[min(self.settings.degree, len(row) - 1)]
        kind = "explicit" if stages <= most else "implicit"
        why = (
            f"{PART:g} of the time takes {stages:.0f} explicit stages; up to {most} are less work than an implicit step"
        )
        return Way(kind == "explicit", f"{kind} steps ({why})")

    @property
    def rtol(self) -> float:
        """Error allowed in a step, relative to what is there."""
        return max(self.equation.step_error * self.settings.rtol, min(LEAST, self.settings.rtol))

    def _common(self, first_step: float, start: float) -> dict[str, Any]:
        clock = self.place.t if self.place.t in self._constants() else None
        return {
            "held": self.rows, "condition": self.condition, "clock": clock, "atol": self.rtol * self.sizes,
            "start": start, "first_step": first_step, "prefix": self.prefix,
        }  # fmt: skip

    def _explicit(self, common: dict[str, Any], options: dict[str, Any], fixed: bool) -> ExplicitStepper:
        where, rtol = f"{self.table}.stepping = '{self.settings.stepping}'", float(options.get("ts_rtol", self.rtol))
        return ExplicitStepper(self.form, self.u, self.u_t, **common, rtol=rtol, where=where, fixed=fixed)

    def check_form(self) -> None:
        """Raise InputError if the weak form, or its derivative, is none that FFCx can take.

        To be found before FFCx: what it fails on, it leaves half done in DOLFINx's cache, and waits for ever after.
        """
        try:
            for form in (self.form, ufl.derivative(self.form, self.u) + ufl.derivative(self.form, self.u_t)):
                compute_form_data(form, do_apply_function_pullbacks=True, do_apply_geometry_lowering=True)
        except (Exception, ArityMismatch) as error:  # the latter is no Exception
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"{self.where}.residual is not linear in v, or holds what UFL cannot differentiate "
                f"({type(error).__name__}: {reason})"
            ) from error

    def _linear(self) -> dict[str, Any]:
        """PETSc options for the linear systems: direct up to dimension 2, iterative beyond."""
        dimension, settings = self.built.mesh.topology.dim, self.settings
        if dimension < 3:
            return {}
        if self.equation.element == "discontinuous":
            return BLOCKS | {"ksp_rtol": LINEAR * settings.rtol}
        return multigrid(dimension, settings.degree, settings.rtol)

    @property
    def quadrature(self) -> int:
        """Degree of the quadrature of `place.dx`."""
        return int(self.place.dx.metadata()["quadrature_degree"])

    def values(self) -> Array:
        """The unknowns at this rank's nodes, shape (nodes, unknowns)."""
        block = len(self.names)
        owned = self.space.dofmap.index_map.size_local
        return np.asarray(self.u.x.array[: owned * block].reshape(-1, block), np.float64)

    def strong(self, u: Any, u_t: Any) -> Any:
        """The equation in strong form, or None."""
        return self._call("strong", u, u_t, self.place)

    def begin_with(self, values: Any) -> None:
        """Give u the values of expressions, by interpolation. Collective."""
        points = interpolation_points(self.space)
        parts = values if isinstance(values, tuple) else (values,)
        vector = ufl.as_vector(parts) if len(parts) > 1 else parts[0]
        self.u.interpolate(fem.Expression(vector, points))

    def extremes(self) -> tuple[Array, Array]:
        """Least and largest of the unknowns' nodal values, shape (unknowns,) each. Collective."""
        here = self.values()
        lowest = reduced(self.comm, here.min(axis=0, initial=np.inf), MPI.MIN)
        return lowest, reduced(self.comm, here.max(axis=0, initial=-np.inf), MPI.MAX)

    def moments(self) -> tuple[Array, Array]:
        """Mean and range of the unknowns' nodal values, shape (unknowns,) each. Collective."""
        found = np.concatenate(self.comm.allgather(self.values()))
        return found.mean(axis=0), np.ptp(found, axis=0) + 0.1 * np.abs(found).max(axis=0) + 0.01

    def _constants(self) -> list[Any]:
        forms = [self.form, *([self.condition] if self.condition is not None else [])]
        return [constant for form in forms for constant in form.constants()]

    def split(self, function: Any) -> Any:
        """The parts of a function, as a tuple where there are several unknowns."""
        return tuple(ufl.split(function)) if len(self.names) > 1 else function

    def _call(self, name: str, *arguments: Any) -> Any:
        return self.parts.call(InputError, lambda: getattr(self.equation, name)(*arguments))

    def _interpolate(self) -> None:
        """Give u the initial data. Collective.

        Raises:
            InputError: their shape is wrong, or a value is no number; on all ranks.
        """
        x = self.space.tabulate_dof_coordinates()[:, : self.built.mesh.topology.dim]
        if isinstance(self.built.domain, Torus):
            x = x % 1.0
        values, problem = np.empty(0), None
        try:
            values = self.initial(x)
        except InputError as error:
            problem = error
        for found in self.comm.allgather(problem):
            if found is not None:
                raise found
        self.u.x.array[:] = values.ravel()

    def initial(self, x: Array) -> Array:
        """Initial data at points, shape (points, dimension): shape (points, unknowns).

        Raises:
            InputError: their shape is wrong, or a value is no number.
        """
        count = len(self.names)
        if not len(x):  # of a rank without a cell, which a model's own code need not provide for
            return np.empty((0, count))
        with np.errstate(all="ignore"):  # what is no number is looked for below
            found = np.asarray(self._call("initial", *x.T.copy()), np.float64)
        wanted = (len(x),) if count == 1 else (count, len(x))
        if found.shape != wanted:
            raise InputError(
                f"{self.where}.initial gives the shape {found.shape} for {len(x)} points; it must be {wanted}"
            )
        found = found.reshape(count, -1).T
        if not (good := np.isfinite(found).all(axis=1)).all():
            bad = int(np.argmin(good))
            place = ", ".join(f"{axis} = {p:.6g}" for axis, p in zip("xyz", x[bad], strict=False))
            raise InputError(f"{self.where}.initial is {found[bad].tolist()} at {place}; it must be finite")
        return found

    def _sizes(self) -> Array:
        """Sizes of the unknowns, shape (unknowns,). Collective."""
        here = np.abs(self.values()).max(axis=0, initial=0.0)
        data = reduced(self.comm, here, MPI.MAX)
        given = self._call("size")
        if unknown := sorted(set(given) - set(self.names)):
            raise InputError(f"{self.where}.size names {unknown[0]}; the unknowns are {', '.join(self.names)}")
        return np.array([float(given.get(name, data[k])) or 1.0 for k, name in enumerate(self.names)])

    def _held(self, test: Any) -> tuple[NDArray[np.int32] | None, ufl.Form | None]:
        """Rows in which Dirichlet conditions take the place of the equation, and these conditions. Collective.

        Raises:
            InputError: a name is unknown, or the elements have no nodes on the boundary.
        """
        components, tests = self.split(self.u), self.split(test)
        conditions = self._call("held", components, self.place)
        self.held = set(conditions)
        if not conditions:
            return None, None
        if self.equation.element == "discontinuous":
            raise InputError(
                f"{self.where}.held: discontinuous elements are not held at nodes; put the condition into the flux "
                "through at.ds"
            )
        rows, form = [], None
        for (name, boundary), value in conditions.items():
            if name not in self.names:
                raise InputError(f"{self.where}.held names {name}; the unknowns are {', '.join(self.names)}")
            try:
                ds = self.place.ds(boundary)
            except ValueError as error:
                raise InputError(f"{self.where}.held: {error}") from None
            k = self.names.index(name)
            component, v = (components, tests) if len(self.names) == 1 else (components[k], tests[k])
            term = (component - ufl.as_ufl(value)) * v * ds
            form = term if form is None else form + term
            facets = self.built.facets(boundary)
            nodes = fem.locate_dofs_topological(self.space, self.built.mesh.topology.dim - 1, facets, remote=True)
            rows.append(len(self.names) * nodes + k)
        return np.unique(np.concatenate(rows)).astype(np.int32), form


def reduced(comm: MPI.Comm, here: Array, op: MPI.Op) -> Array:
    """An array reduced over the ranks, entry by entry. Collective."""
    everywhere = np.empty_like(here)
    comm.Allreduce(here, everywhere, op)
    return everywhere
