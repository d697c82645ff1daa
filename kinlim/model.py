"""What a model is: one declaration, made of parts that the framework drives.

A model says what both sides share (its physics), what makes its datasets (its sides: equations and particles), and what
is held against what (its rules). It knows nothing of folders, commands, ranks or checkpoints; the framework knows no
model by name. Nothing here imports DOLFINx or numba, so that a study is checked before they load.
"""

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import tomli_w
from pydantic import create_model

from kinlim.base import Physics, Study
from kinlim.errors import InputError, RunError
from kinlim.statements import STATEMENTS, Statement
from kinlim.table import Table

if TYPE_CHECKING:
    import xarray as xr

    from mpi4py import MPI

    from kinlim.keeper import Keeper

Datasets = Mapping[str, "xr.Dataset"]
"""What the sides of a study have made, by the names of their files without the ending."""

Stage = Literal["solve", "simulate"]
"""What makes datasets: "solve" is for equations, "simulate" for particles."""

OWN = ("study", "model")
"""Tables of every study, which no side may have."""

STUDY = "study.toml"
"""In every result folder."""

Outcome = Literal["agree", "differ", "cannot be told"]


@dataclass(frozen=True)
class Verdict:
    """What a rule concludes, once; terminal, report, metrics.json and API all say this.

    Attributes:
        about: what was compared, such as "sigma".
        outcome: "agree" where a difference that matters would have been seen and none was; "differ" where there is one
            beyond noise; "cannot be told" where noise hides any difference that matters.
        sentence: the conclusion with its numbers, for readers.
    """

    about: str
    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class Measured:
    """A positive number that a point of a sweep measures.

    Attributes:
        value: the number; NaN where there is none.
        error: its standard error, 0 for one without noise.
        what: what it is, in words.
        claimed: exponents that a source claims for it, by the last part of a parameter's key.
        source: of the claim.
    """

    value: float
    error: float
    what: str
    claimed: Mapping[str, float] | None = None
    source: str = ""


class Maker(ABC):
    """What makes the dataset of a side."""

    def check(self, study: Study, comm: "MPI.Comm") -> None:  # noqa: B027 - nothing need be wrong
        """Raise InputError if the dataset cannot be made as the study asks. Collective; takes little time."""

    @abstractmethod
    def make(self, study: Study, keeper: "Keeper", threads: int | None = None) -> "xr.Dataset":
        """Make the dataset, the same on every rank. Collective over `keeper.comm`.

        Args:
            study: the study.
            keeper: what to go on from, and where to keep how far it has come.
            threads: per rank, where threads help; None for all cores.

        Raises:
            InputError: `check` would have said so.
            RunError: it could not be made.
            Stopped: a signal came, and the state has been kept.
        """

    def draft(self, study: Study, comm: "MPI.Comm") -> "xr.Dataset | None":
        """A dataset with the names, dimensions and coordinates of the one that `make` gives; its values mean nothing.

        None where it is not known before, as here. Collective; takes little time, and follows `check`.
        """
        return None

    def rehearsal(self, study: Study) -> tuple[Study, float]:
        """What is begun to see what a study costs, and how many times as much the study itself costs.

        Something else than the study only where it has preliminaries, after which another rate of progress begins.
        """
        return study, 1.0

    def coarser(self, study: Study) -> Study | None:
        """A study that takes the same course in time, on a coarser mesh; None where progress needs no such measure."""
        return None


class Estimated(Maker):
    """A maker whose datasets have errors, which better ones tell.

    Attributes:
        estimated: the variables whose errors are estimated; None for those that the attribute `unknowns` of a dataset
            names, with spaces between.
    """

    estimated: tuple[str, ...] | None = None

    @abstractmethod
    def better(self, study: Study) -> Mapping[str, Study]:
        """For each source of error, a study that has less of it, or whose solution is as far as that one's is."""


class Refined(Estimated):
    """A maker whose datasets have errors of meshes and time steps, which can be measured."""

    @abstractmethod
    def converge(self, study: Study, comm: "MPI.Comm") -> "xr.Dataset":
        """Measure errors under refinement: see `kinlim.validation.convergence.judge` for the rows. Collective."""


