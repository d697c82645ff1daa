"""Integrals over boxes, axis by axis, for elements of degree p >= 2 with the nodes of a Gauss-Lobatto rule.

    R_a = integral of F(x, u, grad u) . grad phi_a + S(x, u, grad u) phi_a

over cells that are parallel to the axes, by the rule of the nodes: u is known there, and a derivative along an axis is
one of polynomials in one variable. That takes d (p + 1)^(d + 1) products a cell in place of (p + 1)^(2 d), and keeps
the order p + 1; see Patera, "A spectral element method for fluid dynamics", J. Comput. Phys. 54 (1984) 468-488. FFCx
compiles F and S, for a node of eight cells at a time.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, Self

import numpy as np
from llvmlite import ir
from numba import njit, types, uintp
from numba.extending import intrinsic
from numpy.typing import NDArray

import basix
import basix.ufl
import ufl
from dolfinx import fem
from dolfinx.mesh import Mesh
from mpi4py import MPI
from ufl.algorithms import expand_derivatives
from ufl.algorithms.analysis import extract_coefficients, extract_constants
from ufl.algorithms.apply_algebra_lowering import apply_algebra_lowering
from ufl.algorithms.expand_indices import expand_indices
from ufl.algorithms.remove_complex_nodes import remove_complex_nodes
from ufl.classes import Coefficient, GeometricQuantity, Grad, SpatialCoordinate, Zero
from ufl.corealg.traversal import unique_pre_traversal

from kinlim.compat import cell_nodes
from kinlim.fem.compiled import compiled_expression

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

LANES = 8
"""Cells that are worked on at a time."""

NOTHING = np.empty(0)

BOXES = ("interval", "quadrilateral", "hexahedron")

PARALLEL = 1e-9
"""Deviation of a cell from a box parallel to the axes, over its size, that is rounding."""


class Rule(NamedTuple):
    """The Gauss-Lobatto rule on [0, 1]^d with n nodes an axis, of which the last is the fastest.

    Attributes:
        points: shape (n^d, d).
        weights: shape (n^d,).
        derivative: of the polynomial on [0, 1] that is 1 in the k-th node, at the i-th node; shape (n, n).
    """

    points: Array
    weights: Array
    derivative: Array

    @classmethod
    def of(cls, degree: int, dimension: int) -> Self:
        """With the nodes of elements of a degree."""
        element = _element(basix.CellType.interval, degree)
        points, weights = basix.make_quadrature(basix.CellType.interval, 2 * degree - 1, rule=basix.QuadratureType.gll)
        given, own = np.argsort(points[:, 0]), np.argsort(element.points[:, 0])
        nodes, weights = element.points[own], weights[given]
        assert np.allclose(points[given], nodes)
        return cls(
            np.stack(np.meshgrid(*dimension * [nodes[:, 0]], indexing="ij"), axis=-1).reshape(-1, dimension),
            np.ravel(reduce(np.multiply.outer, dimension * [weights])),
            element.tabulate(1, nodes)[1, :, own, 0].T.copy(),
        )


def _element(cell: basix.CellType, degree: int) -> Any:
    """Basix's continuous Lagrange element with Gauss-Lobatto nodes."""
    variants = basix.LagrangeVariant.gll_warped, basix.DPCVariant.unset
    return basix.create_element(basix.ElementFamily.P, cell, degree, *variants, False)


