"""The particle side of a study of Kac particles: both systems at the observation times, as a labelled dataset."""

from kinlim.stochastic.kac.simulation import simulate

__all__ = ["simulate"]
