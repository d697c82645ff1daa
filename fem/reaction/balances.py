"""Entropy, and what Lemma 3.1 bounds, of the kinetic system: integrals over x and v, and over time.

With f = chi1 r and rho_f of f, (6) for the scaled system (9) is

    epsilon^2 dH/dt = - int sum_v [(rho_g f - chi1) ln(f/chi1) + (rho_f g - chi2) ln(g/chi2)] dx,

which is what (6) says, multiplied out; the factor is epsilon^2, where the proof of Lemma 3.1 has epsilon^2/2.

A density is r = (e +- o)/(1 +- beta) for a pair of velocities, and e is known at nodes, o at points of the mesh. Every
integrand is taken at o = beta e by the nodes, where local equilibria are exact, and what o - beta e adds by the points.
For symmetric chi the latter is quadratic in o = O(epsilon), so that no error of interpolation is divided by epsilon^2.
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from kinlim.fem.reaction.system import KineticSystem, Species
from kinlim.fem.reaction.velocities import Velocities

Array = NDArray[np.float64]

INTEGRALS = ("dissipated", "perp_f", "perp_g", "alignment")
"""Integrated over time: dissipation; int int f_perp^2/chi1 and int int g_perp^2/chi2 with f = rho_f chi1 + epsilon
f_perp and g likewise; int (sqrt(rho_f rho_g) - 1)^2."""

STENCIL = 6
"""Steps whose ends take part in the integral over one of them."""

CLOSE = 1e-3
"""Length of a step, over those hereabouts, below which its end takes no part: rounding would be divided by it."""


@dataclass(frozen=True)
class _Pair:
    """One species at the points: E = R e, t = o/E, and logarithms without cancellation, where beta = 0.

    With a = artanh t - artanh beta and l = ln((1 - t^2)/(1 - beta^2))/2: ln r(+-v) = ln E + l +- a.
    """

    even: Array
    t: Array
    a: Array
    log: Array


@np.errstate(invalid="ignore", divide="ignore")
def entropy(system: KineticSystem, u: Array, rho_inf: float) -> float:
    """H(f, g) of (5), of all velocities on one rank; not a number where a density is not positive."""
    total = 0.0
    for own, q, shift in zip(system.split(u), (system.v_f, system.v_g), (-log(rho_inf), log(rho_inf)), strict=True):
        pair = _pair(system, own, q)
        total += float(system.mesh.w @ ((own.e * (np.log(own.e) + shift - 1)) @ q.mass))
        total += float(system.mesh.omega @ ((pair.even * (pair.log + pair.t * pair.a)) @ q.mass))
    return total


@np.errstate(invalid="ignore", divide="ignore")
def integrands(system: KineticSystem, u: Array) -> Array:
    """Time derivatives of the `INTEGRALS`, shape (4,); not a number where a density is not positive. Collective."""
    (f, g), (rho_f, rho_g) = system.split(u), system.densities(u)
    lost = _lost(system, f, rho_g, system.v_f) + _lost(system, g, rho_f, system.v_g)
    perp_f, perp_g = _perp(system, f, rho_f, system.v_f), _perp(system, g, rho_g, system.v_g)
    (sums,) = system.totals(np.array([lost, perp_f, perp_g]))
    apart = system.mesh.w @ (np.sqrt(rho_f * rho_g) - 1) ** 2
    return np.append(sums / system.epsilon**2, apart)


def accumulate(times: Array, rates: Array, moments: Array, layer: float) -> Array:
    """Integrals over time, from 0 to each of the moments, of what is known at the end of every step.

    Both the initial layer, of length epsilon^2, and what follows are smooth in ln(t + epsilon^2): between two steps,
    the polynomial in it through the six nearest ones is integrated. (A scheme that integrated the rates along with the
    unknowns would lose its order: at the stages within a step they are nowhere near their values for small epsilon.)

    Args:
        times: 0 and the ends of all steps, increasing, shape (n,).
        rates: there, shape (n, 4).
        moments: among the times.
        layer: epsilon^2.

    Returns:
        Shape (len(moments), 4).
    """
    s = np.log1p(times / layer)
    used = _apart(s)
    count = min(STENCIL, len(used))
    gauss, weights = np.polynomial.legendre.leggauss(STENCIL)
    at = np.searchsorted(used, np.arange(len(times) - 1), side="right") - 1
    stencil = used[np.clip(at - (count // 2 - 1), 0, len(used) - count)[:, None] + np.arange(count)]
    nodes, values = s[stencil], rates[stencil]
    length = np.diff(times)
    x = np.log1p((times[:-1, None] + length[:, None] * (gauss + 1) / 2) / layer)
    between = np.zeros((len(length), rates.shape[1]))
    for k in range(count):
        others = np.delete(nodes, k, axis=1)
        basis = np.prod((x[:, :, None] - others[:, None]) / (nodes[:, k, None] - others)[:, None], axis=2)
        between += (basis @ weights * length / 2)[:, None] * values[:, k]
    total = np.concatenate([np.zeros((1, rates.shape[1])), np.cumsum(between, axis=0)])
    return np.asarray(total[np.searchsorted(times, moments)], np.float64)


def _apart(s: Array) -> NDArray[np.int64]:
    """Those of the increasing points that are not much nearer to the one before than points hereabouts are.

    A polynomial through two points that all but coincide divides rounding by their distance: by nothing, in the end.
    """
    gaps = np.diff(s)
    if not len(gaps):
        return np.zeros(1, np.int64)
    usual = np.median(sliding_window_view(np.pad(gaps, STENCIL, mode="edge"), 2 * STENCIL + 1), axis=1)
    kept = [0]
    for i in range(1, len(s)):
        if s[i] - s[kept[-1]] > CLOSE * usual[i - 1]:
            kept.append(i)
    return np.array(kept, np.int64)


def _pair(system: KineticSystem, own: Species, q: Velocities) -> _Pair:
    even = system.mesh.values @ own.e
    t = own.o / even
    narrow = (t - q.odd) * (t + q.odd) / (1 - q.odd**2)
    return _Pair(even, t, np.arctanh(t) - np.arctanh(q.odd), np.log1p(-narrow) / 2)


def _lost(system: KineticSystem, own: Species, rho: Array, q: Velocities) -> float:
    """Integral of sum_v (rho' f - chi) ln(f/chi), over this rank's velocities."""
    at_nodes = (rho[:, None] * own.e - 1) * np.log(own.e)
    p = _pair(system, own, q)
    at_points = (system.mesh.values @ rho)[:, None] * p.even * (p.log + p.t * p.a) - (p.log + q.odd * p.a)
    return float(system.mesh.w @ (at_nodes @ q.mass) + system.mesh.omega @ (at_points @ q.mass))


def _perp(system: KineticSystem, own: Species, rho: Array, q: Velocities) -> float:
    """Integral of sum_v (f - rho chi)^2/chi, over this rank's velocities."""
    off = own.o - q.odd * (system.mesh.values @ own.e)
    return float(
        system.mesh.w @ ((own.e - rho[:, None]) ** 2 @ q.mass) + system.mesh.omega @ (off**2 / (1 - q.odd**2) @ q.mass)
    )
