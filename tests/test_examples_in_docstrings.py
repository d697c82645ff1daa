"""The examples in the docstrings of the public modules hold: each is run, and prints what it says."""

import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import kinlim
from kinlim import models

MODULES = (
    "kinlim", "kinlim.api", "kinlim.base", "kinlim.equation", "kinlim.forecast", "kinlim.formula", "kinlim.grid",
    "kinlim.model", "kinlim.random", "kinlim.rules", "kinlim.statistics", "kinlim.sweeps", "kinlim.workflow",
)  # fmt: skip
STUDIES = {"mine.toml": "pinned", "kac.toml": "kac"}
WITHOUT = {"converge"}  # takes longer than all others together


def examples(module):
    """Those of a module: of its functions and classes, and of functions compiled by numba, which hide theirs."""
    finder, names = doctest.DocTestFinder(exclude_empty=True), {"kinlim": kinlim, "Path": Path} | vars(module)
    found = {test.name: test for test in finder.find(module, globs=names)}
    for name, one in vars(module).items():
        if hasattr(one, "py_func") and one.__module__ == module.__name__:
            found |= {test.name: test for test in finder.find(one.py_func, name, globs=names)}
    return [test for test in found.values() if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_hold(name, tmp_path, monkeypatch):
    # an example that no longer holds misleads the reader who copies it
    monkeypatch.chdir(tmp_path)
    for file, model in STUDIES.items():
        Path(file).write_text(models.find(model).start(), encoding="utf-8")
    there, said = examples(import_module(name)), []
    assert there, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.REPORT_NDIFF)
    for test in there:
        runner.run(test, out=said.append)
    assert not runner.summarize(verbose=False).failed, "".join(said)


def test_what_does_the_stages_has_an_example():
    functions = [name for name in kinlim.__all__ if inspect.isfunction(getattr(kinlim, name))]
    without = {name for name in functions if ">>> " not in (getattr(kinlim, name).__doc__ or "")}
    assert without == WITHOUT | {"Ensembles", "Evolution", "Known"}  # these are at work in the example of Model
