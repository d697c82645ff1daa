"""Kuramoto's model with noise: N equal oscillators on a circle, each drawn to all others.

    d theta_i = (K/N) sum_j sin(theta_j - theta_i) dt + sqrt(2 D) dW_i, with theta = 2 pi x and x on the torus.

At first the x_i are independent with the density rho0. As N goes to infinity, their density solves
    rho_t = D/(4 pi^2) rho_xx - (K/(2 pi) (S cos 2 pi x - C sin 2 pi x) rho)_x,
    C = int rho cos 2 pi x, S = int rho sin 2 pi x,
which has a drift made of integrals of rho. From K = 2 D on, there are stationary states with r = |C + i S| > 0, where
r = I_1(K r/D)/I_0(K r/D). Sources: Sakaguchi, Prog. Theor. Phys. 79 (1988); Bertini, Giacomin and Pakdaman, J. Stat.
Phys. 138 (2010); Sznitman, "Topics in propagation of chaos" (1991). At finite N the means differ by order 1/N from the
limit; exact.nc has this order, from the equations of the Fourier modes and of their covariances.
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field, field_validator
from scipy.integrate import solve_ivp

import ufl

import kinlim
from kinlim import random

WAVES, MOST, FINE = (1, 2, 3, 4), 20, 4096  # waves observed; modes of the hierarchy; cells of the initial density
SPREAD = 1e5  # diffusion of C and S, which are constant in space but for its inverse


class Circle(kinlim.Physics):
    """N oscillators, the coupling K, the noise D, and the density of x at time 0."""

    LIMITS = {"oscillators": "up"}

    oscillators: Annotated[int, Field(ge=2, le=10**6)] = 128
    coupling: Annotated[float, Field(ge=0, le=8)] = 3.0
    noise: Annotated[float, Field(ge=0.5, le=10)] = 1.0
    rho0: kinlim.FormulaOfX = "1 + 0.8*cos(2*pi*x) + 0.1*sin(4*pi*x)"

    @field_validator("rho0")
    @classmethod
    def _is_a_density(cls, rho0):
        values = rho0(x=(np.arange(FINE) + 0.5) / FINE)
        if values.min() < 0 or abs(values.mean() - 1) > 1e-6:
            raise ValueError("must be a density on [0, 1): nowhere negative, with the integral 1")
        return rho0

    @property
    def cells(self):
        """The mass of rho0 on fine cells."""
        values = self.rho0(x=(np.arange(FINE) + 0.5) / FINE)
        return values / values.sum()


@njit(nogil=True, cache=True)
def scatter(theta, streams, cumulative):
    """Draw angles from a density that is constant on cells, of which the cumulative masses are given."""
    cells = len(cumulative)
    for r in range(theta.shape[0]):
        for i in range(theta.shape[1]):
            cell = min(np.searchsorted(cumulative, random.uniform(streams[:, r]), side="right"), cells - 1)
            theta[r, i] = 2 * np.pi * (cell + random.uniform(streams[:, r])) / cells


@njit(nogil=True, cache=True)
def pull(theta, coupling, drift):
    """The drift (K/N) sum_j sin(theta_j - theta_i) = K (S cos theta_i - C sin theta_i)."""
    n = len(theta)
    cosines, sines = np.cos(theta), np.sin(theta)
    c, s = cosines.sum() / n, sines.sum() / n
    drift[:] = coupling * (s * cosines - c * sines)


@njit(nogil=True, cache=True)
def turn(theta, streams, steps, dt, coupling, noise):
    """Steps of Heun's scheme, of weak order two where noise is additive (Kloeden and Platen, section 15.1)."""
    n = theta.shape[1]
    kick, first, second = np.empty(n), np.empty(n), np.empty(n)
    for r in range(theta.shape[0]):
        here = theta[r]
        for _ in range(steps):
            for i in range(n):
                kick[i] = np.sqrt(2 * noise * dt) * random.normal(streams[:, r])
            pull(here, coupling, first)
            pull(here + first * dt + kick, coupling, second)
            here += (first + second) * (dt / 2) + kick


