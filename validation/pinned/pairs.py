"""The balls at rest in a shear, with the correlations of pairs: one step beyond (B_n), without a free parameter.

Where no momentum flows, the mean rises by the same step d from ball to ball, and velocities are d i + xi_i with
covariances C_|i-j| of xi that do not change. A collision takes a triple to the mean a + k r (-1, 0, 1), with k =
sqrt(3)/(2 pi), and to the squares E r^2 (1/2 on the diagonal, -1/4 off it) about a. If the xi are jointly normal, then
E r xi_j = sum_l C_jl E d_l r by Stein's lemma, and all that is needed of r is R(d) = E r for

    X ~ N(2^(1/2) d, C_0 - C_2),    Y ~ N(0, C_0 - 4 C_1/3 + C_2/3),    r = (2/3)^(1/2) |(X, Y)|,

with E d_l r = (R'/2)(-1, 0, 1). Summing over the collisions that concern a pair gives one equation for each C_k; that
of C_0 is 4 d (d - k R) = 0, the state in which nothing flows. C_k is multiplied by -1/4 from k to k + 1, so 40 of them
are plenty.

What is left out: that xi is not normal, and that its third cumulants enter d/dt C_k. A derivation of ours.
"""

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import fsolve

from kinlim.validation.pinned.one_step import NODES, K

Array = NDArray[np.float64]

PAIRS = 40
"""C_k is taken to be 0 beyond."""

STEP = 1e-4
"""Of the central difference that gives R'."""


@dataclass(frozen=True)
class Rest:
    """The balls at rest in a shear.

    Attributes:
        spread: sigma over that of (B'), mu_x/lambda = 2 sqrt(pi) d.
        correlations: C_k/C_0, k = 1, 2, ...

    A covariance c of all balls alike, which is what is left of long waves, can be added to all C_k: nothing here feels
    it. So it is the differences of them that can be measured, as in `local`.
    """

    spread: float
    correlations: Array

    @property
    def local(self) -> float:
        """The spread that second differences of neighbours show, over that of (B'): (1 - 4 rho_1/3 + rho_2/3)^(1/2)."""
        first, second = self.correlations[:2]
        return float(self.spread * np.sqrt(1 - 4 * first / 3 + second / 3))


def mean_radius(d: float, c: Array) -> float:
    """R: the mean radius of a triple with the means -d, 0, d and the covariances c[0], c[1], c[2]."""
    across, along = c[0] - c[2], c[0] - 4 * c[1] / 3 + c[2] / 3
    t = np.exp(NODES)
    exponent = -2 * d * d * t / (1 + 2 * t * across) - (np.log1p(2 * t * across) + np.log1p(2 * t * along)) / 2
    length = (-np.expm1(exponent) * t**-0.5).sum() * (NODES[1] - NODES[0]) / (2 * sqrt(pi))
    return sqrt(2 / 3) * float(length)


def rates(c: Array) -> Array:
    """Rates of change of C_0 ... C_PAIRS for d = 1, in collisions per triple; shape (PAIRS + 1,)."""
    last = len(c) - 1
    C = np.concatenate([c, np.zeros(4)])
    R = mean_radius(1.0, C)
    half = K * (mean_radius(1 + STEP, C) - mean_radius(1 - STEP, C)) / (4 * STEP)  # k R'/2
    a2 = (3 * C[0] + 4 * C[1] + 2 * C[2]) / 9  # of the mean of a triple
    r2 = (2 / 3) * (2 + 2 * C[0] - 4 * C[1] / 3 - 2 * C[2] / 3)
    flow = K * R - 1
    found = np.empty_like(c)
    found[0] = -4 * flow
    outer = (C[1] + C[2] + C[3]) / 3 + half * (C[1] - C[3]) - C[1]
    found[1] = 2 * a2 - r2 / 2 - 2 * C[1] + 2 * outer
    outer = (C[2] + C[3] + C[4]) / 3 + half * (C[2] - C[4]) - C[2] + (C[1] + C[2] + C[3]) / 3 - C[2]
    found[2] = 1 + a2 - r2 / 4 - C[2] + 2 * outer + 2 * flow
    k = np.arange(3, last + 1)
    near, far = C[k - 1] + C[k + 1], C[k - 2] + C[k + 2]
    found[k] = (2 / 3) * (2 * near + far - 6 * C[k]) + 2 * half * (2 * C[k] - far)
    return found


def rest() -> Rest:
    """Solve for the state at rest."""
    guess = np.zeros(PAIRS + 1)
    guess[0] = 4 * pi
    c, _, flag, message = fsolve(rates, guess, full_output=True, xtol=1e-12)
    assert flag == 1, message
    return Rest(sqrt(c[0] / (4 * pi)), c[1:] / c[0])
