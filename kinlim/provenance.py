"""Where a result comes from: versions, git state, layout and time, as flat attributes of a dataset."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from kinlim.compat import DOLFINX, installed
from kinlim.version import __version__

LIBRARIES = {name: (name,) for name in ("numpy", "scipy", "numba", "xarray", "mpi4py")} | {"DOLFINx": DOLFINX}
"""Libraries whose numbers end up in a result, and the distributions that bring them."""


MODULE = str(Path(__file__).with_name("__main__.py"))
"""First word of the command line of `python -m kinlim`."""


def command() -> str:
    """The command line of this process but for its folder; empty where kinlim is used as a library."""
    program, *words = sys.argv or [""]
    for option in ("-o", "--output"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    return shlex.join(["kinlim", *words]) if Path(program).name == "kinlim" or program == MODULE else ""


def versions() -> dict[str, str]:
    """Version of kinlim, Python and every library whose numbers end up in a result."""
    found = {"kinlim": __version__, "python": platform.python_version()}
    for name, distributions in LIBRARIES.items():
        try:
            found[name] = installed(distributions)
        except PackageNotFoundError:
            found[name] = "not installed"
    try:
        import petsc4py  # inside DOLFINx's wheels it is no distribution of its own

        found["petsc4py"] = petsc4py.__version__
    except ImportError:
        found["petsc4py"] = "not installed"
    return found


def git_state() -> str:
    """`git describe` of the source in use, with -dirty where it was changed; KINLIM_GIT where an image says so."""
    if baked := os.environ.get("KINLIM_GIT"):
        return baked
    source = Path(__file__).resolve().parent.parent
    if not (source / ".git").exists():
        return "unknown (not a git checkout)"
    command = [
        "git",
        "-c",
        f"safe.directory={source}",
        "-C",
        str(source),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown (git failed)"


def provenance(ranks: int, threads: int, seconds: float, **more: str | float | int) -> dict[str, str | float | int]:
    """Attributes for a dataset, CF-style where CF has a name for them.

    Args:
        ranks: MPI ranks.
        threads: threads per rank.
        seconds: wall time of the stage.
        more: what only this stage knows (seed, steps, ...).
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "Conventions": "CF-1.11",
        "source": f"kinlim {__version__}",
        "history": f"{now} kinlim {__version__}",
        "git": git_state(),
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        "processor": platform.machine(),
        "ranks": ranks,
        "threads": threads,
        "wall_seconds": seconds,
        **more,
    }
