"""Strong and weak scaling on one and two cores, with time and memory for each unknown and each collision.

    ./run python bench scaling [-- --only NAME ...] [--rounds 2]

Every run is a program of its own, started by mpirun where there are two ranks; the least seconds of some rounds count,
of stepping or of simulating, without starting up. Memory is the most that any process had. Strong: the same problem on
two cores; weak: twice the problem on two cores. On a line one rank solves the kinetic system, on one core: with more
threads BLAS is slower on matrices as small as its own. In the plane ranks share the velocities.
"""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import xarray as xr

from kinlim import load
from kinlim.study import dump

EXAMPLES = Path(__file__).parent.parent / "examples"
SPACE = {2: "1.6+0.6*cos(2*pi*(x+y))", 3: "1.6+0.6*cos(2*pi*(x+y+z))"}

MESHES: dict[str, tuple[int, list[str], int, int]] = {
    "2D, P2 triangles": (2, ["pde.degree=2"], 96, 136),
    "3D, P1 tetrahedra": (3, ["pde.degree=1"], 28, 35),
    "3D, Q4 boxes, explicit": (3, ["pde.degree=4", "pde.shape=box", "pde.stepping=explicit"], 8, 10),
}
"""Dimension, what is set, and cells along an axis: of one problem, and of one with twice the unknowns."""

PARTICLES = {
    "pinned, redistribute, n = 1000": ("pinned-paper.toml", [], 60000, "collisions"),
    "pinned, sorting, n = 1000": ("pinned-paper.toml", ["particles.kernel=sorting"], 20000, "collisions"),
    "Kac": ("kac-reservoir.toml", [], 40000, "collisions"),
    "generation and recombination, 1D": ("reaction-torus.toml", [], 128, ""),
}
"""Study, what is set, replicas on one core, and the attribute with the work."""

KINETIC = {
    "kinetic, 1D": (1, [(32, 32, 4), (64, 32, 4), (32, 64, 4), (64, 64, 4)]),
    "kinetic, 2D": (2, [(8, 8, 4), (12, 8, 4), (8, 12, 4)]),
}
"""Dimension; velocities and cells along an axis, and degree."""

WAYS = {"1 thread": (1, 1), "2 threads": (1, 2), "2 ranks": (2, 1)}
"""Ranks, and threads of each."""


def started(ranks: int, *words: str) -> float:
    """Run kinlim; the most memory of any of its processes, in MB."""
    alone = [sys.executable, "-m", "kinlim", *words]
    command = alone if ranks == 1 else ["mpirun", "-n", str(ranks), *alone]
    watch = "import resource,subprocess,sys\nsubprocess.run(sys.argv[1:],check=True,stdout=2)\n"
    watch += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024)"
    done = subprocess.run([sys.executable, "-c", watch, *command], capture_output=True, text=True, check=True)
    return float(done.stdout)


def limit_alone(settings: list[str]) -> str:
    """The example of generation and recombination, with some settings and without its kinetic system."""
    tables = tomllib.loads((EXAMPLES / "reaction-torus.toml").read_text(encoding="utf-8"))
    del tables["kinetic"]
    return dump(load(tables, settings))


def solved(dimension: int, cells: int, settings: list[str], ranks: int, rounds: int) -> dict[str, float]:
    """Seconds, steps, unknowns and MB of a solution."""
    words = [f"model.dimension={dimension}", f'model.f0="{SPACE[dimension]}"', f"pde.cells={cells}", "pde.rtol=1e-4"]
    found: list[dict[str, float]] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            study = Path(folder, "study.toml")
            study.write_text(limit_alone([*words, *settings]), encoding="utf-8")
            memory = started(ranks, "solve", str(study), "-o", f"{folder}/r")
            with xr.open_dataset(Path(folder, "r", "pde.nc")) as pde:
                found.append(
                    {"s": pde.attrs["stepping_seconds"], "steps": pde.attrs["steps"], "MB": memory,
                     "evaluations": pde.attrs["evaluations"]}
                )  # fmt: skip
    return min(found, key=lambda row: row["s"])


