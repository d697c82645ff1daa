"""Pinned balls on a ring, at rest in the mean: what do their fluctuations look like, if not like white noise?

A collision takes three neighbours to a uniform point of the circle of equal sum and equal sum of squares, and sorts the
left or the right pair (Burdzy, Hoskins and Steinerberger, Steps 2.1 and 2.2; here the n sites are a ring). One of
them takes the time 2/n^3. Velocities start as independent N(0, 1), which is (2.5) with mu = 0 and sigma = 1.

Let v_k, e_k be the Fourier modes n^(-1/2) sum_j (v_j, (v_j^2 - 1)/2) e^(-i theta j), theta = 2 pi k/n. Linearised about
mu = 0, sigma = 1, with the noise that collisions of white noise make,

    d/dt (v_k, e_k) = A (v_k, e_k) + noise,    A = -D - i Lambda [[0, 1], [1, 0]],
    D = n^2/6 (6 - 4 cos theta - 2 cos 2 theta) -> (2 pi k)^2,
    Lambda = n^2/(6 pi^(1/2)) sin theta (1 + 2 cos theta) -> lambda 2 pi k,

and the covariance C of (v_k, e_k) obeys C' = A C + C A* + Q. Redistribution alone leaves white noise as it is, which
has C = diag(1, 1/2); so Q = 2 D diag(1, 1/2), and the sort adds nothing to it: it permutes. The rotation makes the two
fields share what they have: C -> diag(3/4, 3/4) for k/n -> 0. So white noise is not invariant. Our derivation.
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field

import kinlim
from kinlim import random

WAVES = tuple(range(1, 17))
LAGS = (1, 2, 3, 4, 6, 8)


class Ring(kinlim.Physics):
    """n balls on a ring."""

    LIMITS = {"balls": "up"}

    balls: Annotated[int, Field(ge=40, le=4096)] = 128


@njit(nogil=True, cache=True)
def start(v, streams):
    """Independent N(0, 1)."""
    for r in range(v.shape[0]):
        for i in range(v.shape[1]):
            v[r, i] = random.normal(streams[:, r])


@njit(nogil=True, cache=True)
def collide(v, streams, count):
    """So many collisions in every replica."""
    replicas, n = v.shape
    for r in range(replicas):
        stream, row = streams[:, r], v[r]
        for _ in range(count):
            j = random.integer(stream, n)
            i, k = (j - 1 if j > 0 else n - 1), (j + 1 if j + 1 < n else 0)
            a = (row[i] + row[j] + row[k]) / 3
            radius = np.sqrt(2 / 3 * ((row[i] - a) ** 2 + (row[j] - a) ** 2 + (row[k] - a) ** 2))
            angle = 2 * np.pi * random.uniform(stream)
            x = a + radius * np.sin(angle)
            y = a + radius * np.sin(angle + 2 * np.pi / 3)
            z = 3 * a - x - y
            if random.uniform(stream) < 0.5:
                x, y = min(x, y), max(x, y)
            else:
                y, z = min(y, z), max(y, z)
            row[i], row[j], row[k] = x, y, z


class Balls(kinlim.Particles):
    """A block is velocities, shape (replicas, n), with the streams."""

    observables = {
        "S_v": kinlim.Observable("|v_k|^2", ("wave",)),
        "S_e": kinlim.Observable("|e_k|^2, e = (v^2 - 1)/2", ("wave",)),
        "cross": kinlim.Observable("imaginary part of v_k times the conjugate of e_k", ("wave",)),
        "correlation": kinlim.Observable("mean over i of v_i v_(i + lag)", ("lag",)),
        "energy": kinlim.Observable("mean of v^2", ()),
    }
    labels = {"wave": WAVES, "lag": LAGS}

    def begin(self, streams, first, threads):
        v = np.empty((streams.shape[1], self.model.balls))
        start(v, streams)
        return v, streams

    def advance(self, state, observation, tick):
        collide(*state, round(self.intervals[observation] * self.model.balls**3 / 2))
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        v, n = state[0], self.model.balls
        modes = [np.fft.rfft(field, axis=1)[:, WAVES] / n**0.5 for field in (v, (v**2 - 1) / 2)]
        return {
            "S_v": np.abs(modes[0]) ** 2,
            "S_e": np.abs(modes[1]) ** 2,
            "cross": (modes[0] * modes[1].conj()).imag,
            "correlation": np.stack([(v * np.roll(v, -lag, axis=1)).mean(axis=1) for lag in LAGS], axis=1),
            "energy": (v**2).mean(axis=1),
        }


def symbols(n, theta):
    """D and Lambda."""
    D = n**2 / 6 * (6 - 4 * np.cos(theta) - 2 * np.cos(2 * theta))
    return D, n**2 / (6 * np.pi**0.5) * np.sin(theta) * (1 + 2 * np.cos(theta))


def covariances(n, theta, t):
    """S_v, S_e and the imaginary part of their cross term at the time t, shape of theta.

    S_v + S_e = 3/2 for ever. z = (S_v - S_e)/2 + i Im C_ve has z' = -2 (D - i Lambda) z + D/2, z(0) = 1/4.
    """
    D, rotation = symbols(n, theta)
    rate = 2 * (D - 1j * rotation)
    decay = np.exp(-rate * t)
    growth = np.divide(1 - decay, rate, out=np.full(rate.shape, t, complex), where=rate != 0)
    z = decay / 4 + D / 2 * growth
    return 0.75 + z.real, 0.75 - z.real, z.imag


def linear(study):
    """What linear theory says of all that is observed."""
    n, times = study.model.balls, study.model.times
    theta = 2 * np.pi * np.arange(n) / n
    S = np.array([covariances(n, theta, t) for t in times])  # (times, 3, n)
    correlation = np.fft.ifft(S[:, 0], axis=1).real[:, LAGS]
    return {
        "wave": ("wave", list(WAVES), "wave number"),
        "lag": ("lag", list(LAGS), "distance in sites"),
        "S_v": (("time", "wave"), S[:, 0, WAVES], "|v_k|^2"),
        "S_e": (("time", "wave"), S[:, 1, WAVES], "|e_k|^2"),
        "cross": (("time", "wave"), S[:, 2, WAVES], "imaginary part of v_k times the conjugate of e_k"),
        "correlation": (("time", "lag"), correlation, "mean of v_i v_(i + lag)"),
        "energy": (("time",), np.ones(len(times)), "mean of v^2"),
    }


def rule(name, about):
    """Against linear theory, followed by sweeps."""
    return kinlim.Numbers(name, solution="linear", about=about, against="linear theory")


MODEL = kinlim.Model(
    name="pinned_ring",
    about="pinned balls on a ring: structure factors of velocity and energy against linear fluctuating hydrodynamics",
    physics=Ring,
    sides=(kinlim.Known(linear, file="linear.nc", table="linear"), kinlim.Ensembles(Balls)),
    compare=kinlim.rules(
        rule("S_v", "The structure factor of v"),
        rule("S_e", "The structure factor of v^2/2"),
        rule("cross", "Their cross term"),
        rule("correlation", "Correlations of neighbours"),
        rule("energy", "Energy"),
    ),
)
