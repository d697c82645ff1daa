"""SHA256SUMS of a result folder: what its files were when kinlim wrote them.

It is what `sha256sum` writes and `sha256sum --check SHA256SUMS` reads, with a comment at the end that has the sum of
the lines before it, so that damage to the list is not taken for damage to a file. A file that is to be replaced has two
lines for a moment, one for either version, so that a kill between the two writings leaves a file that is known.
Log and lock, which change all the time, and checkpoints, which have a sum of their own, are not in it.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kinlim.errors import InputError

SUMS = "SHA256SUMS"
SEAL = "# sha256 of the lines above: "

Sums = dict[str, list[str]]
"""For each file, relative to the folder, the sums that it may have."""


@dataclass(frozen=True)
class Manifest:
    """The list of a folder. Its methods are for rank 0 alone.

    Attributes:
        folder: where it lies.
        write: writes bytes under a name of the folder, whole or not at all.
    """

    folder: Path
    write: Callable[[str, bytes], None]

    def record(self, digests: Mapping[str, str], put: Callable[[], object]) -> None:
        """Let `put` write files with these sums, and have the list name them whenever the process dies."""
        before = self.sums()
        either = before | {name: list(dict.fromkeys((one, *before.get(name, [])))) for name, one in digests.items()}
        after = before | {name: [one] for name, one in digests.items()}
        if either != before:
            self._write(either)
        put()
        if either != after:
            self._write(after)

    def check(self, name: str, remedy: str) -> None:
        """Refuse a file that is not what kinlim wrote.

        Raises:
            InputError: it has changed, or nothing tells what it was; with the remedy, besides accepting it.
        """
        path, sums = self.folder / name, self.sums()
        accept = f"`kinlim verify --accept {self.folder}` takes it as it is"
        if name not in sums:
            why = f"{SUMS} does not name it" if sums else f"there is no {SUMS}"
            raise InputError(f"{path}: nothing tells whether it is whole ({why}); {accept}")
        if digest_of(path) not in sums[name]:
            raise InputError(
                f"{path}: is not what kinlim wrote (its checksum is not the one in {SUMS}): it is damaged, or was "
                f"changed. {remedy}; {accept}"
            )

    def sums(self) -> Sums:
        """What the list says; empty where there is none.

        Raises:
            InputError: it is damaged.
        """
        path = self.folder / SUMS
        try:
            body, seal, digest = path.read_bytes().rpartition(SEAL.encode())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        if not seal or digest.strip() != hashlib.sha256(body).hexdigest().encode():
            raise InputError(
                f"{path}: is damaged, or was not written by kinlim (it does not end with a sum of its lines); "
                f"`kinlim verify --accept {self.folder}` writes it anew for what is there"
            )
        sums: Sums = {}
        for line in body.decode().splitlines():
            one, _, name = line.partition("  ")
            sums.setdefault(name, []).append(one)
        return sums

    def accept(self, names: Iterable[str]) -> None:
        """Make the list anew for these files as they are."""
        self._write({name: [digest_of(self.folder / name)] for name in names})

    def forget_missing(self) -> None:
        """Take files that are not there from the list: a kill came before they were, or a user wants them anew."""
        sums = self.sums()
        there = {name: ones for name, ones in sums.items() if (self.folder / name).exists()}
        if there != sums:
            self._write(there)

    def _write(self, sums: Mapping[str, list[str]]) -> None:
        lines = [f"{one}  {name}\n" for name in sorted(sums) for one in sums[name]]
        body = "".join(lines)
        seal = f"{SEAL}{hashlib.sha256(body.encode()).hexdigest()}\n"
        self.write(SUMS, (body + seal).encode())


def digest_of(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
