"""The recipes of docker/slurm beside commands that only note how they were called; tests/slurm.sh has a real Slurm."""

import os
import subprocess
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[1] / "docker" / "slurm"


NOTES = '#!/bin/sh\necho "${0##*/} $*" >>"$NOTES"\n'
STARTS = NOTES + 'mkdir -p "$FOLDER"\n[ -z "$KEEPS" ] || echo "$$" >>"$FOLDER/particles.checkpoint"\nexit "$ENDS"\n'
"""What srun and mpirun do here: as kinlim that keeps something or not, and ends with a code."""


@pytest.fixture
def submit(tmp_path):
    """Run a recipe as a job would; its exit code, its messages, and the commands that it has called."""

    def submit(recipe, *words, ends=0, keeps=False, **variables):
        commands = tmp_path / "bin"
        commands.mkdir(exist_ok=True)
        for name in ("srun", "mpirun", "scontrol"):
            (commands / name).write_text(NOTES if name == "scontrol" else STARTS)
            (commands / name).chmod(0o755)
        notes = tmp_path / "notes"
        notes.unlink(missing_ok=True)
        environment = {
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "NOTES": str(notes),
            "FOLDER": str(tmp_path / "results" / "r"),
            "ENDS": str(ends),
            "KEEPS": "1" if keeps else "",
            "SLURM_JOB_ID": "7",
            "SLURM_NTASKS": "2",
            "SLURM_CPUS_PER_TASK": "3",
        }
        command = ["bash", RECIPES / recipe, *words]
        done = subprocess.run(command, env=environment | variables, capture_output=True, text=True, cwd=tmp_path)
        return done.returncode, done.stderr, notes.read_text().splitlines() if notes.exists() else []

    return submit


RUN = "kinlim run s.toml -o results/r --threads 3"


@pytest.mark.parametrize(
    ("mpi", "start"),
    [
        ({}, "srun --mpi=pmi2 --cpus-per-task=3"),  # that of the wheels: Slurm's own default would lose the ranks
        ({"KINLIM_MPI": "pmix"}, "srun --mpi=pmix --cpus-per-task=3"),
        ({"KINLIM_MPI": "mpirun"}, "mpirun -n 2"),
    ],
)
def test_ranks_are_started_as_the_mpi_wants(submit, mpi, start):
    assert submit("run.sbatch", "s.toml", "results/r", **mpi) == (0, "", [f"{start} {RUN}"])


def test_options_reach_kinlim_as_they_are(submit):
    words = ("--set", 'model.mu0="cos(pi * x)"', "--", "-pde_ts_monitor")
    assert submit("run.sbatch", "s.toml", "results/r", *words)[2][0].endswith(f"{RUN} {' '.join(words)}")


def test_a_job_that_was_stopped_queues_again_and_resumes(submit, tmp_path):
    code, _, called = submit("run.sbatch", "s.toml", "results/r", ends=75, keeps=True)
    assert (code, called[1:]) == (75, ["scontrol requeue 7"])
    (tmp_path / "results" / "r" / "study.toml").touch()
    code, _, called = submit("run.sbatch", "s.toml", "results/r", "--quiet", ends=75, keeps=True)
    assert called == [f"srun --mpi=pmi2 --cpus-per-task=3 {RUN} --resume --quiet", "scontrol requeue 7"]


def test_a_job_that_keeps_nothing_is_not_queued_for_ever(submit):
    submit("run.sbatch", "s.toml", "results/r", keeps=True)
    code, said, called = submit("run.sbatch", "s.toml", "results/r", ends=75)
    assert (code, len(called)) == (75, 1)
    assert "nothing new was kept" in said


def test_a_job_that_failed_is_not_queued_again(submit):
    code, said, called = submit("run.sbatch", "s.toml", "results/r", ends=2, keeps=True)
    assert (code, said, len(called)) == (2, "", 1)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("run.sbatch", ()),
        ("run.sbatch", ("s.toml",)),
        ("sweep.sbatch", ("s.toml", "results/r", "model.balls")),
    ],
)
def test_too_few_words_are_answered_with_the_usage(submit, recipe, words):
    code, said, called = submit(recipe, *words)
    assert (code, called) == (2, [])
    assert said.startswith(f"usage: sbatch {recipe} STUDY FOLDER ")


SWEEP = ("sweep.sbatch", "s.toml", "results/r", "model.balls", "100", "200")


def test_a_task_takes_its_value_and_queues_itself_alone(submit, tmp_path):
    folder = str(tmp_path / "results" / "r-parts" / "1")
    task = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_JOB_ID": "5", "FOLDER": folder}
    code, _, called = submit(*SWEEP, "--", "--without-particles", ends=75, keeps=True, **task)
    assert called[0].endswith(
        "kinlim sweep s.toml --over model.balls=200 -o results/r-parts/1 --threads 3 --without-particles"
    )
    assert (code, called[1:]) == (75, ["scontrol requeue 5_1"])


def test_an_array_with_more_tasks_than_values_is_told_so(submit):
    code, said, called = submit(*SWEEP, SLURM_ARRAY_TASK_ID="2")
    assert (code, called) == (2, [])
    assert said == "sweep.sbatch: no value has the number 2; the array is 0-1\n"


@pytest.mark.parametrize("parts", [("100", "200"), ()], ids=["parts", "none"])
def test_points_are_put_together(submit, tmp_path, parts):
    for number, value in enumerate(parts):
        point = tmp_path / "results" / "r-parts" / str(number) / "points" / f"model.balls={value}"
        point.mkdir(parents=True)
        (point / "particles.nc").touch()
    code, said, called = submit(*SWEEP)
    assert (code, said) == (0, "")
    assert "--over model.balls=100,200 -o results/r --threads 3" in called[0]
    there = {path.parent.name for path in (tmp_path / "results" / "r").rglob("*.nc")}
    assert there == {f"model.balls={value}" for value in parts}
