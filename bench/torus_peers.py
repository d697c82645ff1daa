"""The limit equation on the torus beside what a user might take or write instead: error against seconds.

    ./run python bench torus_peers -- [--dimension 1 2 3] [--rounds 3] [--peers NAME ...] [--all]

The problem is that of bench/peers/torus.py; the programs beside kinlim are the other files there, each with the
settings that it is tried with. They run in an environment of their own, made from bench/peers/requirements*.txt the
first time; what cannot be installed is said and left out. The error is that in L2 over points of a grid, relative to
m's deviation from its mean. Seconds are those of time stepping, the least of some rounds, on one core; what a program
compiles or sets up before is not counted. Each gets the setting that serves it best.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reaction_limit import FULL as OURS
from reaction_limit import study

from mpi4py import MPI

from kinlim.fem.evolution import FIRST_STEP
from kinlim.fem.reaction.limit import LIMIT
from kinlim.fem.record import Record

PEERS = Path(__file__).parent / "peers"
sys.path.insert(0, str(PEERS))

from fourier import solver as fourier  # noqa: E402
from torus import END, FULL  # noqa: E402

assert FULL == OURS

Array = NDArray[np.float64]

PROGRAMS = ("fourier", "differences", "scipy_lines", "py_pde", "fipy_volumes", "dedalus_fourier")
"""Files in bench/peers."""

TARGETS = {1: (1e-3, 1e-4, 1e-6), 2: (1e-3, 1e-4, 1e-6), 3: (1e-3, 1e-4)}
OWN = {
    ("explicit", 1): list(product((3, 4, 6, 8, 12, 16, 24), (3, 4, 6, 8), (1e-2, 1e-3, 1e-5))),
    ("implicit", 1): [
        (cells, degree, rtol) for cells in (6, 8, 12, 16, 24, 32) for degree in (3, 4) for rtol in (1e-3, 1e-4, 1e-6)
    ],
    ("explicit", 2): [
        (cells, degree, rtol)
        for cells, degree in ((4, 4), (6, 4), (8, 4), (16, 4), (3, 5), (4, 5), (3, 6), (4, 6), (6, 6), (3, 8), (4, 8))
        for rtol in (1e-2, 1e-3, 1e-5, 3e-6)
    ],
    ("explicit", 3): [*product((3, 4), (4, 5, 6), (1e-2, 1e-3)), (4, 5, 1e-4), (6, 4, 1e-3)],
    ("implicit", 2): [(8, 3, 1e-3), (8, 4, 1e-3), (12, 4, 1e-4), (16, 4, 1e-4), (24, 4, 1e-6)],
    ("implicit", 3): [(4, 3, 1e-2), (5, 4, 1e-3)],
}
"""Cells along an axis, degree and rtol that kinlim is given, for a way of stepping and a dimension."""


def refined(m: Array, n: int, offset: float = 0.0) -> Array:
    """Values at the points i/n of the trigonometric polynomial through m, which is given at (i + offset)/len(m)."""
    small, dimension = m.shape[0], m.ndim
    v = np.fft.fftshift(np.fft.fftn(m)) * (n / small) ** dimension
    turn = np.exp(-2j * np.pi * offset * np.fft.fftshift(np.fft.fftfreq(small)))
    for axis in range(dimension):
        v = np.moveaxis(np.moveaxis(v, axis, -1) * turn, -1, axis)
    if small < n:
        if small % 2 == 0:  # half of the highest frequency belongs to the other sign, which is left out with it
            for axis in range(dimension):
                np.moveaxis(v, axis, 0)[0] *= 0.5
        low = n // 2 - small // 2
        v = np.pad(v, [(low, n - small - low)] * dimension)
    return np.fft.ifftn(np.fft.ifftshift(v)).real


def own(stepping: str, dimension: int, cells: int, degree: int, rtol: float) -> tuple[float, Array]:
    """Seconds and solution of kinlim: of its steps, without observations, as those of the others are without."""
    shape = {"shape": "box"} if dimension > 1 else {}
    problem = LIMIT.problem(
        study(dimension, cells, degree=degree, stepping=stepping, rtol=rtol, **shape), MPI.COMM_SELF
    )
    with problem.stepper(FIRST_STEP * END) as stepper:
        began = time.perf_counter()
        stepper.advance(END)
        seconds = time.perf_counter() - began
        grid = problem.equation.grid
        return seconds, Record(problem).observed(problem.u).reshape(grid.shape)


def ours(dimension: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Rows of kinlim."""
    for stepping in ("explicit", "implicit"):
        for cells, degree, rtol in OWN[stepping, dimension]:
            again = rounds if stepping == "explicit" or dimension < 3 else 1
            seconds, m = min((own(stepping, dimension, cells, degree, rtol) for _ in range(again)), key=lambda r: r[0])
            label = f"{cells} cells an axis of degree {degree}, rtol {rtol:g}"
            yield {"peer": f"kinlim, {stepping}", "setting": label, "seconds": seconds, "offset": 0.0, "m": m}


