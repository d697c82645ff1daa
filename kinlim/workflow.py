"""From a study to a result folder: the stages of a run, each written as soon as it is done."""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from kinlim import api, layout, statements
from kinlim.errors import InputError
from kinlim.model import Drawable, Estimated, Side
from kinlim.results import CONVERGENCE, FIGURES, METRICS, POINTS, REPORT, Results, checkpoint_of
from kinlim.statements import STATEMENTS, Statement
from kinlim.study import Study, dump, model_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from mpi4py import MPI

    from kinlim.checkpoint import State

Stage = Literal["simulate", "solve", "compare"]
STAGES: tuple[Stage, ...] = ("solve", "simulate", "compare")
"""The equations take a second, the particles hours: what is wrong with the first should not wait for the second."""


def writes(study: Study, stage: Stage) -> tuple[str, ...]:
    """The files that a stage writes, besides figures; when they are there, the stage is done."""
    if stage == "compare":
        return (METRICS, REPORT)
    return tuple(side.file for side in model_of(study).wanted(study, stage))


@dataclass
class Run:
    """How stages are gone through: where, by whom, and whether from what is there.

    Attributes:
        study: the study.
        results: its folder.
        comm: the ranks that share the work.
        threads: per rank, for particles; None for all cores.
        resume: go on from what is there.
        estimate_error: add to each solution what better ones tell of its error.
        referee: add to the first solution its distance to that of a method of another kind.
        source: where the study comes from, to be named in refusals.
        pictures: of the solutions, once they are drawn; on rank 0.
    """

    study: Study
    results: Results
    comm: "MPI.Comm"
    threads: int | None = None
    resume: bool = False
    estimate_error: bool = False
    referee: bool = False
    source: str = ""
    pictures: dict[str, bytes] | None = None

    def check(self, stages: Sequence[Stage]) -> None:
        """Raise InputError for what cannot work. Collective."""
        model = model_of(self.study)
        if self.estimate_error:
            api.estimated(model.side(self.study), self.study)
        try:
            if "compare" in stages:
                model.compare().check(self.study)
            for stage in stages:
                for side in model.wanted(self.study, stage) if stage != "compare" else ():
                    side.maker().check(self.study, self.comm)
            if "compare" in stages:
                model.compare().foresee(self._drafts())
            if self.referee:
                api.refereed(model.side(self.study), self.study).refereeable(self.study, self.comm)
        except InputError as error:
            raise InputError(f"{self.source}: {error}" if self.source else str(error)) from error

    def prepare(self, stages: Sequence[Stage]) -> None:
        """Make the folder ready. Collective.

        Raises:
            InputError: before anything is written.
        """
        files = tuple(name for stage in stages for name in writes(self.study, stage))
        self.on_root(lambda: self.results.prepare(self.study, files, resume=self.resume))
        if self.resume:
            self.on_root(lambda: self.results.extend(self.study, files))

    def foresee(self) -> None:
        """Raise InputError for what the comparison would refuse in the datasets that are there. Collective."""
        model, results = model_of(self.study), self.results
        drafts = self._drafts()

        def foresee() -> None:
            there = [side for side in model.wanted(self.study) if results.has(side.file)]
            model.compare().foresee(drafts | {side.name: results.read(side.file) for side in there})

        self.on_root(foresee)

    def _drafts(self) -> dict[str, "xr.Dataset"]:
        """Drafts of the datasets, of those sides that have one. Collective."""
        sides = model_of(self.study).wanted(self.study)
        drafts = {side.name: side.maker().draft(self.study, self.comm) for side in sides}
        return {name: draft for name, draft in drafts.items() if draft is not None}

    def make(self, stage: Literal["simulate", "solve"]) -> None:
        """Make and write the datasets of a stage that are not there. Collective."""
        sides = model_of(self.study).wanted(self.study, stage)
        for side in sides:
            if not (self.resume and self.on_root(lambda: self.results.is_done(side.file))):  # noqa: B023 - called at once
                self._make(side)
        if stage == "solve":
            self.on_root(self._draw_solutions)

    def compare(self) -> dict[str, Any]:
        """Compare what is there. Collective; rank 0 does it."""
        return self.on_root(lambda: _compare(self.results, self.pictures))

    def on_root[T](self, action: Callable[[], T]) -> T:
        """See `kinlim.parallel.on_root`."""
        from kinlim.parallel import on_root

        return on_root(self.comm, action)

    def _make(self, side: Side) -> None:
        from kinlim.keeper import Keeper

        began, results, kept = time.perf_counter(), self.results, checkpoint_of(side.file)
        found: list[State | None] = [None]  # on rank 0 alone: of many balls, it is large
        if self.resume:
            self.on_root(lambda: found.append(results.read_checkpoint(kept)))
        keeper = Keeper(self.comm, found[-1], lambda state: results.write_checkpoint(kept, state))
        estimate = self.estimate_error and isinstance(side.maker(), Estimated)
        referee = self.referee and side is model_of(self.study).side(self.study)
        dataset = api.make(side, self.study, keeper, self.threads, estimate_error=estimate, referee=referee)
        self.on_root(lambda: results.finish(side.file, dataset))
        used = dataset.attrs.get("preconditioner")
        what = f"{side.stage} {side.file}" + (f", {chosen}" if (chosen := dataset.attrs.get("stepping")) else "")
        what += f", preconditioner {used}" if used else ""
        what += f", {unknowns:,} unknowns" if (unknowns := dataset.attrs.get("degrees_of_freedom")) else ""
        self.on_root(lambda: results.log(f"{what}: {time.perf_counter() - began:.2f} s on {self.comm.size} rank(s)"))

    def _draw_solutions(self) -> None:
        """Draw what is solved, which is worth looking at before the particles are there."""
        model, results = model_of(self.study), self.results
        data = {side.name: results.read(side.file) for side in model.wanted(self.study, "solve")}
        self.pictures = model.compare().draw_solutions(data)
        write_pictures(results, self.pictures)


