"""Generation and recombination: particles, kinetic system and limit equation; what is compared, drawn and reported."""

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from kinlim.base import Study, narrowed
from kinlim.errors import InputError
from kinlim.model import Comparison, Datasets, Measured, Verdict
from kinlim.models.reaction.tables import ReactionStudy
from kinlim.validation.reaction import page, scaling
from kinlim.validation.reaction.comparison import compare
from kinlim.validation.reaction.page import metrics


def _limit(data: Datasets) -> xr.Dataset:
    """The limit's solution; where the data have a flux, m_corrected is that from the corrected initial datum."""
    pde, corrected = data["pde"], data.get("corrected")
    return pde if corrected is None else pde.assign(m_corrected=corrected["m"])


class GasAgainstSystemAndLimit(Comparison):
    """Particles against the kinetic system where it is solved, and both against the limit equation."""

    def sweepable(self, study: Study, stages: Sequence[str]) -> None:
        """Raise InputError where there are neither a kinetic system nor particles."""
        if "simulate" not in stages and narrowed(study, ReactionStudy).kinetic is None:
            raise InputError(
                "study.model = 'reaction': without particles, a sweep measures the kinetic system against its limit, "
                "so it needs the table [kinetic]"
            )

    def compare(self, data: Datasets) -> xr.Dataset:
        """See `kinlim.validation.reaction.comparison.compare`."""
        return compare(data["particles"], _limit(data), data.get("kinetic"))

    def metrics(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Any]:
        """See `kinlim.validation.reaction.page.metrics`."""
        return metrics(comparison, data["particles"], _limit(data), data.get("kinetic"))

    def verdicts(self, numbers: Mapping[str, Any]) -> list[Verdict]:
        """Whether the densities of the particles are those expected."""
        return page.verdicts(numbers)

    def tell(self, numbers: Mapping[str, Any]) -> list[str]:
        """Distances and rates."""
        return page.tell(numbers)

    def draw(self, comparison: xr.Dataset, data: Datasets) -> dict[str, bytes]:
        """Densities, decay, entropy, particles."""
        return page.draw(comparison, data["particles"], _limit(data), data.get("kinetic"))

    def draw_solutions(self, data: Datasets) -> dict[str, bytes]:
        """Densities, decay, entropy."""
        return page.draw_solution(_limit(data), data.get("kinetic"))

    def html(
        self, comparison: xr.Dataset, numbers: Mapping[str, Any], pictures: Mapping[str, bytes], data: Datasets
    ) -> str:
        """The report."""
        return page.html(comparison, numbers, pictures, data["particles"], _limit(data), data.get("kinetic"))

    def measured(self, data: Datasets, comparison: xr.Dataset | None) -> dict[str, Measured]:
        """Distances from the limit, and noise."""
        return scaling.measured(
            _limit(data), data.get("kinetic"), particles=data.get("particles"), comparison=comparison
        )

    def overlay(self, points: Sequence[tuple[Mapping[str, Any], Datasets]]) -> tuple[dict[str, bytes], dict[str, str]]:
        """Distances from the limit over time."""
        return scaling.overlay([(values, {**data, "pde": _limit(data)}) for values, data in points])


COMPARISON = GasAgainstSystemAndLimit()

__all__ = ["COMPARISON", "compare", "metrics"]
