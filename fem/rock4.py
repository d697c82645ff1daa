"""Stabilised explicit Runge-Kutta schemes of order 4: how they are made, and the table of them.

A scheme of s stages has the stability polynomial R = w P. P, of degree s - 4, is one of the polynomials orthogonal on
[-l, 0] with the weight w(z)^2/sqrt(-z (l + z)), made by a three-term recurrence, so that w P oscillates with almost one
amplitude; w has degree 4 and two pairs of complex zeros. These and l are such that R(z) = e^z + O(z^5) and that the
amplitude is `AMPLITUDE`. Then |R| < 1 on [-l, 0), and l is 0.349 s^2 for large s. The last four stages have ten
numbers, which make up w and satisfy the conditions of order 4 for nonlinear equations.

The construction is that of Abdulle, "Fourth order Chebyshev methods with recurrence relation", SIAM J. Sci. Comput. 23
(2002) 2041-2054; `python -m kinlim.fem.rock4` solves its equations and writes the numbers into `rock4.json`.

Trees of order up to 4 are kept in the order of `DENSITIES`: ., [.], [..], [[.]], [...], [.[.]], [[..]], [[[.]]].
"""

import functools
import json
from collections.abc import Callable
from math import comb, factorial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AMPLITUDE = 0.87
"""Of R far inside of the stability interval; next to 0 it is up to a tenth more."""

DENSITIES = np.array([1.0, 2, 3, 6, 4, 8, 12, 24])
"""Of trees: a scheme has order 4 where their elementary weights are 1 over these."""

NONLINEAR = [2, 4, 5, 6]
"""Trees whose conditions do not follow from the stability polynomial."""

ESTIMATE = 1 / 240
"""Weight of the error estimate on the tree [[[.]]], a tenth of what a scheme of order 3 may miss.

With it the error at the end was 0.15 of a tolerance of 1e-4 in the plane, with implicit steps 0.16; with 1/24, 0.02.
"""

TABLE = Path(__file__).with_name("rock4.json")

FIRST = 5, (1.80493227, -0.22363742, 1.04825082, -2.00769814, 0.07966231)
FINISH = (0.3337, -0.3128, 0.679, -0.1883, 0.2887, 0.7693, -0.0025, 0.4565, 0.2376, 0.1346)
"""Where the search begins: s; log l, real part and log of the imaginary part of both zeros; a and b of the end."""

MOST_STAGES = 500
"""Of the table."""


class Scheme(NamedTuple):
    """A scheme of s stages.

    Attributes:
        stages: s.
        reach: l.
        recurrence: mu, nu, kappa of g_j = h mu_j f(g_(j-1)) - nu_j g_(j-1) - kappa_j g_(j-2), shape (s - 4, 3).
        a: of the last four stages, lower triangular, shape (4, 4).
        b: of the step, shape (4,): y = g_(s-4) + h sum b_i k_i.
        error: of the estimate h sum e_i k_i, the last slope being that at the end, shape (5,).
        times: where all s slopes are taken, over h, shape (s,).
    """

    stages: int
    reach: float
    recurrence: Array
    a: Array
    b: Array
    error: Array
    times: Array


@functools.cache
def ladder() -> dict[int, float]:
    """The numbers of stages that there are, increasing, and the reach of each."""
    return {int(stages): float(np.exp(row[0])) for stages, row in _table().items()}


def reaching(length: float) -> Scheme:
    """The scheme with the fewest stages whose reach is at least so long; the longest one if there is none."""
    return scheme(next((stages for stages, reach in ladder().items() if reach >= length), max(ladder())))


@functools.cache
def scheme(stages: int) -> Scheme:
    """The scheme of so many stages, which are one of `ladder`."""
    row = np.array(_table()[str(stages)])
    polynomial, finish = row[:5], row[5:]
    recurrence = _recurrence(polynomial, stages)[0]
    before, levels = _prefix(recurrence)
    a, b = _matrix(finish)
    places, slopes, end = _end(a, b, before)
    every = np.stack([*slopes, _slope(end)], axis=1)
    error = np.append(np.linalg.solve(every[:4, :4], -every[:4, 4]), 1.0)
    error *= ESTIMATE / abs(float(every[7] @ error))
    times = np.array([place[0] for place in (*levels[:-1], *places)])
    return Scheme(stages, float(np.exp(polynomial[0])), recurrence, a, b, error, times)


def conditions(stages: int) -> Array:
    """What a scheme misses: elementary weights less 1/density; those of the estimate for the first four trees."""
    found = scheme(stages)
    before, _ = _prefix(found.recurrence)
    _, slopes, end = _end(found.a, found.b, before)
    estimate = found.error @ np.stack([*slopes, _slope(end)])
    return np.concatenate([end - 1 / DENSITIES, estimate[:4]])


@functools.cache
def _table() -> dict[str, list[float]]:
    return dict(json.loads(TABLE.read_text(encoding="utf-8")))


