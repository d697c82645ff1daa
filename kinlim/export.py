"""`kinlim export DIR`: the datasets of a result folder as tables, CSV for programs and LaTeX for papers.

Variables with the same dimensions make one table, with a row for each combination of their coordinates.
"""

from collections import defaultdict
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinlim.errors import InputError, RunError
from kinlim.results import Results

if TYPE_CHECKING:
    import xarray as xr

Frame = Any
"""A pandas.DataFrame, as xarray makes it."""


class Format(StrEnum):
    """What tables are written as."""

    CSV = "csv"
    LATEX = "latex"


ENDINGS = {Format.CSV: "csv", Format.LATEX: "tex"}

MOST_ROWS = 60
"""Of a table in LaTeX, which is for a page; longer ones are left out."""

DIGITS = 6
"""Of a number in LaTeX."""

SPECIAL = {c: rf"\{c}" for c in "_%&#${}"} | {"\\": r"\textbackslash ", "^": r"\^{}", "~": r"\~{}"}
"""What stands in LaTeX for characters that mean something there."""


def export(folder: Path, to: Path, form: Format = Format.CSV) -> list[str]:
    """Write the tables of all datasets of a folder; lines that say which.

    Args:
        folder: a result folder.
        to: where they are written, as DATASET-DIMENSIONS.csv or .tex; made if it is not there.
        form: CSV, or LaTeX with the tables that fit on a page.

    Raises:
        InputError: it is no result folder, a dataset is damaged, or a file is there already.
        RunError: a table cannot be written.
    """
    results = Results(folder)
    results.study()
    names = sorted(path.name for path in folder.glob("*.nc"))
    if not names:
        raise InputError(f"{folder}: holds no dataset yet")
    tables: dict[Path, str] = {}
    lines = []
    for name in names:
        for dimensions, table in _tables(results.read(name)):
            path = to / f"{Path(name).stem}-{'-'.join(dimensions) or 'numbers'}.{ENDINGS[form]}"
            if form is Format.LATEX and len(table) > MOST_ROWS:
                lines.append(f"left out: {path.name} would have {len(table)} rows, more than the {MOST_ROWS} of a page")
            else:
                tables[path] = table.to_csv(index=bool(dimensions)) if form is Format.CSV else _latex(table)
                lines.append(f"{path}: {len(table)} row(s) of {', '.join(map(str, table.columns))}")
    if taken := [path for path in tables if path.exists()]:
        raise InputError(f"{taken[0]}: is there already, and is kept; give another folder with -o")
    try:
        to.mkdir(parents=True, exist_ok=True)
        for path, text in tables.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{to}: the tables could not be written ({error.strerror})") from error
    return lines


def _tables(dataset: "xr.Dataset") -> Iterator[tuple[tuple[str, ...], Frame]]:
    """Dimensions, and the table of the variables that have them; dimensions become its index."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, variable in dataset.data_vars.items():
        groups[tuple(map(str, variable.dims))].append(str(name))
    for dimensions, names in groups.items():
        part = dataset[names].drop_vars([c for c in dataset.coords if c not in dimensions], errors="ignore")
        if dimensions:
            yield dimensions, part.to_dataframe(dim_order=list(dimensions))
        else:
            yield dimensions, part.expand_dims("number").to_dataframe()


def _latex(table: Frame) -> str:
    """A tabular with the rules of booktabs."""
    rows = table.reset_index()
    heads = " & ".join(_escaped(str(column)) for column in rows.columns)
    lines = [" & ".join(_cell(value) for value in row) + r" \\" for row in rows.itertuples(index=False)]
    body = "\n".join(lines)
    columns = "l" * len(rows.columns)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{heads} \\\\\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"
    )


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return _escaped(str(value))
    text = f"{value:.{DIGITS}g}"
    mantissa, exponent, power = text.partition("e")
    return f"${mantissa}\\cdot 10^{{{int(power)}}}$" if exponent else f"${text}$"


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(c, c) for c in text)
