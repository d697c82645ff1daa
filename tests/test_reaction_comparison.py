"""Particles, kinetic system and limit equation held against each other: bins, grids, modes, and what is refused."""

import numpy as np
import pytest
import xarray as xr

from kinlim.errors import InputError
from kinlim.study import check, dump
from kinlim.validation.reaction import COMPARISON
from kinlim.validation.reaction.expectation import expectation, mode_of
from kinlim.validation.reaction.facts import of_kinetic, of_limit
from kinlim.validation.reaction.limit import gaps, norm, on_grid


def wave(n, k=3, shift=0.2):
    return np.cos(2 * np.pi * (k * np.arange(n) / n - shift))


@pytest.mark.parametrize(("coarse", "fine"), [(16, 16), (16, 40), (16, 17), (40, 16)])
def test_a_wave_is_the_same_on_every_grid_that_carries_it(coarse, fine):
    # a shift by half a cell, or a factor n of the transform
    np.testing.assert_allclose(on_grid(wave(coarse)[None], fine)[0], wave(fine), atol=1e-14)


def test_the_highest_mode_keeps_its_values():
    values = np.array([1.0, -1.0] * 4)
    np.testing.assert_allclose(on_grid(values[None], 32)[0, ::4], values, atol=1e-14)


@pytest.mark.parametrize("bins", [5, 8, 16, 24, 64])
def test_means_over_bins_are_integrals(bins):
    # midpoint values instead of means would be off by (3 pi/bins)^2/6, a wrong offset by half a bin
    values = xr.DataArray(wave(32)[None], dims=("time", "x"))
    particles = xr.Dataset(coords={"x": (np.arange(bins) + 0.5) / bins})
    edges = 2 * np.pi * (3 * np.arange(bins + 1) / bins - 0.2)
    exact = np.diff(np.sin(edges)) / (6 * np.pi / bins)
    np.testing.assert_allclose(expectation(values, particles, ["x"])[0], exact, atol=1e-13)


def test_a_function_of_x_alone_is_the_same_in_all_bins_of_the_other_axes():
    values = xr.DataArray(wave(32)[None], dims=("time", "x"))
    particles = xr.Dataset(coords={"x": (np.arange(8) + 0.5) / 8, "y": (np.arange(4) + 0.5) / 4})
    found = expectation(values, particles, ["x", "y"])
    assert found.shape == (1, 8, 4)
    np.testing.assert_allclose(found, expectation(values, particles, ["x"])[:, :, None].repeat(4, 2), atol=0)


def test_maps_are_averaged_along_every_axis():
    x, y = np.meshgrid(np.arange(16) / 16, np.arange(16) / 16, indexing="ij")
    values = xr.DataArray((np.cos(2 * np.pi * x) * np.sin(4 * np.pi * y))[None], dims=("time", "x", "y"))
    particles = xr.Dataset(coords={"x": (np.arange(4) + 0.5) / 4, "y": (np.arange(8) + 0.5) / 8})
    exact = (
        np.diff(np.sin(2 * np.pi * np.arange(5) / 4))[:, None] * 4 / (2 * np.pi)
        * np.diff(-np.cos(4 * np.pi * np.arange(9) / 8))[None] * 8 / (4 * np.pi)
    )  # fmt: skip
    np.testing.assert_allclose(expectation(values, particles, ["x", "y"])[0], exact, atol=1e-13)


def test_amplitudes_of_wave_number_one():
    x = np.arange(20) / 20
    m = xr.DataArray((0.3 + 2 * np.cos(2 * np.pi * x) - np.sin(2 * np.pi * x))[None], dims=("time", "x"))
    np.testing.assert_allclose(mode_of(m), [[2.0, -1.0]], atol=1e-14)


OTHERS = (
    "v_f", "v_g", "chi1", "chi2", "mass_difference", "lowest_f", "highest_f", "lowest_g", "highest_g", "alignment",
    "perp_f", "perp_g",
)  # fmt: skip
"""Variables of the kinetic dataset that these tests do not look at."""


