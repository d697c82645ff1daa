"""The interval [a, b]: nodes uniform, graded towards both ends or read from a file, their refinement, and the mesh."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dolfinx.io import XDMFFile
from dolfinx.mesh import Mesh, create_interval
from mpi4py import MPI

from kinlim.compat import cell_nodes
from kinlim.errors import InputError

Array = NDArray[np.float64]


def graded(ends: tuple[float, float], cells: int, grading: float = 1.0) -> Array:
    """Nodes a (1 - g) + b g, g = grade(k/cells), k = 0..cells; uniform for grading 1."""
    a, b = ends
    g = grade(np.linspace(0, 1, cells + 1, dtype=np.float64), grading)
    return a * (1 - g) + b * g  # a and b exactly at the ends, where the first and last site are


def grade(s: Array, grading: float) -> Array:
    """Map [0, 1] onto itself by (2s)^grading/2, mirrored at 1/2: cells at the ends shrink, 1 leaves all as it is."""
    half = np.minimum(s, 1 - s)
    near = (2 * half) ** grading / 2
    return np.where(s <= 0.5, near, 1 - near)


def refine(nodes: Array) -> Array:
    """Halve every cell, so that spaces on the new mesh contain those on the old one."""
    finer = np.empty(2 * len(nodes) - 1)
    finer[::2], finer[1::2] = nodes, (nodes[:-1] + nodes[1:]) / 2
    return finer


def read(path: str | Path) -> Array:
    """Nodes of a mesh in a file: XDMF as DOLFINx and meshio write it, or a text file of positions, any order, # notes.

    Raises:
        InputError: the file cannot be read, or its nodes make no interval.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise OSError("there is no such file")
        if path.suffix == ".xdmf":
            with XDMFFile(MPI.COMM_SELF, str(path), "r") as file:
                mesh = file.read_mesh(name=_name(path))
            if mesh.topology.dim != 1:
                raise InputError(f"{path}: is a mesh of dimension {mesh.topology.dim}; an interval has dimension 1")
            x, ends = mesh.geometry.x[:, 0], cell_nodes(mesh)
            if (
                mesh.geometry.x[:, 1:].any()
                or len(ends) != len(x) - 1
                or (np.ptp(np.argsort(np.argsort(x))[ends], 1) != 1).any()
            ):
                raise InputError(f"{path}: is not an interval: its cells do not join neighbours along the x axis")
        else:
            table = np.loadtxt(path, dtype=np.float64, ndmin=2)
            if min(table.shape) > 1:
                raise ValueError(f"it has {table.shape[1]} columns")
            x = table.ravel()
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).split("\n")[0]
        raise InputError(
            f"{path}: cannot be read as a mesh ({reason}); it takes .xdmf, or a text file of nodes"
        ) from None
    if not np.isfinite(x).all():
        raise InputError(f"{path}: holds nodes that are not finite numbers")
    nodes = np.unique(x)
    if len(nodes) < len(x):
        twice = nodes[np.argmax(np.unique(x, return_counts=True)[1])]
        raise InputError(f"{path}: holds the node {twice:g} twice")
    if len(nodes) < 5:
        raise InputError(f"{path}: holds {len(nodes)} nodes; an interval needs at least 5")
    return nodes


def _name(path: Path) -> str:
    """Name of the first grid in an XDMF file; DOLFINx asks for it."""
    from xml.etree import ElementTree

    try:
        grid = next(ElementTree.parse(path).iter("Grid"))
    except (ElementTree.ParseError, StopIteration):
        raise ValueError("it holds no grid") from None
    return grid.get("Name", "mesh")


def interval(comm: MPI.Comm, nodes: Array) -> Mesh:
    """Mesh whose cells lie between neighbours of the increasing `nodes`, shape (cells + 1,).

    Collective over `comm`, whose ranks share the mesh and all pass the same nodes.
    """
    cells = len(nodes) - 1
    mesh = create_interval(comm, cells, (0.0, 1.0))
    mesh.geometry.x[:, 0] = nodes[np.rint(mesh.geometry.x[:, 0] * cells).astype(np.int64)]
    return mesh
