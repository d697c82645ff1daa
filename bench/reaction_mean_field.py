"""What the particles of the reaction model do on average as N goes to infinity: no noise, so that small biases show.

    python bench/reaction_mean_field.py

Discrete velocities (Gauss quadrature of chi) and Fourier series in space, in dimension 1. With `dt`, free flight and
reaction take turns as for the particles; with `width`, partners are found in cells of that width on a grid shifted at
random, which on average replaces rho_g in the loss of f by its mean with the weight of a tent of half-width `width`
(and rho_f in that of g). Printed: how much faster a small wave decays than without either, against `time_step_bias` and
`cell_bias` of `kinlim.models.reaction.tables.KineticReaction`, which predict it for long waves.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinlim.models.reaction.tables import KineticReaction

Array = NDArray[np.float64]

POINTS, NODES = 32, 40


class MeanField:
    """f/chi1 and g/chi2 at equidistant points and velocities, shape (2, NODES, POINTS)."""

    def __init__(self, model: KineticReaction, width: float = 0.0) -> None:
        """Begin with the data."""
        self.epsilon = model.epsilon
        quadratures = [chi.quadrature(1, NODES) for chi in (model.chi1, model.chi2)]
        self.v = np.stack([nodes[:, 0] for nodes, _ in quadratures])
        self.weights = np.stack([weights for _, weights in quadratures])
        x = np.arange(POINTS)[:, None] / POINTS
        self.h = np.stack(
            [model.relative(f, x, v[:, None]).T for f, v in zip((model.f0, model.g0), self.v, strict=True)]
        )
        self.k = np.fft.rfftfreq(POINTS, 1 / POINTS)
        self.tent = np.sinc(self.k * width) ** 2

    def densities(self, h: Array) -> Array:
        """rho_f and rho_g, shape (2, POINTS)."""
        return np.einsum("jv,jvx->jx", self.weights, h)

    def reaction(self, h: Array) -> Array:
        """Gain minus loss, over epsilon^2."""
        others = np.fft.irfft(np.fft.rfft(self.densities(h)[::-1]) * self.tent, POINTS)
        return np.asarray((1 - others[:, None] * h) / self.epsilon**2, np.float64)

    def flight(self, h: Array, time: float) -> Array:
        """Fly freely."""
        phase = np.exp(-2j * np.pi * self.k * self.v[..., None] * (time / self.epsilon))
        return np.asarray(np.fft.irfft(np.fft.rfft(h) * phase, POINTS), np.float64)

    def react(self, h: Array, time: float) -> Array:
        """React without moving: the classical Runge-Kutta method in 40 steps or more to a reaction time."""
        count = int(np.ceil(40 * time / self.epsilon**2))
        for _ in range(count):
            h = _runge_kutta(self.reaction, h, time / count)
        return h

    def advance(self, time: float, dt: float) -> None:
        """Take whole steps of length dt, or about that: half a flight, reaction, half a flight."""
        steps = max(1, round(time / dt))
        for _ in range(steps):
            self.h = self.flight(self.h, 0.5 * time / steps)
            self.h = self.react(self.h, time / steps)
            self.h = self.flight(self.h, 0.5 * time / steps)

    def mode(self) -> float:
        """2 int (rho_f - rho_g) cos 2 pi x dx."""
        rho_f, rho_g = self.densities(self.h)
        return float(2 * np.fft.rfft(rho_f - rho_g)[1].real / POINTS)


def _runge_kutta(rate: Any, h: Array, dt: float) -> Array:
    a = rate(h)
    b = rate(h + dt / 2 * a)
    c = rate(h + dt / 2 * b)
    return np.asarray(h + dt / 6 * (a + 2 * b + 2 * c + rate(h + dt * c)), np.float64)


def decay(model: KineticReaction, dt: float, width: float = 0.0) -> float:
    """Rate at which the first mode decays, after a time in which all that is faster is gone."""
    field = MeanField(model, width)
    field.advance(0.25 * model.end_time, dt)
    before = field.mode()
    field.advance(0.75 * model.end_time, dt)
    return -np.log(field.mode() / before) / (0.75 * model.end_time)


def wave(epsilon: float, rho: float, d1: float, d2: float) -> KineticReaction:
    """A small wave on top of equilibrium with density rho."""
    return KineticReaction(
        dimension=1, chi1={"family": "gaussian", "covariance": d1}, chi2={"family": "gaussian", "covariance": d2},
        f0=f"{rho}*(1+0.001*cos(2*pi*x))", g0=f"(1-0.001*cos(2*pi*x))/{rho}", epsilon=epsilon,
        end_time=64 * epsilon**2, observe=(1.0,),
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    for epsilon, rho, d1, d2 in ((0.02, 1.0, 1.0, 1.0), (0.02, 1.6, 1.0, 0.5), (0.05, 1.0, 1.0, 1.0)):
        model = wave(epsilon, rho, d1, d2)
        exact = decay(model, epsilon**2 / 20)
        print(f"epsilon = {epsilon}, rho = {rho}, D1 = {d1}, D2 = {d2}: decay {exact:.5f}")
        for x in (0.25, 0.5, 1.0, 2.0):
            found = decay(model, x * epsilon**2)
            predicted = model.time_step_bias(x * epsilon**2)
            print(f"  dt/epsilon^2 = {x:4}: {found / exact - 1:+.5f}, predicted {predicted:+.5f}", flush=True)
        for h in (0.25, 0.5, 1.0):
            found = decay(model, epsilon**2 / 20, h * epsilon)
            print(
                f"  h/epsilon = {h:4}: {found / exact - 1:+.5f}, predicted {model.cell_bias(h * epsilon):+.5f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