def meshes(name: str, rounds: int) -> None:
    """Print the rows of a mesh."""
    dimension, settings, cells, twice = MESHES[name]
    degree = next(int(text[-1]) for text in settings if "degree" in text)
    rows = {
        "one": (cells, 1), "strong": (cells, 2), "twice": (twice, 1), "weak": (twice, 2),
    }  # fmt: skip
    took = {row: solved(dimension, count, settings, ranks, rounds) for row, (count, ranks) in rows.items()}
    for row, (count, ranks) in rows.items():
        unknowns, found = (count * degree) ** dimension, took[row]
        against = {"strong": took["one"]["s"], "weak": took["one"]["s"]}.get(row)
        speed = "" if against is None else f"{against / found['s']:.2f} of {'2' if row == 'strong' else '1'}"
        per = 1e6 * ranks * found["s"] / unknowns / found["steps"]
        counts = f"{ranks} rank(s) {unknowns:9,d} unknowns {found['steps']:4.0f} steps {found['s']:8.2f} s"
        each = f"{per:7.2f} µs core/unknown/step {found['MB']:6.0f} MB a rank"
        print(f"{name:26} {row:7} {counts} {each} {speed}", flush=True)
    more = (twice * degree) ** dimension - (cells * degree) ** dimension
    each = (took["twice"]["MB"] - took["one"]["MB"]) * 2**20 / more
    print(f"{name:26} {each / 1024:.2f} kB for each unknown more, on one rank", flush=True)


def particles(name: str, rounds: int) -> None:
    """Print the rows of a system of particles."""
    file, settings, replicas, work = PARTICLES[name]
    first = 0.0
    for way, (ranks, threads) in WAYS.items():
        for kind, count in (("strong", replicas), ("weak", replicas * ranks * threads)):
            if way == "1 thread" and kind == "weak":
                continue
            least, done, memory = float("inf"), 0.0, 0.0
            for _ in range(rounds):
                with tempfile.TemporaryDirectory() as folder:
                    sets = [w for s in [*settings, f"particles.replicas={count}"] for w in ("--set", s)]
                    words = ["simulate", str(EXAMPLES / file), "-o", f"{folder}/r", "--threads", str(threads), *sets]
                    memory = started(ranks, *words)
                    with xr.open_dataset(Path(folder, "r", "particles.nc")) as data:
                        least = min(least, data.attrs["wall_seconds"])
                        done = float(data.attrs.get(work, 0))
            first = first or least
            per = f"{1e9 * least * ranks * threads / done:8.2f} ns core/collision" if done else ""
            speed = f"{first / least:.2f} of {'2' if kind == 'strong' else '1'}" if way != "1 thread" else ""
            print(f"{name:34} {way:10} {kind:7} {count:8,d} replicas {least:8.2f} s {per} {memory:6.0f} MB {speed}",
                  flush=True)  # fmt: skip


def kinetic(name: str, rounds: int) -> None:
    """Print the rows of a kinetic system: on one rank, in the plane on two as well."""
    dimension, sizes = KINETIC[name]
    tables = tomllib.loads((EXAMPLES / "reaction-torus.toml").read_text(encoding="utf-8"))
    del tables["pde"]
    more = [f"model.dimension={dimension}", *([f'model.f0="{SPACE[2]}"'] if dimension == 2 else [])]
    for modes, cells, degree in sizes:
        tables["kinetic"] = {"modes": modes, "cells": cells, "degree": degree}
        alone = 0.0
        for ranks in range(1, dimension + 1):
            seconds, steps, unknowns, memory = min(_kinetic(dump(load(tables, more)), ranks) for _ in range(rounds))
            alone = alone or seconds
            speed = "" if ranks == 1 else f"{alone / seconds:.2f} of {ranks}"
            print(
                f"{name:12} {modes:3} velocities, {cells:3} cells of degree {degree}: {ranks} rank(s) "
                f"{unknowns:8,d} unknowns {seconds:8.2f} s {steps:4.0f} steps "
                f"{1e6 * ranks * seconds / unknowns / steps:7.2f} µs core/unknown/step {memory:6.0f} MB {speed}",
                flush=True,
            )


def _kinetic(study: str, ranks: int) -> tuple[float, int, int, float]:
    """Seconds, steps, unknowns and MB of a kinetic solution."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "study.toml").write_text(study, encoding="utf-8")
        memory = started(ranks, "solve", f"{folder}/study.toml", "-o", f"{folder}/r")
        with xr.open_dataset(Path(folder, "r", "kinetic.nc")) as data:
            about = data.attrs
            return about["wall_seconds"], int(about["steps"]), int(about["degrees_of_freedom"]), memory


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    kinds = {
        name: kind for names, kind in ((MESHES, meshes), (KINETIC, kinetic), (PARTICLES, particles)) for name in names
    }
    parser.add_argument("--only", nargs="+", default=[*kinds], choices=[*kinds])
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    for name in asked.only:
        kinds[name](name, asked.rounds)


if __name__ == "__main__":
    main()