def run(
    study: Study,
    folder: str | Path,
    stages: Sequence[Stage] = STAGES,
    *,
    comm: "MPI.Comm | None" = None,
    threads: int | None = None,
    resume: bool = False,
    estimate_error: bool = False,
    referee: bool = False,
    source: str = "",
) -> dict[str, Any] | None:
    """Go through stages of a study. Collective over `comm`, by default all ranks.

    Args:
        study: the study.
        folder: the result folder, described in `kinlim.results`. It may hold other stages of the same study.
        stages: "simulate" writes particles.nc, "solve" pde.nc, kinetic.nc or exact.nc, "compare" metrics.json, figures/
            and report.html.
        comm: the ranks that share the work.
        threads: per rank, for the particles; None for all cores.
        resume: go on with a run of this study that was stopped, or with one that has fewer replicas: stages that are
            done stay, the others go on from their checkpoints.
        estimate_error: solve the equations more often, and add what that tells of their error.
        referee: solve the first one by another method, too, and add the distance.
        source: where the study comes from, to be named in refusals.

    Returns:
        The content of metrics.json if "compare" is among the stages.

    Raises:
        InputError: before any work, where earlier results would be overwritten, the folder cannot be written, the
            particles cannot be simulated as wanted, or the equations cannot use the initial data.
        RunError: a stage failed, or a file could not be written.
        Stopped: a signal came; the checkpoint of the stage is written, or the stage done.

    Examples:
        >>> study = kinlim.load("mine.toml", ["model.balls=100", "particles.replicas=1000"])
        >>> numbers = kinlim.run(study, "results/mine")
        >>> [verdict["outcome"] for verdict in numbers["verdicts"]]
        ['differ', 'differ']
        >>> sorted(path.suffix for path in Path("results/mine").iterdir() if path.is_file())
        ['', '.checkpoint', '.html', '.json', '.nc', '.nc', '.toml', '.txt']
    """
    from kinlim.parallel import world

    this = Run(study, Results(Path(folder)), comm or world(), threads, resume, estimate_error, referee, source)
    numbers: dict[str, Any] | None = None
    this.check(stages)
    with claimed(this.comm, this.results):
        this.prepare(stages)
        for k, stage in enumerate(stages):
            if stage == "compare":
                numbers = this.compare()
            else:
                this.make(stage)
            if "compare" in stages[k + 2 :]:  # after what is to be made yet, perhaps for hours
                this.foresee()
    return numbers


