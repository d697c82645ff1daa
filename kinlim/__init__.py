"""kinlim: does this particle system really converge to that equation, how fast, and what is left over?

import kinlim
study = kinlim.load("examples/pinned-paper.toml", ["particles.replicas=1000"])
particles = kinlim.simulate(study)        # xarray.Dataset
pde = kinlim.solve(study)                 # xarray.Dataset
comparison = kinlim.compare(particles, pde)
kinlim.run(study, "results/mine")         # all three, and a report, into a folder
"""

import kinlim.compat  # isort: skip # noqa: F401 - before all that loads MPI

from kinlim.api import compare, converge, load, simulate, solve
from kinlim.errors import InputError, RunError, Stopped
from kinlim.version import __version__
from kinlim.workflow import run

__all__ = [
    "InputError",
    "RunError",
    "Stopped",
    "__version__",
    "compare",
    "converge",
    "load",
    "run",
    "simulate",
    "solve",
]
