"""Exclusion on the torus of n^d sites, d = 2 or 3, with a weak field E along x.

Neighbours i and i + e_a, e_a along axis a, change places at the rate n^2; along x a particle jumps forward at the rate
n^2 + n E/2 and back at n^2 - n E/2, if the place is free. Sites are independent at first. As n goes to infinity, the
density solves rho_t + E (rho (1 - rho))_x = Laplace rho on the torus. For E = 0 the mean solves the discrete heat
equation exactly, so that the two differ like n^-2. With a field, the mean current has E[eta_i eta_j] in it; the side
lattice.nc takes rho_i rho_j there. It leaves out the covariance of neighbours, which is of order n^-2, too, for d = 3,
and of order n^-2 log n for d = 2. Source: Kipnis and Landim, "Scaling limits of interacting particle systems", chapters
4 and 10.
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field, model_validator
from scipy.integrate import solve_ivp

import ufl

import kinlim
from kinlim import random


class Sites(kinlim.Physics):
    """n sites along each of d axes, the field, and the probability that a site is occupied at time 0."""

    LIMITS = {"sites": "up"}

    dimension: Annotated[int, Field(ge=2, le=3)] = 2
    sites: Annotated[int, Field(ge=3, le=256)] = 16
    field: Annotated[float, Field(ge=-6, le=6)] = 0.0
    rho0: kinlim.FormulaOfXYZ = "(0.4 + 0.25*cos(2*pi*x))*(0.8 + 0.4*sin(2*pi*y))"

    @model_validator(mode="after")
    def _is_a_probability(self):
        if self.dimension == 2 and "z" in self.rho0.used:
            raise ValueError(f"rho0 = '{self.rho0}' has z in it, and dimension = 2")
        rho0 = self.start(*np.meshgrid(*[np.linspace(0, 1, 65)] * self.dimension))
        if rho0.min() < 0 or rho0.max() > 1:
            raise ValueError(f"rho0 = '{self.rho0}' must be a probability, in [0, 1]")
        return self

    @property
    def grid(self):
        return kinlim.Points(**dict.fromkeys("xyz"[: self.dimension], np.arange(self.sites) / self.sites))

    def start(self, x, y, z=0.0):
        """The density at time 0."""
        return self.rho0(x=x, y=y, z=z + 0 * x)


@njit(nogil=True, cache=True)
def occupy(eta, streams, rho):
    """Put a particle on site i with the probability rho[i]."""
    for r in range(eta.shape[0]):
        for i in range(eta.shape[1]):
            eta[r, i] = random.uniform(streams[:, r]) < rho[i]


@njit(nogil=True, cache=True)
def jump(eta, streams, n, dimension, mean, forward, back, sideways):
    """Pick as many bonds as a Poisson number of this mean; what may happen there does with the given chances.

    Site i is the number with the digits x, y, z to the base n; `forward` and `back` are along x.
    """
    replicas, count = eta.shape
    for r in range(replicas):
        stream = streams[:, r]
        for _ in range(random.poisson(stream, mean)):
            bond = random.integer(stream, dimension * count)
            i, axis = bond % count, bond // count
            stride = n ** (dimension - 1 - axis)
            j = i + stride if i // stride % n + 1 < n else i - (n - 1) * stride
            chance = sideways if axis else forward if eta[r, i] else back
            if chance >= 1 or random.uniform(stream) < chance:
                eta[r, i], eta[r, j] = eta[r, j], eta[r, i]


class Exclusion(kinlim.Particles):
    """A block of tori is an array eta, shape (replicas, sites^dimension), with the streams of its replicas."""

    observables = {"rho": kinlim.Observable("probability that a site is occupied")}

    @property
    def grid(self):
        return self.model.grid

    def begin(self, streams, first, threads):
        rho0 = start(self.model).ravel()
        eta = np.empty((streams.shape[1], rho0.size), np.int8)
        occupy(eta, streams, rho0)
        return eta, streams

    def advance(self, state, observation, tick):
        model, (eta, streams) = self.model, state
        rates = model.sites**2 + np.array([0.5, -0.5, 0.0]) * model.sites * model.field
        mean = model.dimension * eta.shape[1] * rates.max() * self.intervals[observation]
        jump(eta, streams, model.sites, model.dimension, mean, *rates / rates.max())
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        return {"rho": state[0].reshape(-1, *self.grid.shape)}


def start(model):
    """The probabilities at time 0 on the lattice."""
    return model.start(*np.meshgrid(*model.grid.coordinates.values(), indexing="ij"))


class LatticeSettings(kinlim.Table):
    """`diffusion` is 1 in truth; another number makes all rates of the lattice wrong on purpose."""

    diffusion: kinlim.Positive = 1.0


def lattice(study):
    """The means, without correlations, which the mean current has in it only where there is a field."""
    model, n = study.model, study.model.sites
    rho0 = start(model)

    def change(t, values):
        rho = values.reshape(rho0.shape)
        flow = np.zeros_like(rho)
        for axis in range(model.dimension):
            after = np.roll(rho, -1, axis)
            current = n**2 * (rho - after)
            if axis == 0:
                current += n * model.field / 2 * (rho * (1 - after) + after * (1 - rho))
            flow += np.roll(current, 1, axis) - current
        return flow.ravel()

    times = study.lattice.diffusion * model.times
    found = solve_ivp(change, (0, times[-1] or 1), rho0.ravel(), "DOP853", times, rtol=1e-10, atol=1e-12).y.T
    axes = {name: (name, points, "position") for name, points in model.grid.coordinates.items()}
    return axes | {
        "rho": (("time", *axes), found.reshape(-1, *rho0.shape), "probability that a site is occupied"),
        "initial_rho": (tuple(axes), rho0, "the same at time 0"),
    }


class Settings(kinlim.EvolutionSettings):
    """`diffusion` and `drift` are 1 in the limit; other numbers make the equation wrong on purpose."""

    diffusion: kinlim.Positive = 1.0
    drift: float = 1.0


class Burgers(kinlim.Equation):
    """rho_t + E (rho (1 - rho))_x = Laplace rho, for E = 0 the heat equation."""

    unknowns = {"rho": "density"}

    @property
    def domain(self):
        return kinlim.Torus(self.model.dimension)

    @property
    def grid(self):
        return self.model.grid

    def initial(self, *x):
        return self.model.start(*x)

    def residual(self, u, u_t, v, at):
        diffusion, field = self.study.pde.diffusion, self.model.field * self.study.pde.drift
        spread = at.constant(diffusion) * ufl.inner(ufl.grad(u), ufl.grad(v))
        return (u_t * v + spread - at.constant(field) * u * (1 - u) * v.dx(0)) * at.dx

    def conserved(self, u):
        return {"mass": u}

    def strong(self, u, u_t, at):
        return u_t + self.model.field * (u * (1 - u)).dx(0) - ufl.div(ufl.grad(u))


CLAIMED, SOURCE = {"sites": -2.0}, "for E = 0 the mean is the discrete heat equation: Kipnis and Landim, chapter 4"
MODEL = kinlim.Model(
    name="exclusion_torus",
    about="exclusion on a torus of two or three dimensions, and the heat equation or viscous Burgers'",
    physics=Sites,
    sides=(
        kinlim.Evolution(Burgers, settings=Settings),
        kinlim.Known(lattice, file="lattice.nc", table="lattice", settings=LatticeSettings),
        kinlim.Ensembles(Exclusion),
    ),
    compare=kinlim.rules(
        kinlim.Means("rho", claimed=CLAIMED, source=SOURCE, about="The density and its limit"),
        kinlim.Means("rho", solution="lattice", label="rho_lattice", about="The density and the lattice's equation"),
    ),
)
