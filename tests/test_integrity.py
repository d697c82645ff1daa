"""What a folder holds is what kinlim wrote: damage, strangers and other processes are noticed, in one sentence."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fuzz import datasets, studies

from kinlim import lock
from kinlim.errors import InputError, RunError
from kinlim.layout import NAN_WHERE, seal, verify
from kinlim.manifest import SUMS
from kinlim.results import Results
from kinlim.study import dump
from kinlim.verification import verify as verify_folder


@pytest.fixture
def folder(tmp_path, study):
    """A result folder with a dataset in two versions, the first replaced."""
    results = Results(tmp_path / "r")
    results.prepare(study, ("pde.nc",))
    results.write_dataset("pde.nc", dataset(study, 1.0))
    results.write("figures/mu.png", b"picture")
    return results


def dataset(study, value):
    variables = {"mu": (("time", "x"), np.full((2, 3), value)), "site": ("x", [1, 2, 3]), "e": ((), value)}
    about = {"study": dump(study), "replicas": 4, "lambda": 0.5}
    return seal(xr.Dataset(variables, {"time": [0.0, 1.0], "x": [0.1, 0.2, 0.3]}, about), "pde.nc")


# --- checksums ---


@pytest.mark.parametrize("name", ["pde.nc", "study.toml", "figures/mu.png", SUMS])
def test_every_flipped_bit_and_every_cut_is_found(folder, name):
    path, random = folder.path / name, np.random.default_rng(1)
    whole = path.read_bytes()
    damages = [whole[: random.integers(len(whole))] for _ in range(20)]
    for _ in range(100):
        content = bytearray(whole)
        content[random.integers(len(whole))] ^= 1 << random.integers(8)
        damages.append(bytes(content))
    for content in damages:
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{name} (is|:)"):
            verify_folder(folder.path)
        if name == "pde.nc":
            with pytest.raises(InputError, match="pde.nc: is not what kinlim wrote"):
                folder.read(name)
    path.write_bytes(whole)
    assert "3 file(s) are whole" in verify_folder(folder.path)


def test_sha256sum_reads_the_list(folder):
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS], cwd=folder.path, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count(": OK") == 3


@pytest.mark.parametrize("written", range(4))
def test_a_kill_at_any_moment_of_a_replacement_leaves_a_file_that_is_known(folder, study, monkeypatch, written):
    # A replacement renames three times: the list with both sums, the file, the list with the new one.
    replace, done = Path.replace, []

    def dying(path, target):
        if len(done) == written:
            raise KeyboardInterrupt
        done.append(target)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", dying)
    if written < 3:
        with pytest.raises(KeyboardInterrupt):
            folder.write_dataset("pde.nc", dataset(study, 2.0))
    else:
        folder.write_dataset("pde.nc", dataset(study, 2.0))
    monkeypatch.undo()
    assert float(folder.read("pde.nc").e) == (1.0 if written < 2 else 2.0)
    assert "are whole" in verify_folder(folder.path)


def test_a_start_that_was_killed_before_study_toml_does_not_block_the_folder(tmp_path, study, monkeypatch):
    def dying(path, target):
        if target.name == "study.toml":
            raise KeyboardInterrupt
        os.replace(path, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        Results(tmp_path).prepare(study, ("pde.nc",))
    monkeypatch.undo()
    assert {path.name for path in tmp_path.iterdir()} == {SUMS}
    Results(tmp_path).prepare(study, ("pde.nc",))


def test_a_users_own_list_is_kept(tmp_path, study):
    (tmp_path / SUMS).write_text(f"{hashlib.sha256(b'').hexdigest()}  mine.txt\n")
    with pytest.raises(InputError, match="was not written by kinlim"):
        Results(tmp_path).prepare(study, ("pde.nc",))
    assert "mine.txt" in (tmp_path / SUMS).read_text()


def test_verify_names_what_is_missing_or_strange_and_accept_takes_it(folder):
    (folder.path / "figures" / "mu.png").unlink()
    (folder.path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"figures/mu.png is missing\. What is not named is whole"):
        verify_folder(folder.path)
    assert "without a checksum" not in verify_folder(folder.path, accept=True)
    assert "3 file(s) are whole" in verify_folder(folder.path.parent)
    with pytest.raises(InputError, match="holds no result folder"):
        verify_folder(folder.path / "figures")


def test_a_file_that_was_moved_away_is_made_anew_with_resume(folder, study):
    (folder.path / "pde.nc").unlink()
    folder.prepare(study, ("pde.nc",), resume=True)
    assert "2 file(s) are whole" in verify_folder(folder.path)


# --- layouts ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("mu"), "has no variable mu; it has e, site"),
        (lambda d: d.drop_vars("time"), "has no variable time"),
        (lambda d: d.isel(x=[0, 1]), "mu has the dimensions .time: 2, x: 2., and was made with .time: 2, x: 3."),
        (lambda d: d.assign(mu=d.mu.T), "mu has the dimensions .x: 3, time: 2."),
        (lambda d: d.assign(mu=d.mu.astype(str)), "the values of mu are texts, and should be real numbers"),
        (lambda d: d.assign(site=d.site * 0.5), "the values of site are real numbers, and should be integers"),
        (
            lambda d: d.assign(mu=d.mu.where(d.x > 0.1)),
            "no finite numbers .2 of 6, the first at time number 1, x number 1",
        ),
        (lambda d: d.assign(e=np.inf), "e holds values that are no finite numbers .1 of 1."),
        (lambda d: d.assign_attrs(replicas="many"), "has the attribute replicas = 'many', and should be of integers"),
        (lambda d: d.drop_attrs(), "was not made by this version of kinlim"),
        (lambda d: d.assign_attrs(layout="{}"), "was not made by this version of kinlim"),
        (lambda d: d.assign_attrs(layout='{"variables": {"mu": 3}, "attributes": {}}'), "was not made by this version"),
        (lambda d: d.drop_attrs().assign_attrs(layout=d.layout), "has no attribute study"),
    ],
)
def test_a_dataset_that_is_not_as_it_was_made_is_refused(study, change, message):
    with pytest.raises(InputError, match=f"^it: .*{message}"):
        verify(change(dataset(study, 1.0)), "it")


def test_mutated_datasets_are_used_or_refused_in_one_sentence():
    assert datasets(60, np.random.default_rng(7)).keys() <= {"used", "refused"}


def test_mutated_studies_are_used_or_refused_in_one_sentence():
    assert studies(1000, np.random.default_rng(7)).keys() <= {"used", "refused"}


def test_what_was_added_does_not_matter(study):
    verify(dataset(study, 1.0).assign(more=("x", [np.nan] * 3)).assign_attrs(note="mine"), "it")


def test_no_unexpected_nan_is_written():
    holed = xr.Dataset({"a": ("x", [1.0, np.nan])})
    with pytest.raises(
        RunError, match=r"pde.nc: a holds values that are no finite numbers .1 of 2, the first at x numb"
    ):
        seal(holed, "pde.nc")
    holed["a"].attrs[NAN_WHERE] = "the end"
    verify(seal(holed, "pde.nc"), "it")


# --- one process at a time ---

HOLD = """
import sys, time
from pathlib import Path
from kinlim.results import Results
with Results(Path(sys.argv[1])).claim():
    print("mine", flush=True)
    time.sleep(600)
