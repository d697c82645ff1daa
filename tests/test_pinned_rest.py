"""The state at rest: the equations for pairs against collisions of real triples, and what `kinlim rest` concludes."""

import json
from math import pi

import numpy as np
import pytest
from commands import kinlim as command

from kinlim.fem.pinned import b_n
from kinlim.study import check, dump
from kinlim.validation.pinned import pairs

SITES = 11
SAMPLES = 400_000


def collided(v, centre, rng):
    """Steps 2.1 and 2.2 for all samples at one centre, in plain NumPy."""
    triple = v[:, centre - 1 : centre + 2]
    a = triple.mean(axis=1, keepdims=True)
    r = np.sqrt(2 / 3 * ((triple - a) ** 2).sum(axis=1, keepdims=True))
    new = a + r * np.sin(rng.uniform(0, 2 * pi, (len(v), 1)) + 2 * pi / 3 * np.arange(3))
    left = rng.random(len(v)) < 0.5
    new[left, :2] = np.sort(new[left, :2], axis=1)
    new[~left, 1:] = np.sort(new[~left, 1:], axis=1)
    after = v.copy()
    after[:, centre - 1 : centre + 2] = new
    return after


def test_the_rates_of_pairs_against_collisions():
    # normal pairs with other covariances than those at rest, mean i: a wrong term in any of the equations would show
    c = np.zeros(pairs.PAIRS + 1)
    c[:4] = 6.0, -0.9, 0.5, 0.3
    rng = np.random.default_rng(4)
    distance = np.abs(np.subtract.outer(np.arange(SITES), np.arange(SITES)))
    factor = np.linalg.cholesky(c[distance])
    v = np.arange(SITES) + rng.standard_normal((SAMPLES, SITES)) @ factor.T
    expected = pairs.rates(c)
    for k in range(4):
        i, j = 4, 4 + k  # sites i - 1 ... j + 1 are centres of all collisions that concern them
        change = np.zeros(SAMPLES)
        for centre in range(i - 1, j + 2):
            after = collided(v, centre, rng)
            change += after[:, i] * after[:, j] - v[:, i] * v[:, j]
            # a flow of momentum moves the means, too; covariances are about them
            change -= i * (after[:, j] - v[:, j]) + j * (after[:, i] - v[:, i])
        assert abs(change.mean() - expected[k]) < 4.5 * change.std() / SAMPLES**0.5


def test_without_correlations_it_is_b_n():
    # C_k = 0 for k > 0 leaves Rice's law: nothing flows at the spread of (B_n)
    c = np.zeros(pairs.PAIRS + 1)
    c[0] = 4 * pi * b_n.balanced() ** 2
    assert pairs.rates(c)[0] == pytest.approx(0, abs=1e-9)
    assert pairs.rest().spread < b_n.balanced() < pairs.rest().local < 1


@pytest.mark.slow
def test_what_it_concludes(tables, tmp_path, monkeypatch, capsys):
    tables["model"] |= {"balls": 24, "mu0": "x", "sigma0": "0", "end_time": 2.0, "observe": [1.0]}
    tables["particles"] |= {"replicas": 4000, "pilot": 0}
    path = tmp_path / "small.toml"
    path.write_text(dump(check(tables)))
    assert command("rest", path, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "for the particles: holds" in said
    found = [one["verdict"] for one in json.loads((tmp_path / "r" / "rest.json").read_text())["statements"]]
    # energy leaves through the paper's ends, and with it what Proposition 4.2 is proved by
    assert found[:3] == ["holds", "holds", "fails"]
    # (B_n) is 4 % below (B'), the balls by less
    assert found[4] == "fails"
    tables["model"]["sigma0"] = "0.1"
    path.write_text(dump(check(tables)))
    assert command("rest", path, "-o", tmp_path / "s", monkeypatch=monkeypatch) == 2
    assert "a sigma0 that vanishes at both" in capsys.readouterr().err
