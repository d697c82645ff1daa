"""Equations of a user's own, held to known answers: in one to three dimensions, with all kinds of boundaries."""

import numpy as np
import pytest

import ufl
from mpi4py import MPI

import kinlim
from kinlim.errors import InputError, Stopped
from kinlim.fem.evolution import EquationMaker
from kinlim.fem.evolution_refinement import made_up_errors
from kinlim.keeper import Keeper
from kinlim.meshes.gmsh import refine


class Decay(kinlim.Physics):
    """Nothing but times."""


def solved(equation, comm=MPI.COMM_SELF, keeper=None, times=(0.5, 1.0), end_time=0.1, **pde):
    """The dataset of an equation, as `kinlim.solve` makes it."""
    model = kinlim.Model("test", Decay, (kinlim.Evolution(equation),), kinlim.rules())
    tables = {
        "study": {"model": "pinned", "name": "test"},
        "model": {"end_time": end_time, "observe": times},
        "pde": pde,
    }
    study = model.study.model_validate(tables)
    maker = EquationMaker(equation, "pde", "pde.nc")
    maker.check(study, comm)
    return maker.make(study, keeper or Keeper(comm))


class Wave(kinlim.Equation):
    """Heat on T^d from a product of cosines: it decays at the rate 4 pi^2 d."""

    unknowns = {"u": "temperature"}
    dimension = 1

    @property
    def domain(self):
        return kinlim.Torus(self.dimension)

    @property
    def grid(self):
        n = (101, 23, 7)[self.dimension - 1]
        return kinlim.Points(**dict.fromkeys("xyz"[: self.dimension], np.arange(n) / n))

    def initial(self, *x):
        return np.prod([np.cos(2 * np.pi * axis) for axis in x], axis=0)

    def residual(self, u, u_t, v, at):
        return (u_t * v + ufl.inner(ufl.grad(u), ufl.grad(v))) * at.dx

    def conserved(self, u):
        return {"mass": u}


class Wave2(Wave):
    dimension = 2


class Wave3(Wave):
    dimension = 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("equation", "shape", "degree", "cells"),
    [
        (Wave, "simplex", 1, 16), (Wave, "simplex", 2, 12), (Wave2, "simplex", 2, 6), (Wave2, "box", 1, 12),
        (Wave3, "simplex", 1, 8), (Wave3, "box", 2, 3),
    ],
)  # fmt: skip
def test_heat_decays_at_its_rate_on_tori(equation, shape, degree, cells):
    # no point k/7 is a node of a mesh here: a wrong basis or cell would show; halving h shows the order degree + 1
    d, errors = equation.dimension, []
    for refinements in (0, 1):
        found = solved(
            equation, end_time=0.01, shape=shape, degree=degree, cells=cells, refinements=refinements, rtol=1e-9
        )
        x = [found[axis].values for axis in "xyz"[:d]]
        exact = np.prod(np.meshgrid(*[np.cos(2 * np.pi * axis) for axis in x], indexing="ij"), axis=0)
        decay = np.exp(-4 * np.pi**2 * d * found.time.values).reshape(-1, *[1] * d)
        errors.append(np.sqrt(((found.u.values - decay * exact)[-1] ** 2).mean()))
        assert np.abs(found.mass.values).max() < 1e-12
    assert np.log2(errors[0] / errors[1]) > degree + 1 - 0.4, errors
    assert errors[1] < 0.05


class Parabola(kinlim.Equation):
    """u = x^2 + 2 t on [-1, 2], which P2 holds: given at the left end, its slope 4 at the right one."""

    unknowns = {"u": "height"}
    domain = kinlim.Interval(-1.0, 2.0)

    def initial(self, x):
        return x**2

    def residual(self, u, u_t, v, at):
        return (u_t * v + u.dx(0) * v.dx(0)) * at.dx - 4 * v * at.ds("right")

    def held(self, u, at):
        return {("u", "left"): 1 + 2 * at.t}


@pytest.mark.parametrize("pde", [{"cells": 5}, {"cells": 4, "grading": 2.0, "refinements": 1}])
def test_boundary_values_that_change_and_a_given_slope(pde):
    # P2 and a scheme of high order: what is left is rounding; a value held at the wrong time would show as 2 dt
    found = solved(Parabola, **pde)
    exact = found.x.values**2 + 2 * found.time.values[:, None]
    assert found.u.values == pytest.approx(exact, abs=1e-7)
    assert found.frame_u.values == pytest.approx(
        found.frame_x.values**2 + 2 * found.frame_time.values[:, None], abs=1e-7
    )


