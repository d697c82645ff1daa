"""What this installation is made of, for `kinlim info` and for bug reports."""

import platform
from pathlib import Path

from kinlim.compat import mpi_library
from kinlim.provenance import git_state, versions

PETSC_PACKAGES = ("mumps", "hypre", "superlu_dist", "scalapack", "ptscotch", "metis", "slepc", "cuda", "hip")


def lines() -> list[str]:
    """Name and value of everything, one a line."""
    from petsc4py import PETSc

    import kinlim.fem  # noqa: F401 - which starts PETSc as every command does
    from kinlim.parallel import cores, world

    packages = [name for name in PETSC_PACKAGES if PETSc.Sys.hasExternalPackage(name)]
    rows = {
        **versions(),
        "source": git_state(),
        "PETSc": ".".join(map(str, PETSc.Sys.getVersion()))
        + f", {PETSc.ScalarType.__name__}, with {', '.join(packages) or 'no packages'}",
        "MPI": f"{mpi_library()}, {world().size} rank(s)",
        "cores": f"{cores()}, {_processor()}",
        "GPU": _gpu(),
        "system": platform.platform(),
    }
    return [f"{name + ':':<18}{value}" for name, value in rows.items()]


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _gpu() -> str:
    found = [path.parent.name for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))]
    return f"{len(found)} NVIDIA ({', '.join(found)}); kinlim computes on CPUs" if found else "none"
