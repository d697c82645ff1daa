"""Kill a run at random moments, go on with --resume until it ends, and compare its bits with those of a run left alone.

    python tests/kills.py [KILLS] [SEED]                   # a table in Markdown; 20 kills by default
    python tests/kills.py [KILLS] [SEED] --signal TERM     # the same with another signal, which asks for the end
    python tests/kills.py --moments                        # signals x commands x moments: codes, and seconds to the end

Every model, and a sweep. The moments are uniform over the time that the run takes, so that reading, compiling,
stepping, particles, renaming, drawing and writing are all hit.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import xarray as xr
from conftest import KAC, REACTION, TABLES

from kinlim.study import check, dump

CASES = {
    "pinned": (TABLES, ("run",)),
    "kac": (KAC, ("run",)),
    "reaction": (REACTION, ("run",)),
    "sweep": (KAC, ("sweep", "--over", "model.reservoir=6,12")),
    "pinned, particles": (TABLES, ("simulate",)),
    "pinned, equations": (TABLES, ("solve",)),
    "reaction, particles": (REACTION, ("simulate",)),
    "reaction, explicit": (
        REACTION | {"pde": REACTION.get("pde", {}) | {"stepping": "explicit", "shape": "box", "degree": 3}}, ("solve",),
    ),
}  # fmt: skip
"""A study, and the command."""

COMMANDS = {
    **{name: CASES[name] for name in ("pinned", "kac", "reaction", "sweep")},
    "solve": (TABLES, ("solve",)),
    "simulate": (TABLES, ("simulate",)),
    "converge": (TABLES, ("converge",)),
    "iterate": (TABLES, ("iterate",)),
}
"""What `--moments` stops."""

MOMENTS = (0.02, 0.2, 0.4, 0.6, 0.8, 0.95)
"""When, over the time that the command takes."""

PATIENCE = 300


def start(command: tuple[str, ...], study: Path, folder: Path) -> subprocess.Popen:
    """Begin a run, or go on with it."""
    resume = ("--resume",) if (folder / "study.toml").exists() else ()
    words = [sys.executable, "-m", "kinlim", *command, str(study), "-o", str(folder), *resume]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def datasets(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """The numbers of all datasets below a folder."""
    found = {}
    for path in sorted(folder.rglob("*.nc")):
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            found[str(path.relative_to(folder))] = {
                str(name): one.to_numpy() for name, one in dataset.variables.items()
            }
    return found


def same(one: dict, other: dict) -> bool:
    """Whether all numbers are the same, bit by bit; NaN is NaN."""
    return one.keys() == other.keys() and all(
        one[name].keys() == other[name].keys()
        and all(one[name][key].tobytes() == other[name][key].tobytes() for key in one[name])
        for name in one
    )


def killed(
    case: str, kills: int, number: signal.Signals, random: np.random.Generator, room: Path
) -> tuple[Counter[int], int, int]:
    """Codes with which the killed ended, runs that ended, and those of them with other bits."""
    tables, command = CASES[case]
    study = room / f"{case}.toml"
    study.write_text(dump(check(tables)))
    began = time.monotonic()
    alone = start(command, study, room / f"{case}-alone")
    said, _ = alone.communicate(timeout=PATIENCE)
    assert alone.returncode == 0, said
    lasts, wanted = time.monotonic() - began, datasets(room / f"{case}-alone")
    codes: Counter[int] = Counter()
    runs = wrong = 0
    while codes.total() < kills:
        folder = room / f"{case}-{runs}"
        runs += 1
        for _ in range(6):  # then it is left alone
            if codes.total() == kills:
                break
            program = start(command, study, folder)
            try:
                said, _ = program.communicate(timeout=float(random.uniform(0.2, 1.0) * lasts))
            except subprocess.TimeoutExpired:
                program.send_signal(number)
                program.communicate(timeout=PATIENCE)
                codes[program.returncode] += 1
                continue
            break
        program = start(command, study, folder)
        said, _ = program.communicate(timeout=PATIENCE)
        # A run that had ended by itself is done: --resume then finds nothing to do.
        if program.returncode != 0 or not same(datasets(folder), wanted):
            wrong += 1
            print(f"{case}: {folder.name} ended with {program.returncode}: {said[-300:]}", file=sys.stderr)
    return codes, runs, wrong


def moments(room: Path) -> None:
    """Stop every command by every signal at every moment: its code, and how long it took to end."""
    print("| command | signal | " + " | ".join(f"{moment:.0%}" for moment in MOMENTS) + " |")
    print("|---|---|" + "---|" * len(MOMENTS))
    for name, (tables, command) in COMMANDS.items():
        study = room / f"{name}.toml"
        study.write_text(dump(check(tables)))
        for _ in range(2):  # the first compiles
            began = time.monotonic()
            program = start(command, study, room / f"{name}-{began}")
            said, _ = program.communicate(timeout=PATIENCE)
            lasts = time.monotonic() - began
        assert program.returncode == 0, said
        for number in (signal.SIGTERM, signal.SIGUSR1):
            cells = []
            for moment in MOMENTS:
                program = start(command, study, room / f"{name}-{number}-{moment}")
                time.sleep(moment * lasts)
                sent = time.monotonic()
                program.send_signal(number)
                said, _ = program.communicate(timeout=PATIENCE)
                cells.append(f"{program.returncode}, {time.monotonic() - sent:.1f} s")
                if program.returncode not in (0, 75):
                    print(f"{name}, {number.name}, {moment}: {said[-300:]}", file=sys.stderr)
            print(f"| {name} | {number.name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the table."""
    words = argparse.ArgumentParser()
    words.add_argument("kills", nargs="?", type=int, default=20)
    words.add_argument("seed", nargs="?", type=int, default=1)
    words.add_argument("--signal", default="KILL", choices=("KILL", "TERM", "USR1"))
    words.add_argument("--moments", action="store_true")
    asked = words.parse_args()
    if asked.moments:
        with tempfile.TemporaryDirectory() as room:
            moments(Path(room))
        return
    random = np.random.default_rng(asked.seed)
    print("| case | ended with code: how many | runs | with other bits or a failure |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as room:
        for case in CASES:
            number = signal.Signals[f"SIG{asked.signal}"]
            codes, runs, wrong = killed(case, asked.kills // len(CASES), number, random, Path(room))
            ended = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items()))
            print(f"| {case} | {ended} | {runs} | {wrong} |", flush=True)


if __name__ == "__main__":
    main()
