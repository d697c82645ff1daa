"""Oscillators of Kuramoto: few of them exactly, the order 1/N, the transition, and a wrong coupling found wrong."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import brentq
from scipy.sparse.linalg import expm_multiply
from scipy.special import i0, i1

import kinlim
from kinlim import workflow
from kinlim.study import load, model_of

STUDY = Path(__file__).parents[1] / "examples" / "gallery" / "kuramoto.toml"


def few(model, waves, largest):
    """E[exp(i sum_i k_i theta_i)] at the end, k = waves, from the Fokker-Planck equation of all N oscillators at once.

    It knows nothing of empirical modes: each pair turns g(k) into g(k -+ e_i +- e_j), which leaves the sum of k alone.
    """
    n = len(waves)
    k = np.array([k for k in product(range(-largest, largest + 1), repeat=n) if sum(k) == sum(waves)])
    number = {tuple(map(int, one)): place for place, one in enumerate(k)}
    rows, columns, rates = list(range(len(k))), list(range(len(k))), list(-model.noise * (k**2).sum(axis=1))
    for row, i, j, sign in product(range(len(k)), range(n), range(n), (1, -1)):
        other = k[row].copy()
        other[i] -= sign
        other[j] += sign
        if i != j and (column := number.get(tuple(map(int, other)))) is not None:
            rows.append(row), columns.append(column), rates.append(sign * model.coupling * k[row, i] / (2 * n))
    x = (np.arange(4096) + 0.5) / 4096
    start = np.exp(2j * np.pi * np.outer(np.arange(-largest, largest + 1), x)) @ model.rho0(x=x) / 4096
    generator = sparse.csr_array((rates, (rows, columns)))
    return expm_multiply(model.end_time * generator, start[k + largest].prod(axis=1))[number[waves]]


def exact(study):
    """The variables of exact.nc."""
    found = {side.name: side for side in model_of(study).sides}["exact"].maker().values(study)
    return {name: values for name, (_, values, _) in found.items()}


def study_of(*some):
    """The study with some settings, observed at its end."""
    return load(STUDY, ["model.observe=[1.0]", *some])


def test_the_kernel_is_the_fokker_planck_equation_of_three():
    # a sign in sin, N in place of N - 1 partners, a step of first order, or noise off by a factor
    study = study_of("model.oscillators=3", "model.end_time=0.5", "particles.replicas=200000", "particles.block=4000")
    found = kinlim.simulate(study).isel(time=0)
    for k in (1, 2):
        mean = few(study.model, (k, 0, 0), 10)
        z = (found.modes[k - 1] - [2 * mean.real, 2 * mean.imag]) / found.modes_se[k - 1]
        assert np.abs(z).max() < 4.5
    coherence = (1 + 2 * few(study.model, (1, -1, 0), 10).real) / 3
    assert abs(found.coherence - coherence) < 4.5 * found.coherence_se
    free = few(study.vary("model", coupling=0.0).model, (1, -1, 0), 10).real
    assert abs((1 + 2 * free) / 3 - coherence) > 50 * found.coherence_se


def test_the_order_one_over_n_is_that_of_few_oscillators():
    # N (E[Z] - z) at N = 2, 3, 4 extrapolated to 1/N = 0: a term left out of the hierarchy changes tens of percent
    study = study_of("model.coupling=1.0", "model.end_time=0.5", "model.oscillators=2")
    known, limit = exact(study), exact(study)["limit_modes"][0]

    def extrapolated(values):
        return np.polyfit([1 / 2, 1 / 3, 1 / 4], values, 2)[2]

    for k in (1, 2):
        means = [2 * few(study.model, (k, *[0] * (n - 1)), 12 - 2 * n) for n in (2, 3, 4)]
        found = extrapolated([n * (mean.real - limit[k - 1, 0]) for n, mean in zip((2, 3, 4), means, strict=True)])
        assert found == pytest.approx(2 * (known["modes"][0] - limit)[k - 1, 0], rel=0.02)
    r2 = known["limit_coherence"][0]
    pairs = [few(study.model, (1, -1, *[0] * (n - 2)), 12 - 2 * n).real for n in (2, 3, 4)]
    found = extrapolated([1 + (n - 1) * pair - n * r2 for n, pair in zip((2, 3, 4), pairs, strict=True)])
    assert found == pytest.approx(2 * (known["coherence"][0] - r2), rel=0.02)


def test_the_weak_form_with_fields_for_integrals_is_the_hierarchy():
    study = load(STUDY, [])
    pde, known = kinlim.solve(study), exact(study)
    integrals = 2 * np.stack([pde.C.mean("x"), pde.S.mean("x")], axis=1)
    np.testing.assert_allclose(integrals, known["limit_modes"][:, 0], atol=3e-7)  # 1/SPREAD/(4 pi^2), near that
    found = np.fft.rfft(pde.rho.values, axis=1)[:, 1:5] * 2 / pde.sizes["x"]
    np.testing.assert_allclose(np.stack([found.real, -found.imag], axis=2), known["limit_modes"], atol=1e-6)
    assert max(np.ptp(pde.C.values), np.ptp(pde.S.values)) > 0.01  # they move in time ...
    assert max(np.ptp(pde.C.values, axis=1).max(), np.ptp(pde.S.values, axis=1).max()) < 1e-6  # ... and not in space


@pytest.mark.parametrize("ratio", [0.5, 1.1, 1.5, 3.0])
def test_order_appears_at_the_critical_coupling(ratio):
    # K = 2 D ratio, at another D than 1; a K_c off by 2, or K/D upside down
    study = study_of("model.noise=0.8", f"model.coupling={1.6 * ratio}", "model.end_time=60.0")
    pde = kinlim.solve(study).isel(time=0)
    found, pull = float(np.hypot(pde.C.mean(), pde.S.mean())), 2 * ratio
    r = brentq(lambda r: i1(pull * r) / i0(pull * r) - r, 1e-3, 1) if ratio > 1 else 0.0
    assert found == pytest.approx(r, abs=2e-6)


def test_below_the_critical_coupling_fluctuations_are_enhanced():
    # E|Z_1|^2 = 1/(N (1 - K/K_c)) where the limit has no order, and 1/N without coupling
    study = study_of("model.coupling=1.2", "model.end_time=20.0", "model.oscillators=1000")
    assert exact(study)["coherence"][0] == pytest.approx(1 / (1000 * (1 - 0.6)), rel=1e-3)


@pytest.mark.slow
def test_a_wrong_coupling_is_found_and_the_right_one_is_not(tmp_path):
    # N so large that the order 1/N is below noise
    some = "model.oscillators=4096", "particles.replicas=400", "particles.block=16"
    right = workflow.run(load(STUDY, list(some)), tmp_path / "right")
    assert [verdict["outcome"] for verdict in right["verdicts"]] == ["agree"] * 4
    wrong = workflow.run(load(STUDY, [*some, "pde.coupling=1.03"]), tmp_path / "wrong")
    assert [verdict["outcome"] for verdict in wrong["verdicts"]] == ["differ", "agree", "differ", "agree"]