def datasets(tables, bias=0.0):
    """Three datasets of one study with known differences: noise of 0.01 and a bias in the particles' m."""
    study = dump(check(tables))
    x, t = np.arange(64) / 64, np.array([0.0, 0.004, 0.02, 0.04])
    wave_ = np.cos(2 * np.pi * x)
    m = 0.7 + np.exp(-5 * t)[:, None] * wave_
    rho = (m + np.sqrt(m**2 + 4)) / 2
    pde = xr.Dataset(
        {
            "m": (("time", "x"), m), "rho": (("time", "x"), rho), "mass": ("time", m.mean(axis=1)),
            "highest": ("time", m.max(axis=1)), "lowest": ("time", m.min(axis=1)), "entropy": ("time", -t),
        },
        coords={"time": t, "x": x}, attrs={"model": "reaction", "study": study},
    )  # fmt: skip
    kinetic = xr.Dataset(
        {
            "m": (("time", "x"), m + 0.02 * wave_), "rho_f": (("time", "x"), rho + 0.02 * wave_),
            "rho_g": (("time", "x"), 1 / rho), "f": ("time", t), "g": ("time", t), "entropy": ("time", -2 * t),
            "dissipated": ("time", 2 * t), **dict.fromkeys(OTHERS, ("time", t)),
        },
        coords={"time": t, "x": x, "fraction": ("time", t / 0.04)}, attrs={"model": "reaction", "study": study},
    )  # fmt: skip
    rng = np.random.default_rng(1)
    axis = xr.Dataset(coords={"x": (np.arange(8) + 0.5) / 8})
    variables = {}
    for name in ("rho_f", "rho_g", "m"):
        mean = expectation(kinetic[name], axis, ["x"]) + (bias if name == "m" else 0)
        variables[name] = (("time", "x"), mean + 0.01 * rng.standard_normal(mean.shape))
        variables[f"{name}_se"] = (("time", "x"), np.full(mean.shape, 0.01))
    mode = mode_of(kinetic["m"])[:, None, :]
    variables["mode"] = (("time", "axis", "part"), mode + 0.01 * rng.standard_normal(mode.shape))
    variables["mode_se"] = (("time", "axis", "part"), np.full(mode.shape, 0.01))
    variables["imbalance_drift"] = ("time", np.zeros(4))
    particles = xr.Dataset(
        variables,
        coords={"time": t, "fraction": ("time", t / 0.04), "x": axis["x"], "axis": ["x"], "part": ["cos", "sin"]},
        attrs={"title": "small: particles", "model": "reaction", "replicas": 50, "per_unit": 2000, "study": study},
    )
    return particles, pde, kinetic


def compare(particles, pde, kinetic=None):
    """What is found of them."""
    return COMPARISON.compare({"particles": particles, "pde": pde} | ({} if kinetic is None else {"kinetic": kinetic}))


def test_noise_is_called_noise_and_bias_is_seen(reaction):
    comparison = compare(*datasets(reaction))
    assert (comparison["z_m"].to_numpy() ** 2).mean() == pytest.approx(1, abs=4 * np.sqrt(2 / 32))
    biased = compare(*datasets(reaction, bias=0.05))
    assert biased["z_m"].mean() == pytest.approx(5, abs=4 / np.sqrt(32))


def test_without_a_kinetic_system_the_limit_is_the_reference(reaction):
    particles, pde, _ = datasets(reaction)
    comparison = compare(particles, pde)
    assert "gap_m" not in comparison
    # the kinetic m is 0.02 cos(2 pi x) above the limit, two standard errors at the crest
    assert float(comparison["z_mode"].sel(part="cos").mean()) == pytest.approx(2, abs=4 / 2)


