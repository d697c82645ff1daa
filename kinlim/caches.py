"""Compilers' caches, which are never a reason to fail: what is half made or damaged is dropped and compiled again.

A kernel that cannot be kept is compiled again by the next run; forms need a folder to be compiled in at all.

FFCx marks what it compiles by an empty file and waits for it to be finished, for ever if its maker was killed; a
shared library that was cut off takes the process down; and numba unpickles whatever it finds. So every form gets a note
of who compiles it and, when it is done, its checksum; what does not fit is removed before it is used.
"""

import contextlib
import hashlib
import json
import os
import platform
import socket
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kinlim.errors import InputError

LOOK_EVERY = 0.2
"""Seconds between two looks whether another process has finished a form."""

NAMELESS = 10.0
"""Seconds after which a form that nobody has signed is taken to be abandoned."""

ROOM = 2**20
"""Bytes that a form and its library need at most."""

ELSEWHERE = 600.0
"""The same for a form that a process on another machine has signed."""


def folder() -> Path:
    """Where kinlim keeps compiled forms."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kinlim" / "forms"


FAST = ("-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-fassociative-math", "-fno-signed-zeros")
"""Options of the C compiler: sums may be taken in another order, so that several terms are computed at a time.

What is no number stays none: `-ffast-math`, which gives that up, is not among them.
"""

NATIVE = ("x86_64", "aarch64")
"""Processors for which compilers know -march=native."""


def compile_options() -> list[str]:
    """`FAST`, and what this processor can do; its number is there lest another one with the same home uses the form."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    if platform.machine() not in NATIVE or not lines:
        return [*FAST]
    about = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    return [*FAST, "-march=native", f"-DPROCESSOR={zlib.crc32(' '.join(about).encode())}"]


class Entry:
    """A compiled form in the cache: NAME.c, NAME.c.cached when it is done, the library, and kinlim's note."""

    def __init__(self, place: Path, name: str) -> None:
        """Of this name; it need not be there."""
        self.place, self.name = place, name
        self.source, self.ready, self.note = (place / f"{name}{end}" for end in (".c", ".c.cached", ".kinlim"))

    def sign(self) -> None:
        """Note that this process compiles it."""
        self._write({"host": socket.gethostname(), "pid": os.getpid(), "born": _born(os.getpid())})

    def seal(self) -> None:
        """Note what has been made."""
        self._write({"sha256": self._digest()})

    def sealed(self) -> bool:
        """Whether its maker has finished it, and loaded it."""
        return "sha256" in self.read()

    def whole(self) -> bool:
        """Whether it is what was made."""
        return self.ready.exists() and self.read().get("sha256") == self._digest()

    def abandoned(self) -> bool:
        """Whether nobody finishes it: its maker has died, was interrupted, or has not been heard of for long."""
        maker = self.read()
        if maker.get("host") == socket.gethostname():  # this process does not compile while it waits
            return maker["pid"] == os.getpid() or _born(maker["pid"]) != maker["born"]
        with contextlib.suppress(OSError):
            return time.time() - self.source.stat().st_mtime > (ELSEWHERE if maker else NAMELESS)
        return False

    def drop(self) -> None:
        """Remove all of it.

        Raises:
            OSError: it cannot be removed.
        """
        for path in (self.ready, self.source, self.note, *self._libraries()):
            path.unlink(missing_ok=True)

    def read(self) -> dict[str, Any]:
        """The note; empty where there is none, or it is half written."""
        try:
            found = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _libraries(self) -> list[Path]:
        return sorted(self.place.glob(f"{self.name}.*so"))

    def _digest(self) -> str:
        sum_ = hashlib.sha256()
        for path in self._libraries():
            with contextlib.suppress(OSError):
                sum_.update(path.read_bytes())
        return sum_.hexdigest()

    def _write(self, content: dict[str, Any]) -> None:
        part = self.note.with_name(f"{self.note.name}.{os.getpid()}")
        with contextlib.suppress(OSError):  # without a note the next process compiles again
            part.write_text(json.dumps(content), encoding="utf-8")
            part.replace(self.note)


def _born(pid: int) -> str:
    """When a process of this machine began, in the system's own units; empty where there is none with this number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def guard_forms() -> None:
    """Have FFCx look at its cache through `Entry`."""
    from ffcx.codegeneration import jit

    module: Any = jit
    get, make, load = module.get_cached_module, module._compile_objects, module._load_objects

    def cached(name: str, objects: Sequence[str], place: Path, timeout: int) -> Any:
        entry = Entry(Path(place), name)
        try:
            while entry.source.exists() and not entry.sealed():
                if entry.abandoned():
                    _say("a form was left half compiled; it is compiled again")
                    entry.drop()
                else:
                    time.sleep(LOOK_EVERY)
            if entry.source.exists() and not entry.whole():
                _say("a compiled form in the cache is damaged; it is compiled again")
                entry.drop()
            found = get(name, objects, place, timeout)
        except OSError as error:
            raise _refusal(entry.place, error) from None
        if found == (None, None):
            entry.sign()
        return found

    def compiled(*args: Any, **kwargs: Any) -> Any:
        try:
            return make(*args, **kwargs)
        except Exception:
            place = Path(next(one for one in (*args, *kwargs.values()) if isinstance(one, Path)))
            try:
                with tempfile.TemporaryFile(dir=place) as file:
                    file.write(bytes(ROOM))
            except OSError as error:
                raise _refusal(place, error) from None
            raise

    def loaded(place: Path, name: str, objects: Sequence[str]) -> Any:
        found = load(place, name, objects)
        Entry(Path(place), name).seal()
        return found

    module.get_cached_module, module._compile_objects, module._load_objects = cached, compiled, loaded


def _refusal(place: Path, error: OSError) -> InputError:
    refused[:] = [
        InputError(
            f"{place}: compiled forms cannot be kept there ({error.strerror}); set XDG_CACHE_HOME to a folder that can "
            "be written and has room"
        )
    ]
    return refused[0]


refused: list[InputError] = []
"""Why the last form could not be compiled, if that was for want of a folder."""


def guard_kernels() -> None:
    """Have numba forget an index or a kernel that it cannot read, and do without those that it cannot keep."""
    from numba.core import caching

    file: Any = caching.IndexDataCacheFile
    load, index, save = file.load, file._load_index, file.save
    lacking: list[OSError] = []

    def loaded(self: Any, key: Any) -> Any:
        try:
            return load(self, key)
        except Exception:  # noqa: BLE001 - pickle raises anything
            return forgotten(self)

    def listed(self: Any) -> Any:
        try:
            return index(self)
        except Exception:  # noqa: BLE001 - pickle raises anything
            forgotten(self)
            return {}

    def saved(self: Any, key: Any, data: Any) -> None:
        try:
            save(self, key, data)
        except OSError as error:
            if not lacking:
                _say(f"compiled kernels cannot be kept ({error.strerror}); the next run compiles them again")
            lacking.append(error)

    def forgotten(self: Any) -> None:
        _say("a compiled kernel in the cache is damaged; it is compiled again")
        with contextlib.suppress(OSError):
            self.flush()

    file.load, file._load_index, file.save = loaded, listed, saved


def _say(text: str) -> None:
    print(f"kinlim: {text}", file=sys.stderr, flush=True)  # noqa: T201
