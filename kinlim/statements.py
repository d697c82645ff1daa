"""Statements of the sources, what was found of each, and the table of all of them (`kinlim verdicts`)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kinlim.errors import InputError

Found = Literal["holds", "holds with a correction", "fails", "not decided"]

STATEMENTS = "statements"
"""Key of the JSON files of a result folder."""

LOG, COMMAND = "log.txt", "command: "
"""A result folder's log, and how the line in it begins that has the command, after the date."""


@dataclass(frozen=True)
class Statement:
    """One statement of a source, and what a run has found of it.

    Attributes:
        reference: the source and the number there, such as "Burdzy et al. (2.6)".
        claim: what is stated, in a line.
        verdict: whether it holds on these data; "not decided" where noise hides it.
        found: the number behind the verdict, with its uncertainty.
    """

    reference: str
    claim: str
    verdict: Found
    found: str

    @property
    def sentence(self) -> str:
        """For a terminal and a page."""
        verdict = self.verdict.upper() if self.verdict == "fails" else self.verdict
        return f"{self.reference}, {self.claim}: {verdict}; {self.found}."


def dump(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Statements for JSON."""
    return [asdict(statement) for statement in statements]


def table(folders: Sequence[Path]) -> str:
    """All statements that the runs in these folders, and below them, have judged: a table in Markdown.

    Raises:
        InputError: there is none.
    """
    rows = sorted(set(_rows(folders)))
    if not rows:
        where = ", ".join(map(str, folders)) or "no folder"
        raise InputError(f"{where}: holds no run that judges a statement of a source")
    lines = ["| statement | | verdict | found | by |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(map(_cell, row)) + " |" for row in rows)])


def _rows(folders: Sequence[Path]) -> Iterator[tuple[str, ...]]:
    """Reference, claim, verdict, number and command of every statement."""
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: is no folder")
        for path in sorted(folder.rglob("*.json")):
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                found = [Statement(**one) for one in content.get(STATEMENTS, [])]
            except (OSError, ValueError, TypeError, AttributeError):
                continue  # not one of ours
            for one in found:
                yield one.reference, one.claim, one.verdict, one.found, _command(path.parent)


def _command(folder: Path) -> str:
    """The last command in a folder's log, as code; empty where there is none."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    commands = [line.partition(COMMAND)[2] for line in lines if COMMAND in line]
    return f"`{commands[-1]}`" if commands else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