@dataclass(frozen=True)
class Cells:
    """This rank's own cells, in batches of `LANES`; the last cell fills up the last batch.

    Attributes:
        count: cells.
        numbers: of each cell: its volume; volume over width, one an axis; 1 over width; the corner that the reference
            cell has at 0; width, which may be negative. Shape (batches, 1 + 4 d, LANES).
    """

    count: int
    numbers: Array

    @classmethod
    def of(cls, mesh: Mesh) -> Self | None:
        """Of a mesh; None if they are no boxes parallel to the axes on some rank. Collective."""
        dimension = mesh.topology.dim
        if mesh.topology.cell_name() not in BOXES or mesh.geometry.dim != dimension:
            return None
        count = mesh.topology.index_map(dimension).size_local
        corners = mesh.geometry.x[cell_nodes(mesh)[:count]][:, :, :dimension]
        straight = corners.shape[1] == 2**dimension
        if straight:
            low, width = corners[:, 0], corners[:, -1] - corners[:, 0]
            bits = np.arange(2**dimension)[:, None] >> np.arange(dimension) & 1
            bent = np.abs(corners - (low[:, None] + bits * width[:, None])).max(axis=(1, 2))
            straight = bool((bent <= PARALLEL * np.abs(width).min(axis=1)).all())
        if not mesh.comm.allreduce(straight, MPI.LAND):
            return None
        volume = np.abs(width).prod(axis=1, keepdims=True)
        return cls(count, batches(np.hstack([volume, volume / width, 1 / width, low, width])))


