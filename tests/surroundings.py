"""Run small studies where something is missing: a full disk, no home, no shared memory; what becomes of them?

    python tests/surroundings.py [NAME ...]      # a table in Markdown; as root, since it mounts

Each must work, or say in one sentence what is wrong, and what is in the folder then must be whole.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import h5py
from conftest import KAC, REACTION, TABLES

from kinlim.study import check, dump

STUDIES = {"pinned": TABLES, "kac": KAC, "reaction": REACTION}

PATIENCE = 300

SMALL = 'mount -t tmpfs -o size={}k none "$PWD/small" && mkdir small/r && ln -s small/r r && '


@dataclass(frozen=True)
class Place:
    """Where a run takes place.

    Attributes:
        before: shell commands in the folder of the run, in a mount namespace of its own, before kinlim.
        launcher: words before `python -m kinlim`.
        environment: what differs; None unsets.
        closed: standard streams that are closed.
    """

    before: str = ""
    launcher: str = ""
    environment: dict[str, str | None] = field(default_factory=dict)
    closed: str = ""


SIZES = (4, 12, 20, 28, 40, 60, 80, 100, 120, 160, 240, 400)

CACHES: dict[str, str | None] = {"XDG_CACHE_HOME": "small", "NUMBA_CACHE_DIR": "small"}

PLACES = {
    **{f"results on {size} KiB": Place(SMALL.format(size)) for size in SIZES},
    "read-only results": Place(f"{SMALL.format(400)} mount -o remount,ro small && "),
    "caches on 100 KiB": Place(SMALL.format(100) + "rm r && ", environment=CACHES),
    "caches on 100 KiB, 2 ranks": Place(SMALL.format(100) + "rm r && ", launcher="mpirun -n 2", environment=CACHES),
    "a full /tmp": Place("mount -t tmpfs -o size=4k none /tmp && ", environment={"TMPDIR": None}),
    "no /dev/shm": Place("mount -t tmpfs -o ro,size=4k none /dev/shm && "),
    "no /dev/shm, 2 ranks": Place("mount -t tmpfs -o ro,size=4k none /dev/shm && ", launcher="mpirun -n 2"),
    "no HOME": Place(environment={"HOME": None, "XDG_CACHE_HOME": None, "NUMBA_CACHE_DIR": None, "MPLCONFIGDIR": None}),
    "HOME=/proc/nowhere": Place(
        environment={"HOME": "/proc/nowhere", "XDG_CACHE_HOME": None, "NUMBA_CACHE_DIR": None, "MPLCONFIGDIR": None}
    ),
    "locale C, no UTF-8": Place(environment={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "umask 077": Place("umask 077 && "),
    "a link as folder": Place("mkdir elsewhere && ln -s elsewhere r && "),
    "a link to nothing": Place("ln -s nothing r && "),
    "a link to itself": Place("ln -s r r && "),
    "64 descriptors": Place("ulimit -n 64 && "),
    "no standard streams": Place(closed="<&- >&- 2>&-"),
    "1 GiB of memory": Place("ulimit -v 1048576 && "),
    "512 MiB of memory": Place("ulimit -v 524288 && "),
}  # fmt: skip


def run(place: Place, study: str, room: Path) -> tuple[int, str]:
    """Run a study there; its code and what it said."""
    (room / "small").mkdir()
    (room / "study.toml").write_text(dump(check(STUDIES[study])))
    environment = {key: value for key, value in {**os.environ, **place.environment}.items() if value is not None}
    kinlim = f"{place.launcher} {sys.executable} -m kinlim run study.toml -o r {place.closed}"
    tidy = "code=$?; mkdir -p kept && cp -rL r kept/ 2>/dev/null; exit $code"
    script = f'cd "{room}" && {place.before} ( {kinlim} ); {tidy}'
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    return done.returncode, done.stderr.strip()


def left(room: Path) -> str:
    """What is in the folder, and whether it is whole."""
    folder = room / "kept" / "r"
    if not folder.is_dir():
        return "nothing"
    parts = [path.name for path in folder.rglob(".*") if path.name != ".lock"]
    for path in folder.glob("*.nc"):
        h5py.File(path).close()
    checked = subprocess.run(
        [sys.executable, "-m", "kinlim", "verify", str(folder)], capture_output=True, text=True, timeout=PATIENCE
    )
    files = sorted(path.name for path in folder.iterdir())
    whole = checked.returncode == 0 or "holds no result folder" in checked.stderr
    return ", ".join([*files, *parts]) + ("" if whole else f" NOT WHOLE: {checked.stderr}{checked.stdout}")


def main(names: list[str]) -> None:
    """Print the table."""
    print("| where | study | code | said | in the folder |\n|---|---|---|---|---|")
    for name in names or PLACES:
        for study in STUDIES:
            with tempfile.TemporaryDirectory(dir="/var/tmp") as room:
                code, said = run(PLACES[name], study, Path(room))
                lines = [line for line in said.splitlines() if "progress" not in line]
                print(f"| {name} | {study} | {code} | {' // '.join(lines)[-600:]} | {left(Path(room))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
