"""The command line: stages, exit codes, one paragraph for every mistake, on one rank or several."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from commands import kinlim

from kinlim import __version__
from kinlim.compat import LAUNCHERS, on_this_machine
from kinlim.study import dump


@pytest.fixture
def file(tmp_path, study):
    path = tmp_path / "small.toml"
    path.write_text(dump(study))
    return path


@pytest.mark.slow
def test_stages_one_by_one_give_what_run_gives(tmp_path, file, monkeypatch, capsys):
    assert kinlim("run", file, "-o", tmp_path / "all", monkeypatch=monkeypatch) == 0
    for stage in ("simulate", "solve"):
        assert kinlim(stage, file, "-o", tmp_path / "steps", monkeypatch=monkeypatch) == 0
    assert kinlim("compare", tmp_path / "steps", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("The mean velocity mu at t = 1 T: particles and equations ")
    assert f"Report: {tmp_path / 'all' / 'report.html'}" in said
    written = {str(path.relative_to(tmp_path / "all")) for path in (tmp_path / "all").rglob("*") if path.is_file()}
    assert written == {
        "study.toml", "particles.nc", "particles.checkpoint", "pde.nc", "metrics.json", "report.html", "log.txt",
        "SHA256SUMS",
        "figures/mu.png", "figures/sigma.png", "figures/spreads.png", "figures/pde-mu.png", "figures/pde-sigma.png",
    }  # fmt: skip
    metrics = [json.loads((tmp_path / folder / "metrics.json").read_text()) for folder in ("all", "steps")]
    assert metrics[0] == metrics[1]
    assert len(metrics[0]["times"]) == 3
    with xr.open_dataset(tmp_path / "all" / "particles.nc") as particles:
        assert particles.mu.dims == ("time", "x")
        assert particles.attrs["seed"] == "3"
        assert {"git", "versions", "ranks", "threads", "wall_seconds"} <= particles.attrs.keys()
    with xr.open_dataset(tmp_path / "all" / "pde.nc") as pde:
        assert pde.mu.dims == ("time", "x")
        assert {"system", "boundary", "lambda", "cells", "degree", "steps"} <= pde.attrs.keys()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_compare_again_replaces_only_what_follows_from_the_datasets(tmp_path, file, monkeypatch):
    assert kinlim("run", file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    data = (tmp_path / "r" / "particles.nc").read_bytes()
    assert kinlim("compare", tmp_path / "r", monkeypatch=monkeypatch) == 0
    assert (tmp_path / "r" / "particles.nc").read_bytes() == data


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.toml"], ["nowhere.toml", "No such file"]),
        (["run", "FILE", "--set", "model.balls=4"], ["--set model.balls=4", "balls = 4", "5"]),
        (["run", "FILE", "--set", "model.sigma0='x-1/2'"], ["sigma0", "negative"]),
        (["run", "FILE", "--set", "model.mu0='1/(x-0.75)'"], ["model.mu0 = '1/(x-0.75)'", "x = 0.75"]),
        (["run", "FILE", "-o", " "], ["-o"]),
        (["run", "FILE", "--set", 'model.mu0="""(1/\nx)"""'], ["mu0", "x = 0"]),
        (["run", "FILE", "-o", "x" * 300], ["cannot be written", "too long"]),
        (["run", "FILE", "-o", "FILE/results"], ["FILE/results", "cannot be written"]),
        (["run", "FILE", "--threads", "0"], ["--threads", "0"]),
        (["compare", "."], [".: is not a result folder"]),
        (["new", "gas"], ["'gas' is not a model", "pinned"]),
        (["ran", "FILE"], ["No such command 'ran'", "did you mean run?"]),
        (["simulation", "FILE"], ["did you mean simulate?"]),
        (["run", "FILE", "--set", "pde.system=1e-"], ["is not TOML; text needs quotes"]),
        (["run", "FILE", "--set", "pde.system=D"], ["--set pde.system=D", "should be 'A', \"B'\""]),
        (["run"], ["STUDY.toml"]),
        (["run", "FILE", "--runs", "3"], ["--runs"]),
        (["run", "FILE", "--replicas", "1"], ["particles.replicas = 1", "greater than or equal to 2"]),
    ],
)
def test_bad_input_ends_with_2_and_one_paragraph_and_no_folder(tmp_path, file, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    code = kinlim(*[a.replace("FILE", str(file)) for a in arguments], monkeypatch=monkeypatch)
    assert code == 2
    # with empty caches, "compiling" may be said of what another test has begun
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("compiling")]
    assert len(said) == 1
    assert said[0].startswith("kinlim: ")
    assert all(word.replace("FILE", str(file)) in said[0] for word in words), said
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


@pytest.mark.usefixtures("undrawn")
def test_an_existing_result_folder_is_refused_and_kept(tmp_path, file, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert kinlim("solve", file, monkeypatch=monkeypatch) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "results" / "small").rglob("*") if path.is_file()}
    assert kinlim("solve", file, monkeypatch=monkeypatch) == 2
    assert "results/small: holds pde.nc of an earlier run" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "results" / "small").rglob("*") if path.is_file()} == before


def test_the_users_own_figures_are_kept(tmp_path, file, monkeypatch, capsys):
    own = tmp_path / "mine" / "figures" / "mu.png"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    assert kinlim("run", file, "-o", tmp_path / "mine", monkeypatch=monkeypatch) == 2
    assert "holds figures" in capsys.readouterr().err
    assert own.read_text() == "mine"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["figures"]


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_compare_refuses_data_of_another_study(tmp_path, file, monkeypatch, capsys):
    assert kinlim("run", file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    report = (tmp_path / "r" / "report.html").read_bytes()
    other = tmp_path / "r" / "study.toml"
    other.write_text(other.read_text().replace("seed = 3", "seed = 4"))
    assert kinlim("compare", tmp_path / "r", monkeypatch=monkeypatch) == 2
    assert "study.toml: is not what kinlim wrote" in capsys.readouterr().err
    assert kinlim("verify", tmp_path / "r", "--accept", monkeypatch=monkeypatch) == 0
    assert kinlim("compare", tmp_path / "r", monkeypatch=monkeypatch) == 2
    assert "particles.seed = 3 there, 4 here" in capsys.readouterr().err
    assert (tmp_path / "r" / "report.html").read_bytes() == report


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_compare_names_the_folder_of_an_unusable_dataset(tmp_path, file, monkeypatch, capsys):
    assert kinlim("run", file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    with xr.open_dataset(tmp_path / "r" / "pde.nc") as opened:
        dataset = opened.load()
    dataset.drop_vars("sigma").to_netcdf(tmp_path / "r" / "pde.nc", engine="h5netcdf")
    assert kinlim("compare", tmp_path / "r", monkeypatch=monkeypatch) == 2
    assert f"kinlim: {tmp_path / 'r' / 'pde.nc'}: is not what kinlim wrote" in capsys.readouterr().err
    assert kinlim("verify", tmp_path / "r", "--accept", monkeypatch=monkeypatch) == 0
    assert kinlim("compare", tmp_path / "r", monkeypatch=monkeypatch) == 2
    assert f"kinlim: {tmp_path / 'r' / 'pde.nc'}: has no variable sigma; it has E, " in capsys.readouterr().err


@pytest.mark.slow
def test_wrong_petsc_options_are_told_before_the_particles(tmp_path, file):
    command = [sys.executable, "-m", "kinlim", "run", str(file), "-o", "r", "--", "-pde_ts_type", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "-pde_ts_type nonsense" in done.stderr
    assert not (tmp_path / "r" / "particles.nc").exists()


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["simulate", "solve"])
def test_an_interrupt_is_heard_at_once(tmp_path, file, stage):
    # one block of an hour, or steps without end
    settings = ["particles.replicas=64", "model.end_time=1e5", "pde.rtol=1e-10", "pde.cells=4000"]
    command = [sys.executable, "-m", "kinlim", stage, str(file), "-o", "r", *(f"--set={s}" for s in settings)]
    hear = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a background job would inherit deafness
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, preexec_fn=hear) as process:
        line = process.stderr.readline()  # progress, after two seconds: it runs
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=20)
    assert "%" in line
    assert process.returncode == 130
    assert rest.endswith("kinlim: interrupted; results already written are kept\n")


def test_a_closed_pipe_is_no_error_message(tmp_path, file):
    command = f"{sys.executable} -m kinlim info | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""


def test_debug_shows_the_traceback(monkeypatch, capsys):
    assert kinlim("run", "nowhere.toml", "--debug", monkeypatch=monkeypatch) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_unforeseen_error_ends_with_1_and_no_traceback(file, monkeypatch, capsys, tmp_path):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("kinlim.api.make", broken)
    assert kinlim("solve", file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 1
    assert capsys.readouterr().err == "kinlim: ZeroDivisionError: deep inside (--debug shows where)\n"


def test_version(monkeypatch, capsys):
    assert kinlim("--version", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == f"kinlim {__version__}\n"


@pytest.mark.slow
def test_new_prints_a_study_that_runs(tmp_path, monkeypatch, capsys):
    assert kinlim("new", "pinned", monkeypatch=monkeypatch) == 0
    path = tmp_path / "new.toml"
    path.write_text(capsys.readouterr().out)
    assert kinlim("solve", path, "-o", tmp_path / "r", "--set", "model.balls=100", monkeypatch=monkeypatch) == 0


def test_info_names_what_it_runs_on(monkeypatch, capsys):
    assert kinlim("info", monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("kinlim:", "DOLFINx:", "PETSc:", "mumps", "MPI:", "cores:", "GPU:"))


@pytest.mark.slow
def test_petsc_options_after_the_dashes_reach_petsc(tmp_path, file):
    # in a process of its own, since PETSc reads them once
    command = [sys.executable, "-m", "kinlim", "solve", str(file), "-o", str(tmp_path / "r"), "--", "-pde_ts_monitor"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "TS dt" in done.stdout
    with xr.open_dataset(tmp_path / "r" / "pde.nc") as pde:
        assert pde.attrs["petsc_options"] == "-pde_ts_monitor"


@pytest.mark.slow
def test_files_of_the_current_folder_decide_nothing(tmp_path, file):
    """Options of PETSc, DOLFINx, FFCx and matplotlib, and a module in the way: same bits, no word, nothing run."""
    here = tmp_path / "here"
    here.mkdir()
    (here / ".petscrc").write_text("-pde_ts_type beuler\n")
    (here / "ffcx_options.json").write_text('{"scalar_type": "float32"}')
    (here / "dolfinx_jit_options.json").write_text("{broken")
    (here / "matplotlibrc").write_text("figure.figsize: x\nlines.linewidth: 20\n")
    (here / "tomllib.py").write_text("raise SystemExit(7)")
    (here / "numpy.py").write_text("raise SystemExit(7)")
    found = []
    for folder, name in ((tmp_path, "a"), (here, "b")):
        command = [sys.executable, "-m", "kinlim", "run", str(file), "-o", str(tmp_path / name)]
        environment = os.environ | {"PETSC_OPTIONS": "-pde_ts_type beuler" if name == "b" else ""}
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
        assert done.returncode == 0, done.stderr
        with xr.open_dataset(tmp_path / name / "pde.nc") as pde:
            found.append(
                (
                    pde["sigma"].to_numpy(),
                    done.stderr.replace("compiling (what is compiled is kept for the next run)", "").strip(),
                )
            )
    assert (found[0][0] == found[1][0]).all()
    assert found[1][1] == found[0][1]
    figures = [(tmp_path / name / "figures" / "mu.png").read_bytes() for name in "ab"]
    assert figures[0] == figures[1]


MPIRUN = on_this_machine(2)


@pytest.mark.slow
def test_under_mpirun_a_mistake_is_told_once(tmp_path, file):
    command = [*MPIRUN, sys.executable, "-m", "kinlim", "solve", str(file), "--set", "pde.cells=0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.count("kinlim: --set pde.cells=0") == 1


@pytest.mark.slow
def test_an_error_on_one_rank_ends_all(tmp_path):
    # rank 1 fails while rank 0 waits for it: without an abort this would wait for ever
    script = tmp_path / "one_rank_fails.py"
    script.write_text(
        "import sys\n"
        "from mpi4py import MPI\n"
        "from kinlim import cli, workflow\n"
        "def run(*_args, **_kwargs):\n"
        "    if MPI.COMM_WORLD.rank == 1:\n"
        "        raise ZeroDivisionError('only here')\n"
        "    MPI.COMM_WORLD.Barrier()\n"
        "workflow.run = run\n"
        "sys.argv = ['kinlim', 'demo', '-o', 'r']\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [*MPIRUN, sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "kinlim [rank 1]: ZeroDivisionError: only here" in done.stderr


@pytest.mark.slow
def test_under_mpirun_one_study_gives_one_report(tmp_path, file):
    command = [*MPIRUN, sys.executable, "-m", "kinlim", "run", str(file), "-o", "r"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.count("Report: ") == 1
    with xr.open_dataset(Path(tmp_path) / "r" / "particles.nc") as particles:
        assert particles.attrs["ranks"] == 2


@pytest.mark.slow
def test_the_error_is_estimated_on_request(tmp_path, file, monkeypatch, capsys):
    assert kinlim("solve", file, "-o", tmp_path / "r", "--estimate-error", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "Estimated relative L2 errors at the points of the datasets, when they are largest:" in said
    assert "sigma: " in said
    assert "(mesh " in said
    with xr.open_dataset(tmp_path / "r" / "pde.nc") as pde:
        assert pde.error_mu.dims == ("source", "time")
        total = pde.error_sigma.sum("source").values
        assert pde.error_sigma_total.values == pytest.approx(total)
        assert 0 < total[-1] < 1e-2


@pytest.mark.slow
def test_converge_joins_the_folder_of_a_run(tmp_path, file, monkeypatch, capsys):
    few = ["--set", "pde.cells=16", "--set", "model.balls=20", "--set", "model.end_time=0.01"]
    assert kinlim("converge", file, "-o", tmp_path / "r", *few, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "Manufactured solution, P3: order " in said
    verdict = json.loads((tmp_path / "r" / "convergence.json").read_text())
    assert verdict["passed"], verdict["conclusion"]
    assert {row["family"] for row in verdict["table"]} >= {"manufactured", "time", "mesh", "degree", "tolerance"}
    page = (tmp_path / "r" / "convergence.html").read_text()
    assert "Every check passed" in page
    assert (tmp_path / "r" / "figures" / "convergence.png").stat().st_size > 10_000
    assert kinlim("solve", file, "-o", tmp_path / "r", *few, monkeypatch=monkeypatch) == 0
    assert kinlim("converge", file, "-o", tmp_path / "r", *few, monkeypatch=monkeypatch) == 2
    assert "holds convergence.nc" in capsys.readouterr().err


@pytest.mark.slow
def test_iterate_says_which_inequalities_hold(tmp_path, file, monkeypatch, capsys):
    few = ["--set", "model.sigma0='sin(pi*x)/3'", "--set", "model.mu0='cos(pi*x)'", "--set", "model.lambda=3",
           "--set", "pde.cells=12", "--set", "iteration.steps=20", "--set", "model.end_time=0.02"]  # fmt: skip
    assert kinlim("iterate", file, "-o", tmp_path / "r", *few, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "lambda_B = 4.24264" in said  # sqrt(2) times the lambda of the study
    assert "FAILS" in said
    verdict = json.loads((tmp_path / "r" / "iteration.json").read_text())
    assert verdict["converged"]
    assert verdict["agreement"][-1]["rel_l2_mu"] < 1e-5
    assert "Theorem 4.1" in (tmp_path / "r" / "iteration.html").read_text()


def test_iterate_refuses_a_spread_at_the_ends(tmp_path, file, monkeypatch, capsys):
    command = ["iterate", file, "-o", tmp_path / "r", "--set", "model.sigma0='1'"]
    assert kinlim(*command, monkeypatch=monkeypatch) == 2
    assert "sigma0" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()  # refused before the folder was made


@pytest.mark.slow
def test_a_mesh_from_a_file(tmp_path, file, monkeypatch, capsys):
    (tmp_path / "nodes.txt").write_text("0 0.1 0.3 0.5 0.6 0.8 1")
    text = file.read_text().replace("cells = 40\n", f"mesh = '{tmp_path / 'nodes.txt'}'\n")
    text = text.replace("refinements = 0", "refinements = 2")
    file.write_text(text)
    assert kinlim("solve", file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    with xr.open_dataset(tmp_path / "r" / "pde.nc") as pde:
        assert pde.attrs["cells"] == 24
        assert pde.node_x.values[8] == pytest.approx(0.1)  # P2: two nodes a cell, four cells where there was one
    (tmp_path / "nodes.txt").write_text("0 0.1 0.3 0.5 0.6 0.8 0.9")
    assert kinlim("solve", file, "-o", tmp_path / "s", monkeypatch=monkeypatch) == 2
    assert "reaches from 0 to 0.9" in capsys.readouterr().err


READ_BACK = """
import adios2, sys, numpy as np
with adios2.FileReader(sys.argv[1]) as file:
    variables = file.available_variables()
    assert variables["mu"]["AvailableStepsCount"] == "3", variables
    values = file.read("sigma", step_selection=[2, 1]).ravel()
    x = file.read("geometry", step_selection=[0, 1]).reshape(-1, 3)[:, 0]
    np.save(sys.argv[2], np.stack([x, values]))
