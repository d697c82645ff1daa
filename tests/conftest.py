"""Small studies, so that the whole suite takes a minute or two."""

import copy
from typing import Any

import pytest

from kinlim.study import Study, check

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