class Held(kinlim.Equation):
    """u_t = u_xx + u w, w_t = w_xx/2 - u on [-1, 2], all given at the ends."""

    unknowns = {"u": "one", "w": "other"}
    domain = kinlim.Interval(-1.0, 2.0)

    def initial(self, x):
        return np.stack([x, 1 + x**2])

    def residual(self, u, u_t, v, at):
        (u, w), (u_t, w_t), (v, q) = u, u_t, v
        first = u_t * v + u.dx(0) * v.dx(0) - u * w * v
        return (first + w_t * q + w.dx(0) * q.dx(0) / 2 + u * q) * at.dx

    def held(self, u, at):
        return {("u", "left"): -1, ("u", "right"): 2, ("w", "left"): 2, ("w", "right"): 5}

    def strong(self, u, u_t, at):
        (u, w), (u_t, w_t) = u, u_t
        return u_t - u.dx(0).dx(0) - u * w, w_t - w.dx(0).dx(0) / 2 + u


class Wrong(Held):
    """The same with half a diffusion in the weak form."""

    def residual(self, u, u_t, v, at):
        return super().residual(u, u_t, v, at) - u[0].dx(0) * v[0].dx(0) / 2 * at.dx


@pytest.mark.parametrize(("equation", "right"), [(Held, True), (Wrong, False)])
def test_orders_on_a_solution_that_is_made_up_between_held_ends(equation, right):
    # a weak form that is not the strong one leaves an error of order one
    model = kinlim.Model("test", Decay, (kinlim.Evolution(equation),), kinlim.rules())
    tables = {"study": {"model": "pinned", "name": "test"}, "model": {"end_time": 0.1, "observe": [1.0]}}
    study = model.study.model_validate(tables | {"pde": {"cells": 8}})
    rows = list(made_up_errors(EquationMaker(equation, "pde", "pde.nc"), study, MPI.COMM_SELF))
    for degree in (1, 2, 3):
        coarse, fine = [row for row in rows if row["degree"] == degree][-2:]
        orders = [np.log2(coarse[f"error_{name}"] / fine[f"error_{name}"]) for name in ("u", "w")]
        assert bool(min(orders) > degree + 1 - 0.2) is right, orders


def test_a_slope_that_is_given_is_in_the_weak_form_alone():
    class Sloping(Parabola):
        def strong(self, u, u_t, at):
            return u_t - u.dx(0).dx(0)

    model = kinlim.Model("test", Decay, (kinlim.Evolution(Sloping),), kinlim.rules())
    tables = {"study": {"model": "pinned", "name": "test"}, "model": {"end_time": 0.1, "observe": [1.0]}}
    study = model.study.model_validate(tables | {"pde": {"cells": 8}})
    assert not list(made_up_errors(EquationMaker(Sloping, "pde", "pde.nc"), study, MPI.COMM_SELF))


class Coefficients(Parabola):
    """The same with a source of its own: u_t = u_xx + cos(t) - 2, u = x^2 + sin(t)."""

    def residual(self, u, u_t, v, at):
        return super().residual(u, u_t, v, at) - (ufl.cos(at.t) - 2) * v * at.dx

    def held(self, u, at):
        return {("u", "left"): at.x**2 + ufl.sin(at.t)}


def test_a_source_that_changes():
    found = solved(Coefficients, end_time=1.0, rtol=1e-8)
    exact = found.x.values**2 + np.sin(found.time.values)[:, None]
    assert found.u.values == pytest.approx(exact, abs=1e-6)


class Turning(kinlim.Equation):
    """u_t = w, w_t = -u at every point: (u, w) = (cos t, -sin t) (1 + x)."""

    unknowns = {"u": "position", "w": "velocity"}
    domain = kinlim.Interval()

    def initial(self, x):
        return np.stack([1 + x, 0 * x])

    def residual(self, u, u_t, v, at):
        (u, w), (u_t, w_t), (phi, psi) = u, u_t, v
        return ((u_t - w) * phi + (w_t + u) * psi) * at.dx

    def fields(self, values):
        return {"energy": (values["u"] ** 2 + values["w"] ** 2, "twice the energy")}


def test_several_unknowns_and_a_field_derived_from_them():
    found = solved(Turning, end_time=2.0, cells=3, degree=1, rtol=1e-8)
    t, x = found.time.values[:, None], found.x.values
    assert found.u.values == pytest.approx(np.cos(t) * (1 + x), abs=1e-5)
    assert found.w.values == pytest.approx(-np.sin(t) * (1 + x), abs=1e-5)
    assert found.energy.values == pytest.approx(np.ones_like(t) * (1 + x) ** 2, abs=1e-5)


