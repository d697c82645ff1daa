"""The reference of datasets: small studies are run, and what is in their files is written down.

The names, dimensions and meanings are those that a dataset carries, and that `kinlim.layout` verifies. The meanings of
attributes are in attributes.toml; the site is not built while one is missing there.
"""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kinlim
from kinlim import api, layout, models
from kinlim.keeper import Keeper
from kinlim.model import Estimated, Model, Refereed
from kinlim.parallel import world

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent

ALWAYS = ""
"""What a variable needs that is there in every study."""

Meanings = dict[str, Any]
"""What attributes mean, by their names, and in tables of their own where one model has another meaning."""

ESTIMATED, JUDGED = "`--estimate-error`", "`--referee`"


@dataclass
class File:
    """What the datasets of one file have had in them.

    Attributes:
        variables: name -> (dimensions, meaning, what it needs to be there), as they came.
        attributes: name -> (an example of its value, what it needs to be there).
    """

    variables: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    attributes: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, dataset: Any, need: str) -> None:
        """Take up what is new in a dataset.

        Raises:
            ValueError: a variable does not say what it means.
        """
        sealed = json.loads(dataset.attrs[layout.LAYOUT])["variables"]
        for name, (kind, sizes, _) in sealed.items():
            about = dataset[name].attrs
            labels = _listed(dataset[name]) if name in dataset.dims and kind == "U" else ""
            if not (meaning := about.get("long_name") or labels):
                raise ValueError(f"the variable {name} of {dataset.attrs['title']} has no long_name")
            where = about.get(layout.NAN_WHERE)
            unit = about.get("units", "1")
            said = [meaning, f"unit: {unit}" if unit != "1" else "", f"NaN: {where}" if where else ""]
            dims = f"({', '.join(sizes)})" + ("" if kind == "f" else f" {layout.WORDS[kind]}")
            self.variables.setdefault(name, (dims, "; ".join(filter(None, said)), need))
        for name, value in dataset.attrs.items():
            self.attributes.setdefault(name, (_short(value), need))


def pages() -> Iterator[tuple[str, str]]:
    """Name and text of every page."""
    meanings = tomllib.loads((HERE / "attributes.toml").read_text(encoding="utf-8"))
    settings = tomllib.loads((HERE / "datasets.toml").read_text(encoding="utf-8"))
    found = {name: _files(_model(name, one), one) for name, one in settings.items()}
    every = [file for files in found.values() for file in files.values()]
    common = [name for name in every[0].attributes if all(name in file.attributes for file in every)]
    yield "datasets", "\n".join(_overview(list(found), common, meanings, every[0]))
    for name, files in found.items():
        own = meanings.get(name, {})
        yield f"datasets-{name}", "\n".join(_page(name, files, common, meanings | own))


def _model(name: str, settings: dict[str, Any]) -> Model:
    file = settings.get("file")
    return models.from_file(CHECKOUT / file) if file else models.find(name)


def _files(model: Model, settings: dict[str, Any]) -> dict[str, File]:
    """What the files of a model may have in them, by their names."""
    found: dict[str, File] = {}
    for need, more in {ALWAYS: [], **settings.get("with", {})}.items():
        study = kinlim.load(_tables(model), [*settings["set"], *more])
        for side in model.wanted(study):
            keeper, maker = Keeper(world()), side.maker()
            maker.check(study, keeper.comm)
            file = found.setdefault(side.file, File())
            file.add(api.make(side, study, keeper), need)
            if need is ALWAYS and isinstance(maker, Estimated):
                file.add(api.make(side, study, keeper, estimate_error=True), ESTIMATED)
            if need is ALWAYS and isinstance(maker, Refereed) and _has_referee(maker, study, keeper):
                file.add(api.make(side, study, keeper, referee=True), JUDGED)
    return found


