"""Time integration: the order of the scheme, boundary conditions, exact landing, and failure in words."""

import numpy as np
import pytest
from test_equations import Wave2, solved

import basix.ufl
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

from kinlim.errors import InputError, RunError
from kinlim.fem.timestepper import TimeStepper
from kinlim.meshes.interval import graded, interval
from kinlim.study import check, model_of


def heat(comm, degree=3, cells=24):
    """u_t = u_xx on [0, 1], u = 1 at the ends, u(0) = 1 + sin(pi x): u = 1 + exp(-pi^2 t) sin(pi x)."""
    domain = interval(comm, graded((0.0, 1.0), cells))
    space = fem.functionspace(domain, basix.ufl.element("Lagrange", "interval", degree, shape=(1,)))
    u, u_t, v = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    u.interpolate(lambda x: 1 + np.sin(np.pi * x[:1]))
    domain.topology.create_connectivity(0, 1)
    ends = fem.locate_dofs_topological(space, 0, mesh.exterior_facet_indices(domain.topology))
    held = {"held": ends.astype(np.int32), "condition": (u[0] - 1) * v[0] * ufl.ds}
    return (u_t[0] * v[0] + u[0].dx(0) * v[0].dx(0)) * ufl.dx, u, u_t, held


def error(u, t):
    exact = 1 + ufl.exp(-(np.pi**2) * t) * ufl.sin(np.pi * ufl.SpatialCoordinate(u.function_space.mesh)[0])
    form = fem.form((u[0] - exact) ** 2 * ufl.dx(metadata={"quadrature_degree": 8}))
    return np.sqrt(u.function_space.mesh.comm.allreduce(fem.assemble_scalar(form)))


@pytest.mark.parallel
def test_heat_equation_with_prescribed_ends():
    residual, u, u_t, held = heat(MPI.COMM_WORLD)
    with TimeStepper(
        residual, u, u_t, **held, rtol=1e-8, atol=np.array([1e-8]), first_step=1e-5, prefix="heat_"
    ) as stepper:
        for t in (0.013, 0.05, 0.05, 0.1):  # the same time twice: nothing to do
            stepper.advance(t)
            assert stepper.time == t == stepper.ts.getTime()
            assert error(u, t) < 2e-7  # P3 on 24 cells interpolates to 1e-7


def test_the_scheme_has_order_four():
    # a wrong shift in the Jacobian, or u_t not updated, leaves a Rosenbrock scheme with order one
    errors = []
    for steps in (8, 16, 32):
        residual, u, u_t, held = heat(MPI.COMM_SELF, degree=4, cells=32)
        options = {"ts_adapt_type": "none"}
        with TimeStepper(
            residual,
            u,
            u_t,
            **held,
            rtol=1,
            atol=np.array([1.0]),
            first_step=0.2 / steps,
            prefix="order_",
            options=options,
        ) as stepper:
            stepper.advance(0.2)
            assert stepper.statistics()["steps"] == steps
        errors.append(error(u, 0.2))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.3)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(4, abs=0.3)


def test_a_solution_that_ends_ends_in_words():
    # u_t = -1/sqrt(u) from 1 is (1 - 3t/2)^(2/3), which ends at t = 2/3: NaN lies beyond and must not travel
    domain = interval(MPI.COMM_SELF, graded((0.0, 1.0), 2))
    space = fem.functionspace(domain, basix.ufl.element("Lagrange", "interval", 1, shape=(1,)))
    u, u_t, v = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    u.x.array[:] = 1.0
    residual = (u_t[0] + 1 / ufl.sqrt(u[0])) * v[0] * ufl.dx
    with (
        TimeStepper(residual, u, u_t, rtol=1e-4, atol=np.array([1e-4]), first_step=1e-3, prefix="ends_") as stepper,
        pytest.raises(RunError, match="stopped at t = 0.66"),
    ):
        stepper.advance(2.0)


