"""Chains between reservoirs, of exclusion and of shared energies: means, covariances and their signs, wrong ends."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

import kinlim
from kinlim import workflow
from kinlim.study import load

GALLERY = Path(__file__).parents[1] / "examples" / "gallery"
LATE = ["model.end_time=3.0", "model.observe=[1.0]"]


def test_exclusion_follows_its_master_equation():
    # all 2^5 configurations of 5 sites: a reservoir of the wrong rate, a source of the wrong sign
    n, t = 6, 0.03
    study = load(
        GALLERY / "exclusion_reservoirs.toml", [f"model.sites={n}", f"model.end_time={t}", "model.observe=[1.0]"]
    )
    left, right = study.model.ends
    states = np.array(list(product((0, 1), repeat=n - 1)))
    weights = 1 << np.arange(n - 1)[::-1]
    number, generator = states @ weights, np.zeros((2 ** (n - 1),) * 2)

    def add(after, rate):
        np.add.at(generator, (after @ weights, number), rate)
        np.add.at(generator, (number, number), -np.broadcast_to(rate, number.shape))

    for i in range(n - 2):
        swapped = states.copy()
        swapped[:, [i, i + 1]] = swapped[:, [i + 1, i]]
        add(swapped, float(n**2))
    for site, density in ((0, left), (-1, right)):
        for value, share in ((1, density), (0, 1 - density)):
            filled = states.copy()
            filled[:, site] = value
            add(filled, n**2 * share)
    rho0 = study.model.rho0(x=np.arange(1, n) / n)
    law = expm(t * generator) @ np.where(states == 1, rho0, 1 - rho0).prod(axis=1)
    rho = law @ states
    found = kinlim.solve(study, "exact")
    np.testing.assert_allclose(found.rho[0], rho, atol=1e-9)
    np.testing.assert_allclose(found.covariance[0], (states * law[:, None]).T @ states - np.outer(rho, rho), atol=1e-9)


def stationary(name, sites):
    """Covariances of different sites in the long run over x (1 - y), and the squared difference of the ends."""
    study = load(GALLERY / f"{name}.toml", [f"model.sites={sites}", *LATE])
    i, upper = np.arange(1, sites), np.triu_indices(sites - 1, 1)
    found = kinlim.solve(study, "exact").covariance[0].to_numpy()
    return (found * sites**2 / (i[:, None] * (sites - i)))[upper], np.diff(study.model.ends)[0] ** 2


@pytest.mark.parametrize("sites", [5, 16])
def test_stationary_correlations_of_exclusion_are_the_known_ones(sites):
    found, difference = stationary("exclusion_reservoirs", sites)
    np.testing.assert_allclose(found, -difference / (sites - 1), rtol=1e-6)


def test_energies_are_correlated_with_the_other_sign():
    # n cov -> +(difference)^2 x (1 - y): what is left falls like 1/n, but for pairs a few sites from a bath
    away = []
    for sites in (8, 16):
        found, difference = stationary("kmp", sites)
        assert (found > 0).all()
        away.append(np.median(np.abs(sites * found / difference - 1)))
    assert np.log2(away[0] / away[1]) == pytest.approx(1, abs=0.2)


def test_energies_in_equilibrium_stay_independent():
    # between equal baths the exponential law is invariant: E[e^2] = 2 T^2 would fail with 1/4 for 1/3
    study = load(GALLERY / "kmp.toml", ['model.T0="2"', "model.sites=8", *LATE])
    np.testing.assert_allclose(kinlim.solve(study, "exact").covariance[0], 4 * np.eye(7), atol=1e-8)


@pytest.mark.parametrize(("name", "mean"), [("exclusion_reservoirs", "rho"), ("kmp", "T")])
def test_kernels_follow_the_exact_moments(name, mean):
    some = ["model.sites=6", "model.end_time=0.05", "model.observe=[0.4, 1.0]", "particles.replicas=40000"]
    study = load(GALLERY / f"{name}.toml", some)
    found, exact = kinlim.simulate(study), kinlim.solve(study, "exact")
    for variable in (mean, "covariance"):
        z = ((found[variable] - exact[variable]) / found[f"{variable}_se"]).to_numpy()
        assert np.abs(z).max() < 4.5  # of at most 50: once in 3000 times by chance
    moved = (exact[mean] - exact[f"initial_{mean}"]) / found[f"{mean}_se"]
    assert np.abs(moved).max() > 25


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wrong"), [("exclusion_reservoirs", 'pde.right="free"'), ("kmp", "pde.diffusion=1.3")]
)
def test_a_wrong_equation_is_found(tmp_path, name, wrong):
    some = ["particles.replicas=30000"]
    found = workflow.run(load(GALLERY / f"{name}.toml", [*some, wrong]), tmp_path / "wrong")
    assert [verdict["outcome"] for verdict in found["verdicts"]] == ["differ", "agree", "agree"]
