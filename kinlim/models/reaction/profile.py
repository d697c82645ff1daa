"""Velocity profiles chi of the kinetic reaction model: with what velocities particles are made.

Each has chi > 0, mass one, mean zero and a positive definite D = int v (x) v chi dv: (3) of Neumann and Schmeiser, "A
kinetic reaction model: decay to equilibrium and macroscopic limit".
"""

from dataclasses import dataclass
from math import isfinite, pi
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from kinlim.table import Table

Array = NDArray[np.float64]

ROUNDING = 1e-9
"""What cannot be told from 0 in sums of numbers of order one."""

WORST = 1e4
"""Ratio of the eigenvalues of a covariance matrix, at most."""

LARGEST = 1e6
"""Size of velocities, at most; one over it at least."""


def _numbers(value: Any) -> Any:
    """Numbers, and lists of them, of TOML: as floats and tuples.

    Raises:
        ValueError: it is something else, or not finite.
    """
    if isinstance(value, list | tuple):
        return tuple(_numbers(part) for part in value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"must be made of finite numbers, and {str(value)[:40]!r} is none")
    return float(value)


def shown(value: Any) -> str:
    """Numbers as they stand in a study."""
    return f"[{', '.join(map(shown, value))}]" if isinstance(value, tuple | list) else f"{value:.12g}"


Matrix = Annotated[Any, BeforeValidator(_numbers)]
"""A covariance: a number for a multiple of the unit matrix, the entries of the diagonal, or the rows of a matrix."""

Lists = Annotated[Any, BeforeValidator(_numbers)]
"""A list of numbers, or of lists."""


@dataclass(frozen=True)
class Mixture:
    """sum_c weights_c N(means_c, covariances_c): arrays of shape (c,), (c, d) and (c, d, d)."""

    weights: Array
    means: Array
    covariances: Array


def matrix(value: Any, dimension: int) -> Array:
    """The covariance matrix, shape (dimension, dimension), that a `Matrix` means.

    Raises:
        ValueError: the shape is another one, or it is not symmetric and positive definite.
    """
    given = np.asarray(value, dtype=np.float64) if _is_regular(value) else np.empty((0, 0, 0))
    if given.shape not in ((), (dimension,), (dimension, dimension)):
        raise ValueError(
            f"must be a number, a list of {dimension} or a list of {dimension} lists of {dimension} numbers in "
            f"dimension {dimension}"
        )
    full = given * np.eye(dimension) if given.ndim < 2 else given
    if not np.allclose(full, full.T, rtol=ROUNDING, atol=0):
        raise ValueError("must be symmetric")
    values = np.linalg.eigvalsh(full)
    if not 1 / LARGEST**2 <= values[-1] <= LARGEST**2:
        raise ValueError(f"must have eigenvalues between {1 / LARGEST**2:g} and {LARGEST**2:g}; choose other units")
    if values[0] <= 0 or values[-1] > WORST * values[0]:
        raise ValueError(
            f"must be positive definite, with eigenvalues at most {WORST:g} apart; they are "
            + ", ".join(f"{value:.6g}" for value in values)
        )
    return full


def _is_regular(value: Any) -> bool:
    lengths = {len(row) if isinstance(row, tuple) else -1 for row in value} if isinstance(value, tuple) else {0}
    return len(lengths) == 1


class GaussianProfile(Table):
    """N(0, covariance).

    Attributes:
        covariance: D: a number for a multiple of the unit matrix, the diagonal, or the rows.
    """

    family: Literal["gaussian"]
    covariance: Matrix = 1.0

    def check(self, dimension: int) -> None:
        """Raise ValueError, which begins with the key, unless (3) holds in this dimension."""
        _named("covariance", self.covariance, dimension)

    def covariance_matrix(self, dimension: int) -> Array:
        """D, shape (dimension, dimension)."""
        return matrix(self.covariance, dimension)

    def mixture(self, dimension: int) -> Mixture:
        """The one Gaussian, as a mixture."""
        return Mixture(np.ones(1), np.zeros((1, dimension)), matrix(self.covariance, dimension)[None])

    def marginal(self, dimension: int) -> "GaussianProfile":
        """Law of the first component of v."""
        return GaussianProfile(family="gaussian", covariance=float(self.covariance_matrix(dimension)[0, 0]))

    def density(self, v: Array) -> Array:
        """Chi at v, shape (points, dimension)."""
        return _density(self.mixture(v.shape[1]), v)

    def quadrature(self, dimension: int, count: int) -> tuple[Array, Array]:
        """Points, shape (n, dimension), and weights, shape (n,), for means over chi; about count per dimension."""
        return _quadrature(self.mixture(dimension), count)


