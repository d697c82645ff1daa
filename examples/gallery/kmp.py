"""Kipnis, Marchioro and Presutti's model on the sites i/n, 0 < i < n: neighbours share their energy at random.

At the rate 2 n^2 the energies of two neighbours become U s and (1 - U) s, s their sum and U uniform; the left bath does
the same with site 1, each time with a new energy of mean T0(0), exponentially distributed, and the right one with site
n - 1 and T0(1). At first energies are independent and exponential of mean T0(i/n). As n goes to infinity, the mean
energy solves T_t = T_xx with these values at the ends. At finite n it solves the discretisation exactly, and products
of two energies a closed equation. In the long run n cov(e_i, e_j) tends to +(T0(0) - T0(1))^2 x (1 - y), x = i/n < y =
j/n: the sign is opposite to that of exclusion. Sources: Kipnis, Marchioro and Presutti, J. Stat. Phys. 27 (1982);
Bertini, Gabrielli and Lebowitz, J. Stat. Phys. 121 (2005).
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field
from scipy.integrate import solve_ivp

import ufl

import kinlim
from kinlim import random


class Chain(kinlim.Physics):
    """n - 1 sites, and the mean energy at time 0, which the baths have for ever at the ends."""

    LIMITS = {"sites": "up"}

    sites: Annotated[int, Field(ge=3, le=128)] = 16
    T0: kinlim.FormulaOfX = "2 - x**4"

    @property
    def grid(self):
        return kinlim.Points(x=np.arange(1, self.sites) / self.sites)

    @property
    def ends(self):
        """Mean energies of the baths."""
        return self.T0(x=np.array([0.0, 1.0]))


@njit(nogil=True, cache=True)
def fill(energy, streams, mean):
    """Draw exponential energies of these means."""
    for r in range(energy.shape[0]):
        for i in range(energy.shape[1]):
            energy[r, i] = random.exponential(streams[:, r], 1 / mean[i])


@njit(nogil=True, cache=True)
def share(energy, streams, mean, left, right):
    """Let neighbours, baths among them, share their energies, as many times as a Poisson number of this mean."""
    replicas, n = energy.shape
    for r in range(replicas):
        stream = streams[:, r]
        for _ in range(random.poisson(stream, mean)):
            i = random.integer(stream, n + 1)  # the bond to the left of site i
            u = random.uniform(stream)
            if i == 0:
                energy[r, 0] = u * (energy[r, 0] + random.exponential(stream, 1 / left))
            elif i == n:
                energy[r, n - 1] = u * (energy[r, n - 1] + random.exponential(stream, 1 / right))
            else:
                total = energy[r, i - 1] + energy[r, i]
                energy[r, i - 1], energy[r, i] = u * total, (1 - u) * total


def moments(model):
    """Means, shape (times, sites), and covariances, shape (times, sites, sites), at the observation times."""
    n, ends = model.sites - 1, model.ends
    k, i = np.arange(n), np.arange(n - 1)

    def change(t, state):
        T = np.concatenate([ends[:1], state[:n], ends[1:]])
        g = np.pad(state[n:].reshape(n, n), 1)  # E[e_i e_j]; a bath's energy is new each time
        g[0], g[-1] = ends[0] * T, ends[1] * T
        g[:, 0], g[:, -1] = g[0], g[-1]
        g[0, 0], g[-1, -1] = 2 * ends**2
        flow = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:] - 4 * g[1:-1, 1:-1]
        d = g.diagonal()
        # E[(U s)^2] = E[s^2]/3 and E[U (1 - U) s^2] = E[s^2]/6, at twice the rate of the others
        sums = d[:-1] + 2 * g.diagonal(1) + d[1:]
        beside = g[i, i + 2] + g[i + 1, i + 3] - 2 * g.diagonal(1)[1:-1] + sums[1:-1] / 3 - 2 * g.diagonal(1)[1:-1]
        flow[i, i + 1] = flow[i + 1, i] = beside
        flow[k, k] = 2 * (sums[:-1] / 3 + sums[1:] / 3 - 2 * d[1:-1])
        return model.sites**2 * np.concatenate([np.diff(T, 2), flow.ravel()])

    T0 = model.T0(x=model.grid.coordinates["x"])
    start = np.concatenate([T0, (np.outer(T0, T0) + np.diag(T0**2)).ravel()])
    found = solve_ivp(change, (0, model.times[-1] or 1), start, "DOP853", model.times, rtol=1e-10, atol=1e-12).y.T
    T, products = found[:, :n], found[:, n:].reshape(-1, n, n)
    return T, products - T[:, :, None] * T[:, None, :]


class Energies(kinlim.Particles):
    """A block of chains is an array of energies, shape (replicas, sites), with the streams of its replicas."""

    observables = {
        "T": kinlim.Observable("mean energy of a site"),
        "covariance": kinlim.Observable("covariance of the energies of two sites", ("i", "j")),
    }

    def __init__(self, study):
        """With the means that covariances are centred by."""
        super().__init__(study)
        self.means = moments(self.model)[0]
        self.labels = dict.fromkeys(("i", "j"), range(1, self.model.sites))

    @property
    def grid(self):
        return self.model.grid

    def begin(self, streams, first, threads):
        energy = np.empty((streams.shape[1], self.model.sites - 1))
        fill(energy, streams, self.model.T0(x=self.grid.coordinates["x"]))
        return energy, streams

    def advance(self, state, observation, tick):
        share(*state, 2 * self.model.sites**3 * self.intervals[observation], *self.model.ends)
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        centred = state[0] - self.means[observation]
        return {"T": state[0], "covariance": centred[:, :, None] * centred[:, None, :]}


def exact(study):
    """The means and the covariances."""
    T, covariance = moments(study.model)
    x, i = study.model.grid.coordinates["x"], np.arange(1, study.model.sites)
    return {
        "x": ("x", x, "position"),
        "i": ("i", i, "site"),
        "j": ("j", i, "site"),
        "T": (("time", "x"), T, "mean energy of a site"),
        "initial_T": ("x", study.model.T0(x=x), "the same at time 0"),
        "covariance": (("time", "i", "j"), covariance, "covariance of the energies of two sites"),
    }


class Settings(kinlim.EvolutionSettings):
    """`diffusion` is 1 in the limit; another number makes the equation wrong on purpose."""

    diffusion: kinlim.Positive = 1.0


class Heat(kinlim.Equation):
    """T_t = T_xx: for all v that vanish at the ends, int T_t v + T_x v_x = 0."""

    unknowns = {"T": "temperature"}
    domain = kinlim.Interval(0, 1)

    @property
    def grid(self):
        return self.model.grid

    def initial(self, x):
        return self.model.T0(x=x)

    def held(self, u, at):
        left, right = self.model.ends
        return {("T", "left"): at.constant(left), ("T", "right"): at.constant(right)}

    def residual(self, u, u_t, v, at):
        return u_t * v * at.dx + at.constant(self.study.pde.diffusion) * ufl.inner(ufl.grad(u), ufl.grad(v)) * at.dx


MODEL = kinlim.Model(
    name="kmp",
    about="Kipnis, Marchioro and Presutti's energies between two baths: heat equation, exact mean and covariances",
    physics=Chain,
    sides=(kinlim.Evolution(Heat, settings=Settings), kinlim.Known(exact), kinlim.Ensembles(Energies)),
    compare=kinlim.rules(
        kinlim.Means("T", claimed={"sites": -2.0}, source="the exact mean", about="The energy and its limit"),
        kinlim.Means("T", solution="exact", label="T_exact", follow=False, about="The energy and its exact mean"),
        kinlim.Numbers("covariance", solution="exact", follow=False, about="Covariances", against="the exact ones"),
    ),
)
