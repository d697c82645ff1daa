"""Explicit steps without a matrix: order 4, stable as far as schemes say, the same solutions, clear refusals."""

import copy
from itertools import pairwise

import numpy as np
import pytest
from test_equations import Coefficients, Held, Parabola, Transport, Turning, Wave, Wave2, solved
from test_reaction_limit import TABLES

import ufl
from mpi4py import MPI
from petsc4py import PETSc

from kinlim.errors import InputError, RunError, Stopped
from kinlim.fem import rock4
from kinlim.fem.reaction.limit import LIMIT, solve
from kinlim.keeper import Keeper
from kinlim.study import check


def step(scheme, slope, t, y, h):
    """A step of a scheme for y' = slope(t, y), by its definition; and the estimate of its error."""
    before, now, slopes = y, y, []
    for j, (mu, nu, kappa) in enumerate(scheme.recurrence):
        before, now = now, h * mu * slope(t + h * scheme.times[j], now) - nu * now - kappa * before
    for k, row in enumerate(scheme.a):
        at = now + h * sum(x * f for x, f in zip(row, slopes, strict=False))
        slopes.append(slope(t + h * scheme.times[k - 4], at))
    end = now + h * sum(x * f for x, f in zip(scheme.b, slopes, strict=True))
    return end, h * sum(x * f for x, f in zip(scheme.error, [*slopes, slope(t + h, end)], strict=True))


@pytest.mark.parametrize("stages", list(rock4.ladder()))
def test_schemes_satisfy_the_conditions_of_order_4_and_are_stable_as_far_as_they_say(stages):
    # one wrong digit in the table would show here: sums of s terms with coefficients of order one are right to 1e-12
    assert np.abs(rock4.conditions(stages)).max() < 1e-12
    scheme = rock4.scheme(stages)
    z = -np.concatenate([np.linspace(0.01, 3, 300), np.linspace(3, scheme.reach, 200 * stages)])
    polynomial, _ = step(scheme, lambda t, y: z * y, 0.0, np.ones_like(z), 1.0)
    assert np.abs(polynomial).max() < 1
    assert np.abs(polynomial[z < -3]).max() < 0.93
    assert scheme.reach > 0.23 * stages**2


def test_the_search_finds_the_table_again():
    for stages, row in rock4._search(12).items():
        kept = rock4._table()[stages]
        assert row[:5] == pytest.approx(kept[:5], abs=1e-10)
        assert row[5:] == pytest.approx(kept[5:], abs=1e-5)  # two of these ten are free: rounding says where it ends


@pytest.mark.parametrize("length", [0.0, 40.0, 1500.0])
@pytest.mark.parametrize(
    ("slope", "end", "exact"),
    [(lambda t, u: u**2, 1.0, 1.0), (lambda t, u: np.cos(t) * u**2, 1.5, 1 / (2 - np.sin(1.5)))],
)
def test_schemes_have_order_4_where_the_slope_is_not_linear_and_where_it_depends_on_time(length, slope, end, exact):
    # over three halvings: the error changes its sign between them; the estimate is of order 3, local 4
    scheme, errors, estimates = rock4.reaching(length), [], []
    for steps in (8, 64):
        u, h = 0.5, end / steps
        for k in range(steps):
            u, estimate = step(scheme, slope, k * h, u, h)
        errors.append(abs(u - exact))
        estimates.append(abs(estimate))
    assert np.log2(errors[0] / errors[1]) / 3 > 3.5
    assert np.log2(estimates[0] / estimates[1]) / 3 == pytest.approx(4, abs=0.5)


def test_what_no_scheme_reaches_gets_the_longest():
    assert rock4.reaching(0.0).stages == 5
    assert rock4.reaching(1e30).stages == max(rock4.ladder())
    for length in (6.0, 100.0, 5e4):
        assert rock4.reaching(length).reach >= length


@pytest.mark.parametrize(
    ("equation", "settings"),
    [
        (Wave, {"degree": 4, "cells": 8}),
        (Wave2, {"degree": 3, "cells": 5, "shape": "box"}),
        (Wave2, {"degree": 1, "cells": 8}),  # triangles, lumped by their vertices
        (Held, {"degree": 3, "cells": 6, "grading": 1.5}),
        (Turning, {"degree": 1, "cells": 3}),
        (Transport, {"degree": 2, "cells": 12}),
    ],
)
def test_explicit_steps_lead_where_implicit_ones_do(equation, settings):
    # a lumped mass is another discretisation: of the same order; on the finer mesh both are closer
    distance = []
    for refinements in (0, 1):
        both = [
            solved(equation, rtol=1e-8, refinements=refinements, stepping=stepping, **settings)
            for stepping in ("implicit", "explicit")
        ]
        for name in equation.unknowns:
            distance.append(float(np.abs(both[0][name] - both[1][name]).max()))
    first, second = np.array(distance).reshape(2, -1).max(axis=1)
    assert second < 1e-7 or np.log2(first / second) > settings["degree"] - 0.2, (first, second)


