"""The result folder of a run: what may be written where, and how it gets there whole or not at all.

study.toml (resolved)   particles.nc   pde.nc, kinetic.nc or exact.nc   metrics.json   figures/*.png   report.html
log.txt
While a stage runs, and after it was stopped: its checkpoint, such as pde.checkpoint, and the one before it. That of the
particles stays, so that replicas can be added.
"""

import contextlib
import io
import json
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinlim.checkpoint import State, decode, encode
from kinlim.errors import InputError, RunError
from kinlim.study import Study, check, dump, load, parse

if TYPE_CHECKING:
    import xarray as xr

STUDY, PARTICLES, METRICS, FIGURES, REPORT, LOG = (
    "study.toml", "particles.nc", "metrics.json", "figures", "report.html", "log.txt",
)  # fmt: skip
CONVERGENCE, ITERATION, SWEEP = "convergence", "iteration", "sweep"
VTX, POINTS = "pde.bp", "points"

REPLICAS = ("particles", "replicas")
"""The key that can be raised later."""


def checkpoint_of(name: str) -> str:
    """What a stage keeps while it runs, by the dataset that it writes in the end."""
    return f"{Path(name).stem}.checkpoint"


def tables_of(study: Study, name: str) -> tuple[str, ...]:
    """The tables of a study that a dataset, or its checkpoint, depends on."""
    tables = {Path(file).stem: tables for file, tables in study.SOLUTIONS.items()}
    return ("study", "model", *tables.get(Path(name).stem, ("particles",)))