class Transport(kinlim.Equation):
    """u_t + u_x = 0 with upwind fluxes: what is here now was at x - t before."""

    unknowns = {"u": "density"}
    domain = kinlim.Torus(1)
    element = "discontinuous"

    @property
    def grid(self):
        return kinlim.Bins(x=np.linspace(0, 1, 9))

    def initial(self, x):
        return np.sin(2 * np.pi * x)

    def residual(self, u, u_t, v, at):
        upwind = ufl.conditional(at.n("+") > 0, u("+"), u("-"))
        jump = v("+") * at.n("+") + v("-") * at.n("-")
        return (u_t * v - u * v.dx(0)) * at.dx + upwind * jump * at.dS

    def conserved(self, u):
        return {"mass": u}


@pytest.mark.parametrize(("degree", "order"), [(0, 1), (1, 2), (2, 3)])
def test_discontinuous_elements_carry_a_wave(degree, order):
    # means over bins of the exact solution by hand; the wrong side upwind would blow up
    errors = []
    for cells in (16, 32):
        found = solved(Transport, end_time=0.3, cells=cells, degree=degree, rtol=1e-9)
        edges = np.linspace(0, 1, 9) - found.time.values[:, None]
        exact = -np.diff(np.cos(2 * np.pi * edges), axis=1) / (2 * np.pi) * 8
        errors.append(np.abs(found.u.values - exact)[-1].max())
        assert np.abs(found.mass.values).max() < 1e-12
    assert np.log2(errors[0] / errors[1]) > order - 0.4, errors


def test_means_over_bins_are_exact_for_whole_cells_and_smooth_functions():
    # P2 holds x^2, of which [a, b] has the mean (a^2 + a b + b^2)/3; bins of other edges than the cells
    class Still(Parabola):
        @property
        def grid(self):
            return kinlim.Bins(x=[-1.0, -0.3, 0.25, 1.7, 2.0])

    found = solved(Still, times=(0.0, 1.0), cells=5)
    a, b = np.array([-1.0, -0.3, 0.25, 1.7]), np.array([-0.3, 0.25, 1.7, 2.0])
    assert found.x.values == pytest.approx((a + b) / 2)
    assert found.u.values[0] == pytest.approx((a * a + a * b + b * b) / 3, abs=1e-12)


def square(path, n):
    """A mesh of the unit square for gmsh, with the edges x = 0 and x = 1 as the groups "west" and "east"."""
    number = lambda i, j: i * (n + 1) + j + 1  # noqa: E731 - of a node
    nodes = [f"{number(i, j)} {i / n} {j / n} 0" for i in range(n + 1) for j in range(n + 1)]
    lines = [(1, number(0, j), number(0, j + 1)) for j in range(n)] + [
        (2, number(n, j), number(n, j + 1)) for j in range(n)
    ]
    triangles = []
    for i in range(n):
        for j in range(n):
            a, b, c, d = number(i, j), number(i + 1, j), number(i + 1, j + 1), number(i, j + 1)
            triangles += [(a, b, c), (a, c, d)]
    cells = [f"1 2 {tag} {tag} {a} {b}" for tag, a, b in lines] + [f"2 2 3 3 {a} {b} {c}" for a, b, c in triangles]
    body = [
        "$MeshFormat", "2.2 0 8", "$EndMeshFormat",
        "$PhysicalNames", "3", '1 1 "west"', '1 2 "east"', '2 3 "inside"', "$EndPhysicalNames",
        "$Nodes", str(len(nodes)), *nodes, "$EndNodes",
        "$Elements", str(len(cells)), *(f"{k} {cell}" for k, cell in enumerate(cells, start=1)), "$EndElements",
    ]  # fmt: skip
    path.write_text("\n".join(body) + "\n")


class Bowl(kinlim.Equation):
    """u = x^2 + y^2 + 4 t on the square of a file: held in the west, its slopes 2 in the east and on top, 0 below."""

    unknowns = {"u": "height"}
    domain = kinlim.MeshFile(2, kinlim.Points(x=[0.1, 0.55, 0.95], y=[0.2, 0.7]))

    def initial(self, x, y):
        return x**2 + y**2

    def residual(self, u, u_t, v, at):
        slope = ufl.inner(ufl.grad(at.x[0] ** 2 + at.x[1] ** 2), at.n)
        return (u_t * v + ufl.inner(ufl.grad(u), ufl.grad(v))) * at.dx - slope * v * at.ds

    def held(self, u, at):
        return {("u", "west"): at.x[1] ** 2 + 4 * at.t}


@pytest.mark.parallel
@pytest.mark.parametrize("refinements", [0, 2])
def test_a_mesh_from_gmsh_with_named_boundaries(tmp_path, refinements):
    pytest.importorskip("meshio")
    folder = MPI.COMM_WORLD.bcast(tmp_path)
    if MPI.COMM_WORLD.rank == 0:
        square(folder / "square.msh", 4)
    MPI.COMM_WORLD.barrier()
    found = solved(Bowl, MPI.COMM_WORLD, mesh=str(folder / "square.msh"), degree=2, refinements=refinements)
    assert found.attrs["cells"] == 32 * 4**refinements
    x, y = np.meshgrid(found.x.values, found.y.values, indexing="ij")
    exact = x**2 + y**2 + 4 * found.time.values[:, None, None]
    assert found.u.values == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("d", [2, 3])
