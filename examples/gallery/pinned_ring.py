"""Pinned balls on a ring, at rest in the mean: what are their fluctuations, if no white noise, and how do waves decay?

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

Sound waves phi = v_k +- e_k turn as e^(-+ i Lambda t) and decay as e^(-D t) in linear theory. What it leaves out is
the curvature of the currents -lambda sigma of v and -lambda v sigma of v^2/2, sigma^2 = <v^2> - <v>^2. Its second
derivative along one wave (1, +-1), projected on the same wave, is 2 lambda - 2 lambda = 0; on the other one it is
4 lambda. Two sound waves that act on each other and not on themselves have the golden mean z = (1 + 5^(1/2))/2 as their
exponent: damping like k^z, peaks as wide as t^(1/z), for k/n -> 0 (Popkov, Schmidt and Schuetz 2014; Spohn and Stoltz
2015). Then damping over D, less 1, goes like (k/n)^(z - 2). The speed of long waves is lambda times the mean radius of
a triple over that of white noise, since the current of v is that radius, and radii scale with sigma.
"""

from typing import Annotated

import numpy as np
from matplotlib.figure import Figure
from numba import njit
from pydantic import Field
from scipy.special import gammaln

import kinlim
from kinlim import random
from kinlim.model import Measured
from kinlim.validation import powers
from kinlim.validation.drawing import legend
from kinlim.validation.standard import Standard

WAVES = tuple(range(1, 17))
LAGS = (1, 2, 3, 4, 6, 8)
ROOT = 0.75**0.5
DECAY = ("excess_damping", "excess_damping_se", "speed", "speed_se")
LONG = 0.3  # 2 pi k/n below which waves are fitted: longer than 20 balls
FOLLOWED = (1, 2, 4)  # wave numbers whose damping a sweep follows
GOLDEN = (1 + 5**0.5) / 2
SOURCE = "Popkov, Schmidt and Schuetz 2014; Spohn and Stoltz 2015"


class Ring(kinlim.Physics):
    """n balls on a ring."""

    LIMITS = {"balls": "up"}

    balls: Annotated[int, Field(ge=40, le=4096)] = 128
    settle: Annotated[float, Field(ge=0)] = 0.0  # time that white noise is left alone before time 0


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
        stream, row = streams[:, r].copy(), v[r]
        for _ in range(count):
            j = random.integer(stream, n)
            i, k = (j - 1 if j > 0 else n - 1), (j + 1 if j + 1 < n else 0)
            a = (row[i] + row[j] + row[k]) / 3
            radius = np.sqrt(2 / 3 * ((row[i] - a) ** 2 + (row[j] - a) ** 2 + (row[k] - a) ** 2))
            cosine, sine = random.circle(stream)
            x, y = a + radius * sine, a + radius * (ROOT * cosine - sine / 2)
            z = 3 * a - x - y
            left = random.uniform(stream) < 0.5
            low, high = (x, y) if left else (y, z)
            low, high = min(low, high), max(low, high)
            row[i], row[j], row[k] = (low, high, z) if left else (x, low, high)
        streams[:, r] = stream


class Balls(kinlim.Particles):
    """A block is velocities, shape (replicas, n), with the streams, and the sound waves at time 0."""

    observables = {
        "S_v": kinlim.Observable("|v_k|^2", ("wave",)),
        "S_e": kinlim.Observable("|e_k|^2, e = (v^2 - 1)/2", ("wave",)),
        "cross": kinlim.Observable("imaginary part of v_k times the conjugate of e_k", ("wave",)),
        "correlation": kinlim.Observable("mean over i of v_i v_(i + lag)", ("lag",)),
        "sound": kinlim.Observable("phi_k(t) times the conjugate of phi_k(0)", ("wave", "part")),
        "radius": kinlim.Observable("mean radius of a triple, over (pi/3)^(1/2) times the spread of the ring", ()),
        "energy": kinlim.Observable("mean of v^2", ()),
    }
    labels = {"wave": WAVES, "lag": LAGS, "part": ("re", "im")}

    def begin(self, streams, first, threads):
        v = np.empty((streams.shape[1], self.model.balls))
        start(v, streams)
        return v, streams, np.empty((2, streams.shape[1], len(WAVES)), complex)

    def advance(self, state, observation, tick):
        v, streams, first = state
        n = self.model.balls
        if observation == 0:
            collide(v, streams, round(self.model.settle * n**3 / 2))
            first[:] = waves(v)
        collide(v, streams, round(self.intervals[observation] * n**3 / 2))
        tick((observation + 1) / self.observations)

    def observe(self, state, observation):
        v, _, first = state
        modes, sound = fields(v), (waves(v) * first.conj()).mean(axis=0)
        mean = (np.roll(v, 1, axis=1) + v + np.roll(v, -1, axis=1)) / 3
        square = (np.roll(v, 1, axis=1) - mean) ** 2 + (v - mean) ** 2 + (np.roll(v, -1, axis=1) - mean) ** 2
        return {
            "S_v": np.abs(modes[0]) ** 2,
            "S_e": np.abs(modes[1]) ** 2,
            "cross": (modes[0] * modes[1].conj()).imag,
            "correlation": np.stack([(v * np.roll(v, -lag, axis=1)).mean(axis=1) for lag in LAGS], axis=1),
            "sound": np.stack([sound.real, sound.imag], axis=2),
            "radius": np.sqrt(2 / np.pi * square).mean(axis=1) / v.std(axis=1),
            "energy": (v**2).mean(axis=1),
        }


