"""What a user would write instead of kinlim for the limit equations of the pinned balls, for the benchmarks beside it.

    mu_t = (mu_x - lam sigma)_x,    w_t = w_xx - lam sigma mu_x + mu_x^2,    sigma = sqrt(2 max(w, 0)),    w = sigma^2/2

on [0, 1] with no-flux ends: (B') of the paper, which is (C) with w = E - mu^2/2. Both programs share one second-order
central finite-difference method on equispaced points, ends included: "a standard finite difference method with 3201
equispaced spatial grid points" is all that the paper says about its own.

(B') because sigma is more accurate in it than as sqrt(2E - mu^2). Relative L2 errors for mu0 = -erf(27 (x - 1/2)^3),
sigma0 = 0.05 (1 - cos 2 pi x), lam = 846, end_time = 2/lam, the same differences and an exact integration in time:

    cells    (B') mu    sigma    (C) mu    sigma
      400    1.7e-4    1.4e-3    9.3e-3      1.9    w oscillates, negative for any time step
      800    4.3e-5    3.6e-4    3.1e-5   4.5e-4
     1600    1.1e-5    9.1e-5    7.7e-6   1.1e-4
"""

import math
from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.sparse import diags

Array = NDArray[np.float64]
Profile = Callable[[Array], Array]
Solution = tuple[Array, Array, Array, int]

SAFETY = 0.95
"""Explicit step over the stability limit: 0.98 was stable for 200 to 3200 cells, 1.03 for neither 800 nor 1600."""

REACH = 1.5
"""Cells that a signal may cross in a step of the stabilised scheme: unstable from 2.0 with some data, 2.7 with most."""


TUTORIAL_DELTA = 1e-10
"""What somebody adds below a root whose derivative is infinite at 0; 1e-5 of the largest spread, squared."""


@njit(error_model="numpy")
def _inside(mu: Array, w: Array, sigma: Array, i: int, r: float, c: float) -> tuple[float, float]:
    """Change of (mu, w) in a time dt at an inner point; r = dt/h^2, c = lam dt/(2h).

    Each point takes its own sigma and the mean of mu_x^2 over the two intervals beside it, so that w cannot become
    negative and the sums of mu and of mu^2/2 + w (ends counted half) do not change, but for the error of the time step.
    """
    left, right = mu[i] - mu[i - 1], mu[i + 1] - mu[i]
    return (
        r * (right - left) - c * (sigma[i + 1] - sigma[i - 1]),
        r * (w[i + 1] - 2 * w[i] + w[i - 1]) - c * sigma[i] * (left + right) + 0.5 * r * (left * left + right * right),
    )


@njit(error_model="numpy")
def _at_end(mu: Array, w: Array, sigma: Array, i: int, inner: int, r: float, c: float) -> tuple[float, float]:
    """Change of (mu, w) at an end point i, which has half a cell and no flux on its far side."""
    outward = i - inner
    slope = outward * (mu[i] - mu[inner])
    return (
        outward * 2 * (c * (sigma[i] + sigma[inner]) - r * slope),
        2 * r * (w[inner] - w[i]) + slope * (r * slope - 2 * c * sigma[i]),
    )


@njit(error_model="numpy")
def _forward(u: Array, out: Array, r: float, c: float) -> None:
    """Give out = u + dt F(u). A state has the rows mu, w, sigma."""
    mu, w, sigma, last = u[0], u[1], u[2], u.shape[1] - 1
    out_mu, out_w, out_sigma = out[0], out[1], out[2]
    for i in range(1, last):
        d_mu, d_w = _inside(mu, w, sigma, i, r, c)
        out_mu[i] = mu[i] + d_mu
        new = w[i] + d_w
        out_w[i] = new
        out_sigma[i] = math.sqrt(2 * max(new, 0.0))
    for i, inner in ((0, 1), (last, last - 1)):
        d_mu, d_w = _at_end(mu, w, sigma, i, inner, r, c)
        out_mu[i] = mu[i] + d_mu
        out_w[i] = w[i] + d_w
        out_sigma[i] = math.sqrt(2 * max(out_w[i], 0.0))


