"""The kinetic system on the nodes of `velocities` and the elements of `elements`: rates, and moments of its unknowns.

Unknowns of a species relative to chi, for each pair +-v_j of velocities: e_j = (F(v_j) + F(-v_j))/S_j, at the nodes of
the mesh, and o_j = (F(v_j) - F(-v_j))/S_j, at its points, where F are masses at the velocities and S_j = M(v_j) +
M(-v_j). With rho = sum_j S_j e_j and rho' of the other species, (9) is

    epsilon^2 e_j' = epsilon W^-1 (v_j.D)^T Omega o_j + 1 - rho' e_j
    epsilon^2 o_j' = -epsilon v_j.D e_j + beta_j - (R rho') o_j         with beta_j S_j = M(v_j) - M(-v_j).

Both species have the same reaction 1 - rho_f rho_g at the nodes, so that int (rho_f - rho_g) is conserved.

Ranks may share the velocities: each has the unknowns of its own at all x. Sums over velocities alone need the others.
"""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.errors import InputError
from kinlim.fem.reaction.elements import Elements, line, square
from kinlim.fem.reaction.velocities import Velocities, portion, velocities
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
        v_f: velocities of f, this rank's share.
        v_g: velocities of g, as many.
        comm: the ranks that share them.
    """

    epsilon: float
    mesh: Elements
    v_f: Velocities
    v_g: Velocities
    comm: MPI.Comm = field(default_factory=lambda: MPI.COMM_SELF)

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

    def shared(self, comm: MPI.Comm) -> Self:
        """The same with its velocities, which are all there are, shared among ranks."""
        return replace(self, v_f=self.v_f.share(comm), v_g=self.v_g.share(comm), comm=comm)

    @property
    def pairs(self) -> int:
        """Pairs of velocities of this rank, J."""
        return len(self.v_f.mass)

    @property
    def size(self) -> int:
        """Number of unknowns of this rank."""
        return 2 * self.pairs * (len(self.mesh.nodes) + len(self.mesh.points))

    def joined(self, u: Array) -> Array:
        """The unknowns of all ranks as one rank alone has them, on rank 0; on the others, nothing. Collective."""
        shares = self.comm.gather(u)
        if shares is None:
            return np.empty(0)
        parts = zip(*map(self._parts, shares), strict=True)
        return np.concatenate([np.concatenate(part, axis=1).ravel() for part in parts])

    def share(self, u: Array) -> Array:
        """This rank's unknowns of those that `joined` gives."""
        return np.concatenate([part[:, portion(part.shape[1], self.comm)].ravel() for part in self._parts(u)])

    def _parts(self, u: Array) -> list[Array]:
        """The parts e and o of f, then of g, of unknowns with however many velocities."""
        rows = 2 * [len(self.mesh.nodes), len(self.mesh.points)]
        pairs = len(u) // sum(rows)
        parts = np.split(u, pairs * np.cumsum(rows)[:-1])
        return [part.reshape(count, pairs) for part, count in zip(parts, rows, strict=True)]

    def totals(self, *shares: Array) -> list[Array]:
        """Sums over the ranks, in one message. Collective."""
        if self.comm.size == 1:
            return list(shares)
        flat = np.concatenate([share.ravel() for share in shares])
        self.comm.Allreduce(MPI.IN_PLACE, flat)
        found = np.split(flat, np.cumsum([share.size for share in shares])[:-1])
        return [part.reshape(share.shape) for part, share in zip(found, shares, strict=True)]

    def densities(self, *us: Array) -> list[Array]:
        """rho_f and rho_g at the nodes, of some vectors of unknowns one after another. Collective."""
        both = [(own.e, q.mass) for u in us for own, q in zip(self.split(u), (self.v_f, self.v_g), strict=True)]
        return self.totals(*(even @ mass for even, mass in both))

    def split(self, u: Array) -> tuple[Species, Species]:
        """Views of f and g in a vector of unknowns."""
        even_f, odd_f, even_g, odd_g = self._parts(u)
        return Species(even_f, odd_f), Species(even_g, odd_g)

    def rates(self, u: Array, out: Array) -> None:
        """Put epsilon^2 du/dt into `out`. Collective."""
        f, g = self.split(u)
        rate_f, rate_g = self.split(out)
        rho_f, rho_g = self.densities(u)
        self._rate(f, rho_g, self.v_f, rate_f)
        self._rate(g, rho_f, self.v_g, rate_g)
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
        """Put the derivative of `rates` at u, along d, into `out`. Collective."""
        (f, g), (d_f, d_g), (out_f, out_g) = self.split(u), self.split(d), self.split(out)
        rho_f, rho_g, d_rho_f, d_rho_g = self.densities(u, d)
        self._along(f, rho_g, d_f, d_rho_g, self.v_f, out_f)
        self._along(g, rho_f, d_g, d_rho_f, self.v_g, out_g)

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
        """Integral of rho_f - rho_g, by the lumped mass that the scheme conserves. Collective."""
        rho_f, rho_g = self.densities(u)
        return float(self.mesh.w @ (rho_f - rho_g))

    def least_density(self, u: Array) -> float:
        """Least value of both densities, at the nodes. Collective."""
        return float(min(rho.min() for rho in self.densities(u)))

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
