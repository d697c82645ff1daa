"""Pinned billiard balls, and the systems (A), (B'), (B_n) and (C) for their mean velocity mu and spread sigma.

Source: Burdzy, Hoskins and Steinerberger, "From pinned billiard balls to partial differential equations".
"""

from kinlim.base import Study
from kinlim.model import Command, CommandRun, Comparison, Maker, Model, Side, example, late
from kinlim.models.pinned.tables import PinnedBalls, PinnedEquations, PinnedParticles, PinnedRival, PinnedStudy


def _has_rival(study: Study) -> bool:
    return isinstance(study, PinnedStudy) and study.rival is not None


MODEL = Model(
    name="pinned",
    about="pinned billiard balls, and the equations for the mean and the spread of their velocities",
    physics=PinnedBalls,
    sides=(
        Side("pde.nc", "pde", PinnedEquations, "solve", late("kinlim.fem.pinned:EQUATIONS", Maker)),
        Side("rival.nc", "rival", PinnedRival, "solve", late("kinlim.fem.pinned:RIVAL", Maker), _has_rival),
        Side("particles.nc", "particles", PinnedParticles, "simulate", late("kinlim.stochastic.pinned:BALLS", Maker)),
    ),
    compare=late("kinlim.validation.pinned:COMPARISON", Comparison),
    tables=PinnedStudy,
    example=example("pinned-paper.toml"),
    commands={
        "drift": Command(
            "Hold one collision against Theorem 2.3 and Lemma 5.1: exactly, by formula, by the kernel.",
            late("kinlim.models.pinned.drift:run", CommandRun),
        ),
        "dynamics": Command(
            "Follow Proposition 4.3 along a solution, and the wave limit of Remark 4.4 as lambda grows.",
            late("kinlim.models.pinned.dynamics:run", CommandRun),
        ),
        "noise": Command(
            "Ask whether single runs, and all together, are modulated white noise, and in which waves runs differ.",
            late("kinlim.models.pinned.noise:run", CommandRun),
        ),
        "rest": Command(
            "Say what balls and equations come to in the end, beside (B'), (B_n) and normal pairs.",
            late("kinlim.models.pinned.rest:run", CommandRun),
        ),
        "iterate": Command(
            "Run the iteration of the well-posedness proof, with all its norms and inequalities.",
            late("kinlim.models.pinned.iteration:run", CommandRun),
        ),
    },
)
