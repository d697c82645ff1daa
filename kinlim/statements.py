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
                command = str(content.get("command", ""))
            except (OSError, ValueError, TypeError, AttributeError):
                continue  # not one of ours
            for one in found:
                yield one.reference, one.claim, one.verdict, one.found, f"`{command}`" if command else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
