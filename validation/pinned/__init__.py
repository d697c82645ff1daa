"""The pinned balls against their limit equations: what is compared, drawn and reported."""

from kinlim.validation.pinned.comparison import compare, metrics
from kinlim.validation.pinned.page import draw, draw_solution, html, tell
from kinlim.validation.pinned.scaling import measured, overlay

__all__ = ["compare", "draw", "draw_solution", "html", "measured", "metrics", "overlay", "tell"]
