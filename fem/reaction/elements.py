"""Finite elements in x for the kinetic system, on n^d cells of equal size of the torus [0, 1)^d.

What is even in v is continuous of degree p, with nodes and lumped mass of Gauss, Legendre and Lobatto; what is odd in v
is discontinuous, known at points of each cell. Differentiation D_a along axis a takes the first to the second exactly,
and -W^-1 D_a^T Omega, its adjoint for the two masses, takes the second to the first.

In dimension 1 what is odd has degree p - 1, and the points are the p Gauss points. In dimension 2 derivatives along
both axes share no space smaller than all polynomials of degree p: the points are the nodes, in each cell anew.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, eye_array, kron

import basix
from basix import CellType, ElementFamily, LagrangeVariant, QuadratureType

Array = NDArray[np.float64]

ROUNDING = 1e-13
"""Values and slopes of polynomials in a cell that are 0."""


@dataclass(frozen=True)
class Elements(ABC):
    """The matrices, for N nodes and P points.

    Attributes:
        cells: n, along each axis.
        degree: p.
        nodes: where even parts are known, shape (N, d).
        points: where odd parts are known, shape (P, d).
        w: lumped mass of the nodes, W.
        omega: weights of the points, Omega.
        derivative: D_a, from nodes to points, for each axis.
        values: R, interpolation from nodes to points.
        adjoint: D_a^T Omega, for each axis.
    """

    cells: int
    degree: int
    nodes: Array
    points: Array
    w: Array
    omega: Array
    derivative: tuple[csr_matrix, ...]
    values: csr_matrix
    adjoint: tuple[csr_matrix, ...]

    @property
    def dimension(self) -> int:
        """D."""
        return len(self.derivative)

    @abstractmethod
    def on_grid(self, count: int) -> tuple[csr_matrix, csr_matrix]:
        """Evaluation of even and of odd parts on the uniform grid i/count, the last axis first to move."""


class Weighted:
    """A^T diag(x) B for sparse A and B with P rows and N columns and any x, as a full matrix.

    The same as scipy's products of sparse matrices, at a tenth of the time where they are small.
    """

    def __init__(self, a: csr_matrix, b: csr_matrix) -> None:
        """Find which entries meet."""
        self.columns = a.shape[1]
        points, index, products = [], [], []
        for p in range(a.shape[0]):
            own, other = slice(*a.indptr[p : p + 2]), slice(*b.indptr[p : p + 2])
            index.append(np.add.outer(a.indices[own].astype(np.int64) * self.columns, b.indices[other]).ravel())
            products.append(np.outer(a.data[own], b.data[other]).ravel())
            points.append(np.full(len(index[-1]), p))
        self.points, self.index, self.products = map(np.concatenate, (points, index, products))

    def __call__(self, x: Array) -> Array:
        """The matrix, shape (N, N)."""
        entries = np.bincount(self.index, self.products * x[self.points], minlength=self.columns**2)
        return entries.reshape(self.columns, self.columns)


class Line(Elements):
    """Dimension 1, N = P = n p; nodes increase from 0."""

    @cached_property
    def stiffness(self) -> Weighted:
        """D^T diag(x) D."""
        return Weighted(self.derivative[0], self.derivative[0])

    @cached_property
    def transport(self) -> Weighted:
        """D^T diag(x) R."""
        return Weighted(self.derivative[0], self.values)

    def on_grid(self, count: int) -> tuple[csr_matrix, csr_matrix]:
        """Evaluation of even and of odd parts."""
        x = np.arange(count) / count
        return self.even_at(x), self.odd_at(x)

    def even_at(self, x: Array) -> csr_matrix:
        """Evaluation of even parts at x in [0, 1), shape (len(x), N)."""
        cell, local = self._find(x)
        table = lagrange(self.reference_nodes(), local)[0]
        return self._rows(cell, np.arange(self.degree + 1), table)

    def odd_at(self, x: Array) -> csr_matrix:
        """Evaluation of odd parts at x in [0, 1), shape (len(x), N).

        Degree p - 1 is accurate to order p + 1 at the Gauss points only. Between them it is improved: the points of two
        cells give the value at the vertex between, the points of a cell and its two vertices a continuous function.
        """
        cell, local = self._find(x)
        points, p = self.reference_points(), self.degree
        vertex = lagrange(np.concatenate([points, points + 1]) / 2, np.full(1, 0.5))[0][0]  # from 2p points around
        table = lagrange(np.concatenate([[0.0], points, [1.0]]), local)[0]
        wide = np.zeros((len(x), 3 * p))  # on the points of the cells before, here, and after
        wide[:, : 2 * p] += table[:, :1] * vertex
        wide[:, p : 2 * p] += table[:, 1:-1]
        wide[:, p:] += table[:, -1:] * vertex
        return self._rows(cell, np.arange(-p, 2 * p), wide)

    def _find(self, x: Array) -> tuple[NDArray[np.int64], Array]:
        """Cells, and positions in them between 0 and 1."""
        cell = np.minimum((x * self.cells).astype(np.int64), self.cells - 1)
        return cell, x * self.cells - cell

    def _rows(self, cell: NDArray[np.int64], offsets: NDArray[np.int64], table: Array) -> csr_matrix:
        """Matrix with the rows `table`, for unknowns at the offsets from the first one of each cell."""
        size = self.cells * self.degree
        columns = (cell[:, None] * self.degree + offsets) % size
        rows = np.broadcast_to(np.arange(len(cell))[:, None], columns.shape)
        return csr_matrix((table.ravel(), (rows.ravel(), columns.ravel())), shape=(len(cell), size))

    def reference_nodes(self) -> Array:
        """Nodes of a cell [0, 1]."""
        return np.append(self.nodes[: self.degree, 0] * self.cells, 1.0)

    def reference_points(self) -> Array:
        """Points of a cell [0, 1]."""
        return np.asarray(self.points[: self.degree, 0] * self.cells, np.float64)


class Square(Elements):
    """Dimension 2, N = (n p)^2 and P = (n (p + 1))^2."""

    def on_grid(self, count: int) -> tuple[csr_matrix, csr_matrix]:
        """Evaluation of even parts, and of odd ones from the Gauss points, where derivatives are most accurate."""
        x, one = np.arange(count) / count, line(self.cells, self.degree)
        to_gauss = lagrange(one.reference_nodes(), one.reference_points())[0]
        even, odd = one.even_at(x), one.odd_at(x) @ kron(eye_array(self.cells), to_gauss)
        return csr_matrix(kron(even, even)), csr_matrix(kron(odd, odd))


def line(cells: int, degree: int) -> Line:
    """Elements of dimension 1: so many cells, elements of this degree."""
    nodes, lumped = _rule(2 * degree - 1, QuadratureType.gll)
    points, weights = _rule(2 * degree - 1, QuadratureType.gauss_jacobi)
    derivative, values = _along(cells, degree, nodes, points)
    return Line(
        cells,
        degree,
        _repeated(nodes[:-1], cells)[:, None],
        _repeated(points, cells)[:, None],
        _lumped(lumped, cells),
        np.tile(weights, cells) / cells,
        (derivative,),
        values,
        _adjoints((derivative,), np.tile(weights, cells) / cells),
    )


def square(cells: int, degree: int) -> Square:
    """Elements of dimension 2: so many cells along each axis, elements of this degree in each variable."""
    nodes, lumped = _rule(2 * degree - 1, QuadratureType.gll)
    derivative, values = _along(cells, degree, nodes, nodes)
    w, omega = _lumped(lumped, cells), np.tile(lumped, cells) / cells
    omega = np.outer(omega, omega).ravel()
    both = csr_matrix(kron(derivative, values)), csr_matrix(kron(values, derivative))
    return Square(
        cells,
        degree,
        _pairs(_repeated(nodes[:-1], cells)),
        _pairs(_repeated(nodes, cells)),
        np.outer(w, w).ravel(),
        omega,
        both,
        csr_matrix(kron(values, values)),
        _adjoints(both, omega),
    )


def _along(cells: int, degree: int, nodes: Array, points: Array) -> tuple[csr_matrix, csr_matrix]:
    """Differentiation and interpolation along one axis, from nodes to points, both given in the cell [0, 1]."""
    values, slopes = lagrange(nodes, points)
    values[np.abs(values) < ROUNDING] = 0
    slopes[np.abs(slopes) < ROUNDING] = 0
    shape = cells, len(points), degree + 1
    columns = np.broadcast_to((np.arange(cells)[:, None, None] * degree + np.arange(degree + 1)), shape)
    rows = np.broadcast_to(np.arange(cells * len(points)).reshape(cells, len(points), 1), shape)

    def matrix(local: Array) -> csr_matrix:
        entries, size = np.broadcast_to(local, shape).ravel(), cells * degree
        made = csr_matrix((entries, (rows.ravel(), columns.ravel() % size)), shape=(cells * len(points), size))
        made.eliminate_zeros()
        return made

    return matrix(slopes * cells), matrix(values)


def _adjoints(derivative: tuple[csr_matrix, ...], omega: Array) -> tuple[csr_matrix, ...]:
    return tuple(csr_matrix(matrix.T.multiply(omega)) for matrix in derivative)


def _repeated(local: Array, cells: int) -> Array:
    """Positions in [0, 1] of a cell, in all cells."""
    h = 1 / cells
    return np.asarray(np.repeat(np.arange(cells) * h, len(local)) + np.tile(local, cells) * h, np.float64)


def _lumped(weights: Array, cells: int) -> Array:
    """Lumped mass along one axis: neighbours share the vertex between them."""
    w = np.tile(weights[:-1], cells) / cells
    w[:: len(weights) - 1] += weights[-1] / cells
    return w


def _pairs(x: Array) -> Array:
    """All pairs of positions, shape (n^2, 2), the last axis first to move."""
    return np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)


def _rule(exact: int, kind: QuadratureType) -> tuple[Array, Array]:
    """Points and weights on [0, 1], increasing."""
    points, weights = basix.make_quadrature(CellType.interval, exact, rule=kind)
    order = np.argsort(points[:, 0])
    return points[order, 0], weights[order]


def lagrange(nodes: Array, x: Array) -> tuple[Array, Array]:
    """Values and derivatives at x of the Lagrange polynomials of nodes in [0, 1], each (len(x), len(nodes))."""
    legendre = basix.create_element(
        ElementFamily.P, CellType.interval, len(nodes) - 1, LagrangeVariant.legendre, discontinuous=True
    )
    inverse = np.linalg.inv(legendre.tabulate(0, nodes[:, None])[0, :, :, 0])
    values, slopes = legendre.tabulate(1, np.ascontiguousarray(x)[:, None])[:, :, :, 0]
    return values @ inverse, slopes @ inverse
