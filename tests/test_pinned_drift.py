"""One collision: the Gaussian expectations behind Theorem 2.3, and what `kinlim drift` concludes from them."""

import json
from math import pi, sqrt

import numpy as np
import pytest
from commands import kinlim as command

from kinlim.fem.pinned import b_n
from kinlim.models.pinned.drift import Drift
from kinlim.statements import Statement
from kinlim.stochastic.pinned.one_collision import after_one_collision
from kinlim.study import check, dump
from kinlim.validation.pinned import one_step

SMOOTH = {"mu0": "sin(2*pi*x)/2", "sigma0": "1 + cos(2*pi*x)/2"}


@pytest.fixture
def small(tables):
    """A study with n = 17 and few collisions."""
    tables["model"] |= {"balls": 17, "end_time": 0.1, "observe": [1.0], **SMOOTH}
    tables["particles"] |= {"replicas": 200_000}
    return tables


def test_the_mean_radius_against_rices_law_and_against_samples():
    # equal spreads and equal steps of the mean: Rice's law in closed form, and a independent of r
    for z in (0.0, 0.01, 1.0, 30.0):
        r, ar = one_step.radius(0.7 + sqrt(z) * np.array([-1.0, 0, 1]), np.ones(3))
        assert r == pytest.approx(sqrt(pi / 3) * b_n.rice(z), rel=1e-12)
        assert ar == pytest.approx(0.7 * r, rel=1e-12)
    # unequal ones: a million samples
    mean, spread = np.array([0.3, -0.2, 1.0]), np.array([0.5, 1.0, 1.5])
    v = mean + spread * np.random.default_rng(1).standard_normal((10**6, 3))
    a = v.mean(axis=1)
    r = np.sqrt(2 / 3 * ((v - a[:, None]) ** 2).sum(axis=1))
    for exact, samples in zip(one_step.radius(mean, spread), (r, a * r), strict=True):
        assert abs(samples.mean() - exact) < 4.5 * samples.std() / 1000
    # without spread nothing is random
    r, ar = one_step.radius(mean, np.zeros(3))
    still = sqrt(2 / 3 * ((mean - mean.mean()) ** 2).sum())
    assert [r, ar] == pytest.approx([still, still * mean.mean()], rel=1e-12)


def test_the_drift_conserves_and_follows_the_theorem():
    found = []
    for n in (65, 129, 257):
        x = np.linspace(0, 1, n)
        mu, sigma = np.sin(2 * pi * x) / 2, 1 + np.cos(2 * pi * x) / 2
        exact, formula = one_step.drift(mu, sigma), one_step.printed(mu, sigma, 1 / (n - 1))
        assert [part.sum() for part in exact] == pytest.approx([0, 0], abs=1e-12)  # momentum and energy of all balls
        found.append([np.nanmax(np.abs(a - b)[2:-2]) for a, b in zip(exact, formula, strict=True)])
    orders = np.log2(np.array(found[1]) / found[2])
    assert orders == pytest.approx([3, 3], abs=0.1)  # a wrong constant in (2.6) or (2.7) would leave order 1 or 2


def test_the_coefficient_that_the_lemma_prints_twice():
    assert one_step.lemma_coefficient() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("ball", [0, 1, 5, 16])
def test_the_kernel_has_the_exact_drift(small, ball):
    # at an end, next to it, inside: five balls stand for all
    model = check(small).model
    mu, sigma = model.initial(model.sites, "site")
    mean, error = after_one_collision(mu, sigma, ball, 400_000, seed=2)
    exact = [part[ball] for part in one_step.drift(mu, sigma)]
    assert (np.abs(mean - exact) < 4.5 * error).all()
    # and a balls' order the wrong way round would be seen
    assert ball == 5 or abs(mean[0] + exact[0]) > 20 * error[0]


def test_what_it_concludes(small, tmp_path, monkeypatch, capsys):
    path = tmp_path / "small.toml"
    path.write_text(dump(check(small)))
    assert command("drift", path, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    found = {
        one["reference"].split()[-1]: one
        for one in json.loads((tmp_path / "r" / "drift.json").read_text())["statements"]
    }
    assert {key: one["verdict"] for key, one in found.items()} == {
        "(2.6)": "holds",
        "(2.7)": "holds",
        "2.3": "fails",
        "(5.12)-(5.15)": "holds",
        "(5.30)": "fails",
        "(5.46)": "holds",
    }
    assert all(Statement(**one).sentence in said for one in found.values())
    page = (tmp_path / "r" / "drift.html").read_text()
    assert "data:image/png;base64,iVBOR" in page
    assert "The kernel at n = 17" in page
    # a table of all that was judged
    assert command("verdicts", tmp_path / "r", monkeypatch=monkeypatch) == 0
    table = capsys.readouterr().out
    assert table.count("| fails |") == 2
    assert f"`kinlim drift {path}`" in table
    (tmp_path / "empty").mkdir()
    assert command("verdicts", tmp_path / "empty", monkeypatch=monkeypatch) == 2


def test_data_without_spread_at_an_end_fail_the_theorem(small):
    small["model"] |= {"mu0": "cos(pi*x)", "sigma0": "sin(pi*x)/5"}
    small["particles"]["replicas"] = 2
    examination = Drift(check(small))
    first = examination.statements(examination.measure())[0]
    assert first.verdict == "fails"
    assert "which the theorem excludes" in first.claim
