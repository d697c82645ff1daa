"""Generation and recombination: particles, kinetic system and limit equation; what is compared, drawn and reported."""

from kinlim.validation.reaction.comparison import compare
from kinlim.validation.reaction.page import draw, draw_solution, html, metrics, tell
from kinlim.validation.reaction.scaling import measured, overlay

__all__ = ["compare", "draw", "draw_solution", "html", "measured", "metrics", "overlay", "tell"]
