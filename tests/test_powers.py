"""Power laws: exponents, their intervals, and local slopes."""

import numpy as np
import pytest

from kinlim.validation import powers
from kinlim.validation.verdicts import VAGUE

GRID = np.array([(m, n) for m in (1.0, 3.0, 10.0) for n in (100.0, 1000.0, 10000.0)])


def test_an_exact_power_law_is_found():
    law = powers.fit(GRID, 5 * GRID[:, 0] ** 0.5 * GRID[:, 1] ** -1.5, np.zeros(9))
    assert law.exponents == pytest.approx([0.5, -1.5], abs=1e-12)
    assert law.half_widths == pytest.approx([0, 0], abs=1e-12)
    assert law.local == pytest.approx(np.array([[0.5, 0.5], [-1.5, -1.5]]), abs=1e-12)
    assert law.points == 9


def test_local_slopes_follow_a_curve():
    # x/(1 + x): slope 1 at small x, 0 at large; the last slope must be that of the largest pair
    x = np.geomspace(1e-3, 1e3, 7)[:, None]
    law = powers.fit(x, (x / (1 + x))[:, 0], np.zeros(7))
    assert law.local[0] == pytest.approx(
        [np.log10((1000 / 1001) / (100 / 101)), np.log10((1e-2 / 1.01) / (1e-3 / 1.001))]
    )
    assert law.last[0] == law.local[0, 0]
    assert law.half_widths[0] > 0.1


def test_the_interval_covers_the_truth_as_often_as_it_says():
    # weights forgotten, or a normal quantile for Student's: with 8 points and unequal errors coverage would fall
    rng, hits = np.random.default_rng(5), 0
    x = np.geomspace(10, 1e4, 8)[:, None]
    truth = 3 * x[:, 0] ** -0.5
    error = truth * np.array([0.01, 0.02, 0.02, 0.05, 0.05, 0.1, 0.1, 0.1])
    for _ in range(400):
        law = powers.fit(x, truth + error * rng.normal(size=8), error)
        hits += abs(law.exponents[0] + 0.5) <= law.half_widths[0]
    assert hits >= 0.95 * 400 - 4 * np.sqrt(400 * 0.95 * 0.05)  # never scaled down, so it may cover more


def test_too_little_to_fit():
    assert powers.fit(GRID[:2], np.ones(2), np.zeros(2)) is None
    assert powers.fit(GRID, np.full(9, np.nan), np.zeros(9)) is None
    assert powers.fit(np.ones((5, 1)), np.ones(5), np.zeros(5)) is None  # nothing varies
    law = powers.fit(np.array([[1.0], [2.0]]), np.array([1.0, 4.0]), np.zeros(2))
    assert law.exponents == pytest.approx([2.0])
    assert np.isnan(law.half_widths[0])


def test_as_many_more_replicas_as_are_said_determine_an_exponent():
    rng, x, found = np.random.default_rng(6), np.geomspace(10, 40, 5)[:, None], []
    truth = 3 * x[:, 0] ** -1.0
    while len(found) < 200:
        error = 0.4 * truth
        vague = powers.fit(x, truth + error * rng.normal(size=5), error)
        if vague is not None and vague.by_noise and vague.half_widths[0] > VAGUE:
            error *= VAGUE / vague.half_widths[0]  # of (half width/VAGUE)^2 times as many replicas
            found.append(powers.fit(x, truth + error * rng.normal(size=5), error).half_widths[0])
    assert np.median(found) == pytest.approx(VAGUE, rel=0.2)


def test_what_noise_does_not_explain_is_not_put_down_to_it():
    x = np.geomspace(1, 100, 5)[:, None]
    bent = x[:, 0] / (1 + x[:, 0])
    assert powers.fit(x, bent, 0.01 * bent).by_noise is False
    assert powers.fit(x, bent, np.zeros(5)).by_noise is None
    assert powers.fit(x[:2], bent[:2], 0.01 * bent[:2]).by_noise is None
