"""Reading a study: TOML file and ``--set`` overrides in, one frozen object out, or one clear paragraph."""

import copyreg
import difflib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kinlim.base import Study
from kinlim.errors import InputError
from kinlim.model import Model
from kinlim.models import find

__all__ = ["Model", "Study", "check", "dump", "load", "model_in", "model_of", "override", "parse"]


def model_of(study: Study) -> Model:
    """The model that a study is of."""
    return find(study.study.model)


def load(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read and check a study.

    Args:
        path: a TOML file.
        overrides: ``table.key=value`` with the value in TOML; they win over the file.

    Raises:
        InputError: naming the file (or ``--set``), the key and the value.
    """
    return check(override(_read(path), overrides), str(path), overrides, Path(path).parent)


def model_in(path: str | Path) -> Model:
    """The model that the study in a file is of, whatever else may be wrong with the study.

    Raises:
        InputError: as `load`, of the file and the model.
    """
    return _model(_read(path), str(path), Path(path).parent)


def _read(path: str | Path) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # some editors sign their files
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text ({error})") from None
    return parse(text, str(path))


def parse(text: str, source: str) -> dict[str, Any]:
    """Parse TOML; `source` is named in errors."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for whole numbers of thousands of digits
        raise InputError(f"{source}: is not TOML ({error})") from None


def check(
    data: Mapping[str, Any], source: str = "study", overrides: Sequence[str] = (), folder: Path | None = None
) -> Study:
    """Turn the tables of a study into its object; `source` is named in errors, files are relative to `folder`."""
    model = _model(data, source, folder)
    if model.source is not None:
        data = {**data, "study": {**data["study"], "model": str(model.source)}}
    kind = model.study
    if kind is not model.tables:
        copyreg.pickle(kind, _pickled)
    try:
        return kind.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        first, *rest = error.errors(include_url=False)
        what = _describe(first, kind)
        paths = [".".join(_walk(e, kind)[0]) for e in (first, *rest)]
        origin = next((f"--set {text[:80]}" for text in overrides if _concerns(text, paths[0], what)), source)
        more = f" (and {len(rest)} more: {', '.join(paths[1:5])})" if rest else ""
        raise InputError(f"{origin}: {what}{more}") from None


def _model(data: Mapping[str, Any], source: str, folder: Path | None) -> Model:
    """The model that the tables of a study name."""
    heading = data.get("study")
    if not isinstance(heading, Mapping):
        raise InputError(f"{source}: the table [study] is missing; it holds model and name")
    name = heading.get("model")
    if not isinstance(name, str):
        given = "is missing" if name is None else f"= {_shown(name)} must be a name in quotes"
        raise InputError(f"{source}: study.model {given}; `kinlim models` lists the models")
    try:
        return find(name, folder)
    except InputError as error:
        beginning = f"{source}: study.model = " + (f"{_shown(name)}: " if name.endswith(".py") else "")
        raise InputError(f"{beginning}{error}") from None


WORD = re.compile(r"[A-Za-z][A-Za-z_0-9'-]*|[A-Za-z_./][A-Za-z_0-9./-]*\.[A-Za-z][A-Za-z_0-9]*", re.ASCII)
"""What may be given to --set without quotes of its own: a word, or the name of a file."""


def override(data: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Apply ``table.key=value`` texts to the tables of a study, in order; values are TOML, or a word."""
    data = {name: dict(table) if isinstance(table, dict) else table for name, table in data.items()}
    for text in overrides:
        key, equals, value = text.partition("=")
        path = _key(text).split(".")
        if not equals or len(path) < 2 or not all(path):
            raise InputError(f"--set {text[:80]}: must be table.key=value, for example --set particles.replicas=1000")
        try:
            parsed = tomllib.loads(f"value = {value}")
        except (ValueError, RecursionError):
            parsed = {"value": value.strip()} if WORD.fullmatch(value.strip()) else {}
        if list(parsed) != ["value"]:
            raise InputError(
                f"--set {text[:80]}: the value {_shown(value.strip())} of {key.strip()} is not TOML; text needs "
                f"quotes of its own, for example --set '{key.strip()}=\"...\"'"
            )
        table: Any = data
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise InputError(f"--set {text[:80]}: {part} is not a table")
        table[path[-1]] = parsed["value"]
    return data


def dump(study: Study) -> str:
    """The resolved study as TOML, every default written out; reading it back gives an equal study."""
    return str(study)


def _pickled(study: Study) -> tuple[Callable[..., Study], tuple[Any, ...]]:
    """How a study travels to other ranks, whose class is made when its model is read: as its tables."""
    return check, (study.model_dump(mode="json", by_alias=True, exclude_none=True),)


def _shown(value: Any) -> str:
    """A value for an error message, at most 80 characters of it."""
    try:
        text = repr(value)
    except ValueError:
        return "a whole number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:76]} ..."


def _key(text: str) -> str:
    return text.partition("=")[0].strip()


def _walk(error: ErrorDetails, kind: type[BaseModel]) -> tuple[list[str], type[BaseModel], bool]:
    """The keys that lead to an error, the innermost table that holds the last of them, and whether that is a table too.

    Where a table may be of several families, pydantic names the one chosen like a key; it is none.
    """
    path: list[str] = []
    holder: type[BaseModel] = kind
    value: Any = kind
    families: dict[str, type[BaseModel]] = {}
    for part in map(str, error["loc"]):
        if part in families:
            value = families[part]
            continue
        if isinstance(value, type) and issubclass(value, BaseModel):
            holder = value
        path.append(part)
        field = next((f for name, f in holder.model_fields.items() if part in (name, f.alias)), None)
        value = field.annotation if field else None
        families = _families(value)
    return path, holder, isinstance(value, type) and issubclass(value, BaseModel)


def _families(annotation: Any) -> dict[str, type[BaseModel]]:
    """The tables of a union of families, by their names."""
    tables = [t for t in get_args(annotation) if isinstance(t, type) and issubclass(t, BaseModel)]
    return {str(get_args(t.model_fields["family"].annotation)[0]): t for t in tables if "family" in t.model_fields}


def _concerns(text: str, path: str, what: str) -> bool:
    """Whether the override `text` set the key that the error at `path`, described by `what`, is about."""
    key = _key(text)
    return path.startswith(key) or (key.startswith(path) and what.startswith((f"{key} = ", f"{path} = ")))


@dataclass(frozen=True)
class _Place:
    """Where one of pydantic's errors is, for the sentences about it.

    Attributes:
        keys: that lead there.
        table: the innermost table that holds the last of them.
        of_table: whether that is a table too.
    """

    keys: list[str]
    table: type[BaseModel]
    of_table: bool

    @property
    def path(self) -> str:
        """The keys with dots between."""
        return ".".join(self.keys)

    @property
    def allowed(self) -> list[str]:
        """Keys that the table takes."""
        return [field.alias or name for name, field in self.table.model_fields.items()]

    def takes(self) -> str:
        """What the table takes, in words."""
        holder = f"[{'.'.join(self.keys[:-1])}] takes" if self.keys[1:] else "the tables of a study are"
        return f"{holder} {', '.join(self.allowed)}"


def _describe(error: ErrorDetails, kind: type[BaseModel]) -> str:
    """One sentence for one of pydantic's errors: which key, which value, what is allowed."""
    place = _Place(*_walk(error, kind))
    sentence = SENTENCES.get(error["type"], _wrong_value)
    return sentence(error, place)


def _unknown_key(error: ErrorDetails, place: _Place) -> str:
    close = difflib.get_close_matches(place.keys[-1], place.allowed, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{place.path} = {_shown(error['input'])}: unknown key{hint}; {place.takes()}"


def _missing_key(error: ErrorDetails, place: _Place) -> str:
    if place.keys[-1].isdigit():
        return f"{'.'.join(place.keys[:-1])} = {_shown(error['input'])}: has too few entries"
    return f"{place.path} is missing; {place.takes()}"


def _unknown_family(error: ErrorDetails, place: _Place) -> str:
    given, last = error["input"], place.keys[-1]
    wrong = f" = {given['family']!r} is not known" if "family" in given else " is missing"
    known = ", ".join(_families(place.table.model_fields[last].annotation))
    return f"{place.path}.family{wrong}; the families are {known}"


def _found_in_tables(error: ErrorDetails, place: _Place) -> str:
    """A check of several keys together names key and value itself."""
    if not place.of_table:
        return _wrong_value(error, place)
    message = _words(error)
    return f"{place.path}.{message}" if place.path else message


def _wrong_value(error: ErrorDetails, place: _Place) -> str:
    return f"{place.path} = {_shown(error['input'])}: {_words(error)}"


def _words(error: ErrorDetails) -> str:
    """Pydantic's message in a study's words."""
    message = error["msg"].removeprefix("Value error, ").replace("Input should", "should")
    message = message.replace("a valid dictionary or object to extract fields from", "a table")
    return re.sub(r"a valid dictionary or instance of \w+", "a table", message).replace("a valid tuple", "a list")


SENTENCES: dict[str, Callable[[ErrorDetails, _Place], str]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "union_tag_invalid": _unknown_family,
    "union_tag_not_found": _unknown_family,
    "value_error": _found_in_tables,
}
"""By pydantic's types of errors; the others are about a value."""