def theirs(name: str, dimension: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Rows of one of `PROGRAMS`, in their environment; none, and a sentence, where it does not run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(environment()), str(PEERS), name, str(dimension), str(rounds), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            row = json.loads(line)
            yield row | {"m": np.load(row["file"])}
        if done.returncode:
            print(f"{name}: {(done.stderr.strip().splitlines() or ['ended'])[-1][:200]}", flush=True)


def environment() -> Path:
    """The Python of the peers' environment, made if there is none."""
    needed = sorted(PEERS.glob("requirements*.txt"))
    key = zlib.crc32(b"".join(path.read_bytes() for path in needed) + sys.version.encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "kinlim" / f"peers-{key}"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        venv.create(folder, clear=True, with_pip=True)
        compilers = {"CC": "mpicc", "FFTW_PATH": "/usr"} | os.environ
        for path in needed:
            command = [python, "-m", "pip", "install", "-q", "-r", path]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=compilers)
            if done.returncode:
                print(f"{path.name} cannot be installed: {done.stderr.strip().splitlines()[-1][:200]}", flush=True)
        (folder / "made").touch()
    return python


def main() -> None:
    """Print, for every solver and target, its fastest setting."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--dimension", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=PROGRAMS, choices=PROGRAMS)
    parser.add_argument("--all", action="store_true", help="every setting, too")
    asked = parser.parse_args()
    for dimension in asked.dimension:
        exact = fourier(dimension, 32 if dimension == 3 else 64, 256)()
        size = np.sqrt(np.mean((exact - exact.mean()) ** 2))
        rows = list(ours(dimension, asked.rounds))
        for name in asked.peers:
            rows += theirs(name, dimension, asked.rounds)
        for row in rows:
            m, offset = row["m"], row["offset"]
            n = max(m.shape[0], exact.shape[0])
            gap = refined(m, n, offset) - refined(exact, n)
            row["error"] = float(np.sqrt(np.mean(gap**2)) / size) if np.isfinite(m).all() else np.inf
            if asked.all:
                print(f"  {row['peer']:18} {row['setting']:40} {row['seconds']:9.4f} s {row['error']:9.1e}", flush=True)
        print(f"\n{dimension}D: seconds of the fastest setting below an error, and the setting")
        for target in TARGETS[dimension]:
            print(f"error below {target:g}")
            least = None
            for peer in dict.fromkeys(row["peer"] for row in rows):
                there = [row for row in rows if row["peer"] == peer]
                if not (good := [row for row in there if row["error"] < target]):
                    best = min(there, key=lambda row: row["error"])
                    print(f"  {peer:18} none; {best['error']:.1e} in {best['seconds']:.3g} s ({best['setting']})")
                    continue
                best = min(good, key=lambda row: row["seconds"])
                seconds = best["seconds"]
                least = least or seconds
                print(f"  {peer:18} {seconds:9.4f} s, {seconds / least:8.2f} of the first ({best['setting']}; "
                      f"{best['error']:.1e})")  # fmt: skip


if __name__ == "__main__":
    main()