def test_halved_simplices_fill_the_ones_they_come_from(d):
    # volumes that are no 2^-d of the parent's, a hole, or a facet whose halves are no facets of halves, would show
    points = np.random.default_rng(1).random((d + 1, d))
    points = np.concatenate([points, [points[1:].mean(axis=0) + points[1:].mean(axis=0) - points[0]]])
    cells, facets = np.array([range(d + 1), range(1, d + 2)]), np.array([range(d), range(1, d + 1)])
    finer, (halves, sides) = refine(points, [cells, facets])

    def volume(points, cells):
        return np.abs(np.linalg.det(points[cells[:, 1:]] - points[cells[:, :1]]))

    expected = np.repeat(volume(points, cells) / 2**d, 2**d)
    assert volume(finer, halves) == pytest.approx(expected, rel=1e-12)
    faces = [tuple(sorted(np.delete(cell, k).tolist())) for cell in halves for k in range(d + 1)]
    counts = {face: faces.count(face) for face in faces}
    assert max(counts.values()) == 2
    assert sum(count == 1 for count in counts.values()) == 2 * d * 2 ** (d - 1)  # the facets that were outside before
    side = [counts[tuple(sorted(facet.tolist()))] for facet in sides]
    assert side == [1] * 2 ** (d - 1) + [2] * 2 ** (d - 1)


def test_tetrahedra_halved_again_and_again_keep_three_shapes():
    points, parts = np.random.default_rng(2).random((4, 3)), [np.arange(4)[None]]
    for _ in range(4):
        points, parts = refine(points, parts)
    ends = points[parts[0]]
    edges = np.sort([np.linalg.norm(ends[:, i] - ends[:, j], axis=1) for i in range(4) for j in range(i)], axis=0).T
    assert len(np.unique(np.round(edges, 10), axis=0)) <= 3


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "cannot be read as a mesh"), (None, "there is no such mesh file")],
)
def test_a_mesh_file_that_cannot_be_used(tmp_path, content, words):
    pytest.importorskip("meshio")
    if content is not None:
        (tmp_path / "broken.msh").write_text(content)
    with pytest.raises(InputError, match=words):
        solved(Bowl, mesh=str(tmp_path / "broken.msh"))


@pytest.mark.parallel
@pytest.mark.parametrize("stepping", ["implicit", "explicit"])
@pytest.mark.parametrize("equation", [Wave, Transport, Turning])
def test_ranks_agree_and_go_on_from_each_others_states(equation, stepping, monkeypatch):
    # continuous and discontinuous elements, one unknown and two; a state is of no layout
    monkeypatch.setattr("kinlim.fem.integrate.FORGET", 2)  # for explicit steps, which know how stiff it was before
    comm = MPI.COMM_WORLD
    settings = {"end_time": 0.02, "cells": 12, "degree": 2, "rtol": 1e-7, "stepping": stepping}
    alone, together = solved(equation, **settings), solved(equation, comm, **settings)
    names = (*equation.unknowns, *(f"{name}_lowest" for name in equation.unknowns))
    for name in names:
        assert together[name].values == pytest.approx(alone[name].values, abs=1e-10)
    states = []
    for ranks in (comm, MPI.COMM_SELF):
        left, kept = [3], []

        class Requests(type(Keeper(ranks).requests)):
            @property
            def received(self, left=left):
                left[0] -= 1
                return left[0] < 0

            @received.setter
            def received(self, value):
                pass

        with monkeypatch.context() as patch:
            patch.setattr("kinlim.keeper.StopRequests", Requests)
            with pytest.raises(Stopped, match="at t = .* of 0.02; a checkpoint is written"):
                solved(equation, ranks, Keeper(ranks, write=kept.append), **settings)
        states.append(ranks.bcast(kept[-1] if kept else None))
    for kept in states:
        for ranks in (comm, MPI.COMM_SELF):
            rest = solved(equation, ranks, Keeper(ranks, kept), **settings)
            for name in names:
                assert rest[name].values == pytest.approx(alone[name].values, abs=1e-9)
    rest = solved(equation, keeper=Keeper(MPI.COMM_SELF, states[1]), **settings)
    for name in names:  # on as many ranks as wrote it, bit by bit
        assert (rest[name].values == alone[name].values).all()
        assert rest.attrs["steps"] == alone.attrs["steps"]
