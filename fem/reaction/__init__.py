"""Kinetic generation and recombination: the limit equation, and the kinetic system at finite epsilon."""

from mpi4py import MPI

from kinlim.fem.reaction import kinetic, limit
from kinlim.reaction import ReactionStudy

SOLVERS = {"pde": limit.solve, "kinetic": kinetic.solve}
"""By the name of what they write."""


def check(study: ReactionStudy, comm: MPI.Comm) -> None:
    """Raise InputError if a solver cannot use the study. Collective."""
    limit.check(study, comm)
    if study.kinetic is not None:
        kinetic.check(study, comm)


__all__ = ["SOLVERS", "check"]
