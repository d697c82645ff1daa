"""Integrals over boxes that are summed axis by axis, beside FFCx's by the same rule."""

import numpy as np
import pytest

import basix.ufl
import ufl
from dolfinx import fem, la, mesh
from mpi4py import MPI

from kinlim.fem.boxes import LANES, Boxes, batches
from kinlim.meshes.torus import torus


def stretched(comm):
    """The torus in the plane, its cells of many widths and heights."""
    found = torus(comm, 4, 2, "box")
    found.geometry.x[:, 0] **= 1.5
    found.geometry.x[:, 1] *= 3 + found.geometry.x[:, 1]
    return found


MESHES = {
    "stretched": stretched,
    "torus 2": lambda comm: torus(comm, 4, 2, "box"),
    "torus 3": lambda comm: torus(comm, 3, 3, "box"),
}


def unknown(domain, degree, components, family="Lagrange"):
    shape = (components,) if components > 1 else None
    space = fem.functionspace(domain, basix.ufl.element(family, domain.topology.cell_name(), degree, shape=shape))
    u = fem.Function(space)
    x = np.repeat(space.tabulate_dof_coordinates(), components, axis=0)[:, : domain.topology.dim]
    component = np.tile(np.arange(components), len(x) // components)
    u.x.array[:] = 2 + np.sin(2 * np.pi * x @ [1.0, 2.0, 1.0][: x.shape[1]] + component)
    return u


def rule(u, times=2):
    return ufl.dx(u.function_space.mesh, metadata={"quadrature_degree": times * degree_of(u)})


def degree_of(u):
    return u.function_space.ufl_element().embedded_superdegree


def everything(u, dx):
    """A form with a full, nonlinear flux, a source, coordinates, constants and a kink; nothing is symmetric in it."""
    domain = u.function_space.mesh
    d, v = domain.topology.dim, ufl.TestFunction(u.function_space)
    x = ufl.SpatialCoordinate(domain)
    matrix = fem.Constant(domain, np.arange(1.0, 1 + d * d).reshape(d, d))
    time = fem.Constant(domain, 0.7)
    parts = list(ufl.split(u)) if u.ufl_shape else [u]
    tests = list(ufl.split(v)) if u.ufl_shape else [v]
    form = 0
    for k, (one, test) in enumerate(zip(parts, tests, strict=True)):
        other = parts[k - 1]
        flux = (1 + other**2) * matrix * ufl.grad(one) + time * ufl.sin(x[d - 1]) * ufl.grad(other)
        source = ufl.conditional(ufl.gt(one, 2.1), one * x[0], ufl.exp(-other)) + (k + 1) * ufl.grad(other)[d - 1] ** 2
        form += ufl.inner(flux, ufl.grad(test)) * dx - source * test * dx
    return form, time


def assembled(u, boxes, rest):
    vector = la.vector(u.function_space.dofmap.index_map, u.function_space.dofmap.bs)
    vector.array[:] = 0.0
    for part in boxes:
        part.add(vector.array)
    if not rest.empty():
        fem.assemble_vector(vector.array, fem.form(rest))
    vector.scatter_reverse(la.InsertMode.add)
    return vector.array[: u.function_space.dofmap.index_map.size_local * u.function_space.dofmap.bs].copy()


@pytest.mark.parallel
@pytest.mark.parametrize(
    ("name", "degree", "components"),
    [
        ("stretched", 2, 1), ("stretched", 3, 2), ("torus 2", 2, 3), ("torus 2", 6, 1), ("torus 3", 2, 2),
        ("torus 3", 4, 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("times", [2, 3])
def test_they_are_the_sums_of_ffcx(name, degree, components, times):
    """Axes exchanged, a factor of the width left out, or a derivative of the wrong unknown would each be seen."""
    u = unknown(MESHES[name](MPI.COMM_WORLD), degree, components)
    form, time = everything(u, rule(u, times))
    boxes, rest = Boxes.of(form, u)
    assert rest.empty()
    for now in (0.7, -0.3):  # and at another time
        time.value = now
        expected = assembled(u, [], form)
        found = assembled(u, boxes, rest)
        size = np.abs(expected).max(initial=1e-300)
        assert np.abs(found - expected).max(initial=0.0) <= 1e-12 * size  # sums of some hundred terms


def test_elements_without_continuity():
    u = unknown(MESHES["torus 2"](MPI.COMM_SELF), 3, 1, "Discontinuous Lagrange")
    form, _ = everything(u, rule(u))
    boxes, rest = Boxes.of(form, u)
    assert assembled(u, boxes, rest) == pytest.approx(assembled(u, [], form), rel=1e-12, abs=1e-13)


def test_every_rule_has_its_sum_and_what_cannot_be_summed_so_is_left():
    u = unknown(stretched(MPI.COMM_SELF), 3, 1)
    v, dx = ufl.TestFunction(u.function_space), ufl.dx(u.function_space.mesh)
    form, _ = everything(u, rule(u))
    form += u**3 * v * rule(u, 4)
    nodes = dx(metadata={"quadrature_rule": "vertex", "quadrature_degree": 1})
    h = ufl.JacobianDeterminant(u.function_space.mesh)
    left = [
        h * u.dx(0) * v * rule(u),
        u.dx(0).dx(0) * v * rule(u),
        fem.Function(u.function_space) * v * rule(u),
        u * v * nodes,
        u * v * rule(u, 1),  # two points an axis do not tell a polynomial of degree 3
    ]
    boxes, rest = Boxes.of(form + sum(left), u)
    assert len(boxes) == 2
    assert len(rest.integrals()) >= 3  # some of the five have one rule
    expected = assembled(u, [], form + sum(left))
    assert assembled(u, boxes, rest) == pytest.approx(expected, rel=1e-11, abs=1e-12)
    for term in left:
        assert Boxes.of(term, u)[0] == []


def bent(comm):
    """One corner of one cell is moved."""
    found = stretched(comm)
    found.geometry.x[5, 0] += 1e-3
    return found


def exchanged(comm):
    """The reference cell's first axis is the mesh's second."""
    return mesh.create_rectangle(comm, [[0.0, 0.0], [2.0, 3.0]], [3, 4], cell_type=mesh.CellType.quadrilateral)


def backwards(comm):
    """The reference cell's first axis runs against the mesh's."""
    found = torus(comm, 4, 2, "box")
    found.geometry.x[:, 0] *= -1
    return found


@pytest.mark.parametrize("domain", [bent, exchanged, backwards, lambda comm: torus(comm, 4, 2)])
def test_cells_that_are_no_boxes_parallel_to_the_axes_are_left(domain):
    u = unknown(domain(MPI.COMM_SELF), 2, 1)
    form, _ = everything(u, rule(u))
    assert Boxes.of(form, u)[0] == []


@pytest.mark.parametrize("cells", [0, 1, LANES, LANES + 1])
def test_batches_hold_every_cell_once_and_fill_up_with_the_last(cells):
    numbers = np.arange(2.0 * cells).reshape(cells, 2)
    found = np.moveaxis(batches(numbers), 1, 2).reshape(-1, 2)
    assert len(found) % LANES == 0
    assert (found[:cells] == numbers).all()
    assert (found[cells:] == numbers[-1:]).all()