class Refereed(Maker):
    """A maker whose solutions can be held against those of a method that shares no line with it."""

    @abstractmethod
    def refereeable(self, study: Study, comm: "MPI.Comm") -> None:
        """Raise InputError if a study has no referee. Collective; takes little time."""

    @abstractmethod
    def referee(self, study: Study, solution: "xr.Dataset", comm: "MPI.Comm") -> "xr.Dataset":
        """The solution with referee_NAME(time), relative L2 distances, and `referee`, a sentence. Collective."""


class Drawable(Maker):
    """A maker whose datasets hold fields that ParaView can show."""

    @abstractmethod
    def paraview(self, dataset: "xr.Dataset", path: Path) -> None:
        """Write fields as VTX (ADIOS2 .bp), on this rank alone."""


@dataclass(frozen=True)
class Side:
    """One dataset of a study: its file, its settings, and what makes it.

    Attributes:
        file: of the dataset, such as "pde.nc".
        table: of the study, which has the settings of this side.
        settings: class of that table.
        stage: "solve" or "simulate".
        maker: gives what makes the dataset; see `late`.
        wanted: whether a study has this side.
    """

    file: str
    table: str
    settings: type[Table]
    stage: Stage
    maker: Callable[[], Maker]
    wanted: Callable[[Study], bool] = lambda study: True

    @property
    def name(self) -> str:
        """The file without its ending."""
        return Path(self.file).stem


def late[T](reference: str, kind: type[T]) -> Callable[[], T]:
    """A function that imports an object when it is called: "package.module:NAME", as entry points are written.

    The parts of built-in models are given so, since a mistake in a study should not wait for PETSc and numba to load.
    """

    def load() -> T:
        module, _, name = reference.partition(":")
        found = getattr(import_module(module), name)
        assert isinstance(found, kind), reference
        return found

    return load


class Comparison(ABC):
    """What is concluded from the datasets of a study, drawn and written: all of a model that follows the stages."""

    def check(self, study: Study) -> None:  # noqa: B027 - nothing need be wrong
        """Raise InputError if the sides of this study are not meant to agree; here they always are."""

    def foresee(self, data: Datasets) -> None:  # noqa: B027 - nothing need be known
        """Raise InputError for what `compare` would refuse in some of its datasets, or in drafts of them.

        It is called before the others are made; here it finds nothing.
        """

    def sweepable(self, study: Study, stages: Sequence[str]) -> None:  # noqa: B027 - nothing need be wrong
        """Raise InputError where a sweep with these stages would have nothing to measure; here it has."""

    def conclude(self, data: Datasets) -> tuple["xr.Dataset", dict[str, Any]]:
        """The comparison, and the content of metrics.json, the verdicts first; raises as `compare` does."""
        compared = self.compare(data)
        numbers = self.metrics(compared, data)
        said = {
            "verdicts": [asdict(verdict) for verdict in self.verdicts(numbers)],
            STATEMENTS: [asdict(statement) for statement in self.statements(numbers)],
        }
        return compared, said | numbers

    @abstractmethod
    def compare(self, data: Datasets) -> "xr.Dataset":
        """Differences with their uncertainty.

        Raises:
            InputError: the datasets are of different studies, or lack something.
        """

    @abstractmethod
    def metrics(self, comparison: "xr.Dataset", data: Datasets) -> dict[str, Any]:
        """The content of metrics.json but for the verdicts; what is no number is None."""

    @abstractmethod
    def verdicts(self, numbers: Mapping[str, Any]) -> list[Verdict]:
        """What follows from the numbers."""

    def statements(self, numbers: Mapping[str, Any]) -> list[Statement]:
        """What the numbers say of statements of the model's source; here nothing."""
        return []

    def tell(self, numbers: Mapping[str, Any]) -> list[str]:
        """Sentences for a terminal, besides the verdicts."""
        return []

    @abstractmethod
    def draw(self, comparison: "xr.Dataset", data: Datasets) -> dict[str, bytes]:
        """Figures of the comparison as PNG, by name."""

    def draw_solutions(self, data: Datasets) -> dict[str, bytes]:
        """Figures of the solved sides alone as PNG, by name; here none."""
        return {}

    @abstractmethod
    def html(
        self, comparison: "xr.Dataset", numbers: Mapping[str, Any], pictures: Mapping[str, bytes], data: Datasets
    ) -> str:
        """The report: one page with its figures inside."""

    @abstractmethod
    def measured(self, data: Datasets, comparison: "xr.Dataset | None") -> dict[str, Measured]:
        """What a sweep follows from point to point; `comparison` is None in a sweep without particles."""

    def overlay(self, points: Sequence[tuple[Mapping[str, Any], Datasets]]) -> tuple[dict[str, bytes], dict[str, str]]:
        """Figures of all points of a sweep together as PNG, and their captions, both by name; here none."""
        return {}, {}


