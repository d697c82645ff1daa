"""Symmetric exclusion on a ring of n sites i/n: neighbours change places, each pair at the rate n^2.

As n goes to infinity, the density solves the heat equation rho_t = rho_xx on the torus. At finite n the mean solves its
discretisation in space exactly, and E[eta_i eta_j] a closed equation, too: two particles that exclude each other move
as one walker on pairs of sites. Source: Liggett, "Interacting particle systems", chapter VIII (duality); Kipnis and
Landim, "Scaling limits of interacting particle systems", chapter 4.
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field
from scipy import sparse

import ufl

import kinlim
from kinlim import random

LAGS = (1, 2, 3)


class Ring(kinlim.Physics):
    """n sites, and the probability that one is occupied at time 0."""

    LIMITS = {"sites": "up"}

    sites: Annotated[int, Field(ge=8, le=200)] = 16
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


def moves(n):
    """Between which sites of the ring one particle moves, shape (n, n)."""
    return sparse.diags_array([1.0, 1.0, 1.0, 1.0], offsets=[-1, 1, n - 1, 1 - n], shape=(n, n)).tocsr()


def means(model):
    """E[eta_i] at the observation times, shape (times, sites): the discrete heat equation."""
    n = model.sites
    heat = n**2 * (moves(n) - 2 * sparse.eye_array(n))
    rho0 = model.rho0(x=np.arange(n) / n)
    return np.array([sparse.linalg.expm_multiply(t * heat, rho0) for t in model.times])


class Exclusion(kinlim.Particles):
    """A block of rings is an array eta, shape (replicas, sites), with the streams of its replicas."""

    observables = {
        "rho": kinlim.Observable("probability that a site is occupied"),
        "correlation": kinlim.Observable("sum over i of the covariance of eta_i and eta_(i + lag)", ("lag",)),
    }
    labels = {"lag": LAGS}

    def __init__(self, study):
        """With the means that correlations are centred by."""
        super().__init__(study)
        self.means = means(self.model)

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
        centred = state[0] - self.means[observation]
        products = [(centred * np.roll(centred, -lag, axis=1)).sum(axis=1) for lag in LAGS]
        return {"rho": state[0], "correlation": np.stack(products, axis=1)}


def exact(study):
    """The means, and E[eta_i eta_j] from the walk of two particles that exclude each other."""
    model, n = study.model, study.model.sites
    apart = (np.arange(n)[:, None] != np.arange(n)).ravel()
    ring, still = moves(n), sparse.eye_array(n)
    walk = (sparse.kron(ring, still) + sparse.kron(still, ring)).tocsr()[apart][:, apart]
    walk = n**2 * (walk - sparse.diags_array(walk.sum(axis=1)))
    rho0, rho = model.rho0(x=np.arange(n) / n), means(model)
    pairs, i = np.zeros((len(rho), n * n)), np.arange(n)
    for t, here in zip(model.times, pairs, strict=True):
        here[apart] = sparse.linalg.expm_multiply(t * walk, np.outer(rho0, rho0).ravel()[apart])
    truncated = pairs.reshape(-1, n, n) - rho[:, :, None] * rho[:, None, :]
    correlation = np.stack([truncated[:, i, (i + lag) % n].sum(axis=1) for lag in LAGS], axis=1)
    return {
        "x": ("x", i / n, "position"),
        "lag": ("lag", list(LAGS), "distance in sites"),
        "rho": (("time", "x"), rho, "probability that a site is occupied"),
        "initial_rho": ("x", rho0, "the same at time 0"),
        "correlation": (("time", "lag"), correlation, "sum over i of the covariance of eta_i and eta_(i + lag)"),
    }


class Settings(kinlim.EvolutionSettings):
    """`diffusion` is 1 in the limit; another number makes the equation wrong on purpose."""

    diffusion: kinlim.Positive = 1.0


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
        return u_t * v * at.dx + at.constant(self.study.pde.diffusion) * ufl.inner(ufl.grad(u), ufl.grad(v)) * at.dx

    def conserved(self, u):
        return {"mass": u}


SOURCE = "Kipnis and Landim, chapter 4"
MODEL = kinlim.Model(
    name="symmetric_exclusion",
    about="symmetric exclusion on a ring: heat equation, exact mean and pair correlations",
    physics=Ring,
    sides=(kinlim.Evolution(Heat, settings=Settings), kinlim.Known(exact), kinlim.Ensembles(Exclusion)),
    compare=kinlim.rules(
        kinlim.Means("rho", claimed={"sites": -2.0}, source=SOURCE, about="The density and its limit"),
        kinlim.Means("rho", solution="exact", label="rho_exact", follow=False, about="The density and its exact mean"),
        kinlim.Numbers("correlation", solution="exact", follow=False, about="Correlations", against="the exact ones"),
    ),
)
