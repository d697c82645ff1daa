"""Runs one of the programs beside it on all its settings: `python bench/peers NAME DIMENSION ROUNDS FOLDER`.

Prints a line of JSON for each: the setting in words, the least seconds of some rounds, and the file in FOLDER with m.
"""

import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np


def main() -> None:
    """Run it."""
    name, dimension, rounds, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    peer = importlib.import_module(name)
    for number, setting in enumerate(peer.SETTINGS[dimension]):
        run = peer.solver(dimension, *setting)
        least, m = np.inf, np.empty(0)
        for _ in range(rounds):
            began = time.perf_counter()
            m = run()
            least = min(least, time.perf_counter() - began)
            if least > 5:
                break
        file = folder / f"{name}-{dimension}-{number}.npy"
        np.save(file, m)
        about = {"peer": peer.NAME, "setting": peer.label(*setting), "seconds": least, "offset": peer.OFFSET}
        print(json.dumps(about | {"file": str(file)}), flush=True)


if __name__ == "__main__":
    main()
