"""Generation and recombination: particles, kinetic system and limit equation; what is compared, drawn and reported."""

from kinlim.validation.reaction.comparison import COMPARISON

__all__ = ["COMPARISON"]
