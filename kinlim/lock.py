"""One process at a time in a result folder: a lock that the kernel lets go of when its owner dies."""

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from kinlim.errors import InputError
from kinlim.provenance import command

LOCK = ".lock"

WITHOUT = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""What file systems without locks say."""


@contextlib.contextmanager
def locked(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Have a folder for this process alone, and make it if it is missing; folders that stay empty are removed again.

    Args:
        folder: the folder.
        tell: takes a sentence where the file system has no locks.

    Raises:
        InputError: another process has it, or it cannot be written.
    """
    path = folder / LOCK
    try:
        made = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        file = _open(path, tell)
    except BlockingIOError:
        raise InputError(
            f"{folder}: another kinlim is at work in this folder ({owner(folder)}); wait for its end, or give another "
            "folder with -o"
        ) from None
    except OSError as error:
        dangling = os.path.islink(folder) and not os.path.exists(folder)  # which never fail, as those of Path may
        why = "it is a link to what is not there" if dangling else error.strerror
        raise InputError(f"{folder}: the output folder cannot be written ({why})") from None
    try:
        with contextlib.suppress(OSError):  # of a full disk: what follows says so where it matters
            file.truncate(0)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            print(f"process {os.getpid()} on {socket.gethostname()}, since {now}", file=file)
            print(command() or "from Python", file=file, flush=True)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        with contextlib.suppress(OSError):
            file.close()
        for one in made:
            with contextlib.suppress(OSError):
                one.rmdir()


def owner(folder: Path) -> str:
    """What the process that has a folder wrote of itself."""
    try:
        return " ".join((folder / LOCK).read_text(encoding="utf-8").split("\n")[:1]) or "it does not say which"
    except (OSError, ValueError):
        return "it does not say which"


def is_locked(folder: Path) -> bool:
    """Whether a process has a folder now. Nothing is written, so it works on what may only be read."""
    try:
        with (folder / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _open(path: Path, tell: Callable[[str], None]) -> IO[str]:
    """The lock's file, locked.

    Raises:
        BlockingIOError: another process has it.
        OSError: it cannot be written.
    """
    while True:
        file = path.open("a+", encoding="utf-8", errors="replace")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:  # not one that its last owner has removed
                return file
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in WITHOUT:
                tell(f"this file system has no locks ({error.strerror}): two runs in one folder would not notice")
                return file
            file.close()
            raise
        file.close()
