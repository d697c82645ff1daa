"""The kinetic system: time to solution for every epsilon, conservation, the entropy identity, and orders in epsilon.

    OMP_NUM_THREADS=1 python bench/reaction_kinetic.py [--rounds 3] [--only line|limit|plane]

line, limit: Gaussians with D1 = 1, D2 = 1/2, K = 32 velocities, end_time 0.1. Seconds are those of the whole call of
`solve`, the least of the rounds: 64 cells of degree 2, rtol 1e-6, data that are neither in equilibrium nor even in v.
The error is that of rho_f at the end, against 16 cells of degree 7 and rtol 1e-9. The identity is entropy(0) -
entropy(t) = dissipated(t), relative to what is dissipated by the end; once more for rtol 1e-8. Orders are of the
distance in L2 of rho_f - rho_g at time 0.02 from the limit, computed from a Fourier method with 128 points and SciPy's
BDF: for data in local equilibrium, out of chemical equilibrium, and with an odd part in v.

plane: dimension 2, D1 = ((1, 0.3), (0.3, 0.6)), chi2 = c (1 + |v|^2)^(-3.5), as kinlim solves it by default: 8^2
velocities, 8^2 cells of degree 4, rtol 1e-6, until 0.1. Errors are those of rho_f at the end: of mesh and steps against
5^2 cells of degree 8 and rtol 1e-7, of velocities against 16^2 of them.
"""

import argparse
import resource
from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from kinlim.fem.reaction.kinetic import solve
from kinlim.models.reaction.tables import ReactionStudy

Array = NDArray[np.float64]

EPSILONS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
SMALL = tuple(2.0**-k for k in range(5, 11))
DATA = ("1.5+0.5*sin(2*pi*x)+0.2*tanh(vx)", "0.8+0.3*cos(2*pi*x)")
PLANE = ("1.5+0.5*sin(2*pi*x)*cos(2*pi*y)+0.2*tanh(vx)", "0.8+0.3*cos(2*pi*(x+y))")
EVEN = ("exp(0.5*sin(2*pi*x))", "exp(-0.5*sin(2*pi*x))")
LIMITS: dict[str, tuple[tuple[str, str], Callable[[Array], Array]]] = {
    "local equilibrium": (EVEN, lambda x: 2 * np.sinh(0.5 * np.sin(2 * np.pi * x))),
    "out of chemical equilibrium": (
        ("1.5+0.5*sin(2*pi*x)", "0.8+0.3*cos(2*pi*x)"),
        lambda x: 0.7 + 0.5 * np.sin(2 * np.pi * x) - 0.3 * np.cos(2 * np.pi * x),
    ),
    "with an odd part": (
        (EVEN[0] + "*(1+0.9*tanh(vx)*cos(2*pi*x))", EVEN[1]),
        lambda x: 2 * np.sinh(0.5 * np.sin(2 * np.pi * x)),
    ),
}


def study(epsilon: float, data: tuple[str, str], end: float, **settings: float) -> ReactionStudy:
    """Make the study of one solution."""
    plane = {
        "dimension": 2,
        "chi1": {"family": "gaussian", "covariance": [[1.0, 0.3], [0.3, 0.6]]},
        "chi2": {"family": "power", "k": 3.5},
    }
    return ReactionStudy.model_validate(
        {
            "study": {"model": "reaction", "name": "bench"},
            "model": {
                "chi1": {"family": "gaussian", "covariance": 1.0},
                "chi2": {"family": "gaussian", "covariance": 0.5},
                "f0": data[0],
                "g0": data[1],
                "epsilon": epsilon,
                "end_time": end,
                "observe": [0.0, 0.01, 0.1, 0.25, 0.5, 1.0],
            }
            | (plane if data == PLANE else {}),
            "particles": {"replicas": 2, "bias": 1.0},
            "kinetic": settings,
        }
    )


def identity(data: xr.Dataset) -> float:
    """Worst relative error of the entropy identity."""
    gone = data.attrs["entropy_start"] - data.entropy
    return float(np.abs(gone - data.dissipated).max() / data.dissipated[-1])


