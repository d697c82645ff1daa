"""Verdicts: computed once, said everywhere, and no conclusion that the numbers do not carry."""

import json
import os
import signal

import numpy as np
import pytest
import xarray as xr

import kinlim
from kinlim.errors import InputError
from kinlim.model import Measured
from kinlim.signals import StopRequests
from kinlim.study import check
from kinlim.validation import powers, sweep
from kinlim.validation.reaction import figures
from kinlim.validation.verdicts import of_deviations, of_exponent, of_profile

NOISE = {"rel_l2_u": 0.001, "rel_l2_noise_u": 0.001, "rel_l2_excess_u": 0.0, "excess_z_u": 0.1, "chi2_u": 1.0,
         "gap_u": 0.0, "response_u": 1.0, "response_se_u": 0.001, "fraction": 1.0}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "outcome", "words"),
    [
        ({}, "agree", "no difference beyond noise, where one of"),
        (
            {"excess_z_u": 6.0, "rel_l2_excess_u": 0.02, "gap_u": -0.01},
            "differ",
            "DIFFER by 2 % in L2, beyond noise of",
        ),
        ({"chi2_u": 2.0}, "differ", "DIFFER point by point: chi2 is 2 a point"),
        ({"response_u": 0.9}, "differ", "have made 90.0 +- 0.1 % of the predicted change"),
        ({"rel_l2_noise_u": 0.1}, "cannot be told", "noise hides a difference of 1 %; about"),
        ({"response_se_u": 0.1}, "cannot be told", "noise hides a difference of 10 % of the change; about 25,000"),
        ({"rel_l2_u": None}, "cannot be told", "the solution vanishes"),
    ],
)
def test_a_profile_agrees_differs_or_cannot_be_told(change, outcome, words):
    verdict = of_profile("u", [NOISE | change], "u", 1000, 200)
    assert verdict.outcome == outcome
    assert words in verdict.sentence


def test_another_speed_at_an_early_time_is_not_forgotten():
    """The last time, when it is known best, shows nothing any more."""
    early, last = {"time": 0.1, "speed_u": 0.06, "speed_se_u": 0.01}, {"time": 1.0, "speed_u": 0.0, "speed_se_u": 0.005}
    found = of_profile("u", [early, NOISE | last], "u", 1000, 200)
    assert found.outcome == "differ"
    assert "run at 1.060 +- 0.01 of the equation's speed (t = 0.1)" in found.sentence
    assert of_profile("u", [early | {"speed_u": 0.04}, NOISE | last], "u", 1000, 200).outcome == "agree"


def test_as_many_replicas_as_the_verdict_asks_for_tell():
    # noise falls like 1/sqrt(replicas): with what is asked for, the same noise no longer hides the difference
    hidden = NOISE | {"rel_l2_noise_u": 0.1}
    asked = int(of_profile("u", [hidden], "u", 1000, 200).sentence.split("about ")[1].split(" ")[0].replace(",", ""))
    enough = NOISE | {"rel_l2_noise_u": 0.1 * (1000 / asked) ** 0.5}
    assert of_profile("u", [enough], "u", asked, 200).outcome == "agree"


def test_few_replicas_tell_nothing():
    assert of_profile("u", [NOISE | {"excess_z_u": 50.0}], "u", 99, 200).outcome == "cannot be told"


def test_deviations_of_many_means():
    assert of_deviations("means", "expected", 3.0, 500, 1.0, 1000).outcome == "agree"
    assert of_deviations("means", "expected", 6.0, 500, 1.3, 1000).outcome == "differ"
    assert of_deviations("means", "expected", None, 0, None, 1000).outcome == "cannot be told"
    few = of_deviations("means", "expected", 25.0, 156, 13.2, 2)
    assert few.outcome == "cannot be told"
    assert "2 replicas are too few to know noise by; 8 would do" in few.sentence
    assert of_deviations("means", "expected", 25.0, 156, 13.2, 12).outcome == "differ"


@pytest.mark.parametrize(
    ("found", "outcome", "words"),
    [
        ({"value": -0.285, "half_width": 4.0, "claimed": -1.0}, "cannot be told", "the exponent is not determined"),
        (
            {"value": -0.3, "half_width": 4.0, "claimed": -1.0, "by_noise": True}, "cannot be told",
            "About 64 times as many replicas at every point would determine it to +- 0.5, provided that its error is",
        ),
        (
            {"value": -0.3, "half_width": 4.0, "claimed": None, "by_noise": False}, "cannot be told",
            "More replicas would not determine it: the points are farther from one power law than noise explains.",
        ),
        ({"value": -0.98, "half_width": 0.05, "claimed": -1.0}, "agree", "agrees with the claimed -1"),
        ({"value": -0.6, "half_width": 0.05, "claimed": -1.0}, "differ", "DIFFERS from the claimed -1"),
        ({"value": -0.6, "half_width": None, "claimed": -1.0}, "cannot be told", "from too few points"),
        ({"value": -0.6, "half_width": 0.05, "claimed": None}, "agree", "exponent -0.6 +- 0.05."),
    ],
)  # fmt: skip
def test_an_exponent(found, outcome, words):
    verdict = of_exponent("gap", "n", found)
    assert verdict.outcome == outcome
    assert words in verdict.sentence


