"""The comparison: what noise explains is called noise, and what it does not is given with its error."""

import numpy as np
import pytest
import xarray as xr
from conftest import PIXEL

from kinlim import workflow
from kinlim.errors import InputError
from kinlim.statements import table
from kinlim.study import check
from kinlim.validation import report
from kinlim.validation.pinned import COMPARISON

SITES, REPLICAS = 400, 500
NO_PICTURES = dict.fromkeys(("mu", "sigma", "spreads"), PIXEL)
STUDY = '[model]\ninterval = [0.0, 1.0]\nmu0 = "cos(3*x)/2"\nsigma0 = "0.3 + 0.1*x"\n'


def datasets(bias=0.0, seed=1, noise=0.02):
    """A made-up pair: the particles are the solution, plus a bias, plus independent noise of known size."""
    rng = np.random.default_rng(seed)
    x, time = np.linspace(0, 1, SITES), np.array([0.5, 1.0])
    mu, sigma = np.cos(3 * x) * np.ones((2, 1)), 0.3 + 0.1 * x * np.ones((2, 1))
    se = noise * (1 + x) * np.ones((2, 1))
    profile, coords = ("time", "x"), {"time": time, "x": x, "site": ("x", np.arange(SITES))}
    particles = xr.Dataset(
        {
            "mu": (profile, mu * (1 + bias) + se * rng.normal(size=mu.shape)), "mu_se": (profile, se),
            "sigma": (profile, sigma * (1 + bias) + se * rng.normal(size=mu.shape)), "sigma_se": (profile, se),
            "sigma_local": (profile, np.pad(sigma[:, 1:-1], ((0, 0), (1, 1)), constant_values=np.nan)),
            "correlation": (("time", "lag"), np.array([[0.1, 0.05], [0.2, 0.1]])),
            **{name: ("time", [1e-15, 2e-15]) for name in ("momentum_drift", "energy_drift")},
            **{name: ("time", [1.0, 1.0]) for name in ("momentum", "energy", "momentum_se", "energy_se")},
        },
        coords={**coords, "fraction": ("time", [0.5, 1.0])},
        attrs={
            "title": "made up: particles", "model": "pinned", "replicas": REPLICAS, "particle_lambda": 2.0,
            "end_time": 1.0, "balls": SITES, "collisions": 7 * REPLICAS, "source": "kinlim", "git": "none",
            "wall_seconds": 1.0, "ranks": 1,
            "threads": 1, "seed": "1", "versions": "", "study": STUDY,
        },
    )  # fmt: skip
    pde = xr.Dataset(
        {
            "mu": (("time", "x"), mu), "sigma": (("time", "x"), sigma),
            "initial_mu": ("x", 0.5 * mu[0]), "initial_sigma": ("x", sigma[0]), "min_w": ("time", [0.0, 0.0]),
            **{name: ("time", [1e-14, 3e-14]) for name in ("momentum_drift", "energy_drift")},
            **{name: ("time", [1.0, 1.0]) for name in ("momentum", "energy")},
            "energy_flux": ("time", [0.0, 0.0]),
        },
        coords={"time": time, "x": x},
        attrs={
            "title": "made up: equations", "model": "pinned", "source": "kinlim", "git": "none", "threads": 1,
            "versions": "", "lambda": 2.0, "system": "B'", "cells": 3, "degree": 2, "grading": 1.0, "steps": 4,
            "rejected_steps": 0, "rtol": 1e-6, "initial_error_mu": 0.0, "wall_seconds": 1.0, "stepping_seconds": 1.0,
            "ranks": 1,
            "regularisation": 1e-12, "boundary": "noflux", "study": STUDY,
        },
    )  # fmt: skip
    return particles, pde


def compare(particles, pde):
    """What is found of such a pair."""
    return COMPARISON.compare({"particles": particles, "pde": pde})


def reported(particles, pde, drawn=False):
    """The page and the content of metrics.json."""
    data = {"particles": particles, "pde": pde}
    comparison, numbers = COMPARISON.conclude(data)
    pictures = COMPARISON.draw(comparison, data) | COMPARISON.draw_solutions(data) if drawn else NO_PICTURES
    return COMPARISON.html(comparison, numbers, pictures, data), numbers


def test_pure_noise_is_noise():
    chi2 = []
    for seed in range(20):
        result = compare(*datasets(seed=seed))
        assert result.rel_l2_mu.values == pytest.approx(result.rel_l2_noise_mu.values, rel=0.15)
        chi2.append(result.chi2_mu.values)
    # 40 values of mean 1 and standard deviation sqrt(2/400)
    assert np.mean(chi2) == pytest.approx(1, abs=4 * np.sqrt(2 / SITES / 40))


@pytest.mark.slow
def test_noise_alone_is_called_a_difference_only_as_often_as_stated():
    # the test statistic over 400 made-up pairs is N(0, 1)
    z = np.concatenate([compare(*datasets(seed=seed)).excess_z_mu.values for seed in range(200)])
    assert z.mean() == pytest.approx(0, abs=4 / np.sqrt(400))
    assert z.std(ddof=1) == pytest.approx(1, abs=4 / np.sqrt(2 * 400))


