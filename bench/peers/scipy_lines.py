"""SciPy's solve_ivp on central differences: BDF with the pattern of the Jacobian, and RK45."""

from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import coo_array
from torus import END, Array, central, initial

NAME = "SciPy, differences"
OFFSET = 0.0
SETTINGS = {
    1: [(n, how, rtol) for n in (32, 64, 128, 256, 512) for how in ("BDF", "RK45") for rtol in (1e-4, 1e-6)],
    2: [(n, how, 1e-4) for n in (32, 48, 64, 96, 128) for how in ("BDF", "RK45")],
    3: [(16, "BDF", 1e-3), *((n, "RK45", 1e-3) for n in (16, 24, 32, 48))],  # sparse LU of 24^3 takes minutes
}
"""Points along an axis, method and rtol."""


def label(n: int, how: str, rtol: float) -> str:
    """A setting in words."""
    return f"{n} points an axis, {how}, rtol {rtol:g}"


def pattern(n: int, dimension: int) -> coo_array:
    """Where the Jacobian has entries: neighbours, diagonal ones among them."""
    place = np.arange(n**dimension).reshape((n,) * dimension)
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    shifts = shifts[np.abs(shifts).sum(1) <= 2]
    axes = tuple(range(dimension))
    columns = np.concatenate([np.roll(place, tuple(s), axes).ravel() for s in shifts])
    rows = np.tile(place.ravel(), len(shifts))
    return coo_array((np.ones(rows.size), (rows, columns)), shape=(place.size, place.size))


def solver(dimension: int, n: int, how: str, rtol: float) -> Callable[[], Array]:
    """What makes m at the end."""
    start = initial(n, dimension)
    options = {"jac_sparsity": pattern(n, dimension).tocsc()} if how == "BDF" else {}

    def run() -> Array:
        found = solve_ivp(
            lambda t, m: central(m.reshape(start.shape), n).ravel(), (0, END), start.ravel(),
            method=how, rtol=rtol, atol=rtol, t_eval=[END], **options,
        )  # fmt: skip
        return found.y[:, -1].reshape(start.shape)

    return run
