"""Fail on one rank, in one phase, in one way: what then becomes of all ranks?

    python tests/faults.py [RANKS ...]       # the whole table, in Markdown
    python tests/faults.py 3 4 --fault RunError --fault killed --phase writing

Under mpirun, `python tests/faults.py PHASE FAULT RANK ARGUMENTS...` is `kinlim ARGUMENTS...` with that fault in it.
"""

import argparse
import contextlib
import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PHASES = {
    "reading": ("kinlim.cli", "load"),
    "compiling": ("dolfinx.fem", "form"),
    "before stepping": ("kinlim.fem.record:Record", "begin"),
    "in PETSc": ("kinlim.fem.timestepper:TimeStepper", "residual_at"),
    "after a step": ("kinlim.fem.record:Record", "step"),
    "observing": ("kinlim.fem.record:Record", "observe"),
    "particles": ("kinlim.stochastic.pinned.balls:Balls", "advance"),
    "merging": ("kinlim.stochastic.ensemble:Sum", "add"),
    "comparing": ("kinlim.validation.standard:Standard", "compare"),
    "writing": ("kinlim.results:Results", "write"),
}
"""What fails the second time that it is called on that rank, or the first where it is called once."""

ONCE = ("reading", "compiling", "before stepping", "particles", "comparing")

EXCEPTIONS = ("RunError", "InputError", "RuntimeError", "MemoryError", "SystemExit", "KeyboardInterrupt")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    subprocess.Popen(["sh", "-c", f"sleep 5; kill -CONT {os.getpid()}"])
    os.kill(os.getpid(), signal.SIGSTOP)


def _allow_no_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(), resource.RLIM_INFINITY))  # not a page more


DEEDS = {"killed": _kill, "stopped 5 s": _stop, "no memory": _allow_no_memory}
"""What befalls a rank without an exception of Python's. `no memory`: what is asked of the system from then on."""

PATIENCE = 300
"""Seconds after which a run is taken to hang."""


def holder_of(place: str):
    """The module or class that has a function."""
    module, _, owner = place.partition(":")
    holder = importlib.import_module(module)
    return getattr(holder, owner) if owner else holder


def inject(phase: str, fault: str, rank: int) -> None:
    """Let the phase fail on this rank."""
    from mpi4py import MPI

    from kinlim import errors

    place, name = PHASES[phase]
    holder = holder_of(place)  # on all ranks: it may start PETSc, which is collective
    if MPI.COMM_WORLD.rank != rank:
        return
    whole, calls = getattr(holder, name), [0]
    kind = getattr(errors, fault, None) or getattr(importlib.import_module("builtins"), fault, None)

    def failing(*args, **kwargs):
        calls[0] += 1
        if calls[0] == (1 if phase in ONCE else 2):
            print(f"fault at {time.time()}", file=sys.stderr, flush=True)
            if fault not in DEEDS:
                raise kind("made to fail")
            DEEDS[fault]()
        return whole(*args, **kwargs)

    setattr(holder, name, failing)


def run(launcher: list[str], phase: str, fault: str, rank: int, arguments: list[str], cwd: Path) -> dict:
    """Start it; code (None where it hangs), seconds from the fault to the end, and what was said."""
    command = [*launcher, sys.executable, str(Path(__file__).resolve()), phase, fault, str(rank), *arguments]
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, start_new_session=True
    )
    try:
        out, said = started.communicate(timeout=PATIENCE)
        code: int | None = started.returncode
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)  # the ranks, too, which hold the pipes
        (out, said), code = started.communicate(), None
    ended, begun = time.time(), [float(line.split()[-1]) for line in said.splitlines() if line.startswith("fault at")]
    lines = [line for line in said.splitlines() if line.startswith("kinlim")]
    return {"code": code, "seconds": ended - begun[0] if begun else None, "said": lines, "out": out}


def table(ranks: list[int], faults: list[str], phases: list[str]) -> None:
    """Every fault on every number of ranks, on the last rank and on the first."""
    from kinlim.compat import on_this_machine

    print("| phase | fault | " + " | ".join(f"rank {at} of {n}" for n in ranks for at in {0, n - 1}) + " |")
    print("|---|---|" + "---|" * sum(len({0, n - 1}) for n in ranks))
    for phase in phases:
        for fault in faults:
            cells = []
            for n in ranks:
                for at in {0, n - 1}:
                    with tempfile.TemporaryDirectory() as folder:
                        found = run(on_this_machine(n), phase, fault, at, small(Path(folder)), Path(folder))
                    seconds = "not reached" if found["seconds"] is None else f"{found['seconds']:.1f} s"
                    cells.append(f"{'hangs' if found['code'] is None else found['code']}, {seconds}")
                    print(n, at, phase, fault, found["said"], file=sys.stderr, flush=True)
            print(f"| {phase} | {fault} | " + " | ".join(cells) + " |", flush=True)


STUDY = """
[study]
model = "pinned"
name = "small"
[model]
balls = 60
mu0 = "erf(27*(x-1/2)**3)"
sigma0 = "(1-cos(2*pi*x))/10"
end_time = 0.01
observe = [0.2, 0.5, 1.0]
[particles]
replicas = 2000
block = 100
[pde]
cells = 40
"""


def small(folder: Path) -> list[str]:
    """Arguments for a run of a small study with both sides."""
    (folder / "small.toml").write_text(STUDY)
    return ["run", "small.toml", "-o", "r"]


def main() -> None:
    """Print the table that the command line asks for."""
    words = argparse.ArgumentParser()
    words.add_argument("ranks", nargs="*", type=int, default=[2])
    words.add_argument("--fault", action="append", choices=(*EXCEPTIONS, *DEEDS))
    words.add_argument("--phase", action="append", choices=tuple(PHASES))
    asked = words.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        table(asked.ranks, asked.fault or [*EXCEPTIONS, *DEEDS], asked.phase or [*PHASES])


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in PHASES:
        phase, fault, rank, *sys.argv[1:] = sys.argv[1:]
        from kinlim import cli

        inject(phase, fault, int(rank))
        cli.main()
    main()
