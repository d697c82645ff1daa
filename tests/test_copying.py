"""Kernels copy arrays with `put`: a slice that is assigned an array compiles four seconds of text formatting."""

import ast
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from kinlim.stochastic.copying import put

KERNELS = sorted((Path(__file__).parent.parent / "stochastic").rglob("*.py"))


def assigned_slices(source):
    """Lines of compiled functions in which a slice is assigned something that is no number."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and any("njit" in ast.unparse(d) for d in function.decorator_list):
            for line in ast.walk(function):
                if not isinstance(line, ast.Assign):
                    continue
                for target in line.targets:
                    pairs = [(target, line.value)]
                    if isinstance(target, ast.Tuple) and isinstance(line.value, ast.Tuple):
                        pairs = list(zip(target.elts, line.value.elts, strict=True))
                    yield from (
                        ast.unparse(line)
                        for to, value in pairs
                        if isinstance(to, ast.Subscript)
                        and any(isinstance(part, ast.Slice) for part in ast.walk(to.slice))
                        and any(isinstance(part, ast.Subscript | ast.Attribute) for part in ast.walk(value))
                        and not isinstance(value, ast.Call)
                    )


@pytest.mark.parametrize("file", KERNELS, ids=lambda file: file.stem)
def test_no_kernel_assigns_an_array_to_a_slice(file):
    assert list(assigned_slices(file.read_text(encoding="utf-8"))) == []


def test_what_is_looked_for_is_found():
    source = "@njit(cache=True)\ndef f(a, b):\n    a[:] = b[2:]\n    a[0, :], b[1:] = 0.0, a.T\n    a[:] = 0.0\n"
    assert list(assigned_slices(source)) == ["a[:] = b[2:]", "a[0, :], b[1:] = (0.0, a.T)"]


@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_a_copy_is_a_copy(shape):
    source, target = np.arange(float(np.prod(shape))).reshape(shape), np.zeros(shape)
    njit(lambda to, what: put(to, what))(target, source)
    assert np.array_equal(target, source)
