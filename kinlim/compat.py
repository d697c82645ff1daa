"""What differs between the installations that kinlim runs on: DOLFINx 0.9 to 0.11, Open MPI and MPICH, wheel or not.

Every other file is written for all of them. PETSc 3.22 to 3.25 need one thing (`option_used`): where an option has
changed its name, kinlim calls the function that has kept its own.
"""

import contextlib
import ctypes
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinlim import caches

if TYPE_CHECKING:
    from dolfinx.fem import FunctionSpace
    from dolfinx.mesh import Mesh
    from mpi4py import MPI

WHEEL = find_spec("dolfinx_solver") is not None
"""Whether DOLFINx is the one from PyPI, which has MPICH with it."""

SHARED = Path("/dev/shm")
"""Where MPICH keeps what the ranks of a machine share; it ends the process when it cannot."""

SHARED_NEEDED = 8 * 2**20
"""Bytes that it needs there: measured, 2 MiB for one rank and between 2 and 8 MiB for 2 and 4."""


def shared_memory_lacks() -> str | None:
    """One sentence if MPI cannot start for want of shared memory; MPICH's own is fifteen lines."""
    if not WHEEL:
        return None
    try:
        there = os.statvfs(SHARED)
    except OSError as error:
        lacking = f"is not there ({error.strerror})"
    else:
        if os.access(SHARED, os.W_OK) and there.f_bavail * there.f_frsize >= SHARED_NEEDED:
            return None
        lacking = f"cannot be written, or has less than {SHARED_NEEDED // 2**20} MiB left"
    return f"{SHARED}: MPI shares memory there, and it {lacking}; give it room (docker run --shm-size 64m)"


SHARED_LACKS = shared_memory_lacks()

FOREIGN = WHEEL and "PMIX_RANK" in os.environ and "PMI_RANK" not in os.environ
"""Whether PMIx has started this process, as Open MPI's mpirun does, and MPICH would end it for that."""

STARTABLE = not (FOREIGN or SHARED_LACKS)
"""Whether MPI can be started at all; if not, `unstartable` says why."""


PATIENCE = "MPIR_CVAR_CH4_PROGRESS_THROTTLE"
"""Variable that lets a rank of MPICH that waits sleep now and then. Otherwise it keeps its core busy, which costs much
where ranks, threads and compilers are more than the cores: 133 parallel tests on 2 ranks of 2 cores took 120 s without
and 55 s with it. With one rank a core a solution takes as long as before."""


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """Let signals that ask for the end wait while MPI starts, and do afterwards what they did before.

    MPICH takes SIGUSR1 for itself when it starts, and drops one that comes until somebody else wants it.
    """
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, kept)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():  # Python allows it in no other
            for number, handler in kept.items():
                if handler is not None:
                    signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def start_mpi() -> None:
    """Start MPI, which is to import it.

    DOLFINx from PyPI finds its libraries only if they are loaded before it. It and h5py have an HDF5 each, and h5py's
    must be the first of the two. Its MPICH is told to be patient, unless the user has said something else (`PATIENCE`).

    Raises:
        ImportError: h5py's cannot be loaded any more.
    """
    if WHEEL:
        os.environ.setdefault(PATIENCE, "1")
        try:
            import h5py  # noqa: F401
        except ValueError as error:
            raise ImportError(
                "h5py cannot be loaded after DOLFINx from PyPI (each has an HDF5 of its own): put `import kinlim`, or "
                "`import h5py`, before the imports of dolfinx and petsc4py"
            ) from error
    with signals_kept():
        importlib.import_module("dolfinx_solver" if WHEEL else "mpi4py.MPI")


class Starter:
    """Starts MPI when the first module that needs it is imported: help, lists and refusals do without."""

    NEEDING = ("mpi4py", "petsc4py", "slepc4py", "dolfinx", "basix", "adios2")

    def __init__(self) -> None:
        """Nothing has been imported yet."""
        self.begun = False

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        """Find nothing: others do."""
        if not self.begun and name.partition(".")[0] in self.NEEDING:
            self.begun = True
            try:
                start_mpi()
            except BaseException:
                self.begun = False
                raise


if STARTABLE and not {"dolfinx", "petsc4py"}.isdisjoint(sys.modules):  # nothing would wake the starter in time
    start_mpi()
elif STARTABLE:  # `kinlim` imports this file first
    sys.meta_path.insert(0, Starter())

Indices = NDArray[np.int64]

DOLFINX = ("fenics-dolfinx", "dolfinx-solver-real", "dolfinx-solver-complex")
"""Names under which DOLFINx is installed: by Debian, conda and from source; as wheels."""

INDEX_MAP_TAG = 7201
"""Of the messages by which ranks agree on an index map; no other messages are under way then."""

LAUNCHED = {"OMPI_COMM_WORLD_SIZE": "Open MPI", "PMI_SIZE": "MPICH or Slurm", "SLURM_STEP_NUM_TASKS": "Slurm"}
"""Variables in which launchers say how many processes they have started."""

RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")
"""Variables in which they say which one this is."""


