"""What a week of particles survives: kill -9 at random moments, and damaged checkpoints.

    python bench/particle_recovery.py [--kills 50] [--damages 200] [--seed 1]

Kills: `kinlim simulate` with small blocks is killed by SIGKILL at a random moment and resumed, over and over, until it
has been killed so many times; more replicas are asked for whenever it finishes. In the end the statistics must be those
of an uninterrupted run, bit by bit, and every resume must have had all blocks but those in flight: blocks that were
done before a kill, by the checkpoint, are never begun again.

Damages: a checkpoint is cut off at a random length or has one random bit flipped; the one before must be used.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

from mpi4py import MPI

import kinlim
from kinlim.checkpoint import State, decode
from kinlim.keeper import Keeper
from kinlim.results import Results, checkpoint_of

PARTICLES = "particles.nc"
PARTICLES_CHECKPOINT = checkpoint_of(PARTICLES)

PAPER = Path(__file__).parent.parent / "examples" / "pinned-paper.toml"
BLOCK = 16
SETTINGS = ["model.balls=200", "model.end_time=0.002", f"particles.block={BLOCK}", "particles.pilot=64"]


def command(folder: Path, replicas: int) -> list[str]:
    """The command line of a run that may be gone on with."""
    settings = [word for text in (*SETTINGS, f"particles.replicas={replicas}") for word in ("--set", text)]
    resume = ["--resume"] if (folder / "study.toml").exists() else []
    return [sys.executable, "-m", "kinlim", "simulate", str(PAPER), "-o", str(folder), *settings, *resume]


def blocks_done(folder: Path) -> int:
    """Blocks that the newest whole checkpoint holds."""
    for suffix in (".new", "", ".previous"):
        try:
            state = decode((folder / f"{PARTICLES_CHECKPOINT}{suffix}").read_bytes())
        except (OSError, ValueError):
            continue
        return len(state.attrs["waiting"]) + state.attrs["added"] if state.attrs["stage"] == "particles" else 0
    return 0


def kill_and_resume(kills: int, random: np.random.Generator) -> None:
    """Print what came of killing."""
    with tempfile.TemporaryDirectory() as name:
        folder, replicas, killed, before, finished = Path(name) / "r", 20000, 0, 0, 0
        began = time.perf_counter()
        while killed < kills:
            process = subprocess.Popen(command(folder, replicas), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                _, said = process.communicate(timeout=float(random.uniform(1.0, 4.0)))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                killed += 1
            else:
                if process.returncode:
                    raise SystemExit(f"exit code {process.returncode}: {said.decode()}")
                finished += 1
                replicas += 20000
            done = blocks_done(folder)
            if done < before:
                raise SystemExit(f"{before} blocks were done before a kill and {done} after it")
            before = done
        subprocess.run(command(folder, replicas), check=True, capture_output=True)
        killed_run = xr.load_dataset(folder / PARTICLES, engine="h5netcdf")
        whole = kinlim.simulate(kinlim.load(PAPER, [*SETTINGS, f"particles.replicas={replicas}"]))
        different = [name for name in whole.data_vars if not whole[name].equals(killed_run[name])]
        print(
            f"{killed} kills, {finished} times replicas added, {replicas} replicas in {-(-replicas // BLOCK)} blocks, "
            f"{time.perf_counter() - began:.0f} s: blocks lost that a checkpoint held: 0; variables that differ from "
            f"an uninterrupted run: {len(different)} of {len(whole.data_vars)} {different}"
        )


def damage(count: int, random: np.random.Generator) -> None:
    """Print how many damaged checkpoints were noticed, and how many led to the one before."""
    study = kinlim.load(PAPER, [*SETTINGS, "particles.replicas=200"])
    states: list[State] = []
    kinlim.simulate(study, keeper=Keeper(MPI.COMM_WORLD, write=states.append))
    noticed = used = 0
    with tempfile.TemporaryDirectory() as name:
        results = Results(Path(name) / "r")
        results.prepare(study, (PARTICLES,))
        for state in states[-2:]:
            results.write_checkpoint(PARTICLES_CHECKPOINT, state)
        path = results.path / PARTICLES_CHECKPOINT
        shutil.copy(path, path.with_suffix(".good"))
        for k in range(count):
            content = bytearray(path.with_suffix(".good").read_bytes())
            if k % 2:
                content = content[: random.integers(len(content))]
            else:  # half of the flips in the first 2000 bytes, where the manifest and the header are
                content[random.integers(2000 if k % 4 else len(content))] ^= 1 << random.integers(8)
            path.write_bytes(content)
            try:
                decode(path.read_bytes())
            except ValueError:
                noticed += 1
            found = results.read_checkpoint(PARTICLES_CHECKPOINT)
            used += found is not None and found.attrs == states[-2].attrs
    print(f"{count} damaged checkpoints: {noticed} noticed, {used} times the one before was used")


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--damages", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    damage(options.damages, random)
    kill_and_resume(options.kills, random)


if __name__ == "__main__":
    main()