def fields(v):
    """v_k and e_k of all replicas, shape (2, replicas, waves)."""
    return np.stack([np.fft.rfft(field, axis=1)[:, WAVES] for field in (v, (v**2 - 1) / 2)]) / v.shape[1] ** 0.5


def waves(v):
    """v_k + e_k and the conjugate of v_k - e_k, which both turn as e^(-i Lambda t)."""
    modes = fields(v)
    return np.stack([modes[0] + modes[1], (modes[0] - modes[1]).conj()])


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


def spread(n):
    """Mean standard deviation of n independent N(0, 1) about their own mean; radius/spread does not depend on it."""
    return (2 / n) ** 0.5 * np.exp(gammaln(n / 2) - gammaln((n - 1) / 2))


def linear(study):
    """What linear theory says of all that is observed."""
    n, times = study.model.balls, study.model.times
    theta = 2 * np.pi * np.arange(n) / n
    S = np.array([covariances(n, theta, study.model.settle + t) for t in times])  # (times, 3, n)
    correlation = np.fft.ifft(S[:, 0], axis=1).real[:, LAGS]
    D, rotation = (symbol[list(WAVES)] for symbol in symbols(n, theta))
    sound = 1.5 * np.exp(-np.outer(times, D + 1j * rotation))  # S_v + S_e at time 0, turned and damped
    return {
        "wave": ("wave", list(WAVES), "wave number"),
        "lag": ("lag", list(LAGS), "distance in sites"),
        "S_v": (("time", "wave"), S[:, 0, WAVES], "|v_k|^2"),
        "S_e": (("time", "wave"), S[:, 1, WAVES], "|e_k|^2"),
        "cross": (("time", "wave"), S[:, 2, WAVES], "imaginary part of v_k times the conjugate of e_k"),
        "correlation": (("time", "lag"), correlation, "mean of v_i v_(i + lag)"),
        "part": ("part", ["re", "im"], "real and imaginary part"),
        "sound": (("time", "wave", "part"), np.stack([sound.real, sound.imag], axis=2), "phi_k(t) phi_k(0)*"),
        "angle": (("wave",), theta[list(WAVES)], "2 pi k/n"),
        "damping": (("wave",), D, "D of the lattice"),
        "turning": (("wave",), rotation, "Lambda of the lattice"),
        "radius": (("time",), np.full(len(times), 1 / spread(n)), "mean radius of a triple of white noise"),
        "energy": (("time",), np.ones(len(times)), "mean of v^2"),
    }


def decay(particles, linear):
    """Damping of sound waves over that of linear theory, less 1, and their speed likewise, with errors; each (wave,).

    |F(t)|, F = <phi_k(t) phi_k(0)*>, is read off where it is half of |F(0)|, linear in log |F| between observations;
    the speed from the phase there. Errors are those of F at both times, taken as independent. NaN for a wave that does
    not halve, or has before the second observation.
    """
    t, re, im = particles["time"].to_numpy(), *(particles["sound"].sel(part=part).to_numpy() for part in ("re", "im"))
    re_se, im_se = (particles["sound_se"].sel(part=part).to_numpy() for part in ("re", "im"))
    size = np.maximum(np.hypot(re, im), 1e-150)
    fallen = np.log(size[0] / size) / np.log(2)  # in half-lives
    error = np.hypot(re * re_se, im * im_se) / size**2 / np.log(2)
    across = np.hypot(im * re_se, re * im_se) / size**2  # of the phase
    found = np.full((4, len(WAVES)), np.nan)
    known = zip(linear["damping"].to_numpy(), linear["turning"].to_numpy(), strict=True)
    for k, (damping, turning) in enumerate(known):
        b = int(np.argmax(fallen[:, k] > 1))
        if b < 2:
            continue
        speed = (fallen[b, k] - fallen[b - 1, k]) / (t[b] - t[b - 1])
        life = t[b - 1] + (1 - fallen[b - 1, k]) / speed
        ratio = np.log(2) / (damping * life)
        behind = np.angle((re[b, k] + 1j * im[b, k]) * np.exp(1j * turning * t[b]))
        found[:, k] = (
            ratio - 1, ratio * np.hypot(error[b, k], error[0, k]) / (speed * life),
            -behind / (turning * t[b]), across[b, k] / (turning * t[b]),
        )  # fmt: skip
    return found


