"""The limit equations of the pinned balls: one file per system, one per boundary condition, `solve` to run them."""

from kinlim.fem.pinned.solve import EQUATIONS, RIVAL, discretise, solve

__all__ = ["EQUATIONS", "RIVAL", "discretise", "solve"]
