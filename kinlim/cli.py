"""The command line: `kinlim COMMAND`, alone or under mpirun. PETSc options go after `--`.

Exit codes: 0 done, 1 failed while running, 2 bad input, 75 stopped by a signal with a checkpoint written. Verdicts
change none: a command that finds DIFFER or FAILED is done.
Errors are one paragraph; --debug adds the traceback.
"""

import difflib
import importlib
import itertools
import logging
import math
import os
import re
import sys
import threading
import time
import tomllib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from kinlim import compat, looking, models, progress, sweeps, workflow
from kinlim.errors import InputError, RunError, Stopped
from kinlim.looking import folder_named, results_folder, say, tell, write_new
from kinlim.plain import let_streams_spell
from kinlim.progress import compiling
from kinlim.results import SWEEP, Results
from kinlim.signals import INTERRUPTED, end_at_once, ignore, limit, stopped_is_stopped
from kinlim.study import Study, check, load, model_in, model_of, override
from kinlim.version import __version__

if TYPE_CHECKING:
    import xarray as xr

    from kinlim.parallel import Meeting

UNPREFIXED = ("ts_", "snes_", "ksp_", "pc_")
"""Beginnings of options of PETSc's solvers, of which kinlim has none without a prefix."""

DEMO_REPLICAS = 5000

MISUSE: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
"""What typer raises for a wrong command line; it names only this one subclass of it."""

MOST_THREADS = 4096
"""Threads per rank."""

LONGEST = 1000
"""Characters of an error message."""

DEBUG, QUIET, VERBOSE = ("--debug",), ("-q", "--quiet"), ("-v", "--verbose")
"""Options of every command, wherever they stand."""

PATIENCE = 5.0
"""Seconds that a rank which has failed waits for the others to say the same; then it ends them."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Does this particle system converge to that equation, how fast, and what is left over?",
    epilog="Runs alone or under mpirun. PETSc options go after --, with the prefix pde_: -- -pde_ts_monitor",
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study; `kinlim new` prints one.")]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR",
        show_default=False,
        help="Result folder. [default: NAME in results, or in the folder that KINLIM_RESULTS names]",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Override the study; the value is TOML. Repeatable."),
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        callback=lambda threads: _threads(threads),
        help="Threads per rank for the particles. [default: all cores]",
        show_default=False,
    ),
]
Replicas = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="The same as --set particles.replicas=N; raise it with --resume.", show_default=False
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with a run that was stopped: what is done stays, what was begun goes on."),
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say how long it will take and in how much memory, found in seconds; no more.")
]

TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        callback=lambda text: _limit(text),
        help="End with a checkpoint after this time: seconds, MM:SS or HH:MM:SS. [default: none]",
        show_default=False,
    ),
]


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress; may stand anywhere.")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show what goes into log.txt; may stand anywhere.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda wanted: wanted and _version(), help="Show it.")
    ] = False,
) -> None:
    """Accept the options that belong to every command; `main` has read them already."""


@app.command()
def run(
    study: StudyFile,
    output: Output = None,
    set: Set = None,
    replicas: Replicas = None,
    threads: Threads = None,
    resume: Resume = False,
    time_limit: TimeLimit = None,
    dry_run: DryRun = False,
) -> None:
    """Simulate the particles, solve the equations, compare them, write a report."""
    _stages(study, output, _with(set, replicas), workflow.STAGES, dry_run, threads=threads, resume=resume)


@app.command()
def simulate(
    study: StudyFile,
    output: Output = None,
    set: Set = None,
    replicas: Replicas = None,
    threads: Threads = None,
    resume: Resume = False,
    time_limit: TimeLimit = None,
    dry_run: DryRun = False,
) -> None:
    """Simulate the particles."""
    _stages(study, output, _with(set, replicas), ("simulate",), dry_run, threads=threads, resume=resume)


@app.command()
def solve(
    study: StudyFile,
    output: Output = None,
    set: Set = None,
    resume: Resume = False,
    time_limit: TimeLimit = None,
    estimate_error: Annotated[
        bool, typer.Option("--estimate-error", help="Solve three times more, and say how large the errors are.")
    ] = False,
    referee: Annotated[
        bool,
        typer.Option("--referee", help="On a torus: solve with Fourier modes, too, and say how far apart they are."),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Solve the limit equations."""
    more = {"estimate_error": estimate_error, "referee": referee}
    folder = _stages(study, output, set, ("solve",), dry_run, resume=resume, **more)
    if any(more.values()):
        from kinlim.parallel import on_root, world

        say(on_root(world(), lambda: _errors(Results(folder))))


