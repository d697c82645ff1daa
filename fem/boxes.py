"""Integrals over boxes, axis by axis, for Lagrange elements with Gauss-Lobatto nodes.

    R_a = integral of F(x, u, grad u) . grad phi_a + S(x, u, grad u) phi_a

over cells parallel to the axes, by a Gauss rule. Interpolation to its points and derivatives there are those of
polynomials in one variable, one axis after the other, which takes some 4 d (p + 1)^(d + 1) products a cell for degree p
in place of (p + 1)^(2 d); see Orszag, "Spectral methods for problems in complex geometries", J. Comput. Phys. 37 (1980)
70-92. FFCx compiles F and S, for a point of eight cells at a time. It is the sum that FFCx's own kernels form.
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
"""The constants of a form without any."""

BOXES = ("quadrilateral", "hexahedron")
"""Cells that are summed so, if they are parallel to the axes."""

LEAST = 2
"""Degree from which on this is faster than FFCx's kernels; on intervals it never is."""

PARALLEL = 1e-9
"""Deviation of a cell from a box parallel to the axes, over its size, that is rounding."""


class Rule(NamedTuple):
    """A Gauss rule of q points an axis on [0, 1]^d, for polynomials given at n nodes an axis; the last axis is fastest.

    Attributes:
        points: shape (q^d, d).
        weights: shape (q^d,).
        interpolation: values at the points of the polynomials that are 1 in a node and 0 in the others, shape (q, n).
        derivative: of the polynomial of degree q - 1 that is 1 in the k-th point, at the i-th; shape (q, q).
    """

    points: Array
    weights: Array
    interpolation: Array
    derivative: Array

    @classmethod
    def of(cls, exact: int, degree: int, dimension: int) -> Self:
        """Exact for polynomials of one degree, for elements of another."""
        points, weights = basix.make_quadrature(basix.CellType.interval, exact)
        element = _element(basix.CellType.interval, degree)
        values = element.tabulate(0, points)[0, :, np.argsort(element.points[:, 0]), 0].T
        lagrange = np.linalg.inv(np.polynomial.legendre.legvander(2 * points[:, 0] - 1, len(points) - 1))
        slopes = np.polynomial.legendre.legder(lagrange, scl=2) if len(points) > 1 else np.zeros((1, 1))
        derivative = np.polynomial.legendre.legval(2 * points[:, 0] - 1, slopes).T
        return cls(
            np.stack(np.meshgrid(*dimension * [points[:, 0]], indexing="ij"), axis=-1).reshape(-1, dimension),
            np.ravel(reduce(np.multiply.outer, dimension * [weights])),
            values.copy(),
            derivative.copy(),
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
        numbers: of each cell: volume over width, one an axis; 1 over width; the corner that the reference cell has at
            0; width; and the volume. Shape (batches, 4 d + 1, LANES).
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
            straight = bool((bent <= PARALLEL * width.min(axis=1)).all())
        if not mesh.comm.allreduce(straight, MPI.LAND):
            return None
        volume = width.prod(axis=1, keepdims=True)
        return cls(count, batches(np.hstack([volume / width, 1 / width, low, width, volume])))


def batches(cells: NDArray[Any]) -> NDArray[Any]:
    """Numbers of cells, shape (cells, n), with `LANES` cells side by side: shape (batches, n, LANES)."""
    fill = -len(cells) % LANES
    filled = np.concatenate([cells, np.repeat(cells[-1:], fill, axis=0)])
    return np.ascontiguousarray(np.moveaxis(filled.reshape(len(filled) // LANES, LANES, cells.shape[1]), 1, 2))


class Boxes:
    """Those integrals of a form that can be summed so, by one rule.

    What is known at a point is numbered: with m unknowns u_c in dimension d, first u_c as c, then its derivative along
    the axis j as m + c d + j, then the coordinate x_j as m + m d + j; test functions and their derivatives likewise.
    """

    def __init__(self, u: fem.Function, cells: Cells, exact: int, integrands: list[Any]) -> None:
        """Compile the integrands, for a rule that is exact to a degree. Collective."""
        space, mesh = u.function_space, u.function_space.mesh
        degree, dimension, block = space.ufl_element().embedded_superdegree, mesh.topology.dim, space.dofmap.bs
        self.u, self.cells, self.rule = u, cells, Rule.of(exact, degree, dimension)
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
        self.plan = _plan(read, written, block, dimension)
        nodes = _element(basix.CellType[kind], degree).points
        order = np.lexsort(np.round(nodes, 12).T[::-1])  # the last axis is the fastest
        self.first = batches(space.dofmap.list[: cells.count, order] * np.int64(block))

    @classmethod
    def of(cls, form: ufl.Form, u: fem.Function) -> tuple[list[Self], ufl.Form]:
        """What can be summed axis by axis, rule by rule, and the rest of the form. Collective.

        Args:
            form: linear in one test function of u's space, without u_t.
            u: the unknown, of Lagrange elements of degree `LEAST` or more if anything is to be summed so.
        """
        space = u.function_space
        (element,) = set(space.ufl_element().sub_elements) if space.dofmap.bs > 1 else {space.ufl_element()}
        suits = (
            getattr(element, "lagrange_variant", None) == basix.LagrangeVariant.gll_warped
            and element.embedded_superdegree >= LEAST
        )
        cells = Cells.of(space.mesh) if suits else None
        if cells is None or form.empty():
            return [], form
        rules: dict[int, list[Any]] = {}
        rest = []
        for integral in expand_derivatives(form).integrals():
            exact = integral.metadata().get("quadrature_degree", -1)
            if isinstance(exact, int) and exact >= 2 * element.embedded_superdegree and _is_pointwise(integral, u):
                integrand = apply_algebra_lowering(remove_complex_nodes(integral.integrand()))
                rules.setdefault(exact, []).append(integrand)
            else:
                rest.append(integral)
        return [cls(u, cells, exact, integrands) for exact, integrands in rules.items()], ufl.Form(rest)

    def add(self, vector: Array) -> None:
        """Add the integrals over this rank's cells to a vector of its unknowns and ghosts, unrolled."""
        constants = np.concatenate([NOTHING, *self.constants])
        _add(
            vector, self.u.x.array, self.first, self.cells.count, self.cells.numbers, *self.rule, *self.plan,
            self.compiled.address, constants,
        )  # fmt: skip


def _is_pointwise(integral: Any, u: fem.Function) -> bool:
    """Whether an integral is one over all cells, by Gauss, of x, u, grad u, constants, and the test alone."""
    if integral.metadata().get("quadrature_rule", "default") != "default":
        return False
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


def _plan(read: list[int], written: list[int], block: int, dimension: int) -> tuple[Indices, ...]:
    """What is done with columns of numbers at the points; the first ones are those `read`, in this order.

    Returns:
        interpolated (column, component); derived (column, column of the unknown, axis); placed (column, axis); and of
        what is `written` (component, axis, or -1 for no derivative).
    """
    tests = block * (1 + dimension)
    derivatives = {k: divmod(k - block, dimension) for k in range(block, tests)}
    numbers = dict.fromkeys([*read, *(derivatives[k][0] for k in read if k in derivatives)])
    columns = {k: column for column, k in enumerate(numbers)}
    interpolated = [(column, k) for k, column in columns.items() if k < block]
    derived = [(columns[k], columns[derivatives[k][0]], derivatives[k][1]) for k in read if k in derivatives]
    placed = [(columns[k], k - tests) for k in read if k >= tests]
    tested = [derivatives.get(k, (k, -1)) for k in written]
    plan = ((interpolated, 2), (derived, 3), (placed, 2), (tested, 2))
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
def _along(f, matrix, inner, out):  # type: ignore[no-untyped-def]
    """Add the products of a matrix with f's numbers along an axis to out; `inner` of them lie between two neighbours.

    Both have the shape (numbers, LANES). Indices are unsigned: none counts from the end, which takes time.
    """
    (rows, columns), inner = matrix.shape, uintp(inner)
    for o in range(uintp(len(f)) // (uintp(columns) * inner)):
        for i in range(uintp(rows)):
            for m in range(inner):
                row = (o * uintp(rows) + i) * inner + m
                for k in range(uintp(columns)):
                    factor, column = matrix[i, k], (o * uintp(columns) + k) * inner + m
                    for lane in range(uintp(LANES)):
                        out[row, lane] += factor * f[column, lane]


@njit(**COMPILED)
def _everywhere(f, matrix, dimension):  # type: ignore[no-untyped-def]
    """The products of a matrix with numbers along each of the axes, shape (numbers, LANES)."""
    rows, columns = matrix.shape
    for axis in range(dimension):
        inner = columns ** (dimension - 1 - axis)
        out = np.zeros((len(f) // columns * rows, LANES))
        _along(f, matrix, inner, out)
        f = out
    return f


@njit(**COMPILED)
def _add(  # type: ignore[no-untyped-def]
    vector, u, first, count, cells, points, weights, interpolation, derivative,
    interpolated, derived, placed, tested, function, constants,
):  # fmt: skip
    """See `Boxes.add`, `Rule` and `_plan`."""
    (number, nodes, _), (size, dimension), lanes = first.shape, points.shape, uintp(LANES)
    back, adjoint = interpolation.T.copy(), derivative.T.copy()
    known = np.empty((len(interpolated) + len(derived) + len(placed), size, LANES))
    inputs, outputs = np.empty((len(known), LANES)), np.empty((LANES, len(tested)))
    scale, rows = np.ones((len(known), LANES)), tested[:, 1] % cells.shape[1]  # the last, the volume, for no derivative
    at_nodes, found = np.empty((nodes, LANES)), np.empty((len(tested), size, LANES))
    components = 1 + tested[:, 0].max()
    for batch in range(number):
        for p, c in interpolated:
            for node in range(uintp(nodes)):
                for lane in range(lanes):
                    at_nodes[node, lane] = u[uintp(first[batch, node, lane] + c)]
            known[p] = _everywhere(at_nodes, interpolation, dimension)
        for p, source, axis in derived:
            known[p] = 0.0
            _along(known[source], derivative, len(derivative) ** (dimension - 1 - axis), known[p])
            scale[p] = cells[batch, dimension + axis]
        for p, axis in placed:
            for q in range(size):
                x = points[q, axis] * cells[batch, 3 * dimension + axis]
                known[p, q] = cells[batch, 2 * dimension + axis] + x
        for q in range(uintp(size)):
            for p in range(uintp(len(known))):
                for lane in range(lanes):
                    inputs[p, lane] = known[p, q, lane] * scale[p, lane]
            outputs[:] = 0.0
            _call(function, outputs.ctypes.data, inputs.ctypes.data, constants.ctypes.data)
            for p in range(uintp(len(tested))):
                for lane in range(lanes):
                    found[p, q, lane] = weights[q] * cells[batch, uintp(rows[p]), lane] * outputs[lane, p]
        for c in range(components):
            total = np.zeros((size, LANES))
            for p in range(len(tested)):
                axis = tested[p, 1]
                if tested[p, 0] == c:
                    if axis < 0:
                        total += found[p]
                    else:
                        _along(found[p], adjoint, len(derivative) ** (dimension - 1 - axis), total)
            summed = _everywhere(total, back, dimension)
            for lane in range(uintp(min(LANES, count - batch * LANES))):
                for node in range(uintp(nodes)):
                    vector[uintp(first[batch, node, lane] + c)] += summed[node, lane]
