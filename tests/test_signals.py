"""SIGTERM and SIGUSR1 from the first moment to the last: 75 and one sentence, or done; never a bare 143 or 138."""

import importlib
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from faults import small
from test_refusals import GOOD, STUDY

from kinlim import signals
from kinlim.errors import Stopped

COMMANDS = {
    "run": (),
    "simulate": ("--set", "particles.replicas=2000000"),
    "converge": (),
    "iterate": ("--set", "iteration.steps=2000"),
    "noise": (),
}


def test_what_others_make_of_a_stop_is_one_for_this_command_alone(monkeypatch):
    monkeypatch.setattr(signals, "answered", [])

    def imported():
        try:
            signals._end(signal.SIGTERM, None)
        except Stopped:
            raise ImportError("a broken dependency") from None

    with pytest.raises(Stopped), signals.stopped_is_stopped():
        imported()
    swallowed = signals.StopRequests()
    with swallowed:
        assert swallowed.received  # the next stage ends
    signals.end_at_once()
    with pytest.raises(ImportError), signals.stopped_is_stopped():
        raise ImportError("of another command")
    signals.ignore()


def test_a_stop_that_comes_inside_a_finaliser_comes_again(monkeypatch, capsys):
    monkeypatch.setattr(signals, "answered", [])  # or every later stage of this process ends

    class Finalised:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    hook = sys.unraisablehook
    signals.end_at_once()
    try:
        with pytest.raises(Stopped):
            time.sleep(60 if Finalised() else 0)  # which is gone at once
    finally:
        signals.ignore()
        sys.unraisablehook = hook
    assert "Traceback" not in capsys.readouterr().err


def test_a_stop_waits_for_the_end_of_an_import(monkeypatch, tmp_path):
    # nanobind, within DOLFINx' own import, ends the process for an exception that comes at the wrong moment
    (tmp_path / "imported_and_stopped.py").write_text(
        "import signal, time\nsignal.raise_signal(signal.SIGTERM)\ntime.sleep(0.3)\nwhole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(signals, "answered", [])
    hook = sys.unraisablehook
    signals.end_at_once()
    try:
        module = importlib.import_module("imported_and_stopped")
        assert module.whole
        with pytest.raises(Stopped):
            time.sleep(60)
    finally:
        signals.ignore()
        sys.unraisablehook = hook


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_is_heard_at_any_moment(tmp_path, command):
    small(tmp_path)
    started = [sys.executable, "-m", "kinlim", command, "small.toml", *COMMANDS[command]]
    codes = []
    for k, wait in enumerate((0.6, 2.0, 4.0)):
        program = subprocess.Popen(
            [*started, "-o", f"r{k}"], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        time.sleep(wait)
        program.send_signal((signal.SIGTERM, signal.SIGUSR1)[k % 2])
        _, said = program.communicate(timeout=120)
        codes.append(program.returncode)
        if program.returncode == 75:
            assert said.count("kinlim: stopped by a signal") == 1, said
        assert "Traceback" not in said
        # before `main` has begun, Python's own start may be hit
        assert program.returncode in (75, 0) or (program.returncode < 0 and wait < 1), (wait, program.returncode, said)
    assert 75 in codes


ENDLESS = """
import pathlib

@njit(nogil=True)
def endless(values):
    while values[0, 0] > -1:
        values[0, 0] += 1.0

class Stuck(Walk):
    def advance(self, state, observation, tick):
        if observation == WHEN:
            pathlib.Path("begun").touch()
            endless(state)
        tick(0.5)

MODEL = kinlim.Model(name="ring", physics=Ring, sides=MODEL.sides[:1] + (kinlim.Ensembles(Stuck),))
"""


@pytest.mark.parametrize(
    ("observation", "number", "codes"),
    [(0, signal.SIGTERM, (75,)), (1, signal.SIGTERM, (None, 130)), (1, signal.SIGINT, (None, 130))],
)
def test_a_kernel_that_never_returns_is_left_behind(tmp_path, observation, number, codes):
    """In the trial by the first signal, in a block by a second one; both had to be killed."""
    (tmp_path / "mine.toml").write_text(STUDY)
    (tmp_path / "mine.py").write_text(GOOD + ENDLESS.replace("WHEN", str(observation)))
    program = subprocess.Popen(
        [sys.executable, "-m", "kinlim", "simulate", "mine.toml"], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),  # a background job would be deaf
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "begun").exists() and time.monotonic() < until:
            time.sleep(0.1)
        for code in codes:
            time.sleep(1.5)
            program.send_signal(number)
            if code is None:
                time.sleep(0.2)
                program.send_signal(number)  # the same, passed on twice
                time.sleep(0.3)
                assert program.poll() is None
            else:
                assert program.wait(20) == code
    finally:
        program.kill()
        said = program.communicate()[1]
    assert "Traceback" not in said
    assert said.count("kinlim: ") == 1, said


def test_mpi_takes_no_signal_for_itself_when_it_starts():
    """MPICH caught SIGUSR1, and a command that had one between its imports and its first line went on as if not."""
    program = """
from pathlib import Path
def masks():
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[name], 16) & (1 << 9 | 1 << 14) for name in ("SigCgt", "SigBlk", "SigIgn")]  # of 10 and 15
before = masks()
import kinlim
from kinlim.compat import signals_kept
with signals_kept():
    from mpi4py import MPI
assert masks() == before, (before, masks())
"""
    subprocess.run([sys.executable, "-c", program], check=True)