def batches(cells: NDArray[Any]) -> NDArray[Any]:
    """Numbers of cells, shape (cells, n), with `LANES` cells side by side: shape (batches, n, LANES)."""
    fill = -len(cells) % LANES
    filled = np.concatenate([cells, np.repeat(cells[-1:], fill, axis=0)])
    return np.ascontiguousarray(np.moveaxis(filled.reshape(len(filled) // LANES, LANES, cells.shape[1]), 1, 2))


class Boxes:
    """Those integrals of a form that can be summed so.

    What is known at a node is numbered: with m unknowns u_c in dimension d, first u_c as c, then its derivative along
    the axis j as m + c d + j, then the coordinate x_j as m + m d + j; test functions and their derivatives likewise.
    """

    def __init__(self, u: fem.Function, cells: Cells, integrands: list[Any]) -> None:
        """Compile the integrands. Collective."""
        space, mesh = u.function_space, u.function_space.mesh
        degree, dimension, block = space.ufl_element().embedded_superdegree, mesh.topology.dim, space.dofmap.bs
        self.u, self.cells, self.rule = u, cells, Rule.of(degree, dimension)
        kind, points = mesh.topology.cell_name(), np.full((LANES, dimension), 0.5)
        lanes = basix.ufl.quadrature_element(kind, points=points, weights=np.full(LANES, 1 / LANES))
        values = ufl.FunctionSpace(mesh.ufl_domain(), lanes)
        tests = block * (1 + dimension)
        known = [Coefficient(values) for _ in range(tests + dimension)]
        parts = [sum((_part(e, u, known, k) for e in integrands), Zero()) for k in range(tests)]
        written = [k for k, part in enumerate(parts) if not isinstance(part, Zero)]
        expression = ufl.as_vector([parts[k] for k in written])
        read = [known.index(c) for c in extract_coefficients(expression)]
        self.constants = [np.asarray(c.value).reshape(-1) for c in extract_constants(expression)]
        self.compiled = compiled_expression(expression, points, mesh.comm)
        self.plan = _plan(read, written, block, dimension, degree + 1)
        nodes = _element(basix.CellType[kind], degree).points
        order = np.lexsort(np.round(nodes, 12).T[::-1])  # the last axis is the fastest
        self.first = batches(space.dofmap.list[: cells.count, order] * np.int64(block))

    @classmethod
    def of(cls, form: ufl.Form, u: fem.Function) -> tuple[Self | None, ufl.Form]:
        """What can be summed axis by axis, or None, and the rest of the form. Collective.

        Args:
            form: linear in one test function of u's space, without u_t.
            u: the unknown, of continuous Lagrange elements of degree 2 and more if anything is to be summed so.
        """
        space = u.function_space
        element, scalar = space.ufl_element(), space.ufl_element()
        if space.dofmap.bs > 1:
            (scalar,) = set(element.sub_elements)
        suits = (
            not form.empty()
            and getattr(scalar, "lagrange_variant", None) == basix.LagrangeVariant.gll_warped
            and not scalar.discontinuous
            and element.embedded_superdegree > 1
        )
        cells = Cells.of(space.mesh) if suits else None
        if cells is None:
            return None, form
        integrals = expand_derivatives(form).integrals()
        ours = [integral for integral in integrals if _is_pointwise(integral, u)]
        if not ours:
            return None, form
        rest = ufl.Form([integral for integral in integrals if integral not in ours])
        return cls(u, cells, [apply_algebra_lowering(remove_complex_nodes(i.integrand())) for i in ours]), rest

    def add(self, vector: Array) -> None:
        """Add the integrals over this rank's cells to a vector of its unknowns and ghosts, unrolled."""
        constants = np.concatenate([NOTHING, *self.constants])
        _add(
            vector, self.u.x.array, self.first, self.cells.count, self.cells.numbers, self.rule.points,
            self.rule.weights, self.rule.derivative, *self.plan, self.compiled.address, constants,
        )  # fmt: skip


def _is_pointwise(integral: Any, u: fem.Function) -> bool:
    """Whether an integral is one over all cells of what only depends on x, u, grad u, constants, and the test."""
    if integral.integral_type() != "cell" or integral.subdomain_id() not in ("everywhere", ("everywhere",), -1, (-1,)):
        return False
    for node in unique_pre_traversal(integral.integrand()):
        if isinstance(node, Coefficient) and node != u:
            return False
        if isinstance(node, GeometricQuantity) and not isinstance(node, SpatialCoordinate):
            return False
        if isinstance(node, Grad) and not node.ufl_operands[0]._ufl_is_terminal_:
            return False
    return True


def _part(integrand: Any, u: fem.Function, known: list[Coefficient], number: int) -> Any:
    """The factor of a test function's component or derivative in an integrand, of what is known at a node."""
    (test,) = ufl.algorithms.extract_arguments(integrand)
    m, (d,) = u.function_space.dofmap.bs, ufl.SpatialCoordinate(u.function_space.mesh).ufl_shape
    unit = [ufl.as_ufl(1.0) if k == number else Zero() for k in range(m * (1 + d))]
    replaced = {ufl.SpatialCoordinate(u.function_space.mesh): ufl.as_vector(known[m + m * d :])}
    for function, entries in ((u, known), (test, unit)):
        rows = [ufl.as_vector(entries[m + c * d : m + c * d + d]) for c in range(m)]
        scalar = not function.ufl_shape
        replaced[ufl.grad(function)] = rows[0] if scalar else ufl.as_matrix([[*row] for row in rows])
        replaced[function] = entries[0] if scalar else ufl.as_vector(entries[:m])
    return expand_indices(ufl.replace(integrand, replaced))


def _plan(read: list[int], written: list[int], block: int, dimension: int, n: int) -> tuple[Indices, ...]:
    """What is done with columns of numbers at the nodes; the first ones are those `read`, in this order.

    Returns:
        gathered (column, component); derived (column, column of the unknown, axis, nodes between two of the axis);
        placed (column, axis); and of what is `written` (component, row of `Cells.numbers`, nodes between two of the
        axis, or 0 for no derivative).
    """
    tests = block * (1 + dimension)
    derivatives = {k: divmod(k - block, dimension) for k in range(block, tests)}
    between = [n ** (dimension - 1 - axis) for axis in range(dimension)]
    numbers = dict.fromkeys([*read, *(derivatives[k][0] for k in read if k in derivatives)])
    columns = {k: column for column, k in enumerate(numbers)}
    gathered = [(column, k) for k, column in columns.items() if k < block]
    derived = [
        (columns[k], columns[derivatives[k][0]], derivatives[k][1], between[derivatives[k][1]])
        for k in read
        if k in derivatives
    ]
    placed = [(columns[k], k - tests) for k in read if k >= tests]
    tested = [
        (k, 0, 0) if k < block else (derivatives[k][0], 1 + derivatives[k][1], between[derivatives[k][1]])
        for k in written
    ]
    plan = ((gathered, 2), (derived, 4), (placed, 2), (tested, 3))
    return tuple(np.array(rows, np.int64).reshape(-1, width) for rows, width in plan)


@intrinsic
def _call(typing: Any, function: Any, out: Any, inputs: Any, constants: Any) -> Any:
    """Call a compiled expression at an address, with the addresses of what it writes and reads."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word] * 7)
        unused = [ir.Constant(word, 0)] * 3  # coordinates, entity, permutation; and custom data, if there are such
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [*arguments[1:], *unused, unused[0]])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp), code


COMPILED: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


@njit(**COMPILED)
def _along(f, p, derivative, inner, out, r):  # type: ignore[no-untyped-def]
    """Add the derivative of f's column p along an axis to out's column r; `inner` nodes lie between two of the axis.

    Both have the shape (nodes, columns, LANES). Indices are unsigned: none counts from the end, which takes time.
    """
    n, inner, p, r = uintp(len(derivative)), uintp(inner), uintp(p), uintp(r)
    for o in range(uintp(len(f)) // (n * inner)):
        for i in range(n):
            for m in range(inner):
                row = (o * n + i) * inner + m
                for k in range(n):
                    factor, column = derivative[i, k], (o * n + k) * inner + m
                    for lane in range(uintp(LANES)):
                        out[row, r, lane] += factor * f[column, p, lane]


@njit(**COMPILED)
def _add(  # type: ignore[no-untyped-def]
    vector, u, first, count, cells, points, weights, derivative, gathered, derived, placed, tested, function, constants
):
    """See `Boxes.add` and `_plan`."""
    (number, size, _), lanes = first.shape, uintp(LANES)
    adjoint = derivative.T.copy()
    known = np.empty((size, len(gathered) + len(derived) + len(placed), LANES))
    outputs, found = np.empty((LANES, len(tested))), np.empty((size, len(tested), LANES))
    components = 1 + tested[:, 0].max()
    total = np.empty((size, components, LANES))
    for batch in range(number):
        for p, c in gathered:
            for q in range(uintp(size)):
                for lane in range(lanes):
                    known[q, uintp(p), lane] = u[uintp(first[batch, q, lane] + c)]
        for p, source, axis, between in derived:
            known[:, p] = 0.0
            _along(known, source, derivative, between, known, p)
            row = uintp(1 + points.shape[1] + axis)
            for q in range(uintp(size)):
                for lane in range(lanes):
                    known[q, uintp(p), lane] *= cells[batch, row, lane]
        for p, axis in placed:
            low, width = 1 + 2 * points.shape[1] + axis, 1 + 3 * points.shape[1] + axis
            for q in range(size):
                known[q, p] = cells[batch, low] + points[q, axis] * cells[batch, width]
        for q in range(uintp(size)):
            outputs[:] = 0.0
            _call(function, outputs.ctypes.data, known[q].ctypes.data, constants.ctypes.data)
            for p in range(uintp(len(tested))):
                row = uintp(tested[p, 1])
                for lane in range(lanes):
                    found[q, p, lane] = weights[q] * cells[batch, row, lane] * outputs[lane, p]
        total[:] = 0.0
        for p in range(len(tested)):
            c, _, between = tested[p]
            if between:
                _along(found, p, adjoint, between, total, c)
            else:
                for q in range(uintp(size)):
                    for lane in range(lanes):
                        total[q, uintp(c), lane] += found[q, uintp(p), lane]
        for lane in range(uintp(min(LANES, count - batch * LANES))):
            for q in range(uintp(size)):
                for c in range(uintp(components)):
                    vector[uintp(first[batch, q, lane]) + c] += total[q, c, lane]
