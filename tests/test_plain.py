"""Terminals without Unicode: a number keeps its sign."""

import io
import sys

import pytest

from kinlim.plain import let_streams_spell, spell


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("−0.3 ± 0.02", "-0.3 +- 0.02"),  # "replace" would give ?0.3
        ("σ₀ → μ(x)", "sigma0 -> mu(x)"),
        ("Müller", "Muller"),
        ("☃", "?"),
    ],
)
def test_signs_are_spelt(text, spelt):
    assert spell(text) == spelt


def test_streams_spell_what_they_lack(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", None)  # closed by whoever started us
    let_streams_spell()
    sys.stdout.write("−1 ≤ σ")
    sys.stdout.flush()
    assert raw.getvalue() == b"-1 <= sigma"
