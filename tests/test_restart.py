"""Going on from a checkpoint: the same solution as without a stop, and no checkpoint that is not whole is used."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mpi4py import MPI

from kinlim.checkpoint import VERSION, State, decode, encode
from kinlim.errors import InputError, Stopped
from kinlim.fem.pinned import solve
from kinlim.keeper import Keeper
from kinlim.results import Results
from kinlim.study import check, dump

SOLUTION = ("mu", "sigma", "node_mu", "node_sigma", "momentum", "energy", "energy_flux", "frame_mu", "frame_time")


def stopped_halfway(study, comm, monkeypatch):
    """A checkpoint from the middle of an interval between observations, as a signal makes it."""
    module = sys.modules["kinlim.fem.evolution"]
    middle = 0.77 * study.model.times[-1]
    step, kept = module.Record.step, []

    def step_and_signal(record, stepper):
        step(record, stepper)
        if stepper.time > middle:
            os.kill(os.getpid(), signal.SIGUSR1)

    with monkeypatch.context() as patch:
        patch.setattr(module.Record, "step", step_and_signal)
        with pytest.raises(Stopped, match="a checkpoint is written"):
            solve(study, comm, keeper=Keeper(comm, write=kept.append))
    kept = comm.bcast(kept)
    assert len(kept) == 1
    assert 0 < kept[0].attrs["time"] < study.model.times[-1]
    return kept[0]


@pytest.mark.parallel
@pytest.mark.parametrize("boundary", ["noflux", "paper"])
def test_a_stop_changes_no_bit(tables, boundary, monkeypatch):
    tables["pde"]["boundary"] = boundary
    unchanged(check(tables), monkeypatch)


@pytest.mark.parametrize("boundary", ["noflux", "paper"])
@pytest.mark.parametrize("system", ["A", "C"])
def test_a_stop_changes_no_bit_of_other_systems(tables, system, boundary, monkeypatch):
    monkeypatch.setattr("kinlim.fem.integrate.FORGET", 10)
    tables["pde"] |= {"system": system, "boundary": boundary}
    unchanged(check(tables), monkeypatch)


@pytest.mark.parametrize(
    "options",
    [
        {"ts_type": "bdf"},
        {"ts_type": "theta", "ts_theta_theta": 0.5},
        {"ts_type": "cn"},
        {"ts_type": "beuler"},
        {"ts_type": "alpha"},
    ],
)
def test_schemes_with_a_memory_forget_it_where_they_are_kept(tables, options, monkeypatch):
    monkeypatch.setattr("kinlim.fem.integrate.FORGET", 7)
    monkeypatch.setattr("kinlim.fem.pinned.b_prime.OPTIONS", options)
    tables["pde"]["rtol"] = 1e-5
    unchanged(check(tables), monkeypatch)


def unchanged(study, monkeypatch):
    """Solve a study with a stop and without, and find the same bits."""
    whole = solve(study, MPI.COMM_WORLD)
    kept = stopped_halfway(study, MPI.COMM_WORLD, monkeypatch)
    rest = solve(study, MPI.COMM_WORLD, keeper=Keeper(MPI.COMM_WORLD, kept))
    for name in SOLUTION:
        assert (whole[name].values == rest[name].values).all(), name
    for count in ("steps", "rejected_steps", "linear_solves"):
        assert whole.attrs[count] == rest.attrs[count]


@pytest.mark.parallel
def test_other_ranks_go_on_to_the_same_solution(tables, monkeypatch):
    tables["pde"]["boundary"] = "paper"
    study = check(tables)
    alone, together = MPI.COMM_SELF, MPI.COMM_WORLD
    whole = solve(study, alone)
    checkpoint = stopped_halfway(study, alone, monkeypatch)
    for name in SOLUTION[:-1]:
        rest = solve(study, together, keeper=Keeper(together, checkpoint))
        # sigma is sqrt(2 w): at ends that are held, where w = 0, an error of 1e-19 in w is one of 4e-10 in sigma
        within = 1e-9 if "sigma" in name else 1e-10
        assert rest[name].values == pytest.approx(whole[name].values, rel=1e-10, abs=within), name


def test_a_checkpoint_of_another_mesh_is_refused(tables, tmp_path, monkeypatch):
    # the study names a file, and that has changed: with the new nodes the old values would be nonsense
    del tables["pde"]["cells"]
    tables["pde"]["mesh"] = str(tmp_path / "nodes.txt")
    np.savetxt(tmp_path / "nodes.txt", np.linspace(0, 1, 41))
    checkpoint = stopped_halfway(check(tables), MPI.COMM_SELF, monkeypatch)
    for nodes in (np.linspace(0, 1, 41) ** 2, np.linspace(0, 1, 11)):
        np.savetxt(tmp_path / "nodes.txt", nodes)
        with pytest.raises(InputError, match=r"is not the mesh of the checkpoint, which has 40 cells"):
            solve(check(tables), MPI.COMM_SELF, keeper=Keeper(MPI.COMM_SELF, checkpoint))


def checkpoints(folder, study, times=(0.1, 0.2)):
    """A result folder with a checkpoint for each of the times, of which two are kept."""
    results = Results(folder)
    results.prepare(study, ("pde.nc",))
    for t in times:
        state = State({"u": np.arange(50.0)}, {"study": dump(study), "time": t})
        results.write_checkpoint("pde.checkpoint", state)
    return results


def test_the_newest_checkpoint_is_read_and_the_last_one_kept(tmp_path, study):
    results = checkpoints(tmp_path, study, (0.1, 0.2, 0.3))
    assert results.read_checkpoint("pde.checkpoint").attrs["time"] == 0.3
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"study.toml", "SHA256SUMS", "pde.checkpoint", "pde.checkpoint.previous"}
    results.drop_checkpoint("pde.checkpoint")
    assert results.read_checkpoint("pde.checkpoint") is None


@pytest.mark.parametrize("renamed", [0, 1])
def test_a_kill_between_renamings_loses_nothing(tmp_path, study, renamed):
    results = checkpoints(tmp_path, study, (0.1, 0.2, 0.3))
    (tmp_path / "pde.checkpoint").rename(tmp_path / "pde.checkpoint.new")
    if not renamed:
        (tmp_path / "pde.checkpoint.previous").rename(tmp_path / "pde.checkpoint")
    assert results.read_checkpoint("pde.checkpoint").attrs["time"] == 0.3
    with pytest.raises(InputError, match="add --resume"):
        results.prepare(study, ("pde.nc",))
    results.drop_checkpoint("pde.checkpoint")
    assert {path.name for path in tmp_path.iterdir()} == {"study.toml", "SHA256SUMS"}


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_is_used(tmp_path, study, seed):
    results = checkpoints(tmp_path, study)
    random, path = np.random.default_rng(seed), tmp_path / "pde.checkpoint"
    content = bytearray(path.read_bytes())
    if seed % 2:
        content = content[: random.integers(len(content))]
    else:
        content[random.integers(len(content))] ^= 1 << random.integers(8)
    path.write_bytes(content)
    assert results.read_checkpoint("pde.checkpoint").attrs["time"] == 0.1
    assert "cannot be used" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    "header",
    [
        b"", b"[]", b"{}", b'{"arrays": 3, "attrs": {}}', b'{"arrays": [], "attrs": 3}', b"[" * 5000,
        b'{"arrays": [["u", "|O", [1]]], "attrs": {}}', b'{"arrays": [["u", "<f8", [-1]]], "attrs": {}}',
        b'{"arrays": [["u", "<f8", [1000000000]]], "attrs": {}}', b'{"arrays": [["u", "<f9", [1]]], "attrs": {}}',
    ],
)  # fmt: skip
def test_a_forged_header_is_no_checkpoint(header):
    body = header + b"\n" + bytes(8)
    manifest = {"kinlim checkpoint": VERSION, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    with pytest.raises(ValueError, match="its header is not one that kinlim writes"):
        decode(json.dumps(manifest).encode() + b"\n" + body)


def test_a_checkpoint_that_lacks_something_is_refused(study, monkeypatch):
    kept = decode(encode(stopped_halfway(study, MPI.COMM_SELF, monkeypatch)), "r/pde.checkpoint")
    for part in (kept.arrays, kept.attrs):
        for name in set(part) - {"study"}:
            value = part.pop(name)
            with pytest.raises(InputError, match=f"^r/pde.checkpoint: has no {name.removeprefix('watch_')}"):
                solve(study, MPI.COMM_SELF, keeper=Keeper(MPI.COMM_SELF, kept))
            part[name] = value


def test_without_any_whole_checkpoint_nothing_is_resumed(tmp_path, study):
    results = checkpoints(tmp_path, study)
    for name in ("pde.checkpoint", "pde.checkpoint.previous"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    with pytest.raises(InputError, match=r"no checkpoint can be used .*bytes of"):
        results.read_checkpoint("pde.checkpoint")


def test_a_checkpoint_of_another_study_is_refused(tmp_path, study, tables):
    results = checkpoints(tmp_path, study)
    tables["pde"]["rtol"] = 1e-5
    results.write_text("study.toml", dump(check(tables)))
    with pytest.raises(InputError, match="pde.rtol = 1e-07 there, 1e-05 here"):
        results.read_checkpoint("pde.checkpoint")


@pytest.mark.slow
def test_a_signal_ends_the_command_with_75_and_resume_finishes_it(tmp_path, tables):
    tables["pde"] |= {"cells": 20000, "rtol": 1e-11}  # some seconds, of which the meter says nothing in the first two
    file = tmp_path / "slow.toml"
    file.write_text(dump(check(tables)))
    command = [sys.executable, "-m", "kinlim", "solve", str(file), "-o", str(tmp_path / "r")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr.readline().startswith("pde: ")  # it is at work
    for _ in range(3):  # schedulers may send more than one
        running.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 75, said
    assert "--resume goes on from it" in said
    assert (tmp_path / "r" / "pde.checkpoint").exists()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 2
    assert "add --resume" in again.stderr
    file.write_text(file.read_text().replace("rtol = 1e-11", "rtol = 1e-09"))
    other = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert other.returncode == 2
    assert "belongs to another study" in other.stderr
    file.write_text(file.read_text().replace("rtol = 1e-09", "rtol = 1e-11"))
    (tmp_path / "r" / "pde.nc").touch()
    unreadable = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert unreadable.returncode == 2
    assert "pde.nc: nothing tells whether it is whole" in unreadable.stderr
    (tmp_path / "r" / "pde.nc").unlink()
    subprocess.run([*command, "--resume"], check=True)
    left = {path.name for path in (tmp_path / "r").iterdir()}
    assert left == {"study.toml", "pde.nc", "log.txt", "figures", "SHA256SUMS"}


def test_there_must_be_something_to_resume(tmp_path, study):
    with pytest.raises(InputError, match="holds nothing to resume"):
        Results(tmp_path).prepare(study, ("pde.nc",), resume=True)
