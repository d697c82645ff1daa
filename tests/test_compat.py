"""Installations: several processes that are no ranks, versions of DOLFINx, imports from anywhere."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from mpi4py import MPI

from kinlim import compat, parallel
from kinlim.errors import InputError

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="ranks that know each other are not lost")
@pytest.mark.parametrize(
    ("environment", "lost"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, ("Open MPI", 2, False)),
        ({"PMI_SIZE": "3"}, ("MPICH or Slurm", 3, True)),
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}, ("Slurm", 4, True)),
    ],
)
def test_processes_of_another_launcher_are_noticed(environment, lost):
    found = compat.lost_ranks(environment)
    assert (found.launcher, found.processes, compat.is_first(environment)) == lost


@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="ranks that know each other are not lost")
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OMPI_COMM_WORLD_SIZE": "1"},
        {"PMI_SIZE": "many"},
        {"SLURM_NTASKS": "8"},  # of a batch script, which starts one process by itself
    ],
)
def test_one_process_is_none_of_several(environment):
    assert compat.lost_ranks(environment) is None


@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="ranks that know each other are not lost")
def test_they_are_refused_in_words(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(InputError, match=r"Slurm has started 4 processes, and each is alone.*mpirun -n 4 kinlim"):
        parallel.world()


@pytest.mark.parametrize(
    ("launcher", "library", "remedy"),
    [
        ("Slurm", "MPICH 5.0.2", "kinlim ..., or srun --mpi=pmi2 kinlim ..."),
        ("Slurm", "Open MPI 5.0.7", "kinlim ..., or srun --mpi=pmix kinlim ..."),
        ("Open MPI", "MPICH 5.0.2", "mpirun -n 4 kinlim ..."),
    ],
)
def test_slurm_is_told_the_language_of_the_library(launcher, library, remedy):
    said = str(compat.LostRanks(launcher, 4, library))
    assert said.endswith(remedy)
    assert ("srun" in said) == (launcher == "Slurm")


@pytest.mark.skipif(not compat.WHEEL, reason="Open MPI is what it expects")
@pytest.mark.parametrize(("rank", "words"), [("0", "Open MPI has started 2 processes"), ("1", "")])
def test_mpich_is_not_started_by_another_launcher(rank, words):
    # it would end the process with a page about PMI versions
    started = {"PMIX_RANK": rank, "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": rank}
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PMI")}
    command = [sys.executable, "-m", "kinlim", "info"]
    done = subprocess.run(command, env=alone | started, capture_output=True, text=True, cwd="/")
    assert done.returncode == 2
    assert done.stderr.removeprefix("kinlim: ").startswith(words)
    assert done.stderr.count("\n") == (rank == "0")


@pytest.mark.parametrize(("version", "expected"), [("0.9.0", (0, 9)), ("0.11.0.post0", (0, 11)), ("1.0.0rc1", (1, 0))])
def test_version_of_dolfinx(monkeypatch, version, expected):
    monkeypatch.setattr(compat, "version", lambda name: version)
    assert compat.dolfinx_version() == expected


def test_no_dolfinx_is_said(monkeypatch):
    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(compat, "version", version)
    with pytest.raises(PackageNotFoundError, match="fenics-dolfinx"):
        compat.dolfinx_version()


def test_nodes_of_cells():
    from dolfinx.mesh import create_interval

    mesh = create_interval(MPI.COMM_SELF, 3, (0.0, 3.0))
    assert np.ptp(mesh.geometry.x[:, 0][compat.cell_nodes(mesh)], axis=1) == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts processes")
@pytest.mark.parametrize("where", [ROOT, ROOT / "tests", Path("/")])
@pytest.mark.parametrize("module", ["kinlim.fem.pinned", "kinlim.stochastic.ensemble", "kinlim.meshes.torus"])
def test_one_spelling_of_an_import_works_from_everywhere(where, module):
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=where, check=True)


WRITES = "import numpy as np, xarray as xr; xr.Dataset({'a': ('x', np.ones(3))}).to_netcdf('a.nc', engine='h5netcdf')"


@pytest.mark.slow
@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts processes")
@pytest.mark.parametrize("first", ["", "import h5py", "import xarray", "from mpi4py import MPI"])
def test_datasets_are_written_after_dolfinx_is_loaded(tmp_path, first):
    # DOLFINx from PyPI and h5py have an HDF5 each: the wrong one first, and h5py finds no datatypes
    program = f"{first}\nimport kinlim, dolfinx.io\nfrom dolfinx.fem import petsc\n{WRITES}"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert (tmp_path / "a.nc").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.skipif(not compat.WHEEL or MPI.COMM_WORLD.size > 1, reason="of the wheels")
def test_the_wrong_order_is_told_in_words():
    program = "from mpi4py import MPI\nimport dolfinx.io, dolfinx.fem.petsc\nimport kinlim"
    done = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True)
    assert "put `import kinlim`, or `import h5py`, before the imports of dolfinx" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "given", "threads"),
    [("/usr/bin/kinlim", None, "1"), ("/usr/bin/kinlim", "2", "2"), ("mine.py", None, "None")],
)
def test_a_command_has_one_thread_of_blas_unless_its_user_wants_more(name, given, threads):
    """A script of a user's own keeps what he has."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    environment |= {} if given is None else {"OMP_NUM_THREADS": given}
    program = f"import os, sys; sys.argv = [{name!r}]; import kinlim; print(os.environ.get('OMP_NUM_THREADS'))"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip() == threads


@pytest.mark.parametrize(("given", "kept"), [(None, "1" if compat.WHEEL else None), ("0", "0")])
def test_waiting_ranks_of_mpich_leave_cores_to_others_unless_the_user_says_no(given, kept):
    environment = {key: value for key, value in os.environ.items() if key != compat.PATIENCE}
    environment |= {} if given is None else {compat.PATIENCE: given}
    program = f"import os, kinlim, mpi4py.MPI; print(os.environ.get({compat.PATIENCE!r}))"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip() == str(kept)
