"""What a weak form needs besides its unknowns: coordinates, time, normals, and where it is integrated."""

from typing import Any

import numpy as np

import ufl
from dolfinx import fem, mesh

from kinlim.meshes.domain import Built

SIMPLICES = ("triangle", "tetrahedron")
"""Cells whose width is told by their vertices; intervals and boxes have a volume."""


class Place:
    """The domain as forms see it. One object serves all forms of a problem.

    Attributes:
        x: the coordinate, in dimension 1; a vector beyond.
        t: the time, which the time stepper sets.
        n: the outer normal at facets; `n("+")` on interior ones. In dimension 1 a number, 1 or -1.
        h: width of a cell: the diameter of the circle or sphere through its vertices, or the d-th root of its volume.
        mesh: the mesh, for what only DOLFINx can do.
        dx: over cells.
        ds: over the whole boundary; `ds("left")` over a part of it.
        dS: over interior facets, where u("+") and u("-") are the values on both sides.
    """

    def __init__(self, built: Built, degree: int) -> None:
        """Of a mesh, with quadrature for elements of this degree. Collective."""
        domain, dimension = built.mesh, built.mesh.topology.dim
        metadata = {"quadrature_degree": max(3 * degree, 1)}
        coordinates, normal = ufl.SpatialCoordinate(domain), ufl.FacetNormal(domain)
        self.x: Any = coordinates[0] if dimension == 1 else coordinates
        self.n: Any = normal[0] if dimension == 1 else normal
        self.h = _width(domain)
        self.t = fem.Constant(domain, 0.0)
        self.dx = ufl.Measure("dx", domain, metadata=metadata)
        self.mesh = domain
        self.dS = ufl.Measure("dS", domain, metadata=metadata)
        self.ds = Boundary(built, metadata)

    def constant(self, value: float) -> fem.Constant:
        """A number that forms may have another value of without being compiled anew."""
        return fem.Constant(self.mesh, float(value))


def _width(domain: mesh.Mesh) -> Any:
    """See `Place.h`."""
    if domain.topology.cell_name() in SIMPLICES:
        return 2 * ufl.Circumradius(domain)
    return abs(ufl.JacobianDeterminant(domain)) ** (1 / domain.topology.dim)


class Boundary:
    """The boundary of a domain, to multiply an integrand with: `g * v * at.ds`, or `at.ds("left")` for a part."""

    def __init__(self, built: Built, metadata: dict[str, Any]) -> None:
        """Mark the parts. Collective."""
        self.built, self.names = built, tuple(built.boundaries)
        facets = [built.facets(name) for name in self.names]
        marked = np.concatenate(facets) if facets else np.empty(0, np.int32)
        numbers = np.repeat(np.arange(1, len(facets) + 1, dtype=np.int32), [len(part) for part in facets])
        order = np.argsort(marked, kind="stable")
        tags = mesh.meshtags(built.mesh, built.mesh.topology.dim - 1, marked[order].astype(np.int32), numbers[order])
        self.measure = ufl.Measure("ds", built.mesh, subdomain_data=tags, metadata=metadata)

    def __call__(self, name: str) -> ufl.Measure:
        """Over one part of the boundary.

        Raises:
            ValueError: there is no such part.
        """
        if name not in self.names:
            there = f"the boundaries are {', '.join(self.names)}" if self.names else "the domain has no boundary"
            raise ValueError(f"there is no boundary '{name}'; {there}")
        return self.measure(self.names.index(name) + 1)

    def __rmul__(self, integrand: Any) -> ufl.Form:
        """Over all of it."""
        return integrand * self.measure
