"""Progress: silent for two seconds, then a line now and then, or a bar, with the time that is left."""

import io
import threading
import time

import pytest

from kinlim import progress
from kinlim.progress import Compilation, Meter, lasting


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand, in seconds."""
    now = [100.0]
    monkeypatch.setattr("kinlim.progress.time.monotonic", lambda: now[0])
    return now


def told(clock, stream, shown=True):
    with Meter("balls", shown, stream) as meter:
        for seconds, fraction in ((1.9, 0.1), (4.0, 0.25), (9.0, 0.5), (15.0, 0.75)):
            clock[0] = 100 + seconds
            meter(fraction)
    return stream.getvalue()


def test_lines_come_after_two_seconds_and_not_too_often(clock):
    # 25 % in 4 s: 12 s are left; the next line is due ten seconds later, at 14 s
    assert told(clock, io.StringIO()).splitlines() == [
        "balls: 25% after 4 s, about 12 s left",
        "balls: 75% after 15 s, about 5 s left",
    ]


def test_other_ranks_are_silent(clock):
    assert told(clock, io.StringIO(), shown=False) == ""


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    with Meter("balls", True, stream) as meter:
        meter.next_line = 0.0  # two seconds have passed
        meter(0.5)
    assert "balls" in stream.getvalue()


def test_nothing_done_yet_has_no_estimate(clock):
    stream = io.StringIO()
    with Meter("balls", True, stream) as meter:
        clock[0] += 3
        meter(0.0)
    assert stream.getvalue() == "balls: 0% after 3 s\n"


def test_less_than_a_hundredth_has_no_estimate(clock):
    # 1 in 1000 after 3 s, most of which was no work: "2997 s left" would be an alarm without a reason
    stream = io.StringIO()
    with Meter("balls", True, stream) as meter:
        clock[0] += 3
        meter(0.001)
    assert stream.getvalue() == "balls: 0.1% after 3 s\n"


def test_compilation_is_left_out_of_the_estimate(clock, monkeypatch):
    # 40 s of compilation and 10 s of work for a quarter: 30 s are left, not 150
    monkeypatch.setattr(progress, "compiling", compiling := Compilation(shown=False))
    stream = io.StringIO()
    with Meter("balls", True, stream) as meter:
        with compiling:
            clock[0] += 40
            meter(0.0)  # by another thread, while the compiler is at work
        clock[0] += 10
        meter(0.25)
    assert stream.getvalue() == "balls: 25% after 10 s, about 30 s left\n"


def test_compilation_is_told_once_while_it_goes_on(monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.05)
    stream = io.StringIO()
    compiling = Compilation(shown=True, stream=stream)
    for _ in range(2):
        with compiling, compiling:
            while not stream.getvalue():
                time.sleep(0.01)
    assert stream.getvalue().count("compiling") == 1


def test_what_is_compiled_at_once_is_not_told():
    before = sum("_tell" in thread.name for thread in threading.enumerate())
    stream = io.StringIO()
    compiling = Compilation(shown=True, stream=stream)
    for _ in range(3):  # by one thread, whatever is compiled
        with compiling:
            pass
    assert sum("_tell" in thread.name for thread in threading.enumerate()) <= before + 1
    time.sleep(0.3)
    assert stream.getvalue() == ""


def test_a_kernel_that_numba_compiles_is_noticed():
    numba = pytest.importorskip("numba")
    __import__("kinlim.stochastic")
    before = progress.compiling.seconds
    numba.njit(lambda x: x + 1)(1)
    assert progress.compiling.seconds > before
    assert progress.compiling.under_way == 0


def test_a_run_of_years_says_so_soon(clock):
    # A study may ask for a time at which nobody lives: "0%" every ten seconds said nothing
    stream = io.StringIO()
    with Meter("balls", True, stream) as meter:
        clock[0] += 20
        meter(2e-8)
    assert stream.getvalue() == "balls: 0.000002% after 20 s, about 32 years left\n"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (119, "119 s"), (121, "2 min"), (7199, "120 min"), (7200, "2 h"), (1e9, "32 years")],
)
def test_times_are_told_in_their_unit(seconds, said):
    assert lasting(seconds) == said
