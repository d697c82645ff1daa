"""Pinned billiard balls, and the systems (A), (B') and (C) for their mean velocity mu and spread sigma.

Source: Burdzy, Hoskins and Steinerberger, "From pinned billiard balls to partial differential equations".
"""

from kinlim.model import Command, CommandRun, Comparison, Maker, Model, Side, example, late
from kinlim.models.pinned.tables import PinnedBalls, PinnedEquations, PinnedParticles, PinnedStudy

MODEL = Model(
    name="pinned",
    about="pinned billiard balls, and the equations for the mean and the spread of their velocities",
    physics=PinnedBalls,
    sides=(
        Side("pde.nc", "pde", PinnedEquations, "solve", late("kinlim.fem.pinned:EQUATIONS", Maker)),
        Side("particles.nc", "particles", PinnedParticles, "simulate", late("kinlim.stochastic.pinned:BALLS", Maker)),
    ),
    compare=late("kinlim.validation.pinned:COMPARISON", Comparison),
    tables=PinnedStudy,
    example=example("pinned-paper.toml"),
    commands={
        "iterate": Command(
            "Run the iteration of the well-posedness proof, with all its norms and inequalities.",
            late("kinlim.models.pinned.iteration:run", CommandRun),
        )
    },
)
