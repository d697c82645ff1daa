"""Zero-range process on a ring of n sites i/n: from a site with k particles one jumps at the rate n^2 k^alpha each way.

alpha = 0 is the constant rate, alpha = 1 are independent walkers. At first the sites are independent, with the weights
phi^k/k!^alpha of the fugacity phi that makes the mean rho0(i/n); the mean of k^alpha is phi, too. As n goes to
infinity, the density solves rho_t = phi(rho)_xx (Kipnis and Landim, "Scaling limits of interacting particle systems",
chapter 5). At finite n the mean current is the difference of the means of k^alpha, and these feel that sites are
correlated by order 1/n (Ferrari, Presutti and Vares, Ann. Inst. H. Poincare Probab. Statist. 24, 1988, for alpha = 0).
The side corrected.nc is the lattice's equation to that order, which is exact for alpha = 1.
"""

from functools import reduce
from typing import Annotated

import numpy as np
from numba import njit
from numpy.polynomial import Chebyshev, Polynomial
from pydantic import Field, field_validator
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import gammaln

import ufl

import kinlim
from kinlim import random

DEGREE, LARGEST = 24, 400  # of the polynomial phi(rho); number of particles on a site that initial data may have


class Ring(kinlim.Physics):
    """n sites, the exponent of the rate, and the mean number of particles on a site at time 0, between 0.05 and 5."""

    LIMITS = {"sites": "up"}

    sites: Annotated[int, Field(ge=3, le=128)] = 24
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.0
    rho0: kinlim.FormulaOfX = "1 + 0.8*cos(2*pi*x)"

    @field_validator("rho0")
    @classmethod
    def _in_range(cls, rho0):
        if not all(0.05 <= rho <= 5 for rho in extremes(rho0)):
            raise ValueError("must be between 0.05 and 5")
        return rho0

    @property
    def grid(self):
        return kinlim.Points(x=np.arange(self.sites) / self.sites)

    @property
    def phi(self):
        """The mean of g at a density, as a polynomial on the range of densities that the solution has."""
        low, high = extremes(self.rho0)
        found = Chebyshev.interpolate(
            lambda rhos: [np.exp(fugacity(rho, self.alpha)) for rho in rhos], DEGREE, [0.9 * low, 1.1 * high]
        )
        return found.convert(kind=Polynomial, domain=found.domain)


def extremes(rho0):
    """Least and largest density at time 0."""
    values = rho0(x=np.linspace(0, 1, 2001))
    return values.min(), values.max()


def marginal(z, alpha):
    """Probabilities of 0, 1, ... particles on a site of the fugacity exp(z)."""
    k = np.arange(LARGEST)
    weights = k * z - alpha * gammaln(k + 1.0)
    weights = np.exp(weights - weights.max())
    return weights / weights.sum()


def fugacity(rho, alpha):
    """The z that makes the mean number of particles rho."""
    return brentq(lambda z: marginal(z, alpha) @ np.arange(LARGEST) - rho, -20, 20, xtol=1e-15, rtol=1e-15)


@njit(nogil=True, cache=True)
def fill(eta, streams, cumulative):
    """Put k particles on site i with the probability that `cumulative[i]` grows by at k."""
    for r in range(eta.shape[0]):
        for i in range(eta.shape[1]):
            u = random.uniform(streams[:, r])
            while u >= cumulative[i, eta[r, i]] and eta[r, i] < cumulative.shape[1] - 1:
                eta[r, i] += 1


@njit(nogil=True, cache=True)
def jump(eta, place, streams, mean, chance):
    """Let each particle try to jump as many times as a Poisson number of this mean; one of k goes with chance[k]."""
    replicas, n = eta.shape
    for r in range(replicas):
        stream, here, number = streams[:, r], eta[r], eta[r].sum()
        for _ in range(random.poisson(stream, mean * number)):
            q = random.integer(stream, 2 * number)  # a particle and a direction
            p, i = q // 2, place[r, q // 2]
            if random.uniform(stream) < chance[here[i]]:
                j = i + 1 if q % 2 else i - 1
                j = 0 if j == n else n - 1 if j < 0 else j
                here[i], here[j], place[r, p] = here[i] - 1, here[j] + 1, j


