"""Exclusion on tori of two and three dimensions: master equation, Fourier, two ranks, wrong equations found wrong."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import sparse
from scipy.sparse.linalg import expm_multiply

import kinlim
from kinlim.compat import on_this_machine
from kinlim.study import load, model_of

STUDY = Path(__file__).parents[1] / "examples" / "gallery" / "exclusion_torus.toml"
RHO0 = "(0.4 + 0.25*cos(2*pi*x))*(0.8 + 0.4*sin(2*pi*y))"
CUBE = (
    "model.dimension=3", "model.sites=8", "pde.cells=6", f"model.rho0='{RHO0}*(0.8 + 0.4*sin(2*pi*z))'",
)  # fmt: skip


def lattice(study):
    """The means on the lattice, shape (times, sites, ...)."""
    return {side.name: side for side in model_of(study).sides}["lattice"].maker().values(study)["rho"][1]


def start(model):
    """The density at time 0, one factor an axis, written apart from the model."""
    x = 2 * np.pi * np.arange(model.sites) / model.sites
    factors = [0.4 + 0.25 * np.cos(x), *[0.8 + 0.4 * np.sin(x)] * (model.dimension - 1)]
    return np.einsum("i,j->ij" if model.dimension == 2 else "i,j,k->ijk", *factors)


def mean_of_the_master_equation(model):
    """E[eta] at the end on all configurations of a square of 3^2 sites, shape (3, 3)."""
    n, number = model.sites, np.arange(2 ** (model.sites**2))
    eta = (number[:, None] >> np.arange(n * n)) & 1  # site x n + y
    generator = sparse.csr_array((len(number), len(number)))
    for x, y in product(range(n), repeat=2):
        here = x * n + y
        for dx, dy, rate in ((1, 0, n * model.field / 2), (-1, 0, -n * model.field / 2), (0, 1, 0), (0, -1, 0)):
            there = (x + dx) % n * n + (y + dy) % n
            able = (eta[:, here] == 1) & (eta[:, there] == 0)
            to = number ^ (1 << here) ^ (1 << there)
            speed = np.where(able, n**2 + rate, 0.0)
            generator += sparse.csr_array((speed, (to, number)), shape=generator.shape)
            generator -= sparse.diags_array(speed).tocsr()
    rho0 = start(model).ravel()
    law = expm_multiply(model.end_time * generator, np.where(eta == 1, rho0, 1 - rho0).prod(axis=1))
    return (law @ eta).reshape(n, n)


def test_the_kernel_follows_its_generator():
    # axes exchanged, a seam in the wrong place, the field along y or with the wrong sign, a rate off by 2
    some = ["model.sites=3", "model.field=5.0", "model.observe=[1.0]", "particles.replicas=200000"]
    study = load(STUDY, some)
    found, exact = kinlim.simulate(study).isel(time=0), mean_of_the_master_equation(study.model)
    assert np.abs((found.rho - exact) / found.rho_se).max() < 4.5
    for field in (0.0, -5.0):
        other = mean_of_the_master_equation(study.vary("model", field=field).model)
        assert np.abs((other - exact) / found.rho_se).max() > 10


@pytest.mark.parametrize("some", [(), CUBE])
def test_without_a_field_the_mean_is_the_discrete_heat_equation(some):
    # by Fourier: each axis damps wave k at the rate 2 n^2 (1 - cos(2 pi k/n))
    study = load(STUDY, list(some))
    model, n = study.model, study.model.sites
    damping = 2 * n**2 * (1 - np.cos(2 * np.pi * np.arange(n) / n))
    total = sum(np.meshgrid(*[damping] * model.dimension, indexing="ij"))
    exact = [np.fft.ifftn(np.fft.fftn(start(model)) * np.exp(-t * total)).real for t in model.times]
    np.testing.assert_allclose(lattice(study), exact, atol=1e-9)
    if not some:  # and three by three sites know it
        small = load(STUDY, ["model.sites=3", "model.observe=[1.0]"])
        np.testing.assert_allclose(lattice(small)[0], mean_of_the_master_equation(small.model), atol=1e-9)


@pytest.mark.parametrize(
    ("rho0", "words"),
    [("0.5 + 0.1*sin(2*pi*z)", "has z in it, and dimension = 2"), ("1.5*cos(2*pi*x*y)", "must be a probability")],
)
def test_initial_data_that_cannot_be(rho0, words):
    with pytest.raises(kinlim.InputError, match=words):
        load(STUDY, [f"model.rho0='{rho0}'"])


def test_the_initial_data_need_not_be_a_product():
    model = load(STUDY, ["model.rho0='0.5 + 0.2*cos(2*pi*(x - y))'"]).model
    x, y = np.array([0.0, 0.5]), np.array([0.5, 0.5])
    np.testing.assert_allclose(model.start(x, y), [0.3, 0.7])


def test_the_equation_is_where_the_lattice_goes():
    # with a field: a flux of the wrong sign or along another axis leaves a difference of a percent, not one of n^-2
    some = ["model.field=6.0", "model.observe=[1.0]", "pde.rtol=1e-6"]

    def left(n):
        study = load(STUDY, [*some, f"model.sites={n}", "pde.cells=16"])
        return np.abs(kinlim.solve(study).rho.values - lattice(study)).max()

    assert left(16) / left(32) == pytest.approx(4, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("some", [(), CUBE])
def test_two_ranks_give_the_same(tmp_path, monkeypatch, some):
    settings = [text for one in (*some, "particles.replicas=1000", "particles.block=100") for text in ("--set", one)]
    for name, before in (("alone", []), ("both", on_this_machine(2))):
        command = [*before, sys.executable, "-m", "kinlim", "run", str(STUDY), "-o", str(tmp_path / name), *settings]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
    for file, tolerance in (("particles", 0.0), ("pde", 1e-10), ("lattice", 0.0)):
        with (
            xr.open_dataset(tmp_path / f"alone/{file}.nc") as one,
            xr.open_dataset(tmp_path / f"both/{file}.nc") as two,
        ):
            assert two.attrs["ranks"] == 2
            assert np.abs(one.rho.values - two.rho.values).max() <= tolerance


@pytest.mark.slow
def test_wrong_equations_are_found_and_the_right_one_is_not():
    # at n = 32 the limit is 0.3 % away, and 20,000 tori tell 1.5 %: 3 % must be seen
    base = ["model.sites=32", "pde.cells=10", "pde.rtol=1e-6", "particles.replicas=20000"]
    field = [*base, "model.field=6.0"]
    for some, wrongs in (
        (base, {(): "agree agree", ("pde.diffusion=1.03",): "DIFFER agree"}),
        (field, {("lattice.diffusion=1.03",): "agree DIFFER", ("pde.drift=-1.0",): "DIFFER agree"}),
    ):
        particles = kinlim.simulate(load(STUDY, some))
        for wrong, outcomes in wrongs.items():
            study = load(STUDY, [*some, *wrong])
            found = kinlim.compare(particles, kinlim.solve(study, "pde"), kinlim.solve(study, "lattice"))
            sentences = found.attrs["verdicts"].splitlines()
            assert ["DIFFER" in sentence for sentence in sentences] == [one == "DIFFER" for one in outcomes.split()]
