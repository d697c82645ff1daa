"""`kinlim verify`: whether the files of a result folder, and of those below it, are what kinlim wrote."""

from collections.abc import Iterator
from pathlib import Path

from kinlim.checkpoint import decode
from kinlim.errors import InputError
from kinlim.lock import LOCK, is_locked, owner
from kinlim.manifest import SUMS, digest_of
from kinlim.model import STUDY
from kinlim.results import PART, Results
from kinlim.statements import LOG

SHOWN = 10
"""Damaged files that a message names."""


def verify(folder: Path, *, accept: bool = False) -> str:
    """What is whole, a line a result folder. With `accept`, take the files as they are and write their sums anew.

    Raises:
        InputError: a file is damaged, changed or gone, or a process is at work there.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder")
    folders = sorted({path.parent for name in (STUDY, SUMS) for path in folder.rglob(name)})
    if not folders:
        raise InputError(f"{folder}: holds no result folder (none has a {STUDY})")
    for one in folders:
        if is_locked(one):
            raise InputError(f"{one}: another kinlim is at work in this folder ({owner(one)}); wait for its end")
    if accept:
        for one in folders:
            results = Results(one)
            with results.claim():
                results.manifest.accept(str(path.relative_to(one)) for path in _files(one, folders))
    lines, wrong = zip(*(_verified(one, folders) for one in folders), strict=True)
    if found := [f"{one / name} {what}" for one, names in zip(folders, wrong, strict=True) for name, what in names]:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        told = not more and SUMS not in {name for names in wrong for name, _ in names}
        raise InputError(f"{'; '.join(found[:SHOWN])}{more}{'. What is not named is whole' if told else ''}")
    return "\n".join(lines)


def _verified(folder: Path, folders: list[Path]) -> tuple[str, list[tuple[str, str]]]:
    """A line on a result folder, and what is wrong with which file of it."""
    wrong: list[tuple[str, str]] = []
    try:
        sums = Results(folder).manifest.sums()
    except InputError:
        return "", [(SUMS, "is damaged, or was not written by kinlim")]
    if not sums:
        return "", [(SUMS, "is missing, so nothing tells what is whole")]
    for name, digests in sums.items():
        if not (folder / name).exists():
            wrong.append((name, "is missing"))
        elif digest_of(folder / name) not in digests:
            wrong.append((name, "is not what kinlim wrote"))
    checkpoints = [path for path in folder.iterdir() if ".checkpoint" in path.name and path.is_file()]
    for path in checkpoints:
        try:
            decode(path.read_bytes())
        except (OSError, ValueError) as error:
            wrong.append((path.name, f"is damaged: {error}"))
    strangers = {str(path.relative_to(folder)) for path in _files(folder, folders)} - set(sums)
    kept = f" and {len(checkpoints)} checkpoint(s)" if checkpoints else ""
    besides = f"; without a checksum: {', '.join(sorted(strangers)[:SHOWN])}" if strangers else ""
    return f"{folder}: {len(sums)} file(s){kept} are whole{besides}", wrong


def _files(folder: Path, folders: list[Path]) -> Iterator[Path]:
    """The files of a result folder that have checksums, or could have."""
    inner = {one for one in folders if one != folder}
    for path in folder.rglob("*"):
        own = not inner.intersection(path.parents)
        beside = path.name in (SUMS, LOG, LOCK) or ".checkpoint" in path.name or PART.search(path.name)
        if own and path.is_file() and not beside:
            yield path