def test_a_source_that_changes_keeps_its_order_in_time():
    class Sourced(Coefficients):
        """The same with its slope given at both ends: u = x^2 + sin t."""

        def residual(self, u, u_t, v, at):
            return super().residual(u, u_t, v, at) - 2 * v * at.ds("left")

        def held(self, u, at):
            return {}

    found = solved(Sourced, end_time=1.0, rtol=1e-8, cells=6, stepping="explicit")
    exact = found.x.values**2 + np.sin(found.time.values)[:, None]
    assert found.u.values == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("dimension", [1, 2])
def test_the_limit_equation_keeps_its_mass_and_its_solution(dimension):
    tables = {key: dict(table) for key, table in TABLES.items()}
    tables["model"] |= {"dimension": dimension}
    tables["pde"] = {"cells": 6, "degree": 4, "rtol": 1e-6, "shape": "box"}
    implicit = solve(check(tables))
    tables["pde"] |= {"stepping": "explicit"}
    found = solve(check(tables))
    assert np.abs(found.mass.values - found.mass.values[0]).max() < 1e-12
    size = float(np.ptp(implicit.m.values[0]))
    assert np.abs(found.m.values - implicit.m.values).max() < 1e-4 * size  # h^5 and 30 errors of 1e-6
    assert np.abs(found.sensitivity_m.values - implicit.sensitivity_m.values).max() < 1e-2 * size
    assert found.attrs["evaluations"] > found.attrs["steps"] > 10
    assert "explicit" in found.attrs["preconditioner"]
    assert found.attrs["degrees_of_freedom"] == implicit.attrs["degrees_of_freedom"] == (6 * 4) ** dimension


def test_steps_of_one_size_show_order_4():
    tables = {key: dict(table) for key, table in TABLES.items()}
    tables["pde"] = {"cells": 8, "degree": 4, "shape": "box", "stepping": "explicit"}
    study = check(tables)
    found = [LIMIT.solve(study, _keeper(), fixed_steps=steps).m.values[-1] for steps in (8, 16, 32, 64)]
    gaps = [np.abs(a - b).max() for a, b in pairwise(found)]
    assert np.log2(gaps[0] / gaps[2]) / 2 > 3.5, gaps  # on average: schemes of other numbers of stages err otherwise


def _keeper():
    from kinlim.keeper import Keeper

    return Keeper(MPI.COMM_SELF)


class Stored(Wave):
    """The same with a heat capacity that depends on u."""

    def residual(self, u, u_t, v, at):
        return super().residual(u, u_t, v, at) + u**2 * u_t * v * at.dx


class Coupled(Turning):
    """The same, summed up in the first equation."""

    def residual(self, u, u_t, v, at):
        return super().residual(u, u_t, v, at) + u_t[1] * v[0] * at.dx


class Constrained(Turning):
    """Without a time derivative of w."""

    def residual(self, u, u_t, v, at):
        return super().residual(u, u_t, v, at) - u_t[1] * v[1] * at.dx


class Still(Wave):
    """Without any."""

    def residual(self, u, u_t, v, at):
        return ufl.inner(ufl.grad(u), ufl.grad(v)) * at.dx


def test_cells_of_very_different_sizes_are_no_reason_to_refuse():
    # the least row of the mass was once held against the largest: here 1e-11 of it
    found = solved(Held, stepping="explicit", cells=600, grading=4.0, degree=1, end_time=1e-21, rtol=1e-2)
    assert np.isfinite(found.u.values).all()


@pytest.mark.parametrize(
    ("equation", "settings", "words"),
    [
        (Wave2, {"degree": 2, "cells": 4}, "mass of degree 2 on cells of the kind triangle.*shape = 'box'"),
        (Stored, {}, "the factor of a time derivative depends on the unknowns"),
        (Coupled, {"degree": 1}, "time derivatives of several unknowns"),
        (Constrained, {"degree": 1}, "a time derivative with a positive factor in every equation"),
        (Still, {}, "a time derivative with a positive factor in every equation"),
        (Parabola, {}, "conditions that depend on time cannot be held"),
    ],
)
def test_what_cannot_be_integrated_so_is_refused(equation, settings, words):
    with pytest.raises(InputError, match=f"pde.stepping = 'explicit'.*{words}"):
        solved(equation, stepping="explicit", **settings)