def test_distances_from_the_limit(reaction):
    _, pde, kinetic = datasets(reaction)
    found = gaps(pde, kinetic)
    np.testing.assert_allclose(found["gap_m"], 0.02 / np.sqrt(2), rtol=1e-12)
    np.testing.assert_allclose(found["gap_m_largest"], 0.02, rtol=1e-12)
    np.testing.assert_allclose(
        found["gap_product"], norm(0.02 * np.cos(2 * np.pi * pde["x"].to_numpy()) / pde["rho"].to_numpy()), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, k: (p.drop_vars("m_se"), k), "particles.nc has no variable m_se"),
        (lambda p, k: (p, k.assign(m=k["m"] * np.nan)), "kinetic.nc has values of m that are not finite numbers"),
        (lambda p, k: (p, k.assign_coords(time=k["time"] + 1)), "particles.nc and kinetic.nc have different times"),
        (
            lambda p, k: (p, k.assign_attrs(study=k.attrs["study"].replace("epsilon = 0.2", "epsilon = 0.3"))),
            "model.epsilon",
        ),
    ],
)
def test_datasets_that_do_not_belong_together_are_refused(reaction, change, message):
    particles, pde, kinetic = datasets(reaction)
    particles, kinetic = change(particles, kinetic)
    with pytest.raises(InputError, match=message):
        compare(particles, pde, kinetic)


def test_facts_tell_what_is_broken(reaction):
    # each invariant is violated by a known amount
    _, pde, kinetic = datasets(reaction)
    t = kinetic["time"].to_numpy()
    of = {"lowest_f": 0.9, "highest_f": 2.0, "lowest_g": 0.5, "highest_g": 1.1}
    more = {name: ("time", np.full(4, value)) for name, value in of.items()}
    more |= dict.fromkeys(("alignment", "perp_f", "perp_g"), ("time", t))
    whole = kinetic.assign(mass_difference=("time", np.full(4, 0.7)), **more)
    good = of_kinetic(whole)
    assert (good["mass_drift"], good["outside"], good["entropy_falls"]) == (0, 0, True)
    assert good["entropy_balance"] == pytest.approx(0, abs=1e-15)
    assert good["local_equilibrium"] == pytest.approx(0.2)
    assert good["perp"] == pytest.approx(np.sqrt(0.08))
    bad = of_kinetic(
        whole.assign(
            mass_difference=("time", 0.7 + t), entropy=("time", 0.1 * t), highest_f=("time", np.full(4, 2.5)),
        )
    )  # fmt: skip
    lo, hi = bad["region_lo"], bad["region_hi"]
    assert bad["outside"] == pytest.approx((2.5 - hi) / (hi - lo))
    assert bad["mass_drift"] == pytest.approx(0.04 / 1.7)
    assert bad["entropy_balance"] == pytest.approx(2.1 / 2)
    assert not bad["entropy_falls"]
    over = pde.assign(highest=("time", pde["highest"].to_numpy() + 2 * t + 1))
    over["highest"][0] = float(pde["highest"][0])
    assert of_limit(pde)["overshoot"] == 0
    assert of_limit(over)["overshoot"] > 0.4


def test_rounding_is_no_standard_error(reaction):
    # all replicas agree in a bin, but for the last bit: that is no deviation of 10^15 standard errors
    particles, pde, kinetic = datasets(reaction)
    particles["m_se"][2, 3] = 1e-17
    comparison = compare(particles, pde, kinetic)
    assert np.isnan(comparison["z_m"][2, 3])
    assert np.isfinite(comparison["z_m"]).sum() == comparison["z_m"].size - 1


def test_norms_that_rounding_makes_negative(reaction):
    _, _, kinetic = datasets(reaction)
    found = of_kinetic(kinetic.assign(alignment=("time", np.full(4, -1e-18)), perp_f=("time", np.full(4, -1.0))))
    assert (found["local_equilibrium"], found["perp"]) == (0, 0)
