"""Finite elements in x for the kinetic system, on n cells of equal size of the torus [0, 1).

What is even in v is continuous of degree p, with nodes and lumped mass of Gauss, Legendre and Lobatto; what is odd in v
is discontinuous of degree p - 1, known at the p Gauss points of each cell. Differentiation D takes the first to the
second exactly, and -W^-1 D^T Omega, its adjoint for the two masses, takes the second to the first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

import basix
from basix import CellType, ElementFamily, LagrangeVariant, QuadratureType

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """The matrices; both spaces have N = n p unknowns.

    Attributes:
        cells: n.
        degree: p.
        nodes: where even parts are known, shape (N,), increasing from 0.
        points: where odd parts are known, shape (N,).
        w: lumped mass of the nodes, W.
        omega: weights of the points, Omega.
        derivative: D, from nodes to points.
        values: R, interpolation from nodes to points.
        adjoint: D^T Omega.
        gather: R^T Omega.
    """

    cells: int
    degree: int
    nodes: Array
    points: Array
    w: Array
    omega: Array
    derivative: csr_matrix
    values: csr_matrix
    adjoint: csr_matrix
    gather: csr_matrix

    def even_at(self, x: Array) -> csr_matrix:
        """Evaluation of even parts at x in [0, 1), shape (len(x), N)."""
        cell, local = self._find(x)
        table = lagrange(self._reference_nodes(), local)[0]
        return self._rows(cell, np.arange(self.degree + 1), table)

    def odd_at(self, x: Array) -> csr_matrix:
        """Evaluation of odd parts at x in [0, 1), shape (len(x), N).

        Degree p - 1 is accurate to order p + 1 at the Gauss points only. Between them it is improved: the points of two
        cells give the value at the vertex between, the points of a cell and its two vertices a continuous function.
        """
        cell, local = self._find(x)
        points, p = self._reference_points(), self.degree
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

    def _reference_nodes(self) -> Array:
        return np.append(self.nodes[: self.degree] * self.cells, 1.0)

    def _reference_points(self) -> Array:
        return np.asarray(self.points[: self.degree] * self.cells, np.float64)


def line(cells: int, degree: int) -> Line:
    """Build the matrices for so many cells, elements of this degree."""
    points, weights = _rule(2 * degree - 1, QuadratureType.gauss_jacobi)
    nodes, lumped = _rule(2 * degree - 1, QuadratureType.gll)
    h, p = 1 / cells, degree
    w = np.tile(lumped[:p], cells) * h
    w[::p] += lumped[p] * h
    values, slopes = lagrange(nodes, points)
    columns = (np.arange(cells)[:, None, None] * p + np.arange(p + 1)) % (cells * p)
    columns = np.broadcast_to(columns, (cells, p, p + 1))
    rows = np.broadcast_to(np.arange(cells * p).reshape(cells, p, 1), columns.shape)

    def matrix(local: Array) -> csr_matrix:
        entries = np.broadcast_to(local, columns.shape)
        return csr_matrix((entries.ravel(), (rows.ravel(), columns.ravel())), shape=(cells * p, cells * p))

    omega = np.tile(weights, cells) * h
    first = np.repeat(np.arange(cells) * h, p)
    derivative, interpolation = matrix(slopes * cells), matrix(values)
    return Line(
        cells,
        degree,
        first + np.tile(nodes[:p], cells) * h,
        first + np.tile(points, cells) * h,
        w,
        omega,
        derivative,
        interpolation,
        csr_matrix(derivative.T.multiply(omega)),
        csr_matrix(interpolation.T.multiply(omega)),
    )


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
