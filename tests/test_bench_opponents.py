"""The programs that benchmarks compare with: at second order they reach what the finite elements reach."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kinlim

SOURCE = Path(__file__).parent.parent / "bench" / "pinned_opponents.py"
EXAMPLE = Path(__file__).parent.parent / "examples" / "pinned-paper.toml"
LAM, END = 50.0, 0.02


@pytest.fixture(scope="module")
def opponents():
    spec = importlib.util.spec_from_file_location("pinned_opponents", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mu0(x):
    return np.cos(np.pi * x)


def sigma0(x):
    return 0.2 + 0.1 * np.cos(2 * np.pi * x)


@pytest.fixture(scope="module")
def elements():
    """Points, mu and sigma of the finite elements."""
    changes = ["mu0='cos(pi*x)'", "sigma0='0.2+0.1*cos(2*pi*x)'", "balls=21", f"lambda={LAM}", f"end_time={END}"]
    changes = [f"model.{change}" for change in [*changes, "observe=[1.0]"]]
    pde = kinlim.solve(kinlim.load(EXAMPLE, [*changes, "pde.cells=200", "pde.rtol=1e-8"]))
    order = np.argsort(pde.node_x.values)
    return [pde[name].values.reshape(-1)[order] for name in ("node_x", "node_mu", "node_sigma")]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["Heun", "RKL2", "LSODA", "BDF"])
def test_errors_fall_at_least_fourfold_when_cells_double(opponents, elements, program):
    # against another discretisation: a wrong factor, end or time step leaves an error that does not fall
    nodes, *exact = elements
    errors = []
    for cells in (100, 200):
        if program in ("LSODA", "BDF"):
            x, *found, _ = opponents.lines(mu0, sigma0, LAM, END, cells, 1e-7, program)
        else:
            x, *found, _ = opponents.explicit(mu0, sigma0, LAM, END, cells, 2 if program == "Heun" else 3)
        every = (nodes.size - 1) // cells
        np.testing.assert_allclose(nodes[::every], x, atol=1e-12)
        pairs = [(a, b[::every]) for a, b in zip(found, exact, strict=True)]
        errors.append([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs])
    assert np.max(errors[1]) < 3e-4
    assert np.min(np.log2(np.divide(*errors))) > 1.9  # more where errors of the time step, of order 4 in h, are left


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("program", ["reaction_scalar", "reaction_vector"])
def test_reacting_particles_in_c_stay_in_equilibrium(program, dimension, tmp_path):
    """A wrong rate, cell or sort changes how many pairs are made and destroyed: 2 x N V a step, of particles 2 N."""
    file = tmp_path / program
    subprocess.run(
        ["gcc", "-O3", "-march=native", "-ffast-math", "-o", file, SOURCE.parent / f"{program}.c", "-lm"], check=True
    )
    n, x, steps = 20000, 0.245, 60
    words = map(str, (file, dimension, n, 16, x, steps))
    seconds, particles, events, left, change = map(float, subprocess.check_output([*words]).split())
    assert change == 0
    # numbers of A and of B are n +- n^(1/2) each, and within 5 standard errors here
    assert abs(left - 2 * n) < 5 * np.sqrt(2 * n)
    made = 2 * x * n * steps
    assert abs(events * seconds - made) < 5 * np.sqrt(2 * made)
    assert abs(particles * seconds / steps - 2 * n) < 5 * np.sqrt(2 * n)


def test_every_benchmark_is_in_the_index_and_no_other_name_is_run():
    def bench(*words):
        return subprocess.run([sys.executable, SOURCE.parent, *words], capture_output=True, text=True, check=False)

    listed = [line.split(maxsplit=1) for line in bench().stdout.splitlines()]
    assert {"pinned_kernel", "referee", "torus_peers"} <= {name for name, _ in listed}
    assert all(what.endswith(".") for _, what in listed)
    assert (bench("nope").returncode, bench("pinned_opponents").returncode) == (2, 2)
