"""Progress with an estimate of the time left, for anything that lasts over two seconds; silent otherwise."""

import contextlib
import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

QUIET = 2.0
"""Seconds before anything is shown."""

LINE_EVERY = 10.0
"""Seconds between lines where the output is not a terminal (mpirun, a log file)."""

ESTIMABLE = 0.01
"""Fraction that must be done before the rest can be estimated soon."""

ENOUGH = 20.0
"""Seconds after which the rest is estimated from any fraction."""

UNITS = (("s", 1.0), ("min", 60.0), ("h", 3600.0), ("days", 86400.0), ("years", 365.25 * 86400.0))
"""Of time, with their seconds."""


def lasting(seconds: float) -> str:
    """A time for a reader: two units' worth of the next one before it is used, such as 100 s, 90 min and 30 h."""
    unit, size = next(((u, s) for u, s in reversed(UNITS) if seconds >= 2 * s), UNITS[0])
    return f"{seconds / size:.0f} {unit}"


def percent(fraction: float) -> str:
    """A fraction for a reader: whole percents, and one digit of what is less, such as 25% and 0.003%."""
    digits = 0 if fraction == 0 else max(0, -math.floor(math.log10(100 * fraction)))
    return f"{fraction:.{digits}%}"


class Compilation:
    """The compilation of kernels and forms that goes on in this process; use `compiling` as a context around each.

    It is told of once, when it has taken `QUIET` seconds in all; meters leave its time out of their estimates. Threads
    may compile at the same time, and compiling one thing may mean to compile another.

    Attributes:
        shown: whether this process tells.
        seconds: that it has taken.
    """

    def __init__(self, shown: bool, stream: TextIO | None = None) -> None:
        """Nothing is being compiled yet."""
        self.shown, self.stream, self.seconds = shown, stream, 0.0
        self.lock, self.under_way, self.since = threading.Lock(), 0, 0.0
        self.busy = threading.Event()
        self.watched = False

    def __enter__(self) -> Self:
        """Something is being compiled."""
        with self.lock:
            self.under_way += 1
            if self.under_way == 1:
                self.since = time.monotonic()
                self.busy.set()
                if self.shown and not self.watched:  # once: where memory is short, a thread may begin and never run
                    self.watched = True
                    threading.Thread(target=self._tell, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It is compiled."""
        with self.lock:
            self.under_way -= 1
            if self.under_way == 0:
                self.seconds += time.monotonic() - self.since
                self.busy.clear()

    def spent(self) -> float:
        """Seconds that it has taken until now."""
        with self.lock:
            return self.seconds + (time.monotonic() - self.since if self.under_way else 0.0)

    def _tell(self) -> None:
        while (left := QUIET - self.spent()) > 0:
            self.busy.wait()
            time.sleep(min(max(left, 0.01), 0.2))
        print("compiling (what is compiled is kept for the next run)", file=self.stream or sys.stderr, flush=True)


compiling = Compilation(shown=False)
"""Of this process. The command line lets rank 0 tell."""


Listener = Callable[[float, float], None]
"""Takes seconds and a fraction done."""

listeners: list[Listener] = []
"""What shown meters tell of progress instead of printing it, the last one: see `told_to`."""


@contextlib.contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """Have meters tell someone, and print nothing."""
    listeners.append(listener)
    try:
        yield
    finally:
        listeners.remove(listener)


def announce(line: str) -> None:
    """Say what begins, where progress is shown at all."""
    logging.getLogger("kinlim").info(line)
    if not listeners:
        print(line, file=sys.stderr, flush=True)  # noqa: T201


class Meter:
    """Shows how far a stage has come: a bar on a terminal, a line now and then elsewhere.

    Use as a context and call with the fraction done. Only a shown meter (rank 0's) prints.
    """

    def __init__(self, label: str, shown: bool, stream: TextIO | None = None, begun: float = 0.0) -> None:
        """Start the clock; `label` names the stage, of which the fraction `begun` was done before."""
        self.label, self.shown, self.begun, self.stream = label, shown, begun, stream or sys.stderr
        self.started = time.monotonic() - compiling.spent()
        self.next_line = QUIET
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def __enter__(self) -> Self:
        """Nothing to show yet."""
        return self

    def __call__(self, fraction: float) -> None:
        """Report the fraction done, in [0, 1]."""
        elapsed = time.monotonic() - compiling.spent() - self.started
        if self.shown and listeners:
            listeners[-1](elapsed, fraction)
            return
        if not self.shown or elapsed < self.next_line:
            return
        if self.stream.isatty():
            self._draw(fraction)
            return
        done = fraction - self.begun
        known = done >= ESTIMABLE or (done > 0 and elapsed >= ENOUGH)
        left = f", about {lasting(elapsed * (1 - fraction) / done)} left" if known else ""
        print(f"{self.label}: {percent(fraction)} after {lasting(elapsed)}{left}", file=self.stream, flush=True)
        self.next_line = elapsed + LINE_EVERY

    def _draw(self, fraction: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        if self.bar is None or self.task is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=Console(file=self.stream), transient=True)
            self.task = self.bar.add_task(self.label, total=1.0)
            self.bar.start()
        self.bar.update(self.task, completed=fraction)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar off the screen."""
        if self.bar is not None:
            self.bar.stop()
