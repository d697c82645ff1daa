"""Pinned balls on a ring: the linear theory of their fluctuations, its limits, and that white noise does not stay."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

import kinlim
from kinlim.study import load, model_of

STUDY = Path(__file__).parents[1] / "examples" / "gallery" / "pinned_ring.toml"


def linear(study):
    """The variables of linear.nc."""
    maker = {side.name: side for side in model_of(study).sides}["linear"].maker()
    return {name: np.asarray(values) for name, (_, values, _) in maker.values(study).items()}


def test_the_formulas_solve_the_equation_of_covariances():
    # C' = A C + C A* + Q for a wave of 64 sites, by an integrator that knows no formula
    study = load(STUDY, ["model.balls=64", "model.end_time=0.02", "model.observe=[0.3,1.0]"])
    found, n = linear(study), 64
    for place, wave in ((0, 1), (4, 5), (15, 16)):
        theta = 2 * np.pi * wave / n
        D = n**2 / 6 * (6 - 4 * np.cos(theta) - 2 * np.cos(2 * theta))
        turn = n**2 / (6 * np.pi**0.5) * np.sin(theta) * (1 + 2 * np.cos(theta))
        A = np.array([[-D, -1j * turn], [-1j * turn, -D]])
        Q = 2 * D * np.diag([1, 0.5])

        def change(t, c, A=A, Q=Q):
            C = c.reshape(2, 2)
            return (A @ C + C @ A.conj().T + Q).ravel()

        C = solve_ivp(change, (0, 0.02), np.diag([1, 0.5]).astype(complex).ravel(), "DOP853", [0.006, 0.02], rtol=1e-10,
                      atol=1e-12).y  # fmt: skip
        for t in range(2):
            expected = [C[0, t].real, C[3, t].real, C[1, t].imag]
            assert [found[name][t, place] for name in ("S_v", "S_e", "cross")] == pytest.approx(expected, abs=1e-7)
    # long waves: lambda = n/(2 sqrt(pi)), diffusion 1, and what both fields share in the end
    wide = linear(load(STUDY, ["model.balls=4096", "model.end_time=1.0"]))
    assert [wide["S_v"][-1, 0], wide["S_e"][-1, 0]] == pytest.approx([0.75, 0.75], abs=1e-4)


@pytest.mark.slow
def test_white_noise_turns_and_does_not_stay():
    study = load(
        STUDY, ["model.balls=64", "model.end_time=0.04", "model.observe=[0.0,0.25,1.0]", "particles.replicas=3000"]
    )
    particles, expected = kinlim.simulate(study), linear(study)
    found = {
        name: (particles[name].to_numpy(), particles[f"{name}_se"].to_numpy())
        for name in expected
        if name in particles.data_vars
    }
    for name, start in (("S_v", 1.0), ("S_e", 0.5), ("cross", 0.0), ("correlation", 0.0)):
        value, error = found[name]
        assert (np.abs(value[0] - start) < 4.5 * error[0] + 1e-12).all()
    # collisions and the sort keep the energy of every ring
    value, error = found["energy"]
    assert value[1:] == pytest.approx([value[0]] * 2, rel=1e-12)
    # half-way to the end of the first turn, and at rest: near linear theory, far from white noise
    for name, white, near in (("S_v", 1.0, 0.06), ("S_e", 0.5, 0.08)):
        value, error = found[name]
        assert np.abs(value[1:] - expected[name][1:]).max() < near + 4.5 * error.max()
        assert (np.abs(value[2, :2] - white) > 8 * error[2, :2]).all()
    value, error = found["correlation"]
    assert (value[2, :3] < -5 * error[2, :3]).all()


# --- decay of sound waves, on made data -------------------------------------------------------------------------------


def damped(study, excess, faster, noise=1e-6):
    """Datasets whose sound waves are damped and turn by this much more than linear theory has it."""
    known = linear(study)
    t = np.array(study.model.times)[:, None]
    sound = 1.4 * np.exp(-(known["damping"] * (1 + excess) + 1j * known["turning"] * (1 + faster)) * t)
    values = np.stack([sound.real, sound.imag], axis=2)
    particles = xr.Dataset(
        {
            "sound": (("time", "wave", "part"), values),
            "sound_se": (("time", "wave", "part"), np.full(values.shape, noise)),
        },
        {"time": t[:, 0], "part": ["re", "im"]},
    )
    given = xr.Dataset({name: ("wave", known[name]) for name in ("damping", "turning", "angle")})
    return {"particles": particles, "linear": given}


SOUND = STUDY.with_name("pinned_sound.toml")


def test_damping_and_speed_are_found_and_nothing_where_there_is_nothing():
    study = load(SOUND)
    comparison = model_of(study).compare()
    for excess, faster in ((0.4, 0.02), (0.0, 0.0)):
        found = comparison.more(damped(study, excess, faster))
        seen = np.isfinite(found["speed"][1])
        assert seen.sum() >= 10
        assert found["excess_damping"][1][seen] == pytest.approx(excess, abs=1e-5)
        assert found["speed"][1][seen] == pytest.approx(faster, abs=1e-6)


def test_the_golden_mean_is_told_from_diffusion():
    study = load(SOUND)
    comparison = model_of(study).compare()
    wave = np.arange(1, 17)
    for power, low, high in ((-0.382, -0.39, -0.37), (0.0, -0.01, 0.01)):
        data = damped(study, 0.3 * wave**power, 0.01)
        found = comparison.facts(xr.Dataset(comparison.more(data)), data)["decay"]
        assert low < found["exponent"] < high
        assert comparison.findings({"decay": found})


def test_waves_are_not_judged_without_the_time_0():
    study = load(STUDY)
    data = damped(study, 0.0, 0.0)
    assert model_of(study).compare().more(data) == {}


def test_errors_of_damping_are_those_of_noise():
    study, rng, noise = load(SOUND), np.random.default_rng(3), 0.01
    comparison = model_of(study).compare()
    found = []
    for _ in range(200):
        data = damped(study, 0.3, 0.01, noise)
        data["particles"]["sound"] += noise * rng.standard_normal(data["particles"]["sound"].shape)
        found.append(comparison.more(data))
    for name in ("excess_damping", "speed"):
        values = np.array([one[name][1] for one in found])
        said = np.array([one[f"{name}_se"][1] for one in found]).mean(axis=0)
        there = np.isfinite(values).all(axis=0)
        ratio = values.std(axis=0)[there] / said[there]
        # where |F| = 1/2 falls midway between two observations, their noise, independent here, is averaged: down to
        # 1/sqrt(2) of what is said. 200 samples know a deviation to 5 %
        assert (ratio > 0.6).all()
        assert (ratio < 1.2).all()


def test_white_noise_has_the_radius_that_is_expected_of_it():
    """Known for all n: a wrong factor, or a missing correction for the ring's own mean and spread, would show."""
    for n in (40, 128):
        v = np.random.default_rng(n).standard_normal((20_000, n))
        mean = (np.roll(v, 1, axis=1) + v + np.roll(v, -1, axis=1)) / 3
        square = sum((np.roll(v, shift, axis=1) - mean) ** 2 for shift in (-1, 0, 1))
        radius = np.sqrt(2 / np.pi * square).mean(axis=1) / v.std(axis=1)
        expected = linear(load(STUDY, [f"model.balls={n}"]))["radius"][0]
        assert radius.mean() == pytest.approx(expected, abs=4 * radius.std() / 20_000**0.5)
