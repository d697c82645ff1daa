"""What coupling the two systems gains: variance of their difference against independent runs, at equal cost.

    python bench/kac_coupling.py [--replicas 20000] [--rounds 3]

The study is examples/kac-reservoir.toml. Both ways run in turn, `rounds` times; cost is wall time for as many replicas,
and the gain the ratio of variance times cost: how many times longer independent runs take for the same error. Their
second system needs no reservoir, which is their advantage. Gains are medians over functions of the system, and, for
functions with a factor of the reservoir, over those.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

import kinlim

STUDY = Path(__file__).parent.parent / "examples" / "kac-reservoir.toml"


def main() -> None:
    """Print a row for every observation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    runs, costs = {}, []
    for number in range(arguments.rounds):
        seconds = {}
        for coupled in (True, False):
            settings = [f"particles.replicas={arguments.replicas}", f"particles.coupled={str(coupled).lower()}"]
            study = kinlim.load(STUDY, [*settings, f"particles.seed={number + 1}"])
            kinlim.simulate(kinlim.load(STUDY, [settings[1], "particles.replicas=2"]))  # compiles
            began = time.perf_counter()
            runs[coupled] = kinlim.simulate(study)
            seconds[coupled] = time.perf_counter() - began
        costs.append(seconds[True] / seconds[False])
    cost = statistics.median(costs)
    print(f"cost of a coupled replica over that of independent ones: {cost:.2f} [{min(costs):.2f}, {max(costs):.2f}]")
    ratio = (runs[False]["difference_se"] ** 2 / runs[True]["difference_se"] ** 2).to_numpy() / cost
    beyond = np.array(["|" in name for name in runs[True]["function"].to_numpy()])
    together = runs[True]["together"].to_numpy()
    print(f"{'t':>6} {'same particles':>15} {'gain, system':>15} {'gain, reservoir':>16}")
    for k, t in enumerate(runs[True]["time"].to_numpy()):
        with np.errstate(invalid="ignore"):
            system, reservoir = np.median(ratio[k, ~beyond]), np.median(ratio[k, beyond])
            print(f"{t:6.2f} {100 * together[k]:14.3f}% {system:15.1f} {reservoir:16.1f}")


if __name__ == "__main__":
    main()
