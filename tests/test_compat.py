"""Installations: several processes that are no ranks, versions of DOLFINx, imports from anywhere."""

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
        ({}, None),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, None),
        ({"PMI_SIZE": "many"}, None),
        ({"SLURM_NTASKS": "8"}, None),  # of a batch script, which starts one process by itself
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, ("Open MPI", 2)),
        ({"PMI_SIZE": "3"}, ("MPICH or Slurm", 3)),
        ({"SLURM_STEP_NUM_TASKS": "4"}, ("Slurm", 4)),
    ],
)
def test_processes_of_another_launcher_are_noticed(environment, lost):
    assert compat.lost_ranks(environment) == lost


def test_one_of_them_speaks():
    assert compat.first_of_lost({"OMPI_COMM_WORLD_RANK": "0"})
    assert not compat.first_of_lost({"OMPI_COMM_WORLD_RANK": "1"})
    assert not compat.first_of_lost({"SLURM_PROCID": "3"})
    assert compat.first_of_lost({})


@pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="ranks that know each other are not lost")
def test_they_are_refused_in_words(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(InputError, match=r"Slurm has started 4 processes, and each is alone.*mpirun -n 4 kinlim"):
        parallel.world()


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
