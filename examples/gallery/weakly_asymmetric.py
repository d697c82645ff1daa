"""Weakly asymmetric exclusion on a ring of n sites: jumps to the right at the rate n^2 + n E/2, left n^2 - n E/2.

A particle jumps only to a free place. As n goes to infinity, the density solves the viscous Burgers equation rho_t +
E (rho (1 - rho))_x = rho_xx on the torus. The mean current between i and i + 1 is n^2 (rho_i - rho_(i+1)) + n E/2
E[eta_i (1 - eta_(i+1)) + eta_(i+1) (1 - eta_i)], so that what is left at finite n comes from correlations, which are of
order 1/n: corrected.nc has them, from the equation of two sites without cumulants of three. Source: De Masi, Presutti
and Scacciatelli, Ann. Inst. H. Poincare Probab. Statist. 25 (1989); Kipnis and Landim, "Scaling limits of interacting
particle systems", chapter 10.
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field
from scipy.integrate import solve_ivp

import kinlim
from kinlim import random


class Ring(kinlim.Physics):
    """n sites; the field E, which is smaller than 2n; the probability that a site is occupied at time 0."""

    LIMITS = {"sites": "up"}

    sites: Annotated[int, Field(ge=8, le=10**4)] = 64
    field: Annotated[float, Field(ge=-16, le=16)] = 10.0
    rho0: kinlim.FormulaOfX = "0.4 + 0.3*cos(2*pi*x)"

    @property
    def grid(self):
        return kinlim.Points(x=np.arange(self.sites) / self.sites)


@njit(nogil=True, cache=True)
def occupy(eta, streams, rho):
    """Put a particle on site i with the probability rho[i]."""
    for r in range(eta.shape[0]):
        for i in range(eta.shape[1]):
            eta[r, i] = random.uniform(streams[:, r]) < rho[i]


@njit(nogil=True, cache=True)
def jump(eta, streams, mean, right):
    """Try as many jumps as a Poisson number of this mean in each replica, a share `right` of them to the right."""
    replicas, n = eta.shape
    for r in range(replicas):
        stream = streams[:, r]
        for _ in range(random.poisson(stream, mean)):
            i = random.integer(stream, n)
            j = i + 1 if i + 1 < n else 0
            if eta[r, i] != eta[r, j] and (random.uniform(stream) < right) == (eta[r, i] == 1):
                eta[r, i], eta[r, j] = eta[r, j], eta[r, i]


class Exclusion(kinlim.Particles):
    """A block of rings is an array eta, shape (replicas, sites), with the streams of its replicas."""

    observables = {"rho": kinlim.Observable("probability that a site is occupied")}

    @property
    def grid(self):
        return self.model.grid

    def begin(self, streams, first, threads):
        eta = np.empty((streams.shape[1], self.model.sites), np.int8)
        occupy(eta, streams, self.model.rho0(x=self.grid.coordinates["x"]))
        return eta, streams

    def advance(self, state, observation, tick):
        n = self.model.sites
        jump(*state, 2 * n**3 * self.intervals[observation], 0.5 + self.model.field / (4 * n))
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        return {"rho": state[0]}


def corrected(study):
    """Means rho and covariances c of sites, with cumulants of three sites left out, which are of order 1/n^2."""
    model, n = study.model, study.model.sites
    right, left, drift = n**2 + n * model.field / 2, n**2 - n * model.field / 2, n * model.field
    i = np.arange(n)
    after = (i + 1) % n

    def change(t, state):
        rho, c = state[:n], state[n:].reshape(n, n)
        current = right * rho - left * rho[after] - drift * (rho * rho[after] + c[i, after])
        with_others = right * c - left * c[after] - drift * (rho[:, None] * c[after] + rho[after, None] * c)
        with_others[i, i] = with_others[i, after] = 0  # a jump between i and i + 1 does not change their product
        flow = np.roll(with_others, 1, axis=0) - with_others
        flow[i, after] += current * (rho[after] - rho)
        flow += flow.T
        flow[i, i] = 0
        return np.concatenate([np.roll(current, 1) - current, flow.ravel()])

    rho0 = model.rho0(x=i / n)
    start, span = np.concatenate([rho0, np.zeros(n * n)]), (0, model.times[-1] or 1)
    found = solve_ivp(change, span, start, "DOP853", model.times, rtol=1e-8, atol=1e-10).y.T[:, :n]
    return {
        "x": ("x", i / n, "position"),
        "rho": (("time", "x"), found, "probability that a site is occupied, to order 1/n"),
        "initial_rho": ("x", rho0, "the same at time 0"),
    }


class Settings(kinlim.EvolutionSettings):
    """`drift` is 1 in the limit; -1, a flux of the wrong sign, makes the equation wrong on purpose."""

    drift: float = 1.0


class Burgers(kinlim.Equation):
    """rho_t + (E rho (1 - rho) - rho_x)_x = 0: for all v, int rho_t v - (E rho (1 - rho) - rho_x) v_x = 0."""

    unknowns = {"rho": "density"}
    domain = kinlim.Torus(1)

    @property
    def grid(self):
        return self.model.grid

    def initial(self, x):
        return self.model.rho0(x=x)

    def residual(self, u, u_t, v, at):
        field = at.constant(self.model.field * self.study.pde.drift)
        return u_t * v * at.dx - (field * u * (1 - u) - u.dx(0)) * v.dx(0) * at.dx

    def conserved(self, u):
        return {"mass": u}

    def strong(self, u, u_t, at):
        field = self.model.field * self.study.pde.drift
        return u_t + field * (1 - 2 * u) * u.dx(0) - u.dx(0).dx(0)


MODEL = kinlim.Model(
    name="weakly_asymmetric",
    about="weakly asymmetric exclusion on a ring, and the viscous Burgers equation",
    physics=Ring,
    sides=(
        kinlim.Evolution(Burgers, settings=Settings),
        kinlim.Known(corrected, file="corrected.nc", table="corrected"),
        kinlim.Ensembles(Exclusion),
    ),
    compare=kinlim.rules(
        kinlim.Means(
            "rho",
            about="The density and its limit",
            claimed={"sites": -1.0},
            source="correlations of order 1/n, Kipnis and Landim",
        ),
        kinlim.Means(
            "rho", solution="corrected", label="rho_corrected", follow=False, about="The density and its order 1/n"
        ),
    ),
)
