"""The linear systems of an implicit step of the kinetic system in dimension 2, solved approximately, for GMRES.

In the notation of `elimination`, odd parts are eliminated, which leaves for each species and pair of velocities

    T_j de_j + W e_j drho' + ... = ...,   T_j = W a + epsilon^2 (v_j.D)^T Omega b^-1 (v_j.D).

No diagonalisation serves all directions of v_j. Instead, two corrections follow each other:

1. T_j^-1 becomes a^-1/2 (W + s epsilon^2 (v_j.D)^T Omega (v_j.D))^-1 a^-1/2 with s the geometric mean of 1/a^2. It is
   exact where the density of the other species is constant; Fourier series over the cells, which are equal, leave one
   small matrix for each wave number. Densities react where they are, as if nothing moved.
2. Local equilibria, de_j = drho for all j, make up for what is left of the equations for the two densities. These are
   a diffusion equation for each, coupled by the reaction: sparse, and factorised. It is what remains as epsilon -> 0.

Ranks that share the velocities do 1 for their own, and all of them 2, which has no velocities.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.sparse import block_array, csc_matrix, csr_matrix, diags_array
from scipy.sparse.linalg import splu

from kinlim.fem.reaction.elements import Elements
from kinlim.fem.reaction.elimination import collisions
from kinlim.fem.reaction.system import KineticSystem, Species
from kinlim.fem.reaction.velocities import Velocities

Array = NDArray[np.float64]


class Flights:
    """(W + s (v.D)^T Omega (v.D))^-1 for velocities v and any number s, by Fourier series over the cells.

    For each wave number and velocity, Z^* W Z = 1 and Z^* (v.D)^T Omega (v.D) Z = lambda once for all s.
    """

    def __init__(self, mesh: Elements, v: Array) -> None:
        """Diagonalise, for a mesh of dimension 2 and velocities of shape (2, J)."""
        self.shape = mesh.cells, mesh.degree, mesh.cells, mesh.degree
        root = np.sqrt(mesh.w.reshape(self.shape)[0, :, 0].ravel())
        symbols = [[self._symbol(left @ right) for right in mesh.derivative] for left in mesh.adjoint]
        made = sum((v[a] * v[b])[:, None, None] * symbols[a][b][:, :, None] for a in range(2) for b in range(2))
        decay, z = np.linalg.eigh(made / np.outer(root, root))
        self.decay, self.z = np.maximum(decay, 0)[..., None, :], z / root[:, None]
        self.adjoint = np.ascontiguousarray(self.z.conj().swapaxes(-1, -2))

    def inverses(self, s: float) -> NDArray[np.complex128]:
        """For a number s: shape (n, n/2 + 1, J, p^2, p^2)."""
        return np.asarray(self.z / (1 + s * self.decay) @ self.adjoint, np.complex128)

    def apply(self, inverses: NDArray[np.complex128], x: Array) -> Array:
        """Solutions for right sides of shape (N, J)."""
        n, p, *_ = self.shape
        at_cells = x.reshape(*self.shape, -1).transpose(0, 2, 4, 1, 3)
        waves = rfft2(at_cells.reshape(n, n, -1, p * p), axes=(0, 1))
        found = irfft2((inverses @ waves[..., None])[..., 0], s=(n, n), axes=(0, 1))
        return np.asarray(found.reshape(n, n, -1, p, p).transpose(0, 3, 1, 4, 2).reshape(x.shape), np.float64)

    def _symbol(self, matrix: csr_matrix) -> NDArray[np.complex128]:
        """Of a matrix that is the same seen from every cell, from the columns of one: shape (n, n/2 + 1, p^2, p^2)."""
        n, p, *_ = self.shape
        first = np.arange(n * p * n * p).reshape(self.shape)[0, :, 0].ravel()
        columns = matrix.tocsc()[:, first].toarray().reshape(*self.shape, -1).transpose(0, 2, 1, 3, 4)
        return np.asarray(rfft2(columns.reshape(n, n, p * p, p * p), axes=(0, 1)), np.complex128)


@dataclass(frozen=True)
class Part:
    """One species' own part of the equations.

    Attributes:
        own: its unknowns, at which the equations are linearised.
        q: its velocities.
        flights: of these velocities.
        rho: its density, shape (N,).
        a: c + rho', shape (N,).
        b: c + R rho', shape (P,).
        inverses: see `Flights.inverses`.
    """

    own: Species
    q: Velocities
    flights: Flights
    rho: Array
    a: Array
    b: Array
    inverses: NDArray[np.complex128]


class TwoLevel:
    """The approximate inverse of the equations at some unknowns u, for one shift."""

    NAME: ClassVar[str] = "Fourier series and diffusion"

    def __init__(self, system: KineticSystem, u: Array, shift: float, flights: tuple[Flights, Flights]) -> None:
        """Factorise, given the flights of both species. Collective.

        Raises:
            RunError: u holds values that are no numbers, or densities are so negative that nothing can be factorised.
        """
        self.system, c = system, system.epsilon**2 * shift
        (f, g), (rho_f, rho_g) = system.split(u), system.densities(u)
        self.f = self._part(f, system.v_f, flights[0], rho_f, *collisions(system.mesh, c, rho_g))
        self.g = self._part(g, system.v_g, flights[1], rho_g, *collisions(system.mesh, c, rho_f))
        blocks = [[self._diffusion(self.f), self._reaction(self.f)], [self._reaction(self.g), self._diffusion(self.g)]]
        self.densities = splu(
            csc_matrix(block_array(blocks)),
            permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options={"SymmetricMode": True},
        )  # fmt: skip

    def solve(self, r: Array, out: Array) -> None:
        """Put an approximate solution for the right side r into `out`, vectors as those of the unknowns. Collective."""
        (r_f, r_g), (d_f, d_g) = self.system.split(r), self.system.split(out)
        y_f, y_g = self._flown(self.f, r_f), self._flown(self.g, r_g)
        s_f, s_g = self.system.totals(y_f @ self.f.q.mass, y_g @ self.g.q.mass)
        c_f, c_g = self.f.rho / self.f.a, self.g.rho / self.g.a  # drho_f + c_f drho_g = s_f, and the other way round
        rho_f, rho_g = (s_f - c_f * s_g) / (1 - c_f * c_g), (s_g - c_g * s_f) / (1 - c_f * c_g)
        self._back(self.f, r_f, y_f, rho_g, d_f)
        self._back(self.g, r_g, y_g, rho_f, d_g)
        left = self.system.totals(
            self._left(self.f, r_f, d_f, d_g, self.g.q), self._left(self.g, r_g, d_g, d_f, self.f.q)
        )
        rho_f, rho_g = np.split(self.densities.solve(np.concatenate(left)), 2)
        self._add(self.f, rho_f, rho_g, d_f)
        self._add(self.g, rho_g, rho_f, d_g)

    def _part(self, own: Species, q: Velocities, flights: Flights, rho: Array, a: Array, b: Array) -> Part:
        s = self.system.epsilon**2 * float(np.exp(-2 * np.log(a).mean()))
        return Part(own, q, flights, rho, a, b, flights.inverses(s))

    def _flown(self, m: Part, r: Species) -> Array:
        """T_j^-1, nearly, of the right side once odd parts are eliminated."""
        mesh, root = self.system.mesh, np.sqrt(m.a)[:, None]
        x = mesh.w[:, None] * r.e + self.system.collected(r.o / m.b[:, None], m.q)
        return m.flights.apply(m.inverses, x / root) / root

    def _back(self, m: Part, r: Species, y: Array, density: Array, out: Species) -> None:
        """All unknowns of a species from the density of the other."""
        out.e[:] = y - m.own.e * (density / m.a)[:, None]
        out.o[:] = r.o - m.own.o * (self.system.mesh.values @ density)[:, None] - self.system.flown(out.e, m.q)
        out.o[:] /= m.b[:, None]

    def _left(self, m: Part, r: Species, d: Species, other: Species, q: Velocities) -> Array:
        """This rank's share of what d leaves of the right side for a density, where q are the other's velocities."""
        mesh, v = self.system.mesh, m.q
        left = mesh.w * (r.e @ v.mass - m.a * (d.e @ v.mass) - m.rho * (other.e @ q.mass))
        flux = self.system.epsilon * (v.mass * v.v) @ d.o.T
        return np.asarray(
            left + sum(matrix @ part for matrix, part in zip(mesh.adjoint, flux, strict=True)), np.float64
        )

    def _add(self, m: Part, rho: Array, density: Array, out: Species) -> None:
        """Add a local equilibrium, given the density of the other species."""
        mesh = self.system.mesh
        slope = np.stack([matrix @ rho for matrix in mesh.derivative], axis=1) @ (self.system.epsilon * m.q.v)
        out.e[:] += rho[:, None]
        out.o[:] -= (m.own.o * (mesh.values @ density)[:, None] + slope) / m.b[:, None]

    def _diffusion(self, m: Part) -> csr_matrix:
        """Of a density in its own equation."""
        mesh = self.system.mesh
        (D,) = self.system.totals(self.system.epsilon**2 * (m.q.mass * m.q.v) @ m.q.v.T)
        made = diags_array(mesh.w * m.a)
        for a, left in enumerate(mesh.adjoint):
            made = made + left @ sum(
                diags_array(D[a, b] / m.b) @ right for b, right in enumerate(mesh.derivative) if D[a, b]
            )
        return csr_matrix(made)

    def _reaction(self, m: Part) -> csr_matrix:
        """Of the other density in the equation of a density: what it takes away, and what it takes from the flux."""
        mesh = self.system.mesh
        (flux,) = self.system.totals(self.system.epsilon * (m.q.mass * m.q.v) @ m.own.o.T)
        made = diags_array(mesh.w * m.rho)
        for left, part in zip(mesh.adjoint, flux, strict=True):
            made = made + left @ diags_array(part / m.b) @ mesh.values
        return csr_matrix(made)
