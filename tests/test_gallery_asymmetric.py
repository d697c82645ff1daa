"""Asymmetric exclusion, weak and total: kernels by brute force, wrong fluxes found wrong, the shock's smear."""

import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csc_array
from scipy.sparse.linalg import expm_multiply
from scipy.stats import norm

import kinlim
from kinlim import workflow
from kinlim.study import load

GALLERY = Path(__file__).parents[1] / "examples" / "gallery"


def mean_of_the_master_equation(start, right, left, t):
    """E[eta_i] on a ring, from all configurations; jumps to a free place at these rates."""
    n = len(start)
    states = np.array(list(product((0, 1), repeat=n)))
    number = states @ (1 << np.arange(n)[::-1])
    generator = np.zeros((2**n, 2**n))
    for i in range(n):
        j = (i + 1) % n
        for here, there, rate in ((i, j, right), (j, i, left)):
            free = (states[:, here] == 1) & (states[:, there] == 0)
            after = states[free].copy()
            after[:, [here, there]] = after[:, [there, here]]
            np.add.at(generator, (after @ (1 << np.arange(n)[::-1]), number[free]), rate)
            np.add.at(generator, (number[free], number[free]), -rate)
    law = expm_multiply(t * csc_array(generator), np.where(states == 1, start, 1 - start).prod(axis=1))
    return law @ states


@pytest.mark.parametrize(
    ("name", "some", "rates"),
    [
        ("weakly_asymmetric", ["model.sites=8", "model.field=6.0", "model.end_time=0.01"], (64 + 24, 64 - 24)),
        ("asymmetric", ["model.sites=8", "model.block=1", "model.end_time=0.2"], (8, 0)),
    ],
)
def test_kernels_follow_their_generators(name, some, rates):
    # a rate off by 2, a jump the wrong way, a full place entered: a ring of 8 sites tells all of them
    study = load(GALLERY / f"{name}.toml", [*some, "particles.replicas=40000", "model.observe=[1.0]"])
    found = kinlim.simulate(study)
    n, physics = 8, study.model
    start = physics.step((np.arange(n) + 0.5) / n) if name == "asymmetric" else physics.rho0(x=np.arange(n) / n)
    exact = mean_of_the_master_equation(start, *rates, physics.end_time)
    z = ((found.rho[0] - exact) / found.rho_se[0]).to_numpy()
    assert np.abs(z).max() < 4.5
    assert np.abs((start - exact) / found.rho_se[0]).max() > 40  # it has moved far enough to tell


def test_what_correlations_leave_out_is_of_order_two():
    # cumulants of three sites are of order 1/n^2: a wrong source or a wrong neighbour leaves an error of order 1/n
    errors = []
    for n in (8, 12):
        some = [f"model.sites={n}", "model.field=3.0", "model.end_time=0.03", "model.observe=[1.0]"]
        study = load(GALLERY / "weakly_asymmetric.toml", some)
        start = study.model.rho0(x=np.arange(n) / n)
        exact = mean_of_the_master_equation(start, n**2 + 1.5 * n, n**2 - 1.5 * n, 0.03)
        errors.append(np.abs(kinlim.solve(study, "corrected").rho[0] - exact).max())
        limit = np.abs(kinlim.solve(study, "pde").rho[0] - exact).max()
    assert np.log(errors[0] / errors[1]) / np.log(12 / 8) > 1.7
    assert errors[1] < limit / 10


@pytest.mark.slow
def test_a_flux_of_the_wrong_sign_is_found(tmp_path):
    some = ["particles.replicas=2000"]
    right = workflow.run(load(GALLERY / "weakly_asymmetric.toml", some), tmp_path / "right")
    assert right["verdicts"][0]["outcome"] != "differ"
    wrong = workflow.run(load(GALLERY / "weakly_asymmetric.toml", [*some, "pde.drift=-1"]), tmp_path / "wrong")
    assert wrong["verdicts"][0]["outcome"] == "differ"


@pytest.mark.slow
def test_the_shock_stands_where_the_mass_says_and_is_smeared_as_the_data_fluctuate(tmp_path):
    # mean and standard deviation of the shock's place, from the mean profile around it: D t/n by Ferrari and Fontes
    shutil.copy(GALLERY / "asymmetric.py", tmp_path)
    n, low, high, t = 1000, 0.2, 0.7, 0.2
    text = (GALLERY / "asymmetric.toml").read_text()
    (tmp_path / "s.toml").write_text(text)
    some = [
        f"model.sites={n}",
        "model.block=5",
        f"model.end_time={t}",
        "model.observe=[1.0]",
        "particles.replicas=3000",
    ]
    found = kinlim.simulate(load(tmp_path / "s.toml", some))
    near = (found.x > 0.3) & (found.x < 0.8)
    x, rho, error = (values.to_numpy() for values in (found.x[near], found.rho[0, near], found.rho_se[0, near]))
    width = x[1] - x[0]
    place = x[-1] + width / 2 - (rho - low).sum() * width / (high - low)
    place_se = np.sqrt((error**2).sum()) * width / (high - low)
    assert place == pytest.approx(0.5 + (1 - low - high) * t, abs=5 * place_se)
    spread = np.sqrt((low * (1 - low) + high * (1 - high)) / (high - low) * t / n)
    known = error > 0
    ratios = np.linspace(0.8, 1.2, 401)
    misfit = [
        (((smeared(x, place, r * spread, low, high) - rho) / np.where(known, error, 1))[known] ** 2).sum()
        for r in ratios
    ]
    best, curvature = np.argmin(misfit), np.polyfit(ratios, misfit, 2)[0]
    assert ratios[best] == pytest.approx(1, abs=5 / np.sqrt(curvature))


def smeared(x, place, spread, low, high):
    """A step whose place is Gaussian."""
    return low + (high - low) * norm.cdf((x - place) / spread)
