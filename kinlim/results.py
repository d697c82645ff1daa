"""The result folder of a run: what may be written where, and how it gets there whole or not at all.

study.toml (resolved)   particles.nc   pde.nc   metrics.json   figures/*.png   report.html   log.txt
"""

import contextlib
import json
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xarray as xr

from kinlim.errors import InputError, RunError
from kinlim.study import Study, check, dump

STUDY, PARTICLES, PDE, METRICS, REPORT, LOG = (
    "study.toml", "particles.nc", "pde.nc", "metrics.json", "report.html", "log.txt",
)  # fmt: skip


@dataclass(frozen=True)
class Results:
    """A result folder. Its methods are for rank 0 alone (see `kinlim.parallel.on_root`)."""

    path: Path

    def claim(self, study: Study, files: tuple[str, ...]) -> None:
        """Make the folder ready to receive `files` of `study`, or refuse before any work is done.

        A stage may join a folder that holds another stage of the same study; nothing that is there is overwritten.

        Raises:
            InputError: a file is there already, the folder belongs to another study, or it cannot be written.
        """
        if taken := [name for name in files if (self.path / name).exists()]:
            raise InputError(
                f"{self.path}: holds {', '.join(taken)} of an earlier run, which are kept; "
                "give another folder with -o, or move this one away"
            )
        existing = self.path / STUDY
        if existing.exists() and (different := _difference(self._tables(), study)):
            raise InputError(f"{existing}: belongs to another study ({different}); give another folder with -o")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()
        except OSError as error:
            raise InputError(f"{self.path}: the output folder cannot be written ({error.strerror})") from None
        if not existing.exists():
            with self._whole(STUDY) as temporary:
                temporary.write_text(dump(study), encoding="utf-8")

    def study(self) -> Study:
        """The study that the folder holds."""
        if not (self.path / STUDY).is_file():
            raise InputError(f"{self.path}: is not a result folder (it has no {STUDY})")
        return check(self._tables(), str(self.path / STUDY))

    def read(self, name: str) -> xr.Dataset:
        """One of the datasets, in memory."""
        path = self.path / name
        if not path.exists():
            stage = {PARTICLES: "simulate", PDE: "solve"}[name]
            raise InputError(f"{path}: is missing; `kinlim {stage}` writes it")
        try:
            with xr.open_dataset(path, engine="h5netcdf") as dataset:
                return dataset.load()
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: is not a readable NetCDF-4 file ({error})") from None

    def write_dataset(self, name: str, dataset: xr.Dataset) -> None:
        """Write NetCDF-4 that `xarray.open_dataset` reads without kinlim."""
        self.write(name, lambda path: dataset.to_netcdf(path, engine="h5netcdf"))

    def write_json(self, name: str, data: Any) -> None:
        """Write indented JSON; NaN is refused, since JSON has none."""
        text = json.dumps(data, indent=2, allow_nan=False)
        self.write(name, lambda path: path.write_text(text + "\n", encoding="utf-8"))

    def log(self, line: str) -> None:
        """Add a dated line to log.txt."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with (self.path / LOG).open("a", encoding="utf-8") as log:
            log.write(f"{now} {line}\n")

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
            temporary.unlink(missing_ok=True)

    def _tables(self) -> dict[str, Any]:
        path = self.path / STUDY
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None


def _difference(tables: dict[str, Any], study: Study) -> str:
    """The first key in which a study on disk differs from `study`, or nothing."""
    try:
        there = tomllib.loads(dump(check(tables)))
    except InputError as error:
        return str(error)
    here = tomllib.loads(dump(study))
    for table in here:
        for key in here[table] | there.get(table, {}):
            old, new = there.get(table, {}).get(key), here[table].get(key)
            if old != new:
                return f"{table}.{key} = {old!r} there, {new!r} here"
    return ""
