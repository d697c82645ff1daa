"""Pinned balls on a ring: the linear theory of their fluctuations, its limits, and that white noise does not stay."""

from pathlib import Path

import numpy as np
import pytest
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