def limit(time: float, m0: Callable[[Array], Array], d1: float = 1.0, d2: float = 0.5, count: int = 128) -> Array:
    """Solve m_t = (D(m) m_x)_x on a uniform grid."""
    wave = 2j * np.pi * np.fft.fftfreq(count, 1 / count)

    def slope(m: Array) -> Array:
        return np.fft.ifft(wave * np.fft.fft(m)).real

    def rate(t: float, m: Array) -> Array:
        rho = (m + np.sqrt(m**2 + 4)) / 2
        return slope((d1 * rho**2 + d2 / rho**2) / np.sqrt(m**2 + 4) * slope(m))

    return solve_ivp(rate, (0, time), m0(np.arange(count) / count), "BDF", [time], rtol=1e-10, atol=1e-12).y[:, 0]


def times(rounds: int) -> None:
    """Print the first table."""
    print("epsilon  seconds  steps  rejected  failed     mass   error  identity  rtol 1e-8: seconds  steps  identity")
    solve(study(1.0, DATA, 1e-3, cells=4))  # imports, first use of PETSc
    for epsilon in EPSILONS:
        runs = [solve(study(epsilon, DATA, 0.1)) for _ in range(rounds)]
        tight = solve(study(epsilon, DATA, 0.1, rtol=1e-8))
        exact = solve(study(epsilon, DATA, 0.1, cells=16, degree=7, rtol=1e-9))
        data, a = runs[0], runs[0].attrs
        mass = float(np.abs(data.mass_difference - a["mass_difference_start"]).max())
        error = float(np.abs(data.rho_f - exact.rho_f)[-1].max())
        print(
            f"{epsilon:7g} {min(run.attrs['wall_seconds'] for run in runs):8.2f} {a['steps']:6d} "
            f"{a['rejected_steps']:9d} {a['failed_solves']:7d} {mass:8.0e} {error:7.0e} {identity(data):9.1e} "
            f"{tight.attrs['wall_seconds']:19.2f} {tight.attrs['steps']:6d} {identity(tight):9.1e}",
            flush=True,
        )


def orders() -> None:
    """Print the second table."""
    print("\ndistance to the limit, and its order from each epsilon to the next, epsilon = 1/32 ... 1/1024")
    for name, (formulas, m0) in LIMITS.items():
        reference = limit(0.02, m0)
        found = [solve(study(epsilon, formulas, 0.02, cells=8, degree=7, rtol=1e-8)) for epsilon in SMALL]
        errors = np.array([np.sqrt(((data.m[-1, ::2] - reference) ** 2).mean()) for data in found])
        print(f"{name:28}", " ".join(f"{error:8.2e}" for error in errors))
        print(" " * 36, " ".join(f"{order:8.3f}" for order in np.log2(errors[:-1] / errors[1:])), flush=True)


def plane() -> None:
    """Print the third table."""
    print("\nepsilon  seconds  steps  iterations/solve     mass   error  velocities  identity    MiB, so far")
    for epsilon in EPSILONS:
        data = solve(study(epsilon, PLANE, 0.1))
        exact = solve(study(epsilon, PLANE, 0.1, cells=5, degree=8, rtol=1e-7))
        more = solve(study(epsilon, PLANE, 0.1, modes=16))
        a = data.attrs
        iterations = a["linear_iterations"] / a["linear_solves"]
        mass = float(np.abs(data.mass_difference - a["mass_difference_start"]).max())
        error, velocities = (float(np.abs(data.rho_f - other.rho_f)[-1].max()) for other in (exact, more))
        print(
            f"{epsilon:7g} {a['wall_seconds']:8.1f} {a['steps']:6d} {iterations:17.1f} "
            f"{mass:8.0e} {error:7.0e} {velocities:11.0e} {identity(data):9.1e} "
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:14d}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("line", "limit", "plane"))
    chosen = parser.parse_args()
    for name, table in {"line": lambda: times(chosen.rounds), "limit": orders, "plane": plane}.items():
        if chosen.only in (None, name):
            table()
