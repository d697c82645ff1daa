"""Kinetic generation and recombination of two species, the kinetic system, and its limit as epsilon goes to 0.

Source: Neumann and Schmeiser, "A kinetic reaction model: decay to equilibrium and macroscopic limit".
"""

from kinlim.base import Study
from kinlim.model import Comparison, Maker, Model, Side, example, late
from kinlim.models.reaction.tables import (
    KineticReaction,
    KineticSettings,
    LimitEquation,
    ReactionParticles,
    ReactionStudy,
)


def _has_kinetic(study: Study) -> bool:
    return isinstance(study, ReactionStudy) and study.kinetic is not None


def _has_flux(study: Study) -> bool:
    return isinstance(study, ReactionStudy) and study.model.has_flux


MODEL = Model(
    name="reaction",
    about="two species made and destroyed in pairs on the torus, their kinetic system, and its diffusion limit",
    physics=KineticReaction,
    sides=(
        Side("pde.nc", "pde", LimitEquation, "solve", late("kinlim.fem.reaction:LIMIT", Maker)),
        Side(
            "kinetic.nc", "kinetic", KineticSettings, "solve", late("kinlim.fem.reaction:KINETIC", Maker), _has_kinetic
        ),
        Side("corrected.nc", "pde", LimitEquation, "solve", late("kinlim.fem.reaction:CORRECTED", Maker), _has_flux),
        Side("particles.nc", "particles", ReactionParticles, "simulate", late("kinlim.stochastic.reaction:GAS", Maker)),
    ),
    compare=late("kinlim.validation.reaction:COMPARISON", Comparison),
    tables=ReactionStudy,
    example=example("reaction-torus.toml"),
)
