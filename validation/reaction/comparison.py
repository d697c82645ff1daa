"""Particles against the kinetic system where it is solved, and both against the limit equation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinlim.base import Study, narrowed
from kinlim.errors import InputError
from kinlim.grid import AXES
from kinlim.model import Datasets, Measured
from kinlim.models.reaction.profile import Profile
from kinlim.models.reaction.tables import ReactionStudy
from kinlim.rules import Numbers
from kinlim.statements import Statement
from kinlim.validation import standard_figures
from kinlim.validation.reaction import facts, figures, scaling, statements
from kinlim.validation.reaction.expectation import expectation, mode_of
from kinlim.validation.reaction.functionals import functionals
from kinlim.validation.reaction.hypocoercivity import NODES, table
from kinlim.validation.reaction.limit import gaps
from kinlim.validation.reaction.rates import rates
from kinlim.validation.report import number
from kinlim.validation.standard import Standard, variable

Array = NDArray[np.float64]

LEAST = 1e-6
"""Standard error in a bin, over that of Poisson's law with density 1, below which it is rounding: all counts agree."""


@dataclass(frozen=True)
class Density(Numbers):
    """A mean density in bins against means of a solution over these.

    The reference is the law of the particles as their number goes to infinity if it is kinetic; the limit equation
    differs from it at finite epsilon (docs/reaction.md).
    """

    def expectation(self, solution: xr.Dataset, particles: xr.Dataset) -> xr.DataArray:
        """Means over the bins, of local equilibrium rho_f = rho(m), rho_g = 1/rho(m) where m alone is known."""
        equilibrium = {"rho_f": lambda: solution["rho"], "rho_g": lambda: 1 / solution["rho"]}
        known = self.name in solution or self.name not in equilibrium
        values = variable(solution, self.name, self.solution) if known else equilibrium[self.name]()
        axes = [axis for axis in AXES if axis in particles[self.name].dims]
        coordinates = {axis: particles[axis] for axis in axes}
        return xr.DataArray(expectation(values, particles, axes), coordinates, ("time", *axes))

    def known(self, particles: xr.Dataset) -> xr.DataArray:
        """Those whose error is more than rounding."""
        return particles[f"{self.name}_se"] > LEAST * _poisson(particles, particles[self.name][0].size)