@njit(error_model="numpy")
def _correct(u: Array, y: Array, r: float, c: float) -> None:
    """Give u = (u + y + dt F(y))/2, in place."""
    mu, w, sigma, last = y[0], y[1], y[2], u.shape[1] - 1
    u_mu, u_w, u_sigma = u[0], u[1], u[2]
    for i in range(1, last):
        d_mu, d_w = _inside(mu, w, sigma, i, r, c)
        u_mu[i] = 0.5 * (u_mu[i] + mu[i] + d_mu)
        new = 0.5 * (u_w[i] + w[i] + d_w)
        u_w[i] = new
        u_sigma[i] = math.sqrt(2 * max(new, 0.0))
    for i, inner in ((0, 1), (last, last - 1)):
        d_mu, d_w = _at_end(mu, w, sigma, i, inner, r, c)
        u_mu[i] = 0.5 * (u_mu[i] + mu[i] + d_mu)
        u_w[i] = 0.5 * (u_w[i] + w[i] + d_w)
        u_sigma[i] = math.sqrt(2 * max(u_w[i], 0.0))


@njit(error_model="numpy")
def _heun(u: Array, steps: int, r: float, c: float) -> Array:
    """Heun's second-order method (SSPRK2)."""
    y = np.empty_like(u)
    for _ in range(steps):
        _forward(u, y, r, c)
        _correct(u, y, r, c)
    return u


@njit(error_model="numpy")
def _first(u: Array, rate: Array, y: Array, e: float, r: float, c: float) -> None:
    """Give rate = dt F(u), y = u + e rate."""
    mu, w, sigma, last = u[0], u[1], u[2], u.shape[1] - 1
    rate_mu, rate_w = rate[0], rate[1]
    y_mu, y_w, y_sigma = y[0], y[1], y[2]
    for i in range(1, last):
        d_mu, d_w = _inside(mu, w, sigma, i, r, c)
        rate_mu[i] = d_mu
        rate_w[i] = d_w
        y_mu[i] = mu[i] + e * d_mu
        new = w[i] + e * d_w
        y_w[i] = new
        y_sigma[i] = math.sqrt(2 * max(new, 0.0))
    for i, inner in ((0, 1), (last, last - 1)):
        rate_mu[i], rate_w[i] = _at_end(mu, w, sigma, i, inner, r, c)
        y_mu[i] = mu[i] + e * rate_mu[i]
        y_w[i] = w[i] + e * rate_w[i]
        y_sigma[i] = math.sqrt(2 * max(y_w[i], 0.0))


@njit(error_model="numpy")
def _next(u: Array, rate: Array, y: Array, z: Array, k: Array, r: float, c: float) -> None:
    """Give z = k0 u + k1 y + k2 z + k3 rate + k4 dt F(y), in place."""
    mu, w, sigma, last = y[0], y[1], y[2], u.shape[1] - 1
    u_mu, u_w, rate_mu, rate_w = u[0], u[1], rate[0], rate[1]
    z_mu, z_w, z_sigma = z[0], z[1], z[2]
    k0, k1, k2, k3 = k[0], k[1], k[2], k[3]
    r, c = k[4] * r, k[4] * c
    for i in range(1, last):
        d_mu, d_w = _inside(mu, w, sigma, i, r, c)
        z_mu[i] = k0 * u_mu[i] + k1 * mu[i] + k2 * z_mu[i] + k3 * rate_mu[i] + d_mu
        new = k0 * u_w[i] + k1 * w[i] + k2 * z_w[i] + k3 * rate_w[i] + d_w
        z_w[i] = new
        z_sigma[i] = math.sqrt(2 * max(new, 0.0))
    for i, inner in ((0, 1), (last, last - 1)):
        d_mu, d_w = _at_end(mu, w, sigma, i, inner, r, c)
        z_mu[i] = k0 * u_mu[i] + k1 * mu[i] + k2 * z_mu[i] + k3 * rate_mu[i] + d_mu
        z_w[i] = k0 * u_w[i] + k1 * w[i] + k2 * z_w[i] + k3 * rate_w[i] + d_w
        z_sigma[i] = math.sqrt(2 * max(z_w[i], 0.0))


