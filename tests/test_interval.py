"""The interval mesh: nodes where they belong, on any number of ranks."""

import numpy as np
import pytest

from dolfinx import fem
from mpi4py import MPI

from kinlim.equation import Interval
from kinlim.errors import InputError
from kinlim.fem.nodes import Nodes
from kinlim.fem.pinned import EQUATIONS
from kinlim.fem.samples import Sample, sampler
from kinlim.meshes.domain import Built
from kinlim.meshes.interval import grade, graded, interval, read, refine
from kinlim.study import check


def p_function(comm, degree, cells=12, ends=(-1.0, 2.0), grading=2.0):
    import basix.ufl

    mesh = interval(comm, graded(ends, cells, grading))
    return fem.Function(fem.functionspace(mesh, basix.ufl.element("Lagrange", "interval", degree, shape=(2,))))


def sample(mesh, x, degree=1):
    """Values at points, as a solution is observed there; of a function of one component."""
    import basix.ufl

    built = Built(Interval(), mesh, {}, np.empty(0))
    space = fem.functionspace(mesh, basix.ufl.element("Lagrange", "interval", degree, shape=(2,)))
    return sampler(built, space)(np.asarray(x)[:, None])


def test_grading():
    s = np.linspace(0, 1, 9)
    assert grade(s, 1.0) == pytest.approx(s)
    assert grade(s, 2.0) == pytest.approx(np.where(s <= 0.5, (2 * s) ** 2 / 2, 1 - (2 - 2 * s) ** 2 / 2))
    assert grade(s, 3.0) + grade(1 - s, 3.0) == pytest.approx(np.ones(9))  # symmetric about the centre


@pytest.mark.parallel
@pytest.mark.parametrize("grading", [1.0, 2.0])
def test_nodes(grading):
    u = p_function(MPI.COMM_WORLD, 1, grading=grading)
    assert Nodes(u).x == pytest.approx(-1 + 3 * grade(np.linspace(0, 1, 13), grading))


@pytest.mark.parallel
def test_samples_are_exact_on_quadratics_at_any_point():
    # points on nodes, on the ends and inside cells; more ranks than one may own a node
    u = p_function(MPI.COMM_WORLD, 2)
    u.interpolate(lambda x: np.stack([x[0] ** 2 - x[0], 3 - x[0]]))
    x = np.concatenate([np.linspace(-1, 2, 101), Nodes(u).x])
    values = sample(u.function_space.mesh, x, degree=2)(u)
    assert values == pytest.approx(np.stack([x**2 - x, 3 - x], axis=-1), abs=1e-13)
    assert Nodes(u)(u)[:, 0] == pytest.approx(Nodes(u).x ** 2 - Nodes(u).x, abs=1e-13)


@pytest.mark.parallel
def test_a_rank_without_a_cell_answers_for_no_point(tables):
    """Of more ranks than cells: its tables are empty, and the process goes on (old basix ended it)."""
    u = p_function(MPI.COMM_SELF, 2)
    nothing = Sample(u.function_space, 3, np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 1)))
    assert (nothing(u) == np.zeros((3, 2))).all()
    problem = EQUATIONS.problem(check(tables), MPI.COMM_SELF)
    assert problem.initial(np.empty((0, 1))).shape == (0, len(problem.names))


def test_a_point_outside_is_refused_on_all_ranks():
    with pytest.raises(ValueError, match="outside the mesh"):
        sample(p_function(MPI.COMM_WORLD, 1).function_space.mesh, [0.0, 2.1])


def test_the_ends_are_the_ends_exactly():
    # a + (b - a) * 1.0 misses b by one ulp in a seventh of these, and the last ball then lies outside the mesh
    for a, b in [(0.2, 0.9), (-3.0, -0.7), (-3.3, 7.1), (-0.7, 0.1), *((k / 10, 1.7) for k in range(-30, 17))]:
        mesh = interval(MPI.COMM_SELF, graded((a, b), 3, 1.5))
        assert (mesh.geometry.x[:, 0].min(), mesh.geometry.x[:, 0].max()) == (a, b)
        sample(mesh, [a, b])


@pytest.mark.parallel
def test_points_are_found_in_cells_of_any_size():
    # 1400 nanometres at the ends of 1200 cells graded by 2: DOLFINx's search with a tolerance loses the last point
    mesh = interval(MPI.COMM_WORLD, graded((0.0, 1.0), 1200, 3.0))
    sample(mesh, np.linspace(0, 1, 3001))


def test_refinement_keeps_the_nodes():
    nodes = graded((0.0, 1.0), 5, 2.0)
    finer = refine(nodes)
    assert (finer[::2] == nodes).all()
    assert np.diff(finer)[::2] == pytest.approx(np.diff(nodes) / 2)
    assert np.diff(finer)[1::2] == pytest.approx(np.diff(nodes) / 2)


@pytest.mark.parallel
def test_a_mesh_from_a_file(tmp_path_factory):
    from dolfinx.io import XDMFFile

    nodes = graded((0.0, 2.0), 7, 1.5)
    folder = MPI.COMM_WORLD.bcast(tmp_path_factory.mktemp("mesh") if MPI.COMM_WORLD.rank == 0 else None)
    with XDMFFile(MPI.COMM_WORLD, folder / "mesh.xdmf", "w") as file:
        file.write_mesh(interval(MPI.COMM_WORLD, nodes))
    assert read(folder / "mesh.xdmf") == pytest.approx(nodes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 0.5 a 1", "cannot be read as a mesh"),
        ("0\n0.1\n0.5\n0.5\n0.7\n1", "holds the node 0.5 twice"),
        ("0 0.2 1", "holds 3 nodes"),
        ("0 0.2 0.4 nan 1", "not finite"),
        ("0 1\n0.2 3\n0.5 4\n0.7 4\n1 5", "it has 2 columns"),
    ],
)
def test_files_that_are_no_interval(tmp_path, text, words):
    (tmp_path / "nodes.txt").write_text(text)
    with pytest.raises(InputError, match=words):
        read(tmp_path / "nodes.txt")


def test_a_curve_in_the_plane_is_no_interval(tmp_path):
    import basix.ufl
    from dolfinx.io import XDMFFile
    from dolfinx.mesh import create_mesh

    x = np.linspace(0, 2, 8)
    cells = np.stack([np.arange(7), np.arange(1, 8)], axis=1)
    element = basix.ufl.element("Lagrange", "interval", 1, shape=(2,))
    mesh = create_mesh(MPI.COMM_SELF, cells, x=np.stack([x, np.sin(x)], axis=1), e=element)
    with XDMFFile(MPI.COMM_SELF, tmp_path / "curve.xdmf", "w") as file:
        file.write_mesh(mesh)
    with pytest.raises(InputError, match="is not an interval"):
        read(tmp_path / "curve.xdmf")


def test_a_text_file_of_nodes(tmp_path):
    (tmp_path / "nodes.txt").write_text("# by hand\n0\n0.5  # middle\n0.1\n0.75\n1\n")
    assert read(tmp_path / "nodes.txt").tolist() == [0, 0.1, 0.5, 0.75, 1]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="nothing.xdmf: cannot be read"):
        read(tmp_path / "nothing.xdmf")
