"""The particle side of a study of kinetic reactions: densities at the observation times, as a labelled dataset."""

from kinlim.stochastic.reaction.simulation import simulate

__all__ = ["simulate"]
