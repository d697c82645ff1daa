"""The kinetic system on the nodes of `velocities` and the elements of `elements`: rates, and moments of its unknowns.

Unknowns of a species relative to chi, for each pair +-v_j of velocities: e_j = (F(v_j) + F(-v_j))/S_j, at the nodes of
the mesh, and o_j = (F(v_j) - F(-v_j))/S_j, at its points, where F are masses at the velocities and S_j = M(v_j) +
M(-v_j). With rho = sum_j S_j e_j and rho' of the other species, (9) is

    epsilon^2 e_j' = epsilon v_j W^-1 D^T Omega o_j + 1 - rho' e_j
    epsilon^2 o_j' = -epsilon v_j D e_j + beta_j - (R rho') o_j         with beta_j S_j = M(v_j) - M(-v_j).

Both species have the same reaction 1 - rho_f rho_g at the nodes, so that int (rho_f - rho_g) is conserved.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kinlim.fem.reaction.elements import Line, line
from kinlim.fem.reaction.velocities import Velocities, velocities
from kinlim.models.reaction.tables import KineticReaction, KineticSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Species:
    """Unknowns of one species, or rates of them: e and o, each of shape (N, K/2)."""

    e: Array
    o: Array


@dataclass(frozen=True)
class KineticSystem:
    """The semi-discrete system (9).

    Attributes:
        epsilon: mean free path.
        line: elements in x.
        v_f: velocities of f.
        v_g: velocities of g, as many.
    """

    epsilon: float
    line: Line
    v_f: Velocities
    v_g: Velocities

    @classmethod
    def of(cls, model: KineticReaction, settings: KineticSettings) -> Self:
        """Discretise a model that is `planar`.

        Raises:
            InputError: so many velocities cannot represent chi1 or chi2.
        """
        chi1, chi2 = model.chi1.marginal(model.dimension), model.chi2.marginal(model.dimension)
        return cls(
            model.epsilon,
            line(settings.cells, settings.degree),
            velocities(chi1, settings.modes, "chi1"),
            velocities(chi2, settings.modes, "chi2"),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Unknowns in x, and pairs of velocities."""
        return len(self.line.nodes), len(self.v_f.v)

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return 4 * self.shape[0] * self.shape[1]

    def split(self, u: Array) -> tuple[Species, Species]:
        """Views of f and g in a vector of unknowns."""
        e_f, o_f, e_g, o_g = u[: self.size].reshape(4, *self.shape)
        return Species(e_f, o_f), Species(e_g, o_g)

    def rates(self, u: Array, out: Array) -> None:
        """Put epsilon^2 du/dt into `out`."""
        f, g = self.split(u)
        rate_f, rate_g = self.split(out)
        self._rate(f, g.e @ self.v_g.mass, self.v_f, rate_f)
        self._rate(g, f.e @ self.v_f.mass, self.v_g, rate_g)
        rounding = self.mass_difference(out) / 2  # over epsilon^2 it would be seen
        rate_f.e[:] -= rounding
        rate_g.e[:] += rounding

    def _rate(self, own: Species, partners: Array, q: Velocities, out: Species) -> None:
        flight = self.epsilon * q.v
        out.e[:] = (self.line.adjoint @ (own.o * flight)) / self.line.w[:, None]
        out.e[:] += 1 - partners[:, None] * own.e
        out.o[:] = q.odd - (self.line.values @ partners)[:, None] * own.o
        out.o[:] -= self.line.derivative @ (own.e * flight)

    def derivative(self, u: Array, d: Array, out: Array) -> None:
        """Put the derivative of `rates` at u, along d, into `out`."""
        (f, g), (d_f, d_g), (out_f, out_g) = self.split(u), self.split(d), self.split(out)
        self._along(f, g.e @ self.v_g.mass, d_f, d_g.e @ self.v_g.mass, self.v_f, out_f)
        self._along(g, f.e @ self.v_f.mass, d_g, d_f.e @ self.v_f.mass, self.v_g, out_g)

    def _along(self, own: Species, rho: Array, d: Species, d_rho: Array, q: Velocities, out: Species) -> None:
        line, flight = self.line, self.epsilon * q.v
        out.e[:] = (line.adjoint @ (d.o * flight)) / line.w[:, None]
        out.e[:] -= rho[:, None] * d.e + d_rho[:, None] * own.e
        out.o[:] = -(line.derivative @ (d.e * flight))
        out.o[:] -= (line.values @ rho)[:, None] * d.o + (line.values @ d_rho)[:, None] * own.o

    def initial(self, model: KineticReaction) -> Array:
        """Unknowns at time 0: f0 and g0 at nodes and points of the mesh."""
        u = np.empty(self.size)
        for formula, q, own in zip((model.f0, model.g0), (self.v_f, self.v_g), self.split(u), strict=True):
            for x, part, sign in ((self.line.nodes, own.e, 1), (self.line.points, own.o, -1)):
                plus, minus = (
                    model.relative(formula, _padded(x, model.dimension), _padded(v, model.dimension))
                    for v in (q.v, -q.v)
                )
                part[:] = ((1 + q.odd) * plus + sign * (1 - q.odd) * minus) / 2
        return u

    def mass_difference(self, u: Array) -> float:
        """Integral of rho_f - rho_g, by the lumped mass that the scheme conserves."""
        f, g = self.split(u)
        return float(self.line.w @ (f.e @ self.v_f.mass - g.e @ self.v_g.mass))

    def least_density(self, u: Array) -> float:
        """Least value of both densities, at the nodes."""
        f, g = self.split(u)
        return float(min((f.e @ self.v_f.mass).min(), (g.e @ self.v_g.mass).min()))

    def relative(self, u: Array) -> tuple[Array, Array]:
        """f/chi1 and g/chi2 at points and velocities, shape (N, K), velocities increasing."""
        f, g = self.split(u)
        return relative(self.line.values @ f.e, f.o, self.v_f), relative(self.line.values @ g.e, g.o, self.v_g)


def relative(even: Array, odd: Array, q: Velocities) -> Array:
    """Densities relative to chi at all velocities, increasing, from even and odd parts at the same points."""
    return q.both((even - odd) / (1 - q.odd), (even + odd) / (1 + q.odd))


def _padded(values: Array, dimension: int) -> Array:
    """Points with a first component, and 0 for the others, on which nothing depends."""
    return np.column_stack([values, np.zeros((len(values), dimension - 1))])
