"""Commands that look at result folders: what there is, how two differ, tables, pages; and studies in Python."""

import csv
import json
import logging
import threading
from urllib.request import urlopen

import numpy as np
import pytest
import xarray as xr
from commands import kinlim as command

import kinlim
from kinlim import catalogue, diff
from kinlim.errors import InputError, RunError
from kinlim.export import export
from kinlim.results import Results
from kinlim.statements import STATEMENTS
from kinlim.study import dump
from kinlim.validation.convergence import judge
from kinlim.workflow import run


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two runs with other seeds and tolerances, not drawn, and a folder that has a study alone."""
    from conftest import PIXEL, TABLES

    there = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", lambda figure, file, **_: file.write(PIXEL))
        for name, seed, rtol in (("one", 3, 1e-7), ("two", 4, 1e-5)):
            study = kinlim.load(TABLES).vary(**{"particles.seed": seed, "pde.rtol": rtol})
            run(study, there / name)
    Results(there / "begun").path.mkdir()
    Results(there / "begun").set_study(study)
    return there


def test_folders_are_listed_with_what_they_have_found(folders):
    entries = {entry.path.name: entry for entry in catalogue.entries(folders)}
    assert set(entries) == {"one", "two", "begun"}
    said = json.loads((folders / "one" / "metrics.json").read_text())["verdicts"][0]["sentence"]
    assert entries["one"].said == said
    assert (entries["one"].name, entries["one"].model) == ("small", "pinned")
    assert entries["begun"].said == "begun, and nothing is kept yet"
    assert entries["begun"].page is None
    assert said in catalogue.listed(folders)
    assert str(folders / "begun") in catalogue.listed(folders).splitlines()[-2]  # no log: it comes last


def rows(order):
    """Errors on manufactured solutions on two meshes, with an order in h."""
    columns = {"family": ["manufactured"] * 2, "degree": [2, 2], "value": [0.1, 0.05], "error_u": [1, 0.5**order]}
    variables = {name: ("row", values) for name, values in columns.items()}
    return xr.Dataset(variables, attrs={"families": "manufactured", "order_in_time": 4})


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (lambda: judge(rows(1.0)), "Errors under refinement: 1 check FAILED. Manufactured solution, P2: order 1.00 on"),
        (lambda: judge(rows(3.0)), "Errors under refinement: every check passed. Manufactured solution, P2: order 3.0"),
        (
            lambda: {STATEMENTS: [{"verdict": word} for word in ("fails", "holds", "fails")]},
            "3 statements; fails: 2, h",
        ),
        (lambda: {"headline": "It converges.", "conclusion": []}, "It converges."),
        (lambda: ["of another program"], "no verdict; holds "),
    ],
)
def test_examinations_are_listed_with_what_they_have_found(folders, tmp_path, found, said):
    """A folder of `kinlim converge` had "no verdict" there, whatever had failed."""
    (tmp_path / "study.toml").write_bytes((folders / "one" / "study.toml").read_bytes())
    (tmp_path / "any.json").write_text(json.dumps(found()))
    (tmp_path / "any.nc").touch()
    assert catalogue.entries(tmp_path)[0].said.startswith(said)


def test_points_of_a_sweep_are_not_listed_beside_it(folders, tmp_path):
    point = tmp_path / "sweep" / "points" / "model.balls=3"
    point.mkdir(parents=True)
    for folder in (tmp_path / "sweep", point):
        (folder / "study.toml").write_bytes((folders / "one" / "study.toml").read_bytes())
    assert [entry.path for entry in catalogue.entries(tmp_path)] == [tmp_path / "sweep"]


def test_the_index_leads_to_every_page(folders, monkeypatch, capsys):
    assert command("list", folders, "--html", monkeypatch=monkeypatch) == 0
    page = (folders / "index.html").read_text()
    assert 'href="one/report.html"' in page
    assert page.count("<article>") == 3
    assert command("list", folders, monkeypatch=monkeypatch) == 0
    assert "begun (pinned" in capsys.readouterr().out


def test_an_index_that_is_not_ours_is_kept(folders, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "study.toml").write_bytes((folders / "one" / "study.toml").read_bytes())
    page = catalogue.write_index(tmp_path)
    assert catalogue.write_index(tmp_path) == page  # its own is replaced
    page.write_text("mine")
    with pytest.raises(InputError, match=r"index.html: is there already, not written by kinlim"):
        catalogue.page_of(tmp_path)
    assert page.read_text() == "mine"


def test_a_folder_can_be_named_by_the_environment(folders, monkeypatch, capsys):
    monkeypatch.setenv("KINLIM_RESULTS", str(folders))
    assert command("list", monkeypatch=monkeypatch) == 0
    assert str(folders / "one") in capsys.readouterr().out


def test_results_go_where_the_environment_says(tmp_path, study, monkeypatch):
    monkeypatch.setenv("KINLIM_RESULTS", str(tmp_path / "here"))
    (tmp_path / "study.toml").write_text(dump(study))
    assert command("solve", tmp_path / "study.toml", monkeypatch=monkeypatch) == 0
    assert (tmp_path / "here" / "small" / "pde.nc").is_file()


def test_a_page_is_opened_or_named(folders, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda uri: opened.append(uri) or True)
    assert command("view", folders / "one", monkeypatch=monkeypatch) == 0
    assert opened == [(folders / "one" / "report.html").resolve().as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda uri: False)
    assert command("view", folders / "one", monkeypatch=monkeypatch) == 0
    assert "--serve PORT" in capsys.readouterr().out
    assert command("view", folders / "begun", monkeypatch=monkeypatch) == 2
    assert "has no page yet" in capsys.readouterr().err


def test_pages_are_served_to_this_machine(folders):
    with catalogue.served(folders / "one", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/report.html"
        assert urlopen(address).read() == (folders / "one" / "report.html").read_bytes()
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(RunError, match="cannot listen"), catalogue.served(folders, server.server_port):
            pass
        server.shutdown()


@pytest.mark.parametrize("words", [["list"], ["view"]])
def test_a_folder_without_results_is_said(words, tmp_path, monkeypatch, capsys):
    assert command(*words, tmp_path, monkeypatch=monkeypatch) == 2
    assert "holds no result folder" in capsys.readouterr().err
    assert command(*words, tmp_path / "none", monkeypatch=monkeypatch) == 2
    assert "is no folder" in capsys.readouterr().err


def test_runs_with_other_seeds_agree_within_errors(folders):
    lines = diff.diff(folders / "one", folders / "two").splitlines()
    assert lines[:2] == ["particles.seed: 3 and 4", "pde.rtol: 1e-07 and 1e-05"]
    mu = next(line for line in lines if line.strip().startswith("mu: agrees within errors"))
    assert "of 150 values" in mu
    assert not any("DIFFERS" in line for line in lines)
    assert any(line.strip().startswith("sigma: differs by ") for line in lines)  # the solutions, which have no noise
    assert diff.diff(folders / "one", folders / "one").splitlines()[0] == "the same study.toml"


def test_a_difference_beyond_errors_is_told(folders, tmp_path):
    """One value of mu in 150, by 7 of its standard errors: by chance as often as 150 x 2.6e-12."""
    a = xr.load_dataset(folders / "one" / "particles.nc")
    b = a.copy(deep=True)
    b["mu"][2, 7] += 7 * np.sqrt(2) * a["mu_se"][2, 7]
    told = [line for line in diff._datasets(a, b) if "same to the last" not in line]
    assert len(told) == 1
    assert told[0].startswith("mu: DIFFERS: 7.0 standard errors at most, of 150 values (chance 3.8e-10)")


def test_solutions_are_held_against_the_errors_that_they_estimate():
    x = np.arange(1.0, 9.0)
    a = xr.Dataset({"u": ("x", x), "error_u_total": ("time", [0.0, 0.01])})
    near, far = (a.assign(u=a.u * (1 + apart)) for apart in (0.015, 0.03))
    (line,) = [line for line in diff._datasets(a, near) if line.startswith("u")]
    assert line.endswith("agrees within the errors estimated, 0.02 of it")
    (line,) = [line for line in diff._datasets(a, far) if line.startswith("u")]
    assert "DIFFERS by more than the errors estimated" in line
    (line,) = [line for line in diff._datasets(a, far.drop_vars("error_u_total")) if line.startswith("u")]
    assert "estimated" not in line


def test_what_made_the_folders_need_not_be_there(folders, monkeypatch):
    """The file of a model may have changed since, and a difference is told all the same."""

    def gone(results):
        raise InputError("the file of its model is gone")

    monkeypatch.setattr("kinlim.results.Results.study", gone)
    assert diff.diff(folders / "one", folders / "two").splitlines()[0] == "particles.seed: 3 and 4"


def test_datasets_of_other_sizes_are_no_error():
    a = xr.Dataset({"u": ("x", [1.0, 2.0]), "text": ("x", ["a", "b"])})
    b = xr.Dataset({"u": ("x", [1.0, 2.0, 3.0]), "text": ("x", ["a", "b", "c"]), "v": 1.0})
    assert list(diff._datasets(a, b)) == [
        "u: other sizes, (x: 2) and (x: 3)", "text: other sizes, (x: 2) and (x: 3)",
        "0 of 2 variables are the same to the last bit", "only in one of them: v",
    ]  # fmt: skip


def test_folders_without_a_common_dataset_are_refused(folders):
    with pytest.raises(InputError, match=r"no dataset in common \(particles.nc, pde.nc; none\)"):
        diff.diff(folders / "one", folders / "begun")


def test_tables_hold_what_datasets_hold(folders, tmp_path):
    export(folders / "one", tmp_path)
    with (tmp_path / "pde-time-x.csv").open() as file:
        rows = list(csv.DictReader(file))
    pde = xr.load_dataset(folders / "one" / "pde.nc")
    assert len(rows) == pde.mu.size
    assert [float(row["mu"]) for row in rows] == pde.mu.values.ravel().tolist()
    assert [float(row["x"]) for row in rows[:50]] == pde.x.values.tolist()
    with pytest.raises(InputError, match="is there already, and is kept"):
        export(folders / "one", tmp_path)


def test_latex_has_the_tables_that_fit_on_a_page(folders, tmp_path, monkeypatch, capsys):
    words = ("export", folders / "one", "-o", tmp_path, "--format", "latex")
    assert command(*words, monkeypatch=monkeypatch) == 0
    text = (tmp_path / "pde-time.tex").read_text()
    assert text.startswith("\\begin{tabular}{l")
    assert text.count(r"\\") == 4  # heads, and three times
    assert r"momentum\_drift" in text
    assert not (tmp_path / "pde-time-x.tex").exists()
    assert "left out: pde-time-x.tex would have 150 rows" in capsys.readouterr().out


def test_a_study_can_be_written_to_a_file_that_is_not_there(tmp_path, monkeypatch, capsys):
    assert command("new", "kac", "-o", tmp_path / "mine.toml", monkeypatch=monkeypatch) == 0
    assert kinlim.load(tmp_path / "mine.toml").study.model == "kac"
    assert command("new", "kac", "-o", tmp_path / "mine.toml", monkeypatch=monkeypatch) == 2
    assert "is kept" in capsys.readouterr().err


def test_quiet_and_verbose(tmp_path, study, monkeypatch, capsys):
    (tmp_path / "study.toml").write_text(dump(study))
    for name, words in (("v", ["-v"]), ("q", ["--quiet"])):
        monkeypatch.setattr("kinlim.progress.QUIET", 0.0)
        monkeypatch.setattr("kinlim.progress.listeners", [])
        handlers = logging.getLogger().handlers[:]
        with monkeypatch.context() as patch:
            patch.setattr(logging.getLogger(), "handlers", [])
            assert (
                command("solve", tmp_path / "study.toml", *words, "-o", tmp_path / name, monkeypatch=monkeypatch) == 0
            )
        logging.getLogger().handlers[:] = handlers
        logging.getLogger("kinlim").setLevel(logging.NOTSET)
        err = capsys.readouterr().err
        assert ("solve pde.nc" in err) == (name == "v")
        assert (" unknowns: " in err) == (name == "v")


def test_a_study_is_loaded_from_text_and_tables_and_varied(study, tables):
    assert kinlim.load(tables) == study
    assert kinlim.load(dump(study)) == study
    assert kinlim.load(tables, ["model.balls=40"]).model.balls == 40
    varied = study.vary(**{"model.balls": 40, "pde.cells": 50, "pde.rtol": 1e-5})
    assert (varied.model.balls, varied.pde.cells, varied.pde.rtol) == (40, 50, 1e-5)
    assert varied.particles == study.particles
    for key in ("model", "nothing.balls", "balls"):
        with pytest.raises(InputError, match=f"^{key}: is no key of this study"):
            study.vary(**{key: 1})
    for misspelt in (lambda: study.vary(**{"particels.replicas": 10}), lambda: study.vary("particels", replicas=10)):
        with pytest.raises(InputError, match=r"^particels.replicas: .*; did you mean particles.replicas\?$"):
            misspelt()
    with pytest.raises(InputError, match="; its tables are study, model, particles, pde, iteration"):
        study.vary("nothing", replicas=10)


def test_a_study_shows_itself(study):
    assert repr(study).startswith("<study 'small' of pinned: end_time=0.002, ")
    assert "balls=50" in repr(study)
    assert kinlim.load(str(study)) == study
    assert study._repr_html_().startswith("<details><summary>small (pinned)</summary><pre>[study]\n")


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_from_python_is_that_of_the_command_line(reaction, tmp_path, monkeypatch, capsys):
    study = kinlim.load(reaction)
    (tmp_path / "study.toml").write_text(dump(study))
    found = kinlim.sweep(study, {"model.epsilon": [0.1, 0.2]}, tmp_path / "python", stages=("solve",))
    words = ("--over", "model.epsilon=0.1,0.2", "--without-particles", "-o", tmp_path / "shell")
    assert command("sweep", tmp_path / "study.toml", *words, monkeypatch=monkeypatch) == 0
    assert found["points"] == json.loads((tmp_path / "shell" / "sweep.json").read_text())["points"]
    assert "point 2 of 2: model.epsilon=0.2" in capsys.readouterr().err
    folders = [sorted(p.name for p in (tmp_path / name / "points").iterdir()) for name in ("python", "shell")]
    assert folders[0] == folders[1]
    with pytest.raises(InputError, match=r"^model.epsilon=-1: "):
        kinlim.sweep(study, {"model.epsilon": [-1]}, tmp_path / "wrong")


def test_shells_can_complete_words(monkeypatch, capsys):
    monkeypatch.setenv("_KINLIM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "kinlim sol")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert command(monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.strip() == "solve"


def test_a_film_has_every_frame_and_the_particles(folders, tmp_path, monkeypatch, capsys):
    from PIL import Image

    assert command("animate", folders / "one", "-o", tmp_path / "film.gif", monkeypatch=monkeypatch) == 0
    frames = xr.load_dataset(folders / "one" / "pde.nc").sizes["frame"]
    assert f"{frames} frames" in capsys.readouterr().out
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == frames
        first = np.asarray(film.convert("RGB")).copy()
        film.seek(frames - 1)
        assert (np.asarray(film.convert("RGB")) != first).any()
    assert command("animate", folders / "one", "-o", tmp_path / "film.gif", monkeypatch=monkeypatch) == 2
    assert "is kept" in capsys.readouterr().err
    assert command("animate", folders / "one", "-o", tmp_path / "film.avi", monkeypatch=monkeypatch) == 2
    assert "ends in .gif or .mp4" in capsys.readouterr().err
    assert command("animate", folders / "begun", monkeypatch=monkeypatch) == 2
    assert "pde.nc: is missing" in capsys.readouterr().err


def test_fields_of_two_dimensions_become_maps(tmp_path):
    from kinlim.validation.animation import animate

    x = np.arange(8) / 8
    values = np.cos(2 * np.pi * (x[:, None] + x)) * np.array([1.0, 0.5, 0.25])[:, None, None]
    field = xr.Dataset(
        {"m": (("time", "x", "y"), values)}, {"time": [0.0, 0.1, 0.2], "x": x, "y": x}, {"unknowns": "m"}
    )
    assert animate({"pde": field}, "pde", tmp_path / "film.gif") == 3
    with pytest.raises(InputError, match="no field over space and time"):
        animate({"pde": field.assign_attrs(unknowns="")}, "pde", tmp_path / "none.gif")


def test_particles_and_solutions_are_written_as_xdmf(folders, monkeypatch, capsys):
    folder = folders / "one"
    for _ in range(2):  # one that is there already is made again
        assert command("paraview", folder, "--format", "xdmf", monkeypatch=monkeypatch) == 0
        assert str(folder / "xdmf") in capsys.readouterr().out
    names = sorted(path.name for path in (folder / "xdmf").iterdir())
    assert names == ["particles.h5", "particles.xdmf", "pde.h5", "pde.xdmf"]
    assert command("verify", folder, monkeypatch=monkeypatch) == 0


def test_a_folder_of_that_name_that_is_not_ours_is_kept(folders, monkeypatch, capsys):
    (folders / "two" / "xdmf").mkdir()
    assert command("paraview", folders / "two", "--format", "xdmf", monkeypatch=monkeypatch) == 2
    assert "not written by kinlim, and kept" in capsys.readouterr().err
    assert command("paraview", folders / "begun", "--format", "xdmf", monkeypatch=monkeypatch) == 2
    assert "no dataset there has numbers over time and space" in capsys.readouterr().err
