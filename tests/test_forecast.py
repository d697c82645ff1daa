"""What a study will cost: the rules on a clock that is ours, the real thing on small studies, nothing written."""

import pytest
import xarray as xr
from commands import kinlim

from mpi4py import MPI

from kinlim import forecast
from kinlim.errors import RunError, Stopped
from kinlim.model import Maker
from kinlim.progress import Meter
from kinlim.study import check, dump


class Clock:
    """Seconds that pass when they are spent."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        for module in ("forecast", "progress"):
            monkeypatch.setattr(f"kinlim.{module}.time.monotonic", lambda: self.now)


class Work(Maker):
    """A setup, then parts of the work, each with its seconds and the fraction that is done after it."""

    def __init__(self, clock, parts, setup=0.0, finer=None):
        self.clock, self.parts, self.setup, self.finer = clock, parts, setup, finer
        self.made = []

    def make(self, study, keeper, threads=None):
        self.made.append(study)
        self.clock.now += self.setup
        coarse = str(study).startswith("coarse")
        with Meter("work", True) as meter:
            for seconds, fraction in self.parts:
                self.clock.now += seconds * (0.01 if coarse else 1.0)
                meter(fraction)
                if keeper.requests.received and fraction < 1:
                    raise Stopped("enough")
        return xr.Dataset()

    def coarser(self, study):
        return {"fine": "coarse", "coarse": "coarser"}.get(study) if self.finer else None


def equal(seconds, count):
    return [(seconds, (k + 1) / count) for k in range(count)]


def test_equal_parts_are_extrapolated(monkeypatch):
    # 80 blocks of 0.25 s and a setup of 2 s: 22 s, of which 5 pass
    clock = Clock(monkeypatch)
    work = Work(clock, equal(0.25, 80), setup=2.0)
    seconds, how = forecast._cost(work, "study", MPI.COMM_SELF, 1)
    assert seconds == pytest.approx(22.0)
    assert how == "15% of it in 3 s"
    assert clock.now == pytest.approx(105.0)


def test_what_ends_in_time_is_known(monkeypatch):
    work = Work(Clock(monkeypatch), equal(0.25, 8), setup=0.5)
    assert forecast._cost(work, "study", MPI.COMM_SELF, 1) == (pytest.approx(2.5), "it has run to its end")


def test_time_since_the_last_block_has_brought_nothing(monkeypatch):
    # blocks of 2 s, looked at every half second: after 3 s one is done, and a rate of one in 3 s would be wrong
    blocks = [(0.5, ((k + 1) // 4) / 40) for k in range(160)]
    seconds, _ = forecast._cost(Work(Clock(monkeypatch), blocks), "study", MPI.COMM_SELF, 1)
    assert seconds == pytest.approx(80.0)


def test_a_long_first_block_is_waited_for(monkeypatch):
    clock = Clock(monkeypatch)
    blocks = [(0.5, ((k + 1) // 20) / 30) for k in range(600)]
    assert forecast._cost(Work(clock, blocks), "study", MPI.COMM_SELF, 1)[0] == pytest.approx(300.0)
    assert clock.now == pytest.approx(110.0)  # and for no second one


def test_time_steps_that_grow_are_measured_on_a_coarser_mesh(monkeypatch):
    """Linear in the time reached it would be 3 s/0.0016: half an hour instead of 20 s."""
    steps = [(0.1, ((k + 1) / 200) ** 4) for k in range(200)]
    work = Work(Clock(monkeypatch), steps, finer=True)
    seconds, how = forecast._cost(work, "fine", MPI.COMM_SELF, 1)
    assert seconds == pytest.approx(20.0)
    assert work.made == ["fine", "coarser", "coarse"]
    assert "the rest as on a coarser mesh" in how


def test_preliminaries_count_besides(monkeypatch):
    work = Work(Clock(monkeypatch), equal(0.25, 80))
    work.rehearsal = lambda study: (study, 1.25)
    assert forecast._cost(work, "study", MPI.COMM_SELF, 1)[0] == pytest.approx(25.0)


def test_a_signal_ends_a_forecast(monkeypatch):
    work = Work(Clock(monkeypatch), equal(0.25, 80))

    def stopped(study, keeper, threads=None):
        raise Stopped("stopped by a signal")

    work.make = stopped
    with pytest.raises(Stopped, match="by a signal"):
        forecast._cost(work, "study", MPI.COMM_SELF, 1)


def test_a_mesh_too_coarse_to_be_solved_on_is_no_measure(monkeypatch):
    work = Work(Clock(monkeypatch), equal(0.25, 80), finer=True)
    real = work.make

    def make(study, keeper, threads=None):
        if study != "fine":
            raise RunError("blown up")
        return real(study, keeper, threads)

    work.make = make
    seconds, how = forecast._cost(work, "fine", MPI.COMM_SELF, 1)
    assert (seconds, how) == (pytest.approx(20.0), "15% of it in 3 s")


@pytest.mark.parallel
@pytest.mark.parametrize("stopped", [False, True])
def test_all_ranks_agree(reaction, monkeypatch, stopped):
    """Every side of a study with all of them, once stopped at the first report of progress and once at its end."""
    monkeypatch.setattr("kinlim.forecast.TRIAL", 0.0 if stopped else 60.0)
    comm = MPI.COMM_WORLD
    costs = forecast.forecast(check(reaction), ("solve", "simulate"), comm=comm, threads=1)
    assert comm.allgather(costs) == [costs] * comm.size
    assert [cost.file for cost in costs] == ["pde.nc", "kinetic.nc", "particles.nc"]
    assert all(cost.seconds > 0 for cost in costs)
    assert any("end" not in cost.how for cost in costs) == stopped


def test_kac_sectors_stop_when_they_are_asked_to(kac, monkeypatch):
    monkeypatch.setattr("kinlim.forecast.TRIAL", 0.0)
    (cost,) = forecast.forecast(check(kac), ("solve",), comm=MPI.COMM_SELF)
    assert "% of it in" in cost.how


@pytest.fixture
def file(tmp_path, study):
    path = tmp_path / "study.toml"
    path.write_text(dump(study))
    return path


def test_the_command_says_what_it_found_and_writes_nothing(tmp_path, file, monkeypatch, capsys):
    assert kinlim("run", file, "-o", tmp_path / "r", "--dry-run", monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    assert "pde.nc: about " in out
    assert "particles.nc: about " in out
    assert "together: about " in out
    assert "memory: " in out
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_a_sweep_is_the_sum_of_its_points(tmp_path, file, monkeypatch, capsys):
    command = ("sweep", file, "--over", "model.balls=40,50", "--dry-run")
    assert kinlim(*command, "--without-particles", monkeypatch=monkeypatch) == 2  # as the sweep itself would
    assert kinlim(*command, monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    assert out.count("pde.nc: about ") == 2
    assert "points/model.balls=40\n" in out
    assert out.count("together: ") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


@pytest.mark.parametrize("words", [["run", "--resume"], ["solve", "--estimate-error"], ["solve", "--referee"]])
def test_only_whole_runs_are_foretold(file, monkeypatch, capsys, words):
    assert kinlim(*words, file, "--dry-run", monkeypatch=monkeypatch) == 2
    assert f"leave out {words[1]}" in capsys.readouterr().err


def test_bad_studies_are_refused_with_their_file(file, monkeypatch, capsys):
    command = ("solve", file, "--dry-run", "--set", "pde.boundary=paper", "--set", "model.sigma0=1.0")
    assert kinlim(*command, monkeypatch=monkeypatch) == 2
    assert f"{file}: " in capsys.readouterr().err
