"""The pinned balls against their limit equations: what is compared, drawn and reported."""

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from kinlim.base import Study, narrowed
from kinlim.errors import InputError
from kinlim.model import Comparison, Datasets, Measured, Verdict
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.validation.pinned import page
from kinlim.validation.pinned.comparison import compare, metrics
from kinlim.validation.pinned.scaling import measured


class BallsAgainstEquations(Comparison):
    """Particles against the solution of (A), (B') or (C)."""

    def check(self, study: Study) -> None:
        """Raise InputError with the sorting kernel, of which the equations are not the limit."""
        kernel = narrowed(study, PinnedStudy).particles.kernel
        if kernel != "redistribute":
            raise InputError(
                f"particles.kernel = '{kernel}' is not the model whose limit the equations are, so there is nothing to "
                "compare; `kinlim simulate` runs its particles alone"
            )

    def sweepable(self, study: Study, stages: Sequence[str]) -> None:
        """Raise InputError without particles: a sweep measures them against the equations."""
        if "simulate" not in stages:
            raise InputError(
                "study.model = 'pinned': a sweep measures particles against equations, so it needs both; leave "
                "--without-particles out"
            )

    def compare(self, data: Datasets) -> xr.Dataset:
        """See `kinlim.validation.pinned.comparison.compare`."""
        return compare(data["particles"], data["pde"])

    def metrics(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Any]:
        """See `kinlim.validation.pinned.comparison.metrics`."""
        return metrics(comparison, data["particles"], data["pde"])

    def verdicts(self, numbers: Mapping[str, Any]) -> list[Verdict]:
        """Whether mu and sigma agree at the last time."""
        return page.verdicts(numbers)

    def tell(self, numbers: Mapping[str, Any]) -> list[str]:
        """What came out at the last time."""
        return page.tell(numbers)

    def draw(self, comparison: xr.Dataset, data: Datasets) -> dict[str, bytes]:
        """Moments, spreads, white noise, and the solution over space and time."""
        return page.draw(comparison, data["particles"], data["pde"])

    def draw_solutions(self, data: Datasets) -> dict[str, bytes]:
        """The solution over space and time."""
        return page.draw_solution(data["pde"])

    def html(
        self, comparison: xr.Dataset, numbers: Mapping[str, Any], pictures: Mapping[str, bytes], data: Datasets
    ) -> str:
        """The report."""
        return page.html(comparison, numbers, pictures, data["particles"], data["pde"])

    def measured(self, data: Datasets, comparison: xr.Dataset | None) -> dict[str, Measured]:
        """Sizes of the gaps."""
        assert comparison is not None, "`sweepable` has said so"
        return measured(comparison)


COMPARISON = BallsAgainstEquations()

__all__ = ["COMPARISON", "compare", "metrics"]
