"""One rank fails, all end: soon, with a word of it, and with a code that says so."""

import subprocess
import sys

import pytest
from faults import PHASES, holder_of, run, small

from kinlim.compat import on_this_machine

CODES = {"InputError": 2, "KeyboardInterrupt": 130}


@pytest.mark.parametrize("phase", PHASES)
def test_what_is_made_to_fail_is_there(phase):
    """Or a renamed function would leave a phase without a fault."""
    place, name = PHASES[phase]
    assert callable(getattr(holder_of(place), name))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase", "exception", "rank"),
    [
        ("reading", "InputError", 0),  # on all ranks, by `on_root`
        ("compiling", "RunError", 1),  # RunError and InputError used to be taken for failures of all
        ("before stepping", "InputError", 1),
        ("in PETSc", "RuntimeError", 1),
        ("after a step", "SystemExit", 1),  # PETSc's objects were destroyed on the way, which waits for the others
        ("observing", "KeyboardInterrupt", 0),
        ("particles", "RuntimeError", 1),
        ("merging", "MemoryError", 0),
        ("comparing", "RunError", 0),
        ("writing", "SystemExit", 0),
    ],
)
def test_a_fault_on_one_rank_ends_both(tmp_path, phase, exception, rank):
    found = run(on_this_machine(2), phase, exception, rank, small(tmp_path), tmp_path)
    assert found["code"] == CODES.get(exception, 1), found
    assert found["seconds"] is not None
    assert len(found["said"]) == 1, found
    assert "made to fail" in found["said"][0] or "interrupted" in found["said"][0]


def test_an_end_is_an_end():
    """MPI_Abort may return, and the SystemExit that followed was taken for a second fault, and told."""
    program = """
import os
from types import SimpleNamespace
from mpi4py import MPI
from kinlim import cli
MPI.COMM_WORLD = SimpleNamespace(rank=0, size=2, Abort=lambda code: None)
os.environ["SLURM_STEP_ID"] = "0"  # it is not alone
try:
    cli._die(KeyboardInterrupt(), False)
except BaseException as error:
    cli._die(error, False)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("kinlim")) == (130, 1), ended.stderr
