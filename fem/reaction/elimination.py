"""The linear systems of an implicit step of the kinetic system in dimension 1, solved by elimination to one density.

A step asks for (c + rates' derivative) d = r with c = epsilon^2 shift: for each species and pair of velocities, with
a = c + rho', b = c + R rho' for the density rho' of the other species,

    a de_j + e_j drho' - epsilon v_j W^-1 D^T Omega do_j = r_j
    b do_j + o_j R drho' + epsilon v_j D de_j            = s_j.

The second line gives do_j, and leaves T_j de_j = ... with T_j = W a + v_j^2 epsilon^2 D^T Omega b^-1 D. One
diagonalisation Z^T W a Z = 1, Z^T (epsilon^2 D^T Omega b^-1 D) Z = lambda serves all j, so that the cost hardly depends
on the number of velocities. Since the densities alone couple the velocities, what remains is

    drho_f + C_f drho_g = s_f,   and the difference of all equations for f and all for g,

in which the reaction has cancelled: it determines the slow change of rho_f - rho_g however small epsilon is, where
drho_g + C_g drho_f = s_g would leave it to the rounding errors of numbers 1/epsilon^2 times larger.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, lu_factor, lu_solve

from kinlim.errors import RunError
from kinlim.fem.reaction.elements import Elements, Line
from kinlim.fem.reaction.system import KineticSystem, Species
from kinlim.fem.reaction.velocities import Velocities

Array = NDArray[np.float64]


def collisions(mesh: Elements, c: float, rho: Array) -> tuple[Array, Array]:
    """A = c + rho and b = c + R rho for the density of the other species.

    Raises:
        RunError: they are not positive.
    """
    at_points = mesh.values @ rho
    a, b = c + rho, c + at_points
    if not (a.min() > 0 and b.min() > 0):
        raise RunError(f"a density is {min(rho.min(), at_points.min()):.3g}: the mesh is too coarse")
    return a, b


@dataclass(frozen=True)
class Modes:
    """One species' own part of the equations, diagonal.

    Attributes:
        own: its unknowns, at which the equations are linearised.
        q: its velocities.
        rho: density of the other species, rho'.
        b: c + R rho', shape (N,).
        z: Z, shape (N, N).
        dual: W a Z, the inverse of its transpose.
        flight: epsilon Omega b^-1 D Z, shape (N, N).
        kept: S_j/(1 + v_j^2 lambda_k), shape (N, K/2): what T_j^-1 leaves of mode k.
        lost: S_j v_j^2 lambda_k/(1 + v_j^2 lambda_k), without cancellation where lambda is small.
        response: C, shape (N, N).
        drift: what the flux does to the density, at a density of the others, shape (N, N).
    """

    own: Species
    q: Velocities
    rho: Array
    b: Array
    z: Array
    dual: Array
    flight: Array
    kept: Array
    lost: Array
    response: Array
    drift: Array


class Elimination:
    """The factorised equations at some unknowns u, for one shift, in dimension 1."""

    NAME: ClassVar[str] = "elimination"

    def __init__(self, system: KineticSystem, u: Array, shift: float) -> None:
        """Factorise.

        Raises:
            RunError: u holds values that are no numbers, or densities are so negative that nothing can be factorised.
        """
        assert isinstance(system.mesh, Line), "other meshes are for `twolevel`"
        self.system, self.mesh, self.c = system, system.mesh, system.epsilon**2 * shift
        f, g = system.split(u)
        rho_f, rho_g = f.e @ system.v_f.mass, g.e @ system.v_g.mass
        self.f, self.g = self._modes(f, rho_g, system.v_f), self._modes(g, rho_f, system.v_g)
        w, c_f = system.mesh.w[:, None], self.f.response
        # of drho_g in the difference, with drho_f = s_f - C_f drho_g put in
        matrix = -self.c * w * c_f - self.f.drift - self.g.drift @ c_f
        matrix[np.diag_indices_from(matrix)] -= self.c * system.mesh.w
        self.factors = lu_factor(matrix, check_finite=False)

    def solve(self, r: Array, out: Array) -> None:
        """Put the solution for the right side r into `out`, both vectors as those of the unknowns."""
        (r_f, r_g), (d_f, d_g), mesh = self.system.split(r), self.system.split(out), self.mesh
        x_f, x_g = self._project(self.f, r_f), self._project(self.g, r_g)
        s_f = self.f.z @ (self.f.kept * x_f).sum(axis=1)
        known = mesh.w * (r_f.e @ self.f.q.mass - r_g.e @ self.g.q.mass)
        known += self._source(self.f, r_f, x_f) - self._source(self.g, r_g, x_g)
        known -= self.c * mesh.w * s_f + self.g.drift @ s_f
        rho_g = lu_solve(self.factors, known, check_finite=False)
        rho_f = s_f - self.f.response @ rho_g
        self._back(self.f, r_f, rho_g, d_f)
        self._back(self.g, r_g, rho_f, d_g)

    def _modes(self, own: Species, rho: Array, q: Velocities) -> Modes:
        mesh, epsilon = self.mesh, self.system.epsilon
        a, b = collisions(mesh, self.c, rho)
        wa = mesh.w * a
        root = np.sqrt(wa)
        stiffness = mesh.stiffness(epsilon**2 * mesh.omega / b) / np.multiply.outer(root, root)
        decay, q_modes = eigh(stiffness, driver="evd", overwrite_a=True, check_finite=False)
        decay = np.maximum(decay, 0)
        decay[0] = 0  # of constants: that the flux changes no mass must not depend on rounding
        z = q_modes / root[:, None]
        flight = (mesh.derivative[0] @ z) * (epsilon * mesh.omega / b)[:, None]
        square = decay[:, None] * q.v[0] ** 2
        kept = q.mass / (1 + square)
        lost = kept * square
        dual = z * wa[:, None]
        carried = mesh.transport(epsilon * (own.o @ (q.mass * q.v[0])) * mesh.omega / b)
        response = z @ self._received(own, q, z, flight, kept).T
        drift = dual @ self._received(own, q, z, flight, lost).T - carried
        return Modes(own, q, rho, b, z, dual, flight, kept, lost, response, drift)

    def _received(self, own: Species, q: Velocities, z: Array, flight: Array, share: Array) -> Array:
        """What the modes get of a density of the others, weighted by shares: shape (N, N), the modes last."""
        mesh = self.mesh
        flown = mesh.values.T @ (flight * (own.o @ (share * q.v[0]).T))
        return np.asarray(z * ((own.e * mesh.w[:, None]) @ share.T) + flown, np.float64)

    def _project(self, m: Modes, r: Species) -> Array:
        """The right side of T_j de_j = ..., but for densities, in modes: shape (N, K/2)."""
        return np.asarray(m.z.T @ (r.e * self.mesh.w[:, None]) + (m.flight.T @ r.o) * m.q.v[0], np.float64)

    def _source(self, m: Modes, r: Species, x: Array) -> Array:
        """What the flux brings to the density, but for that of the others."""
        flux = self.system.epsilon * (r.o @ (m.q.mass * m.q.v[0])) / m.b
        return np.asarray(self.mesh.adjoint[0] @ flux - m.dual @ (m.lost * x).sum(axis=1), np.float64)

    def _back(self, m: Modes, r: Species, density: Array, out: Species) -> None:
        """All unknowns of a species from the density of the other."""
        mesh, flight = self.mesh, self.system.epsilon * m.q.v[0]
        even = r.e - m.own.e * density[:, None]
        odd = r.o - m.own.o * (mesh.values @ density)[:, None]
        x = self._project(m, Species(even, odd))
        out.e[:] = m.z @ (x * m.kept / m.q.mass)
        out.o[:] = (odd - mesh.derivative[0] @ (out.e * flight)) / m.b[:, None]