@contextlib.contextmanager
def claimed(comm: "MPI.Comm", results: Results) -> Iterator[None]:
    """Have a folder for these ranks alone; see `Results.claim`. Collective at the beginning."""
    from kinlim.parallel import on_root

    with contextlib.ExitStack() as stack:
        on_root(comm, lambda: stack.enter_context(results.claim()))
        yield


class Examination(ABC):
    """Something that is measured on a study, judged, and written as one dataset, verdict, figure and page.

    Attributes:
        name: of the files.
    """

    name: str

    @abstractmethod
    def check(self) -> None:
        """Raise InputError if it cannot be done. Collective."""

    @abstractmethod
    def measure(self) -> "xr.Dataset":
        """The dataset, the same on every rank. Collective."""

    @abstractmethod
    def judge(self, dataset: "xr.Dataset") -> dict[str, Any]:
        """What follows from it, JSON-able. Collective."""

    @abstractmethod
    def figure(self, dataset: "xr.Dataset", verdict: dict[str, Any]) -> "Figure":
        """The figure of the page."""

    @abstractmethod
    def html(self, dataset: "xr.Dataset", verdict: dict[str, Any], picture: bytes) -> str:
        """The page, with the figure as PNG inside."""

    @abstractmethod
    def text(self, verdict: dict[str, Any]) -> str:
        """The verdict for a terminal."""


def examine(study: Study, folder: str | Path, examination: Examination, *, comm: "MPI.Comm | None" = None) -> str:
    """Measure, judge and write; what is to be said, with the place of the page. Collective; raises as `run` does."""
    from kinlim.parallel import world

    comm, name = comm or world(), examination.name
    results, began = Results(Path(folder)), time.perf_counter()
    try:
        examination.check()
    except ValidationError as error:  # of the study with other settings, which it needs
        first = error.errors(include_url=False)[0]
        where = "".join(f"{key}: " for key in first["loc"])
        raise InputError(
            f"`kinlim {name}` goes on to other settings than the study's, and they are not allowed: {where}"
            f"{first['msg'].removeprefix('Value error, ')}"
        ) from None
    with claimed(comm, results):
        return _examine(study, results, examination, comm, began)


def _examine(study: Study, results: Results, examination: Examination, comm: "MPI.Comm", began: float) -> str:
    """The same in a folder that is claimed, for a study that is checked."""
    from kinlim.parallel import on_root
    from kinlim.provenance import provenance
    from kinlim.validation.drawing import png

    name = examination.name
    on_root(comm, lambda: results.prepare(study, tuple(f"{name}.{kind}" for kind in ("nc", "json", "html"))))
    dataset = examination.measure()
    made = provenance(comm.size, 1, time.perf_counter() - began, study=dump(study))
    dataset = layout.seal(dataset.assign_attrs({"title": study.study.name, **made, **dataset.attrs}), f"{name}.nc")
    verdict = examination.judge(dataset)

    def write() -> None:
        picture = png(examination.figure(dataset, verdict))
        page = examination.html(dataset, verdict, picture)
        results.write_dataset(f"{name}.nc", dataset)
        write_pictures(results, {name: picture})
        results.write_text(f"{name}.html", page)
        results.write_json(f"{name}.json", verdict)
        results.log(f"{name}: {time.perf_counter() - began:.2f} s on {comm.size} rank(s)")

    on_root(comm, write)
    return f"{examination.text(verdict)}\nReport: {results.path / f'{name}.html'}"


