"""Particles that are killed, stopped, damaged or added to: the statistics of an uninterrupted run."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

from mpi4py import MPI

import kinlim
from kinlim.checkpoint import decode
from kinlim.keeper import Keeper
from kinlim.results import Results, checkpoint_of
from kinlim.study import check, dump

PARTICLES = "particles.nc"
PARTICLES_CHECKPOINT = checkpoint_of(PARTICLES)


@pytest.fixture
def slow(tables):
    """Some seconds of particles in many small blocks."""
    tables["model"] |= {"end_time": 0.02}
    tables["particles"] |= {"replicas": 20000, "block": 32, "pilot": 64}
    return tables


def command(file, folder, *more, stage="simulate"):
    return [sys.executable, "-m", "kinlim", stage, str(file), "-o", str(folder), *more]


def study_file(path, tables):
    path.write_text(dump(check(tables)))
    return path


def done(folder):
    """Blocks in the newest checkpoint; -1 while there is none of the particles."""
    for suffix in (".new", "", ".previous"):
        try:
            state = decode((folder / f"{PARTICLES_CHECKPOINT}{suffix}").read_bytes())
        except OSError:
            continue
        return state.attrs["added"] + len(state.attrs["waiting"]) if state.attrs["stage"] == "particles" else -1
    return -1


def start_and_wait(arguments, folder, blocks):
    running = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while done(folder) < blocks and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.005)
    assert running.poll() is None, running.communicate()
    return running


def same(one, other):
    return [name for name in one.data_vars if not one[name].equals(other[name])] == []


@pytest.mark.slow
def test_killed_and_resumed_particles_are_those_of_one_run(tmp_path, slow):
    file, folder = study_file(tmp_path / "s.toml", slow), tmp_path / "r"
    resume: tuple[str, ...] = ()
    for blocks in (1, 100, 300):
        running = start_and_wait(command(file, folder, *resume), folder, blocks)
        running.kill()
        running.communicate()
        kept, resume = done(folder), ("--resume",)
        assert kept >= blocks
    (folder / ".particles.checkpoint.new.1.part").touch()  # as a kill during a write leaves it
    subprocess.run(command(file, folder, *resume), check=True)
    found = xr.load_dataset(folder / PARTICLES, engine="h5netcdf")
    assert same(kinlim.simulate(check(slow)), found)
    left = {path.name for path in folder.iterdir()}
    assert left == {"study.toml", "log.txt", "SHA256SUMS", PARTICLES, PARTICLES_CHECKPOINT}
    assert float(found.attrs["wall_seconds"]) > 0


@pytest.mark.slow
def test_a_signal_ends_with_75_and_a_hint(tmp_path, slow):
    file, folder = study_file(tmp_path / "s.toml", slow), tmp_path / "r"
    running = start_and_wait(command(file, folder), folder, 1)
    running.send_signal(signal.SIGUSR1)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 75, said
    assert "blocks of replicas are done; a checkpoint is written, and --resume goes on from it" in said
    again = subprocess.run(command(file, folder), capture_output=True, text=True)
    assert again.returncode == 2
    assert "add --resume" in again.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_replicas_can_be_raised_and_not_lowered(tmp_path, tables):
    tables["particles"] |= {"replicas": 200, "block": 64, "pilot": 32}
    file, folder = study_file(tmp_path / "s.toml", tables), tmp_path / "r"
    subprocess.run(command(file, folder, stage="run"), check=True)
    solved = (folder / "pde.nc").stat().st_mtime_ns
    fewer = subprocess.run(
        command(file, folder, "--replicas", "100", "--resume", stage="run"), capture_output=True, text=True
    )
    assert fewer.returncode == 2
    assert "particles.nc: has 200 replicas, and particles.replicas = 100" in fewer.stderr
    assert Results(folder).study().particles.replicas == 200  # nothing has changed
    more = subprocess.run(command(file, folder, "--replicas", "300", stage="run"), capture_output=True, text=True)
    assert more.returncode == 2
    subprocess.run(command(file, folder, "--replicas", "500", "--resume", stage="run"), check=True)
    tables["particles"]["replicas"] = 500
    assert same(kinlim.simulate(check(tables)), xr.load_dataset(folder / PARTICLES, engine="h5netcdf"))
    assert (folder / "pde.nc").stat().st_mtime_ns == solved
    assert '"replicas": 500' in (folder / "metrics.json").read_text()
    assert Results(folder).study().particles.replicas == 500


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_refused_resume_changes_nothing(tmp_path, tables):
    tables["particles"] |= {"replicas": 500, "block": 64}
    file, folder = study_file(tmp_path / "s.toml", tables), tmp_path / "r"
    subprocess.run(command(file, folder), check=True)
    before = (folder / "study.toml").read_bytes()
    pilot = subprocess.run(
        command(file, folder, "--set", "particles.pilot=64", "--resume"), capture_output=True, text=True
    )
    assert "or add --set particles.pilot=0" in pilot.stderr
    checkpoint = folder / PARTICLES_CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    refused = subprocess.run(command(file, folder, "--replicas", "600", "--resume"), capture_output=True, text=True)
    assert refused.returncode == 2
    assert "no checkpoint can be used" in refused.stderr
    assert (folder / "study.toml").read_bytes() == before


@pytest.mark.slow
def test_too_many_replicas_asked_for_can_be_taken_back(tmp_path, slow):
    file, folder = study_file(tmp_path / "s.toml", slow), tmp_path / "r"
    running = start_and_wait(command(file, folder, "--replicas", "1000000000"), folder, 1)
    running.kill()
    running.communicate()
    subprocess.run(command(file, folder, "--replicas", "30000", "--resume"), check=True)
    assert xr.load_dataset(folder / PARTICLES, engine="h5netcdf").attrs["replicas"] == 30000


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_what_else_differs_is_refused(tmp_path, tables):
    file, folder = study_file(tmp_path / "s.toml", tables), tmp_path / "r"
    subprocess.run(command(file, folder), check=True)
    other = subprocess.run(
        command(file, folder, "--replicas", "700", "--resume", "--set", "particles.block=64"),
        capture_output=True,
        text=True,
    )
    assert other.returncode == 2
    assert "particles.block = 512 there, 64 here" in other.stderr


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_checkpoint_of_particles_leads_to_the_one_before(tmp_path, tables, seed):
    tables["particles"] |= {"replicas": 100, "block": 32}
    study, states = check(tables), []
    kinlim.simulate(study, keeper=Keeper(MPI.COMM_WORLD, write=states.append), threads=1)
    results, random = Results(tmp_path), np.random.default_rng(seed)
    results.prepare(study, (PARTICLES,))
    for state in states[-2:]:
        results.write_checkpoint(PARTICLES_CHECKPOINT, state)
    path = tmp_path / PARTICLES_CHECKPOINT
    content = bytearray(path.read_bytes())
    if seed % 2:
        content = content[: random.integers(len(content))]
    else:
        content[random.integers(len(content))] ^= 1 << random.integers(8)
    path.write_bytes(content)
    found = results.read_checkpoint(PARTICLES_CHECKPOINT)
    assert found.attrs == states[-2].attrs
    assert same(kinlim.simulate(study), kinlim.simulate(study, keeper=Keeper(MPI.COMM_WORLD, found)))


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_particles_that_are_not_the_equations_are_not_compared(tmp_path, tables):
    tables["particles"] |= {"kernel": "sorting", "follow": [3]}
    file = study_file(tmp_path / "s.toml", tables)
    refused = subprocess.run(command(file, tmp_path / "r", stage="run"), capture_output=True, text=True)
    assert refused.returncode == 2
    assert "particles.kernel = 'sorting' is not the model whose limit the equations are" in refused.stderr
    assert not (tmp_path / "r").exists()
    subprocess.run(command(file, tmp_path / "r"), check=True)