def test_a_bias_is_found_with_its_error():
    # the noise is as large as the bias: without taking it out, the excess would be 1.4 times too large
    estimates = []
    for seed in range(40):
        result = compare(*datasets(bias=0.02, seed=seed)).isel(time=-1)
        estimates.append((float(result.rel_l2_excess_mu), float(result.rel_l2_excess_se_mu)))
    values, errors = np.array(estimates).T
    assert values.mean() == pytest.approx(0.02, abs=4 * values.std(ddof=1) / np.sqrt(40) + 0.02 * 0.03)
    assert values.std(ddof=1) == pytest.approx(errors.mean(), rel=0.5)  # the error has the size of the scatter


def test_distances_in_the_bulk_and_behind_the_waves_from_the_ends():
    # lambda t = 0.3: the bulk is 0.36 < x < 0.64, and 0.24 from an end is behind its wave
    found = []
    for seed in range(40):
        particles, pde = datasets(seed=seed, noise=0.01)
        pde.attrs["lambda"] = 0.3
        x = particles["x"].to_numpy()
        particles["mu"] += np.where(np.abs(x - 0.5) < 0.14, 0.02, np.where(np.abs(x - 0.5) > 0.26, 0.05, 1.0))
        data = {"particles": particles, "pde": pde}
        one = COMPARISON.measured(data, COMPARISON.compare(data))
        found.append([getattr(one[key], part) for key in ("bulk_mu", "walls_mu") for part in ("value", "error")])
    bulk, bulk_se, walls, walls_se = np.array(found).T
    for values, errors, true in ((bulk, bulk_se, 0.02), (walls, walls_se, 0.05)):
        assert values.mean() == pytest.approx(true, abs=4 * values.std() / np.sqrt(40))
        assert values.std() == pytest.approx(errors.mean(), rel=0.5)  # 40 values know it to 11 %
    # nothing but noise has no distance, and a region that is not there none either
    pde.attrs["lambda"] = 0.6
    one = COMPARISON.measured(data, COMPARISON.compare(data))
    assert np.isnan(one["bulk_mu"].value)
    particles["sigma"] = pde["sigma"]
    assert np.isnan(COMPARISON.measured(data, COMPARISON.compare(data))["walls_sigma"].value)


def test_numbers_by_hand():
    particles, pde = datasets(noise=0.0)
    particles["mu"] = pde["mu"] * 1.1
    particles["mu_se"] = xr.full_like(particles["mu"], 0.05)
    result = compare(particles, pde).isel(time=0)
    mu = pde.mu.values[0]
    assert float(result.rel_l2_mu) == pytest.approx(0.1)
    assert float(result.rel_l2_noise_mu) == pytest.approx(0.05 / np.sqrt((mu**2).mean()))
    assert float(result.z_rms_mu) == pytest.approx(np.sqrt((mu**2).mean()) * 0.1 / 0.05)
    assert float(result.chi2_mu) == pytest.approx(float(result.z_rms_mu) ** 2)
    assert float(result.correlation) == 0.1
    weight = particles.sigma.values[0, :-1] * particles.sigma.values[0, 1:]
    null = np.sqrt((weight**2).sum()) / weight.sum() / np.sqrt(REPLICAS - 1)
    assert float(result.correlation_null_sd) == pytest.approx(null)
    assert float(result.excess_z_mu) == pytest.approx(
        ((mu**2).sum() * 0.01 - SITES * 0.05**2) / np.sqrt(2 * SITES * 0.05**4)
    )
    assert float(result.spread_ratio_predicted) == pytest.approx(np.sqrt(1 - 0.4 / 3 + 0.05 / 3))
    assert float(result.spread_ratio) == pytest.approx(1)


def test_the_signed_numbers():
    # the solution goes from u/2 to u, the particles to 0.9 u + c: 0.8 of the change, plus what c projects on it
    particles, pde = datasets(noise=0.0)
    mu = pde.mu.values[0]
    shift = mu.mean() - mu  # not along the solution alone
    particles["mu"][:] = 0.9 * mu + 0.01 * shift
    particles["mu_se"][:] = 0.05
    result = compare(particles, pde).isel(time=0)
    gap = (-0.1 * (mu**2).sum() + 0.01 * (shift * mu).sum()) / (mu**2).sum()
    assert float(result.gap_mu) == pytest.approx(gap)
    assert float(result.gap_se_mu) == pytest.approx(0.05 / np.sqrt((mu**2).sum()))
    assert float(result.moved_mu) == pytest.approx(0.5)
    assert float(result.response_mu) == pytest.approx(1 + 2 * gap)
    assert float(result.response_se_mu) == pytest.approx(2 * 0.05 / np.sqrt((mu**2).sum()))
    assert np.isnan(float(result.response_sigma))  # the made-up sigma does not move


def test_sites_without_error_do_not_count_in_chi2():
    particles, pde = datasets()
    particles["mu_se"][:, :100] = 0.0
    assert np.isfinite(compare(particles, pde).chi2_mu.values).all()