@dataclass(frozen=True)
class Results:
    """A result folder. Its methods are for rank 0 alone (see `kinlim.parallel.on_root`)."""

    path: Path

    def claim(self, study: Study, files: tuple[str, ...], *, resume: bool = False) -> None:
        """Make the folder ready to receive `files` of `study`, or refuse before any work is done.

        A stage may join a folder that holds another stage of the same study; nothing that is there is overwritten.
        To `resume`, the folder must be of this study, but for the number of replicas; what it holds of `files` was done
        before. The folder's study stays as it is until `adopt`.

        Raises:
            InputError: a file is there already, the folder belongs to another study, or it cannot be written.
        """
        existing = self.path / STUDY
        try:
            new = not existing.exists()
            if resume and new:
                raise InputError(f"{self.path}: holds nothing to resume (it has no {STUDY}); leave --resume out")
            for name in () if resume else files:
                checkpoint = checkpoint_of(name)
                if self._checkpoints(checkpoint) and not self.has(name):
                    raise InputError(
                        f"{self.path}: holds {checkpoint} of an earlier run; add --resume to go on with it, or "
                        "give another folder with -o"
                    )
            taken = (
                []
                if resume
                else [
                    name
                    for name in (*files, *((PARTICLES, *study.solutions, LOG) if new else ()))
                    if (self.path / name).exists()
                ]
            )
            if taken:
                raise InputError(
                    f"{self.path}: holds {', '.join(dict.fromkeys(taken))} of an earlier run, which is kept; give "
                    "another folder with -o, move this one away, or run only what is missing (simulate, solve, compare)"
                )
            counts = not resume or PARTICLES not in files
            if not new and (different := self._difference(self.study(), study, replicas=counts)):
                before = different.before
                hint = (
                    f", or add --set {different.key}={json.dumps(before)}"
                    if resume and before is not None and not different.key.startswith("study.")
                    else ""
                )
                raise InputError(
                    f"{existing}: belongs to another study ({different}); give another folder with -o{hint}"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()
            for left in self.path.glob(".*.part") if resume else ():  # of a run that was killed while it wrote
                left.unlink()
        except OSError as error:
            raise InputError(f"{self.path}: the output folder cannot be written ({error.strerror})") from None
        if new:
            self.adopt(study)

    def adopt(self, study: Study) -> None:
        """Make the folder one of this study, which has passed `claim`."""
        self.write(STUDY, lambda path: path.write_text(dump(study), encoding="utf-8"))

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        return (self.path / name).exists()

    def study(self) -> Study:
        """The study that the folder holds."""
        path = self.path / STUDY
        if not path.is_file():
            raise InputError(f"{self.path}: is not a result folder (it has no {STUDY})")
        return load(path)

    def read(self, name: str) -> "xr.Dataset":
        """One of the datasets, in memory; it may have another number of replicas than the study, where some are added.

        Raises:
            InputError: it is missing, unreadable, or of another study than the folder.
        """
        import xarray as xr

        path = self.path / name
        if not path.exists():
            stage = "simulate" if name == PARTICLES else "solve"
            raise InputError(f"{path}: is missing; `kinlim {stage}` writes it")
        try:
            with xr.open_dataset(path, engine="h5netcdf") as opened:
                dataset = opened.load()
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError) as error:
            raise InputError(f"{path}: is not a readable NetCDF-4 file ({error})") from None
        text = dataset.attrs.get("study")
        if not isinstance(text, str):
            raise InputError(f"{path}: was not written by kinlim (it has no attribute study)")
        there, here = check(parse(text, str(path)), str(path)), self.study()
        if different := self._difference(there, here, tables_of(here, name)):
            raise InputError(f"{path}: belongs to another study than {self.path / STUDY} ({different})")
        return dataset

    def write_dataset(self, name: str, dataset: "xr.Dataset") -> None:
        """Write NetCDF-4 that `xarray.open_dataset` reads without kinlim."""
        data = _netcdf(dataset)
        self.write(name, lambda path: path.write_bytes(data))

    def write_checkpoint(self, name: str, state: State) -> None:
        """Write a checkpoint, see `kinlim.checkpoint`. The last one is kept."""
        data = encode(state)
        target, new = self.path / name, self.path / f"{name}.new"
        self.write(new.name, lambda path: path.write_bytes(data))
        try:
            if target.exists():
                target.replace(target.with_name(f"{name}.previous"))
            new.replace(target)
        except OSError as error:
            raise RunError(f"{target}: could not be renamed ({error.strerror})") from error

    def read_checkpoint(self, name: str) -> State | None:
        """The newest whole checkpoint of this folder's study, or None where there is none.

        Raises:
            InputError: there are checkpoints, but none is whole, or it is of another study.
        """
        problems = []
        for path in self._checkpoints(name):
            try:
                state = decode(path.read_bytes())
            except (OSError, ValueError) as error:
                problems.append(f"{path.name}: {error}")
                self.log(f"checkpoint {path.name} cannot be used: {error}")
                continue
            text = str(state.attrs.get("study", ""))
            there, here = check(parse(text, str(path)), str(path)), self.study()
            if different := self._difference(there, here, tables_of(here, name)):
                raise InputError(f"{path}: belongs to another study than {self.path / STUDY} ({different})")
            return state
        if problems:
            raise InputError(
                f"{self.path}: no checkpoint can be used ({'; '.join(problems)}); start again in another folder"
            )
        return None

    def _checkpoints(self, name: str) -> list[Path]:
        """The checkpoints of a stage, newest first; a kill between two renamings leaves one that is called new."""
        paths = (self.path / f"{name}{suffix}" for suffix in (".new", "", ".previous"))
        return [path for path in paths if path.exists()]

    def drop_checkpoint(self, name: str) -> None:
        """Remove the checkpoints of a stage that has reached its end."""
        for path in self._checkpoints(name):
            self.drop(path.name)

    def drop(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(OSError):
            (self.path / name).unlink()

    def write_json(self, name: str, data: Any) -> None:
        """Write indented JSON; NaN is refused, since JSON has none."""
        text = json.dumps(data, indent=2, allow_nan=False)
        self.write(name, lambda path: path.write_text(text + "\n", encoding="utf-8"))

    def log(self, line: str) -> None:
        """Add a dated line to log.txt."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            with (self.path / LOG).open("a", encoding="utf-8") as log:
                log.write(f"{now} {line}\n")
        except OSError as error:
            raise RunError(f"{self.path / LOG}: could not be written ({error.strerror})") from error

    def write(self, name: str, action: Callable[[Path], Any]) -> None:
        """Let `action` write a file under a temporary name, then give it its own."""
        with self._whole(name) as temporary:
            action(temporary)

    @contextlib.contextmanager
    def _whole(self, name: str) -> Iterator[Path]:
        target = self.path / name
        temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(target)
        except OSError as error:
            raise RunError(f"{target}: could not be written ({error.strerror or error})") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    @staticmethod
    def _difference(
        old: Study, new: Study, tables: tuple[str, ...] | None = None, *, replicas: bool = False
    ) -> "Difference | None":
        """The first key in which two studies differ; the number of `replicas` counts only if asked for."""
        there, here = tomllib.loads(dump(old)), tomllib.loads(dump(new))
        for table in here | there if tables is None else tables:
            for key in here.get(table, {}) | there.get(table, {}):
                before, now = there.get(table, {}).get(key), here.get(table, {}).get(key)
                if before != now and ((table, key) != REPLICAS or replicas):
                    return Difference(f"{table}.{key}", before, now)
        return None


@dataclass(frozen=True)
class Difference:
    """A key that two studies give different values, in TOML; None where one of them lacks it."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        """Say it."""
        more = (
            "; with --resume replicas can be added" if self.key == ".".join(REPLICAS) and self.before < self.now else ""
        )
        return f"{self.key} = {self.before!r} there, {self.now!r} here{more}"


def _netcdf(dataset: "xr.Dataset") -> bytes:
    """Give the dataset as NetCDF-4."""
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    # Into memory first: HDF5 cannot let go of a file on a full disk, and takes the process down with it.
    memory = io.BytesIO()
    with h5netcdf.File(memory, "w") as file:
        dataset.dump_to_store(H5NetCDFStore(file))
    return memory.getvalue()