@njit(error_model="numpy")
def _legendre(u: Array, steps: int, e: float, table: Array, r: float, c: float) -> Array:
    """RKL2; `table` has a row for each stage after the first."""
    rate, y, z = np.empty_like(u), np.empty_like(u), np.zeros_like(u)
    for _ in range(steps):
        _first(u, rate, y, e, r, c)
        for stage in range(table.shape[0]):
            _next(u, rate, y, z, table[stage], r, c)
            y, z = z, y
        u, y = y, u
    return u


def _coefficients(stages: int) -> tuple[float, Array]:
    """First weight and table of `_legendre` (Meyer, Balsara & Aslam, J. Comput. Phys. 257 (2014) 594)."""
    scale = 4 / (stages**2 + stages - 2)
    b = [1 / 3, 1 / 3] + [(j * j + j - 2) / (2 * j * (j + 1)) for j in range(2, stages + 1)]
    table = np.empty((stages - 1, 5))
    for j, row in enumerate(table, start=2):
        once, twice = (2 * j - 1) / j * b[j] / b[j - 1], -(j - 1) / j * b[j] / b[j - 2]
        row[:] = 1 - once - twice, once, twice, -(1 - b[j - 1]) * scale * once, scale * once
    table[0, 0] += table[0, 2]  # two stages before the second is u, which z does not hold yet
    table[0, 2] = 0
    return b[1] * scale, table


def _limit(stages: int) -> float:
    """Stability limit on the negative real axis."""
    return 2.0 if stages == 2 else (stages**2 + stages - 2) / 2


def explicit(
    mu0: Profile, sigma0: Profile, lam: float, end_time: float, cells: int, stages: int | None = None
) -> Solution:
    """Explicit time steps at the stability limit, compiled, on one core.

    Args:
        mu0: mu at time 0, a function of an array of points.
        sigma0: sigma at time 0.
        lam: lambda.
        end_time: time of the result.
        cells: intervals between the points.
        stages: 2 is Heun's method, the plain choice. 3 and more are stabilised (RKL2); 3 are never slower than Heun's
            method. None is the most for which `REACH` is kept: twice as fast from 2000 cells, over three times at 6400.

    Returns:
        x, mu, sigma of shape (cells + 1,), and the number of time steps.
    """
    h = 1 / cells
    stiffness = 4 / h**2 + lam**2  # diffusion of a zigzag, and how fast sigma falls to mu_x/lam where mu_x > 0
    if stages is None:
        stages = 2
        while stages < 30 and lam * SAFETY * _limit(stages + 1) / stiffness <= REACH * h:
            stages += 1
    steps = math.ceil(end_time * stiffness / (SAFETY * _limit(stages)))
    r, c = end_time / steps / h**2, lam * end_time / steps / (2 * h)
    x = np.linspace(0, 1, cells + 1)
    sigma = sigma0(x)
    u = np.array([mu0(x), sigma**2 / 2, sigma])
    u = _heun(u, steps, r, c) if stages == 2 else _legendre(u, steps, *_coefficients(stages), r, c)
    return x, u[0], u[2], steps


@njit(error_model="numpy")
def _rate(u: Array, sigma: Array, out: Array, r: float, c: float) -> None:
    """Give out = F(u) for interleaved unknowns mu, w, mu, w, ...; r = 1/h^2, c = lam/(2h)."""
    mu, w, last = u[::2], u[1::2], sigma.size - 1
    for i in range(last + 1):
        sigma[i] = math.sqrt(2 * max(w[i], 0.0))
    for i in range(1, last):
        out[2 * i], out[2 * i + 1] = _inside(mu, w, sigma, i, r, c)
    for i, inner in ((0, 1), (last, last - 1)):
        out[2 * i], out[2 * i + 1] = _at_end(mu, w, sigma, i, inner, r, c)


