"""Branching random walks with competition on an interval with a site every h = 1/density, and a front that moves right.

A particle jumps to either neighbour at the rate 1/h^2 (not out of the interval), has a child on its site at the rate 1,
and dies at the rate (k - 1)/N where k particles share a site. u is the number on a site over N. As N goes to infinity
and h to 0, u solves the Fisher-KPP equation u_t = u_xx + u (1 - u), whose front moves at the speed 2 - 3/(2 t)
(Bramson, Mem. Amer. Math. Soc. 285, 1983). At finite N the front is in the end slower by about
pi^2/(log N + 3 log log N)^2 (Brunet and Derrida, Phys. Rev. E 56, 1997; Brunet, Derrida, Mueller and Munier, Phys. Rev.
E 73, 2006). Behind it, independent Poisson numbers of mean N are invariant. The side lattice.nc is N = infinity at the
same h (Kurtz, J. Appl. Probab. 7, 1970).
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field

import kinlim
from kinlim import random


class Front(kinlim.Physics):
    """N, the number of sites per unit of length, the length, and how much of it is full at time 0."""

    LIMITS = {"capacity": "up", "density": "up"}

    capacity: Annotated[int, Field(ge=1, le=10**5)] = 100
    density: Annotated[int, Field(ge=1, le=100)] = 2
    length: Annotated[int, Field(ge=2, le=1000)] = 40
    full: Annotated[int, Field(ge=1, le=1000)] = 5

    @property
    def sites(self):
        return self.length * self.density

    @property
    def grid(self):
        return kinlim.Bins(x=np.linspace(0, self.length, self.sites + 1))


@njit(nogil=True, cache=True)
def fill(k, streams, sites, capacity):
    """Put Poisson numbers of particles on the first sites."""
    for r in range(k.shape[0]):
        for i in range(sites):
            k[r, i] = random.poisson(streams[:, r], capacity)


@njit(nogil=True, cache=True)
def live(k, streams, time, hop, capacity):
    """Let time pass: candidates on the sites up to the edge at the rate of one with `top` particles; some are taken."""
    replicas, n = k.shape
    for r in range(replicas):
        stream, here = streams[:, r], k[r]
        if not here.any():
            continue
        top, edge, t = 1.0 * here.max(), np.flatnonzero(here).max() + 1, 0.0
        while True:
            most = top * (hop + 1) + top * (top - 1) / capacity
            t += random.exponential(stream, edge * most)
            if t > time:
                break
            i = random.integer(stream, edge)
            left = random.uniform(stream) * most - here[i] * hop
            if left < 0:
                j = i + 1 if 2 * left < -here[i] * hop else i - 1
                if 0 <= j < n:
                    here[i], here[j] = here[i] - 1, here[j] + 1
                    top, edge = max(top, here[j]), max(edge, j + 1)
            elif left < here[i]:
                here[i] += 1
                top = max(top, here[i])
            elif left < here[i] + here[i] * (here[i] - 1) / capacity:
                here[i] -= 1


class Walkers(kinlim.Particles):
    """A block of systems: numbers of particles k, shape (replicas, sites), with the streams of its replicas."""

    observables = {
        "u": kinlim.Observable("mean number of particles on a site, over N"),
        "front": kinlim.Observable("place of the front: integral of u", ()),
    }

    @property
    def grid(self):
        return self.model.grid

    def begin(self, streams, first, threads):
        k = np.zeros((streams.shape[1], self.model.sites), np.int64)
        fill(k, streams, self.model.full * self.model.density, self.model.capacity)
        return k, streams

    def advance(self, state, observation, tick):
        live(*state, self.intervals[observation], 2.0 * self.model.density**2, self.model.capacity)
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        u = state[0] / self.model.capacity
        return {"u": u, "front": u.sum(axis=1) / self.model.density}


def lattice(study):
    """N = infinity: u_i' = (u_(i-1) - 2 u_i + u_(i+1))/h^2 + u_i (1 - u_i), by the classical scheme of order four.

    Small numbers far ahead of the front decide its speed, so that steps are explicit: each number keeps its own digits.
    """
    model = study.model

    def change(u):
        flow = np.diff(u) * model.density**2
        return np.append(flow, 0) - np.append(0, flow) + u * (1 - u)

    u, found = np.where(np.arange(model.sites) < model.full * model.density, 1.0, 0.0), []
    for interval in np.diff(model.times, prepend=0.0):
        steps = int(np.ceil(10 * interval * model.density**2))
        for _ in range(steps):
            dt = interval / steps
            a = change(u)
            b = change(u + dt / 2 * a)
            c = change(u + dt / 2 * b)
            u = u + dt / 6 * (a + 2 * b + 2 * c + change(u + dt * c))
        found.append(u)
    return {
        "x": ("x", model.grid.coordinates["x"], "position"),
        "u": (("time", "x"), found, "number of particles on a site over N, N to infinity"),
        "front": ("time", np.sum(found, axis=1) / model.density, "place of the front, N to infinity"),
    }


class Settings(kinlim.EvolutionSettings):
    """`growth` is 1 in the limit; another number makes the equation wrong on purpose."""

    growth: kinlim.Positive = 1.0


class FisherKPP(kinlim.Equation):
    """u_t = u_xx + u (1 - u), u_x = 0 at both ends: for all v, int u_t v + u_x v_x - u (1 - u) v = 0."""

    unknowns = {"u": "density over N"}

    @property
    def domain(self):
        return kinlim.Interval(0.0, float(self.model.length))

    @property
    def grid(self):
        return self.model.grid

    def initial(self, x):
        return (1 + np.sign(np.round(self.model.full - x, 9))) / 2  # 1/2 at the step, so that no mass is lost there

    def residual(self, u, u_t, v, at):
        return (u_t * v + u.dx(0) * v.dx(0) - at.constant(self.study.pde.growth) * u * (1 - u) * v) * at.dx


def front(pde):
    """Integral of u, from its means over bins of equal width."""
    return pde.u.mean("x") * 2 * float(pde.x.mean())


MODEL = kinlim.Model(
    name="branching",
    about="branching random walks with competition, and the front of the Fisher-KPP equation",
    physics=Front,
    sides=(
        kinlim.Evolution(FisherKPP, settings=Settings),
        kinlim.Known(lattice, file="lattice.nc", table="lattice"),
        kinlim.Ensembles(Walkers),
    ),
    compare=kinlim.rules(
        kinlim.Means("u", about="The density and the equation"),
        kinlim.Means(
            "u", solution="lattice", label="u_lattice", about="The density and the lattice with N to infinity"
        ),
        kinlim.Numbers("front", expected=front, about="The front", against="that of the equation"),
        kinlim.Numbers(
            "front", solution="lattice", label="front_lattice", about="The front", against="that with N to infinity"
        ),
    ),
)
