"""What `kinlim run --dry-run` says beside what runs then take: ten studies, sides that take three seconds or more.

    ./run python bench dry_run [-- --only NAME ...]

Predictions come from a process of their own and are made before the run. What a side took is what log.txt says.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from scaling import limit_alone

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"

STUDIES: dict[str, tuple[str, int, list[str]]] = {
    "pinned balls": ("pinned-paper.toml", 1, ["particles.replicas=200000"]),
    "pinned balls, sorting": ("pinned-paper.toml", 1, ["particles.kernel=sorting", "particles.replicas=60000"]),
    "pinned balls, system C": ("pinned-paper.toml", 1, ["pde.system=C", "pde.cells=20000", "particles.replicas=60000"]),
    "generation and recombination": ("reaction-torus.toml", 1, ["particles.replicas=1024", "kinetic.cells=48"]),
    "the same in the plane": (
        "reaction-torus.toml", 1,
        ["model.dimension=2", 'model.f0="1.6+0.6*cos(2*pi*(x+y))"', "pde.cells=192", "pde.rtol=1e-5",
         "particles.per_unit=40000", "particles.bias=1.0"],
    ),
    "the same in space, two ranks": (
        "reaction-torus.toml", 2,
        ["model.dimension=3", 'model.f0="1.6+0.6*cos(2*pi*(x+y+z))"', "pde.cells=24", "pde.degree=1", "pde.rtol=1e-4",
         "particles.per_unit=40000", "particles.bias=1.0"],
    ),
    "the same in space, explicit": (
        "reaction-torus.toml", 1,
        ["model.dimension=3", 'model.f0="1.6+0.6*cos(2*pi*(x+y+z))"', "pde.cells=10", "pde.degree=4", "pde.rtol=1e-4",
         "pde.shape=box", "pde.stepping=explicit", "particles.per_unit=20000", "particles.bias=1.0"],
    ),
    "Kac particles": ("kac-reservoir.toml", 1, ["exact.degree=5", "particles.replicas=200000"]),
    "exclusion on a torus": ("gallery/exclusion_torus.toml", 1, ["particles.replicas=400000"]),
    "Kuramoto": ("gallery/kuramoto.toml", 1, ["pde.cells=64"]),
}  # fmt: skip
"""Study, ranks and what is set."""

WITHOUT_KINETIC = ("the same in the plane", "the same in space, two ranks", "the same in space, explicit")
"""The example's kinetic system is for dimension 1."""

LEAST = 3.0
"""Seconds of sides that are shown."""

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def study(name: str, folder: Path) -> tuple[Path, list[str]]:
    """File of a study and the rest of its command line."""
    file, _, settings = STUDIES[name]
    path = EXAMPLES / file
    if name in WITHOUT_KINETIC:
        path = folder / "study.toml"
        path.write_text(limit_alone(settings), encoding="utf-8")
    return path, [word for setting in settings for word in ("--set", setting)]


def kinlim(ranks: int, *words: str) -> str:
    """What a command prints."""
    alone = [sys.executable, "-m", "kinlim", *words]
    command = alone if ranks == 1 else ["mpirun", "-n", str(ranks), *alone]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def compare(name: str) -> list[tuple[str, float, float]]:
    """Side, predicted and real seconds."""
    ranks = STUDIES[name][1]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path, words = study(name, folder)
        said = kinlim(ranks, "run", str(path), *words, "--dry-run")
        foretold = {
            file: float(number) * UNITS[unit]
            for file, number, unit in re.findall(r"^(\S+\.nc): about ([\d.]+) (\w+)", said, re.MULTILINE)
        }
        for stage in ("solve", "simulate"):
            kinlim(ranks, stage, str(path), *words, "-o", str(folder / stage))
        logs = "".join((folder / stage / "log.txt").read_text() for stage in ("solve", "simulate"))
        took = {file: float(seconds) for file, seconds in re.findall(r" (\S+\.nc).*: ([\d.]+) s on", logs)}
    return [(file, foretold[file], took[file]) for file in foretold]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    print(f"{'study':32} {'side':14} {'predicted':>10} {'took':>10} {'ratio':>6}")
    ratios = []
    for name in parser.parse_args().only:
        for file, foretold, took in compare(name):
            if max(foretold, took) >= LEAST:
                ratios.append(foretold / took)
                print(f"{name:32} {file:14} {foretold:8.1f} s {took:8.1f} s {ratios[-1]:6.2f}", flush=True)
    print(json.dumps({"least": round(min(ratios), 2), "most": round(max(ratios), 2), "sides": len(ratios)}))


if __name__ == "__main__":
    main()
