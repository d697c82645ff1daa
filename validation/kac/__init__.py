"""Kac particles with a reservoir against those with a thermostat: what is compared, drawn and reported."""

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from kinlim.model import Comparison, Datasets, Measured, Verdict
from kinlim.validation.kac import page, scaling
from kinlim.validation.kac.comparison import compare, metrics


class SystemsAgainstSectors(Comparison):
    """Simulated means against exact ones, and the distance of the two systems against the theorem."""

    def compare(self, data: Datasets) -> xr.Dataset:
        """See `kinlim.validation.kac.comparison.compare`."""
        return compare(data["particles"], data["exact"])

    def metrics(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Any]:
        """See `kinlim.validation.kac.comparison.metrics`."""
        return metrics(comparison, data["particles"], data["exact"])

    def verdicts(self, numbers: Mapping[str, Any]) -> list[Verdict]:
        """Whether simulation and exact means agree, and whether the theorem's bound holds."""
        return page.verdicts(numbers)

    def tell(self, numbers: Mapping[str, Any]) -> list[str]:
        """Distances and bounds."""
        return page.tell(numbers)

    def draw(self, comparison: xr.Dataset, data: Datasets) -> dict[str, bytes]:
        """Means, differences and distances."""
        return page.draw(comparison, data["particles"], data["exact"])

    def draw_solutions(self, data: Datasets) -> dict[str, bytes]:
        """Distances."""
        return page.draw_solution(data["exact"])

    def html(
        self, comparison: xr.Dataset, numbers: Mapping[str, Any], pictures: Mapping[str, bytes], data: Datasets
    ) -> str:
        """The report."""
        return page.html(comparison, numbers, pictures, data["particles"], data["exact"])

    def measured(self, data: Datasets, comparison: xr.Dataset | None) -> dict[str, Measured]:
        """Distances and their parts."""
        return scaling.measured(data["exact"], comparison)

    def overlay(self, points: Sequence[tuple[Mapping[str, Any], Datasets]]) -> tuple[dict[str, bytes], dict[str, str]]:
        """Distances of all points over time."""
        return scaling.overlay(points)


COMPARISON = SystemsAgainstSectors()

__all__ = ["COMPARISON", "compare", "metrics"]