def test_options_of_petsc_are_refused():
    database = PETSc.Options("pde_")
    database["ts_type"] = "bdf"
    try:
        with pytest.raises(InputError, match="-pde_ts_type: pde.stepping = 'explicit'"):
            solved(Wave, stepping="explicit")
    finally:
        database.delValue("ts_type")


class Exploding(Wave):
    """u_t = u^2 from 1: infinite at t = 1."""

    def initial(self, *x):
        return np.ones_like(x[0])

    def residual(self, u, u_t, v, at):
        return (u_t * v - u**2 * v) * at.dx


def test_a_solution_that_ends_is_told():
    with pytest.raises(RunError, match=r"blown up|stopped at t = 1"):
        solved(Exploding, stepping="explicit", end_time=2.0, cells=3, degree=1)


class Rough(Wave):
    """Heat that is 1000 times as fast after t = 0.05: what was known of its stiffness is then wrong."""

    def residual(self, u, u_t, v, at):
        faster = ufl.conditional(at.t > 0.05, 1e3, 1.0)
        return (u_t * v + faster * ufl.inner(ufl.grad(u), ufl.grad(v))) * at.dx


def test_stiffness_that_changes_at_once_is_found():
    found = solved(Rough, stepping="explicit", cells=8, degree=3, times=(0.4, 0.6, 1.0))
    assert found.attrs["rejected_steps"] > 0
    assert np.abs(found.u.values[-1]).max() < 1e-6


CHOICES = [
    # end, dimension, mesh, and the steps that it calls for; in the middle of the table of docs/reaction-limit.md
    (0.01, 2, {"cells": 8, "degree": 4, "shape": "box"}, "explicit", "0.05 of the time takes"),
    (10.0, 2, {"cells": 8, "degree": 4, "shape": "box"}, "implicit", "0.05 of the time takes"),
    (0.01, 2, {"cells": 8, "degree": 2, "shape": "simplex"}, "implicit", "cannot be lumped"),
    (0.01, 1, {"cells": 16, "degree": 2}, "implicit", "up to 0 are less work"),
]


@pytest.mark.parametrize(("end", "dimension", "mesh", "kind", "why"), CHOICES)
def test_the_stiffness_chooses_and_the_dataset_says_so(end, dimension, mesh, kind, why):
    tables = copy.deepcopy(TABLES)
    tables["model"] |= {"dimension": dimension, "end_time": end, "observe": [0.0, 1e-4 / end]}
    if dimension == 1:
        tables["model"] |= {"f0": "2 + cos(2*pi*x)", "g0": "1"}
    tables["pde"] = mesh | {"stepping": "auto", "rtol": 1e-3}
    found = solve(check(tables), MPI.COMM_SELF)
    assert found.attrs["stepping"].startswith(f"{kind} steps (")
    assert why in found.attrs["stepping"]
    tables["pde"]["stepping"] = kind
    asked = solve(check(tables), MPI.COMM_SELF)
    assert (found.m == asked.m).all()
    assert "stepping" not in asked.attrs


def test_a_choice_is_that_of_the_initial_data_wherever_a_run_goes_on(monkeypatch):
    """Halfway it may be another: a run that was stopped must not change its scheme."""

    class Stopping(Keeper):
        left = 6

        def due(self):
            self.left -= 1
            self.requests.received = self.left < 0
            return self.requests.received

    def stages(stepper, step):
        return 1.0 if np.abs(stepper.y).max() > 0.99 else 1000.0

    monkeypatch.setattr("kinlim.fem.integrate.FORGET", 2)  # a scheme with a memory is kept as it was then
    monkeypatch.setattr("kinlim.fem.explicit.ExplicitStepper.stages", stages)
    settings, kept = {"stepping": "auto", "end_time": 0.02, "cells": 12, "degree": 2, "shape": "box"}, []
    whole = solved(Wave2, **settings)
    with pytest.raises(Stopped):
        solved(Wave2, keeper=Stopping(MPI.COMM_SELF, write=kept.append), **settings)
    assert np.abs(kept[-1].arrays["u"]).max() < 0.99
    rest = solved(Wave2, keeper=Keeper(MPI.COMM_SELF, kept[-1]), **settings)
    assert whole.attrs["stepping"].startswith("explicit steps")
    assert rest.attrs["stepping"] == whole.attrs["stepping"]
    assert rest.attrs["preconditioner"].startswith("none: explicit")
