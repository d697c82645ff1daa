"""kinlim: does this particle system really converge to that equation, how fast, and what is left over?

>>> import kinlim
>>> study = kinlim.load("mine.toml", ["model.balls=100", "particles.replicas=1000"])  # from `kinlim new pinned`
>>> particles = kinlim.simulate(study)  # an xarray.Dataset
>>> pde = kinlim.solve(study)           # another
>>> comparison = kinlim.compare(particles, pde)
>>> print(f"sigma: {comparison.gap_sigma[-1]:+.3f} +- {comparison.gap_se_sigma[-1]:.3f}")
sigma: -0.108 +- 0.004

`kinlim.run(study, "results/mine")` does all three, and writes a report.
"""

import os
import sys

if sys.argv[:1] == ["-m"] and sys.orig_argv[sys.orig_argv.index("-m") :][1:2] == ["kinlim"]:
    # `python -m kinlim` looks for modules in the current folder first, where a stranger's numpy.py may lie
    sys.path[:] = [folder for folder in sys.path if folder not in ("", os.getcwd())]

if os.path.basename(sys.argv[0] if sys.argv else "") in ("kinlim", "-m"):  # a command, not a script of a user's own
    # Ranks and replicas share the cores. On matrices as small as those here, threads of BLAS wait for each other: the
    # kinetic system of `kinlim new reaction` took 22 s with two of them and 3.6 s with one.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import kinlim.compat  # isort: skip # noqa: F401 - before all that loads MPI

from kinlim.api import compare, converge, load, simulate, solve
from kinlim.base import Ensemble, Physics
from kinlim.equation import Equation, EvolutionSettings, Interval, MeshFile, Torus
from kinlim.errors import InputError, RunError, Stopped
from kinlim.grid import Bins, Points
from kinlim.model import Command, Comparison, Maker, Measured, Model, Side, Verdict
from kinlim.particles import Observable, Particles
from kinlim.rules import Means, Modes, Numbers, Rule, rules
from kinlim.sides import Ensembles, Evolution, Known
from kinlim.sweeps import sweep
from kinlim.table import FormulaOfX, FormulaOfXY, FormulaOfXYZ, Positive, Table
from kinlim.version import __version__
from kinlim.workflow import run

__all__ = [
    "Bins",
    "Command",
    "Comparison",
    "Ensemble",
    "Ensembles",
    "Equation",
    "Evolution",
    "EvolutionSettings",
    "FormulaOfX",
    "FormulaOfXY",
    "FormulaOfXYZ",
    "InputError",
    "Interval",
    "Known",
    "Maker",
    "Means",
    "Measured",
    "MeshFile",
    "Model",
    "Modes",
    "Numbers",
    "Observable",
    "Particles",
    "Physics",
    "Points",
    "Positive",
    "Rule",
    "RunError",
    "Side",
    "Stopped",
    "Table",
    "Torus",
    "Verdict",
    "__version__",
    "compare",
    "converge",
    "load",
    "rules",
    "run",
    "simulate",
    "solve",
    "sweep",
]
