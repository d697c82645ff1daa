"""Studies of Kac particles: initial laws as they are meant, and everything that cannot work refused with its reason."""

from math import factorial, pi, sqrt

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss, hermeval

from kinlim.errors import InputError
from kinlim.formula import Formula
from kinlim.models.kac.law import SCALE, GaussianLaw, PolynomialLaw, lowest, squared_distance
from kinlim.models.kac.polynomial import Polynomial
from kinlim.models.kac.symmetric import multi_indices
from kinlim.study import check, dump, parse

GAUSSIAN = GaussianLaw(family="gaussian", temperature=1.4, drift=(0.2, 0.0, -0.3))
POLYNOMIAL = PolynomialLaw(family="polynomial", density="4*pi**2*x**2*(y-z)**2/2")


def test_a_study_is_read_back(kac):
    study = check(kac)
    assert check(parse(dump(study), "text")) == study
    assert study.model.rates == (0.7 * 3 / 2, 1.1 * 3, 1.3 * 12 / 2)
    assert study.particles.block == 512


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lambda_s", 0.0, "model.lambda_s = 0.0: should be greater than 0"),
        ("lambda_r", -1.0, "model.lambda_r = -1.0: should be greater than 0"),
        ("mu", 0.0, "model.mu = 0.0: should be greater than 0"),
        ("mu", float("nan"), "model.mu = nan: should be a finite number"),
        ("system", 0, "model.system = 0: should be greater than or equal to 1"),
        ("reservoir", 2, "model.reservoir = 2 is smaller than system = 3; a reservoir has at least as many particles"),
        ("end_time", 1e300, "model.end_time = 1e+300 is about 1.22e+301 collisions"),
        ("h0", 3, "model.h0 = 3: should be a table"),
        ("h0", {"family": "cauchy"}, "model.h0.family = 'cauchy' is not known; the families are gaussian, polynomial"),
        ("h0", {"temperature": 1.5}, "model.h0.family is missing; the families are gaussian, polynomial"),
        ("h0", {"family": "gaussian", "temperature": 2.0}, "model.h0.temperature = 2.0: must be below 2"),
        ("h0", {"family": "gaussian", "drift": [1.0]}, "model.h0.drift = [1.0]: has too few entries"),
        (
            "h0",
            {"family": "gaussian", "density": "1"},
            "model.h0.density = '1': unknown key; [model.h0] takes family, t",
        ),
        ("h0", {"family": "gaussian"}, "model.h0 = 1, the equilibrium: both systems stay there"),
        ("h0", {"family": "polynomial", "density": "1"}, "model.h0 = 1, the equilibrium"),
        ("h0", {"family": "polynomial"}, "model.h0.density is missing; [model.h0] takes family, density, particles"),
        (
            "h0",
            {"family": "polynomial", "density": "2*x**2"},
            "model.h0.density = '2*x**2' is not normalised: its mean over equilibrium is 0.318309886, not 1",
        ),
        ("h0", {"family": "polynomial", "density": "1+x"}, "model.h0.density = '1+x' is negative: -"),
        # negative in a small place only, far from the axes and from equilibrium's bulk
        (
            "h0",
            {"family": "polynomial", "density": "((x-1.3)**2+(y-0.7)**2+(z+2.1)**2-0.01)/(6.58+3/(2*pi))"},
            "is negative",
        ),
        ("h0", {"family": "polynomial", "density": "exp(x)"}, "model.h0.density = 'exp(x)' has exp of a variable"),
        ("h0", {"family": "polynomial", "density": "1/(1+x**2)"}, "divides by a variable, so it is not a polynomial"),
        ("mu", 1e-9, "model.lambda_r = 1.3 is more than 1e+08 times mu = 1e-09; rounding would drown the slower one"),
        ("h0", {"family": "polynomial", "density": "(-1)**0.5"}, "is not a real number"),
        (
            "h0",
            {"family": "polynomial", "density": "x**(1e300*1e300-1e300*1e300)"},
            "a power that is not a whole number",
        ),
        ("system", "x", "model.system = 'x': should be a valid integer"),
        ("h0", {"family": "polynomial", "density": "x**0.5"}, "has a power that is not a whole number"),
        ("h0", {"family": "polynomial", "density": "2**x"}, "has a variable in a power"),
        ("h0", {"family": "polynomial", "density": "x**14"}, "has degree 14; at most 12 is possible"),
        ("h0", {"family": "polynomial", "density": "1+u"}, "unknown name 'u'; the names are x, y, z, pi, e"),
        (
            "h0",
            {"family": "polynomial", "density": "2*pi*x**2", "particles": 4},
            "model.h0.particles = 4 is more than system = 3",
        ),
    ],
)
def test_bad_physics_is_refused(kac, key, value, message):
    kac["model"][key] = value
    with pytest.raises(InputError) as error:
        check(kac, "mine.toml")
    assert str(error.value).startswith("mine.toml: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("table", "key", "value", "message"),
    [
        ("exact", "degree", 1, "exact.degree = 1: should be greater than or equal to 2"),
        ("exact", "degree", 7, "exact.degree = 7: should be less than or equal to 6"),
        ("particles", "coupled", 1, "particles.coupled = 1: should be a valid boolean"),
        ("particles", "block", 2**20, "particles.block = 1048576 with model.system = 3 and model.reservoir = 1000000"),
        (
            "pde",
            "cells",
            10,
            "pde = {'cells': 10}: unknown key; the tables of a study are study, model, particles, exact",
        ),
    ],
)
def test_bad_settings_are_refused(kac, table, key, value, message):
    kac["model"]["reservoir"] = 10**6
    kac.setdefault(table, {})[key] = value
    with pytest.raises(InputError) as error:
        check(kac)
    assert message in str(error.value)


