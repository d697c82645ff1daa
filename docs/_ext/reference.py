"""Reference pages made from the program.

The keys of studies come from their classes, the commands from their help, the datasets from small studies that are run.
"""

import contextlib
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from kinlim import cli, models


def write(folder: Path) -> None:
    """Write all pages."""
    folder.mkdir(exist_ok=True)
    for name in models.BUILT_IN:
        (folder / f"study-{name}.md").write_text("\n".join(_study(name)) + "\n", encoding="utf-8")
    (folder / "commands.md").write_text("\n".join(_commands()) + "\n", encoding="utf-8")
    for page, text in datasets.pages():
        (folder / f"{page}.md").write_text(text + "\n", encoding="utf-8")


def _study(name: str) -> Iterator[str]:
    """The page of a model: its tables, and the study that `kinlim new` prints."""
    model = models.find(name)
    yield f"# Keys of a study: {name}\n"
    yield f"{model.about}\n" if model.about else ""
    for table, field in model.study.model_fields.items():
        for kind in _tables(field.annotation):
            yield from _table(table, kind, set())
    yield "## A study to start from\n"
    yield f"What `kinlim new {name}` prints:\n"
    yield f"```toml\n{model.start()}```"


def _tables(annotation: Any) -> list[type[BaseModel]]:
    """The classes of tables that a type allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for one in typing.get_args(annotation) for kind in _tables(one)]


def _table(path: str, kind: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    """A table's keys, and those of the tables inside it."""
    if kind in seen:
        return
    said = _attributes(kind)
    yield f"## `[{path}]`\n"
    if (variants := [key for key, field in kind.model_fields.items() if _single(field.annotation)]) and path.count("."):
        yield f"With {', '.join(f'`{key} = {_single(kind.model_fields[key].annotation)!r}`' for key in variants)}:\n"
    yield "| key | value | default | |\n|---|---|---|---|"
    inner: list[tuple[str, type[BaseModel]]] = []
    for key, field in kind.model_fields.items():
        name = field.alias or key
        tables = _tables(field.annotation)
        inner += [(f"{path}.{name}", one) for one in tables]
        value = f"a table, [below](#{_anchor(f'{path}.{name}')})" if tables else _type(field.annotation, field.metadata)
        yield f"| `{name}` | {value} | {_default(field)} | {said.get(key, '')} |"
    yield ""
    for name, one in inner:
        yield from _table(name, one, seen | {kind})


def _anchor(path: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "", path.lower())


def _single(annotation: Any) -> Any:
    """The only value of a literal type that has one."""
    values = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()
    return values[0] if len(values) == 1 else None


def _type(annotation: Any, metadata: list[Any]) -> str:
    """A type and its bounds in words."""
    if typing.get_origin(annotation) is typing.Annotated:
        first, *more = typing.get_args(annotation)
        return _type(first, [*more, *metadata])
    names = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): ""}
    if typing.get_origin(annotation) is typing.Literal:
        return " or ".join(f"`{value!r}`" for value in typing.get_args(annotation))
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        words = " or ".join(filter(None, (_type(one, []) for one in typing.get_args(annotation))))
    elif typing.get_origin(annotation) is tuple:
        words = f"list of {_type(typing.get_args(annotation)[0], [])}s"
    else:
        words = names.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())
    bounds = []
    for one in metadata:
        for sign, key in (("≥", "ge"), (">", "gt"), ("≤", "le"), ("<", "lt")):
            with contextlib.suppress(AttributeError):
                bounds.append(f"{sign} {_number(getattr(one, key))}")
    return f"{words} {', '.join(bounds)}".strip()


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and value < 10**9 else f"{float(value):g}"


def _default(field: Any) -> str:
    if field.is_required() or field.default is PydanticUndefined:
        return "required" if field.default_factory is None else ""
    return "" if field.default is None or isinstance(field.default, BaseModel) else f"`{field.default}`"


def _attributes(kind: type[BaseModel]) -> dict[str, str]:
    """What the docstrings of a class and its bases say of attributes."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        _, _, part = textwrap.dedent(one.__doc__ or "").partition("Attributes:\n")
        key = ""
        for line in textwrap.dedent(part).splitlines():
            if match := re.match(r"(\w+): (.*)", line):
                key = match[1]
                found[key] = match[2]
            elif line.startswith(" ") and key:
                found[key] += " " + line.strip()
            elif line.strip():
                key = ""
    return {key: _escaped(text) for key, text in found.items()}


def _escaped(text: str) -> str:
    return re.sub(r"(?<!\\)([|*<])", r"\\\1", text)


def _commands() -> Iterator[str]:
    """The page of commands."""
    group = typer.main.get_command(cli.app)
    yield "# Commands\n"
    yield "```sh\nkinlim COMMAND ...\nmpirun -n 4 kinlim COMMAND ... -- -pde_ts_monitor\n```\n"
    yield (
        "Every command runs alone or under `mpirun`. PETSc's options come after `--`. `-q`, `-v` and `--debug` may "
        "stand anywhere. Exit codes: 0 done, 1 failed, 2 bad input, 75 stopped with a checkpoint, 130 interrupted.\n"
        "Verdicts change none: a command that finds DIFFER or FAILED is done.\n"
    )
    commands: dict[str, Any] = group.commands  # type: ignore[attr-defined]
    for name in sorted(commands):
        command = commands[name]
        yield f"## kinlim {name}\n"
        yield f"{command.help}\n"
        rows = []
        for one in command.params:
            if one.name == "help":
                continue
            said = getattr(one, "help", None) or ""
            label = " ".join(f"`{word}`" for word in one.opts) if one.param_type_name == "option" else ""
            shown = one.metavar or one.name.upper()
            flag = getattr(one, "is_flag", False)
            rows.append(f"| {label or f'`{shown}`'}{'' if flag or not label else f' {shown}'} | {_escaped(said)} |")
        if rows:
            yield "| | |\n|---|---|\n" + "\n".join(rows) + "\n"
