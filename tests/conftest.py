"""Small studies, and what all tests have in common."""

import base64
import copy
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from kinlim.compat import LAUNCHED
from kinlim.study import Study, check

# No test depends on how fast the machine is.
settings.register_profile("kinlim", deadline=None)
settings.load_profile("kinlim")


def pytest_configure() -> None:
    """Give each of several ranks a root of its own for temporary folders: pytest tidies up there what is old."""
    if any(name in os.environ for name in LAUNCHED):
        from mpi4py import MPI

        root = Path(tempfile.gettempdir()) / f"pytest-rank-{MPI.COMM_WORLD.rank}"
        root.mkdir(exist_ok=True)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(root)


TABLES: dict[str, dict[str, Any]] = {
    "study": {"model": "pinned", "name": "small"},
    "model": {
        "balls": 50,
        "mu0": "erf(27*(x-1/2)**3)",
        "sigma0": "(1-cos(2*pi*x))/20",
        "end_time": 0.002,
        "observe": [0.1, 0.5, 1.0],
    },
    "particles": {"replicas": 600, "seed": 3, "lags": 5},
    "pde": {"cells": 40, "rtol": 1e-7},
}


KAC: dict[str, dict[str, Any]] = {
    "study": {"model": "kac", "name": "small-kac"},
    "model": {
        "system": 3,
        "reservoir": 12,
        "lambda_s": 0.7,
        "lambda_r": 1.3,
        "mu": 1.1,
        "h0": {"family": "polynomial", "density": "(1+sqrt(2*pi)*x)**2/2"},
        "end_time": 4.0,
        "observe": [0.0, 0.1, 0.3, 1.0],
    },
    "particles": {"replicas": 4000, "seed": 3},
    "exact": {"degree": 3},
}


REACTION: dict[str, dict[str, Any]] = {
    "study": {"model": "reaction", "name": "small-reaction"},
    "model": {
        "dimension": 1,
        "chi1": {"family": "gaussian", "covariance": 1.0},
        "chi2": {"family": "power", "k": 3.0},
        "f0": "1.6 + 0.6*cos(2*pi*x)",
        "g0": "0.9 - 0.3*sin(4*pi*x)",
        "epsilon": 0.2,
        "end_time": 0.04,
        "observe": [0.0, 0.1, 0.5, 1.0],
    },
    "particles": {"replicas": 40, "seed": 3, "per_unit": 4000, "bins": 8},
    "kinetic": {"modes": 12, "cells": 12, "degree": 3, "rtol": 1e-6},
    "pde": {"cells": 24, "degree": 2, "rtol": 1e-7},
}


@pytest.fixture
def reaction() -> dict[str, dict[str, Any]]:
    """The tables of a small study of kinetic generation and recombination, to change at will."""
    return copy.deepcopy(REACTION)


@pytest.fixture
def kac() -> dict[str, dict[str, Any]]:
    """The tables of a small study of Kac particles, to change at will."""
    return copy.deepcopy(KAC)


@pytest.fixture
def tables() -> dict[str, dict[str, Any]]:
    """The tables of a small study, to change at will."""
    return copy.deepcopy(TABLES)


@pytest.fixture
def study(tables: dict[str, dict[str, Any]]) -> Study:
    """The small study."""
    return check(tables)


PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
"""A PNG."""


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and not rendered, for tests of what becomes of the files, not of what they show."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, file, **_: file.write(PIXEL))
