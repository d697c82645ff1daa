"""The commands that look at result folders: compare, paraview, animate, verify, verdicts, list, view, diff, export."""

import os
import webbrowser
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from kinlim import catalogue, statements, verification, workflow
from kinlim.errors import InputError, RunError
from kinlim.export import Format, export
from kinlim.results import REPORT, Results
from kinlim.study import Study

FOLDER = "KINLIM_RESULTS"
"""Variable that names the folder for results, instead of `results`."""

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A result folder.", show_default=False)]
Folders = Annotated[
    Path | None,
    typer.Argument(metavar="[DIR]", help="A folder of result folders. [default: results]", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in COMMANDS.items():
        app.command(name)(command)


def results_folder() -> Path:
    """Where results are unless -o says otherwise."""
    return Path(os.environ.get(FOLDER) or "results")


def folder_named(output: str) -> Path:
    """The folder that was given to -o.

    Raises:
        InputError: the name is empty.
    """
    if not output.strip():
        raise InputError("-o: needs the name of a folder; '.' is this one")
    return Path(output)


def say(text: str, end: str = "\n") -> None:
    """Print, on rank 0."""
    from kinlim.parallel import world

    if world().rank == 0:
        print(text, end=end, flush=True)  # noqa: T201


def tell(study: Study, numbers: dict[str, Any], folder: Path) -> None:
    """Say what came out, and where the rest is."""
    say("\n".join(workflow.tell(study, numbers)))
    say(f"Report: {folder / REPORT}")


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        InputError: it is there.
        RunError: it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{path}: is there already, and is kept; give another name with -o") from None
    except OSError as error:
        raise RunError(f"{path}: could not be written ({error.strerror})") from error


def on_root[T](action: Callable[[], T]) -> T:
    """Have rank 0 of all do something; its result on every rank."""
    from kinlim import parallel

    return parallel.on_root(parallel.world(), action)


class Fields(StrEnum):
    """Formats of files for ParaView."""

    vtx = "vtx"
    xdmf = "xdmf"


def paraview(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A result folder.")],
    form: Annotated[
        Fields,
        typer.Option(
            "--format",
            help="vtx: the solution, such as pde.bp. xdmf: all that the datasets have "
            "over space and time, particles as well as solutions, in the folder xdmf.",
        ),
    ] = Fields.vtx,
) -> None:
    """Write fields of a result folder for ParaView."""
    write = workflow.paraview if form is Fields.vtx else workflow.paraview_xdmf
    say(f"For ParaView: {on_root(lambda: write(folder))}")


def compare(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A result folder with both datasets.")]) -> None:
    """Compare the particles and the equations of a result folder, and write its report."""
    results = Results(folder)
    numbers = on_root(lambda: workflow.compare(results))
    tell(on_root(results.study), numbers, folder)


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A result folder, or a folder of them.")],
    accept: Annotated[
        bool, typer.Option("--accept", help="Take the files as they are now: write their checksums anew.")
    ] = False,
) -> None:
    """Tell whether the files of a result folder are what kinlim wrote."""
    say(on_root(lambda: verification.verify(folder, accept=accept)))


def verdicts(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Result folders, or folders of them.")],
) -> None:
    """Print a table of the sources' statements that runs have judged: verdict, number, command."""
    say(on_root(lambda: statements.table(folders)))


def list_folders(
    folder: Folders = None,
    page: Annotated[bool, typer.Option("--html", help="Write index.html there, with links to all reports.")] = False,
) -> None:
    """List result folders, the last one first, with what each has found."""
    there = folder or results_folder()
    if page:
        say(f"Index: {on_root(lambda: catalogue.write_index(there))}")
    else:
        say(on_root(lambda: catalogue.listed(there)))


def view(
    folder: Folders = None,
    serve: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", help="Serve the pages to this machine until Ctrl-C; 0 for any port.", show_default=False
        ),
    ] = None,
) -> None:
    """Open the report of a result folder in a browser; of a folder of them, an index."""
    there = folder or results_folder()
    page = on_root(lambda: catalogue.page_of(there))
    if serve is not None:
        with catalogue.served(there, serve) as server:
            say(f"Serving http://127.0.0.1:{server.server_port}/{page.name} until Ctrl-C")
            server.serve_forever()
    elif on_root(lambda: webbrowser.open(page.resolve().as_uri())):
        say(f"Opened {page}")
    else:
        say(f"There is no browser here. The page is {page}; --serve PORT serves it")


def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="A result folder.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
) -> None:
    """Tell which keys two studies differ in, and whether their results agree within their errors."""
    from kinlim.diff import diff

    say(on_root(lambda: diff(first, second)))


def export_tables(
    folder: Folder,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Where to. [default: tables in the folder]", show_default=False
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="CSV for programs, LaTeX for papers.")] = Format.CSV,
) -> None:
    """Write the datasets of a result folder as tables."""
    to = folder / "tables" if output is None else folder_named(output)
    say("\n".join(on_root(lambda: export(folder, to, form))))


def animate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A result folder with a solution.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="A .gif or .mp4. [default: NAME.gif in DIR]", show_default=False
        ),
    ] = None,
) -> None:
    """Make a film of the solution of a result folder, with the particles beside it."""
    path, frames = on_root(lambda: workflow.animate(folder, output))
    say(f"Film: {path}, {frames} frames")


COMMANDS: dict[str, Callable[..., None]] = {
    "paraview": paraview,
    "compare": compare,
    "verify": verify,
    "verdicts": verdicts,
    "list": list_folders,
    "view": view,
    "diff": diff,
    "export": export_tables,
    "animate": animate,
}
