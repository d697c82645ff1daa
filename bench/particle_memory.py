"""Peak memory of a simulation for more and more replicas: it must not depend on them.

    python bench/particle_memory.py [--balls 1000] [--replicas 100000,1000000] [--collisions 300]

`kinlim simulate` in a process of its own, with all observables and checkpoints; the peak is the kernel's count of the
largest resident set. Few collisions a replica keep the time short; memory does not depend on them either.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAPER = Path(__file__).parent.parent / "examples" / "pinned-paper.toml"


def main() -> None:
    """Print a line for each number of replicas, and the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--balls", type=int, default=1000)
    parser.add_argument("--replicas", default="100000,1000000")
    parser.add_argument("--collisions", type=int, default=300)
    options = parser.parse_args()
    n, peaks = options.balls, []
    end_time = options.collisions * 2 / ((n - 1) ** 2 * (n - 2))
    for replicas in map(int, options.replicas.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            settings = [f"model.balls={n}", f"model.end_time={end_time}", f"particles.replicas={replicas}"]
            settings.append("model.observe=[0.1, 0.2, 0.4, 0.6, 0.8, 1.0]")
            words = [word for text in settings for word in ("--set", text)]
            command = [sys.executable, "-m", "kinlim", "simulate", str(PAPER), "-o", f"{folder}/r", *words]
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise SystemExit(f"{' '.join(command)}: failed")
        peaks.append(usage.ru_maxrss / 1024)
        print(
            f"{replicas:>9,} replicas of {n} balls: peak {peaks[-1]:.1f} MiB, {peaks[-1] / peaks[0]:.4f} of the first "
            f"({time.perf_counter() - began:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
