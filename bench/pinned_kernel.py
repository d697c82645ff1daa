"""Speed of the redistribute kernel beside the plain scalar C program of the same model, in one run.

    python bench/pinned_kernel.py [--balls 1000] [--rounds 7]

Both are timed on one core, in turn, on about the same number of collisions; the ratio is taken round by round, since
the speed of a shared machine drifts. kinlim is timed twice: the kernel alone, and a whole study through
`kinlim.simulate` with initial data and all statistics.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import kinlim
from kinlim.stochastic.redistribute import LANES, advance, width, workspace
from kinlim.stochastic.streams import modulated_white_noise, start

PAPER = Path(__file__).parent.parent / "examples" / "pinned-paper.toml"


def kernel_rate(study: kinlim.study.Study, collisions: int) -> float:
    """Collisions per second of `advance` on one group of replicas."""
    model = study.model
    streams, v = np.empty((4, LANES), np.uint64), np.zeros((LANES, width(model.balls)))
    start(streams, np.uint64(1), 0)
    modulated_white_noise(streams, model.mu0(x=model.sites), model.sigma0(x=model.sites), v)
    room = workspace()
    advance(v, model.balls, streams, 1, *room)
    began = time.perf_counter()
    advance(v, model.balls, streams, collisions, *room)
    return LANES * collisions / (time.perf_counter() - began)


def study_rate(study: kinlim.study.Study) -> float:
    """Collisions per second of a whole study."""
    particles = kinlim.simulate(study, threads=1)
    return float(particles.attrs["collisions"] / particles.attrs["wall_seconds"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--balls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    study = kinlim.load(PAPER, [f"model.balls={options.balls}", "particles.replicas=512"])
    study_rate(kinlim.load(PAPER, [f"model.balls={options.balls}", "particles.replicas=2"]))  # compiles
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "pinned_scalar"
        source = Path(__file__).with_name("pinned_scalar.c")
        subprocess.run(["gcc", "-O3", "-march=native", "-ffast-math", "-o", program, source, "-lm"], check=True)
        for _ in range(options.rounds):
            command = [program, str(options.balls), "32", "300000"]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rows.append((float(output.split()[1]), kernel_rate(study, 2_000_000), study_rate(study)))
    print(f"n = {options.balls}, one core, {options.rounds} rounds: median [min, max]")
    for name, column in zip(("scalar C", "kernel", "study"), zip(*rows, strict=True), strict=True):
        print(f"{name:>10} {statistics.median(column) / 1e6:8.1f} million collisions/s {spread(column, 1e6)}")
    for name, index in (("kernel", 1), ("study", 2)):
        ratios = [row[index] / row[0] for row in rows]
        print(f"{name:>10} {statistics.median(ratios):8.2f} times the C program       {spread(ratios, 1)}")


def spread(values: list[float] | tuple[float, ...], unit: float) -> str:
    """Least and greatest value."""
    return f"[{min(values) / unit:.2f}, {max(values) / unit:.2f}]"


if __name__ == "__main__":
    main()
