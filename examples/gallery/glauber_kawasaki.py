"""Glauber and Kawasaki dynamics on a ring of n spins +1 and -1: neighbours change places, each pair at the rate n^2.

Besides, the spin at i flips at the rate F (1 - gamma s_i s_(i-1)) (1 - gamma s_i s_(i+1)), which does not grow with n.
The fast exchanges keep the spins nearly independent, so that the reaction is the mean of -2 s_i times the rate in a
product measure: as n goes to infinity, the magnetisation solves m_t = m_xx + F (2 (2 gamma - 1) m - 2 gamma^2 m^3) on
the torus, with two stable phases for gamma > 1/2 (De Masi, Ferrari and Lebowitz, J. Stat. Phys. 44, 1986). At finite n
spins are correlated by order 1/n. The side corrected.nc has the lattice's equations for the means to that order.
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field
from scipy.integrate import solve_ivp

import kinlim
from kinlim import random


class Ring(kinlim.Physics):
    """n spins, the rate F and the coupling gamma of flips, and the mean of a spin at time 0."""

    LIMITS = {"sites": "up"}

    sites: Annotated[int, Field(ge=4, le=256)] = 64
    flips: Annotated[float, Field(ge=0, le=1000)] = 5.0
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.8
    m0: kinlim.FormulaOfX = "0.5 + 0.4*cos(2*pi*x)"

    @property
    def grid(self):
        return kinlim.Points(x=np.arange(self.sites) / self.sites)


@njit(nogil=True, cache=True)
def magnetise(s, streams, m):
    """Let spin i be +1 with the probability (1 + m[i])/2, otherwise -1."""
    for r in range(s.shape[0]):
        for i in range(s.shape[1]):
            s[r, i] = 1 if 2 * random.uniform(streams[:, r]) < 1 + m[i] else -1


@njit(nogil=True, cache=True)
def stir_and_flip(s, streams, mean, share, gamma):
    """Let a Poisson number of things happen in each replica, a share of them exchanges, the others attempts to flip."""
    replicas, n = s.shape
    for r in range(replicas):
        stream = streams[:, r]
        for _ in range(random.poisson(stream, mean)):
            i = random.integer(stream, n)
            right = i + 1 if i + 1 < n else 0
            if random.uniform(stream) < share:
                s[r, i], s[r, right] = s[r, right], s[r, i]
            else:
                rate = (1 - gamma * s[r, i] * s[r, i - 1]) * (1 - gamma * s[r, i] * s[r, right])
                if random.uniform(stream) * (1 + gamma) ** 2 < rate:
                    s[r, i] = -s[r, i]


class Spins(kinlim.Particles):
    """A block of rings is an array s, shape (replicas, sites), with the streams of its replicas."""

    observables = {"m": kinlim.Observable("mean of a spin")}

    @property
    def grid(self):
        return self.model.grid

    def begin(self, streams, first, threads):
        s = np.empty((streams.shape[1], self.model.sites), np.int8)
        magnetise(s, streams, self.model.m0(x=self.grid.coordinates["x"]))
        return s, streams

    def advance(self, state, observation, tick):
        n, gamma = self.model.sites, self.model.gamma
        stirring, flipping = n**3, n * self.model.flips * (1 + gamma) ** 2
        total = stirring + flipping
        stir_and_flip(*state, total * self.intervals[observation], stirring / total, gamma)
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        return {"m": state[0]}


class LatticeSettings(kinlim.Table):
    """`reaction` is 1 in truth; another number makes the flips of the lattice's equations wrong on purpose."""

    reaction: kinlim.Positive = 1.0


