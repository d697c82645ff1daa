"""Branching walks with competition: the master equation, an invariant law, the fronts' speeds, a wrong growth found."""

from math import exp, factorial, pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import brentq

import kinlim
from kinlim import workflow
from kinlim.study import load, model_of

STUDY = Path(__file__).parents[1] / "examples" / "gallery" / "branching.toml"


def lattice(study):
    """What is known with N to infinity, by name."""
    sides = {side.name: side for side in model_of(study).sides}
    return {name: np.asarray(values) for name, (_, values, _) in sides["lattice"].maker().values(study).items()}


def mean_of_the_master_equation(capacity, t, most=20):
    """Mean numbers on two sites a distance of 1 apart, at first Poisson on the left one; `most` on a site, or fewer."""
    size = most + 1
    k, m = (grid.ravel() for grid in np.meshgrid(np.arange(size), np.arange(size), indexing="ij"))
    generator = np.zeros((size**2, size**2))

    def move(rate, left, right):
        there = (rate > 0) & (k + left <= most) & (m + right <= most)
        np.add.at(generator, ((k + left)[there] * size + (m + right)[there], np.flatnonzero(there)), rate[there])
        np.add.at(generator, (np.flatnonzero(there), np.flatnonzero(there)), -rate[there])

    for number, step in ((k, (1, 0)), (m, (0, 1))):
        move(1.0 * number, *step)
        move(number * (number - 1) / capacity, -step[0], -step[1])
    move(1.0 * k, -1, 1)
    move(1.0 * m, 1, -1)
    start = np.where(m == 0, [exp(-capacity) * capacity**n / factorial(n) for n in k], 0.0)
    law = expm(t * generator) @ start
    return law @ k, law @ m


def test_the_kernel_follows_its_generator():
    # jumps off by 2 or out of the interval, a birth elsewhere, k^2 in place of k (k - 1)
    some = ["model.capacity=2", "model.density=1", "model.length=2", "model.full=1", "model.end_time=0.5"]
    found = kinlim.simulate(load(STUDY, [*some, "model.observe=[1.0]", "particles.replicas=100000"]))
    exact = np.array(mean_of_the_master_equation(2, 0.5)) / 2
    assert np.abs((found.u[0] - exact) / found.u_se[0]).max() < 4.5
    assert np.abs((np.array([1, 0]) - exact) / found.u_se[0]).min() > 25


def test_poisson_numbers_are_invariant():
    some = ["model.capacity=5", "model.length=4", "model.full=4", "model.end_time=2.0", "particles.replicas=20000"]
    found = kinlim.simulate(load(STUDY, [*some, "model.observe=[0.0, 1.0]"]))
    assert np.abs((found.u - 1) / found.u_se).max() < 4.5
    variance = found.u_se**2 * 20000
    assert np.abs(variance / (1 / 5) - 1).max() < 5 * sqrt((2 + 1 / 5) / 20000)


@pytest.mark.slow
def test_the_front_of_the_lattice_is_bramsons():
    # place c t - 3/(2 k) log t + C - 3 (pi/D)^(1/2)/(k^2 t^(1/2)) + (a + b log t)/t (Ebert and van Saarloos, Physica D
    # 146, 2000), with the k where growth/k is least, and D half the growth's second derivative there
    density, fractions = 2, np.geomspace(0.1, 1, 13).clip(max=1)
    times = ", ".join(map(str, fractions))
    study = load(
        STUDY, [f"model.density={density}", "model.length=640", "model.end_time=300.0", f"model.observe=[{times}]"]
    )

    def growth(k):
        return 2 * density**2 * (np.cosh(k / density) - 1) + 1

    k = brentq(lambda k: 2 * density * np.sinh(k / density) * k - growth(k), 0.3, 2, xtol=1e-14)
    t = study.model.times
    terms = np.array([np.log(t), t**-0.5, np.ones_like(t), 1 / t, np.log(t) / t]).T
    found = np.linalg.lstsq(terms, lattice(study)["front"] - growth(k) / k * t, rcond=None)[0]
    assert found[0] == pytest.approx(-1.5 / k, rel=0.005)
    assert found[1] == pytest.approx(-3 * sqrt(pi / np.cosh(k / density)) / k**2, rel=0.1)


@pytest.mark.slow
def test_the_equation_is_what_fine_lattices_tend_to():
    study = load(STUDY, ["model.observe=[0.5, 1.0]"])
    limit = kinlim.solve(study).u.mean("x") * 40
    coarse, fine = (lattice(study.vary("model", density=density))["front"] for density in (4, 8))
    assert (4 * fine - coarse) / 3 == pytest.approx(limit.values, abs=2e-3)  # without what goes like h^2


@pytest.mark.slow
def test_a_wrong_growth_is_found_and_the_right_one_is_not(tmp_path):
    # for so short a time that the front has not felt the noise, nor the sites much
    some = ["model.capacity=200", "model.density=3", "model.length=20", "model.end_time=3.0", "particles.replicas=150"]

    def outcomes(name, *more):
        found = workflow.run(load(STUDY, [*some, *more]), tmp_path / name)
        return [verdict["outcome"] for verdict in found["verdicts"]]

    assert "differ" not in outcomes("right")
    wrong = outcomes("wrong", "pde.growth=1.05")
    assert [outcome == "differ" for outcome in wrong] == [True, False, True, False]