def test_a_vanishing_solution_gives_null_and_a_report():
    particles, pde = datasets()
    pde["mu"] = pde["mu"] * 0
    page, numbers = reported(particles, pde)
    assert numbers["times"][0]["rel_l2_mu"] is None
    assert numbers["verdicts"][0]["outcome"] == "cannot be told"
    assert "the solution vanishes" in page


def test_metrics_have_the_keys_of_the_design():
    particles, pde = datasets()
    _, numbers = COMPARISON.conclude({"particles": particles, "pde": pde})
    assert {"rel_l2_mu", "rel_l2_sigma", "z_rms_mu", "z_rms_sigma", "time"} <= numbers["times"][1].keys()
    assert numbers["conservation"] == {
        "particles": {"momentum_drift": 2e-15, "energy_drift": 2e-15},
        "pde": {"momentum_drift": 3e-14, "energy_drift": 3e-14},
    }


def test_what_does_not_belong_together_is_refused():
    particles, pde = datasets()
    with pytest.raises(InputError, match="other coordinates along x"):
        compare(particles, pde.isel(x=slice(1, None)))
    with pytest.raises(InputError, match="different times"):
        compare(particles, pde.isel(time=[0]))
    with pytest.raises(InputError, match="different times"):
        compare(particles, pde.assign_coords(time=[0.5, 1.001]))
    with pytest.raises(InputError, match="has model.balls = 5"):
        compare(particles.assign_attrs(study=f"{STUDY}balls = 5\n"), pde)


@pytest.mark.parametrize("side", ["particles", "pde"])
@pytest.mark.parametrize("fault", ["no variable", "transposed", "text"])
def test_what_cannot_be_read_is_refused(side, fault):
    particles, pde = datasets()
    dataset = particles if side == "particles" else pde
    match fault:
        case "no variable":
            dataset = dataset.drop_vars("sigma")
        case "transposed":
            dataset["sigma"] = dataset.sigma.T
        case "text":
            dataset["sigma"] = dataset.sigma.astype(str)
    with pytest.raises(InputError, match=rf"{side}.nc"):
        compare(*((dataset, pde) if side == "particles" else (particles, dataset)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bias", "noise", "outcome", "says", "not_says"),
    [
        (0.0, 0.003, "agree", "no difference beyond noise", "DIFFER"),
        (0.0, 0.02, "cannot be told", "noise hides a difference of 1 %; about", "DIFFER"),
        (0.2, 0.02, "differ", "particles and equations DIFFER by 20 % in L2", "no difference beyond"),
    ],
)
def test_the_report_says_what_was_found(bias, noise, outcome, says, not_says):
    particles, pde = datasets(bias=bias, noise=noise)
    page, numbers = reported(particles, pde, drawn=True)
    assert {verdict["outcome"] for verdict in numbers["verdicts"]} == {outcome}
    assert says in page
    assert not_says not in page
    assert page.count("data:image/png;base64,iVBOR") == 3  # mu, sigma, two spreads
    assert "://" not in page  # self-contained
    assert "Mind:" not in page


def test_the_report_of_few_runs_finds_no_difference():
    particles, pde = datasets(bias=0.2)
    particles.attrs["replicas"] = 99
    page, numbers = reported(particles, pde)
    assert "too few to know noise by" in page
    assert "DIFFER" not in page
    assert {verdict["outcome"] for verdict in numbers["verdicts"]} == {"cannot be told"}


def test_the_report_warns_of_another_lambda():
    particles, pde = datasets()
    pde.attrs["lambda"] = 3.0
    page, _ = reported(particles, pde)
    assert "Mind:" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.02146, "0.0215"),
        (0.02, "0.0200"),
        (1.23456e-7, "1.23·10⁻⁷"),
        (-4e-4, "−4.00·10⁻⁴"),
        (47.1, "47.1"),
        (12345.0, "1.23·10⁴"),
    ],
)
def test_numbers_are_written_for_people(value, text):
    assert report.number(value) == text


@pytest.mark.slow
def test_a_rival_beside_the_same_particles(tables, tmp_path):
    # two solutions, two rules a side; what is said of the sources is in the table of all verdicts
    tables["particles"]["replicas"] = 2000
    tables["rival"] = {"system": "B_n", "boundary": "paper", "cells": 40}
    numbers = workflow.run(check(tables), tmp_path / "r")
    assert numbers["rules"] == ["mu", "sigma", "mu_rival", "sigma_rival"]
    assert len(numbers["verdicts"]) == 4
    assert numbers["ends"]["solutions"]["rival"]["boundary"] == "paper"
    stated = {one["claim"]: one["verdict"] for one in numbers["statements"]}
    assert stated["no spread at the ends"] == "fails"
    assert stated["energy is conserved with ends that let nothing through"] == "holds"
    assert stated["energy is conserved with the paper's ends"] == "fails"
    page = (tmp_path / "r" / "report.html").read_text()
    assert "system (B_n) with" in " ".join(page.split())
    assert "Distance beyond noise from rival.nc over that from pde.nc" in page
    assert "no spread at the ends" in table([tmp_path])