def example(name: str) -> Callable[[], str]:
    """A function that reads one of kinlim's own examples."""
    return lambda: files("kinlim.examples").joinpath(name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Command:
    """A command of one model alone, such as `kinlim iterate`.

    Attributes:
        help: one sentence.
        run: gives what does it; that takes a study and a folder, and gives what is to be said. Collective.
    """

    help: str
    run: Callable[[], "CommandRun"]


@runtime_checkable
class CommandRun(Protocol):
    """What a `Command` does."""

    def __call__(self, study: Study, folder: Path) -> str: ...  # noqa: D102


NOTHING = late("kinlim.validation.standard:NOTHING", Comparison)
"""What a model without rules concludes."""


@dataclass(frozen=True)
class Model:
    """A particle system and its equations, as one declaration.

    Attributes:
        name: what a study calls it.
        physics: class of the table [model], which all sides share.
        sides: what makes a dataset, in the order of the report: first what is solved, then what is simulated.
        compare: gives what is concluded from the datasets, by default nothing. A function, so that nothing that draws
            is loaded before it is asked for.
        example: gives the text of a study to start from, for `kinlim new`.
        about: what it is, in a line.
        commands: of this model alone, by name.
        tables: class of its studies, where tables depend on each other; otherwise made of physics and settings.
        source: the file that it was read from, if it is not installed.

    Examples:
        A model of what is known exactly, without particles. Its `start` is the study that ``kinlim new`` prints.

        >>> import numpy as np
        >>> class Decay(kinlim.Physics):
        ...     rate: kinlim.Positive = 1.0
        >>> def left(study):
        ...     return {"left": ("time", np.exp(-study.model.rate * study.model.times), "what is left")}
        >>> model = kinlim.Model(name="decay", physics=Decay, sides=(kinlim.Known(left),))
        >>> print(model.start().partition("[model]")[2])
        <BLANKLINE>
        end_time =                # has no default: fill it in
        observe =                # has no default: fill it in
        rate = 1.0
        <BLANKLINE>
        [exact]
        <BLANKLINE>
    """

    name: str
    physics: type[Physics]
    sides: tuple[Side, ...]
    compare: Callable[[], Comparison] = NOTHING
    example: Callable[[], str] = lambda: ""
    about: str = ""
    commands: Mapping[str, Command] = field(default_factory=dict)
    tables: type[Study] | None = None
    source: Path | None = field(default=None, compare=False)

    @cached_property
    def study(self) -> type[Study]:
        """Class of its studies."""
        if self.tables is not None:
            return self.tables
        fields: dict[str, Any] = {"model": (self.physics, ...)}
        for side in self.sides:
            optional = all(not one.is_required() for one in side.settings.model_fields.values())
            fields[side.table] = (side.settings, side.settings() if optional else ...)
        made = create_model(f"{self.name}-study", __base__=Study, **fields)
        made.source = self.source
        return made

    def start(self) -> str:
        """A study to start from: the example, or all keys with their defaults; those that have none are left empty."""
        if text := self.example():
            return text
        lines = ["[study]", f'model = "{self.source or self.name}"', f'name = "{self.name}"']
        for table, kind in (("model", self.physics), *((side.table, side.settings) for side in self.sides)):
            defaults = kind.model_construct().model_dump(mode="json")
            fields = sorted(kind.model_fields.items(), key=lambda item: not item[1].is_required())
            lines += ["", f"[{table}]"]
            for key, one in fields:
                name = one.alias or key
                if one.is_required():
                    lines.append(f"{name} =                # has no default: fill it in")
                elif defaults[key] is None:
                    lines.append(f"# {name} =")
                else:
                    lines.append(tomli_w.dumps({name: defaults[key]}).strip())
        return "\n".join([*lines, ""])

    def wanted(self, study: Study, stage: Stage | None = None) -> tuple[Side, ...]:
        """The sides that a study has, of one stage or of both."""
        return tuple(side for side in self.sides if stage in (None, side.stage) and side.wanted(study))

    def side(self, study: Study, name: str | None = None) -> Side:
        """The side of this name, or the first that is solved.

        Raises:
            InputError: the study has no such side.
        """
        there = self.wanted(study)
        for side in there:
            if side.name == name or (name is None and side.stage == "solve"):
                return side
        what = "equation to solve" if name is None else f"dataset {name!r}"
        raise InputError(f"the study has no {what}; its datasets are {', '.join(side.name for side in there)}")

    def verify(self, where: str) -> None:
        """Refuse a declaration that the framework cannot drive.

        Raises:
            InputError: `where`, and which part is missing, of another type, or in the way of another.
        """
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise InputError(f"{where}: MODEL.name = {self.name!r} must be a word of letters, digits and _")
        if not (isinstance(self.physics, type) and issubclass(self.physics, Physics)):
            raise InputError(f"{where}: MODEL.physics = {self.physics!r} must be a class derived from kinlim.Physics")
        if not self.sides or not all(isinstance(side, Side) for side in self.sides):
            raise InputError(
                f"{where}: MODEL.sides must be a tuple of sides, such as (kinlim.Evolution(...), kinlim.Ensembles(...))"
            )
        for what, taken in (("file", [STUDY]), ("table", list(OWN))):
            for side in self.sides:
                name = getattr(side, what)
                if name in taken:
                    raise InputError(
                        f"{where}: the {what} '{name}' of one of MODEL.sides is taken already; give that side another "
                        f"{what}="
                    )
                taken.append(name)


@dataclass(frozen=True)
class Parts:
    """Code of a model that the framework calls, whose mistakes become sentences with their place.

    Attributes:
        source: the file of the model; None if it is installed.
    """

    source: Path | None

    def instance[T](self, make: Callable[[Study], T], kind: type[T], study: Study) -> T:
        """An equation or particles, made for a study.

        Raises:
            InputError: a part is missing, or making it fails.
        """
        if isinstance(make, type) and (missing := sorted(getattr(make, "__abstractmethods__", ()))):
            needed = f"which every kinlim.{kind.__name__} needs"
            raise InputError(f"{self.place(make)}: the class {make.__name__} has no {missing[0]}, {needed}")
        found = self.call(InputError, lambda: make(study))
        if not isinstance(found, kind):
            made, given = getattr(make, "__name__", repr(make)), type(found).__name__
            raise InputError(f"{self.place(make)}: {made} must give a kinlim.{kind.__name__}, and gives a {given}")
        for name in kind.__annotations__:
            if not hasattr(found, name):
                raise InputError(f"{self.where(found)} has no {name}, which every kinlim.{kind.__name__} needs")
        return found

    def call[T](self, error: type[Exception], action: Callable[[], T], passing: tuple[type[Exception], ...] = ()) -> T:
        """What `action` gives; an exception of its own code becomes `error` with its place, but for some."""
        try:
            return action()
        except Exception as raised:
            if isinstance(raised, (*passing, InputError, RunError)):
                raise
            raise error(blame(raised, self.source)) from raised

    def where(self, part: object) -> str:
        """File and class of a part."""
        return f"{self.place(type(part))}: {type(part).__name__}"

    def place(self, part: Any) -> str:
        """The file of a part."""
        return str(self.source) if self.source is not None else str(getattr(part, "__module__", "the model"))


def parts_of(study: Study) -> Parts:
    """How code of a study's model is called."""
    return Parts(study.source)


def blame(error: BaseException, path: Path | None) -> str:
    """One sentence for an exception that code in a file has caused: the line there, and what went wrong."""
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if path is None or Path(frame.filename).resolve() == path]
    where = f"{mine[-1].filename}, line {mine[-1].lineno}, in {mine[-1].name}" if mine else str(path)
    what = " ".join(str(error).split()) or "no message"
    return f"{where}: {type(error).__name__}: {what}"
