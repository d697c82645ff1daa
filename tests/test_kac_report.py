"""Kac particles from the command line: run, stages, report, sweep, and what is for other models refused."""

import json
import os
import re
import signal

import numpy as np
import pytest
import xarray as xr
from commands import kinlim as command

from mpi4py import MPI

import kinlim
from kinlim import api, sweeps, workflow
from kinlim.errors import InputError
from kinlim.study import check, dump
from kinlim.validation.chance import sure
from kinlim.validation.drawing import png
from kinlim.validation.kac import COMPARISON


@pytest.fixture
def file(tmp_path, kac):
    kac["particles"]["replicas"] = 500
    path = tmp_path / "kac.toml"
    path.write_text(dump(check(kac)))
    return path


@pytest.mark.slow
def test_a_run_and_its_stages(tmp_path, file, monkeypatch, capsys):
    assert command("run", file, "-o", tmp_path / "all", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "in the long run" in said
    for stage in ("simulate", "solve"):
        assert command(stage, file, "-o", tmp_path / "steps", monkeypatch=monkeypatch) == 0
    assert command("compare", tmp_path / "steps", monkeypatch=monkeypatch) == 0
    written = {str(path.relative_to(tmp_path / "all")) for path in (tmp_path / "all").rglob("*") if path.is_file()}
    assert written == {
        "study.toml", "particles.nc", "particles.checkpoint", "exact.nc", "metrics.json", "report.html", "log.txt",
        "SHA256SUMS",
        "figures/reservoir.png", "figures/thermostat.png", "figures/difference.png", "figures/simulated.png",
        "figures/distance.png",
    }  # fmt: skip
    numbers = [json.loads((tmp_path / folder / "metrics.json").read_text()) for folder in ("all", "steps")]
    assert numbers[0] == numbers[1]
    assert numbers[0]["times"][0]["distance"] == 0
    assert numbers[0]["theorem"]["plateau_worst"] == pytest.approx((3 / 15) ** 0.5)
    page = (tmp_path / "all" / "report.html").read_text()
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", page), re.IGNORECASE)
    assert "3 particles with a reservoir of 12" in page


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_what_is_done_is_kept_and_more_is_added(tmp_path, file, monkeypatch, capsys):
    assert command("run", file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    assert command("run", file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 2
    assert "holds exact.nc, particles.nc" in capsys.readouterr().err
    arguments = ("run", file, "-o", tmp_path / "r", "--resume", "--replicas", 700)
    assert command(*arguments, monkeypatch=monkeypatch) == 0
    with xr.open_dataset(tmp_path / "r" / "particles.nc") as particles:
        assert particles.attrs["replicas"] == 700


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("converge", "computed without them"),
        ("iterate", "is for the model pinned"),
    ],
)
def test_commands_of_other_models(tmp_path, file, name, why, monkeypatch, capsys):
    assert command(name, file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert f"study.model = 'kac': `kinlim {name}`" in said
    assert why in said
    assert not (tmp_path / "r").exists()


def test_an_error_estimate_is_refused_before_any_work(tmp_path, file, monkeypatch, capsys):
    assert command("solve", file, "-o", tmp_path / "r", "--estimate-error", monkeypatch=monkeypatch) == 2
    assert "refines meshes and time steps; this model's solution is computed without them" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_new_prints_a_study_that_runs(tmp_path, monkeypatch, capsys):
    assert command("new", "kac", monkeypatch=monkeypatch) == 0
    path = tmp_path / "mine.toml"
    path.write_text(capsys.readouterr().out)
    study = kinlim.load(path, ["particles.replicas=2"])
    assert (study.model.system, study.model.reservoir) == (10, 1000)


def test_datasets_of_two_models_are_not_compared(tmp_path, kac, study):
    kac["particles"]["replicas"] = 10
    with pytest.raises(InputError, match="only datasets of one model can be compared"):
        kinlim.compare(kinlim.simulate(check(kac)), kinlim.solve(study))


def test_datasets_of_two_reservoirs_are_not_compared(kac):
    kac["particles"]["replicas"] = 10
    particles = kinlim.simulate(check(kac))
    kac["model"]["reservoir"] = 13
    with pytest.raises(InputError, match="model.reservoir = 12, exact.nc has 13"):
        kinlim.compare(particles, kinlim.solve(check(kac)))


@pytest.mark.slow
def test_a_law_that_is_no_polynomial_says_so(tmp_path, kac):
    kac["model"]["h0"] = {"family": "gaussian", "temperature": 1.5}
    kac["particles"]["replicas"] = 300
    numbers = workflow.run(check(kac), tmp_path / "r")
    assert 0 < numbers["theorem"]["unresolved"] < 1
    assert "not a polynomial of degree 3" in (tmp_path / "r" / "report.html").read_text()
    assert any("Mind" in line for line in COMPARISON.tell(numbers))


@pytest.mark.parametrize("system", [150, 1000])
def test_a_law_far_from_every_polynomial(kac, system):
    # ||h0 - 1|| grows like 1.33^M and is infinite for M = 1000: the coefficients are what they are all the same
    kac["model"] |= {"system": system, "reservoir": 2000, "h0": {"family": "gaussian", "temperature": 1.5}}
    exact = kinlim.solve(check(kac))
    # mean of sum (v_x^2 - 1)/sqrt(2M) is M/2 / sqrt(2M)
    assert float(exact.reservoir.sel(function="xx")[0]) == pytest.approx((system / 8) ** 0.5, rel=1e-12)
    assert exact.attrs["unresolved"] > 0.999
    # up to degree 3 this is energy alone, which attains the largest distance there is
    limit = (system / (system + 2000)) ** 0.5
    assert exact.attrs["plateau"] / exact.attrs["resolved"] == pytest.approx(limit, rel=1e-12)


@pytest.mark.slow
def test_a_law_without_low_degrees_is_refused(kac):
    # He_3 is not seen by degree 2; 12 + x^3 - 3x and the like are negative, so even: a small He_4 beside 1
    kac["model"]["h0"] = {"family": "polynomial", "density": "1 + ((2*pi)**2*x**4 - 6*(2*pi)*x**2 + 3)/6"}
    assert kinlim.solve(check(kac | {"exact": {"degree": 4}})).attrs["unresolved"] == 0
    with pytest.raises(InputError, match=r"exact.degree = 3: model.h0 - 1 has no part of a degree up to this"):
        api.check(check(kac))


def test_datasets_of_two_rates_are_not_compared(kac):
    kac["particles"]["replicas"] = 10
    particles = kinlim.simulate(check(kac))
    kac["model"]["mu"] = 1.2
    with pytest.raises(InputError, match=r"particles.nc has model.mu = 1.1, exact.nc has 1.2"):
        kinlim.compare(particles, kinlim.solve(check(kac)))


def test_what_is_called_beyond_noise():
    # 2 replicas have a t distribution with one degree of freedom; many functions have a larger largest one
    assert sure(2, 1) > 300
    assert sure(10**6, 1) == pytest.approx(3.29, abs=0.01)
    assert sure(10**6, 1000) > 4.8


@pytest.mark.slow
def test_a_sweep_finds_the_orders(tmp_path, file, monkeypatch, capsys):
    arguments = (
        "sweep",
        file,
        "--over",
        "model.system=1,2",
        "--over",
        "model.reservoir=10000,100000",
        "-o",
        tmp_path / "s",
    )
    assert command(*arguments, "--without-particles", monkeypatch=monkeypatch) == 0
    assert "plateau in system: exponent 0.5 +- 0.0004 DIFFERS from the claimed 1." in capsys.readouterr().out
    verdict = json.loads((tmp_path / "s" / "sweep.json").read_text())
    laws = {law["quantity"]: law["exponents"] for law in verdict["laws"]}
    for quantity, power in (("plateau", 0.5), ("plateau_marginal", 1.0)):
        assert laws[quantity]["model.system"]["value"] == pytest.approx(power, abs=1e-3)
        assert laws[quantity]["model.reservoir"]["value"] == pytest.approx(-power, abs=1e-3)
    assert laws["plateau"]["model.reservoir"]["claimed"] == -1
    with xr.open_dataset(tmp_path / "s" / "sweep.nc") as found:
        assert found["plateau"].dims == ("point",)
        assert list(found["model.reservoir"].values) == [10000, 100000] * 2
    assert (tmp_path / "s" / "points" / "model.reservoir=10000,model.system=2" / "exact.nc").exists()
    # stopped after two points: the others are done, these stay as they are
    (tmp_path / "s" / "sweep.json").unlink()
    before = (tmp_path / "s" / "points" / "model.reservoir=10000,model.system=2" / "exact.nc").stat().st_mtime_ns
    assert (
        command(*arguments, "--without-particles", monkeypatch=monkeypatch) == 2
    )  # without --resume nothing is replaced
    assert command(*arguments, "--without-particles", "--resume", monkeypatch=monkeypatch) == 0
    after = (tmp_path / "s" / "points" / "model.reservoir=10000,model.system=2" / "exact.nc").stat().st_mtime_ns
    assert before == after


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_sweep_only_gets_more(tmp_path, file, monkeypatch, capsys):
    def sweep(*more):
        return command("sweep", file, "-o", tmp_path / "s", *more, monkeypatch=monkeypatch)

    assert sweep("--over", "model.mu=1.0,2.0", "--without-particles") == 0
    verdict = (tmp_path / "s" / "sweep.json").read_bytes()
    # fewer points, or other ones: what is there would be gone from the page
    for over in ("model.mu=1.0", "model.lambda_r=1.0,2.0"):
        assert sweep("--over", over, "--without-particles", "--resume") == 2
        assert "is of a sweep with model.mu = " in capsys.readouterr().err
    assert (tmp_path / "s" / "sweep.json").read_bytes() == verdict
    # more points and more stages are fine, fewer stages are not
    assert sweep("--over", "model.mu=1.0,2.0,4.0", "--resume") == 0
    assert len(json.loads((tmp_path / "s" / "sweep.json").read_text())["points"]) == 3
    assert sweep("--over", "model.mu=1.0,2.0,4.0", "--resume", "--without-particles") == 2
    assert "a sweep with the stage compare" in capsys.readouterr().err
    # a point that lost its solution is solved again; one that is not what its name says is refused
    points = tmp_path / "s" / "points"
    (points / "model.mu=2.0" / "exact.nc").unlink()
    assert sweep("--over", "model.mu=1.0,2.0,4.0", "--resume", "--replicas", 600) == 0
    with xr.open_dataset(points / "model.mu=2.0" / "particles.nc") as particles:
        assert particles.attrs["replicas"] == 600
    (points / "model.mu=2.0").rename(points / "away")
    (points / "model.mu=4.0").rename(points / "model.mu=2.0")
    assert sweep("--over", "model.mu=1.0,2.0,4.0", "--resume", "--replicas", 600) == 2
    assert "belongs to another study (model.mu = 4.0 there, 2.0 here)" in capsys.readouterr().err


@pytest.mark.slow
def test_a_signal_between_stages(tmp_path, file, monkeypatch):
    # outside the particles too a signal ends with what is done, and not in the middle of a word
    run, draw = ("run", file, "-o", tmp_path / "r", "--replicas", 100), png

    def stop(figure):
        os.kill(os.getpid(), signal.SIGTERM)
        return draw(figure)

    monkeypatch.setattr("kinlim.validation.standard.png", stop)
    assert command(*run, monkeypatch=monkeypatch) == 75
    assert (tmp_path / "r" / "exact.nc").exists()
    assert not (tmp_path / "r" / ".lock").exists()
    monkeypatch.undo()
    assert command(*run, "--resume", monkeypatch=monkeypatch) == 0
    numbers = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert numbers["deviations"]["reservoir"]["count"] > 0


@pytest.mark.slow
def test_systems_that_have_not_parted_get_a_report(tmp_path, kac):
    # no gain, no difference, one time or none after 0: nothing to put on a logarithmic axis
    kac["particles"]["replicas"] = 4
    for observe in ([0.0], [1e-9], [0.0, 1e-9]):
        kac["model"]["observe"] = observe
        numbers = workflow.run(check(kac), tmp_path / str(len(observe)) / str(observe[0]))
        assert numbers["deviations"]["difference"]["chi2"] is None


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_sweep_with_particles_shows_the_distance(tmp_path, file, monkeypatch):
    arguments = ("sweep", file, "--over", "model.reservoir=6,24", "-o", tmp_path / "s", "--replicas", 4000)
    assert command(*arguments, monkeypatch=monkeypatch) == 0
    verdict = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert [point["model.reservoir"] for point in verdict["points"]] == [6, 24]
    for point in verdict["points"]:
        folder = tmp_path / "s" / "points" / f"model.reservoir={point['model.reservoir']}"
        numbers = json.loads((folder / "metrics.json").read_text())
        last, size = numbers["times"][-1], numbers["theorem"]["resolved"]
        found, error = point["simulated"]
        # in degrees 1 and 2, which are all of this h0, relative to its norm
        assert abs(found - last["sampled_exact"] / size) < 4.5 * error
        assert last["sampled_exact"] == pytest.approx(last["distance"], rel=1e-9)


@pytest.mark.slow
@pytest.mark.parallel
def test_ranks_share_a_sweep(tmp_path, kac):
    # what only rank 0 writes must not wait for the others
    comm = MPI.COMM_WORLD
    kac["particles"]["replicas"] = 64
    points = [sweeps.Point({"model.mu": mu}, check(kac | {"model": kac["model"] | {"mu": mu}})) for mu in (1.0, 2.0)]
    verdict = sweeps.sweep(check(kac), points, comm.bcast(tmp_path) / "s", comm=comm)
    assert all(one == verdict for one in comm.allgather(verdict))
    assert [point["model.mu"] for point in verdict["points"]] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("over", "message"),
    [
        (["model.reservoir"], "--over model.reservoir: must be table.key=v1,v2,..."),
        (["model.reservoir="], "must be table.key=v1,v2,..."),
        (["reservoir=1,2"], "must be table.key=v1,v2,..."),
        (["model.reservoir=x"], "must be table.key=v1,v2,..."),
        (["model.reservoir=12,12"], "names a key or a value twice"),
        (["model.reservoir=12", "model.reservoir=13"], "names a key or a value twice"),
        (["model.reservoir=12,1"], "model.reservoir = 1 is smaller than system = 3"),
        (["model.typo=1,2"], "unknown key"),
        (["model.observe=[0.5],[1.0]"], "with numbers, texts in quotes or true and false"),
        (["particles.seed=2020-01-01"], "with numbers, texts in quotes or true and false"),
        (["model.mu=1.0,inf"], "--over model.mu=inf: model.mu = inf: should be a finite number"),
    ],
)
def test_bad_sweeps_are_refused_before_any_work(tmp_path, file, over, message, monkeypatch, capsys):
    options = [word for text in over for word in ("--over", text)]
    assert command("sweep", file, *options, "-o", tmp_path / "s", monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_sweep_over_balls(tmp_path, tables, monkeypatch):
    # the same command serves the other model
    tables["particles"]["replicas"] = 40
    path = tmp_path / "pinned.toml"
    path.write_text(dump(check(tables)))
    assert command("sweep", path, "--over", "model.balls=20,40", "-o", tmp_path / "s", monkeypatch=monkeypatch) == 0
    verdict = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert {law["quantity"] for law in verdict["laws"]} >= {"gap_mu", "gap_sigma"}
    laws = {law["quantity"]: law for law in verdict["laws"]}
    assert np.isfinite(laws["gap_sigma"]["exponents"]["model.balls"]["value"])
    with pytest.raises(InputError, match="so it needs all of them"):
        sweeps.sweep(
            check(tables), [sweeps.Point({"model.balls": 50}, check(tables))], tmp_path / "t", stages=("solve",)
        )