"""


def test_a_folder_has_one_owner_who_is_named_and_whose_death_frees_it(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "r"], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "mine\n"
        with pytest.raises(InputError, match=f"another kinlim is at work in this folder .process {holder.pid} on "):
            Results(tmp_path / "r").claim().__enter__()
        with pytest.raises(InputError, match="is no folder|holds no result folder"):
            verify_folder(tmp_path / "r")
        assert lock.is_locked(tmp_path / "r")
    finally:
        holder.kill()
        holder.communicate()
    assert (tmp_path / "r" / lock.LOCK).exists()  # it died with it
    with Results(tmp_path / "r").claim():
        assert lock.is_locked(tmp_path / "r")
    assert not (tmp_path / "r" / lock.LOCK).exists()


def test_a_claim_that_comes_to_nothing_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), Results(tmp_path / "a" / "b").claim():
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_locks_the_log_says_so(folder, monkeypatch):
    def none(file, operation):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", none)
    with folder.claim():
        pass
    assert "this file system has no locks (Function not implemented)" in (folder.path / "log.txt").read_text()


def test_what_a_killed_run_left_half_written_goes_and_what_is_a_users_stays(folder):
    for name in (".pde.nc.123.part", "figures/.mu.png.123.part", ".mine.part"):
        (folder.path / name).write_text("half")
    with folder.claim():
        left = {path.name for path in folder.path.rglob("*.part")}
    assert left == {".mine.part"}
