"""What an equation is made of: unknowns on a domain, initial data, and a weak form F(t, u, u_t; v) = 0.

The framework drives it (`kinlim.fem.evolution`): mesh and elements, time steps with error control, observation,
checkpoints, errors under refinement. Nothing here imports DOLFINx.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, ValidationInfo, field_validator

from kinlim.base import Study
from kinlim.grid import Bins, Points
from kinlim.table import Table

if TYPE_CHECKING:
    import xarray as xr

UNIFORM = (256, 64, 32)
"""Points along each axis, in dimension 1, 2, 3, at which a solution is written down unless it says otherwise."""


SENSITIVITY, SENSITIVE = "sensitivity_", "t du/dt, its change for a relative error of 1 in the equation's speed"
"""Beginning of the names of such variables, and what they are."""


@dataclass(frozen=True)
class Interval:
    """The interval [a, b], with the boundaries "left" and "right".

    >>> kinlim.Interval(-1, 1).grid().coordinates["x"][[0, -1]].tolist()
    [-1.0, 1.0]
    """

    a: float = 0.0
    b: float = 1.0

    dimension = 1

    def grid(self) -> Points:
        """Equidistant points, the ends among them."""
        return Points(x=np.linspace(self.a, self.b, UNIFORM[0] + 1))


@dataclass(frozen=True)
class Torus:
    """The unit torus [0, 1)^d, d from 1 to 3: everything is periodic, and there is no boundary.

    >>> kinlim.Torus(2).grid().shape
    (64, 64)
    """

    dimension: int = 1

    def grid(self) -> Points:
        """Points i/n along each axis."""
        n = UNIFORM[self.dimension - 1]
        return Points(**dict.fromkeys("xyz"[: self.dimension], np.arange(n) / n))


@dataclass(frozen=True)
class MeshFile:
    """What a mesh file of the study covers, `pde.mesh`: triangles or tetrahedra of gmsh (.msh), or what meshio reads.

    Its physical groups of edges or faces are the boundaries, by their names.

    Attributes:
        dimension: 2 or 3.
        points: where the solution is written down.
    """

    dimension: int
    points: Points

    def grid(self) -> Points:
        """The points given."""
        return self.points


Domain = Interval | Torus | MeshFile


class MeshSettings(Table):
    """How an equation is solved: mesh, elements, tolerance.

    Attributes:
        cells: of an interval, or along each axis of a torus.
        grading: on an interval, cells near the ends shrink like s^grading; 1 is uniform.
        mesh: a file instead of cells: of nodes for an interval (`kinlim.meshes.interval.read`), of triangles or
            tetrahedra for a `MeshFile`; its path is relative to the folder of the study.
        refinements: how often every cell is halved, along all axes.
        degree: of the elements.
        rtol: error allowed per time step, relative to the size of the data.
        stepping: "implicit" with PETSc, or "explicit" without a matrix (`kinlim.fem.explicit`), which is faster for
            smooth data on boxes of degree 3 to 8 and for short times; or "auto", which looks at the
            stiffness of the initial data, and says in log.txt what it has chosen and why.
    """

    cells: Annotated[int, Field(ge=3, le=10**7)] = 128
    grading: Annotated[float, Field(ge=1, le=4)] = 1.0
    mesh: Annotated[str | None, Field(min_length=1)] = None
    refinements: Annotated[int, Field(ge=0, le=10)] = 0
    degree: Annotated[int, Field(ge=0, le=8)] = 2
    rtol: Annotated[float, Field(ge=1e-12, le=0.01)] = 1e-6
    stepping: Literal["implicit", "explicit", "auto"] = "implicit"

    @field_validator("mesh")
    @classmethod
    def _mesh_is_beside_the_study(cls, mesh: str | None, info: ValidationInfo) -> str | None:
        folder = (info.context or {}).get("folder")
        return mesh if mesh is None or folder is None else str(Path(folder, mesh).resolve())


class EvolutionSettings(MeshSettings):
    """The same, for any domain.

    Attributes:
        shape: on a torus, "simplex" for triangles and tetrahedra, "box" for quadrilaterals and hexahedra.
    """

    shape: Literal["simplex", "box"] = "simplex"


class Watch(ABC):
    """What goes along with a solution, step by step, and is recorded besides its values: see `Equation.watch`.

    Attributes:
        names: of the numbers that `observe` gives.
    """

    names: tuple[str, ...] = ()

    def begin(self) -> None:  # noqa: B027 - not all have a memory
        """Note the initial state. Collective."""

    def step(self, time: float) -> None:  # noqa: B027
        """Note a step, which led to `time`. Collective."""

    @abstractmethod
    def observe(self, time: float) -> np.ndarray[Any, Any]:
        """Numbers at an observation, shape (len(names),). Collective.

        Raises:
            RunError: this is no solution.
        """

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Arrays that `restore` needs to go on from the last step."""
        return {}

    def restore(self, time: float, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:  # noqa: B027
        """Go on from them. Collective."""


class Equation(ABC):
    """An equation for one unknown or several on a domain, in weak form. A class of your own has `unknowns`, `domain`,
    `initial` and `residual`, and what else it needs.

    Attributes:
        unknowns: what each one is, by its name.
        domain: `Interval`, `Torus` or `MeshFile`; also a property, where it depends on the study.
        element: "continuous" for Lagrange elements; "discontinuous" for the same without continuity, which wants terms
            on interior facets (`at.dS`).
        source: of the equation, for the report.
        options: PETSc options that go before kinlim's; those of the command line go before both.
        step_error: the error allowed in a step, over rtol.
    """  # noqa: D205 - one sentence of two parts

    unknowns: Mapping[str, str]
    domain: Domain
    element: Literal["continuous", "discontinuous"] = "continuous"
    source: str = ""
    options: Mapping[str, Any] = {}
    step_error: float = 1.0

    def __init__(self, study: Study) -> None:
        """Of a study, whose physics is `self.model`."""
        self.study, self.model = study, study.model

    @property
    def grid(self) -> Points | Bins:
        """Where the solution is written down; by default at equidistant points."""
        return self.domain.grid()

    @abstractmethod
    def initial(self, *x: np.ndarray[Any, Any]) -> ArrayLike:
        """Values at time 0 at points, whose coordinates come axis by axis, shape (points,) each.

        Returns:
            Shape (points,) for one unknown, (unknowns, points) for several.
        """

    @abstractmethod
    def residual(self, u: Any, u_t: Any, v: Any, at: Any) -> Any:
        """The weak form F(t, u, u_t; v) as UFL, linear in v.

        Args:
            u: the unknown; a tuple of them where there are several, as are the next two.
            u_t: their time derivatives.
            v: test functions.
            at: what the form may need besides, see `kinlim.fem.place.Place`: x, t, n, h, dx, ds, dS.
        """

    def held(self, u: Any, at: Any) -> Mapping[tuple[str, str], Any]:
        """Dirichlet conditions: the value by (unknown, boundary), in UFL; it may depend on at.x, at.t and u."""
        return {}

    def conserved(self, u: Any) -> Mapping[str, Any]:
        """Densities (UFL) whose integrals over the domain should not change, by their names; they are recorded."""
        return {}

    def fields(self, values: Mapping[str, np.ndarray[Any, Any]]) -> Mapping[str, tuple[np.ndarray[Any, Any], str]]:
        """More that follows from the unknowns: values of the same shape and what they are, by names, from theirs."""
        return {}

    def watch(self, problem: Any) -> Watch | None:
        """What goes along with the solution of a `kinlim.fem.problem.Problem`; here nothing. Collective."""
        return None

    def finish(self, dataset: "xr.Dataset") -> "xr.Dataset":
        """The dataset, with whatever else should be in it or should not."""
        return dataset

    def size(self) -> Mapping[str, float]:
        """Sizes of unknowns that errors are relative to; that of the initial data for those left out."""
        return {}

    def strong(self, u: Any, u_t: Any, at: Any) -> Any:
        """The equation in strong form, 0 for a solution, written apart from `residual` on purpose.

        `kinlim converge` then finds the orders of the elements on a solution that it makes up. None, the default, for
        none; otherwise an expression, or as many as there are unknowns. Where there is a boundary, all unknowns must be
        `held` on all of it.
        """
        return None
