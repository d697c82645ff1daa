"""Result folders: whole files or none, and nothing that is there is lost."""

import json
import os
import re

import pytest
import xarray as xr

from kinlim.errors import InputError, RunError
from kinlim.layout import seal
from kinlim.results import Results
from kinlim.study import check, dump

FILES = ("particles.nc",)


def test_a_claimed_folder_holds_the_resolved_study(tmp_path, study):
    results = Results(tmp_path / "a" / "b")
    results.prepare(study, FILES)
    assert results.study() == study
    assert "grading = 1.0" in (results.path / "study.toml").read_text()  # defaults are written out


def test_another_stage_of_the_same_study_may_join(tmp_path, study):
    results = Results(tmp_path)
    results.prepare(study, FILES)
    (tmp_path / "particles.nc").write_text("precious")
    results.prepare(study, ("pde.nc",))
    assert (tmp_path / "particles.nc").read_text() == "precious"


def test_earlier_results_are_refused_and_kept(tmp_path, study):
    results = Results(tmp_path)
    results.prepare(study, FILES)
    (tmp_path / "particles.nc").write_text("precious")
    with pytest.raises(InputError, match=f"{re.escape(str(tmp_path))}: holds particles.nc of an earlier run"):
        results.prepare(study, FILES)
    assert (tmp_path / "particles.nc").read_text() == "precious"


def test_a_folder_of_another_study_is_refused_with_the_difference(tmp_path, study, tables):
    Results(tmp_path).prepare(study, FILES)
    before = (tmp_path / "study.toml").read_bytes()
    tables["particles"]["seed"] = 99
    with pytest.raises(InputError, match="particles.seed = 3 there, 99 here"):
        Results(tmp_path).prepare(check(tables), ("pde.nc",))
    assert (tmp_path / "study.toml").read_bytes() == before


def test_a_users_own_file_named_study_toml_is_kept(tmp_path, study):
    (tmp_path / "study.toml").write_text("# my notes\n")
    with pytest.raises(InputError, match="study.toml"):
        Results(tmp_path).prepare(study, FILES)
    assert (tmp_path / "study.toml").read_text() == "# my notes\n"


@pytest.mark.parametrize("parent", ["file", "/proc/nowhere"])
def test_an_unwritable_folder_is_refused(tmp_path, study, parent):
    (tmp_path / "file").write_text("a file")
    folder = tmp_path / parent / "results"
    with pytest.raises(InputError, match=f"{re.escape(str(folder))}: the output folder cannot be written"):
        Results(folder).prepare(study, FILES)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path, study):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        Results(tmp_path).prepare(study, FILES)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    results = Results(tmp_path)
    results.write_text("a.txt", "old")

    def fails(path, data):
        with path.open("wb") as file:
            file.write(data[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", fails)
    with pytest.raises(RunError, match="a.txt: could not be written .No space left"):
        results.write_text("a.txt", "new")
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "SHA256SUMS"}
    results.manifest.check("a.txt", "")
    assert (tmp_path / "a.txt").read_text() == "old"


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Results(tmp_path).write_json("a.json", {"a": float("nan")})
    Results(tmp_path).write_json("a.json", {"a": None})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None}


def dataset(study):
    return seal(xr.Dataset({"mu": ("x", [1.0, 2.0])}, attrs={"seed": str(2**64 - 1), "study": dump(study)}), "pde.nc")


def test_datasets_open_without_kinlim(tmp_path, study):
    results = Results(tmp_path)
    results.prepare(study, ("pde.nc",))
    results.write_dataset("pde.nc", dataset(study))
    with xr.open_dataset(tmp_path / "pde.nc") as read:
        assert read.identical(dataset(study))
    assert results.read("pde.nc").identical(dataset(study))


def test_a_dataset_of_another_study_is_refused(tmp_path, study, tables):
    results = Results(tmp_path)
    results.prepare(study, ("pde.nc",))
    tables["model"]["mu0"] = "x"
    results.write_dataset("pde.nc", dataset(check(tables)))
    with pytest.raises(InputError, match="pde.nc: belongs to another study .*model.mu0 = 'x' there"):
        results.read("pde.nc")
    results.write_dataset("pde.nc", dataset(study).drop_attrs())
    with pytest.raises(InputError, match="pde.nc: was not made by this version of kinlim"):
        results.read("pde.nc")


@pytest.mark.parametrize("name", ["log.txt", "particles.nc", "pde.nc"])
def test_a_folder_with_files_of_that_name_and_no_study_is_refused(tmp_path, study, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"holds {name}"):
        Results(tmp_path).prepare(study, ("metrics.json",))
    assert (tmp_path / name).read_text() == "mine"


def test_a_full_disk_is_an_error_and_not_a_crash(tmp_path, study, monkeypatch):
    # HDF5 writing to the disk itself would end the process here
    def full(_path, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(RunError, match="pde.nc: could not be written .No space left"):
        Results(tmp_path).write_dataset("pde.nc", dataset(study))
    assert list(tmp_path.iterdir()) == []


def test_a_broken_dataset_is_named(tmp_path):
    results = Results(tmp_path)
    (tmp_path / "pde.nc").write_bytes(b"\x89HDF\r\n\x1a\nbroken")
    with pytest.raises(InputError, match="pde.nc: nothing tells whether it is whole .there is no SHA256SUMS"):
        results.read("pde.nc")
    results.manifest.accept(["pde.nc"])
    with pytest.raises(InputError, match="pde.nc: is not a readable NetCDF-4 file"):
        results.read("pde.nc")


def test_a_missing_dataset_names_the_stage(tmp_path, study):
    Results(tmp_path).prepare(study, ())
    with pytest.raises(InputError, match="particles.nc: is missing; `kinlim simulate` writes it"):
        Results(tmp_path).read("particles.nc")
