"""The reaction model as data: what its profiles have for moments, and what is refused, with the reason."""

import numpy as np
import pytest
from scipy.integrate import quad

import kinlim
from kinlim.errors import InputError
from kinlim.models.reaction.profile import GaussianProfile, MixtureProfile, PowerProfile
from kinlim.study import check, dump, parse
from kinlim.workflow import writes

PROFILES = [
    GaussianProfile(family="gaussian", covariance=2.0),
    PowerProfile(family="power", k=3.5),
    MixtureProfile(family="mixture", weights=(0.25, 0.75), means=(1.5, -0.5), covariances=(1.0, 0.25)),
]


def profile(family, d):
    if family == "mixture" and d > 1:
        return MixtureProfile(
            family="mixture", weights=(0.25, 0.75), means=((1.5,) * d, (-0.5,) * d), covariances=(1.0, 0.25)
        )
    return next(p for p in PROFILES if p.family == family)


@pytest.mark.parametrize("family", ["gaussian", "power", "mixture"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_moments_by_quadrature_are_those_stated(family, d):
    # mass, mean and D by a rule that knows chi only through its nodes, against the formula for D
    chi = profile(family, d)
    v, w = chi.quadrature(d, 10)
    assert (w > 0).all()
    assert w.sum() == pytest.approx(1, abs=1e-13)
    assert w @ v == pytest.approx(np.zeros(d), abs=1e-13)
    np.testing.assert_allclose(np.einsum("n,ni,nj->ij", w, v, v), chi.covariance_matrix(d), atol=1e-13)


@pytest.mark.parametrize("chi", PROFILES, ids=lambda chi: chi.family)
def test_densities_and_their_marginals_have_mass_one_and_variance_d(chi):
    # a wrong power of 2 pi, a wrong gamma function, or 1/2 forgotten in the marginal of a power law
    for d in (1, 2, 3):
        law = profile(chi.family, d).marginal(d)
        mass, variance = (
            quad(lambda v, p=p, law=law: v**p * law.density(np.array([[v]]))[0], -60, 60)[0] for p in (0, 2)
        )
        tail = 1e-4 if chi.family == "power" else 1e-9  # of |v| > 60: 60^-3 for k = 2.5 in the variance
        assert mass == pytest.approx(1, abs=tail)
        assert variance == pytest.approx(profile(chi.family, d).covariance_matrix(d)[0, 0], rel=30 * tail)


def test_a_marginal_is_the_law_of_the_first_component():
    # integrate the density in dimension 2 over vy, at one vx
    chi = PowerProfile(family="power", k=3.5)
    across = quad(lambda y: chi.density(np.array([[0.7, y]]))[0], -np.inf, np.inf)[0]
    assert across == pytest.approx(chi.marginal(2).density(np.array([[0.7]]))[0], rel=1e-9)


def test_full_covariances_are_kept(reaction):
    rows = [[2.0, 0.3], [0.3, 1.0]]
    reaction["model"] |= {"dimension": 2, "chi1": {"family": "gaussian", "covariance": rows}}
    reaction.pop("kinetic")
    study = check(reaction)
    np.testing.assert_array_equal(study.model.diffusion[0], rows)
    assert writes(study, "solve") == ("pde.nc",)


def test_a_study_survives_its_own_file(reaction):
    for change in ({}, {"rho_inf": 1.4}, {"bounds": [0.5, 3.0]}):
        study = check(reaction | {"model": reaction["model"] | ({} if "rho_inf" in change else change)})
        assert check(parse(dump(study), "again")) == study


def test_equilibrium_follows_from_the_masses(reaction):
    # (4) by hand: means 1.6 and 0.9, so rho - 1/rho = 0.7
    model = check(reaction).model
    assert model.mass_difference == pytest.approx(0.7, abs=1e-12)
    assert model.rho_inf - 1 / model.rho_inf == pytest.approx(0.7, abs=1e-12)
    reaction["model"]["f0"], reaction["model"]["g0"] = "0.9 - 0.3*sin(4*pi*x)", "1.6 + 0.6*cos(2*pi*x)"
    assert check(reaction).model.rho_inf == pytest.approx(1 / model.rho_inf, rel=1e-12)


def test_the_region_holds_the_data(reaction):
    # bounds of f0 are 1 and 2.2, those of 1/g0 are 1/1.2 and 1/0.6
    assert check(reaction).model.region == pytest.approx((1 / 1.2, 2.2), rel=1e-3)


def test_densities_and_fluxes_of_data_that_depend_on_the_velocity(reaction):
    # a mean over chi that forgot v, or took the sum of nodes for it
    reaction["model"] |= {"f0": "1 + 0.3*tanh(vx)", "g0": "1"}
    rho_f, rho_g, flux_f, flux_g = check(reaction).model.initial(np.array([[0.1], [0.7]]))
    flux = 0.3 * quad(lambda v: v * np.tanh(v) * np.exp(-v * v / 2) / np.sqrt(2 * np.pi), -10, 10)[0]
    assert rho_f == pytest.approx([1, 1], abs=1e-12)
    assert flux_f[:, 0] == pytest.approx([flux, flux], rel=1e-6)  # tanh has poles at distance pi/2: 64 nodes give 4e-8
    assert (rho_g == 1).all()
    assert (flux_g == 0).all()


def test_recommended_settings_meet_the_bias_with_little_to_spare(reaction):
    for bias in (0.1, 0.01, 0.001):
        reaction["particles"] |= {"bias": bias, "per_unit": 10**7}
        study = check(reaction)
        assert 0.39 * bias < study.model.time_step_bias(study.dt) <= 0.4 * bias
        assert study.model.cell_bias(1 / study.cells) <= 0.4 * bias < study.model.cell_bias(1 / (study.cells - 1))


def test_biases_of_full_matrices_are_those_of_the_worst_direction(reaction):
    # the diagonals alone would give 0.0052 for the cells; along (1, -1) D is 0.05
    rows = {"family": "gaussian", "covariance": [[1.0, 0.95], [0.95, 1.0]]}
    reaction.pop("kinetic")
    reaction["particles"] |= {"bias": 0.5}
    reaction["model"] |= {"dimension": 2, "chi1": rows, "chi2": rows, "f0": "1", "g0": "1", "epsilon": 0.1}
    model = check(reaction).model
    assert model.cell_bias(0.025) == pytest.approx(0.25**2 / (6 * 0.1), rel=1e-6)
    # D1 along one direction only, where A live longer: its excess counts alone, not averaged with that of D2
    reaction["model"] |= {
        "chi1": {"family": "gaussian", "covariance": [1.0, 0.01]},
        "chi2": {"family": "gaussian", "covariance": [0.01, 1.0]}, "f0": "3", "g0": "1/3.0",
    }  # fmt: skip
    y, model = np.array([1 / 3, 3]), check(reaction).model
    excess = y / 2 / np.tanh(y / 2) - 1
    along_y = (0.01 * 9 * excess[0] + 1 / 9 * excess[1]) / (0.01 * 9 + 1 / 9)
    assert model.time_step_bias(0.01) == pytest.approx(along_y, rel=1e-6)


REFUSED = [
    ({"epsilon": 0.0}, "model.epsilon = 0.0", "greater than 0"),
    ({"epsilon": 1e-9}, "model.epsilon = 1e-09", "1e-8"),
    ({"chi2": {"family": "power", "k": 0.5}}, "chi2.k = 0.5", "not integrable"),
    ({"chi2": {"family": "power", "k": 1.5}}, "chi2.k = 1.5", "k > 1.5"),
    ({"chi2": {"family": "mixture", "weights": [0.5, 0.5], "means": [1.0, 0.0], "covariances": [1.0, 1.0]}},
     "chi2.means", "mean velocity [0.5]"),
    ({"chi2": {"family": "mixture", "weights": [0.5, 0.4], "means": [0.0, 0.0], "covariances": [1.0, 1.0]}},
     "weights = [0.5, 0.4]", "mass one"),
    ({"chi1": {"family": "gaussian", "covariance": -1.0}}, "chi1.covariance = -1", "eigenvalues between"),
    ({"dimension": 2, "chi1": {"family": "gaussian", "covariance": [[1.0, 2.0], [2.0, 1.0]]}},
     "chi1.covariance", "positive definite"),
    ({"dimension": 2, "chi1": {"family": "gaussian", "covariance": [[1.0, 0.2], [0.1, 1.0]]}}, "chi1.cov", "symmetric"),
    ({"dimension": 2, "chi1": {"family": "gaussian", "covariance": [1.0, 2.0, 3.0]}}, "chi1.covariance", "dimension 2"),
    ({"f0": "0.5 + 0.6*cos(2*pi*x)"}, "f0 = '0.5", "invariant region"),
    ({"f0": "2 + vx"}, "f0 = '2 + vx'", "positive"),
    ({"f0": "2 + vx**2"}, "f0 = '2 + vx**2'", "not bounded"),
    ({"f0": "1/(1+vx**2)"}, "f0 = '1/(1+vx**2)'", "not bounded"),
    ({"f0": "1 + x"}, "f0 = '1 + x'", "periodic"),
    ({"f0": "1 + y"}, "f0 = '1 + y'", "y has no meaning in dimension 1"),
    ({"f0": "1/(x-1/2)**2"}, "f0 = '1/(x-1/2)**2'", "finite"),
    ({"chi1": {"family": "gaussian", "covariance": 1e300}}, "chi1.covariance = 1e+300", "choose other units"),
    ({"chi1": {"family": "gaussian", "covariance": "1"}}, "chi1.covariance = '1'", "made of finite numbers"),
    ({"chi1": {"family": "gaussian", "covariance": float("nan")}}, "chi1.covariance = nan", "made of finite numbers"),
    ({"chi2": {"family": "mixture", "weights": [0.5, 0.5], "means": [1e200, -1e200], "covariances": [1.0, 1.0]}},
     "means[0] = 1e+200", "choose other units"),
    ({"chi2": {"family": "mixture", "weights": [1.0], "means": 0.0, "covariances": [1.0]}}, "means = 0", "a list"),
    ({"chi2": {"family": "power", "k": 1100}}, "chi2.k = 1100", "500"),
    ({"f0": "1e200"}, "f0 = '1e200'", "are possible"),
    ({"f0": "1.5 + 0.5*cos(512*pi*x)"}, "f0 = '1.5", "varies too fast"),
    ({"end_time": 1e-300}, "end_time = 1e-300", "1e-16"),
    ({"bounds": [1.0, 2.0]}, "bounds = [1.0, 2.0]", "outside the invariant region"),
    ({"bounds": [3.0, 2.0]}, "bounds = [3.0, 2.0]", "lo < hi"),
    ({"rho_inf": 2.0}, "rho_inf = 2", "needs the masses"),
    ({"dimension": 4}, "dimension = 4", "less than or equal to 3"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "key", "why"), REFUSED, ids=[str(one[0])[:50] for one in REFUSED])
def test_impossible_physics_is_refused_with_the_reason(reaction, change, key, why):
    reaction["model"] |= change
    with pytest.raises(InputError) as refusal:
        check(reaction)
    assert key in str(refusal.value)
    assert why in str(refusal.value)


@pytest.mark.parametrize(
    ("table", "change", "key", "why"),
    [("pde", {"lumped": True}, "lumped = true", "degree 1"), ("kinetic", {"modes": 7}, "modes = 7", "multiple of 2")],
)
def test_impossible_settings_are_refused_with_the_reason(reaction, table, change, key, why):
    reaction[table] |= change
    with pytest.raises(InputError) as refusal:
        check(reaction)
    assert key in str(refusal.value)
    assert why in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "key", "why"),
    [
        ({"dt": 0.1}, "particles.bias = 0.01 cannot be met", "dt = 0.1 makes"),
        ({"cells": 3}, "particles.bias = 0.01 cannot be met", "cells = 3 makes"),
        ({"per_unit": 100}, "particles.bias = 0.01 cannot be met", "per_unit = 100 makes"),
        ({"per_unit": 10**9}, "particles.per_unit = 1000000000", "particles"),
        ({"bias": 1e-16}, "particles.cells", "cells"),
        ({"dt": 1e-14}, "particles.dt = 1e-14", "steps"),
    ],
)
def test_particles_that_cannot_be_simulated_as_wanted(reaction, change, key, why):
    # refused where particles are wanted, and only there: the equations alone can be solved
    reaction["particles"] |= change
    study = check(reaction)
    with pytest.raises(InputError) as refusal:
        study.simulable()
    assert key in str(refusal.value)
    assert why in str(refusal.value)
    with pytest.raises(InputError):
        kinlim.simulate(study)


def test_bins_are_limited(reaction):
    reaction.pop("kinetic")
    reaction["model"]["dimension"] = 3
    reaction["model"]["chi2"]["k"] = 4
    reaction["particles"] |= {"bins": 500, "bias": 1.0}
    with pytest.raises(InputError, match="bins = 500 makes 5e"):
        check(reaction).simulable()


def test_the_kinetic_system_is_planar_in_dimension_3(reaction):
    reaction["model"] |= {"dimension": 3, "f0": "1 + 0.2*cos(2*pi*y)"}
    reaction["model"]["chi2"]["k"] = 4
    with pytest.raises(InputError, match="x and vx only"):
        check(reaction)
