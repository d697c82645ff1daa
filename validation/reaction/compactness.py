"""The compactness behind Theorem 3.3 of Neumann and Schmeiser, with best constants and exponents.

Lemma 3.2 (averaging): in Fourier variables, epsilon f_t + v.grad_x f = h reads z f = -i h with z = epsilon tau + v.xi.
By Cauchy and Schwarz with the weight chi/(1 + z^2), which is equality for f = chi/(1 + z^2),

    |rho_f|^2 <= K(xi) (|f|^2 + |h|^2),    K(xi) = sup over a of int p(u)/(1 + (a + |xi| u)^2) du,

norms with the weight 1/chi, p the density of u = v.xi/|xi|. As |xi| -> infinity, |xi| K(xi) -> pi max p: the exponent
that the lemma can have is 1/2 where p is bounded (theta = 1 of (3)); the paper's proof has theta/(2 + theta) = 1/3.

Lemma 3.4 (interpolation): (35) has the constant 5 for every gamma > 0.
"""

from dataclasses import dataclass
from math import log, pi, sqrt

import numpy as np
from scipy.optimize import minimize

from kinlim.validation.reaction.linearised import Linearised, law
from kinlim.validation.reaction.plasma import Law

SHORTEST, FACTOR = 2 * pi * 512, 2.0
"""|xi| at which the exponent of Lemma 3.2 is read off, over an octave."""

FINE = 400
"""Places at which the supremum over tau is looked for, for each hump of p and out to 6 of its widths."""

PRINTED = 1 / 3
"""theta/(2 + theta) for bounded densities."""


def averaging(p: Law, length: float) -> float:
    """K(xi), the best constant of Lemma 3.2 at |xi| = length, with the law p of v.xi/|xi|.

    1/(1 + z^2) = Re 1/(1 + i z), so that K is the largest Re G((1 + i a)/|xi|)/|xi|, G of
    `kinlim.validation.reaction.plasma`.
    """
    offsets = np.linspace(-6, 6, FINE + 1)
    places = np.concatenate([centre + width * offsets for centre, width in p.humps()])
    return float(p.g(1 / length - 1j * places).real.max()) / length


@dataclass(frozen=True)
class Averaging:
    """Lemma 3.2 for one profile, in the direction in which it is worst.

    Attributes:
        constant: sqrt(|xi| K(xi)) where |xi| is large: |xi|^(1/2) |rho_f| <= constant (|f|^2 + |h|^2)^(1/2).
        exponent: of |xi|, the largest there can be: -(1/2) d log K/d log |xi|.
    """

    constant: float
    exponent: float


def lemma_3_2(system: Linearised) -> Averaging:
    """The worse of both profiles and of the axes."""
    axes = np.eye(system.dimension)
    found = []
    for p in (law(chi, system.dimension, axis) for chi in (system.chi1, system.chi2) for axis in axes):
        longer, shorter = averaging(p, SHORTEST / FACTOR), averaging(p, SHORTEST)
        found.append(Averaging(sqrt(SHORTEST * shorter), log(longer / shorter) / log(FACTOR) / 2))
    return Averaging(max(one.constant for one in found), min(one.exponent for one in found))


def lemma_3_4(gamma: float = PRINTED) -> float:
    """The best constant in (35): the largest left side over right side without the 5, over tau and xi.

    With x = |xi|, t = |tau| and a = 2 gamma/(1 + gamma) it is (1 + x^2)(1 + x^a + t^a)/(1 + t^2 + x^(2 gamma) +
    x^(2 + 2 gamma)); for gamma >= 1/3 all of it is decided within e^(-9) and e^9.
    """
    a = 2 * gamma / (1 + gamma)

    def ratio(logs: np.ndarray) -> np.ndarray:
        x, t = np.exp(logs)
        return np.asarray(
            (1 + x**2) * (1 + x**a + t**a) / (1 + t**2 + x ** (2 * gamma) + x ** (2 + 2 * gamma)), np.float64
        )

    net = np.stack(np.meshgrid(*2 * [np.linspace(-9, 9, 181)], indexing="ij"))
    start = net.reshape(2, -1)[:, int(ratio(net).argmax())]
    best = minimize(lambda logs: -float(ratio(logs)), start, method="Nelder-Mead", options={"xatol": 1e-8})
    return -float(best.fun)