def _recurrence(parameters: Array, stages: int) -> tuple[Array, Array, float, Array]:
    """Recurrence of P, derivatives of R at 0 up to the fourth, the amplitude of R, and the coefficients of w."""
    length, (a, b, c, d) = np.exp(parameters[0]), _zeros(parameters)
    points, degree, unit = stages + 8, stages - 4, np.exp(parameters[0]) / 4
    z = (np.cos((2 * np.arange(points) + 1) * np.pi / (2 * points)) - 1) * length / 2
    both = (a**2 + b**2) * (c**2 + d**2)
    weight = (((z - a) ** 2 + b**2) * ((z - c) ** 2 + d**2) / both) ** 2 / points
    alpha, beta, size = np.zeros(degree), np.zeros(degree), 1.0
    last, now = np.zeros(points), np.ones(points)
    at_0 = [np.zeros(5), np.eye(5)[0]]  # derivatives of the polynomials, to the fourth
    for j in range(degree):  # Stieltjes' procedure, in units in which the polynomials neither grow nor shrink
        before, size = size, weight @ now**2
        alpha[j], beta[j] = weight @ (z * now**2) / size / unit, size / before if j else 0.0
        last, now = now, (z / unit - alpha[j]) * now - beta[j] * last
        shifted = np.arange(5) * np.concatenate([[0.0], at_0[-1][:4]]) / unit
        at_0.append(shifted - alpha[j] * at_0[-1] - beta[j] * at_0[-2])
    value = np.array([derivatives[0] for derivatives in at_0])
    mu = value[1:-1] / value[2:]
    w = np.convolve([a**2 + b**2, -2 * a, 1], [c**2 + d**2, -2 * c, 1]) / both
    of_w, of_p = w * [factorial(k) for k in range(5)], at_0[-1] / value[-1]
    of_r: Array = np.array([sum(comb(k, i) * of_w[i] * of_p[k - i] for i in range(k + 1)) for k in range(5)])
    amplitude = float(np.sqrt(2 * weight @ now**2) / abs(value[-1]))
    recurrence: Array = np.stack([mu / unit, alpha * mu, beta * value[:-2] / value[2:]], axis=1)
    return recurrence, of_r, amplitude, w


def _zeros(parameters: Array) -> tuple[float, float, float, float]:
    _, a, log_b, c, log_d = parameters
    return a, np.exp(log_b), c, np.exp(log_d)


def _slope(u: Array) -> Array:
    """Elementary weights of h f(g), those of g being u."""
    return np.array([1, u[0], u[0] ** 2, u[1], u[0] ** 3, u[0] * u[1], u[2], u[3]])


def _prefix(recurrence: Array) -> tuple[Array, list[Array]]:
    """Elementary weights of g_(s-4), and of all g."""
    levels = [np.zeros(8), np.zeros(8)]
    for mu, nu, kappa in recurrence:
        levels.append(mu * _slope(levels[-1]) - nu * levels[-1] - kappa * levels[-2])
    return levels[-1], levels[1:]


def _end(a: Array, b: Array, before: Array) -> tuple[list[Array], list[Array], Array]:
    """Elementary weights of where the last four slopes are taken, of these slopes, and of the end."""
    places: list[Array] = []
    slopes: list[Array] = []
    for row in a:
        places.append(before + sum((x * k for x, k in zip(row, slopes, strict=False)), np.zeros(8)))
        slopes.append(_slope(places[-1]))
    return places, slopes, before + b @ np.stack(slopes)


def _matrix(finish: Array) -> tuple[Array, Array]:
    """A and b of the last four stages."""
    a = np.zeros((4, 4))
    a[np.tril_indices(4, -1)] = finish[:6]
    return a, finish[6:]


def _search(most: int) -> dict[str, list[float]]:
    """The table: from each number of stages to the next by Gauss-Newton, and on a ladder of them the end."""
    from scipy.optimize import least_squares

    def polynomial(parameters: Array, stages: int) -> Array:
        _, derivatives, amplitude, _ = _recurrence(parameters, stages)
        return np.append(derivatives[1:] - 1, amplitude - AMPLITUDE)

    def end(finish: Array, before: Array, w: Array) -> Array:
        a, b = _matrix(finish)
        ones = np.ones(4)
        stability = np.array([b @ ones, b @ a @ ones, b @ a @ a @ ones, b @ a @ a @ a @ ones])
        return np.concatenate([stability - w[1:], (_end(a, b, before)[2] - 1 / DENSITIES)[NONLINEAR]])

    def solved(function: Callable[..., Array], start: Array, *more: Any) -> Array:
        found = least_squares(function, start, args=more, xtol=1e-15, ftol=1e-15, gtol=1e-15)
        if found.cost > 1e-24:
            raise RuntimeError(f"there is no solution near {start}: {found}")
        return np.asarray(found.x, np.float64)

    table: dict[str, list[float]] = {}
    stages, parameters = FIRST[0], np.array(FIRST[1])
    finish, due = np.array(FINISH), 5.0
    while stages <= most:
        parameters = solved(polynomial, parameters, stages)
        if stages >= due or stages == most:
            recurrence, _, _, w = _recurrence(parameters, stages)
            finish = solved(end, finish, _prefix(recurrence)[0], w)
            table[str(stages)] = [float(x) for x in (*parameters, *finish)]
            due = 1.06 * stages
        stages += 1
        parameters = parameters + np.eye(5)[0] * 2 * np.log(stages / (stages - 1))
    return table


if __name__ == "__main__":
    rows = ",\n".join(f'"{stages}": {json.dumps(row)}' for stages, row in _search(MOST_STAGES).items())
    TABLE.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")