def test_the_slope_nearest_the_limit_is_where_the_parameter_goes():
    # y = x + x^2: the order 1 shows as x goes to 0; the slope at the largest x is 2
    x = np.array([10.0, 1.0, 0.1, 0.01, 0.001])
    y = x + x**2
    down = powers.fit(x[:, None], y, 0 * y, [True])
    up = powers.fit(x[:, None], y, 0 * y)
    assert down.last[0] == pytest.approx(1.0, abs=0.01)
    assert up.last[0] == pytest.approx(1.7, abs=0.1)


def test_a_sweep_knows_where_its_parameters_go():
    epsilon = (0.2, 0.1, 0.05, 0.025)
    points = [{"model.epsilon": e, "particles.seed": 1} for e in epsilon]
    found = [{"gap": Measured(e + 3 * e**2, 0, "a gap", {"epsilon": 1.0}, "a paper")} for e in epsilon]
    dataset = sweep.gather(points, found, {"epsilon": "down"})
    verdict = sweep.judge(dataset.assign_attrs(title="t"))
    assert verdict["limits"] == {"model.epsilon": "down"}
    last = verdict["laws"][0]["exponents"]["model.epsilon"]["last"]
    assert last == pytest.approx(np.log2((0.05 + 3 * 0.05**2) / (0.025 + 3 * 0.025**2)))
    assert "at the smallest epsilon" in sweep.text(verdict)
    assert "→ 0" in sweep.figure(dataset, verdict).axes[0].get_xlabel()


def test_every_model_says_where_its_parameters_go():
    from kinlim.models import BUILT_IN, find

    assert {name: dict(find(name).physics.LIMITS) for name in BUILT_IN} == {
        "pinned": {"balls": "up"}, "reaction": {"epsilon": "down"}, "kac": {"reservoir": "up"},
    }  # fmt: skip


def test_a_wave_that_the_data_do_not_have_is_not_drawn():
    # a plane wave along the diagonal: its modes (1, 0) and (0, 1) are errors of the solver, however smoothly they decay
    x = np.arange(16) / 16
    both = np.cos(2 * np.pi * (x[:, None] + x))
    times = np.array([0.0, 0.1, 0.2])
    error = 1e-9 * np.exp(-times)[:, None, None] * np.cos(2 * np.pi * x)[:, None]
    pde = xr.Dataset(
        {"m": (("time", "x", "y"), np.exp(-times)[:, None, None] * both + error),
         "highest": ("time", np.exp(-times)), "lowest": ("time", -np.exp(-times))},
        coords={"time": times, "x": x, "y": x}, attrs={"rtol": 1e-7},
    )  # fmt: skip
    left = figures.decay([], pde).axes[0]
    assert not left.lines
    assert [text.get_text() for text in left.texts] == ["the data have no such wave"]


@pytest.mark.parametrize("sigma0", ["1", "x"])
def test_a_spread_at_ends_that_hold_none_is_refused(tables, sigma0):
    tables["model"]["sigma0"] = sigma0
    tables["pde"]["boundary"] = "paper"
    with pytest.raises(InputError, match=r"model.sigma0 = '.' is 1 at the end x = .*pde.boundary = 'paper'"):
        kinlim.solve(check(tables))
    tables["pde"]["boundary"] = "noflux"
    kinlim.solve(check(tables | {"pde": tables["pde"] | {"cells": 10, "rtol": 1e-3}}))


def test_the_axes_of_both_sides_of_the_pinned_balls_are_one(tables):
    tables["particles"]["replicas"] = 40
    study = check(tables)
    particles, pde = kinlim.simulate(study), kinlim.solve(study)
    assert (particles.mu - pde.mu).shape == (3, 50)
    assert json.dumps(kinlim.compare(particles, pde).attrs["verdicts"]).count("particles and equations") == 2


def test_signals_are_heard_by_whoever_listens_and_by_nobody_after():
    before = signal.getsignal(signal.SIGUSR1)
    requests = StopRequests()
    with requests, requests:  # a stage that enters its keeper twice
        os.kill(os.getpid(), signal.SIGUSR1)
    assert requests.received
    assert signal.getsignal(signal.SIGUSR1) is before
