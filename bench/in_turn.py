"""Timings in turn: every row for some seconds, several rounds, ratios taken round by round, since machines drift."""

import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

Timing = Callable[[float], float]
"""Collisions per second, measured for at least so many seconds."""


def compiled(name: str, folder: str) -> Path:
    """Compile the C program `name`.c of this folder, as fast as the compiler makes it."""
    source, program = Path(__file__).with_name(f"{name}.c"), Path(folder) / name
    subprocess.run(["gcc", "-O3", "-march=native", "-ffast-math", "-o", program, source, "-lm"], check=True)
    return program


def outside(command: Callable[[int], list[object]], replicas: int = 1) -> Timing:
    """A program on one core: its command for so many collisions in each of its replicas; it prints seconds first."""

    def seconds_for(collisions: int) -> float:
        words = list(map(str, command(collisions)))
        return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[0])

    return long_enough(seconds_for, replicas)


def long_enough(seconds_for: Callable[[int], float], side_by_side: int) -> Timing:
    """Time with as many collisions as the seconds asked for need."""
    count = 1000

    def rate(seconds: float) -> float:
        nonlocal count
        while (took := seconds_for(count)) < seconds:
            count = int(count * min(100, 1.2 * seconds / took)) + 1
        return side_by_side * count / took

    return rate


def table(title: str, rows: dict[str, Timing], rounds: int, seconds: float) -> None:
    """Print rates, their ratios to the first row, and those of two cores to one."""
    for timing in rows.values():
        timing(seconds)
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, timing in rows.items():
            rates[name].append(timing(seconds))
    print(f"\n{title}, {rounds} rounds: median [min, max]")
    first = next(iter(rows))
    for name, column in rates.items():
        print(f"{name:>24} {summary(column, 1e6):>28} million collisions/s {over(column, rates[first])} x {first}")
    for two in [name for name in rates if "two" in name]:
        one = two.replace("two cores", "one core")
        print(f"{two:>24} {over(rates[two], rates[one]):>28} x on one", flush=True)


def over(column: list[float], other: list[float]) -> str:
    """Ratios, round by round."""
    return summary([a / b for a, b in zip(column, other, strict=True)], 1)


def summary(values: list[float], unit: float) -> str:
    """Median, least and greatest value."""
    return f"{statistics.median(values) / unit:8.2f} [{min(values) / unit:.2f}, {max(values) / unit:.2f}]"
