"""The page on models of one's own works as it stands: its files are built block by block, its commands run in order."""

import json
import re
import shlex
from pathlib import Path

import pytest
from commands import kinlim

from kinlim.study import load

PAGE = Path(__file__).parent.parent / "docs" / "a-model-of-your-own.md"

LAST_LINES = "MODEL = kinlim.Model("


def blocks():
    """The kind and the text of every block of the page, in order."""
    return re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


def grow(model, block):
    """A model file with a block added; new last lines take the place of the old ones."""
    return model.partition(LAST_LINES)[0].rstrip() + "\n\n\n" + block if LAST_LINES in block else model + block


def command(line, monkeypatch):
    program, *words = shlex.split(line)
    assert program == "kinlim"
    return kinlim(*words, monkeypatch=monkeypatch)


@pytest.mark.slow
def test_the_tutorial_runs_step_by_step(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model, study, commands = "", "", []
    for kind, text in blocks():
        if kind == "python":
            model = grow(model, text)
            Path("exclusion.py").write_text(model, encoding="utf-8")
        elif kind == "toml":
            study += text
            Path("ring.toml").write_text(study, encoding="utf-8")
        elif kind == "sh":
            for line in text.splitlines():
                assert command(line, monkeypatch) == 0, capsys.readouterr().err
                commands.append(line)
    assert len(commands) == 6
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    for folder in ("run", "coarse"):  # the page quotes what they said
        said = json.loads(Path(f"results/{folder}/metrics.json").read_text())["verdicts"][0]["sentence"]
        quoted = re.sub(r", (below|above) .*", "", said.partition("particles and equations ")[2].rstrip("."))
        assert quoted in page
    rate = json.loads(Path("results/sweep/sweep.json").read_text())["verdicts"][0]
    assert rate["outcome"] == "agree"
    assert rate["sentence"].rstrip(".") in page
    orders = json.loads(Path("results/orders/convergence.json").read_text())
    assert orders["passed"]
    assert load("ring.toml").model.sites == 24


def test_the_example_is_the_file_of_the_tutorial():
    # but for docstrings and bounds: the same classes with the same methods, the same kernels
    example = (PAGE.parent.parent / "examples" / "exclusion.py").read_text(encoding="utf-8")
    page = "".join(text for kind, text in blocks() if kind == "python")
    names = re.compile(r"^ *(?:class|def) (\w+)", re.M)
    assert set(names.findall(page)) <= set(names.findall(example))