class Ensemble(kinlim.Ensemble):
    """`step` is the longest time step allowed."""

    step: kinlim.Positive = 0.02


class Oscillators(kinlim.Particles):
    """A block is an array of angles theta, shape (replicas, N), with the streams of its replicas."""

    observables = {
        "modes": kinlim.Observable("(2/N) sum of cos and sin of 2 pi k x_i", ("wave", "part")),
        "coherence": kinlim.Observable("|(1/N) sum of exp(2 pi i x_j)|^2", ()),
    }
    labels = {"wave": WAVES, "part": ("cos", "sin")}

    def begin(self, streams, first, threads):
        theta = np.empty((streams.shape[1], self.model.oscillators))
        scatter(theta, streams, self.model.cells.cumsum())
        return theta, streams

    def advance(self, state, observation, tick):
        length = self.intervals[observation]
        steps = int(np.ceil(length / self.study.particles.step))
        turn(*state, steps, length / max(steps, 1), self.model.coupling, self.model.noise)
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        z = np.stack([np.exp(1j * k * state[0]).mean(axis=1) for k in WAVES], axis=1)
        return {"modes": 2 * np.stack([z.real, z.imag], axis=2), "coherence": np.abs(z[:, 0]) ** 2}


def hierarchy(model):
    """Limits z_k of Z_k = (1/N) sum_j exp(i k theta_j), and N times the next order of E[Z_k] and of E[|Z_1|^2].

    Ito: dZ_k = f_k(Z) dt + martingales with the brackets -2 D k l Z_(k+l)/N dt, and
    f_k(Z) = -D k^2 Z_k + (K k/2) (Z_1 Z_(k-1) - Z_(-1) Z_(k+1)). With A = f'(z), covariances c/N and E[Z] = z + m/N:
    z' = f(z), c' = A c + c A^T - 2 D k l z_(k+l), m' = A m + (K k/2) (c_(1,k-1) - c_(-1,k+1)).

    Returns:
        z and m, shape (times, 2 MOST + 1), k from -MOST on; the correction of E[|Z_1|^2], shape (times,).
    """
    k = np.arange(-MOST, MOST + 1)
    size, one, minus = len(k), MOST + 1, MOST - 1
    damping, gain = model.noise * k**2, model.coupling * k / 2
    up, down = np.eye(size, k=1), np.eye(size, k=-1)  # (up v)_k = v_(k+1); modes beyond MOST are left out

    def plus(z):
        """z_(k+l)."""
        total = k[:, None] + k
        return np.where(abs(total) <= MOST, z[np.clip(total, -MOST, MOST) + MOST], 0)

    def change(t, state):
        (z, m), c = state[: 2 * size].reshape(2, size), state[2 * size :].reshape(size, size)
        jacobian = gain[:, None] * (z[one] * down - z[minus] * up) - np.diag(damping)
        f = jacobian @ z
        jacobian[:, one] += gain * (down @ z)
        jacobian[:, minus] -= gain * (up @ z)
        flow, source = jacobian @ c, 2 * model.noise * np.outer(k, k) * plus(z)
        to_m = jacobian @ m + gain * (down @ c[one] - up @ c[minus])
        return np.concatenate([f, to_m, (flow + flow.T - source).ravel()])

    x = (np.arange(FINE) + 0.5) / FINE
    z0 = np.exp(2j * np.pi * np.outer(k, x)) @ model.cells
    start = np.concatenate([z0, 0 * z0, (plus(z0) - np.outer(z0, z0)).ravel()])
    span = (0, model.times[-1] or 1)
    found = solve_ivp(change, span, start, "DOP853", model.times, rtol=1e-9, atol=1e-11).y.T
    z, m, c = found[:, :size], found[:, size : 2 * size], found[:, 2 * size :].reshape(-1, size, size)
    return z, m, (2 * (z[:, one].conj() * m[:, one]) + c[:, one, minus]).real


