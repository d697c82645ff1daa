"""Stop a run twice, each time going on with other ranks, and compare its numbers with those of a run left alone.

    python tests/restarts.py [MOST]       # a table in Markdown, of all pairs of 1 ... MOST ranks; 4 by default

A -> B -> A: begun on A ranks, gone on with on B, ended on A. On as many ranks the bits must be the same, on others the
numbers within 1e-10 of the largest. Under mpirun, `python tests/restarts.py FOLDER INTO STOP FROM` is one leg for all
sides: from the states in FOLDER/FROM (or from the beginning, if FROM is -), into FOLDER/INTO.
"""

import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from conftest import KAC, REACTION, TABLES

from kinlim.study import check

SIDES = {
    **{f"pinned {name}, {ends}":
       (TABLES | {"pde": TABLES["pde"] | {"system": name, "boundary": ends, "rtol": 1e-4}}, "pde")
       for name in ("A", "B'", "C") for ends in ("noflux", "paper")},
    "pinned particles": (TABLES, "particles"),
    "kac particles": (KAC, "particles"),
    "reaction pde": (REACTION, "pde"),
    "reaction kinetic": (REACTION, "kinetic"),
    "reaction particles": (REACTION, "particles"),
}  # fmt: skip
"""A study, and the side of it."""


def leg(folder: Path, into: str, stop: bool, source: str) -> None:
    """One leg of all sides: a state where it is stopped, the numbers where it ends."""
    from mpi4py import MPI

    from kinlim import api
    from kinlim.errors import Stopped
    from kinlim.fem import integrate
    from kinlim.keeper import Keeper
    from kinlim.stochastic import ensemble
    from kinlim.study import model_of

    comm = MPI.COMM_WORLD
    integrate.FORGET = 10
    steps, due, add = [0], Keeper.due, ensemble.Sum.add

    def asked(keeper):
        steps[0] += 1
        keeper.requests.received |= stop and steps[0] == 11
        return due(keeper)

    Keeper.due = asked
    for name, (tables, side) in SIDES.items():
        study = check(tables)
        one = next(one for one in model_of(study).sides if one.name == side)
        path = folder / source / f"{name}.pickle"
        found = pickle.loads(path.read_bytes()) if source != "-" and comm.rank == 0 else None
        kept, steps[0] = [], 0
        keeper = Keeper(comm, found if not isinstance(found, dict) else None, kept.append)
        blocks = [0]

        def added(total, index, statistics, keeper=keeper, blocks=blocks):
            add(total, index, statistics)
            blocks[0] += 1
            keeper.requests.received |= stop and blocks[0] == 1

        ensemble.Sum.add = added
        ended = comm.bcast(isinstance(found, dict))
        try:
            if not ended:
                dataset = api.make(one, study, keeper, 1)
                found = {str(key): values.to_numpy() for key, values in dataset.variables.items()}
        except Stopped:
            found = kept[-1] if comm.rank == 0 else None
        if comm.rank == 0:
            (folder / into).mkdir(exist_ok=True)
            (folder / into / f"{name}.pickle").write_bytes(pickle.dumps(found))


def gap(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> tuple[float, str]:
    """Largest difference of two datasets, over the largest number of its variable, which is named; 0 for the same bits.

    It is over 1 at least: what is conserved is left with rounding errors, which differ by all that they are.
    """
    largest = (0.0, "")
    for name, a in one.items():
        b = other[name]
        if a.tobytes() != b.tobytes() and a.dtype.kind == "f":
            scale = max(np.nanmax(np.abs(a)), 1.0)
            difference = float(np.nanmax(np.abs(a - b)) / scale) if a.shape == b.shape else np.inf
            largest = max(largest, (difference, name))
    return largest


def main(most: int) -> None:
    """Print the table."""
    from kinlim.compat import on_this_machine

    def go(folder: Path, ranks: int, *words: str) -> None:
        command = [*on_this_machine(ranks), sys.executable, __file__, str(folder), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600)

    every = range(1, most + 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for a in every:
            go(folder, a, f"{a}", "", "-")
            go(folder, a, f"{a}.", "stop", "-")
        for a in every:
            for b in every:
                go(folder, b, f"{a}.{b}.", "stop", f"{a}.")
                go(folder, a, f"{a}.{b}.{a}", "", f"{a}.{b}.")
        pairs = [(a, b) for a in every for b in every]
        print("| side | " + " | ".join(f"{a}→{b}→{a}" for a, b in pairs) + " |\n|---|" + "---|" * len(pairs))
        for side in SIDES:
            cells = []
            for a, b in pairs:
                alone, chained = (
                    pickle.loads((folder / place / f"{side}.pickle").read_bytes()) for place in (f"{a}", f"{a}.{b}.{a}")
                )
                found = gap(alone, chained)
                cells.append("same bits" if found[0] == 0 else f"{found[0]:.0e} ({found[1]})")
            print(f"| {side} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 5:
        leg(Path(sys.argv[1]), sys.argv[2], bool(sys.argv[3]), sys.argv[4])
    else:
        main(int((sys.argv[1:] or ["4"])[0]))