class MixtureProfile(Table):
    """sum_c weights_c N(means_c, covariances_c): for profiles that are not symmetric, or have several humps.

    Attributes:
        weights: positive, with sum 1.
        means: of the Gaussians; a number each in dimension 1, otherwise a list each. Their weighted sum is 0.
        covariances: like `GaussianProfile.covariance`, one each.
    """

    family: Literal["mixture"]
    weights: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=20, strict=False)]
    means: Lists
    covariances: Lists

    @model_validator(mode="after")
    def _lengths_agree(self) -> "MixtureProfile":
        for key in ("means", "covariances"):
            if not isinstance(getattr(self, key), tuple):
                raise ValueError(f"{key} = {shown(getattr(self, key))} must be a list, one entry for every Gaussian")
        if not len(self.weights) == len(self.means) == len(self.covariances):
            raise ValueError(
                f"weights, means and covariances have {len(self.weights)}, {len(self.means)} and "
                f"{len(self.covariances)} entries; they must have one each for every Gaussian"
            )
        if abs(sum(self.weights) - 1) > ROUNDING:
            raise ValueError(
                f"weights = {shown(self.weights)} have the sum {sum(self.weights):.12g}, not 1: chi must have mass one"
            )
        return self

    def check(self, dimension: int) -> None:
        """Raise ValueError, which begins with the key, unless (3) holds in this dimension."""
        for k, covariance in enumerate(self.covariances):
            _named(f"covariances[{k}]", covariance, dimension)
        for k, mean in enumerate(self.means):
            if np.shape(mean) not in (((), (1,)) if dimension == 1 else ((dimension,),)):
                raise ValueError(f"means[{k}] = {shown(mean)} must have {dimension} component(s)")
            if np.abs(mean).max() > LARGEST:
                raise ValueError(f"means[{k}] = {shown(mean)} must be at most {LARGEST:g} in size; choose other units")
        m = self.mixture(dimension)
        total = m.weights @ m.means
        if np.abs(total).max() > ROUNDING * max(1.0, np.abs(m.means).max()):
            raise ValueError(
                f"means = {shown(self.means)} give chi the mean velocity {shown(total.tolist())}; (3) needs 0, or the "
                "limit equation has a drift of order 1/epsilon"
            )

    def covariance_matrix(self, dimension: int) -> Array:
        """D, shape (dimension, dimension)."""
        m = self.mixture(dimension)
        return np.asarray(
            np.einsum("c,cij->ij", m.weights, m.covariances + m.means[:, :, None] * m.means[:, None, :]), np.float64
        )

    def mixture(self, dimension: int) -> Mixture:
        """Itself, as arrays."""
        return Mixture(
            np.array(self.weights),
            np.array([np.reshape(mean, dimension) for mean in self.means]),
            np.stack([matrix(covariance, dimension) for covariance in self.covariances]),
        )

    def marginal(self, dimension: int) -> "MixtureProfile":
        """Law of the first component of v."""
        m = self.mixture(dimension)
        return MixtureProfile(
            family="mixture",
            weights=self.weights,
            means=tuple(map(float, m.means[:, 0])),
            covariances=tuple(map(float, m.covariances[:, 0, 0])),
        )

    def density(self, v: Array) -> Array:
        """Chi at v, shape (points, dimension)."""
        return _density(self.mixture(v.shape[1]), v)

    def quadrature(self, dimension: int, count: int) -> tuple[Array, Array]:
        """Points, shape (n, dimension), and weights, shape (n,), for means over chi."""
        return _quadrature(self.mixture(dimension), count)


