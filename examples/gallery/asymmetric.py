"""Totally asymmetric exclusion on a ring of n sites: a particle jumps to the right at the rate n, if the place is free.

As n goes to infinity, the density is the entropy solution of Burgers' equation rho_t + (rho (1 - rho))_x = 0 on the
torus (Rezakhanlou, Commun. Math. Phys. 140, 1991). From a step, low on the left half and high on the right one, a shock
moves at the speed 1 - low - high, and a fan opens at 0. The random initial data move the shock by a Gaussian variable
of variance D t/n, D = (low (1 - low) + high (1 - high))/(high - low) (Ferrari and Fontes, Probab. Theory Relat. Fields
99, 1994), so that the mean density is (high - low) (2 D t/(pi n))^(1/2) away from the step in L1.
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field

import ufl

import kinlim
from kinlim import random, statistics

Density = Annotated[float, Field(ge=0, le=1)]


class Ring(kinlim.Physics):
    """n sites; densities of the step; a number of sites, a divisor of n, over which densities are averaged."""

    LIMITS = {"sites": "up"}

    sites: Annotated[int, Field(ge=8, le=10**6)] = 400
    low: Density = 0.2
    high: Density = 0.8
    block: Annotated[int, Field(ge=1, le=10**4)] = 10

    @property
    def grid(self):
        return kinlim.Bins(x=np.linspace(0, 1, self.sites // self.block + 1))

    def step(self, x):
        """Density at time 0."""
        return np.where(x < 0.5, self.low, self.high)


@njit(nogil=True, cache=True)
def occupy(eta, streams, rho):
    """Put a particle on site i with the probability rho[i]."""
    for r in range(eta.shape[0]):
        for i in range(eta.shape[1]):
            eta[r, i] = random.uniform(streams[:, r]) < rho[i]


@njit(nogil=True, cache=True)
def jump(eta, streams, mean):
    """Let sites try to send a particle to the right, as many as a Poisson number of this mean in each replica."""
    replicas, n = eta.shape
    for r in range(replicas):
        stream = streams[:, r]
        for _ in range(random.poisson(stream, mean)):
            i = random.integer(stream, n)
            j = i + 1 if i + 1 < n else 0
            if eta[r, i] and not eta[r, j]:
                eta[r, i], eta[r, j] = 0, 1


class Exclusion(kinlim.Particles):
    """A block of rings is an array eta, shape (replicas, sites), with the streams of its replicas."""

    observables = {"rho": kinlim.Observable("mean number of particles on a site of a bin")}

    @property
    def grid(self):
        return self.model.grid

    def begin(self, streams, first, threads):
        n = self.model.sites
        eta = np.empty((streams.shape[1], n), np.int8)
        occupy(eta, streams, self.model.step((np.arange(n) + 0.5) / n))
        return eta, streams

    def advance(self, state, observation, tick):
        jump(*state, self.model.sites**2 * self.intervals[observation])
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        return {"rho": statistics.block_means(state[0], self.model.sites // self.model.block)}


def flux(rho):
    """Particles that pass per unit of time."""
    return rho * (1 - rho)


class Burgers(kinlim.Equation):
    """rho_t + flux(rho)_x = 0, with Godunov's flux between cells: the smaller of what the left one can send and what
    the right one can take."""  # noqa: D205, D209

    unknowns = {"rho": "density"}
    domain = kinlim.Torus(1)
    element = "discontinuous"

    @property
    def grid(self):
        return self.model.grid

    def initial(self, x):
        return self.model.step(x)

    def residual(self, u, u_t, v, at):
        half = ufl.as_ufl(0.5)
        right = at.n("+") > 0  # whether the cell that UFL calls + is on the left of the facet
        left_u, right_u = ufl.conditional(right, u("+"), u("-")), ufl.conditional(right, u("-"), u("+"))
        godunov = ufl.min_value(flux(ufl.min_value(left_u, half)), flux(ufl.max_value(right_u, half)))
        inside = u_t * v * at.dx - flux(u) * v.dx(0) * at.dx
        return inside + godunov * (v("+") * at.n("+") + v("-") * at.n("-")) * at.dS

    def conserved(self, u):
        return {"mass": u}


MODEL = kinlim.Model(
    name="asymmetric",
    about="totally asymmetric exclusion on a ring, and Burgers' equation",
    physics=Ring,
    sides=(kinlim.Evolution(Burgers), kinlim.Ensembles(Exclusion)),
    compare=kinlim.rules(
        kinlim.Means("rho", norm="L1", claimed={"sites": -0.5}, source="Ferrari and Fontes 1994, for the shock")
    ),
)
