"""The explicit decay rate of Theorem 2.1 and Remark 1, with the best delta.

Source: Neumann and Schmeiser, "A kinetic reaction model: decay to equilibrium and macroscopic limit", Section 2.1. In
the Fourier mode of wave number kappa along e (see `linearised`), with p0 the unit vector of local equilibria (12), q =
u p0/sqrt(d0), d0 = e.D0 e, beta = kappa sqrt(d0), alpha = beta/(1 + beta^2) and b = beta^2/(1 + beta^2),

    T Pi F = i beta <F,p0> q,    A F = -i alpha <F,q> p0,    <A T Pi F,F> = b |<F,p0>|^2,    <T A F,F> = b |<F,q>|^2,
    ||A T (1 - Pi)|| = b sqrt(m4/d0^2 - 1),    ||A L|| = alpha ||L q||,    ||L q||^2 = (d1 + rho^2 d2)/(rho^2 d1 + d2)

where m4 = (rho^2 m4_1 + m4_2)/(rho^2 + 1) needs the fourth moments of u under chi_j: beyond (3). Where they are
infinite, A T is unbounded and (19) fails. With X = ||Pi F|| and Y = ||(1 - Pi)F||, (20) gives

    -dH0/dt >= (lambda_m - delta b) Y^2 + delta b X^2 - delta c X Y,    2 H0 <= X^2 + Y^2 + 2 delta alpha X Y,

so H0 decays as exp(-2 lambda t) with the smaller root lambda of a quadratic equation, and
||e^((L - T)t)|| <= sqrt((1 + delta alpha)/(1 - delta alpha)) e^(-lambda t).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, pi, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kinlim.errors import InputError
from kinlim.validation.reaction.linearised import Linearised, Mode

Array = NDArray[np.float64]

REACH = {1: 64, 2: 12, 3: 5}
"""Wave vectors with entries up to this are taken one by one; all longer ones together."""

BLOCK, LAST = 1.03, 100.0
"""Longer ones are taken in blocks from beta to BLOCK beta, the last of which begins at LAST or beyond."""

DELTAS = 400
"""Values of delta in each of the passes that look for the best."""

Method = Literal["theorem", "scaled", "modes"]
"""How the constants enter: see `bound`."""

METHODS: tuple[Method, ...] = ("theorem", "scaled", "modes")


@dataclass(frozen=True)
class Bound:
    """An explicit bound ||e^((L - T)t)|| <= prefactor exp(-rate t), t the time of (9).

    Attributes:
        rate: lambda.
        delta: of H0, the one that makes the rate largest.
        prefactor: C.
        lambda_m: microscopic coercivity (16).
        lambda_M: macroscopic coercivity (17).
        C_M: boundedness of the auxiliary operators (19), the best constant.
    """

    rate: float
    delta: float
    prefactor: float
    lambda_m: float
    lambda_M: float
    C_M: float


@dataclass(frozen=True)
class Ingredients:
    """What the method needs to know of some modes, arrays of shape (n,); see the head of this file.

    Attributes:
        beta: kappa sqrt(d0).
        at: m4/d0^2 - 1, the square of ||A T (1 - Pi)||/b.
        al: ||L q||^2, the square of ||A L||/alpha.
        skew: |<u q, L q>|/sqrt(d0), from third moments: 2 alpha b skew is the cross term in the sum of both.
    """

    beta: Array
    at: Array
    al: Array
    skew: Array

    @classmethod
    def of(cls, modes: Sequence[Mode]) -> "Ingredients":
        """Collect them."""
        return cls(*(np.array(row) for row in zip(*(_ingredients(mode) for mode in modes), strict=True)))

    @property
    def b(self) -> Array:
        """beta^2/(1 + beta^2)."""
        return self.beta**2 / (1 + self.beta**2)

    @property
    def alpha(self) -> Array:
        """beta/(1 + beta^2)."""
        return self.beta / (1 + self.beta**2)


def _ingredients(mode: Mode) -> tuple[float, float, float, float]:
    r2, d0 = mode.rho_inf**2, mode.d0
    d1, d2 = mode.law1.moment(2), mode.law2.moment(2)
    m4 = (r2 * mode.law1.moment(4) + mode.law2.moment(4)) / (r2 + 1)
    third = mode.rho_inf * abs(mode.law1.moment(3) + mode.law2.moment(3)) / (r2 + 1)
    return mode.kappa * sqrt(d0), m4 / d0**2 - 1, (d1 + r2 * d2) / (r2 * d1 + d2), third / d0**1.5


def bound(system: Linearised, method: Method = "theorem") -> Bound | None:
    """The explicit bound, or None where a fourth moment is infinite and (19) fails.

    Args:
        system: in the scaling of (9); epsilon = 1 is that of the paper.
        method: "theorem" is Theorem 2.1 with its three constants, for L and epsilon T. "scaled" uses the same
            constants of the unscaled T, for H0 = ||F||^2/2 + epsilon delta <A F,F> with the A of T, which does not
            degenerate as epsilon -> 0. "modes" is H0 of Remark 1 for L and epsilon T, one delta for all modes, with
            each mode's own norms in place of their suprema.

    Raises:
        InputError: there is no such method.
    """
    if method not in METHODS:
        raise InputError(f"method = '{method}': it must be one of {', '.join(METHODS)}")
    unit = Linearised(system.rho_inf, 1.0, system.chi1, system.chi2, system.dimension)
    used = unit if method == "scaled" else system
    each, rest = _all_modes(used)
    if not np.isfinite(each.at).all():
        return None
    eps = system.epsilon
    slow = 1 / eps if method == "scaled" else 1.0  # weight of A L against A T
    lambda_m, lambda_M = min(system.rho_inf, 1 / system.rho_inf), float(each.beta.min()) ** 2
    c = max(float(_c_m(each, slow).max()), float(_c_m_beyond(rest, slow).max()))
    if method == "theorem":
        form = Form(_one(lambda_M / (1 + lambda_M)), _one(c), _one(1.0), _one(0.5), lambda_m)
    elif method == "scaled":
        form = Form(_one(lambda_M / (1 + lambda_M)), _one(c), _one(1.0), _one(eps / 2), lambda_m / eps**2)
    else:
        form = _form_of_modes(each, rest, lambda_m)
    rate, delta = form.best()
    tilt = delta * float(form.tilt.max())
    found = rate if method == "scaled" else rate / eps**2
    return Bound(found, delta, sqrt((1 + tilt) / (1 - tilt)), lambda_m, lambda_M, c)


def best_delta(modes: Sequence[Mode]) -> tuple[float, float]:
    """The decay rate, in units of 1/epsilon^2, that H0 gives on these modes, and the delta for which it is largest."""
    each = Ingredients.of(modes)
    lambda_m = min(modes[0].losses)
    return Form(each.b, np.sqrt(_squares(each, 1.0)), each.b, each.alpha, lambda_m).best()


@dataclass(frozen=True)
class Form:
    """Quadratic forms in X = ||Pi F|| and Y = ||(1 - Pi)F||, one for each of n modes: arrays of shape (n,).

    D >= (micro - delta loss) Y^2 + delta macro X^2 - delta cross X Y,    2 H0 <= X^2 + Y^2 + 2 delta tilt X Y
    """

    macro: Array
    cross: Array
    loss: Array
    tilt: Array
    micro: float

    def rate(self, delta: Array) -> Array:
        """The largest lambda with D >= 2 lambda H0 on every mode, shape of delta."""
        d = delta[..., None]
        p, r, q, a = d * self.macro, self.micro - d * self.loss, d * self.cross / 2, d * self.tilt
        square, linear, constant = 1 - a * a, p + r + 2 * q * a, p * r - q * q
        # the stable form of the smaller root
        root = 2 * constant / (linear + np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0)))
        return np.asarray(np.where(a < 1, root, -inf).min(axis=-1), np.float64)

    def best(self) -> tuple[float, float]:
        """The largest rate over delta, and the delta: nested nets, on which the rate has one maximum."""
        top = float((self.macro * self.micro / (self.cross**2 / 4 + self.macro * self.loss)).min())
        low, high = 1e-6 * top, min(top, 1 / float(self.tilt.max()))
        for _ in range(8):
            deltas = np.asarray(np.geomspace(low, high, DELTAS), np.float64)
            rates = self.rate(deltas)
            at = int(np.argmax(rates))
            low, high = float(deltas[max(at - 1, 0)]), float(deltas[min(at + 1, DELTAS - 1)])
        return float(rates[at]), float(deltas[at])


def lattice(dimension: int, reach: int) -> list[tuple[int, ...]]:
    """Wave numbers k in Z^d with entries up to reach, one of k and -k each, without 0."""
    zero = (0,) * dimension
    return [k for k in product(range(-reach, reach + 1), repeat=dimension) if k > zero]


def _all_modes(system: Linearised) -> tuple[Ingredients, Ingredients]:
    """The modes up to `REACH`, and, for each direction, the shortest that a longer one can be."""
    reach = REACH[system.dimension]
    short = lattice(system.dimension, reach)
    each = Ingredients.of([system.mode(k) for k in short])
    kappa = 2 * pi * system.epsilon * (reach + 1)
    return each, Ingredients.of([system.along(e, kappa) for e in _directions(system.dimension, short)])


def _directions(dimension: int, short: Sequence[tuple[int, ...]]) -> Array:
    """Unit vectors, shape (n, d): those of the lattice, which are dense enough for quadratic and quartic forms."""
    vectors = np.array(short, np.float64)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.unique(units.round(14), axis=0), np.float64)


def _squares(of: Ingredients, slow: float) -> Array:
    """||A T (1 - Pi) - A L||^2: the parts are out of phase, so that third moments do not enter."""
    return np.asarray(of.b**2 * of.at + (slow * of.alpha) ** 2 * of.al, np.float64)


def _c_m(of: Ingredients, slow: float) -> Array:
    """The best constant of (19) mode by mode: the sum of two norms, each in the phase that is worst for the sum."""
    return np.sqrt(_squares(of, slow) + 2 * slow * of.alpha * of.b * of.skew)


def _beyond(beta: Array) -> Array:
    """The largest alpha beyond a beta."""
    return np.where(beta < 1, 0.5, beta / (1 + beta**2))


def _c_m_beyond(rest: Ingredients, slow: float) -> Array:
    """A bound of (19) for all longer modes: b <= 1."""
    alpha = slow * _beyond(rest.beta)
    return np.sqrt(rest.at + alpha**2 * rest.al + 2 * alpha * rest.skew)


def _form_of_modes(each: Ingredients, rest: Ingredients, lambda_m: float) -> Form:
    """The modes one by one, then blocks of longer ones with the worst that there is in each."""
    first = float(rest.beta.min())
    blocks = max(2, int(np.log(LAST / first) / np.log(BLOCK)) + 2)
    start = first * BLOCK ** np.arange(blocks)
    end = np.append(start[1:], inf)
    least = start**2 / (1 + start**2)
    most = np.append(least[1:], 1.0)
    ends = start / (1 + start**2)
    alpha = np.where((start < 1) & (end > 1), 0.5, np.maximum(ends, np.append(ends[1:], 0.0)))
    cross = np.sqrt(most**2 * rest.at.max() + alpha**2 * rest.al.max())
    return Form(
        np.concatenate([each.b, least]),
        np.concatenate([np.sqrt(_squares(each, 1.0)), cross]),
        np.concatenate([each.b, most]),
        np.concatenate([each.alpha, alpha]),
        lambda_m,
    )


def _one(value: float) -> Array:
    return np.array([value])
