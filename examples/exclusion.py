"""Symmetric exclusion on a ring of n sites i/n: neighbours change places, each pair at the rate n^2.

Each site holds a particle or none, at first independently with the probability rho0(i/n). As n goes to infinity, the
density solves the heat equation rho_t = rho_xx on the torus; the mean solves its discretisation in space exactly, so
that the two differ like n^-2. Source: Kipnis and Landim, "Scaling limits of interacting particle systems", chapter 4.
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field

import ufl

import kinlim
from kinlim import random


class Ring(kinlim.Physics):
    """n sites, and the probability that one is occupied at time 0."""

    LIMITS = {"sites": "up"}

    sites: Annotated[int, Field(ge=3, le=10**5)] = 32
    rho0: kinlim.FormulaOfX = "0.5 + 0.4*cos(2*pi*x)"

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
def stir(eta, streams, mean):
    """Let pairs of neighbours change places, as many as a Poisson number of this mean in each replica."""
    replicas, n = eta.shape
    for r in range(replicas):
        stream = streams[:, r]
        for _ in range(random.poisson(stream, mean)):
            i = random.integer(stream, n)
            j = i + 1 if i + 1 < n else 0
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
        stir(*state, self.model.sites**3 * self.intervals[observation])
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        return {"rho": state[0]}


class Heat(kinlim.Equation):
    """rho_t = rho_xx: for all v, int rho_t v + rho_x v_x = 0."""

    unknowns = {"rho": "density"}
    domain = kinlim.Torus(1)

    @property
    def grid(self):
        return self.model.grid

    def initial(self, x):
        return self.model.rho0(x=x)

    def residual(self, u, u_t, v, at):
        return u_t * v * at.dx + ufl.inner(ufl.grad(u), ufl.grad(v)) * at.dx

    def conserved(self, u):
        return {"mass": u}

    def strong(self, u, u_t, at):
        return u_t - ufl.div(ufl.grad(u))


MODEL = kinlim.Model(
    name="exclusion",
    about="symmetric exclusion on a ring, and the heat equation",
    physics=Ring,
    sides=(kinlim.Evolution(Heat), kinlim.Ensembles(Exclusion)),
    compare=kinlim.rules(kinlim.Means("rho", claimed={"sites": -2.0}, source="Kipnis and Landim")),
)
