"""Solve many times in one process, and step long: what grows?

    python tests/leaks.py [SOLVES]       # a table in Markdown; 300 by default

Memory, descriptors and threads of the process after a tenth of the solves and at the end. Communicators run out at 2^11
to 2^14 on some MPIs, and PETSc holds those of its objects: more solves than that would end in an error.
"""

import os
import sys
from pathlib import Path

import kinlim
from kinlim.study import check


def here() -> dict[str, int]:
    """What this process holds."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "memory, KiB": int(status["VmRSS"].split()[0]),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": int(status["Threads"]),
    }


def main() -> None:
    """Print the table."""
    from conftest import KAC, REACTION, TABLES

    solves = int((sys.argv[1:] or ["300"])[0])
    tables = TABLES | {"pde": {"cells": 20, "rtol": 1e-4}}
    kinds = {
        "pinned, solve": (tables, lambda study: kinlim.solve(study)),
        "reaction, solve": (REACTION | {"pde": {"cells": 8, "rtol": 1e-3}}, lambda study: kinlim.solve(study, "pde")),
        "kac, simulate": (KAC | {"particles": {"replicas": 100, "seed": 1}}, lambda study: kinlim.simulate(study)),
    }
    print("| | " + " | ".join(here()) + " |\n|---|---|---|---|")
    for name, (one, action) in kinds.items():
        study = check(one)
        for number in range(1, solves + 1):
            action(study)
            if number in (solves // 10, solves):
                print(f"| {name}, after {number} | " + " | ".join(map(str, here().values())) + " |", flush=True)
    long = check(tables | {"pde": {"cells": 20, "rtol": 1e-4}})
    from mpi4py import MPI

    from kinlim.fem.pinned.solve import EQUATIONS
    from kinlim.keeper import Keeper

    for steps in (1000, 10_000):
        EQUATIONS.solve(long, Keeper(MPI.COMM_SELF), steps)
        print(f"| pinned, {steps} fixed steps | " + " | ".join(map(str, here().values())) + " |", flush=True)


if __name__ == "__main__":
    main()
