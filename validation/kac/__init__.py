"""Kac particles with a reservoir against those with a thermostat: what is compared, drawn and reported."""

from kinlim.validation.kac.comparison import compare, metrics
from kinlim.validation.kac.page import draw, draw_solution, html, tell
from kinlim.validation.kac.scaling import measured, overlay

__all__ = ["compare", "draw", "draw_solution", "html", "measured", "metrics", "overlay", "tell"]
