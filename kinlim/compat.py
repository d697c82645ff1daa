"""What differs between the installations that kinlim runs on: DOLFINx 0.9 to 0.11, Open MPI and MPICH, wheel or not.

Every other file is written for all of them. PETSc 3.22 to 3.25 need nothing here: where an option has changed its name,
kinlim calls the function that has kept its own.
"""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dolfinx.mesh import Mesh
    from mpi4py import MPI

if find_spec("dolfinx_solver") is not None:
    # DOLFINx from PyPI finds the libraries of MPI only if they are loaded before it. `kinlim` imports this file first.
    import dolfinx_solver  # noqa: F401

Indices = NDArray[np.int64]

DOLFINX = ("fenics-dolfinx", "dolfinx-solver-real", "dolfinx-solver-complex")
"""Names under which DOLFINx is installed: by Debian, conda and from source; as wheels."""

INDEX_MAP_TAG = 7201
"""Of the messages by which ranks agree on an index map; no other messages are under way then."""

LAUNCHED = {
    "OMPI_COMM_WORLD_SIZE": ("OMPI_COMM_WORLD_RANK", "Open MPI"),
    "PMI_SIZE": ("PMI_RANK", "MPICH"),
    "SLURM_STEP_NUM_TASKS": ("SLURM_PROCID", "Slurm"),
}
"""Variables in which launchers say how many processes they started, which one this is, and who they are."""


def dolfinx_version() -> tuple[int, int]:
    """Version of DOLFINx, such as (0, 11).

    Raises:
        PackageNotFoundError: there is none.
    """
    major, minor = installed(DOLFINX).split(".")[:2]
    return int(major), int(minor)


def installed(names: Sequence[str]) -> str:
    """Version of the first of these distributions that there is.

    Raises:
        PackageNotFoundError: there is none.
    """
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    raise PackageNotFoundError(names[0])


def create_topology(
    comm: "MPI.Comm", kind: Any, vertices: Indices, numbers: Indices, owners: NDArray[np.int32], boundary: Indices
) -> Any:
    """Topology of cells of one kind, as DOLFINx's C++ object. Collective.

    Args:
        comm: the ranks.
        kind: the `dolfinx.mesh.CellType`.
        vertices: global numbers of the vertices, cell by cell, shape (cells * vertices,); own cells come first.
        numbers: global numbers of the cells, shape (cells,).
        owners: ranks of the cells that are not this rank's, which are the last ones.
        boundary: global numbers of the vertices of facets that ranks share.
    """
    from dolfinx import cpp

    threads = (0,) if dolfinx_version() >= (0, 11) else ()
    return cpp.mesh.create_topology(comm, [kind], [vertices], [numbers], [owners], boundary, *threads)


def index_map(comm: "MPI.Comm", owned: int, ghosts: Indices, owners: NDArray[np.int32]) -> Any:
    """Distribution of indices over ranks, as DOLFINx's C++ object. Collective.

    Args:
        comm: the ranks.
        owned: indices that are this rank's.
        ghosts: global numbers of those it knows besides.
        owners: their ranks.
    """
    from dolfinx import cpp

    tag = (INDEX_MAP_TAG,) if dolfinx_version() >= (0, 10) else ()
    return cpp.common.IndexMap(comm, owned, ghosts, owners, *tag)


def cell_nodes(mesh: "Mesh") -> NDArray[np.int32]:
    """Numbers of the nodes of each cell of a mesh, shape (cells, nodes of a cell)."""
    nodes: NDArray[np.int32]
    nodes = mesh.geometry.dofmaps[0] if dolfinx_version() >= (0, 11) else mesh.geometry.dofmap
    return nodes


def lost_ranks(environment: Mapping[str, str] = os.environ) -> tuple[str, int, bool] | None:
    """Who started this process among several, where MPI knows of one only; None if nobody did.

    `mpirun` of another MPI than the one that mpi4py loads starts as many runs that know nothing of each other.

    Returns:
        The launcher, the number of processes, and whether this is the first of them.
    """
    from mpi4py import MPI

    if MPI.COMM_WORLD.size > 1 or MPI.Comm.Get_parent() != MPI.COMM_NULL:
        return None
    for size, (rank, launcher) in LAUNCHED.items():
        if environment.get(size, "1").isdecimal() and int(environment.get(size, "1")) > 1:
            return launcher, int(environment[size]), environment.get(rank, "0") == "0"
    return None


def mpi_library() -> str:
    """Name and version of the MPI in use, such as MPICH 5.0.2."""
    from mpi4py import MPI

    name, numbers = MPI.get_vendor()
    return f"{name} {'.'.join(map(str, numbers))}"
