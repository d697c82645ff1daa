"""`kinlim noise`: what it finds in made data that are white noise, or are not in one respect."""

import json

import numpy as np
import pytest
from commands import kinlim as command

from kinlim.study import check, dump
from kinlim.validation.pinned import modes, single_runs

RNG = np.random.default_rng(11)
RUNS, N = 200, 600


def rejections(w):
    return {name: int((p < single_runs.LEVEL).sum()) for name, p in single_runs.p_values(w).items()}


def test_white_noise_is_rejected_as_often_as_it_should_be():
    """A wrong statistic would not matter, as its law is simulated; one that depends on more than W would."""
    found = single_runs.p_values(RNG.standard_normal((2000, N)))
    for p in found.values():
        for level in (0.01, 0.1, 0.5):  # the law itself is known from 4000 draws
            assert (p < level).mean() == pytest.approx(
                level, abs=4 * np.sqrt(level * (1 - level) * (1 / 2000 + 1 / 4000))
            )
    assert not any(single_runs.beyond_chance(n, RUNS, 5) for n in rejections(RNG.standard_normal((RUNS, N))).values())


def chained(rho):
    """Normal with the correlation rho^k at distance k."""
    w = RNG.standard_normal((RUNS, N))
    for i in range(1, N):
        w[:, i] = rho * w[:, i - 1] + np.sqrt(1 - rho**2) * w[:, i]
    return w


def turned():
    """Pairs of independent radius and angle whose angle prefers the diagonals: normal to second order, uncorrelated."""
    angle = RNG.uniform(0, 2 * np.pi, (RUNS, N // 2))
    angle -= 0.15 * np.sin(4 * angle)
    r = np.sqrt(2 * RNG.exponential(size=angle.shape))
    return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=2).reshape(RUNS, N)


@pytest.mark.parametrize(
    ("w", "rejected", "passed"),
    [
        (chained(0.25), {"lags", "pairs_2"}, {"pairs_4"}),
        (RNG.uniform(-(3**0.5), 3**0.5, (RUNS, N)), {"ks", "ad", "pairs_4"}, {"lags"}),
        (1.3 * RNG.standard_normal((RUNS, N)), {"ks", "ad"}, {"pairs_2", "pairs_4"}),
        (turned(), {"pairs_4"}, {"pairs_2"}),
    ],
    ids=["correlated", "uniform", "too wide", "not isotropic"],
)
def test_what_is_no_white_noise_is_rejected_by_the_test_that_looks_there(w, rejected, passed):
    found = rejections(w)
    assert all(found[name] > RUNS / 5 for name in rejected)
    assert not any(single_runs.beyond_chance(found[name], RUNS, 5) for name in passed)


def test_chance_of_rejections():
    # of 200 runs at 1 %, 8 and more have the chance 0.0011, 9 and more 0.0002
    assert [single_runs.beyond_chance(n, 200) for n in (0, 2, 8, 9)] == [False, False, False, True]
    assert not single_runs.beyond_chance(9, 200, looks=10)


def test_independent_balls_have_a_flat_spectrum():
    s = modes.spectrum(3 + 2 * RNG.standard_normal((RUNS, N)))
    assert s.sum() == pytest.approx(4, abs=5 * 4 * np.sqrt(2 / (RUNS * N)))
    one = modes.split(s, RUNS)
    assert one.short == pytest.approx(4, abs=5 * 4 * np.sqrt(4 / (RUNS * N)))
    assert abs(one.long) < 4 * one.error
    z = [modes.split(modes.spectrum(RNG.standard_normal((40, 64))), 40) for _ in range(400)]
    assert np.std([split.long / split.error for split in z]) == pytest.approx(1, abs=4 / np.sqrt(2 * 400))


def test_what_runs_share_stands_above_it_and_negative_correlations_below():
    x = (np.arange(N) + 0.5) / N
    shared = sum(RNG.standard_normal((RUNS, 1)) * np.sqrt(2) * np.cos(np.pi * k * x) for k in (1, 2, 5))
    one = modes.split(modes.spectrum(0.3 * RNG.standard_normal((RUNS, N)) + shared), RUNS)
    assert one.long == pytest.approx(3, abs=4 * one.error)
    assert one.error == pytest.approx(np.sqrt(2 * 3 / RUNS), rel=0.4)
    assert (one.short, one.cutoff) == (pytest.approx(0.09, rel=0.05), 5)
    w = RNG.standard_normal((RUNS, N + 1))
    below = modes.split(modes.spectrum(w[:, 1:] - 0.3 * w[:, :-1]), RUNS)
    assert below.long < -10 * below.error
    assert below.cutoff == 0


def test_the_command_judges_runs_and_ensemble(tables, tmp_path, monkeypatch, capsys):
    tables["model"] |= {"balls": 160, "mu0": "-erf(27*(x-1/2)**3)", "sigma0": "(1-cos(2*pi*x))/20", "end_time": 0.11}
    tables["model"] |= {"observe": [0.2, 1.0]}
    tables["particles"] |= {"replicas": 400, "pilot": 0}
    tables["pde"] |= {"cells": 100, "boundary": "noflux"}
    path = tmp_path / "study.toml"
    path.write_text(dump(check(tables)))
    assert command("noise", path, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "r" / "noise.json").read_text())["statements"]
    assert len(found) == 9
    assert {one["verdict"] for one in found} <= {"fails", "not decided"}
    last = found[-1]
    assert last["verdict"] == "fails", "long waves of the start are left when all has come to rest"
    assert "below wave number" in last["found"]
    assert said.count("Burdzy") == 9
    page = (tmp_path / "r" / "noise.html").read_text()
    assert "of 200" in page
    assert "Variance, mean over the sites" in page