def exact(study):
    """The means to order 1/N, and their limits."""
    z, m, more = hierarchy(study.model)
    n, first = study.model.oscillators, [MOST + k for k in WAVES]

    def parts(values):
        return 2 * np.stack([values[:, first].real, values[:, first].imag], axis=2)

    limit, dims = abs(z[:, MOST + 1]) ** 2, ("time", "wave", "part")
    return {
        "wave": ("wave", list(WAVES), "k"),
        "part": ("part", ["cos", "sin"], "of 2 pi k x"),
        "modes": (dims, parts(z + m / n), "mean modes to order 1/N"),
        "coherence": ("time", limit + more / n, "mean coherence to order 1/N"),
        "limit_modes": (dims, parts(z), "modes of the limit"),
        "limit_coherence": ("time", limit, "r^2 of the limit"),
    }


class Settings(kinlim.EvolutionSettings):
    """`coupling` is 1 in the limit; another number makes the equation's K wrong on purpose."""

    coupling: kinlim.Positive = 1.0


class MeanField(kinlim.Equation):
    """The equation of rho, with C and S as fields: -SPREAD C_xx + C = rho cos makes C the integral, as w = 1 shows."""

    unknowns = {"rho": "density", "C": "int rho cos(2 pi x)", "S": "int rho sin(2 pi x)"}
    domain = kinlim.Torus(1)

    def initial(self, x):
        z = np.exp(2j * np.pi * (np.arange(FINE) + 0.5) / FINE) @ self.model.cells
        return np.stack([self.model.rho0(x=x), np.full(x.shape, z.real), np.full(x.shape, z.imag)])

    def size(self):
        return {"rho": 1.0, "C": 1.0, "S": 1.0}

    def residual(self, u, u_t, v, at):
        (rho, c, s), (w, w_c, w_s), angle = u, v, 2 * ufl.pi * at.x
        pull = at.constant(self.study.pde.coupling * self.model.coupling / (2 * np.pi))
        flux = pull * (s * ufl.cos(angle) - c * ufl.sin(angle)) * rho
        flux -= at.constant(self.model.noise / (4 * np.pi**2)) * rho.dx(0)
        integrals = SPREAD * c.dx(0) * w_c.dx(0) + (c - rho * ufl.cos(angle)) * w_c
        integrals += SPREAD * s.dx(0) * w_s.dx(0) + (s - rho * ufl.sin(angle)) * w_s
        return (u_t[0] * w - flux * w.dx(0) + integrals) * at.dx

    def conserved(self, u):
        return {"mass": u[0]}


def coherence(pde):
    """C^2 + S^2."""
    return (pde.C**2 + pde.S**2).mean("x")


CLAIMED, SOURCE = {"oscillators": -1.0}, "the order 1/N of exact.nc, from Ito's formula"
MODEL = kinlim.Model(
    name="kuramoto",
    about="oscillators of Kuramoto with noise, and the nonlocal Fokker-Planck equation",
    physics=Circle,
    sides=(
        kinlim.Evolution(MeanField, settings=Settings),
        kinlim.Known(exact),
        kinlim.Ensembles(Oscillators, settings=Ensemble),
    ),
    compare=kinlim.rules(
        kinlim.Modes("modes", of="rho", about="Modes", against="their limit", claimed=CLAIMED, source=SOURCE),
        kinlim.Numbers(
            "modes", solution="exact", label="modes_exact", follow=False, about="Mean modes", against="order 1/N"
        ),
        kinlim.Numbers(
            "coherence", expected=coherence, about="Coherence", against="its limit", claimed=CLAIMED, source=SOURCE
        ),
        kinlim.Numbers(
            "coherence",
            solution="exact",
            label="coherence_exact",
            follow=False,
            about="Mean coherence",
            against="order 1/N",
        ),
    ),
)
