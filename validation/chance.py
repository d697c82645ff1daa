"""What noise alone may do: how large the largest of many deviations comes out by chance."""

from scipy.special import stdtrit

CHANCE = 1e-3
"""Chance that noise alone makes the largest of all deviations larger than what is called beyond noise."""


def sure(replicas: int, count: int) -> float:
    """Standard errors that the largest of so many deviations exceeds by chance once in 1/CHANCE cases (Student's t)."""
    return float(-stdtrit(replicas - 1, CHANCE / (2 * max(count, 1))))
