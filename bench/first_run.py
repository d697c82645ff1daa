"""Seconds until something is seen: imports, the demo with empty caches, the demo again.

    python bench/first_run.py [--rounds 3]

Beside kinlim's own import stand those of the libraries that it cannot do without. Each figure is the fastest of some
rounds, each a process of its own; the demo is cold where neither numba nor DOLFINx has compiled anything before.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

PROGRAMS = {
    "python": "pass",
    "import xarray": "import xarray",
    "import numba": "import numba",
    "import dolfinx": "from mpi4py import MPI; import dolfinx",
    "import kinlim": "import kinlim",
    "import kinlim.cli": "import kinlim.cli",
}


def seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    """Wall time of a command that succeeds."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    for name, program in PROGRAMS.items():
        best = min(seconds([sys.executable, "-c", program], dict(os.environ)) for _ in range(rounds))
        print(f"{name:20} {best:6.2f} s", flush=True)
    for command in ("new pinned", "info"):
        arguments = [sys.executable, "-m", "kinlim", *command.split()]
        best = min(seconds(arguments, dict(os.environ)) for _ in range(rounds))
        print(f"kinlim {command:13} {best:6.2f} s", flush=True)
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            caches = os.environ | {"XDG_CACHE_HOME": folder, "NUMBA_CACHE_DIR": f"{folder}/numba"}
            demo = [sys.executable, "-m", "kinlim", "demo", "-o"]
            cold.append(seconds([*demo, f"{folder}/cold"], caches))
            warm.append(seconds([*demo, f"{folder}/warm"], caches))
    print(f"{'kinlim demo, cold':20} {min(cold):6.2f} s\n{'kinlim demo, warm':20} {min(warm):6.2f} s")


if __name__ == "__main__":
    main()
