"""The limit equation of generation and recombination: linear iterations, time steps, seconds, ranks.

    OMP_NUM_THREADS=1 python bench/reaction_limit.py [--only preconditioners ranks ...] [--rounds 3]

Data: m between -0.9 and 4.6, full D1, up to t = 0.01, rtol 1e-4 unless a table says otherwise. Seconds are those of
time stepping, split into assembly, linear solver (preconditioner included) and all else, which is Python and PETSc's
vector operations, and observing. The table of ranks starts programs of its own with mpirun and gives the fastest of
some rounds.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

import xarray as xr

from mpi4py import MPI
from petsc4py import PETSc

from kinlim.compat import on_this_machine
from kinlim.fem.multigrid import CYCLE, GAMG, HYPRE
from kinlim.fem.multigrid import multigrid as algebraic
from kinlim.fem.reaction.limit import solve
from kinlim.fem.refinement import distance
from kinlim.study import check

WAVES = ("cos(2*pi*x)", "cos(2*pi*(x+y))", "cos(2*pi*(x+y+z))")
FULL = [[1.0, 0.3, 0.3], [0.3, 1.2, 0.3], [0.3, 0.3, 0.8]]

TABLES = ["iterations", "multigrid", "preconditioners", "ranks", "schemes", "overshoot"]

SCHEMES: dict[str, dict[str, Any]] = {
    "rosw rodaspr2": {},
    "rosw ra34pw2": {"ts_rosw_type": "ra34pw2"},
    "rosw ra3pw": {"ts_rosw_type": "ra3pw"},
    "rosw sandu3": {"ts_rosw_type": "sandu3"},
    "arkimex 3": {"ts_type": "arkimex", "ts_arkimex_type": "3"},
    "bdf": {"ts_type": "bdf"},
}


MESHES = (
    (2, 16, 2, "simplex"), (2, 64, 2, "simplex"), (2, 128, 2, "simplex"), (2, 16, 4, "box"),
    (3, 20, 1, "simplex"), (3, 40, 1, "simplex"), (3, 10, 2, "simplex"), (3, 24, 1, "box"), (3, 12, 2, "box"),
    (3, 8, 3, "box"), (3, 4, 4, "box"),
)  # fmt: skip
"""Dimension, cells along an axis, degree and shape, for the table of preconditioners."""


def study(dimension: int, cells: int, data: tuple[str, str] | None = None, end: float = 0.01, **pde: Any) -> Any:
    """The study of this bench."""
    matrix = [row[:dimension] for row in FULL[:dimension]]
    f0, g0 = data or (f"3+sin(2*pi*x)+{WAVES[dimension - 1]}", "1+0.6*sin(2*pi*x)")
    tables = {
        "study": {"model": "reaction", "name": "bench"},
        "model": {
            "dimension": dimension,
            "chi1": {"family": "gaussian", "covariance": matrix},
            "chi2": {"family": "gaussian", "covariance": 0.5},
            "f0": f0,
            "g0": g0,
            "epsilon": 0.1,
            "end_time": end,
            "observe": [0.0, 1.0],
        },
        "particles": {"per_unit": 10, "replicas": 2, "bias": 1.0},
        "pde": {"cells": cells, "rtol": 1e-4} | pde,
    }
    return check(tables)


def line(label: str, found: xr.Dataset) -> str:
    """Counts and shares of one solution."""
    a = found.attrs
    parts = [float(a["seconds_assembly"]), float(a["seconds_solver"])]
    parts.append(_seconds(a) - sum(parts))
    shares = " ".join(f"{100 * part / sum(parts):6.1f}%" for part in parts)
    return (
        f"{label:28} {a['steps']:6} {a['rejected_steps']:4} {a['linear_iterations_mean']:7.1f} "
        f"{a['linear_iterations_max']:5} {sum(parts):9.2f} {shares}"
    )


HEAD = (
    f"{'':28} {'steps':>6} {'rej':>4} {'it/sol':>7} {'most':>5} {'seconds':>9} {'assem':>7} {'solver':>7} {'other':>7}"
)


def iterations() -> None:
    """GMRES iterations under refinement; the table of ranks has 64^3."""
    print(f"\nGMRES with multigrid under refinement\n{HEAD}")
    for dimension, degree, shape, meshes in (
        (2, 1, "simplex", (16, 32, 64, 128, 256)),
        (2, 2, "simplex", (16, 32, 64, 128, 256)),
        (2, 1, "box", (16, 64, 256)),
        (3, 1, "simplex", (8, 16, 32)),
        (3, 2, "simplex", (8, 16)),
        (3, 1, "box", (8, 16, 32)),
    ):
        for cells in meshes:
            found = solve(study(dimension, cells, degree=degree, shape=shape))
            print(line(f"{dimension}D P{degree} {shape} {cells}^{dimension}", found), flush=True)


def multigrid(rounds: int) -> None:
    """Hypre's multigrid beside PETSc's own, where PETSc has both; of the seconds, the fastest of some rounds."""
    database = PETSc.Options("pde_")
    print(f"\nhypre beside PETSc's GAMG\n{HEAD}")
    for dimension, degree, meshes in ((2, 1, (16, 32, 64, 128, 256)), (2, 2, (16, 32, 64, 128)), (3, 1, (8, 16, 32))):
        for cells in meshes:
            best: dict[str, xr.Dataset] = {}
            for _ in range(rounds):
                for name, options in (("hypre", HYPRE), ("gamg", GAMG | {"pc_mg_cycle_type": CYCLE[dimension]})):
                    if name == "hypre" and not PETSc.Sys.hasExternalPackage("hypre"):
                        continue
                    for key, value in options.items():
                        database[key] = value
                    found = solve(study(dimension, cells, degree=degree))
                    for key in options:
                        database.delValue(key)
                    if name not in best or _seconds(found.attrs) < _seconds(best[name].attrs):
                        best[name] = found
            for name, found in best.items():
                print(line(f"{dimension}D P{degree} {cells}^{dimension} {name}", found), flush=True)


def preconditioners(rounds: int) -> None:
    """Multigrid beside ILU(0) and the diagonal, on short and on long steps; the fastest of some rounds."""
    database = PETSc.Options("pde_")
    for end in (0.01, 1.0):
        print(f"\npreconditioners, up to t = {end:g}\n{HEAD}")
        for dimension, cells, degree, shape in MESHES:
            for name in ("multigrid", "bjacobi", "jacobi"):
                options = algebraic(dimension, degree, 1e-4) if name == "multigrid" else {"pc_type": name}
                for key, value in options.items():
                    database[key] = value
                asked = study(dimension, cells, end=end, degree=degree, shape=shape)
                best = min((solve(asked) for _ in range(rounds)), key=lambda found: _seconds(found.attrs))
                for key in options:
                    database.delValue(key)
                print(line(f"{dimension}D P{degree} {shape} {cells}^{dimension} {name}", best), flush=True)


def ranks(cells: int, rounds: int) -> None:
    """One and two ranks."""
    print(f"\n{cells}^3 P1 simplices, {cells**3} unknowns, fastest of {rounds}\n{HEAD}")
    best: dict[int, float] = {}
    for count in (1, 2):
        fastest: dict[str, Any] = {}
        for _ in range(rounds):
            command = [*on_this_machine(count), sys.executable, __file__, "--worker", str(cells)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            attrs = json.loads(printed.strip().splitlines()[-1])
            if not fastest or _seconds(attrs) < _seconds(fastest):
                fastest = attrs
        best[count] = _seconds(fastest)
        print(line(f"{count} rank(s)", xr.Dataset(attrs=fastest)), flush=True)
    print(f"2 ranks are {best[1] / best[2]:.2f} times as fast as one")


def _seconds(attrs: dict[str, Any]) -> float:
    return float(attrs["stepping_seconds"])


def worker(cells: int) -> None:
    """One solution on the ranks there are; its attributes as JSON."""
    found = solve(study(3, cells, degree=1))
    if MPI.COMM_WORLD.rank == 0:
        keys = ("steps", "rejected_steps", "linear_iterations_mean", "linear_iterations_max")
        keys += ("seconds_assembly", "seconds_solver", "stepping_seconds")
        print(json.dumps({key: float(found.attrs[key]) for key in keys}))


def schemes() -> None:
    """Error against seconds."""
    for dimension, cells, degree in ((1, 128, 2), (2, 48, 2), (3, 16, 1)):
        print(f"\nschemes, {dimension}D P{degree}, {cells} cells an axis: error in time (L2, relative)")
        print(f"{HEAD}  error")
        database = PETSc.Options("pde_")
        reference = solve(study(dimension, cells, degree=degree, rtol=1e-10))
        for name, options in SCHEMES.items():
            for rtol in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
                for key, value in options.items():
                    database[key] = value
                found = solve(study(dimension, cells, degree=degree, rtol=rtol))
                for key in options:
                    database.delValue(key)
                print(f"{line(f'{name} {rtol:g}', found)} {float(distance(found.m, reference.m)[-1]):7.1e}", flush=True)


def overshoot() -> None:
    """By how much m leaves its bounds on data that jump within a cell."""
    print("\nbeyond the bounds, over the range, m0 = tanh(100 sin 2 pi x) + 1/2, up to t = 0.001")
    for dimension, cells in ((1, 32), (2, 32)):
        for name, settings in (
            ("P1", {"degree": 1}),
            ("P2", {"degree": 2}),
            ("P1 lumped", {"degree": 1, "lumped": True}),
            ("Q1 lumped", {"degree": 1, "lumped": True, "shape": "box"}),
        ):
            tables = study(dimension, cells, ("1.5+tanh(100*sin(2*pi*x))", "1"), 1e-3, rtol=1e-6, **settings)
            times = (0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
            model = tables.model.model_copy(update={"observe": times})
            found = solve(tables.model_copy(update={"model": model}))
            size = float(found.highest[0] - found.lowest[0])
            beyond = max(float((found.highest - found.highest[0]).max()), float((found.lowest[0] - found.lowest).max()))
            print(f"{dimension}D {name:10} {beyond / size:10.2e}   by theory: {bool(found.attrs['maximum_principle'])}")


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", default=TABLES, choices=TABLES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", type=int, default=64, help="along each axis, for the table of ranks")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        worker(arguments.worker)
        return
    for name in arguments.only:
        if name == "ranks":
            ranks(arguments.cells, arguments.rounds)
        elif name in ("multigrid", "preconditioners"):
            {"multigrid": multigrid, "preconditioners": preconditioners}[name](arguments.rounds)
        else:
            {"iterations": iterations, "schemes": schemes, "overshoot": overshoot}[name]()


if __name__ == "__main__":
    main()
