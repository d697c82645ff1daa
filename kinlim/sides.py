"""The two sides that most models have: an equation that evolves, and an ensemble of particles."""

from collections.abc import Callable
from typing import Any

from kinlim.base import Ensemble, Study
from kinlim.equation import Equation, EvolutionSettings
from kinlim.model import Maker, Side
from kinlim.particles import Particles

__all__ = ["Ensembles", "Evolution"]


def Evolution(
    equation: Callable[[Study], Equation],
    *,
    file: str = "pde.nc",
    table: str = "pde",
    settings: type[EvolutionSettings] = EvolutionSettings,
) -> Side:
    """The side of an equation: solved by finite elements and PETSc's time integrators, observed, refined.

    Args:
        equation: a class made of `kinlim.Equation`, or a function that gives one for a study.
        file: of its dataset; PETSc's options have its stem as a prefix, -pde_ for pde.nc.
        table: of the study, with its settings.
        settings: class of that table.
    """

    def maker() -> Maker:
        from kinlim.fem.evolution import EquationMaker

        return EquationMaker(equation, table, file)

    return Side(file, table, settings, "solve", maker)


def Ensembles(
    particles: Callable[[Study], Particles[Any]],
    *,
    file: str = "particles.nc",
    table: str = "particles",
    settings: type[Ensemble] = Ensemble,
) -> Side:
    """The side of a particle system: independent replicas over threads and ranks, statistics with standard errors.

    Args:
        particles: a class that is `kinlim.Particles`, or a function that gives one for a study.
        file: of its dataset.
        table: of the study, with its settings.
        settings: class of that table.
    """

    def maker() -> Maker:
        from kinlim.stochastic.replicas import ParticlesMaker

        return ParticlesMaker(particles, table)

    return Side(file, table, settings, "simulate", maker)