def test_options_do_not_leak():
    from petsc4py import PETSc

    before = PETSc.Options().getAll()
    residual, u, u_t, held = heat(MPI.COMM_SELF)
    with TimeStepper(residual, u, u_t, **held, rtol=1e-4, atol=np.array([1e-4]), first_step=1e-3, prefix="leak_"):
        assert PETSc.Options().getAll() == before


def test_the_users_options_win():
    from petsc4py import PETSc

    PETSc.Options()["mine_ts_type"] = "bdf"
    residual, u, u_t, held = heat(MPI.COMM_SELF)
    try:
        with TimeStepper(
            residual, u, u_t, **held, rtol=1e-4, atol=np.array([1e-4]), first_step=1e-3, prefix="mine_"
        ) as stepper:
            assert stepper.ts.getType() == "bdf"
    finally:
        PETSc.Options().delValue("mine_ts_type")


@pytest.mark.parametrize("example", ["study", "reaction"])
def test_unknown_options_are_refused_by_the_check_of_a_study(example, request):
    """Not by its first step, when particles may have been at work for hours."""
    from petsc4py import PETSc

    given = request.getfixturevalue(example)
    study = given if example == "study" else check(given)
    equations = [side for side in model_of(study).sides if side.file in ("pde.nc", "kinetic.nc")]
    assert equations
    for side in equations:
        prefix = f"{side.file.removesuffix('.nc')}_"
        database = PETSc.Options(prefix)
        database["snes_max_iit"] = 3
        try:
            with pytest.raises(InputError, match=f"^-{prefix}snes_max_iit: no part of PETSc"):
                side.maker().check(study, MPI.COMM_SELF)
        finally:
            database.delValue("snes_max_iit")
        database["snes_max_it"] = 30
        try:
            side.maker().check(study, MPI.COMM_SELF)
        finally:
            database.delValue("snes_max_it")


@pytest.mark.parametrize("kind", ["ilu", "jacobi", "gamg"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_another_preconditioner_is_taken_by_its_name_alone(dimension, kind):
    """What kinlim has chosen for its own, such as MUMPS in the plane, is no option of the user's."""
    from petsc4py import PETSc

    equation = type("Wave", (Wave2,), {"dimension": dimension, "__module__": Wave2.__module__})
    given = {"pde_pc_type": kind, "pde_ksp_type": "gmres"}
    for key, value in given.items():
        PETSc.Options()[key] = value
    try:
        found = solved(equation, cells=4, degree=1, rtol=1e-3)
    finally:
        for key in given:
            PETSc.Options().delValue(key)
    assert found.attrs["preconditioner"] == kind
    chosen = found.attrs["petsc_options_chosen"]
    assert "-pde_ts_type rosw -pde_ts_rosw_type rodaspr2 " in chosen
    assert "-pde_pc_type" not in chosen  # the user's is in force


def test_unknowns_in_the_plane_are_not_ordered_as_a_band(tmp_path):
    """That is for an interval: in the plane it fills the factors, and takes fifty times as long."""
    from petsc4py import PETSc

    domain = mesh.create_unit_square(MPI.COMM_SELF, 4, 4)
    space = fem.functionspace(domain, ("Lagrange", 1))
    u, u_t, v = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
    u.interpolate(lambda x: x[0])
    form = (u_t * v + ufl.inner(ufl.grad(u), ufl.grad(v))) * ufl.dx
    with TimeStepper(form, u, u_t, rtol=1e-3, atol=np.array([1e-3]), first_step=1e-3, prefix="plane_") as stepper:
        stepper.advance(1e-3)
        viewer = PETSc.Viewer().createASCII(str(tmp_path / "view"), comm=MPI.COMM_SELF)
        stepper.ts.getSNES().getKSP().getPC().view(viewer)
        viewer.destroy()
        assert stepper.preconditioner() == "lu mumps"
    assert "matrix ordering: rcm" not in (tmp_path / "view").read_text()
    assert "matrix ordering:" in (tmp_path / "view").read_text()
