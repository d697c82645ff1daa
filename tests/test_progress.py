"""Progress: silent for two seconds, then a line now and then, or a bar, with the time that is left."""

import io

import pytest

from kinlim.progress import Meter


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
