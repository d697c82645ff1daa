"""The models that there are: built in, installed by other packages, and in files."""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from kinlim.errors import InputError
from kinlim.model import Model, blame

BUILT_IN = ("pinned", "reaction", "kac")
"""Each is a package here, whose MODEL is used. To add one, add its name."""

GROUP = "kinlim.models"
"""Entry points of other packages: name = "package.module:MODEL"."""

LOADED: dict[Path, tuple[str, Model]] = {}
"""Models from files, with the hash of the file that they were read from."""


def find(name: str, folder: Path | None = None) -> Model:
    """The model that a study names.

    Args:
        name: of a model that is built in or installed, or the path of a Python file, which ends in .py.
        folder: that of the study, to which the path is relative.

    Raises:
        InputError: there is none, or its declaration cannot be used.
    """
    if name.endswith(".py"):
        return from_file(Path(folder or Path(), name).resolve())
    if name in BUILT_IN:
        model: Model = import_module(f"kinlim.models.{name}").MODEL
        return model
    for entry in installed():
        if entry.name == name:
            return _from_package(entry)
    known = ", ".join((*BUILT_IN, *(entry.name for entry in installed())))
    raise InputError(f"{name!r} is not a model; the models are {known}, and any Python file (.py) that declares one")


def installed() -> tuple[EntryPoint, ...]:
    """What other packages declare."""
    return tuple(entry_points(group=GROUP))


def every() -> Iterator[tuple[Model, str]]:
    """All models but those in files, and where each comes from."""
    for name in BUILT_IN:
        yield find(name), "built in"
    for entry in installed():
        yield _from_package(entry), f"installed, {entry.value.partition(':')[0]}"


def from_file(path: Path) -> Model:
    """The MODEL of a Python file, which is run: that is what naming it means.

    Raises:
        InputError: there is no such file, it fails, or what it declares cannot be used.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the file of the model cannot be read ({error.strerror})") from None
    digest = hashlib.sha256(text).hexdigest()
    if path in LOADED and LOADED[path][0] == digest:
        return LOADED[path][1]
    name = f"kinlim_model_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # so that its classes can be pickled
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        if isinstance(error, SyntaxError):
            raise InputError(f"{path}, line {error.lineno}: is not Python ({error.msg})") from None
        raise InputError(blame(error, path)) from error
    model = _checked(getattr(module, "MODEL", None), str(path))
    if model.name in BUILT_IN or model.name in (entry.name for entry in installed()):
        raise InputError(f"{path}: MODEL.name = '{model.name}' is the name of another model; give it one of its own")
    LOADED[path] = digest, replace(model, source=path)
    return LOADED[path][1]


def _from_package(entry: EntryPoint) -> Model:
    try:
        found = entry.load()
    except Exception as error:
        raise InputError(f"the model {entry.name} cannot be loaded from {entry.value} ({error})") from error
    return _checked(found, entry.value)


def _checked(model: object, where: str) -> Model:
    """The model, if it is one that the framework can drive.

    Raises:
        InputError: a part is missing, of another type, or in the way of another.
    """
    if model is None:
        raise InputError(f"{where}: declares no MODEL; its last lines should be MODEL = kinlim.Model(...)")
    if not isinstance(model, Model):
        raise InputError(f"{where}: MODEL is a {type(model).__name__}, and must be a kinlim.Model")
    model.verify(where)
    return model
