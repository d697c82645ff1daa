"""Kac particles in R^3 with a finite reservoir, or with the thermostat that is its limit.

Source: Bonetto, Popa, Powell, Chen and Tung, "Improved approximation of infinite thermostat by finite reservoir using
the 3D Kac model".
"""

from kinlim.model import Comparison, Maker, Model, Side, example, late
from kinlim.models.kac.tables import ExactSectors, KacEnsemble, KacParticles, KacStudy

MODEL = Model(
    name="kac",
    about="colliding particles with a finite reservoir, or with the thermostat that is its limit",
    physics=KacParticles,
    sides=(
        Side("exact.nc", "exact", ExactSectors, "solve", late("kinlim.fem.kac:SECTORS", Maker)),
        Side("particles.nc", "particles", KacEnsemble, "simulate", late("kinlim.stochastic.kac:SYSTEMS", Maker)),
    ),
    compare=late("kinlim.validation.kac:COMPARISON", Comparison),
    tables=KacStudy,
    example=example("kac-reservoir.toml"),
)
