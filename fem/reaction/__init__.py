"""Kinetic generation and recombination: the limit equation, and the kinetic system at finite epsilon."""

from mpi4py import MPI

from kinlim.fem import torus_vtx
from kinlim.fem.reaction import kinetic, limit
from kinlim.fem.reaction.refinement import converge
from kinlim.models.reaction.tables import ReactionStudy

SOLVERS = {"pde": limit.solve, "kinetic": kinetic.solve}
"""By the name of what they write."""


def check(study: ReactionStudy, comm: MPI.Comm) -> None:
    """Raise InputError if a solver cannot use the study. Collective."""
    limit.check(study, comm)
    if study.kinetic is not None:
        kinetic.check(study, comm)


to_paraview = torus_vtx.write

__all__ = ["SOLVERS", "check", "converge", "to_paraview"]