def quadrature(law, alpha):
    """The moment of a law by Gauss and Hermite's rule: an independent way."""
    nodes, weights = hermegauss(30)
    weights = weights / sqrt(2 * pi)
    x = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), axis=-1)
    weight = np.einsum("i,j,k->ijk", weights, weights, weights)
    if isinstance(law, GaussianLaw):
        x = np.array(law.drift) / SCALE + sqrt(law.temperature) * x
        density = 1.0
    else:
        density = law.density(x=SCALE * x[..., 0], y=SCALE * x[..., 1], z=SCALE * x[..., 2])
    hermite = np.prod([hermeval(x[..., k], np.eye(a + 1)[a]) for k, a in enumerate(alpha)], axis=0)
    return float((weight * density * hermite).sum())


@pytest.mark.parametrize("law", [GAUSSIAN, POLYNOMIAL])
def test_moments_of_the_laws(law):
    # a factorial too many in a moment, or units of v for those of equilibrium
    for n in range(5):
        for alpha in multi_indices(n):
            assert law.moment(alpha) == pytest.approx(quadrature(law, alpha), abs=1e-10 * factorial(n))


@pytest.mark.slow
def test_distance_from_equilibrium():
    # sum over all Hermite functions of one particle: slow, but nothing of the closed forms enters
    for law in (GAUSSIAN, POLYNOMIAL):
        squares = sum(
            law.moment(alpha) ** 2 / np.prod([float(factorial(a)) for a in alpha])
            for n in range(1, 60 if law is GAUSSIAN else 5)
            for alpha in multi_indices(n)
        )
        assert squared_distance(law, 1) == pytest.approx(squares, rel=1e-9)
    q = squared_distance(GAUSSIAN, 1)
    assert squared_distance(GAUSSIAN, 3) == pytest.approx((1 + q) ** 3 - 1, rel=1e-12)
    # a density so near to equilibrium that ||g||^2 - 1 would be rounding
    near = PolynomialLaw(family="polynomial", density="1 + 1e-9*(2*pi*x**2 - 1)")
    assert squared_distance(near, 1) == pytest.approx(2e-18, rel=1e-9)
    # one of M particles: (1/M) sum g(v_i), whose parts are orthogonal
    one = POLYNOMIAL.model_copy(update={"particles": 1})
    assert squared_distance(one, 7) == pytest.approx(squared_distance(one, 1) / 7, rel=1e-12)


def test_formulas_become_polynomials():
    formula = Formula.parse("(1 - x*y)**2/4 + sqrt(pi)*z - 2", ("x", "y", "z"))
    found = Polynomial.of(formula)
    points = np.random.default_rng(1).normal(size=(20, 3))
    assert found(points) == pytest.approx(formula(x=points[:, 0], y=points[:, 1], z=points[:, 2]), abs=1e-12)
    assert found.degree == 4
    assert found.scaled(2.0)(points) == pytest.approx(found(2 * points), rel=1e-12)


def test_the_search_for_negative_values():
    # a square touches zero and is not negative; a dent that a coarse grid would miss is found
    square = Polynomial.of(Formula.parse("(x - 0.123456789)**2*(1 + y**2)", ("x", "y", "z")))
    assert lowest(square)[0] == 0
    dent = Polynomial.of(Formula.parse("(x-1.2)**2 + (y+0.3)**2 + (z-2.7)**2 - 1e-4", ("x", "y", "z")))
    value, where = lowest(dent)
    assert value < 0
    assert where == pytest.approx([1.2, -0.3, 2.7], abs=0.02)
