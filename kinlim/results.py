"""The result folder of a run: what may be written where, and how it gets there whole or not at all.

study.toml (resolved)   particles.nc   pde.nc, kinetic.nc or exact.nc   metrics.json   figures/*.png   report.html
log.txt                 model.py (a copy, where the model is one from a file)             SHA256SUMS of all but log.txt
While a stage runs, and after it was stopped: its checkpoint, such as pde.checkpoint, and the one before it. That of the
particles stays, so that replicas can be added.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinlim import layout, provenance
from kinlim.checkpoint import State, decode, encode
from kinlim.errors import InputError, RunError
from kinlim.lock import locked
from kinlim.manifest import SUMS, Manifest, digest_of
from kinlim.model import STUDY
from kinlim.statements import COMMAND, LOG
from kinlim.study import Study, check, dump, load, model_of, parse

if TYPE_CHECKING:
    import xarray as xr

METRICS, FIGURES, REPORT, MODEL = "metrics.json", "figures", "report.html", "model.py"
CONVERGENCE, SWEEP, POINTS = "convergence", "sweep", "points"

PART = re.compile(r"^\..+\.\d+\.part$")
"""Names under which files are written."""

REPLICAS = ("particles", "replicas")
"""The key that can be raised later."""


def checkpoint_of(name: str) -> str:
    """What a stage keeps while it runs, by the dataset that it writes in the end."""
    return f"{Path(name).stem}.checkpoint"


def tables_of(study: Study, name: str) -> tuple[str, ...]:
    """The tables of a study that a dataset, or its checkpoint, depends on; all of them if no side makes it."""
    own = [side.table for side in model_of(study).sides if side.name == Path(name).stem]
    return ("study", "model", *(own or [side.table for side in model_of(study).sides]))


@dataclass(frozen=True)
class Results:
    """A result folder. Its methods are for rank 0 alone (see `kinlim.parallel.on_root`)."""

    path: Path

    @property
    def manifest(self) -> Manifest:
        """What the files were when they were written."""
        return Manifest(self.path, self._put)

    @contextlib.contextmanager
    def claim(self) -> Iterator[None]:
        """Have the folder for this process alone; what one that was killed here left half written goes.

        Raises:
            InputError: another process is at work in it, or it cannot be written.
        """
        told: list[str] = []
        with locked(self.path, told.append):
            if self.has(STUDY):
                for left in (*self.path.glob(".*.part"), *self.path.glob(f"{FIGURES}/.*.part")):
                    if PART.search(left.name):
                        shutil.rmtree(left) if left.is_dir() else left.unlink()
            for line in told:
                self.log(line)
            yield

    def prepare(self, study: Study, files: tuple[str, ...], *, resume: bool = False) -> None:
        """Make the folder ready to receive `files` of `study`, or refuse before any work is done.

        A stage may join a folder that holds another stage of the same study; nothing that is there is overwritten.
        To `resume`, the folder must be of this study, but for the number of replicas; what it holds of `files` was done
        before. The folder's study stays as it is until `set_study`.

        Raises:
            InputError: a file is there already, the folder belongs to another study, or it cannot be written.
        """
        try:
            new = not self.has(STUDY)
            if resume and new:
                raise InputError(f"{self.path}: holds nothing to resume (it has no {STUDY}); leave --resume out")
            if not resume:
                self._refuse_what_is_there(study, files, new)
            if not new:
                self._refuse_another(study, files, resume)
            self.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()
        except OSError as error:
            raise InputError(f"{self.path}: the output folder cannot be written ({error.strerror})") from None
        if new:
            self.set_study(study)
        elif resume:
            self.manifest.forget_missing()
        if command := provenance.command():
            self.log(f"{COMMAND}{command}")

    def _refuse_what_is_there(self, study: Study, files: tuple[str, ...], new: bool) -> None:
        """Raise InputError if one of the files, or a checkpoint of one, is there; in a new folder, if any result is."""
        for name in files:
            checkpoint = checkpoint_of(name)
            if self._checkpoints(checkpoint) and not self.has(name):
                raise InputError(
                    f"{self.path}: holds {checkpoint} of an earlier run; add --resume to go on with it, or "
                    "give another folder with -o"
                )
        ours = (*(side.file for side in model_of(study).sides), LOG, FIGURES, MODEL) if new else ()
        if new and self.has(SUMS) and any(map(self.has, self.manifest.sums())):
            ours += (SUMS,)  # otherwise a start was killed before it had written anything else
        if taken := [name for name in dict.fromkeys((*files, *ours)) if self.has(name)]:
            raise InputError(
                f"{self.path}: holds {', '.join(taken)} of an earlier run, which is kept; give "
                "another folder with -o, move this one away, or run only what is missing (simulate, solve, compare)"
            )

    def _refuse_another(self, study: Study, files: tuple[str, ...], resume: bool) -> None:
        """Raise InputError if the folder is of another study."""
        replicas = {side.file for side in model_of(study).sides if side.stage == "simulate"}
        counts = not resume or not replicas & set(files)
        if different := difference(self.study(), study, replicas=counts):
            before = different.before
            hint = (
                f", or add --set {different.key}={json.dumps(before)}"
                if resume and before is not None and not different.key.startswith("study.")
                else ""
            )
            raise InputError(
                f"{self.path / STUDY}: belongs to another study ({different}); give another folder with -o{hint}"
            )

    def extend(self, study: Study, files: tuple[str, ...]) -> None:
        """Make the folder one of a study with as many replicas or more, once what it holds of `files` is verified.

        Raises:
            InputError: something is damaged, or has more replicas than the study.
        """
        simulated = [side for side in model_of(study).wanted(study, "simulate") if side.file in files]
        for name in filter(self.has, files):
            if name.endswith(".nc"):
                dataset = self.read(name)
                if name in (side.file for side in simulated):
                    self._enough(name, int(dataset.attrs["replicas"]), replicas_of(study))
        for side in simulated:
            name = checkpoint_of(side.file)
            state = self.read_checkpoint(name)
            if state is not None and state.attrs["stage"] == "particles":
                self._enough(name, state.attrs["replicas"], replicas_of(study))
            elif state is None and self.has(side.file):
                self.log(f"there is no {name}: replicas that are to be added begin with the first")
        self.set_study(study)

    def _enough(self, name: str, there: int, wanted: int) -> None:
        """Refuse to go on to fewer replicas than there are."""
        if there > wanted:
            raise InputError(
                f"{self.path / name}: has {there} replicas, and particles.replicas = {wanted}; with "
                "--resume replicas can only be added"
            )

    def is_done(self, name: str) -> bool:
        """Whether a dataset is there, with all its replicas if it has any; the checkpoint of a solution goes then."""
        if not self.has(name):
            return False
        study = self.study()
        simulated = name in (side.file for side in model_of(study).wanted(study, "simulate"))
        if simulated:
            return int(self.read(name).attrs["replicas"]) == replicas_of(study)
        self.drop_checkpoint(checkpoint_of(name))
        return True

    def finish(self, name: str, dataset: "xr.Dataset") -> None:
        """Write a dataset that is done.

        The checkpoint of particles stays, so that replicas can be added; one of it is enough.
        """
        self.write_dataset(name, dataset)
        if "replicas" in dataset.attrs:
            self.drop(f"{checkpoint_of(name)}.previous")
        else:
            self.drop_checkpoint(checkpoint_of(name))

    def set_study(self, study: Study) -> None:
        """Make the folder one of this study, which has passed `prepare`; a model from a file is copied beside it."""
        self.write_text(STUDY, dump(study))
        source = model_of(study).source
        if source is not None and source.resolve() != (self.path / MODEL).resolve():
            self.write(MODEL, source.read_bytes())

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        return (self.path / name).exists()

    def study(self) -> Study:
        """The study that the folder holds."""
        tables = self.tables()
        if self.has(MODEL):
            self._refuse_another_model(tables)
        return load(self.path / STUDY)

    def tables(self) -> dict[str, Any]:
        """The study that the folder holds as it is written there, with all defaults; its model need not be there."""
        path = self.path / STUDY
        if not path.is_file():
            raise InputError(f"{self.path}: is not a result folder (it has no {STUDY})")
        self.manifest.check(STUDY, "Put it back")
        return parse(path.read_text(encoding="utf-8"), str(path))

    def _refuse_another_model(self, tables: dict[str, Any]) -> None:
        """Raise InputError if the file of the model is no longer what it was when the folder was made."""
        name = tables.get("study", {}).get("model", "")
        copy = self.path / MODEL
        if not str(name).endswith(".py"):
            return
        file = Path(self.path, name)
        if not file.exists() or file.read_bytes() != copy.read_bytes():
            state = "has changed since" if file.exists() else "is gone"
            raise InputError(
                f"{self.path}: {file}, the file of its model, {state}; the version that made this folder is {copy}. "
                "Put it back there, or give another folder with -o"
            )

    def read(self, name: str) -> "xr.Dataset":
        """One of the datasets, in memory; it may have another number of replicas than the study, where some are added.

        Raises:
            InputError: it is missing, damaged, or of another study than the folder.
        """
        path = self.path / name
        if not path.exists():
            stages = {side.file: side.stage for side in model_of(self.study()).sides}
            raise InputError(f"{path}: is missing; `kinlim {stages.get(name, 'run')}` writes it")
        dataset = self.opened(name)
        text = str(dataset.attrs["study"])
        there, here = check(parse(text, str(path)), str(path)), self.study()
        if different := difference(there, here, tables_of(here, name)):
            raise InputError(f"{path}: belongs to another study than {self.path / STUDY} ({different})")
        return dataset

    def opened(self, name: str) -> "xr.Dataset":
        """One of the datasets that are there, in memory, whatever its study.

        Raises:
            InputError: it is damaged.
        """
        import xarray as xr

        path = self.path / name
        # Before HDF5, which some damage makes end the process.
        self.manifest.check(name, "Put it back, or move it away and have it made anew with --resume")
        try:
            with xr.open_dataset(path, engine="h5netcdf") as opened:
                dataset = opened.load()
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError) as error:
            raise InputError(f"{path}: is not a readable NetCDF-4 file ({error})") from None
        layout.verify(dataset, str(path))
        return dataset

    def write_dataset(self, name: str, dataset: "xr.Dataset") -> None:
        """Write NetCDF-4 that `xarray.open_dataset` reads without kinlim."""
        self.write(name, _netcdf(dataset))

    def write_checkpoint(self, name: str, state: State) -> None:
        """Write a checkpoint, see `kinlim.checkpoint`. The last one is kept."""
        target, new = self.path / name, self.path / f"{name}.new"
        self._put(new.name, encode(state))
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
                state = decode(path.read_bytes(), str(path))
            except (OSError, ValueError) as error:
                problems.append(f"{path.name}: {error}")
                self.log(f"checkpoint {path.name} cannot be used: {error}")
                continue
            text = str(state.attrs.get("study", ""))
            there, here = check(parse(text, str(path)), str(path)), self.study()
            if different := difference(there, here, tables_of(here, name)):
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

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        """Write indented JSON; NaN is refused, since JSON has none."""
        self.write_text(name, json.dumps(data, indent=2, allow_nan=False) + "\n")

    def log(self, line: str) -> None:
        """Add a dated line to log.txt."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        logging.getLogger("kinlim").info(line)
        try:
            with (self.path / LOG).open("a", encoding="utf-8") as log:
                log.write(f"{now} {line}\n")
        except OSError as error:
            raise RunError(f"{self.path / LOG}: could not be written ({error.strerror})") from error

    def write_text(self, name: str, text: str) -> None:
        """Write text as UTF-8."""
        self.write(name, text.encode())

    def write(self, name: str, data: bytes) -> None:
        """Write a file under a temporary name, note its checksum, then give it its own name."""
        with self._part(name) as part:
            part.write_bytes(data)
            self.manifest.record({name: hashlib.sha256(data).hexdigest()}, lambda: part.replace(self.path / name))

    def write_folder(self, name: str, make: Callable[[Path], None]) -> None:
        """The same for a folder of files that `make` writes; one that was written before is replaced."""

        def place() -> None:
            if (self.path / name).exists():
                (self.path / name).rename(part / "before")
            made.rename(self.path / name)

        with self._part(name) as part:
            made = part / name  # some writers want the name's ending
            part.mkdir()
            make(made)
            files = sorted(path for path in made.rglob("*") if path.is_file())
            digests = {f"{name}/{path.relative_to(made)}": digest_of(path) for path in files}
            self.manifest.record(digests, place)

    def _put(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all, without a checksum."""
        with self._part(name) as part:
            part.write_bytes(data)
            part.replace(self.path / name)

    @contextlib.contextmanager
    def _part(self, name: str) -> Iterator[Path]:
        """The temporary name under which a file or a folder is written; what is left there goes."""
        target = self.path / name
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield part
        except OSError as error:
            raise RunError(f"{target}: could not be written ({error.strerror or error})") from error
        finally:
            with contextlib.suppress(OSError):
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def difference(
    old: Study, new: Study, tables: tuple[str, ...] | None = None, *, replicas: bool = False
) -> "Difference | None":
    """The first key in which two studies differ; the number of `replicas` counts only if asked for."""
    found = differences(tomllib.loads(dump(old)), tomllib.loads(dump(new)), tables)
    return next((one for one in found if one.key != ".".join(REPLICAS) or replicas), None)


def differences(
    there: Mapping[str, Any], here: Mapping[str, Any], tables: tuple[str, ...] | None = None
) -> Iterator["Difference"]:
    """The keys in which the tables of two studies differ: in all of them, or in those named."""
    for table in {**here, **there} if tables is None else tables:
        for key in here.get(table, {}) | there.get(table, {}):
            before, now = there.get(table, {}).get(key), here.get(table, {}).get(key)
            if before != now:
                yield Difference(f"{table}.{key}", before, now)


def replicas_of(study: Study) -> int:
    """How many replicas a study wants."""
    return int(tomllib.loads(dump(study))[REPLICAS[0]][REPLICAS[1]])


@dataclass(frozen=True)
class Difference:
    """A key that two studies give different values, in TOML; None where one of them lacks it."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        """The key with both values, for a message."""
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
