"""Domains of equations as meshes: what a study's settings make of an interval, a torus or a mesh file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dolfinx import mesh as dolfinx_mesh
from dolfinx.mesh import Mesh
from mpi4py import MPI

from kinlim.equation import Domain, EvolutionSettings, Interval, MeshSettings, Torus
from kinlim.errors import InputError
from kinlim.meshes.gmsh import read_tagged
from kinlim.meshes.interval import graded, interval, read, refine
from kinlim.meshes.torus import torus
from kinlim.parallel import on_root

Array = NDArray[np.float64]

SMALLEST_CELL = 1e-14
"""Of an interval; below, the ends of a cell cannot be told apart."""

MOST_CELLS = 10**9
"""Of a mesh."""


@dataclass(frozen=True)
class Built:
    """A domain with its mesh.

    Attributes:
        domain: what it is a mesh of.
        mesh: the mesh.
        boundaries: for each name, which of the boundary's facets belong to it, from their midpoints, shape (3, facets).
        nodes: of an interval, shape (cells + 1,); none beyond.
        shape: of the cells of a torus.
    """

    domain: Domain
    mesh: Mesh
    boundaries: Mapping[str, Callable[[Array], NDArray[np.bool_]]]
    nodes: Array

    @property
    def ends(self) -> tuple[float, float]:
        """Of an interval, or of the torus in one dimension."""
        return (float(self.nodes[0]), float(self.nodes[-1])) if len(self.nodes) else (0.0, 1.0)

    def facets(self, boundary: str) -> NDArray[np.int32]:
        """This rank's facets of a part of the boundary.

        Raises:
            KeyError: there is no such part.
        """
        topology = self.mesh.topology
        topology.create_connectivity(topology.dim - 1, topology.dim)
        facets = dolfinx_mesh.exterior_facet_indices(topology)
        middles = dolfinx_mesh.compute_midpoints(self.mesh, topology.dim - 1, facets)
        return facets[self.boundaries[boundary](middles.T)]


def build(domain: Domain, settings: MeshSettings, comm: MPI.Comm, table: str) -> Built:
    """The mesh of a domain as a study's settings want it. Collective.

    Raises:
        InputError: a setting has no meaning on this domain, or the mesh cannot be made; `table` is named.
    """
    _meaningful(domain, settings, table)
    if isinstance(domain, Interval):
        nodes = nodes_of(domain, settings, comm, table)
        width = np.diff(nodes).min() / 2
        parts = {
            "left": lambda x: x[0] < domain.a + width,
            "right": lambda x: x[0] > domain.b - width,
        }
        return Built(domain, interval(comm, nodes), parts, nodes)
    if isinstance(domain, Torus):
        cells = settings.cells * 2**settings.refinements
        if float(cells) ** domain.dimension > MOST_CELLS:
            raise InputError(
                f"{table}.cells = {settings.cells} with {settings.refinements} refinements makes "
                f"{float(cells) ** domain.dimension:.3g} cells in dimension {domain.dimension}; at most {MOST_CELLS:g} "
                "are possible"
            )
        try:
            shape = settings.shape if isinstance(settings, EvolutionSettings) else "simplex"
            return Built(domain, torus(comm, cells, domain.dimension, shape), {}, np.empty(0))
        except ValueError as error:
            raise InputError(f"{table}.cells = {settings.cells}: {error}") from None
    if settings.mesh is None:
        raise InputError(f"{table}.mesh is missing: the model wants the file of a mesh of dimension {domain.dimension}")
    found, parts = read_tagged(settings.mesh, domain.dimension, comm, settings.refinements)
    return Built(domain, found, parts, np.empty(0))


def _meaningful(domain: Domain, settings: MeshSettings, table: str) -> None:
    """Raise InputError if a setting differs from its default and does nothing here."""
    own = {Interval: ("cells", "grading", "mesh", "refinements"), Torus: ("cells", "shape", "refinements")}
    allowed = own.get(type(domain), ("mesh", "refinements"))
    if isinstance(domain, Interval) and settings.mesh is not None:
        allowed = ("mesh", "refinements")
    for key in ("cells", "grading", "shape", "mesh", "refinements"):
        value, fields = getattr(settings, key, None), type(settings).model_fields
        if key in fields and key not in allowed and value != fields[key].default:
            beside = " beside a mesh from a file" if isinstance(domain, Interval) and key != "shape" else ""
            raise InputError(
                f"{table}.{key} = {value!r} has no meaning on this {type(domain).__name__}{beside}; it takes "
                f"{', '.join(allowed)}"
            )


def nodes_of(domain: Interval, settings: MeshSettings, comm: MPI.Comm, table: str) -> Array:
    """Nodes of the mesh of an interval, refinements included. Collective.

    Raises:
        InputError: the mesh file is unusable, does not cover the interval, or cells are too small.
    """
    ends = (float(domain.a), float(domain.b))
    if settings.mesh is None:
        nodes = graded(ends, settings.cells, settings.grading)
    else:
        file = settings.mesh
        nodes = on_root(comm, lambda: read(file))
        if (nodes[0], nodes[-1]) != ends:
            raise InputError(
                f"{table}.mesh = '{settings.mesh}' reaches from {nodes[0]:.17g} to {nodes[-1]:.17g}; the interval is "
                f"{list(ends)}"
            )
    for _ in range(settings.refinements):
        nodes = refine(nodes)
    if np.diff(nodes).min() < SMALLEST_CELL * (ends[1] - ends[0]):
        if settings.mesh is not None:
            raise InputError(f"{table}.mesh = '{settings.mesh}' has nodes that are all but the same")
        raise InputError(
            f"{table}.cells = {settings.cells} with grading {settings.grading:g} and {settings.refinements} "
            "refinements makes cells too small for floating-point numbers to tell their ends apart"
        )
    return nodes
