"""The documentation does what it says."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def blocks_of(name):
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_a_model_of_your_own_has_sixty_lines_and_the_known_answer():
    (program,) = blocks_of("a-model-of-your-own.md")
    assert len(program.splitlines()) <= 60
    names: dict = {"__name__": "example"}
    exec(program, names)
    energy, square, n = names["energy"], names["square"], names["model"].n
    assert square.mean[-1, 0] == pytest.approx(2 * n / (n + 1), abs=4 * square.mean_se[-1, 0])
    assert energy.mean[-1].sum() == pytest.approx(n, rel=1e-12)
    assert square.mean[0, 0] < 1.7  # after ten exchanges it is not there yet
