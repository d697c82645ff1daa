"""Symmetric exclusion on the sites i/n, 0 < i < n, between two reservoirs: neighbours change places at the rate n^2.

At the rate n^2 the left reservoir fills site 1 anew, with a particle with the probability rho0(0), and the right one
site n - 1 with rho0(1). As n goes to infinity, the density solves rho_t = rho_xx with these values at the ends. At
finite n the mean solves the discretisation exactly, and the covariances of two sites a closed equation. In the long run
cov(eta_i, eta_j) = -(rho0(0) - rho0(1))^2 i (n - j)/(n^2 (n - 1)) for i < j: of long range, and of order 1/n. Sources:
Spohn, J. Phys. A 16 (1983); Derrida, J. Stat. Mech. (2007) P07023.
"""

from typing import Annotated, Literal

import numpy as np
from numba import njit
from pydantic import Field
from scipy.integrate import solve_ivp

import ufl

import kinlim
from kinlim import random


class Chain(kinlim.Physics):
    """n - 1 sites, and the probability that one is occupied at time 0; at the ends, that of the reservoirs for ever."""

    LIMITS = {"sites": "up"}

    sites: Annotated[int, Field(ge=3, le=128)] = 16
    rho0: kinlim.FormulaOfX = "0.9 - 0.8*x**4"

    @property
    def grid(self):
        return kinlim.Points(x=np.arange(1, self.sites) / self.sites)

    @property
    def ends(self):
        """Densities of the reservoirs."""
        return self.rho0(x=np.array([0.0, 1.0]))


@njit(nogil=True, cache=True)
def occupy(eta, streams, rho):
    """Put a particle on a site with the probability rho."""
    for r in range(eta.shape[0]):
        for i in range(eta.shape[1]):
            eta[r, i] = random.uniform(streams[:, r]) < rho[i]


@njit(nogil=True, cache=True)
def stir(eta, streams, mean, left, right):
    """Let neighbours change places and reservoirs fill their sites, in all as many times as a Poisson number."""
    replicas, n = eta.shape
    for r in range(replicas):
        stream = streams[:, r]
        for _ in range(random.poisson(stream, mean)):
            i = random.integer(stream, n + 1)  # the bond to the left of site i
            if i == 0:
                eta[r, 0] = random.uniform(stream) < left
            elif i == n:
                eta[r, n - 1] = random.uniform(stream) < right
            else:
                eta[r, i - 1], eta[r, i] = eta[r, i], eta[r, i - 1]


def moments(model):
    """Means, shape (times, sites), and covariances, shape (times, sites, sites), at the observation times."""
    n, ends = model.sites - 1, model.ends
    i = np.arange(n - 1)

    def change(t, state):
        rho = np.concatenate([ends[:1], state[:n], ends[1:]])
        c = np.pad(state[n:].reshape(n, n), 1)  # a reservoir has no memory
        flow = c[:-2, 1:-1] + c[2:, 1:-1] + c[1:-1, :-2] + c[1:-1, 2:] - 4 * c[1:-1, 1:-1]
        # A change of places leaves the product of two neighbours alone.
        beside = c[i, i + 2] + c[i + 1, i + 3] - 2 * c[i + 1, i + 2] - np.diff(rho)[1:-1] ** 2
        flow[i, i + 1] = flow[i + 1, i] = beside
        np.fill_diagonal(flow, 0)
        return model.sites**2 * np.concatenate([np.diff(rho, 2), flow.ravel()])

    start = np.concatenate([model.rho0(x=model.grid.coordinates["x"]), np.zeros(n * n)])
    found = solve_ivp(change, (0, model.times[-1] or 1), start, "DOP853", model.times, rtol=1e-10, atol=1e-12).y.T
    rho, covariance = found[:, :n], found[:, n:].reshape(-1, n, n)
    return rho, covariance + np.einsum("ti,ij->tij", rho * (1 - rho), np.eye(n))


class Exclusion(kinlim.Particles):
    """A block of chains is an array eta, shape (replicas, sites), with the streams of its replicas."""

    observables = {
        "rho": kinlim.Observable("probability that a site is occupied"),
        "covariance": kinlim.Observable("covariance of two sites", ("i", "j")),
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
        eta = np.empty((streams.shape[1], self.model.sites - 1), np.int8)
        occupy(eta, streams, self.model.rho0(x=self.grid.coordinates["x"]))
        return eta, streams

    def advance(self, state, observation, tick):
        stir(*state, self.model.sites**3 * self.intervals[observation], *self.model.ends)
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        centred = state[0] - self.means[observation]
        return {"rho": state[0], "covariance": centred[:, :, None] * centred[:, None, :]}


def exact(study):
    """The means and the covariances."""
    rho, covariance = moments(study.model)
    x, i = study.model.grid.coordinates["x"], np.arange(1, study.model.sites)
    return {
        "x": ("x", x, "position"),
        "i": ("i", i, "site"),
        "j": ("j", i, "site"),
        "rho": (("time", "x"), rho, "probability that a site is occupied"),
        "initial_rho": ("x", study.model.rho0(x=x), "the same at time 0"),
        "covariance": (("time", "i", "j"), covariance, "covariance of two sites"),
    }


class Settings(kinlim.EvolutionSettings):
    """`right` is "held" in the limit; "free", an end without flux, makes the equation wrong on purpose."""

    right: Literal["held", "free"] = "held"


class Heat(kinlim.Equation):
    """rho_t = rho_xx: for all v that vanish where rho is held, int rho_t v + rho_x v_x = 0."""

    unknowns = {"rho": "density"}
    domain = kinlim.Interval(0, 1)

    @property
    def grid(self):
        return self.model.grid

    def initial(self, x):
        return self.model.rho0(x=x)

    def held(self, u, at):
        ends = dict(zip(("left", "right"), self.model.ends, strict=True))
        if self.study.pde.right == "free":
            del ends["right"]
        return {("rho", end): at.constant(value) for end, value in ends.items()}

    def residual(self, u, u_t, v, at):
        return u_t * v * at.dx + ufl.inner(ufl.grad(u), ufl.grad(v)) * at.dx


MODEL = kinlim.Model(
    name="exclusion_reservoirs",
    about="symmetric exclusion between two reservoirs: heat equation, exact mean and long-range correlations",
    physics=Chain,
    sides=(kinlim.Evolution(Heat, settings=Settings), kinlim.Known(exact), kinlim.Ensembles(Exclusion)),
    compare=kinlim.rules(
        kinlim.Means("rho", claimed={"sites": -2.0}, source="the exact mean", about="The density and its limit"),
        kinlim.Means("rho", solution="exact", label="rho_exact", follow=False, about="The density and its exact mean"),
        kinlim.Numbers("covariance", solution="exact", follow=False, about="Covariances", against="the exact ones"),
    ),
)
