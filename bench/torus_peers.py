"""The limit equation on the torus beside what a user might write himself: error against seconds.

    OMP_NUM_THREADS=1 python bench/torus_peers.py [--dimension 2 3] [--rounds 3]

m0 = 2 + 0.4 sin 2 pi x + cos 2 pi (x + y + z), full D1, up to t = 0.01; the error is that in L2 over points of a grid,
relative to m's deviation from its mean. Seconds are those of time stepping, the least of some rounds, on one core.

The opponents, in numpy, single-threaded: a Fourier method with the exponential scheme ETDRK4 of Cox and Matthews, its
functions by contour integrals after Kassam and Trefethen (SIAM J. Sci. Comput. 26 (2005) 1214-1233), the linear part
being diffusion with the mean of the largest and the smallest coefficient; and central differences of order two with
Runge and Kutta's fourth-order scheme at 0.9 of its stability limit. Both get the settings that serve them best.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reaction_limit import FULL, study

from mpi4py import MPI

from kinlim.fem.evolution import FIRST_STEP
from kinlim.fem.reaction.limit import LIMIT
from kinlim.fem.record import Record

Array = NDArray[np.float64]

END = 0.01
SECOND = 0.5
"""D2, times the identity."""

TARGETS = {2: (1e-3, 1e-4, 1e-6), 3: (1e-3, 1e-4)}
OWN = {
    ("explicit", 2): [
        (cells, degree, rtol) for cells in (4, 5, 6, 8, 12, 16, 24) for degree in (3, 4) for rtol in (1e-2, 1e-3, 1e-5)
    ],
    ("explicit", 3): [(3, 4, 1e-2), (4, 3, 1e-2), (4, 4, 1e-2), (5, 4, 1e-2), (6, 4, 1e-3), (6, 4, 1e-4), (7, 4, 1e-4)],
    ("implicit", 2): [(8, 3, 1e-3), (8, 4, 1e-3), (12, 4, 1e-4), (16, 4, 1e-4), (24, 4, 1e-6)],
    ("implicit", 3): [(4, 3, 1e-2), (5, 4, 1e-3)],
}
"""Cells along an axis, degree and rtol that kinlim is given, for a way of stepping and a dimension."""

FOURIER = {
    2: list(itertools.product((8, 12, 16, 24), (4, 8, 16, 32, 64))),
    3: list(itertools.product((8, 12, 16), (4, 8, 16, 32))),
}
DIFFERENCES = {2: (16, 24, 32, 48, 64, 96), 3: (16, 24, 32, 48)}


def initial(n: int, dimension: int) -> Array:
    """m0 at the points i/n."""
    x = np.meshgrid(*[np.arange(n) / n] * dimension, indexing="ij")
    return 2 + 0.4 * np.sin(2 * np.pi * x[0]) + np.cos(2 * np.pi * sum(x))


def factors(m: Array) -> tuple[Array, Array]:
    """What D1 and D2 are multiplied by."""
    root = np.sqrt(m * m + 4)
    square = (0.5 * (m + root)) ** 2
    return square / root, SECOND / (square * root)


def fourier(n: int, steps: int, dimension: int) -> Callable[[], Array]:
    """The Fourier method: what makes m at the end."""
    D1 = np.array(FULL)[:dimension, :dimension]
    u0, h = initial(n, dimension), END / steps
    one = np.fft.fftfreq(n, 1 / n) * 2 * np.pi
    wave = np.meshgrid(*[one] * (dimension - 1), np.fft.rfftfreq(n, 1 / n) * 2 * np.pi, indexing="ij")
    axes, inside = tuple(range(dimension)), np.ones(wave[0].shape, bool)
    for k in wave:
        inside &= np.abs(k) < np.pi * n - 1  # the highest frequency has no sign
    a, b = factors(u0)
    mean1, mean2 = (a.max() + a.min()) / 2, (b.max() + b.min()) / 2
    linear = -sum(
        (mean1 * D1[i, j] + mean2 * (i == j)) * wave[i] * wave[j] for i in range(dimension) for j in range(dimension)
    )
    steps_of = [1j * k * inside for k in wave]
    roots = np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 32)
    at = h * linear[..., None] + roots
    half = h * np.mean((np.exp(at / 2) - 1) / at, axis=-1).real
    f1 = h * np.mean((-4 - at + np.exp(at) * (4 - 3 * at + at**2)) / at**3, axis=-1).real
    f2 = h * np.mean((2 + at + np.exp(at) * (at - 2)) / at**3, axis=-1).real
    f3 = h * np.mean((-4 - 3 * at - at**2 + np.exp(at) * (4 - at)) / at**3, axis=-1).real
    whole, halfway = np.exp(h * linear), np.exp(h * linear / 2)

    def rest(v: Any) -> Any:
        m = np.fft.irfftn(v, (n,) * dimension, axes)
        slope = [np.fft.irfftn(k * v, (n,) * dimension, axes) for k in steps_of]
        a, b = factors(m)
        flux = [a * sum(D1[i, j] * slope[j] for j in range(dimension)) + b * slope[i] for i in range(dimension)]
        return sum(k * np.fft.rfftn(f) for k, f in zip(steps_of, flux, strict=True)) - linear * v

    def run() -> Array:
        v = np.fft.rfftn(u0)
        for _ in range(steps):
            n0 = rest(v)
            a = halfway * v + half * n0
            na = rest(a)
            b = halfway * v + half * na
            nb = rest(b)
            c = halfway * a + half * (2 * nb - n0)
            v = whole * v + f1 * n0 + 2 * f2 * (na + nb) + f3 * rest(c)
        return np.fft.irfftn(v, (n,) * dimension, axes)

    return run


def differences(n: int, dimension: int) -> Callable[[], Array]:
    """Central differences: what makes m at the end."""
    D1, u0 = np.array(FULL)[:dimension, :dimension], initial(n, dimension)
    a, b = factors(u0)
    steep = 4 * n * n * (a.max() * np.abs(D1).sum() + b.max() * dimension)
    steps = int(np.ceil(END * steep / (0.9 * 2.785)))
    h = END / steps

    def slope(m: Array) -> Array:
        a, b = factors(m)
        after = [np.roll(m, -1, i) for i in range(dimension)]
        before = [np.roll(m, 1, i) for i in range(dimension)]
        central = [(after[i] - before[i]) * (n / 2) for i in range(dimension)]
        found = np.zeros_like(m)
        for i in range(dimension):
            weight = a * D1[i, i] + b
            flux = (weight + np.roll(weight, -1, i)) * (after[i] - m) * (n * n / 2)
            found += flux - np.roll(flux, 1, i)
            mixed = a * sum((D1[i, j] * central[j] for j in range(dimension) if j != i), np.zeros_like(m))
            found += (np.roll(mixed, -1, i) - np.roll(mixed, 1, i)) * (n / 2)
        return found

    def run() -> Array:
        m = u0
        for _ in range(steps):
            k1 = slope(m)
            k2 = slope(m + h / 2 * k1)
            k3 = slope(m + h / 2 * k2)
            m = m + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(m + h * k3))
        return m

    return run


def refined(m: Array, n: int) -> Array:
    """Values at the points i/n of the trigonometric polynomial through m."""
    small, dimension = m.shape[0], m.ndim
    v = np.fft.fftshift(np.fft.fftn(m)) * (n / small) ** dimension
    if small < n:
        if small % 2 == 0:  # half of the highest frequency belongs to the other sign, which is left out with it
            for axis in range(dimension):
                np.moveaxis(v, axis, 0)[0] *= 0.5
        low = n // 2 - small // 2
        v = np.pad(v, [(low, n - small - low)] * dimension)
    return np.fft.ifftn(np.fft.ifftshift(v)).real


def own(stepping: str, dimension: int, cells: int, degree: int, rtol: float) -> tuple[float, Array]:
    """Seconds and solution of kinlim: of its steps, without observations, as those of the others are without."""
    problem = LIMIT.problem(
        study(dimension, cells, degree=degree, shape="box", stepping=stepping, rtol=rtol), MPI.COMM_SELF
    )
    with problem.stepper(FIRST_STEP * END) as stepper:
        began = time.perf_counter()
        stepper.advance(END)
        seconds = time.perf_counter() - began
        grid = problem.equation.grid
        return seconds, Record(problem).observed(problem.u).reshape(grid.shape)


def timed(run: Callable[[], Array]) -> tuple[float, Array]:
    """Seconds and result."""
    began = time.perf_counter()
    found = run()
    return time.perf_counter() - began, found


def solvers(dimension: int) -> Iterator[tuple[str, str, Callable[[], tuple[float, Array]]]]:
    """Solver, setting, and what gives seconds and solution."""
    for stepping in ("explicit", "implicit"):
        for cells, degree, rtol in OWN[stepping, dimension]:
            label = f"{cells}^{dimension} cells of degree {degree}, rtol {rtol:g}"
            yield f"kinlim, {stepping}", label, partial(own, stepping, dimension, cells, degree, rtol)
    for n, steps in FOURIER[dimension]:
        yield (
            "Fourier, ETDRK4",
            f"{n}^{dimension} points, {steps} steps",
            partial(timed, fourier(n, steps, dimension)),
        )
    for n in DIFFERENCES[dimension]:
        yield "central differences", f"{n}^{dimension} points", partial(timed, differences(n, dimension))


def main() -> None:
    """Print, for every solver and target, its fastest setting."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--dimension", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="every setting, too")
    asked = parser.parse_args()
    for dimension in asked.dimension:
        exact = fourier(32 if dimension == 3 else 64, 256, dimension)()
        size = np.sqrt(np.mean((exact - exact.mean()) ** 2))
        rows: list[tuple[str, str, float, float]] = []
        for solver, label, run in solvers(dimension):
            seconds, m = np.inf, np.empty(0)
            for _ in range(asked.rounds if "implicit" not in solver or dimension == 2 else 1):
                spent, m = run()
                seconds = min(seconds, spent)
            n = int(np.lcm(m.shape[0], exact.shape[0]))
            n = max(m.shape[0], exact.shape[0]) if n > 128 else n
            gap = refined(m, n) - refined(exact, n) if m.shape != exact.shape else m - exact
            error = float(np.sqrt(np.mean(gap**2)) / size) if np.isfinite(m).all() else np.inf
            rows.append((solver, label, seconds, error))
            if asked.all:
                print(f"  {solver:22} {label:40} {seconds:9.4f} s {error:9.1e}", flush=True)
        print(f"\n{dimension}D: seconds of the fastest setting below an error, and the setting")
        for target in TARGETS[dimension]:
            print(f"error below {target:g}")
            least = None
            for solver in dict.fromkeys(row[0] for row in rows):
                good = [row for row in rows if row[0] == solver and row[3] < target]
                if not good:
                    print(f"  {solver:22} none of the settings")
                    continue
                _, label, seconds, error = min(good, key=lambda row: row[2])
                least = least or seconds
                print(f"  {solver:22} {seconds:9.4f} s, {seconds / least:8.2f} of the first ({label}; {error:.1e})")


if __name__ == "__main__":
    main()