class PowerProfile(Table):
    """c (1 + |v|^2)^(-k): Student's t with 2 k - d degrees of freedom, up to scale. D is the unit matrix/(2 k - d - 2).

    Attributes:
        k: more than d/2 + 1, or D is infinite.
    """

    family: Literal["power"]
    k: Annotated[float, Field(gt=0, le=500)]

    def check(self, dimension: int) -> None:
        """Raise ValueError, which begins with the key, unless (3) holds in this dimension."""
        if self.k <= dimension / 2:
            raise ValueError(
                f"k = {self.k:g}: (1 + |v|^2)^(-k) is not integrable in dimension {dimension} unless k > "
                f"{dimension / 2:g}"
            )
        if self.k <= dimension / 2 + 1 + 1e-3:
            raise ValueError(
                f"k = {self.k:g}: (3) needs (1 + |v|^2) chi integrable, which in dimension {dimension} means k > "
                f"{dimension / 2 + 1:g} (by at least 0.001 here, or D is beyond measure)"
            )

    def covariance_matrix(self, dimension: int) -> Array:
        """D, shape (dimension, dimension)."""
        return np.asarray(np.eye(dimension) / (2 * self.k - dimension - 2), np.float64)

    def marginal(self, dimension: int) -> "PowerProfile":
        """Law of the first component of v: integrating one component out takes 1/2 from k."""
        return PowerProfile(family="power", k=self.k - (dimension - 1) / 2)

    def density(self, v: Array) -> Array:
        """Chi at v, shape (points, dimension)."""
        from scipy.special import gammaln

        d = v.shape[1]
        scale = np.exp(gammaln(self.k) - gammaln(self.k - d / 2)) / pi ** (d / 2)
        return np.asarray(scale * (1 + (v**2).sum(axis=1)) ** -self.k, np.float64)

    def quadrature(self, dimension: int, count: int) -> tuple[Array, Array]:
        """Points, shape (n, dimension), and weights, shape (n,), for means over chi.

        Angles by the trapezoidal rule and Gauss-Legendre.
        """
        radius, weights = self.radii(dimension, count)
        directions, shares = _directions(dimension, count)
        points = (radius[:, None, None] * directions[None]).reshape(-1, dimension)
        return points, np.asarray(np.outer(weights, shares).ravel(), np.float64)

    def radii(self, dimension: int, count: int) -> tuple[Array, Array]:
        """Values of |v| and their weights, each of shape (count,), for means over chi.

        With r = |v| and s = r^2/(1 + r^2), of the law Beta(d/2, k - d/2): Gauss-Jacobi in s for the weight with one
        power of 1 - s less, so that 1 and |v|^2 have exact means.
        """
        from scipy.special import roots_jacobi

        nodes, weights = roots_jacobi(count, self.k - dimension / 2 - 2, dimension / 2 - 1)
        s = (1 + nodes) / 2
        weights = weights * (1 - s)
        return np.sqrt(s / (1 - s)), weights / weights.sum()


def _directions(d: int, count: int) -> tuple[Array, Array]:
    """Points on the unit sphere of R^d and their shares."""
    if d == 1:
        return np.array([[1.0], [-1.0]]), np.full(2, 0.5)
    angle = 2 * pi * np.arange(2 * count) / (2 * count)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    if d == 2:
        return circle, np.full(2 * count, 1 / (2 * count))
    z, weight = np.polynomial.legendre.leggauss(count)
    across = np.sqrt(1 - z**2)
    points = np.concatenate(
        [
            (across[:, None, None] * circle[None]).reshape(-1, 2),
            np.repeat(z, 2 * count)[:, None],
        ],
        axis=1,
    )
    return points, np.asarray(np.repeat(weight / 2, 2 * count) / (2 * count), np.float64)


def _named(key: str, value: Any, dimension: int) -> None:
    try:
        matrix(value, dimension)
    except ValueError as error:
        raise ValueError(f"{key} = {shown(value)} {error}") from None


def _density(m: Mixture, v: Array) -> Array:
    total = np.zeros(len(v))
    for weight, mean, covariance in zip(m.weights, m.means, m.covariances, strict=True):
        offset = v - mean
        square = np.einsum("ni,ni->n", offset, np.linalg.solve(covariance, offset.T).T)
        total += weight * np.exp(-square / 2) / np.sqrt(np.linalg.det(2 * pi * covariance))
    return total


def _quadrature(m: Mixture, count: int) -> tuple[Array, Array]:
    from scipy.special import roots_hermitenorm

    d = m.means.shape[1]
    nodes, weights = roots_hermitenorm(count)
    weights = weights / weights.sum()
    grid = np.stack(np.meshgrid(*[nodes] * d, indexing="ij"), axis=-1).reshape(-1, d)
    shares = np.prod(np.stack(np.meshgrid(*[weights] * d, indexing="ij"), axis=-1).reshape(-1, d), axis=1)
    roots = np.linalg.cholesky(m.covariances)
    points = np.concatenate([mean + grid @ root.T for mean, root in zip(m.means, roots, strict=True)])
    return points, np.concatenate([weight * shares for weight in m.weights])


Profile = GaussianProfile | PowerProfile | MixtureProfile
"""Any of them."""

ProfileTable = Annotated[Profile, Field(discriminator="family")]
"""As a table of a study."""
