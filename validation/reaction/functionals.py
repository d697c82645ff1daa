"""The Lyapunov functionals of Section 2 along a solution of the kinetic system.

Source: Neumann and Schmeiser, "A kinetic reaction model: decay to equilibrium and macroscopic limit": the norm (10),
H0 of Remark 1 and H1 of Section 2.2.
"""

from math import pi, sqrt

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import roots_hermitenorm

from kinlim.errors import InputError
from kinlim.validation.reaction import sobolev
from kinlim.validation.reaction.linearised import Mode
from kinlim.validation.reaction.plasma import DiscreteLaw
from kinlim.validation.reaction.theorem import best_delta

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

NEEDED = ("f", "g", "v_f", "v_g", "chi1", "chi2")

SAME = 1e-8
"""Relative distance of nodes from Gauss's and Hermite's that is rounding."""


def functionals(kinetic: xr.Dataset, delta: float | None = None) -> xr.Dataset:
    """The distance to equilibrium, H0 and H1 at every time.

    Args:
        kinetic: f(time, node, x) = f/chi1 and g(time, node, x) = g/chi2 at x = i/n, v_f(node), v_g(node), the masses
            chi1(node) and chi2(node), and the attributes epsilon and rho_inf.
        delta: of H0; without it the one that makes its decay fastest for these velocities.

    Returns:
        Over (time,): `distance`, ||F - F_inf|| of (10); `H0`; and for Gaussian profiles `H1`, where `sobolev` knows a
        delta with which it decays. Attributes: H0_delta, H0_rate (proved for the linearised system: H0 falls as
        exp(-2 rate t)), H1_omega, H1_delta, H1_tau, and H0_rise, H1_rise: the largest relative increase between two
        times, 0 for a functional that falls.

    Raises:
        InputError: a variable or attribute is missing, or delta makes H0 indefinite.
    """
    phi, gamma, law1, law2 = _read(kinetic)
    rho, epsilon = float(kinetic.attrs["rho_inf"]), float(kinetic.attrs["epsilon"])
    phi, gamma = phi - rho, gamma - 1 / rho
    square = _square(phi, law1) / rho + _square(gamma, law2) * rho
    modes = [Mode(rho, 2 * pi * epsilon * k, law1, law2) for k in range(1, phi.shape[2] // 2 + 1)]
    rate, best = best_delta(modes)
    if delta is None:
        delta = best
    elif not 0 <= delta < 2:
        raise InputError(f"delta = {delta:g}: H0 is definite for 0 <= delta < 2")
    h0 = square / 2 + delta * _tilt(phi, gamma, law1, law2, modes)
    found = {"distance": np.sqrt(square), "H0": h0}
    attrs = {"H0_delta": delta, "H0_rise": rise(h0), "rho_inf": rho, "epsilon": epsilon}
    if delta == best:
        attrs["H0_rate"] = rate / epsilon**2
    sigmas = [_gaussian(law) for law in (law1, law2)]
    if None not in sigmas and (weights := sobolev.modified(rho, epsilon, *map(float, filter(None, sigmas)))):
        found["H1"] = _h1(phi * sqrt(1 / rho), gamma * sqrt(rho), (law1, law2), weights)
        attrs |= {"H1_omega": weights.omega, "H1_delta": weights.delta, "H1_tau": weights.tau}
        attrs["H1_rise"] = rise(found["H1"])
    return xr.Dataset(
        {name: ("time", values) for name, values in found.items()}, {"time": kinetic["time"].to_numpy()}, attrs
    )


def rise(values: Array) -> float:
    """Largest relative increase from one value to the next; 0 where they fall."""
    return float(max(0.0, (values[1:] / values[:-1] - 1).max())) if len(values) > 1 else 0.0


def _read(kinetic: xr.Dataset) -> tuple[Array, Array, DiscreteLaw, DiscreteLaw]:
    if missing := [name for name in NEEDED if name not in kinetic] + [
        name for name in ("epsilon", "rho_inf") if name not in kinetic.attrs
    ]:
        raise InputError(f"the kinetic dataset has no {', '.join(missing)}")
    parts: list[Array] = []
    laws = []
    for field, nodes, masses in (("f", "v_f", "chi1"), ("g", "v_g", "chi2")):
        v, chi = kinetic[nodes].to_numpy(), kinetic[masses].to_numpy()
        order = np.argsort(v)
        parts.append(kinetic[field].transpose("time", "node", "x").to_numpy()[:, order])
        laws.append(DiscreteLaw(v[order], chi[order]))
    return parts[0], parts[1], laws[0], laws[1]


def _square(values: Array, law: DiscreteLaw) -> Array:
    """The mean over x and v of values^2, shape (time,)."""
    return np.asarray((law.masses @ (values**2)).mean(axis=-1), np.float64)


def _fourier(values: Array) -> tuple[Complex, Array]:
    """Coefficients over the last axis for k = 0 .. n/2, and how often each counts in Parseval's sum."""
    n = values.shape[-1]
    found = np.fft.rfft(values, axis=-1) / n
    twice = np.full(found.shape[-1], 2.0)
    twice[0] = 1
    if n % 2 == 0:
        twice[-1] = 1
    return found, twice


def _tilt(phi: Array, gamma: Array, law1: DiscreteLaw, law2: DiscreteLaw, modes: list[Mode]) -> Array:
    """<A F,F>, shape (time,): per mode Re(-i alpha <F,q> conj <F,p0>), which needs the densities and fluxes only."""
    rho = modes[0].rho_inf
    u, twice = _fourier(law1.masses @ phi - law2.masses @ gamma)
    j, _ = _fourier((law1.masses * law1.nodes) @ phi - (law2.masses * law2.nodes) @ gamma)
    d0 = modes[0].d0
    beta = np.array([0.0, *(mode.kappa for mode in modes)]) * sqrt(d0)
    if phi.shape[2] % 2 == 0:
        beta[-1] = 0  # the highest mode has no direction on the grid
    alpha = beta / (1 + beta**2)
    product = np.real(-1j * j * u.conj()) * alpha / sqrt(d0) * rho / (rho**2 + 1)
    return np.asarray((product * twice).sum(axis=-1), np.float64)


def _gaussian(law: DiscreteLaw) -> float | None:
    """Standard deviation, if the nodes are those of Gauss and Hermite."""
    sigma = sqrt(law.moment(2))
    nodes, _ = roots_hermitenorm(len(law.nodes))
    return sigma if np.allclose(law.nodes, sigma * nodes, rtol=SAME, atol=SAME * sigma) else None


def _h1(phi: Array, gamma: Array, laws: tuple[DiscreteLaw, DiscreteLaw], weights: sobolev.Modified) -> Array:
    """H1, shape (time,), from F/sqrt(chi_j) at the nodes."""
    total = np.zeros(len(phi))
    for values, law in zip((phi, gamma), laws, strict=True):
        sigma, count = sqrt(law.moment(2)), len(law.nodes)
        hermite = _orthonormal(np.asarray(law.nodes / sigma, np.float64), count)  # (n, node)
        coefficients = np.einsum("nv,tvx->tnx", hermite * law.masses, values)
        padded = np.concatenate([coefficients, np.zeros((len(values), 1, values.shape[2]))], axis=1)
        derived = np.einsum("mn,tnx->tmx", sobolev.derivative(sigma, count + 1), padded)
        (c, twice), (d, _) = _fourier(padded), _fourier(derived)
        xi = 2 * pi * np.arange(c.shape[-1])
        each = (1 + xi**2) * np.abs(c) ** 2 + weights.omega * np.abs(d) ** 2
        xi_odd = np.where(twice > 1, xi, 0.0)  # grad_x of the highest mode of an even grid is 0
        each = each + weights.delta * np.real(1j * xi_odd * c * d.conj())
        total += (each * twice).sum(axis=(1, 2))
    return total


def _orthonormal(nodes: Array, count: int) -> Array:
    """h_n at the nodes of N(0, 1), n < count, shape (count, nodes)."""
    values = np.ones((count, len(nodes)))
    values[1] = nodes
    for n in range(1, count - 1):
        values[n + 1] = (nodes * values[n] - sqrt(n) * values[n - 1]) / sqrt(n + 1)
    return values
