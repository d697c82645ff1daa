"""One rank fails, all end: soon, with a word of it, and with a code that says so."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from faults import PHASES, run, small

from kinlim.compat import on_this_machine

CODES = {"InputError": 2, "KeyboardInterrupt": 130}


def test_there_is_a_place_to_fail_in_every_phase():
    assert len(PHASES) == 10


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


@pytest.mark.slow
def test_more_ranks_than_cells(tmp_path):
    """A rank without a cell has no points: its share of every array is empty."""
    arguments = [*small(tmp_path), "--set", "pde.cells=4", "--set", "model.end_time=1e-4", "--set", "pde.rtol=1e-3"]
    arguments[0] = "solve"
    found = []
    for ranks in (1, 5):
        launcher = on_this_machine(ranks) if ranks > 1 else []
        command = [*launcher, sys.executable, "-m", "kinlim", *arguments]
        command[command.index("-o") + 1] = f"r{ranks}"
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        with xr.open_dataset(tmp_path / f"r{ranks}" / "pde.nc") as pde:
            found.append(pde["sigma"].to_numpy())
    assert np.abs(found[1] - found[0]).max() < 1e-10 * np.abs(found[0]).max()
