"""SIGTERM and SIGUSR1 as requests to finish the step, write a checkpoint and end; at once where there is no step.

A second SIGTERM or Ctrl-C ends the process without waiting for anything: a compiled kernel of a user's own may never
return. Python answers no signal while a kernel holds its lock, so this needs kernels with nogil=True.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import FrameType, TracebackType
from typing import Self

from kinlim.errors import Stopped

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

cause = ["a signal"]
"""What a user is told of why his command ends; the same on all ranks, whichever has heard."""

IMPORTS = "<frozen importlib._bootstrap>"
"""File of Python's own code that imports."""

PATIENCE = 10.0
"""Seconds for which a signal waits for the end of an import."""

GRACE = 10.0
"""Seconds that running blocks have to finish after a signal; what has not is given up, and done again with --resume."""

AGAIN = 1.0
"""Seconds after which a SIGTERM or Ctrl-C is a second one; launchers and batch systems pass one on several times."""

INTERRUPTED = 130
"""Exit code of a command ended by Ctrl-C, or by a second signal."""

insisted: list[float] = []
"""When SIGTERM and Ctrl-C came, since the command or the last stage began."""

heard: list[float] = []
"""When such signals came that wait."""

answered: list[str] = []
"""What this command has raised at once, if anything."""


def end_at_once() -> None:
    """From now on such a signal raises `Stopped`, unless `StopRequests` listens: for a command, from its first line."""
    answered.clear()
    heard.clear()
    insisted.clear()
    cause[:] = ["a signal"]
    sys.unraisablehook = _again
    _listen()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background may be deaf to it
        signal.signal(signal.SIGINT, _interrupt)


def limit(seconds: float) -> None:
    """Have this process send itself such a signal after so many seconds."""
    _send(seconds)
    cause[:] = ["the time limit or a signal"]


def ignore() -> None:
    """Such signals change nothing any more: the process ends as it was going to, with its exit code."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _listen() -> None:
    for number in SIGNALS:
        signal.signal(number, _end)


def _insist(number: int) -> None:
    """Note a SIGTERM or Ctrl-C; end the process if it is a second one."""
    if number == signal.SIGUSR1:
        return  # a batch system's warning, of which SIGTERM is no repetition
    insisted.append(time.monotonic())
    if insisted[-1] - insisted[0] > AGAIN:
        os.write(2, b"kinlim: ended by a second signal; what was merged or written before is kept\n")
        os._exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, the first time."""
    _insist(number)
    if len(insisted) == 1:
        raise KeyboardInterrupt


def attended[T](action: Callable[[], T]) -> T:
    """What `action` gives, or raises. Another thread does it, so that signals are heard if it never returns."""
    outcome: Future[T] = Future()

    def act() -> None:
        try:
            outcome.set_result(action())
        except BaseException as error:  # noqa: BLE001 - it is raised below
            outcome.set_exception(error)

    threading.Thread(target=act, daemon=True).start()  # the end of the process does not wait for it
    return outcome.result()


def _send(seconds: float) -> None:
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.daemon = True
    timer.start()


def _again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Raise `Stopped` once more in a moment, if it was raised where nothing can be: a finaliser, a weak reference."""
    if isinstance(unraisable.exc_value, Stopped):
        _listen()
        _send(0.05)
    else:
        sys.__unraisablehook__(unraisable)


def _end(number: int, frame: FrameType | None) -> None:
    """Raise `Stopped`; after an import that is under way, for C++ that is being imported may end the process then."""
    heard.append(time.monotonic())
    if _importing(frame) and heard[-1] - heard[0] < PATIENCE:
        _send(0.05)
        return
    ignore()
    answered[:] = [f"stopped by {cause[0]}; what is done is kept, and --resume goes on from it"]
    raise Stopped(answered[0])


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == IMPORTS:
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def stopped_is_stopped() -> Iterator[None]:
    """Raise `Stopped` for whatever others have made of one that came from here.

    It may come while a package is imported, and some take whatever happens then for a broken dependency.
    """
    try:
        yield
    except BaseException as error:
        if answered and not isinstance(error, Stopped):
            raise Stopped(answered[0]) from error
        raise


class StopRequests:
    """Notes such signals while it is entered, instead of letting them end the process.

    Attributes:
        received: whether one came, or anything else asks for the end.
        patience: seconds that what is half done then has to be finished.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.received, self.patience = False, GRACE
        self.before: list[object] = []
        self.depth = 0

    def __enter__(self) -> Self:
        """Listen, if it does not yet. Outside the main thread, where Python allows no handlers, nothing changes.

        A signal that was answered at once, and whose exception somebody has swallowed, counts here.
        """
        self.depth += 1
        self.received |= bool(answered)
        if self.depth > 1:
            return self
        insisted.clear()
        try:
            self.before = [signal.signal(number, self._note) for number in SIGNALS]
        except ValueError:
            self.before = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the former handlers back, once it has been left as often as entered."""
        self.depth -= 1
        if self.depth:
            return
        for number, handler in zip(SIGNALS, self.before, strict=False):
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        _insist(number)
        self.received = True
