"""Dedalus 3: Fourier bases, the mean diffusion implicit, the rest explicit, by its IMEX schemes of order 3 and 4."""

import itertools
import logging
import os
from collections.abc import Callable

import numpy as np
from torus import END, Array, diffusion, factors, initial

os.environ.setdefault("OMP_NUM_THREADS", "1")
import dedalus.public as d3

logging.disable(logging.WARNING)

NAME = "Dedalus"
OFFSET = 0.0
SETTINGS = {
    1: list(itertools.product((12, 16, 24, 32), (8, 32, 128), ("RK443", "SBDF4"))),
    2: list(itertools.product((8, 12, 16, 24), (8, 16, 32, 128), ("RK443", "SBDF4"))),
    3: list(itertools.product((8, 12, 16), (8, 16, 32), ("RK443", "SBDF4"))),
}
"""Points along an axis, steps and scheme."""


def label(n: int, steps: int, scheme: str) -> str:
    """A setting in words."""
    return f"{n} points an axis, {steps} steps of {scheme}"


def solver(dimension: int, n: int, steps: int, scheme: str) -> Callable[[], Array]:
    """What makes m at the end."""
    names = "xyz"[:dimension]
    coordinates = d3.CartesianCoordinates(*names)
    distributor = d3.Distributor(coordinates, dtype=np.float64)
    bases = [d3.RealFourier(coordinates[k], size=n, bounds=(0, 1)) for k in names]
    m = distributor.Field(name="m", bases=bases)
    D1, start = diffusion(dimension), initial(n, dimension)
    a0, b0 = factors(start)
    mean1, mean2 = float(a0.max() + a0.min()) / 2, float(b0.max() + b0.min()) / 2
    a, b = factors(m, np.sqrt)
    slope = [d3.Differentiate(m, coordinates[k]) for k in names]
    linear, rest = 0, 0
    for i, k in enumerate(names):
        along = sum(D1[i, j] * slope[j] for j in range(dimension))
        flux = mean1 * along + mean2 * slope[i]
        linear = linear + d3.Differentiate(flux, coordinates[k])
        rest = rest + d3.Differentiate((a - mean1) * along + (b - mean2) * slope[i], coordinates[k])
    problem = d3.IVP([m])
    problem.add_equation((d3.dt(m) - linear, rest))
    h = END / steps

    stepper = problem.build_solver(getattr(d3, scheme))

    def begin() -> None:
        stepper.timestepper = getattr(d3, scheme)(stepper)  # forgets its last steps
        m.change_scales(1)
        m["g"] = start

    def run() -> Array:
        for _ in range(steps):
            stepper.step(h)
        m.change_scales(1)
        found = np.array(m["g"])
        begin()
        return found

    begin()
    return run