LAUNCHERS = ("OMPI_", "PMI", "SLURM_", "PALS_", "FLUX_", "MPI")
"""How the names of variables begin that launchers give to the processes that they start."""


class LostRanks(NamedTuple):
    """Processes that were started together and know nothing of each other.

    Attributes:
        launcher: who started them.
        processes: how many.
        library: the MPI that they have loaded, or would load.
    """

    launcher: str
    processes: int
    library: str

    def __str__(self) -> str:
        """What is wrong, and what to do."""
        language = "pmi2" if self.library.startswith("MPICH") else "pmix"
        slurm = f", or srun --mpi={language} kinlim ..." if self.launcher == "Slurm" else ""
        return (
            f"{self.launcher} has started {self.processes} processes, and each is alone, so all would do the whole "
            f"work. kinlim runs on {self.library}, whose own launcher starts ranks that know each other: "
            f"{launcher()} -n {self.processes} kinlim ...{slurm}"
        )


def alone(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether no launcher has started this process, so that it has no other ranks, which MPI need not be asked."""
    return not any(variable.startswith(LAUNCHERS) for variable in environment)


def is_first(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is the one of those that were started together that speaks for them."""
    return next((environment[variable] for variable in RANKS if variable in environment), "0") == "0"


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


PETSC_OPTIONS: list[str] = []
"""Words that PETSc is started with, those after -- of the command line."""


def start_petsc() -> None:
    """Start PETSc, if it was not. Collective. It takes options from here, and from no .petscrc of any folder."""
    import petsc4py

    petsc4py.init(["kinlim", "-skip_petscrc", *PETSC_OPTIONS])


def option_used(name: str) -> bool:
    """Whether anything in PETSc has asked for an option that was given, by its name without the dash.

    The petsc4py of PETSc 3.22 does not tell it; PETSc's own function is then called past it.
    """
    from petsc4py import PETSc

    if hasattr(PETSc.Options, "used"):
        return bool(PETSc.Options().used(name))
    used = ctypes.c_int()
    ctypes.CDLL(PETSc.__file__).PetscOptionsUsed(None, name.encode(), ctypes.byref(used))
    return bool(used.value)


def ignore_option_files() -> None:
    """Have DOLFINx and FFCx compile as kinlim says, and not as a JSON file of the current folder or of the home does.

    Both read such files in a function of their own, once, the first time that they compile.
    """
    import ffcx.options

    from dolfinx import jit

    ours_of_jit = {"cache_dir": caches.folder(), "cffi_extra_compile_args": caches.compile_options()}
    both: tuple[tuple[Any, dict[str, Any]], ...] = ((jit, ours_of_jit), (ffcx.options, {}))
    for module, ours in both:
        assert hasattr(module, "_load_options"), f"{module.__name__} reads its option files in another way"
        module._load_options = lambda ours=ours: (ours, {})


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


def coordinate_map(mesh: "Mesh") -> Any:
    """The map from the reference cell to the cells of a mesh, which are all of one kind."""
    return mesh.geometry.cmaps[0] if dolfinx_version() >= (0, 11) else mesh.geometry.cmap


def interpolation_points(space: "FunctionSpace") -> NDArray[np.float64]:
    """Points of the reference cell where functions are evaluated to interpolate them, shape (points, dimension)."""
    points: Any = space.element.interpolation_points
    return np.asarray(points if dolfinx_version() >= (0, 10) else points())


def lost_ranks(environment: Mapping[str, str] = os.environ) -> LostRanks | None:
    """Whether a launcher has started several processes, and MPI knows of this one only.

    That is what `mpirun` of another MPI than the one that mpi4py loads does.
    """
    if alone(environment):
        return None
    library = "MPICH"
    if STARTABLE:
        from mpi4py import MPI

        if MPI.COMM_WORLD.size > 1:
            return None
        library = mpi_library()
    found = {name: environment.get(variable, "") for variable, name in LAUNCHED.items()}
    counts = {name: int(count) for name, count in found.items() if count.isdecimal()}
    name = next((name for name, count in counts.items() if count > 1), "PMIx" if FOREIGN else None)
    return None if name is None else LostRanks(name, counts.get(name, 1), library)


def unstartable() -> str | None:
    """Why no work can be done by this process, or by those that were started with it; in a sentence."""
    lost = None if SHARED_LACKS else lost_ranks()
    return SHARED_LACKS or (None if lost is None else str(lost))


def launcher() -> str:
    """Path of the command that starts ranks of the MPI in use, as far as that can be told."""
    beside = Path(sys.executable).with_name("mpirun")
    return str(beside) if beside.exists() else "mpirun"


def on_this_machine(ranks: int) -> list[str]:
    """Start of a command that runs so many ranks here, whatever the number of cores."""
    from mpi4py import MPI

    more = ["--oversubscribe"] if MPI.get_vendor()[0] == "Open MPI" else []
    return [launcher(), *more, "-n", str(ranks)]


def mpi_library() -> str:
    """Name and version of the MPI in use, such as MPICH 5.0.2."""
    from mpi4py import MPI

    name, numbers = MPI.get_vendor()
    return f"{name} {'.'.join(map(str, numbers))}"
