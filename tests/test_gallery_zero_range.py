"""Zero-range processes: phi, the kernel by brute force, walkers exact, wrong diffusion found wrong."""

from itertools import product
from math import factorial
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

import kinlim
from kinlim import workflow
from kinlim.study import load, model_of

STUDY = Path(__file__).parents[1] / "examples" / "gallery" / "zero_range.toml"


def corrected(study):
    """The means to order 1/n at the last time."""
    sides = {side.name: side for side in model_of(study).sides}
    return sides["corrected"].maker().values(study)["rho"][1][-1]


@pytest.mark.parametrize(("alpha", "exact"), [(0.0, lambda rho: rho / (1 + rho)), (1.0, lambda rho: rho)])
def test_phi_where_it_is_known(alpha, exact):
    # over the widest range allowed; a polynomial of too low a degree, an inversion that stops early
    study = load(STUDY, [f"model.alpha={alpha}", "model.rho0='2.53 + 2.46*cos(2*pi*x)'"])
    rho = np.linspace(0.08, 4.98, 99)
    np.testing.assert_allclose(study.model.phi(rho), exact(rho), rtol=3e-8)


def test_phi_between_is_the_mean_of_the_rate():
    # sums over k of the product formula, apart from the code's own: the mean of g is the fugacity, of k the density
    study = load(STUDY, ["model.alpha=0.5"])
    for phi in (0.3, 0.7, 1.1):
        weights = np.array([phi**k / np.sqrt(float(factorial(k))) for k in range(60)])
        weights /= weights.sum()
        assert weights @ np.sqrt(np.arange(60)) == pytest.approx(phi, rel=1e-12)
        assert study.model.phi(weights @ np.arange(60)) == pytest.approx(phi, rel=1e-9)


def mean_of_the_master_equation(weights, alpha, t, most=11):
    """E[eta_i] on three sites, weights of 0 ... most particles at first, shape (3, most + 1); jumps at 9 k^alpha."""
    states = np.array([one for one in product(range(3 * most + 1), repeat=3) if sum(one) <= most])
    place = {tuple(one): k for k, one in enumerate(states)}
    generator = np.zeros((len(states), len(states)))
    for k, one in enumerate(states):
        for i, step in product(range(3), (1, -1)):
            if one[i]:
                after = one.copy()
                after[i], after[(i + step) % 3] = after[i] - 1, after[(i + step) % 3] + 1
                generator[place[tuple(after)], k] += 9 * one[i] ** alpha
                generator[k, k] -= 9 * one[i] ** alpha
    start = weights[np.arange(3), states].prod(axis=1)
    return expm(t * generator) @ start @ states, 1 - start.sum()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_the_kernel_follows_its_generator(alpha):
    # a rate off by 2, k^alpha for each particle in place of the site, initial sites of another law
    some = ["model.sites=3", f"model.alpha={alpha}", "model.rho0='0.3 + 0.2*cos(2*pi*x)'", "model.end_time=0.04"]
    study = load(STUDY, [*some, "model.observe=[0.0, 1.0]", "particles.replicas=100000"])
    found = kinlim.simulate(study)
    rho0 = study.model.rho0(x=np.arange(3) / 3)
    phi, k = study.model.phi(rho0), np.arange(12)
    weights = phi[:, None] ** k / np.array([float(factorial(one)) for one in k]) ** alpha
    total = phi[:, None] ** np.arange(60) / np.array([float(factorial(one)) for one in range(60)]) ** alpha
    exact, lost = mean_of_the_master_equation(weights / total.sum(axis=1)[:, None], alpha, 0.04)
    assert lost < 1e-4 * rho0.min()  # far below the standard errors
    for expected, rho, error in zip((rho0, exact), found.rho.values, found.rho_se.values, strict=True):
        assert np.abs((rho - expected) / error).max() < 4.5
    assert np.abs((rho0 - exact) / error).max() > 25  # it has moved far enough to tell


def test_walkers_are_exact():
    # alpha = 1: the discrete heat equation, whose wave decays at 2 n^2 (1 - cos(2 pi/n)), and Poisson numbers for ever
    study = load(STUDY, ["model.sites=8", "model.alpha=1.0", "model.observe=[1.0]", "particles.replicas=40000"])
    wave = np.cos(2 * np.pi * np.arange(8) / 8)
    exact = 1 + 0.8 * wave * np.exp(-2 * 64 * (1 - np.cos(np.pi / 4)) * study.model.end_time)
    np.testing.assert_allclose(corrected(study), exact, atol=1e-8)
    found = kinlim.simulate(study)
    assert np.abs((found.rho[0] - exact) / found.rho_se[0]).max() < 4.5
    variance = found.rho_se[0].values ** 2 * 40000
    assert np.abs(variance / exact - 1).max() < 5 * np.sqrt((2 + 1 / exact.min()) / 40000)


@pytest.mark.slow
def test_the_correction_is_what_the_particles_lack():
    # constant rate, n = 8: 16 standard errors apart; what is left is of the next order, 1/n of that, and noise
    study = load(STUDY, ["model.sites=8", "model.observe=[1.0]", "particles.replicas=200000"])
    found, limit, better = kinlim.simulate(study), kinlim.solve(study).rho[0], corrected(study)
    error = found.rho_se[0]
    assert np.abs((found.rho[0] - limit) / error).max() > 12
    assert np.abs((found.rho[0] - better) / error).max() < 18 / 8 + 4


@pytest.mark.slow
def test_a_wrong_diffusion_is_found_and_the_right_one_is_not(tmp_path):
    # of the limit with walkers, which are 1.3 % slower at n = 16; of the lattice with the constant
    # rate, too, where what is of order 1/n^2 makes the particles faster, so that 0.92 is farther away than 1.08
    some = ["model.sites=16", "particles.replicas=40000"]

    def outcomes(name, *more):
        found = workflow.run(load(STUDY, [*some, *more]), tmp_path / name)
        return [verdict["outcome"] for verdict in found["verdicts"]], found["times"]

    walkers = "model.alpha=1.0"
    assert outcomes("walkers", walkers)[0] == ["agree", "agree"]
    found, times = outcomes("fast", walkers, "pde.diffusion=1.03")
    assert found == ["differ", "agree"]
    best = min((row for row in times if row["speed_se_rho"]), key=lambda row: row["speed_se_rho"])
    assert best["speed_rho"] == pytest.approx(0.9872 / 1.03 - 1, abs=4 * best["speed_se_rho"])
    assert outcomes("lattice")[0][1] != "differ"
    assert outcomes("wrong", "corrected.diffusion=0.92")[0][1] == "differ"
