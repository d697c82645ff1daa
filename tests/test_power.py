"""The speed of particles over an equation's: what it would change, how well it is known, and which error is seen."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import kinlim
from kinlim.study import check, load
from kinlim.validation.profiles import speeds
from kinlim.validation.standard import sensitivity
from kinlim.validation.verdicts import SURE, Speed, farthest_speed, power, speed_of

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_a_speed_is_found_with_its_error():
    # d = a change + noise: without the weights 1/s^2 the scatter is wider than the error says
    rng = np.random.default_rng(1)
    change, error = rng.normal(size=(1, 300)), rng.uniform(0.1, 3, (1, 300))
    found = [speeds(0.02 * change + error * rng.normal(size=change.shape), error, change) for _ in range(400)]
    z = np.array([(one["speed"][0] - 0.02) / one["speed_se"][0] for one in found])
    assert z.mean() == pytest.approx(0, abs=4 / np.sqrt(400))
    assert z.std() == pytest.approx(1, abs=4 / np.sqrt(800))
    assert np.isnan(speeds(change, error, 0 * change)["speed_se"][0])  # nothing moves: nothing is said


def rho(t):
    """Heat equation on the ring."""
    x = np.arange(32) / 32
    return x, 0.5 + 0.4 * np.exp(-4 * np.pi**2 * np.asarray(t)[:, None]) * np.cos(2 * np.pi * x)


def test_an_equation_knows_what_another_speed_would_change(tmp_path):
    # t u_t, of the heat equation in closed form; a boundary term, a sign or a factor t would be off by more
    shutil.copy(EXAMPLES / "exclusion.py", tmp_path)
    (tmp_path / "s.toml").write_text(
        '[study]\nmodel = "exclusion.py"\nname = "s"\n[model]\nsites = 32\nend_time = 0.02\nobserve = [0.0, 0.3, 1.0]\n'
        "[particles]\nreplicas = 100\n[pde]\ncells = 64\ndegree = 4\nrtol = 1e-10\n"
    )
    found = kinlim.solve(load(tmp_path / "s.toml"))
    t = found.time.to_numpy()
    exact = -4 * np.pi**2 * t[:, None] * (rho(t)[1] - 0.5)
    np.testing.assert_allclose(found.sensitivity_rho, exact, atol=2e-7)  # the elements' error in u_xx


@pytest.mark.parametrize("system", ["A", "B'", "C"])
def test_the_same_of_mean_and_spread(tables, system):
    # against solutions that end later and sooner; times are whole numbers of collisions
    tables["model"] |= {"balls": 400, "mu0": "cos(pi*x)", "sigma0": "0.3 + 0.1*cos(pi*x)", "lambda": 5.0}
    tables["model"] |= {"end_time": 0.05, "observe": [0.5, 1.0]}
    tables["pde"] = {"system": system, "cells": 60, "rtol": 1e-9}
    study = check(tables)
    here, later, sooner = (
        kinlim.solve(study if not h else study.vary("model", end_time=0.05 * (1 + h))) for h in (0, 1e-3, -1e-3)
    )
    steps = np.log(later.time.to_numpy() / sooner.time.to_numpy())[:, None]
    for name in ("mu", "sigma"):
        change = (later[name].to_numpy() - sooner[name].to_numpy()) / steps
        assert np.abs(here[f"sensitivity_{name}"] - change).max() < 2e-3 * np.abs(change).max()


@pytest.mark.parametrize(("model", "side", "names"), [
    ("reaction", "kinetic", ("rho_f", "rho_g", "m")), ("kac", "exact", ("reservoir", "thermostat", "difference")),
])  # fmt: skip
def test_the_same_of_the_other_solutions(request, model, side, names):
    tables = request.getfixturevalue(model)
    if model == "reaction":
        tables["kinetic"] |= {"rtol": 1e-8}
    study, h = check(tables), 1e-3
    end = study.model.end_time
    here, later, sooner = (kinlim.solve(study.vary("model", end_time=end * (1 + k)), side) for k in (0, h, -h))
    for name in names:
        change = (later[name].to_numpy() - sooner[name].to_numpy()) / (2 * h)
        # central differences are off by h^2/6 of the third derivative in log t, rtol/h by the solver
        assert np.abs(here[f"sensitivity_{name}"] - change).max() < 2e-5 * np.abs(change).max()


def test_what_is_expected_changes_with_the_solution():
    # a rule that expects a square must be told twice the change
    t = [0.0, 0.01]
    x, u = rho(t)
    solution = xr.Dataset({"u": (("time", "x"), u), "sensitivity_u": (("time", "x"), np.sin(u))}, {"x": x})
    found = sensitivity(solution, lambda dataset: dataset["u"] ** 2)
    np.testing.assert_allclose(found, 2 * u * np.sin(u), atol=2e-4)
    assert not sensitivity(solution.drop_vars("sensitivity_u"), lambda dataset: dataset["u"] ** 2).any()


def test_the_best_time_is_taken_and_said():
    times = [
        {"time": 0.0, "speed_u": None, "speed_se_u": None},
        {"time": 0.1, "speed_u": 0.02, "speed_se_u": 0.002},
        {"time": 0.2, "speed_u": 0.0, "speed_se_u": 0.05},
    ]
    assert speed_of(times, "u") == Speed(0.02, 0.002, 0.1)
    assert Speed(0.02, 0.002, 0.1).differs
    assert not Speed(SURE * 0.002 * 0.99, 0.002, 0.1).differs
    assert speed_of(times[:1], "u") is None
    assert farthest_speed(times[:1], "u") is None
    (sentence,) = power("u", times, "u", 1000)
    assert "an error of 1.3 % or more in the equation's speed, which is one factor of all terms of its" in sentence
    assert "right side, would be seen in 19 of 20 such runs" in sentence
    assert "An error of one coefficient alone is not meant" in sentence
    assert "errors of 1 %, 3 %, 10 % take about 1,800, 200, 100 replicas" in sentence
    assert power("u", times, "u", 50) == []  # too few to know noise by


def test_a_number_knows_the_speed_too():
    # the particles are 3 % slow: a deviation of one standard error a point, but of all together it is seen
    t = np.array([0.0, 0.01, 0.03])
    x, u = rho(t)
    axis = {"time": t, "fraction": ("time", t / 0.03), "x": x}
    sensitive = -4 * np.pi**2 * t[:, None] * (u - 0.5)
    attributes = {"title": "made up", "model": "m", "replicas": 1000, "study": ""}
    particles = xr.Dataset(
        {"u": (("time", "x"), rho(0.97 * t)[1]), "u_se": (("time", "x"), np.full(u.shape, 0.003))}, axis, attributes
    )
    solution = xr.Dataset({"u": (("time", "x"), u), "sensitivity_u": (("time", "x"), sensitive)}, axis, attributes)
    for rule in (kinlim.Numbers("u"), kinlim.Means("u")):
        _, numbers = kinlim.rules(rule)().conclude({"particles": particles, "pde": solution})
        (verdict,) = numbers["verdicts"]
        assert verdict["outcome"] == "differ"
        assert "the particles run at 0.9695 +- 0.005" in verdict["sentence"]
