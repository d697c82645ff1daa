"""The limit equations of the pinned balls: one file per system, one per boundary condition, `solve` to run them."""

from kinlim.fem.pinned.refinement import converge, estimate
from kinlim.fem.pinned.solve import check, discretise, solve

__all__ = ["check", "converge", "discretise", "estimate", "solve"]
