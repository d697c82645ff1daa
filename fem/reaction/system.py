"""The kinetic system on the nodes of `velocities` and the elements of `elements`: rates, and moments of its unknowns.

Unknowns of a species relative to chi, for each pair +-v_j of velocities: e_j = (F(v_j) + F(-v_j))/S_j, at the nodes of
the mesh, and o_j = (F(v_j) - F(-v_j))/S_j, at its points, where F are masses at the velocities and S_j = M(v_j) +
M(-v_j). With rho = sum_j S_j e_j and rho' of the other species, (9) is

    epsilon^2 e_j' = epsilon W^-1 (v_j.D)^T Omega o_j + 1 - rho' e_j
    epsilon^2 o_j' = -epsilon v_j.D e_j + beta_j - (R rho') o_j         with beta_j S_j = M(v_j) - M(-v_j).

Both species have the same reaction 1 - rho_f rho_g at the nodes, so that int (rho_f - rho_g) is conserved.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kinlim.errors import InputError
from kinlim.fem.reaction.elements import Elements, line, square
from kinlim.fem.reaction.velocities import Velocities, velocities
from kinlim.models.reaction.tables import PLANE, KineticReaction, KineticSettings

Array = NDArray[np.float64]

MOST_UNKNOWNS = 5 * 10**6
"""In dimension 2."""


@dataclass(frozen=True)
class Species:
    """Unknowns of one species, or rates of them: e of shape (N, J) and o of shape (P, J), for J pairs of velocities."""

    e: Array
    o: Array


@dataclass(frozen=True)
class KineticSystem:
    """The semi-discrete system (9).

    Attributes:
        epsilon: mean free path.
        mesh: elements in x.
        v_f: velocities of f.
        v_g: velocities of g, as many.
    """

    epsilon: float
    mesh: Elements
    v_f: Velocities
    v_g: Velocities

    @classmethod
    def of(cls, model: KineticReaction, settings: KineticSettings) -> Self:
        """Discretise a model, in dimension 1 if it is `planar`.

        Raises:
            InputError: so many velocities cannot represent chi1 or chi2, or there are too many unknowns.
        """
        profiles = {"chi1": model.chi1, "chi2": model.chi2}
        dimension = 1 if model.planar else model.dimension
        if model.planar:
            profiles = {key: chi.marginal(model.dimension) for key, chi in profiles.items()}
        else:
            _few(settings)
        return cls(
            model.epsilon,
            (line if dimension == 1 else square)(settings.cells, settings.degree),
            *(velocities(chi, settings.modes, key, dimension) for key, chi in profiles.items()),
        )

    @property
    def pairs(self) -> int:
        """Pairs of velocities, J."""
        return len(self.v_f.mass)

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return 2 * self.pairs * (len(self.mesh.nodes) + len(self.mesh.points))

    def split(self, u: Array) -> tuple[Species, Species]:
        """Views of f and g in a vector of unknowns."""
        even = self.pairs * len(self.mesh.nodes)
        f, g = (
            Species(part[:even].reshape(-1, self.pairs), part[even:].reshape(-1, self.pairs))
            for part in (u[: self.size // 2], u[self.size // 2 : self.size])
        )
        return f, g

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
        out.e[:] = self._gain(own.o, q)
        out.e[:] += 1 - partners[:, None] * own.e
        out.o[:] = q.odd - (self.mesh.values @ partners)[:, None] * own.o
        out.o[:] -= self.flown(own.e, q)

    def _gain(self, odd: Array, q: Velocities) -> Array:
        """What odd parts bring to even ones by flight: epsilon W^-1 (v_j.D)^T Omega o_j."""
        return self.collected(odd, q) / self.mesh.w[:, None]

    def flown(self, even: Array, q: Velocities) -> Array:
        """What even parts take from odd ones by flight: epsilon v_j.D e_j, shape (P, J)."""
        along = zip(self.mesh.derivative, self.epsilon * q.v, strict=True)
        return np.asarray(sum(matrix @ (even * flight) for matrix, flight in along), np.float64)

    def collected(self, odd: Array, q: Velocities) -> Array:
        """The adjoint, epsilon (v_j.D)^T Omega o_j, shape (N, J)."""
        along = zip(self.mesh.adjoint, self.epsilon * q.v, strict=True)
        return np.asarray(sum(matrix @ (odd * flight) for matrix, flight in along), np.float64)

    def derivative(self, u: Array, d: Array, out: Array) -> None:
        """Put the derivative of `rates` at u, along d, into `out`."""
        (f, g), (d_f, d_g), (out_f, out_g) = self.split(u), self.split(d), self.split(out)
        self._along(f, g.e @ self.v_g.mass, d_f, d_g.e @ self.v_g.mass, self.v_f, out_f)
        self._along(g, f.e @ self.v_f.mass, d_g, d_f.e @ self.v_f.mass, self.v_g, out_g)

    def _along(self, own: Species, rho: Array, d: Species, d_rho: Array, q: Velocities, out: Species) -> None:
        values = self.mesh.values
        out.e[:] = self._gain(d.o, q)
        out.e[:] -= rho[:, None] * d.e + d_rho[:, None] * own.e
        out.o[:] = -self.flown(d.e, q)
        out.o[:] -= (values @ rho)[:, None] * d.o + (values @ d_rho)[:, None] * own.o

    def initial(self, model: KineticReaction) -> Array:
        """Unknowns at time 0: f0 and g0 at nodes and points of the mesh."""
        u = np.empty(self.size)
        for formula, q, own in zip((model.f0, model.g0), (self.v_f, self.v_g), self.split(u), strict=True):
            for x, part, sign in ((self.mesh.nodes, own.e, 1), (self.mesh.points, own.o, -1)):
                plus, minus = (
                    model.relative(formula, _padded(x, model.dimension), _padded(v.T, model.dimension))
                    for v in (q.v, -q.v)
                )
                part[:] = ((1 + q.odd) * plus + sign * (1 - q.odd) * minus) / 2
        return u

    def mass_difference(self, u: Array) -> float:
        """Integral of rho_f - rho_g, by the lumped mass that the scheme conserves."""
        f, g = self.split(u)
        return float(self.mesh.w @ (f.e @ self.v_f.mass - g.e @ self.v_g.mass))

    def least_density(self, u: Array) -> float:
        """Least value of both densities, at the nodes."""
        f, g = self.split(u)
        return float(min((f.e @ self.v_f.mass).min(), (g.e @ self.v_g.mass).min()))

    def relative(self, u: Array) -> tuple[Array, Array]:
        """f/chi1 and g/chi2 at points and velocities, shape (N, K), velocities increasing."""
        f, g = self.split(u)
        return relative(self.mesh.values @ f.e, f.o, self.v_f), relative(self.mesh.values @ g.e, g.o, self.v_g)


def relative(even: Array, odd: Array, q: Velocities) -> Array:
    """Densities relative to chi at all velocities, increasing, from even and odd parts at the same points."""
    return q.both((even - odd) / (1 - q.odd), (even + odd) / (1 + q.odd))


def _few(settings: KineticSettings) -> None:
    nodes, points = settings.cells * settings.degree, settings.cells * (settings.degree + 1)
    if (count := settings.modes**2 * (nodes**2 + points**2)) > MOST_UNKNOWNS:
        raise InputError(
            f"kinetic.modes = {settings.modes} and kinetic.cells = {settings.cells} of degree {settings.degree} make "
            f"{count:.3g} unknowns in dimension 2; at most {MOST_UNKNOWNS:g} are possible, and the defaults there, "
            f"{PLANE['modes']}, {PLANE['cells']} and {PLANE['degree']}, make 1.68e+05"
        )


def _padded(values: Array, dimension: int) -> Array:
    """Points with as many components as they have, and 0 for the others, on which nothing depends."""
    return np.column_stack([values, np.zeros((len(values), dimension - values.shape[1]))])
