"""Progress with an estimate of the time left, for anything that lasts over two seconds; silent otherwise."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

QUIET = 2.0
"""Seconds before anything is shown."""

LINE_EVERY = 10.0
"""Seconds between lines where the output is not a terminal (mpirun, a log file)."""


class Meter:
    """Shows how far a stage has come: a bar on a terminal, a line now and then elsewhere.

    Use as a context and call with the fraction done. Only a shown meter (rank 0's) prints.
    """

    def __init__(self, label: str, shown: bool, stream: TextIO | None = None, begun: float = 0.0) -> None:
        """Start the clock; `label` names the stage, of which the fraction `begun` was done before."""
        self.label, self.shown, self.begun, self.stream = label, shown, begun, stream or sys.stderr
        self.started = time.monotonic()
        self.next_line = self.started + QUIET
        self.bar: Progress | None = None
        self.task = TaskID(0)

    def __enter__(self) -> Self:
        """Nothing to show yet."""
        return self

    def __call__(self, fraction: float) -> None:
        """Report the fraction done, in [0, 1]."""
        now = time.monotonic()
        if not self.shown or now < self.next_line:
            return
        if self.stream.isatty():
            if self.bar is None:
                columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
                self.bar = Progress(*columns, console=Console(file=self.stream), transient=True)
                self.task = self.bar.add_task(self.label, total=1.0)
                self.bar.start()
            self.bar.update(self.task, completed=fraction)
            return
        elapsed = now - self.started
        done = fraction - self.begun
        left = f", about {elapsed * (1 - fraction) / done:.0f} s left" if done > 0 else ""
        print(f"{self.label}: {fraction:.0%} after {elapsed:.0f} s{left}", file=self.stream, flush=True)
        self.next_line = now + LINE_EVERY

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar off the screen."""
        if self.bar is not None:
            self.bar.stop()
