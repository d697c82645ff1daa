"""The limit equations of the pinned balls: one file per system, one per boundary condition, `solve` to run them."""

from kinlim.fem.pinned.paraview import write as to_paraview
from kinlim.fem.pinned.refinement import converge, estimate
from kinlim.fem.pinned.solve import check, discretise, solve

SOLVERS = {"pde": solve}
"""By the name of what they write."""

__all__ = ["SOLVERS", "check", "converge", "discretise", "estimate", "solve", "to_paraview"]