class Check(Examination):
    """An examination of statements of a source, on the page that all of them share (validation/check.html).

    Attributes:
        heading: of the page, after the study's name.
        caption: of the figure.
        template: of the page, which extends check.html by what is stated and how it is examined.
    """

    heading: str
    caption: str
    template: str

    @abstractmethod
    def statements(self, dataset: "xr.Dataset") -> list[Statement]:
        """What was found of each."""

    @abstractmethod
    def tables(self, dataset: "xr.Dataset") -> dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]]:
        """Tables of the page by their captions: the heads of the columns, and the rows."""

    def judge(self, dataset: "xr.Dataset") -> dict[str, Any]:
        """The statements, for JSON."""
        return {STATEMENTS: statements.dump(self.statements(dataset))}

    def html(self, dataset: "xr.Dataset", verdict: dict[str, Any], picture: bytes) -> str:
        """The page."""
        from kinlim.validation import report

        return report.render(
            self.template,
            title=str(dataset.attrs["title"]),
            heading=self.heading,
            sentences=[Statement(**one).sentence for one in verdict[STATEMENTS]],
            picture=picture,
            caption=self.caption,
            tables=self.tables(dataset),
            about=dataset.attrs,
        )

    def text(self, verdict: dict[str, Any]) -> str:
        """The statements, for a terminal."""
        return "\n".join(Statement(**one).sentence for one in verdict[STATEMENTS])


class Convergence(Examination):
    """Errors of the equations' solver and the orders that they show."""

    name = CONVERGENCE

    def __init__(self, study: Study, comm: "MPI.Comm | None" = None) -> None:
        """Of the first solution of a study."""
        self.study, self.comm = study, comm

    def check(self) -> None:
        """Raise InputError if the equations cannot be solved, or nothing in them can be refined."""
        api.refined(model_of(self.study).side(self.study), self.study)
        api.check(self.study, comm=self.comm)

    def measure(self) -> "xr.Dataset":
        """Solve again and again. Collective."""
        return api.converge(self.study, comm=self.comm)

    def judge(self, dataset: "xr.Dataset") -> dict[str, Any]:
        """See `kinlim.validation.convergence.judge`."""
        from kinlim.validation import convergence

        return convergence.judge(dataset)

    def figure(self, dataset: "xr.Dataset", verdict: dict[str, Any]) -> "Figure":
        """See `kinlim.validation.convergence.figure`."""
        from kinlim.validation import convergence

        return convergence.figure(verdict)

    def html(self, dataset: "xr.Dataset", verdict: dict[str, Any], picture: bytes) -> str:
        """See `kinlim.validation.convergence.html`."""
        from kinlim.validation import convergence

        return convergence.html(dataset, verdict, picture)

    def text(self, verdict: dict[str, Any]) -> str:
        """See `kinlim.validation.convergence.text`."""
        from kinlim.validation import convergence

        return convergence.text(verdict)


def converge(study: Study, folder: str | Path, *, comm: "MPI.Comm | None" = None) -> str:
    """Measure the errors of the equations' solver on a study and write convergence.nc, .json, .html and figure.

    Collective. Returns what is to be said; raises as `run` does.
    """
    return examine(study, folder, Convergence(study, comm), comm=comm)


def paraview(folder: str | Path) -> Path:
    """Write the first solution of a result folder for ParaView, as NAME.bp, on this rank alone.

    It follows from the dataset, so that an earlier one is replaced; one that kinlim has not written is kept.

    Raises:
        InputError: there is no such solution, or a .bp that is not kinlim's; or the model has no fields.
    """
    results = Results(Path(folder))
    study = results.study()
    side = model_of(study).side(study)
    maker = side.maker()
    if not isinstance(maker, Drawable):
        raise InputError(
            f"study.model = '{study.study.model}': its solution has no fields that ParaView could show as VTX"
        )
    name = f"{side.name}.bp"
    _refuse_strange(results, name)
    dataset = results.read(side.file)
    with results.claim():
        results.write_folder(name, lambda path: maker.paraview(dataset, path))
    return results.path / name