def corrected(study):
    """Means m + d to order 1/n; u are covariances to order 1/n with u_ii = 1 - m_i^2. Exact for gamma = 0.

    With f_i = s_i - gamma (s_(i-1) + s_(i+1)) + gamma^2 s_(i-1) s_i s_(i+1), its derivatives A by s at s = m, and
    L = n^2 (1, -2, 1) - 2 F A: m' = n^2 (1, -2, 1) m - 2 F f(m), d' = L d - 2 F E[f - f(m)]; off the diagonal u' =
    L u + u L^T, and for neighbours the exchange between them adds -2 n^2 (1 - E[s_i s_j]).
    """
    model, n, gamma = study.model, study.model.sites, study.model.gamma
    F = model.flips * study.corrected.reaction
    i, one = np.arange(n), np.eye(n)
    left, right = np.roll(one, -1, axis=1), np.roll(one, 1, axis=1)  # left @ m is m_(i-1)
    heat = n**2 * (left - 2 * one + right)

    def change(t, state):
        (m, d), u = state[: 2 * n].reshape(2, n), state[2 * n :].reshape(n, n).copy()
        u[i, i] = 1 - m**2
        a, b = m[i - 1], m[(i + 1) % n]
        f = m - gamma * (a + b) + gamma**2 * a * m * b
        A = one - gamma * (left + right) + gamma**2 * ((a * b) * one + (m * b) * left.T + (a * m) * right.T).T
        pairs = gamma**2 * (m * u[i - 1, (i + 1) % n] + a * u[i, (i + 1) % n] + b * u[i - 1, i])
        L = heat - 2 * F * A
        to_u = L @ u + u @ L.T - 2 * n**2 * (left + right) * (1 - np.outer(m, m) - u)
        return np.concatenate([heat @ m - 2 * F * f, L @ d - 2 * F * pairs, to_u.ravel()])

    m0, times = model.m0(x=i / n), model.times
    start = np.append(m0, np.zeros(n + n * n))
    found = solve_ivp(change, (0, times[-1] or 1), start, "RK45", times, rtol=1e-7, atol=1e-9).y[: 2 * n]
    return {
        "x": ("x", i / n, "position"),
        "m": (("time", "x"), found.reshape(2, n, -1).sum(axis=0).T, "mean of a spin, to order 1/n"),
        "initial_m": ("x", m0, "the same at time 0"),
    }


class Settings(kinlim.EvolutionSettings):
    """`reaction` is 1 in the limit; another number makes the equation wrong on purpose."""

    reaction: kinlim.Positive = 1.0


class AllenCahn(kinlim.Equation):
    """m_t = m_xx + R(m): for all v, int m_t v + m_x v_x - R(m) v = 0, R(m) = F (2 (2 gamma - 1) m - 2 gamma^2 m^3)."""

    unknowns = {"m": "magnetisation"}
    domain = kinlim.Torus(1)

    @property
    def grid(self):
        return self.model.grid

    def initial(self, x):
        return self.model.m0(x=x)

    def reaction(self, m, at):
        gamma = self.model.gamma
        F = at.constant(self.model.flips * self.study.pde.reaction)
        return F * (2 * (2 * gamma - 1) * m - 2 * gamma**2 * m**3)

    def residual(self, u, u_t, v, at):
        return (u_t * v + u.dx(0) * v.dx(0) - self.reaction(u, at) * v) * at.dx

    def strong(self, u, u_t, at):
        return u_t - u.dx(0).dx(0) - self.reaction(u, at)


MODEL = kinlim.Model(
    name="glauber_kawasaki",
    about="Glauber and Kawasaki dynamics on a ring, and the Allen-Cahn equation",
    physics=Ring,
    sides=(
        kinlim.Evolution(AllenCahn, settings=Settings),
        kinlim.Known(corrected, file="corrected.nc", table="corrected", settings=LatticeSettings),
        kinlim.Ensembles(Spins),
    ),
    compare=kinlim.rules(
        kinlim.Means("m", about="The magnetisation and its limit"),
        kinlim.Means(
            "m",
            solution="corrected",
            label="m_corrected",
            follow=False,
            about="The magnetisation and the lattice to order 1/n",
        ),
    ),
)
