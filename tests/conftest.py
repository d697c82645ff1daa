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


@pytest.fixture
def tables() -> dict[str, dict[str, Any]]:
    """The tables of a small study, to change at will."""
    return copy.deepcopy(TABLES)


@pytest.fixture
def study(tables: dict[str, dict[str, Any]]) -> Study:
    """The small study."""
    return check(tables)