def _tables(model: Model) -> str | dict[str, Any]:
    """The example of a model; one in a file has none, and its studies have no more keys than need be."""
    return model.example() or {"study": {"model": str(model.source)}, "particles": {}, "model": {}}


def _has_referee(maker: Refereed, study: Any, keeper: Keeper) -> bool:
    try:
        maker.refereeable(study, keeper.comm)
    except kinlim.InputError:
        return False
    return True


def _overview(names: list[str], common: list[str], meanings: Meanings, example: File) -> Iterator[str]:
    yield "# Datasets\n"
    yield (
        "What is in `particles.nc`, `pde.nc` and the others? They are NetCDF-4 files. "
        "`xarray.open_dataset` reads them, and kinlim is not needed for that. `kinlim.simulate` and `kinlim.solve` "
        "give the same datasets in memory.\n"
    )
    yield (
        "These pages were made from datasets: small studies were run when the site was built, and every variable "
        "carries its meaning in the attribute `long_name`. Variables that end in `_se` are standard errors. "
        "All numbers are in the units of the study; where a variable has another unit, its attribute `units` says so. "
        "Values are finite, but for those whose attribute `nan_where` says where they are not.\n"
    )
    yield "- " + "\n- ".join(f"[{name}](datasets-{name}.md)" for name in names) + "\n"
    yield "The last one is [a model of one's own](../a-model-of-your-own.md): yours has the same with other names.\n"
    yield "## Attributes of every dataset\n"
    yield from _attributes({name: example.attributes[name] for name in common}, meanings)


def _page(name: str, files: dict[str, File], common: list[str], meanings: Meanings) -> Iterator[str]:
    yield f"# Datasets: {name}\n"
    yield '[How to read this](datasets.md). The column "only with" is empty for what every study has.\n'
    for label, file in files.items():
        yield f"## {label}\n"
        first = next(iter(file.variables.values()))[-1]  # of the study that had the file first
        if first != ALWAYS:
            yield f"This file is there with {first}.\n"
        rows = {
            f"`{variable}` | {dims} | {_escaped(meaning)}": need
            for variable, (dims, meaning, need) in file.variables.items()
        }
        yield from _table(("variable", "dimensions", "meaning"), rows, first)
        own = {key: one for key, one in file.attributes.items() if key not in common}
        yield from _attributes(own, meanings, first)


def _attributes(attributes: dict[str, tuple[str, str]], meanings: Meanings, first: str = ALWAYS) -> Iterator[str]:
    """A table of attributes.

    Raises:
        ValueError: attributes.toml does not say what one means.
    """
    if missing := [name for name in attributes if name not in meanings]:
        raise ValueError(f"docs/_ext/attributes.toml does not say what these attributes mean: {', '.join(missing)}")
    rows = {f"`{name}` | {meanings[name]} | {value}": need for name, (value, need) in attributes.items()}
    yield from _table(("attribute", "meaning", "for example"), rows, first)


def _table(columns: tuple[str, ...], rows: dict[str, str], first: str) -> Iterator[str]:
    """Rows with what they need; nothing where all need no more than the first."""
    more = any(need != first for need in rows.values())
    yield "| " + " | ".join([*columns, *["only with"] * more]) + " |\n" + "|---" * (len(columns) + more) + "|"
    for row, need in rows.items():
        yield f"| {row} |" + (f" {'' if need == first else need} |" if more else "")
    yield ""


def _short(value: Any) -> str:
    """A value as code, cut where it is long."""
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    text = text if len(text) <= 40 else text[:37] + "..."
    return f"`{text.replace('|', '/')}`" if text else ""


def _listed(labels: Any) -> str:
    """The values of a coordinate whose values are words."""
    words = [str(label) for label in labels.to_numpy()]
    return ", ".join(words[:6]) + (", ..." if len(words) > 6 else "")


def _escaped(text: str) -> str:
    return "".join("\\" + letter if letter in "|*<>[]_$~`" else letter for letter in text)