"""


@pytest.mark.slow
def test_paraview_reads_what_was_solved(tmp_path, file, monkeypatch):
    # by the reader of another ADIOS2, in a process of its own: two of them in one do not get along
    if subprocess.run([sys.executable, "-c", "import adios2"], capture_output=True).returncode:
        pytest.skip("adios2, of the group test in pyproject.toml, is not installed")
    assert kinlim("solve", file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    assert kinlim("paraview", tmp_path / "r", monkeypatch=monkeypatch) == 0
    command = [sys.executable, "-c", READ_BACK, str(tmp_path / "r" / "pde.bp"), str(tmp_path / "read.npy")]
    subprocess.run(command, check=True)
    x, sigma = np.load(tmp_path / "read.npy")
    order = np.argsort(x)
    with xr.open_dataset(tmp_path / "r" / "pde.nc") as pde:
        assert x[order] == pytest.approx(pde.node_x.values)
        assert (sigma[order] == pde.node_sigma.values[-1]).all()
    assert kinlim("paraview", tmp_path / "r", monkeypatch=monkeypatch) == 0  # it is made of the dataset, so made again
    assert kinlim("verify", tmp_path / "r", monkeypatch=monkeypatch) == 0


def test_a_folder_for_paraview_that_is_not_ours_is_kept(tmp_path, file, monkeypatch, capsys):
    assert kinlim("solve", file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    (tmp_path / "r" / "pde.bp").mkdir()
    assert kinlim("paraview", tmp_path / "r", monkeypatch=monkeypatch) == 2
    assert "not written by kinlim, and kept" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["garbage"], "'garbage' after --: is neither a PETSc option"),
        (["-pde_ts_max_steps", "3"], "-pde_ts_max_steps: is set by kinlim itself"),
        (["-pde_ts_init_time", "5"], "-pde_ts_init_time: is set by kinlim itself"),
        (["-pde_snes_mf"], "-pde_snes_mf: kinlim needs the Jacobian"),
        (["-ts_monitor"], "write -pde_ts_monitor for pde.nc"),
        (["-pde_ts_type", "rk"], "-pde_ts_type rk: is not a scheme for implicit equations"),
        (["-pde_ts_tipe", "rk"], "-pde_ts_tipe: no part of PETSc that this solution uses knows this option"),
        (["-options_file", "/nonexistent"], "PETSc does not start with the options"),
    ],
)
def test_petsc_options_that_cannot_be_are_refused(tmp_path, file, options, words):
    command = [sys.executable, "-m", "kinlim", "solve", str(file), "-o", str(tmp_path / "r"), "--", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_study_may_be_signed_as_utf_8(tmp_path, file, monkeypatch, capsys):
    """Some editors begin a file with a byte order mark."""
    signed = tmp_path / "signed.toml"
    signed.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert kinlim("solve", signed, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    assert "Results" in capsys.readouterr().out


@pytest.mark.slow
def test_paraview_under_mpirun(tmp_path, file, monkeypatch):
    """PETSc is started by all ranks, though one alone writes."""
    assert kinlim("solve", file, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    command = [*MPIRUN, sys.executable, "-m", "kinlim", "paraview", str(tmp_path / "r")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("For ParaView") == 1


HEAVY = {"numba", "xarray", "pandas", "scipy", "matplotlib", "dolfinx", "ufl", "petsc4py"}
MPI_ITSELF = {"mpi4py", "h5py"}


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        (["--help"], HEAVY | MPI_ITSELF),
        (["run", "--help"], HEAVY | MPI_ITSELF),
        (["runn"], HEAVY | MPI_ITSELF),
        (["new", "pinned"], HEAVY),
        (["run", "nothing.toml"], HEAVY),
        (["list"], HEAVY),
    ],
    ids=" ".join,
)
def test_who_does_not_compute_waits_for_no_library(arguments, needless, tmp_path):
    # an import at the head of a file that help reaches costs every command its time
    program = (
        f"import sys; sys.argv = ['kinlim', *{arguments!r}]\n"
        "from kinlim.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('loaded:', *sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHERS)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    loaded = set(done.stdout.split("loaded:")[1].split())
    assert "kinlim.cli" in loaded
    assert not needless & loaded