def lines(
    mu0: Profile, sigma0: Profile, lam: float, end_time: float, cells: int, rtol: float, method: str = "LSODA"
) -> Solution:
    """Method of lines: the same differences in space, an implicit solver of SciPy in time.

    Args:
        mu0: mu at time 0, a function of an array of points.
        sigma0: sigma at time 0.
        lam: lambda.
        end_time: time of the result.
        cells: intervals between the points.
        rtol: relative error of a time step, also of the sizes of mu and of w.
        method: LSODA with a banded Jacobian, or BDF with a sparse one, which took over ten times as long.

    Returns:
        x, mu, sigma of shape (cells + 1,), and the number of time steps.

    Raises:
        RuntimeError: SciPy gave up.
    """
    h = 1 / cells
    x = np.linspace(0, 1, cells + 1)
    u = np.stack([mu0(x), sigma0(x) ** 2 / 2], axis=1).ravel()
    sigma = np.empty_like(x)

    def rate(_: float, u: Array) -> Array:
        out = np.empty_like(u)
        _rate(u, sigma, out, 1 / h**2, lam / (2 * h))
        return out

    slope = np.abs(np.gradient(u[::2], h)).max() / lam  # sigma grows to this where mu_x > 0
    sizes = np.array([np.abs(u[::2]).max(), max(u[1::2].max(), slope**2 / 2)])
    if method == "LSODA":
        options = {"lband": 3, "uband": 3}
    else:
        options = {"jac_sparsity": diags([1.0] * 7, range(-3, 4), shape=(u.size, u.size))}
    result = solve_ivp(rate, (0, end_time), u, method, rtol=rtol, atol=np.tile(rtol * sizes, x.size), **options)
    if not result.success:
        raise RuntimeError(f"{method} with cells = {cells}, rtol = {rtol}: {result.message}")
    end = result.y[:, -1]
    return x, end[::2], np.sqrt(2 * np.maximum(end[1::2], 0)), result.t.size - 1


def tutorial(mu0: Profile, sigma0: Profile, lam: float, end_time: float, cells: int, steps: int) -> Solution:
    """DOLFINx as its tutorials use it: P2, Crank-Nicolson steps of one length, a nonlinear problem each, direct solves.

    Args:
        mu0: mu at time 0, a function of an array of points.
        sigma0: sigma at time 0.
        lam: lambda.
        end_time: time of the result.
        cells: of the mesh.
        steps: number of time steps.

    Returns:
        x, mu, sigma of shape (2 cells + 1,), and the number of time steps.

    Raises:
        RunError: Newton's method did not converge.
    """
    import ufl  # here and not at the head: DOLFINx from PyPI finds MPI only where kinlim has been imported before
    from dolfinx import fem
    from dolfinx.fem import petsc
    from dolfinx.mesh import create_unit_interval
    from mpi4py import MPI
    from petsc4py import PETSc

    from kinlim.errors import RunError

    mesh = create_unit_interval(MPI.COMM_SELF, cells)
    space = fem.functionspace(mesh, ("Lagrange", 2, (2,)))
    u, before = fem.Function(space), fem.Function(space)
    before.interpolate(lambda x: np.stack([mu0(x[0]), sigma0(x[0]) ** 2 / 2]))
    u.x.array[:] = before.x.array
    mu, w = ((now + past) / 2 for now, past in zip(ufl.split(u), ufl.split(before), strict=True))
    phi, psi = ufl.split(ufl.TestFunction(space))
    sigma = ufl.sqrt(2 * ufl.max_value(w, 0) + TUTORIAL_DELTA)
    slope = mu.dx(0)
    form = ufl.inner((u - before) / (end_time / steps), ufl.as_vector([phi, psi])) * ufl.dx
    form += ((slope - lam * sigma) * phi.dx(0) + w.dx(0) * psi.dx(0) + (lam * slope * sigma - slope**2) * psi) * ufl.dx
    options = {"ksp_type": "preonly", "pc_type": "lu", "snes_rtol": 1e-9, "snes_error_if_not_converged": True}
    problem = petsc.NonlinearProblem(form, u, petsc_options_prefix="tutorial_", petsc_options=options)
    try:
        for _ in range(steps):
            problem.solve()
            before.x.array[:] = u.x.array
    except PETSc.Error as error:
        raise RunError(f"Newton's method did not converge with {steps} steps") from error
    x = space.tabulate_dof_coordinates()[:, 0]
    order = np.argsort(x)
    values = u.x.array.reshape(-1, 2)[order]
    return x[order], values[:, 0], np.sqrt(2 * np.maximum(values[:, 1], 0)), steps
