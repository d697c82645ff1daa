"""py-pde: its operators of order two compiled with numba, the equation with its derivatives written out.

d_dx(d_dx(m)) would reach over two cells and lose accuracy, so second derivatives are its own. Steps by its adaptive
Runge-Kutta scheme, or by SciPy's LSODA and BDF which it can call. Compilation is not counted.
"""

import os
from collections.abc import Callable

import numpy as np
from torus import END, SECOND, Array, diffusion, initial

os.environ.setdefault("NUMBA_NUM_THREADS", "1")
import pde

NAME = "py-pde"
OFFSET = 0.5
SETTINGS = {
    1: [(n, how) for n in (32, 64, 128, 256, 512) for how in ("runge-kutta", "BDF") if n < 512 or how == "BDF"],
    2: [(n, "runge-kutta") for n in (48, 64, 96, 128)],
    3: [(n, "runge-kutta") for n in (16, 24, 32, 48)],
}
"""Points along an axis, and method."""


def label(n: int, how: str) -> str:
    """A setting in words."""
    return f"{n} points an axis, {how}"


def solver(dimension: int, n: int, how: str) -> Callable[[], Array]:
    """What makes m at the end."""
    grid = pde.CartesianGrid([[0, 1]] * dimension, [n] * dimension, periodic=True)
    D1, axes = diffusion(dimension), "xyz"[:dimension]
    s = "sqrt(m**2+4)"
    r = f"(0.5*(m+{s}))"
    a, b = f"{r}**2/{s}", f"{SECOND}/({r}**2*{s})"
    a1 = f"(2*{r}**2/{s}**2-{r}**2*m/{s}**3)"
    b1 = f"(-{SECOND}/{r}**2*(2/{s}**2+m/{s}**3))"
    second = "+".join(f"{D1[i, i]}*d2_d{k}2(m)" for i, k in enumerate(axes))
    square = "+".join(f"{D1[i, i]}*d_d{k}(m)**2" for i, k in enumerate(axes))
    for i, k in enumerate(axes):
        for j in range(i):
            second += f"+{2 * D1[i, j]}*d_d{k}(d_d{axes[j]}(m))"
            square += f"+{2 * D1[i, j]}*d_d{k}(m)*d_d{axes[j]}(m)"
    text = f"{a}*({second})+{b}*laplace(m)+{a1}*({square})+{b1}*gradient_squared(m)"
    equation, start = pde.PDE({"m": text}), pde.ScalarField(grid, initial(n, dimension, OFFSET))
    if how == "runge-kutta":
        scheme = pde.RungeKuttaSolver(equation, adaptive=True, tolerance=1e-4)
    else:
        scheme = pde.ScipySolver(equation, method=how, rtol=1e-5, atol=1e-5)
    steps = scheme.make_stepper(start, dt=1e-6)
    steps(start.copy(), 0, END / 1e3)  # compiles

    def run() -> Array:
        state = start.copy()
        found = steps(state, 0, END)
        return np.array((state if found is None or np.isscalar(found) else found).data)

    return run
