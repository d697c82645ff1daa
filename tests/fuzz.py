"""Mutated studies and datasets: each is used, or refused in one sentence; nothing else may come out.

python tests/fuzz.py [STUDIES] [DATASETS] [SEED]       # counts in Markdown; 1000 and 100 by default
"""

import json
import sys
import tomllib
from collections import Counter
from collections.abc import Callable

import numpy as np
import tomli_w
import xarray as xr
from conftest import KAC, REACTION, TABLES

import kinlim
from kinlim.errors import InputError
from kinlim.study import check, dump, parse

VALUES = (
    0, -1, 1, 2**63, 2**64, -(2**70), 1e-320, 1e308, 0.5, True, False, "", "x", "nan", "inf", [], [1], [[]], {},
    {"a": 1}, "x" * 3000, "(" * 200 + "x" + ")" * 200, "x**x**x", "1/0", "1/(x-1/2)", "sqrt(-1)", "exp(1e9*x)",
    "__import__('os')", "x.y", "lambda: 0", "é", "\n", float("nan"), float("inf"), [0.5, 0.5], [1.0, 0.5], "0x",
    "1e400", "x if x else 1",
)  # fmt: skip
"""What a key may be given."""

LETTERS = "x0123456789.+-*/(), sincoexplgqrtabmh\"'[]{}=\n#_\\"


def mutated_study(tables: dict, random: np.random.Generator) -> str:
    """The text of a study with one to three changes: of values, of keys, or of letters."""
    tables = json.loads(json.dumps(tables))
    for _ in range(random.integers(1, 4)):
        table = tables[str(random.choice(list(tables)))]
        if not isinstance(table, dict) or not table:
            continue
        key = str(random.choice(list(table)))
        match random.integers(4):
            case 0:
                del table[key]
            case 1:
                table[key[: random.integers(len(key) + 1)] + "z"] = table[key]
            case _:
                table[key] = VALUES[random.integers(len(VALUES))]
    try:
        text = tomli_w.dumps(tables)
    except (TypeError, ValueError):
        return "a = 1"
    letters = list(text)
    for _ in range(random.integers(3)):
        at = random.integers(len(letters))
        letters[at : at + random.integers(2)] = LETTERS[random.integers(len(LETTERS))]
    return "".join(letters)


def mutated_dataset(dataset: xr.Dataset, random: np.random.Generator) -> xr.Dataset:
    """A dataset with a variable, a dimension or an attribute gone, renamed, cut, or of other values."""
    dataset = dataset.copy(deep=True)
    name = str(random.choice(list(map(str, dataset.variables))))
    variable, about = dataset.variables[name], str(random.choice(list(map(str, dataset.attrs))))
    try:
        match random.integers(9):
            case 0:
                return dataset.drop_vars(name)
            case 1:
                return dataset.rename({name: f"{name}z"})
            case 2:
                return dataset.isel({str(random.choice(list(map(str, dataset.dims)))): slice(0, random.integers(3))})
            case 3:
                values = np.array(variable.to_numpy(), np.float64)
                values.flat[random.integers(values.size)] = random.choice([np.nan, np.inf, -np.inf])
                dataset[name] = (variable.dims, values)
            case 4:
                dataset[name] = (variable.dims, variable.to_numpy().astype(str))
            case 5:
                dataset[name] = variable.transpose(*variable.dims[::-1])
            case 6:
                del dataset.attrs[about]
            case 7:
                dataset.attrs[about] = random.choice(["", "many", "{}", "[", "study = 1", "1e400"])
            case 8:
                text = str(dataset.attrs["study"])
                at = random.integers(len(text))
                dataset.attrs["study"] = text[:at] + LETTERS[random.integers(len(LETTERS))] + text[at + 1 :]
    except (ValueError, TypeError, KeyError):  # xarray does not allow it, so that nobody can meet it
        return dataset.drop_vars(name)
    return dataset


def outcome(action: Callable[[], object]) -> str:
    """What came of it."""
    try:
        action()
    except InputError as error:
        return "refused" if len(str(error).strip().splitlines()) == 1 else "refused in several lines"
    except RecursionError:
        return "RecursionError"
    except Exception as error:  # noqa: BLE001 - what is looked for
        return f"{type(error).__name__}: {error}"[:200]
    return "used"


def studies(count: int, random: np.random.Generator) -> Counter[str]:
    """Outcomes of mutated studies."""
    bases = [tomllib.loads(dump(check(tables))) for tables in (TABLES, KAC, REACTION)]
    texts = (mutated_study(bases[random.integers(3)], random) for _ in range(count))
    return Counter(outcome(lambda: check(parse(text, "it"), "it")) for text in texts)  # noqa: B023 - called at once


def datasets(count: int, random: np.random.Generator) -> Counter[str]:
    """Outcomes of comparisons with a mutated dataset."""
    made = []
    for tables, solved in ((TABLES, ("pde",)), (KAC, ("exact",)), (REACTION, ("pde", "kinetic"))):
        study = check(tables | {"particles": tables["particles"] | {"replicas": 100}})
        made.append([kinlim.simulate(study), *(kinlim.solve(study, name) for name in solved)])
    found: Counter[str] = Counter()
    for _ in range(count):
        mutants = list(made[random.integers(3)])
        at = random.integers(len(mutants))
        mutants[at] = mutated_dataset(mutants[at], random)
        found[outcome(lambda: kinlim.compare(*mutants))] += 1  # noqa: B023 - called at once
    return found


def main() -> None:
    """Print the counts."""
    wanted = [int(word) for word in sys.argv[1:]] + [1000, 100, 1][len(sys.argv) - 1 :]
    random = np.random.default_rng(wanted[2])
    for name, found in (("studies", studies(wanted[0], random)), ("datasets", datasets(wanted[1], random))):
        print(
            f"| {wanted[name == 'datasets']} {name} | " + ", ".join(f"{text}: {n}" for text, n in found.items()) + " |"
        )


if __name__ == "__main__":
    main()