class GasAgainstSystemAndLimit(Standard):
    """Densities of the particles against the kinetic system, or the limit equation; the limit against the system."""

    template = "reaction/page.html"
    captions = {  # noqa: RUF012 - a class of a user's own is written so
        **{
            name: f"{what} in bins: particles, means of the reference over the same bins, and how far apart they are "
            "in standard errors; at the last time alone where there is more than one axis."
            for name, what in (("rho_f", "The density of A"), ("rho_g", "The density of B"), ("m", "m = ρ_f − ρ_g"))
        },
        "densities": "Solid: the kinetic system. Dashed, or alone: the limit equation, in which ρ_f = ρ(m) and ρ_g = "
        "1/ρ(m). At time 0 the kinetic data may be anything in the invariant region; the limit knows their difference "
        "alone.",
        "decay": "Left: wave number 1 of m; dotted lines decay at the rates of the linearised system and of the "
        "linearised limit, and end where the solutions end. Right: how far the kinetic system is from its limit, or "
        "without it the largest and smallest m.",
        "entropy": "Left: entropy (5) above its value in equilibrium; crosses: what (6), accumulated, leaves of it; H⁰ "
        "and H¹ are the functionals of Sections 2.1 and 2.2, where there is a kinetic system. Right: where f/χ₁ and "
        "χ₂/g are; dotted: the bounds of Theorem 1.1.",
    }

    def rules_of(self, data: Datasets) -> tuple[Numbers, ...]:
        """Against the kinetic system where there is one, otherwise against the limit equation."""
        solution, against = ("kinetic", "the kinetic system") if "kinetic" in data else ("pde", "the limit equation")
        return tuple(replace(rule, solution=solution, against=against) for rule in DENSITIES)

    def sweepable(self, study: Study, stages: Sequence[str]) -> None:
        """Raise InputError where there are neither a kinetic system nor particles."""
        if "simulate" not in stages and narrowed(study, ReactionStudy).kinetic is None:
            raise InputError(
                "study.model = 'reaction': without particles, a sweep measures the kinetic system against its limit, "
                "so it needs the table [kinetic]"
            )

    def more(self, data: Datasets) -> Mapping[str, Any]:
        """Wave number 1 of m along x that is expected, 2 int m cos(2 pi x) and 2 int m sin(2 pi x), and its z.

        Besides, where the kinetic system is there, what `kinlim.validation.reaction.limit.gaps` finds.
        """
        particles, found = data["particles"], {}
        expected = mode_of(data[self.rules_of(data)[0].solution]["m"])
        simulated, error = (particles[key].sel(axis="x").to_numpy() for key in ("mode", "mode_se"))
        z = np.full(error.shape, np.nan)
        np.divide(simulated - expected, error, out=z, where=error > LEAST * _poisson(particles, 1))
        if "kinetic" in data:
            gap = gaps(data["pde"], data["kinetic"], data.get("corrected"))
            found = {str(name): values for name, values in gap.data_vars.items()}
        over = ("time", "part")
        return {
            **found,
            "expected_mode": (over, expected, {"long_name": "2 int m cos(2 pi x), 2 int m sin(2 pi x)"}),
            "z_mode": (over, z, {"long_name": "mode: (simulated - expected)/standard error"}),
            "part": particles["part"],
        }

    def facts(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Any]:
        """What must hold for the solutions, rates of decay, and wave number 1 of the particles.

        without_error counts means that have no standard error, since all replicas agree.
        """
        particles, kinetic = data["particles"], data.get("kinetic")
        wave = particles.sel(axis="x")
        return {
            "reference": self.rules_of(data)[0].against,
            "without_error": sum(int(np.isnan(comparison[f"z_{rule.name}"]).sum()) for rule in DENSITIES),
            "predicted_bias": float(sum(particles.attrs[f"bias_{part}"] for part in ("dt", "cells", "number"))),
            "mode": {
                str(part): [
                    {"simulated": float(value), "se": float(error), "expected": float(expected)}
                    for value, error, expected in zip(
                        *(
                            values.sel(part=part)
                            for values in (wave["mode"], wave["mode_se"], comparison["expected_mode"])
                        ),
                        strict=True,
                    )
                ]
                for part in particles["part"].to_numpy()
            },
            "limit": facts.of_limit(data["pde"]),
            "kinetic": None if kinetic is None else facts.of_kinetic(kinetic),
            "decay": rates(data["pde"], kinetic, particles),
        }

    def statements(self, numbers: Mapping[str, Any]) -> list[Statement]:
        """See `kinlim.validation.reaction.statements`."""
        return statements.statements(numbers)

    def findings(self, numbers: Mapping[str, Any]) -> list[str]:
        """The distance of the kinetic system from its limit, the particles' bias, rates, and what must hold."""
        last, decay, kinetic = numbers["times"][-1], numbers["decay"], numbers["kinetic"]
        lines = []
        if kinetic is not None:
            corrected = (
                f" ({number(last['gap_corrected'])} from the corrected datum)" if "gap_corrected" in last else ""
            )
            lines.append(
                f"At t = {last['time']:g} the kinetic system is {number(last['gap_m'])} from its limit in L2"
                f"{corrected}, and rho_f rho_g {number(last['gap_product'])} from 1."
            )
        else:
            lines.append(
                "The particles are held against the limit: where epsilon is not small, or at first, they are not near "
                "it."
            )
        lines.append(f"Predicted bias of the particles' diffusion: {100 * numbers['predicted_bias']:.2g} %.")
        whole, first, measured = decay["overall"], decay["first"], decay["measured"]
        seen = [
            f"{number(measured[side]['rate'], 5)} +- {number(measured[side]['uncertainty'], 1)} on the {what}"
            for side, what in (("kinetic", "kinetic system"), ("particles", "particles"))
            if measured[side] is not None
        ]
        theorem = whole.get("theorem")
        lines.append(
            f"Small perturbations decay at the rate {number(whole['gap'], 5)}"
            + ("" if whole["k"] is not None else ", that of the essential spectrum")
            + f" (limit equation: {number(whole['limit'], 5)}"
            + ("" if theorem is None else f"; proved by Theorem 2.1 with the best constants: {number(theorem['rate'])}")
            + f"); wave number 1 along {decay['axis']} at {number(first['gap'], 5)}"
            + (f", measured {' and '.join(seen)}" if seen else "")
            + "."
        )
        if kinetic is not None:
            lines.append(
                f"The mass difference drifts by {number(kinetic['mass_drift'], 2)}; entropy lost and dissipated differ "
                f"by {number(kinetic['entropy_balance'], 2)} of it; f/chi_1 and chi_2/g stay in "
                f"[{number(kinetic['lowest'], 5)}, {number(kinetic['highest'], 5)}], where Theorem 1.1 allows "
                f"[{number(kinetic['region_lo'], 5)}, {number(kinetic['region_hi'], 5)}]."
            )
        return lines

    def solution_figures(self, data: Datasets) -> dict[str, Figure]:
        """Densities, decay and entropy, and m over space and time."""
        pde, kinetic = data["pde"], data.get("kinetic")
        model = facts.study_of(pde).model
        along = None if kinetic is None or "f" not in kinetic else functionals(kinetic)
        one = (pde if kinetic is None else kinetic)["m"].ndim == 2
        maps = {} if one or kinetic is None else {"kinetic-m": standard_figures.field(kinetic, "m")}
        return {
            **({"densities": figures.densities(pde, kinetic)} if one else {}),
            **maps,
            "decay": figures.decay(table(model, modes=(1,)), pde, kinetic, data.get("corrected")),
            "entropy": figures.entropy(pde, kinetic, along, model.region),
            **super().solution_figures(data),
        }

    def context(self, comparison: xr.Dataset, numbers: Mapping[str, Any], data: Datasets) -> dict[str, Any]:
        """The profiles in words, and how much the functionals rise."""
        kinetic, model = data.get("kinetic"), facts.study_of(data["pde"]).model
        return {
            "particles": data["particles"].attrs,
            "rho_inf": float(data["pde"].attrs["rho_inf"]),
            "profiles": [_words(chi) for chi in (model.chi1, model.chi2)],
            "nodes": NODES,
            "rise": None if kinetic is None or "f" not in kinetic else functionals(kinetic).attrs,
        }

    def measured(self, data: Datasets, comparison: xr.Dataset | None) -> dict[str, Measured]:
        """Distances from the limit, and noise."""
        return scaling.measured(data, comparison)

    def overlay(self, points: Sequence[tuple[Mapping[str, Any], Datasets]]) -> tuple[dict[str, bytes], dict[str, str]]:
        """Distances from the limit over time."""
        return scaling.overlay(points)


def _poisson(particles: xr.Dataset, bins: int) -> float:
    """Standard error of a density of 1 in one of so many equal bins, were numbers of particles Poisson."""
    return float(np.sqrt(bins / (particles.attrs["per_unit"] * particles.attrs["replicas"])))


def _words(chi: Profile) -> str:
    """A profile in words."""
    match chi.family:
        case "gaussian":
            return f"Gaussian with covariance {_plain(chi.covariance)}"
        case "power":
            return f"c(1 + |v|²)^(−{chi.k:g})"
        case _:
            return (
                f"a mixture of Gaussians with weights {_plain(chi.weights)}, means {_plain(chi.means)} and covariances "
                f"{_plain(chi.covariances)}"
            )


def _plain(value: Any) -> str:
    return f"[{', '.join(map(_plain, value))}]" if isinstance(value, tuple) else f"{value:g}"


DENSITIES = (
    Density("rho_f", about="The density of A"),
    Density("rho_g", about="The density of B"),
    Density("m", about="The difference of densities"),
)
COMPARISON = GasAgainstSystemAndLimit(DENSITIES)