def paraview_xdmf(folder: str | Path) -> Path:
    """Write whatever the datasets of a result folder have over space and time as XDMF, into its folder xdmf.

    On this rank alone; as for `paraview`, an earlier one is replaced.

    Raises:
        InputError: no dataset has such variables; or there is a folder xdmf that is not kinlim's.
    """
    from kinlim import xdmf

    results = Results(Path(folder))
    study = results.study()
    there = [side.file for side in model_of(study).sides if (results.path / side.file).exists()]
    datasets = {Path(file).stem: dataset for file in there if xdmf.fields(dataset := results.read(file))}
    if not datasets:
        raise InputError(
            f"{results.path}: no dataset there has numbers over time and space; it has {', '.join(there) or 'none'}"
        )
    _refuse_strange(results, "xdmf")

    def make(path: Path) -> None:
        path.mkdir()
        for name, dataset in datasets.items():
            xdmf.write(dataset, path / name)

    with results.claim():
        results.write_folder("xdmf", make)
    return results.path / "xdmf"


def _refuse_strange(results: Results, name: str) -> None:
    """Raise InputError if there is a folder of this name that kinlim has not written."""
    target = results.path / name
    if target.exists() and not any(known.startswith(f"{name}/") for known in results.manifest.sums()):
        raise InputError(f"{target}: is there already, not written by kinlim, and kept; move it away")


def animate(folder: Path, path: Path | None = None) -> tuple[Path, int]:
    """Make a film of the first solution of a result folder, on this rank alone; its path, and the number of frames.

    Raises:
        InputError: see `kinlim.validation.animation.animate`; or the file is there already.
    """
    from kinlim.validation.animation import animate as draw

    results = Results(folder)
    study = results.study()
    name = model_of(study).side(study).name
    path = path or results.path / f"{name}.gif"
    if path.exists():
        raise InputError(f"{path}: is there already, and is kept; give another name with -o")
    data = {side.name: results.read(side.file) for side in model_of(study).wanted(study) if results.has(side.file)}
    if name not in data:
        results.read(model_of(study).side(study).file)
    return path, draw(data, name, path)


def compare(results: Results) -> dict[str, Any]:
    """Compare the datasets of a folder and write metrics.json, figures/*.png and report.html, on rank 0 alone.

    All three follow from the datasets, so those of an earlier comparison are replaced.

    Raises:
        InputError: a dataset is missing, damaged or of another study than the other.
    """
    results.study()  # or it is no result folder
    with results.claim():
        return _compare(results)


def _compare(results: Results, solutions: dict[str, bytes] | None = None) -> dict[str, Any]:
    """The same in a folder that is claimed; `solutions` are pictures that have been drawn just now."""
    began = time.perf_counter()
    study = results.study()
    model = model_of(study)
    comparison = model.compare()
    comparison.check(study)
    simulated = [side.file for side in model.wanted(study, "simulate")]
    if results.has(POINTS) and not all(map(results.has, simulated)):
        raise InputError(f"{results.path}: is the folder of a sweep; the folders of its points are in {POINTS}")
    sides = sorted(model.wanted(study), key=lambda side: side.stage == "solve")
    data = {side.name: results.read(side.file) for side in sides}
    try:
        compared, numbers = comparison.conclude(data)
    except InputError as error:
        raise InputError(f"{results.path}: {error}") from None
    solutions = comparison.draw_solutions(data) if solutions is None else solutions
    pictures = {**comparison.draw(compared, data), **solutions}
    write_pictures(results, pictures)
    results.write_text(REPORT, comparison.html(compared, numbers, pictures, data))
    results.write_json(METRICS, numbers)
    results.log(f"compare: {time.perf_counter() - began:.2f} s")
    return numbers


def tell(study: Study, numbers: dict[str, Any]) -> list[str]:
    """What came out of a comparison, for a terminal: the verdicts first."""
    verdicts = [verdict["sentence"] for verdict in numbers["verdicts"]]
    stated = [Statement(**one).sentence for one in numbers[STATEMENTS]]
    return [*verdicts, *model_of(study).compare().tell(numbers), *stated]


def write_pictures(results: Results, pictures: dict[str, bytes]) -> None:
    """Write figures, PNG by name, on rank 0 alone."""
    for name, data in pictures.items():
        results.write(f"{FIGURES}/{name}.png", data)