class ZeroRange(kinlim.Particles):
    """A block of rings: numbers of particles eta, shape (replicas, sites), the place of each particle, the streams."""

    observables = {"rho": kinlim.Observable("mean number of particles on a site")}

    @property
    def grid(self):
        return self.model.grid

    def begin(self, streams, first, threads):
        n, alpha = self.model.sites, self.model.alpha
        eta = np.zeros((streams.shape[1], n), np.int64)
        rho = self.model.rho0(x=self.grid.coordinates["x"])
        fill(eta, streams, np.array([marginal(fugacity(one, alpha), alpha).cumsum() for one in rho]))
        numbers = eta.sum(axis=1)
        place = np.zeros((len(eta), numbers.max()), np.int64)
        place[np.arange(numbers.max()) < numbers[:, None]] = np.repeat(np.tile(np.arange(n), len(eta)), eta.ravel())
        return eta, place, streams

    def advance(self, state, observation, tick):
        chance = np.arange(1, state[1].shape[1] + 1) ** (self.model.alpha - 1)  # k particles: k^alpha of them all
        jump(*state, 2 * self.model.sites**2 * self.intervals[observation], np.append(0.0, chance))
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        return {"rho": state[0]}


class LatticeSettings(kinlim.Table):
    """`diffusion` is 1 in truth; another number makes all rates of the lattice wrong on purpose."""

    diffusion: kinlim.Positive = 1.0


def corrected(study):
    """Means rho + d to order 1/n; c are covariances without those of independent sites. Exact for alpha = 1: c = 0.

    With D = n^2 (1, -2, 1): rho' = D phi, d' = D (phi' d + phi'' c_ii/2), c' = D phi' c + c phi' D + diag(s D phi), and
    s = phi phi''/phi'^2 is 1 minus the derivative of the variance phi/phi' of a site by its density.
    """
    model, n = study.model, study.model.sites
    phi, slope, curve = (model.phi.deriv(order) for order in (0, 1, 2))

    def spread(values):
        return n**2 * (np.roll(values, 1, axis=0) - 2 * values + np.roll(values, -1, axis=0))

    def change(t, state):
        (rho, d), c = state[: 2 * n].reshape(2, n), state[2 * n :].reshape(n, n)
        flow, source = spread(slope(rho)[:, None] * c), phi(rho) * curve(rho) / slope(rho) ** 2 * spread(phi(rho))
        to_d = spread(slope(rho) * d + curve(rho) * np.diag(c) / 2)
        return np.concatenate([spread(phi(rho)), to_d, (flow + flow.T + np.diag(source)).ravel()])

    rho0, times = model.rho0(x=np.arange(n) / n), study.corrected.diffusion * model.times
    start = np.append(rho0, np.zeros(n + n * n))
    found = solve_ivp(change, (0, times[-1] or 1), start, "RK45", times, rtol=1e-8, atol=1e-10).y[: 2 * n]
    return {
        "x": ("x", np.arange(n) / n, "position"),
        "rho": (("time", "x"), found.reshape(2, n, -1).sum(axis=0).T, "mean number of particles on a site, order 1/n"),
        "initial_rho": ("x", rho0, "the same at time 0"),
    }


class Settings(kinlim.EvolutionSettings):
    """`diffusion` is 1 in the limit; another number makes the equation wrong on purpose."""

    diffusion: kinlim.Positive = 1.0


class Filtration(kinlim.Equation):
    """rho_t = phi(rho)_xx: for all v, int rho_t v + phi(rho)_x v_x = 0."""

    unknowns = {"rho": "density"}
    domain = kinlim.Torus(1)

    @property
    def grid(self):
        return self.model.grid

    def initial(self, x):
        return self.model.rho0(x=x)

    def phi(self, u):
        phi = self.model.phi
        shift, scale = map(float, phi.mapparms())
        return reduce(lambda value, c: value * (shift + scale * u) + float(c), phi.coef[::-1], ufl.as_ufl(0.0))

    def residual(self, u, u_t, v, at):
        return u_t * v * at.dx + at.constant(self.study.pde.diffusion) * self.phi(u).dx(0) * v.dx(0) * at.dx

    def conserved(self, u):
        return {"mass": u}


MODEL = kinlim.Model(
    name="zero_range",
    about="zero-range process on a ring, and nonlinear diffusion",
    physics=Ring,
    sides=(
        kinlim.Evolution(Filtration, settings=Settings),
        kinlim.Known(corrected, file="corrected.nc", table="corrected", settings=LatticeSettings),
        kinlim.Ensembles(ZeroRange),
    ),
    compare=kinlim.rules(
        kinlim.Means(
            "rho",
            about="The density and its limit",
            claimed={"sites": -1.0},
            source="Ferrari, Presutti and Vares: correlations of order 1/n",
        ),
        kinlim.Means(
            "rho",
            solution="corrected",
            label="rho_corrected",
            follow=False,
            about="The density and the lattice to order 1/n",
        ),
    ),
)
