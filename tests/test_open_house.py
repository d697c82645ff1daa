"""Two models from files go through every command: alone, on two ranks, stopped and resumed; known answers hold."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from commands import kinlim

from kinlim import models
from kinlim.compat import on_this_machine
from kinlim.study import check, load

EXAMPLES = Path(__file__).parent.parent / "examples"

STUDIES = {
    "exclusion": """\
[study]
model = "exclusion.py"
name = "ring"
[model]
sites = 12
end_time = 0.025
observe = [0.0, 0.4, 1.0]
[particles]
replicas = 6000
[pde]
cells = 24
rtol = 1e-8
""",
    "asymmetric": """\
[study]
model = "asymmetric.py"
name = "shock"
[model]
sites = 40
block = 2
high = 0.6
end_time = 0.3
observe = [0.5, 1.0]
[particles]
replicas = 3000
[pde]
cells = 80
degree = 0
rtol = 1e-5
""",
}


@pytest.fixture(params=STUDIES)
def name(request, tmp_path, monkeypatch):
    """A folder with a model file and a study, in which the test runs."""
    shutil.copy(next(EXAMPLES.rglob(f"{request.param}.py")), tmp_path)
    (tmp_path / "mine.toml").write_text(STUDIES[request.param])
    monkeypatch.chdir(tmp_path)
    return request.param


def same(one, other, tolerance=0.0):
    """Whether two datasets have the same values."""
    return all(np.abs(one[v].values - other[v].values).max() <= tolerance for v in one.data_vars)


@pytest.mark.slow
def test_every_command_knows_a_model_from_a_file(name, tmp_path, monkeypatch, capsys):
    assert kinlim("run", "mine.toml", "-o", "all", monkeypatch=monkeypatch) == 0
    for stage in ("simulate", "solve"):
        assert kinlim(stage, "mine.toml", "-o", "steps", monkeypatch=monkeypatch) == 0
    capsys.readouterr()
    assert kinlim("compare", "steps", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out.splitlines()
    verdict = json.loads(Path("all/metrics.json").read_text())["verdicts"][0]
    assert (said[0], said[-1]) == (verdict["sentence"], "Report: steps/report.html")
    assert "or more in the equation's speed" in said[1]
    assert (verdict["outcome"] == "differ") == (name == "asymmetric")
    page = Path("all/report.html").read_text()
    assert verdict["sentence"].replace("'", "&#39;") in page
    assert page.count("data:image/png;base64,iVBOR") == 2  # the rule, and the solution over space and time
    assert "://" not in page
    for file in ("particles.nc", "pde.nc"):
        with xr.open_dataset(f"all/{file}") as one, xr.open_dataset(f"steps/{file}") as other:
            assert same(one, other)
    with xr.open_dataset("all/particles.nc") as particles, xr.open_dataset("all/pde.nc") as pde:
        assert (particles.rho - pde.rho).shape == particles.rho.shape  # one name and one place for each axis
        assert np.ptp(pde.mass.values) < 1e-12
    assert kinlim("solve", "mine.toml", "-o", "sure", "--estimate-error", monkeypatch=monkeypatch) == 0
    assert "rho: " in capsys.readouterr().out
    assert kinlim("paraview", "all", monkeypatch=monkeypatch) == 0
    assert Path("all/pde.bp").is_dir()
    assert kinlim("models", f"{name}.py", monkeypatch=monkeypatch) == 0
    assert f"{name} ({name}.py): " in capsys.readouterr().out


@pytest.mark.slow
def test_the_orders_of_elements_and_the_rate_in_n(tmp_path, name, monkeypatch, capsys):
    assert kinlim("converge", "mine.toml", "-o", "orders", monkeypatch=monkeypatch) == 0
    verdict = json.loads(Path("orders/convergence.json").read_text())
    assert verdict["passed"], verdict["conclusion"]
    if name == "exclusion":
        last = {row["degree"]: row["order_rho"] for row in verdict["table"] if row["family"] == "manufactured"}
        assert last == pytest.approx({1: 2.0, 2: 3.0, 3: 4.0}, abs=0.1)
    capsys.readouterr()
    more = ("--set", "particles.replicas=20000", "-o", "sweep")
    assert kinlim("sweep", "mine.toml", "--over", "model.sites=20,40", *more, monkeypatch=monkeypatch) == 0
    assert "at the largest sites" in capsys.readouterr().out
    assert "sites → ∞" in Path("sweep/sweep.html").read_text()


@pytest.mark.slow
def test_the_mean_of_symmetric_exclusion_is_the_discrete_heat_equation(tmp_path, monkeypatch):
    # rho_i' = n^2 (rho_(i-1) - 2 rho_i + rho_(i+1)) exactly: the wave decays at 2 n^2 (1 - cos(2 pi/n)), not at 4 pi^2
    shutil.copy(EXAMPLES / "exclusion.py", tmp_path)
    (tmp_path / "mine.toml").write_text(STUDIES["exclusion"])
    study = load(tmp_path / "mine.toml", ["model.sites=6", "particles.replicas=100000"])
    from kinlim import compare, simulate, solve

    found = simulate(study)
    rate = 2 * 36 * (1 - np.cos(2 * np.pi / 6))
    exact = 0.5 + 0.4 * np.cos(2 * np.pi * found.x.values) * np.exp(-rate * found.time.values)[:, None]
    z = ((found.rho - exact) / found.rho_se).values
    assert (z**2).mean() == pytest.approx(1, abs=4 * np.sqrt(2 / z.size))
    assert "DIFFER" in compare(found, solve(study)).verdicts  # n = 6 is 7 % away from the limit at this time


@pytest.mark.slow
def test_the_shock_moves_at_its_speed(tmp_path):
    # 1 - low - high = 0.2: at t = 0.5 the mass left of 0.6 is what two states and the fan make of it
    shutil.copy(EXAMPLES / "gallery" / "asymmetric.py", tmp_path)
    (tmp_path / "mine.toml").write_text(STUDIES["asymmetric"])
    study = load(tmp_path / "mine.toml", ["pde.cells=800", "model.end_time=0.5"])
    from kinlim import solve

    rho = solve(study).rho.values[-1]
    centres = (np.arange(20) + 0.5) / 20
    assert rho[(centres > 0.4) & (centres < 0.55)] == pytest.approx(0.2, abs=1e-3)
    assert rho[(centres > 0.65) & (centres < 0.85)] == pytest.approx(0.6, abs=1e-3)
    fan = (centres > 0.05) & (centres < 0.25)
    assert rho[fan] == pytest.approx((1 - centres[fan] / 0.5) / 2, abs=0.01)  # x/t = 1 - 2 rho


@pytest.mark.slow
def test_two_ranks_give_the_same(name, tmp_path, monkeypatch):
    assert kinlim("run", "mine.toml", "-o", "alone", monkeypatch=monkeypatch) == 0
    command = [*on_this_machine(2), sys.executable, "-m", "kinlim", "run", "mine.toml", "-o", "both"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Report: ") == 1
    with xr.open_dataset("alone/particles.nc") as one, xr.open_dataset("both/particles.nc") as other:
        assert same(one, other)
    with xr.open_dataset("alone/pde.nc") as one, xr.open_dataset("both/pde.nc") as other:
        assert same(one[["rho", "mass"]], other[["rho", "mass"]], 1e-10)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_refused_on_all_ranks(name, tmp_path, monkeypatch):
    # the rank that reads it must not end alone: the other would wait for ever
    assert kinlim("simulate", "mine.toml", "-o", "r", monkeypatch=monkeypatch) == 0
    Path("r/pde.checkpoint").write_bytes(b"no checkpoint")
    command = [*on_this_machine(2), sys.executable, "-m", "kinlim", "solve", "mine.toml", "-o", "r", "--resume"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("no checkpoint can be used") == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_goes_on(name, tmp_path, monkeypatch, number):
    few = ["--set", "particles.replicas=40000", "--set", "particles.block=16"]
    command = [sys.executable, "-m", "kinlim", "run", "mine.toml", "-o", "r", "--threads", "1", *few]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    checkpoint = Path("r/particles.checkpoint")
    while not checkpoint.exists():
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.01)
    os.kill(running.pid, number)
    said = running.communicate()[1]
    assert running.returncode == (75 if number == signal.SIGTERM else -signal.SIGKILL), said
    assert not Path("r/particles.nc").exists()
    assert kinlim("run", "mine.toml", "-o", "r", "--resume", *few, monkeypatch=monkeypatch) == 0
    assert kinlim("simulate", "mine.toml", "-o", "whole", *few, monkeypatch=monkeypatch) == 0
    with xr.open_dataset("r/particles.nc") as one, xr.open_dataset("whole/particles.nc") as other:
        assert same(one, other)


def test_a_study_to_start_from(tmp_path, monkeypatch, capsys):
    shutil.copy(EXAMPLES / "exclusion.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert kinlim("new", "exclusion.py", monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    for key, value in (("end_time", "0.1"), ("observe", "[1.0]"), ("replicas", "100")):
        text = text.replace(f"{key} =                # has no default: fill it in", f"{key} = {value}")
    (tmp_path / "new.toml").write_text(text)
    assert load(tmp_path / "new.toml").model.sites == 32


def test_an_installed_model_is_found_by_its_name(tmp_path, monkeypatch, capsys):
    # an entry point of the group kinlim.models, as another package has it
    text = (EXAMPLES / "exclusion.py").read_text()
    (tmp_path / "ring_package.py").write_text(text)
    about = tmp_path / "ring_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ring-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[kinlim.models]\nexclusion = ring_package:MODEL\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [model.name for model, _ in models.every()] == ["pinned", "reaction", "kac", "exclusion"]
    tables = {
        "study": {"model": "exclusion", "name": "ring"},
        "model": {"end_time": 1.0, "observe": [1.0]},
        "particles": {"replicas": 10},
    }
    assert check(tables).model.sites == 32
    assert kinlim("models", monkeypatch=monkeypatch) == 0
    assert "exclusion (installed, ring_package): symmetric exclusion on a ring" in capsys.readouterr().out


def test_a_study_of_a_model_from_a_file_travels_between_ranks(tmp_path):
    import pickle

    shutil.copy(EXAMPLES / "exclusion.py", tmp_path)
    (tmp_path / "mine.toml").write_text(STUDIES["exclusion"])
    study = load(tmp_path / "mine.toml")
    there = pickle.loads(pickle.dumps(study))
    assert there == study
    assert there.vary("model", sites=7).model.sites == 7


COMMAND = """

def count(study, folder):
    return f"{study.model.sites} sites, for {folder}"


MODEL = replace(MODEL, commands={"count": kinlim.Command("Count the sites.", lambda: count)})
"""


def test_a_model_from_a_file_brings_its_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (EXAMPLES / "exclusion.py").read_text() + COMMAND
    Path("exclusion.py").write_text("from dataclasses import replace\n" + text)
    Path("ring.toml").write_text(STUDIES["exclusion"])
    assert kinlim("count", "ring.toml", "--set", "model.sites=16", "-o", "here", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "16 sites, for here\n"
    assert kinlim("weigh", "ring.toml", monkeypatch=monkeypatch) == 2  # nobody has that one
    assert "weigh" in capsys.readouterr().err
    Path("exclusion.py").write_text("from dataclasses import replace\n" + text.replace('"count":', '"run":'))
    assert kinlim("run", "ring.toml", monkeypatch=monkeypatch) == 2
    assert "MODEL.commands has 'run'" in capsys.readouterr().err
    assert not Path("results").exists()