class Waves(Standard):
    """The rules, and how sound waves decay where they are observed from time 0 on."""

    captions = {
        "decay": "Damping (left) and speed (right) of sound waves over those of linear theory, less 1, with one "
        "standard error. The line has the slope of the golden mean."
    }

    def more(self, data):
        """Damping and speed over (wave,)."""
        particles = data["particles"]
        if particles["time"][0] > 0:
            return {}
        found = decay(particles, data["linear"])
        return {name: ("wave", values) for name, values in zip(DECAY, found, strict=True)}

    def facts(self, comparison, data):
        """Entry `decay`: the exponent of the excess damping in k/n, and damping and speed of the longest wave."""
        if DECAY[0] not in comparison:
            return {"decay": None}
        excess, error, speed, speed_se = (comparison[name].to_numpy() for name in DECAY)
        long = data["linear"]["angle"].to_numpy() < LONG
        law = powers.fit(np.array(WAVES, float)[long, None], excess[long], error[long], [True])
        known = law is not None and np.isfinite(law.half_widths[0])
        return {
            "decay": {
                "exponent": float(law.exponents[0]) if known else None,
                "half_width": float(law.half_widths[0]) if known else None,
                "waves": [
                    {"wave": wave, "excess_damping": [float(a), float(b)], "speed": [float(c), float(d)]}
                    for wave, a, b, c, d in zip(WAVES, excess, error, speed, speed_se, strict=True)
                    if np.isfinite(a)
                ],
            }
        }

    def findings(self, numbers):
        """The exponent."""
        found = numbers["decay"]
        if found is None or found["exponent"] is None:
            return []
        value, half = found["exponent"], found["half_width"]
        ends = " and ".join(
            f"{row['excess_damping'][0]:.2f} +- {row['excess_damping'][1]:.2f} (k = {row['wave']})"
            for row in (found["waves"][0], found["waves"][-1])
        )
        return [
            f"Sound waves are damped more than D says, by {ends} of it. That goes like k^({value:.2f} +- {half:.2f}) "
            f"(95 %), where the golden mean has {GOLDEN - 2:.2f}, exponent 3/2 has -0.50, and diffusion 0."
        ]

    def figures(self, comparison, data):
        """Damping and speed over the wave number."""
        if DECAY[0] not in comparison:
            return {}
        excess, error, speed, speed_se = (comparison[name].to_numpy() for name in DECAY)
        drawn, k = Figure(figsize=(9, 3.4), layout="constrained"), np.array(WAVES)
        left, right = drawn.subplots(1, 2)
        left.errorbar(k, excess, error, fmt="o", ms=4)
        middle = np.isfinite(excess) & (excess > 0)
        if middle.any():
            level = np.exp(np.average(np.log(excess[middle] * k[middle] ** (2 - GOLDEN))))
            left.plot(k, level * k ** (GOLDEN - 2.0), "--", color="0.5", label="golden mean")
        left.set(xscale="log", yscale="log", xlabel="wave number k", ylabel="damping/D − 1")
        right.errorbar(k, speed, speed_se, fmt="o", ms=4)
        right.set(xscale="log", xlabel="wave number k", ylabel="speed/(linear theory's) − 1")
        legend(left)
        return {"decay": drawn}

    def measured(self, data, comparison):
        """The rules' numbers, and the excess damping of some waves."""
        found = super().measured(data, comparison)
        if DECAY[0] in comparison:
            for wave in FOLLOWED:
                value, error = (float(comparison[name][WAVES.index(wave)]) for name in DECAY[:2])
                what = f"damping of wave {wave} over that of linear theory, less 1"
                found[f"excess_damping_{wave}"] = Measured(value, error, what, {"balls": 2 - GOLDEN}, SOURCE)
        return found


def rule(name, about):
    """Against linear theory, followed by sweeps."""
    return kinlim.Numbers(name, solution="linear", about=about, against="linear theory")


MODEL = kinlim.Model(
    name="pinned_ring",
    about="pinned balls on a ring: structure factors of velocity and energy against linear fluctuating hydrodynamics",
    physics=Ring,
    sides=(kinlim.Known(linear, file="linear.nc", table="linear"), kinlim.Ensembles(Balls)),
    compare=lambda: Waves(
        (
            rule("S_v", "The structure factor of v"),
            rule("S_e", "The structure factor of v^2/2"),
            rule("cross", "Their cross term"),
            rule("correlation", "Correlations of neighbours"),
            rule("sound", "Sound waves"),
            kinlim.Numbers(
                "radius", solution="linear", about="The radius of a triple, so lambda,", against="white noise's"
            ),
            rule("energy", "Energy"),
        )
    ),
)
