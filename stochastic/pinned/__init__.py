"""The particle side of a pinned-ball study: ensemble statistics at the observation times, as a labelled dataset."""

from kinlim.stochastic.pinned.simulation import simulate

__all__ = ["simulate"]