@app.command()
def converge(study: StudyFile, output: Output = None, set: Set = None) -> None:
    """Measure errors and observed orders under refinement of mesh, degree and time step."""
    say(workflow.converge(*_study(study, output, set)))


OF_MODELS: set[str] = set()
"""Commands that models have themselves."""


def _add_command(name: str, help: str) -> None:
    """Add a command that models have themselves."""

    def command(study: StudyFile, output: Output = None, set: Set = None) -> None:
        loaded, folder = _study(study, output, set)
        there = model_of(loaded).commands
        if name not in there:
            having = ", ".join(model.name for model, _ in models.every() if name in model.commands) or "that has it"
            raise InputError(f"study.model = '{loaded.study.model}': `kinlim {name}` is for the model {having}")
        say(there[name].run()(loaded, folder))

    app.command(name, help=help)(command)
    OF_MODELS.add(name)


for _model in map(models.find, models.BUILT_IN):
    for _name, _command in _model.commands.items():
        _add_command(_name, _command.help)


@app.command()
def sweep(
    study: StudyFile,
    over: Annotated[
        list[str],
        typer.Option(
            "--over",
            metavar="TABLE.KEY=V1,V2,...",
            help="Values to go through; after a ; more that go along with them. Repeatable: all pairs.",
        ),
    ],
    output: Output = None,
    set: Set = None,
    replicas: Replicas = None,
    threads: Threads = None,
    resume: Resume = False,
    time_limit: TimeLimit = None,
    without_particles: Annotated[
        bool, typer.Option("--without-particles", help="Solve only; for what the solution alone can tell.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Run a study for several values of its parameters, and measure how the results scale with them."""
    from kinlim.parallel import on_root, world
    from kinlim.validation import sweep as sweeping

    overrides = _with(set, replicas)
    loaded, folder = _study(study, output, overrides, suffix=f"-{SWEEP}")
    points = on_root(world(), lambda: sweeps.points_of(study, over, overrides))
    stages: tuple[workflow.Stage, ...] = ("solve",) if without_particles else workflow.STAGES
    if dry_run:
        sweeps.refuse(points, stages, world())
        studies = {point.folder: point.study for point in points}
        _foretell(studies, stages, threads, *(["--resume"] if resume else []))
        return
    verdict = sweeps.sweep(loaded, points, folder, stages=stages, threads=threads, resume=resume)
    say(sweeping.text(verdict))
    say(f"Report: {folder / f'{SWEEP}.html'}")


looking.register(app)


@app.command()
def new(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Its name, or the file that declares it.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it there.", show_default="print it")
    ] = None,
) -> None:
    """Print a commented study to start from."""
    text = models.find(model).start()
    if output is None:
        say(text, end="")
        return
    from kinlim.parallel import on_root, world

    on_root(world(), lambda: write_new(output, text))
    say(f"A study to start from: {output}")


@app.command("models")
def list_models(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE.py", help="Files with models of your own.")] = None,
) -> None:
    """List the models: built in, installed by other packages, and in the files given."""
    for model, origin in (*models.every(), *((models.find(file), file) for file in files or ())):
        say(f"{model.name} ({origin}): {model.about or model.physics.__name__}")


@app.command()
def demo(output: Output = None, threads: Threads = None) -> None:
    """Run the paper's study with few replicas, in less than a minute."""
    example = tomllib.loads(models.find(models.BUILT_IN[0]).example())
    tables = override(example, [f"particles.replicas={DEMO_REPLICAS}", 'study.name="demo"'])
    folder = _unused(results_folder() / "demo") if output is None else folder_named(output)
    _go(check(tables, "demo"), folder, workflow.STAGES, threads=threads)


@app.command()
def info() -> None:
    """Show versions, MPI, PETSc packages, cores and GPU."""
    from kinlim.info import lines

    say("\n".join(lines()))


UNMAPPED = "failed to map segment"
"""In what the loader says of a library for which there is no memory."""

LESS = "fewer replicas a block, fewer threads, fewer ranks or a coarser mesh do with less"


def main() -> NoReturn:
    """Entry point: parse, run, and turn every outcome into an exit code, on all ranks alike."""
    arguments, petsc_options = _split(sys.argv[1:])
    debug, quiet, verbose = (bool(set(words) & set(arguments)) for words in (DEBUG, QUIET, VERBOSE))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of a matplotlibrc that is not used: see `report`
    # PETSc would answer a closed pipe and a crash with a page of its own. What else is said there is nowhere recorded.
    os.environ["PETSC_OPTIONS"] = "-no_signal_handler"
    let_streams_spell()
    if refusal := compat.unstartable():  # what MPI would die of, or not notice
        if compat.is_first():
            print(f"kinlim: {refusal}", file=sys.stderr)  # noqa: T201
        sys.exit(InputError.exit_code)
    meeting = None
    try:
        end_at_once()
        with stopped_is_stopped():
            if not compat.alone():
                from kinlim.parallel import Meeting  # which starts MPI

                meeting = Meeting()
            compiling.shown = _rank() == 0 and not quiet
            _tell_more_or_less(quiet, verbose)
            if petsc_options or _ranks() > 1:  # together, and not when rank 0 first needs it, alone
                _start_petsc(petsc_options)
            _offer(arguments)
            if (
                app(
                    [a for a in arguments if a not in (*DEBUG, *QUIET, *VERBOSE)],
                    prog_name="kinlim",
                    standalone_mode=False,
                )
                == INTERRUPTED
            ):
                raise KeyboardInterrupt  # typer catches it and returns this
    except Stopped as stop:
        ignore()
        _fail(stop, str(stop), stop.exit_code, debug, meeting)
    except (InputError, RunError) as error:  # mostly the same on all ranks, see `on_root`
        _fail(error, str(error), error.exit_code, debug, meeting)
    except MISUSE as error:
        message = f"{error.format_message()} ({_meant(arguments)}kinlim --help shows what there is)"
        _fail(error, message, InputError.exit_code, debug, meeting)
    except BaseException as error:  # whatever it is, the other ranks must not wait for this one
        if _ranks() == 1 and isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        if _ranks() == 1 and isinstance(error, SystemExit):  # click's, when nobody reads on: kinlim --help | head -1
            raise
        _die(error, debug)
    if meeting is not None:
        meeting.agree("done")  # where another rank fails, it ends this one
    ignore()
    sys.exit(0)


def _tell_more_or_less(quiet: bool, verbose: bool) -> None:
    """Silence progress, or show on rank 0 what is logged."""
    if quiet:
        progress.listeners.append(lambda seconds, fraction: None)
    if verbose and _rank() == 0:
        logging.basicConfig(format="%(message)s", stream=sys.stderr)
        logging.getLogger("kinlim").setLevel(logging.INFO)


def _offer(arguments: list[str]) -> None:
    """Add the command that comes first, if no other has its name and the study behind it is of a model that has it.

    Raises:
        InputError: the study, or its model, cannot be read.
    """
    name, *rest = [word for word in arguments if not word.startswith("-")] or [""]
    path = next((Path(word) for word in rest if word.endswith(".toml") and Path(word).is_file()), None)
    if name in _commands() or path is None:
        return
    own = model_in(path).commands
    if name in own:
        _add_command(name, own[name].help)


def _meant(arguments: list[str]) -> str:
    """The command that is closest to the first word, if that is none and one is close."""
    word = next((word for word in arguments if not word.startswith("-")), "")
    close = [] if word in _commands() else difflib.get_close_matches(word, _commands() | OF_MODELS, 1)
    return f"did you mean {close[0]}? " if close else ""


def _commands() -> set[str]:
    """Names of all commands that there are now."""
    return {str(one.name or getattr(one.callback, "__name__", "")) for one in app.registered_commands}


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part the command line at `--`."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _start_petsc(options: list[str]) -> None:
    """Give PETSc its options, of which each is a -name or the value of one."""
    for before, word in itertools.pairwise(["", *options]):
        if not word.startswith("-") and not before.startswith("-"):
            raise InputError(f"{word!r} after --: is neither a PETSc option nor the value of one")
    for word in options:
        if (name := word.removeprefix("-")) != word and name.startswith(UNPREFIXED):
            raise InputError(
                f"{word} after --: the solver of every solution has its name as a prefix; write -pde_{name} for pde.nc"
            )
    compat.PETSC_OPTIONS[:] = options
    try:
        importlib.import_module("kinlim.fem")
    except Exception as error:  # noqa: BLE001 - PETSc's class for it cannot be had before PETSc starts
        raise InputError(f"PETSc does not start with the options {' '.join(options)} ({error})") from None


def _fail(error: BaseException, message: str, code: int, debug: bool, meeting: "Meeting | None") -> NoReturn:
    """End with a message; rank 0 prints it where all ranks agree on it."""
    if meeting is not None and not meeting.agree(message, PATIENCE):
        _die(error, debug, message, code)
    if _rank() == 0:
        if debug:
            traceback.print_exc()
        print(f"kinlim: {_line(message)}", file=sys.stderr, flush=True)  # noqa: T201
    sys.exit(code)


def _die(error: BaseException, debug: bool, message: str = "", code: int = RunError.exit_code) -> NoReturn:
    """End all ranks at once: what went wrong here need not have happened on the others, which would wait for ever."""
    if isinstance(error, KeyboardInterrupt):
        message, code = "interrupted; results already written are kept", INTERRUPTED
    if isinstance(error, MemoryError) or UNMAPPED in str(error):
        message = f"{type(error).__name__}: the memory does not suffice{f' ({error})' if str(error) else ''}; {LESS}"
    message = message or f"{type(error).__name__}: {error} (--debug shows where)"
    time.sleep(0.2 * _rank())  # if it happened on all, the first one speaks and ends the others
    if debug:
        traceback.print_exception(error)
    where = f" [rank {_rank()}]" if _ranks() > 1 else ""
    print(f"kinlim{where}: {_line(message)}", file=sys.stderr, flush=True)  # noqa: T201
    if _ranks() > 1:
        from mpi4py import MPI

        time.sleep(0.3)  # the launcher may drop what it has not passed on yet
        MPI.COMM_WORLD.Abort(code)
        os._exit(code)  # it may return; what Python does at its end would wait for the others
    sys.exit(code)


def _line(message: str) -> str:
    """One line of printable characters, at most LONGEST of them."""
    text = "".join(c if c.isprintable() else " " for c in " ".join(message.split()))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _study(path: Path, output: str | None, overrides: list[str] | None, *, suffix: str = "") -> tuple[Study, Path]:
    """The study, and the folder for its results."""
    from kinlim.parallel import on_root, world

    study = on_root(world(), lambda: load(path, overrides or ()))
    model = model_of(study)
    if taken := sorted((_commands() - OF_MODELS) & set(model.commands)):
        raise InputError(
            f"{model.source or model.name}: MODEL.commands has '{taken[0]}', a command of every model; give it another "
            "name"
        )
    return study, results_folder() / f"{study.study.name}{suffix}" if output is None else folder_named(output)


def _with(overrides: list[str] | None, replicas: int | None) -> list[str]:
    """The overrides, and one more for the number of replicas if it is given."""
    return [*(overrides or ()), *(() if replicas is None else (f"particles.replicas={replicas}",))]


def _stages(
    path: Path,
    output: str | None,
    overrides: list[str] | None,
    stages: tuple[workflow.Stage, ...],
    dry_run: bool = False,
    **more: Any,
) -> Path:
    study, folder = _study(path, output, overrides)
    if dry_run:
        threads = more.pop("threads", None)
        _foretell({str(path): study}, stages, threads, *(f"--{key}" for key, given in more.items() if given))
    else:
        _go(study, folder, stages, source=str(path), **more)
    return folder


def _foretell(
    studies: dict[str, Study], stages: tuple[workflow.Stage, ...], threads: int | None, *besides: str
) -> None:
    """Say what studies cost, by what names each to a user; options given `besides` cannot be part of it."""
    from kinlim import forecast
    from kinlim.parallel import default_threads, world

    if besides:
        raise InputError(f"--dry-run says what whole runs cost; leave out {besides[0].replace('_', '-')}")
    comm, total = world(), 0.0
    for name, study in studies.items():
        try:
            costs = forecast.forecast(study, stages, comm=comm, threads=threads)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        if len(studies) > 1:
            say(name)
        say("\n".join(map(str, costs)))
        total += sum(cost.seconds for cost in costs)
    ranks = f"{comm.size} rank(s) with {threads or default_threads(comm)} thread(s)"
    say(f"together: about {forecast.told(total)} on {ranks}, without figures and reports")
    say(forecast.memory(comm))


def _errors(results: Results) -> str:
    """What the estimates of errors in the solutions say of the time when they are largest."""
    study = results.study()
    sides = model_of(study).wanted(study, "solve")
    found = {side.file: results.read(side.file) for side in sides}
    first = next(iter(found.values()))
    lines = [str(first.attrs["referee"])] if "referee" in first.attrs else []
    estimates = [line for file, dataset in found.items() for line in _estimates(dataset, file)]
    if estimates:
        lines += ["Estimated relative L2 errors at the points of the datasets, when they are largest:", *estimates]
    if not lines:
        file = results.path / sides[0].file
        return f"{file} was there, and nothing was said of its errors then; move it away to have it solved again"
    return "\n".join(lines)


def _estimates(dataset: "xr.Dataset", file: str) -> Iterator[str]:
    """A line for every variable whose errors are estimated."""
    for total in (str(name) for name in dataset.data_vars if re.fullmatch("error_.*_total", str(name))):
        name = total.removesuffix("_total")
        worst = dataset.isel(time=int(dataset[total].argmax("time")))
        values = zip(worst["source"].to_numpy(), worst[name].to_numpy(), strict=True)
        parts = ", ".join(f"{source} {float(value):.2g}" for source, value in values)
        said = f"{float(worst[total]):.2g} at {float(worst.fraction):g} T ({parts})"
        yield f"  {file}, {name.removeprefix('error_')}: {said}"


def _go(study: Study, folder: Path, stages: tuple[workflow.Stage, ...], **more: Any) -> None:
    numbers = workflow.run(study, folder, stages, **more)
    if numbers is None:
        say(f"Results: {folder}")
    else:
        tell(study, numbers, folder)


def _threads(threads: int | None) -> int | None:
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise InputError(f"--threads {threads}: must be from 1 to {MOST_THREADS}")
    return threads


def _limit(text: str | None) -> str | None:
    """Have the command end after a time such as 90, 1:30 or 0:01:30."""
    if text is None:
        return None
    parts = text.split(":")
    try:
        if not all(part.isdecimal() for part in parts[:-1]) or len(parts) > 3:
            raise ValueError
        seconds = sum(float(part) * 60**k for k, part in enumerate(reversed(parts)))
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise InputError(f"--time-limit {text}: must be a time above 0, as seconds, MM:SS or HH:MM:SS")
    limit(seconds)
    return text


def _version() -> NoReturn:
    say(f"kinlim {__version__}")
    raise typer.Exit


def _unused(folder: Path) -> Path:
    """The first of folder, folder-2, folder-3, ... that does not exist; the same on all ranks."""
    from kinlim.parallel import on_root, world

    names = itertools.chain([folder], (folder.with_name(f"{folder.name}-{k}") for k in itertools.count(2)))
    return on_root(world(), lambda: next(name for name in names if not name.exists()))


def _rank() -> int:
    if compat.alone():
        return 0
    from mpi4py import MPI

    return int(MPI.COMM_WORLD.rank)


def _ranks() -> int:
    if compat.alone():
        return 1
    from mpi4py import MPI

    return int(MPI.COMM_WORLD.size)
