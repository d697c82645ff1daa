"""`kinlim list` and `kinlim view`: what result folders there are, what each has found, and the page to read."""

import contextlib
import html
import json
import os
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kinlim.errors import InputError, RunError
from kinlim.model import STUDY
from kinlim.results import CONVERGENCE, METRICS, POINTS, REPORT, SWEEP
from kinlim.statements import LOG, STATEMENTS

INDEX = "index.html"
"""The page that `kinlim list --html` writes."""

FIRST = (REPORT, f"{SWEEP}.html", f"{CONVERGENCE}.html")
"""Pages in the order in which they are looked for; any other page of the folder comes after them."""

TITLE = "<title>kinlim: results</title>"
"""By which such a page is known."""

STYLE = """
:root { color-scheme: light dark; --text: #222; --paper: #fff; --link: #1a56c4; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e4e4; --paper: #16181c; --link: #7aa7ff; } }
body { color: var(--text); background: var(--paper); margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
body { font: 16px/1.5 system-ui, sans-serif; }
a { color: var(--link); }
article { border-top: 1px solid #8886; padding: .8rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0; }
p { margin: .2rem 0; }
.about { opacity: .75; font-size: .9rem; }
"""


@dataclass(frozen=True)
class Entry:
    """A result folder.

    Attributes:
        path: of the folder.
        name: of the study.
        model: its name, or its file.
        when: the day and time of the last line in its log, in UTC; empty if there is none.
        said: the first verdict, headline or statement; what there is, if there is none yet.
    """

    path: Path
    name: str
    model: str
    when: str
    said: str

    @property
    def page(self) -> Path | None:
        """The page to read first."""
        pages = [self.path / name for name in FIRST] + sorted(self.path.glob("*.html"))
        return next((page for page in pages if page.is_file() and page.name != INDEX), None)


def entries(folder: Path) -> list[Entry]:
    """The result folders in a folder and below, the last one first; points of sweeps belong to their sweep.

    Raises:
        InputError: there is none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder")
    paths = [path.parent for path in folder.rglob(STUDY) if POINTS not in path.relative_to(folder).parts]
    if not paths:
        raise InputError(f"{folder}: holds no result folder (none has a {STUDY})")
    return sorted(map(_entry, paths), key=lambda entry: (entry.when, str(entry.path)), reverse=True)


def listed(folder: Path) -> str:
    """The folders for a terminal: each with a line on what it is and one on what it has found."""
    lines = []
    for entry in entries(folder):
        when = f", {_said_when(entry)}" if entry.when else ""
        lines += [f"{entry.path} ({entry.model}{when})", f"    {entry.said}"]
    return "\n".join(lines)


def write_index(folder: Path) -> Path:
    """Write a page with links to the pages of all folders; its path.

    Raises:
        InputError: there is a page of that name that kinlim has not written.
        RunError: it cannot be written.
    """
    articles = "\n".join(_article(entry, folder) for entry in entries(folder))
    page = folder / INDEX
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        + TITLE
        + '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body><h1>Results</h1>\n{articles}\n</body></html>\n"
    )
    if page.exists() and TITLE not in page.read_text(encoding="utf-8", errors="replace"):
        raise InputError(f"{page}: is there already, not written by kinlim, and kept; move it away")
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{page}: could not be written ({error.strerror})") from error
    return page


def page_of(folder: Path) -> Path:
    """The page to read of a result folder; of a folder of them, the index, written anew.

    Raises:
        InputError: there is none.
    """
    if not (folder / STUDY).is_file():
        return write_index(folder)
    if (page := _entry(folder).page) is None:
        raise InputError(f"{folder}: has no page yet; `kinlim compare {folder}` writes one once its datasets are there")
    return page


@contextlib.contextmanager
def served(folder: Path, port: int) -> Iterator[ThreadingHTTPServer]:
    """A server of the files in a folder, for this machine alone.

    Args:
        folder: what can be asked for, and all below it.
        port: where it listens; 0 for any that is free.

    Raises:
        RunError: the port is taken, or not allowed.
    """

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *words: Any) -> None:
            super().__init__(*words, directory=str(folder))

        def log_message(self, format: str, *words: Any) -> None:
            pass

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Quiet)
    except (OSError, OverflowError) as error:
        raise RunError(f"--serve {port}: cannot listen there ({error})") from None
    with server:
        yield server


def _entry(path: Path) -> Entry:
    try:
        tables = tomllib.loads((path / STUDY).read_text(encoding="utf-8"))
        name, model = str(tables["study"]["name"]), str(tables["study"]["model"])
    except (OSError, ValueError, KeyError, TypeError):
        name, model = path.name, "its study cannot be read"
    return Entry(path, name, model, _when(path), _said(path))


def _when(path: Path) -> str:
    try:
        last = (path / LOG).read_text(encoding="utf-8", errors="replace").splitlines()[-1]
    except (OSError, IndexError):
        return ""
    return last.partition(" ")[0].removesuffix("+00:00")


def _said_when(entry: Entry) -> str:
    return f"{entry.when.replace('T', ' ')[:16]} UTC" if entry.when else ""


def _said(path: Path) -> str:
    for file in [path / name for name in (METRICS, f"{SWEEP}.json")] + sorted(path.glob("*.json")):
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if found.get("verdicts"):
                return str(found["verdicts"][0]["sentence"])
            if "headline" in found:
                return str(found["headline"])
            if counts := Counter(str(one["verdict"]) for one in found.get(STATEMENTS, [])):
                said = ", ".join(f"{verdict}: {count}" for verdict, count in sorted(counts.items()))
                return f"{counts.total()} statements; {said}"
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
            continue  # not one of ours
    there = sorted(one.name for kind in ("*.nc", "*.checkpoint", "*.html") for one in path.glob(kind))
    return f"no verdict; holds {', '.join(there)}" if there else "begun, and nothing is kept yet"


def _article(entry: Entry, folder: Path) -> str:
    from kinlim.validation.report import readable

    path = html.escape(str(entry.path.relative_to(folder)))
    page = entry.page
    link = path if page is None else f'<a href="{html.escape(os.path.relpath(page, folder))}">{path}</a>'
    about = html.escape(", ".join(filter(None, (entry.name, Path(entry.model).name, _said_when(entry)))))
    return f'<article><h2>{link}</h2><p>{html.escape(readable(entry.said))}</p><p class="about">{about}</p></article>'
