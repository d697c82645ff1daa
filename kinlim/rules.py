"""What is held against what, in a model of one's own: rules, which name variables that both sides have."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kinlim.model import Comparison, Datasets, Measured, Verdict

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Means", "Modes", "Numbers", "Rule", "rules"]


class Rule(ABC):
    """One thing that is compared.

    Attributes:
        name: of the variable of the particles.
        particles: name of their side.
        solution: name of the side that they are held against.
        claimed: exponents that a source claims for the difference in a sweep, by the last part of a parameter's key.
        source: of the claim.
    """

    name: str
    particles: str
    solution: str
    claimed: Mapping[str, float] | None
    source: str

    @abstractmethod
    def compare(self, data: Datasets) -> "xr.Dataset":
        """Differences: difference_NAME and its standard error over (time, ...), and numbers over (time,).

        Raises:
            InputError: a variable is missing, is no number, or has other coordinates on the other side.
        """

    @abstractmethod
    def verdict(self, numbers: Mapping[str, Any]) -> Verdict:
        """What follows from metrics.json."""

    @abstractmethod
    def draw(self, compared: "xr.Dataset", data: Datasets) -> "Figure":
        """The comparison as a figure."""

    @abstractmethod
    def measured(self, compared: "xr.Dataset") -> dict[str, Measured]:
        """What a sweep follows."""


@dataclass(frozen=True)
class Means(Rule):
    """Means of an observable at points or over bins, against the solution there; any number of axes.

    Attributes:
        name: of the variable on both sides.
        of: its name in the solution, where that is another one.
    """

    name: str
    particles: str = "particles"
    solution: str = "pde"
    of: str | None = None
    claimed: Mapping[str, float] | None = None
    source: str = ""

    def compare(self, data: Datasets) -> "xr.Dataset":
        """See `kinlim.validation.standard.compare_means`."""
        from kinlim.validation import standard

        return standard.compare_means(self, data)

    def verdict(self, numbers: Mapping[str, Any]) -> Verdict:
        """See `kinlim.validation.verdicts.of_profile`, at the last time."""
        from kinlim.validation.verdicts import of_profile

        return of_profile(self.name, numbers["times"][-1], self.name, numbers["replicas"], numbers["points"][self.name])

    def draw(self, compared: "xr.Dataset", data: Datasets) -> "Figure":
        """See `kinlim.validation.standard_figures.means`."""
        from kinlim.validation import standard_figures

        return standard_figures.means(self, compared, data)

    def measured(self, compared: "xr.Dataset") -> dict[str, Measured]:
        """The relative L2 difference at the last time with the noise taken out, and the signed gap's size."""
        last, name = compared.isel(time=-1), self.name
        return {
            f"excess_{name}": Measured(
                float(last[f"rel_l2_excess_{name}"]) or float("nan"), float(last[f"rel_l2_excess_se_{name}"]),
                f"relative L2 difference in {name} beyond noise, last time", self.claimed, self.source,
            ),
            f"response_{name}": Measured(
                abs(float(last[f"response_{name}"]) - 1), float(last[f"response_se_{name}"]),
                f"|part of the predicted change of {name} that the particles make - 1|, last time", self.claimed,
                self.source,
            ),
        }  # fmt: skip


@dataclass(frozen=True)
class Numbers(Rule):
    """Single numbers, or arrays of the same dimensions on both sides, by their largest deviation in standard errors.

    Attributes:
        name: of the variable on both sides.
        expected: gives the values expected from the solution's dataset, where they are no variable of it.
    """

    name: str
    particles: str = "particles"
    solution: str = "pde"
    expected: "Callable[[xr.Dataset], xr.DataArray] | None" = None
    claimed: Mapping[str, float] | None = None
    source: str = ""

    def expectation(self, solution: "xr.Dataset") -> "xr.DataArray":
        """What is expected."""
        from kinlim.validation import standard

        return (
            standard.variable(solution, self.name, self.solution) if self.expected is None else self.expected(solution)
        )

    def compare(self, data: Datasets) -> "xr.Dataset":
        """See `kinlim.validation.standard.compare_numbers`."""
        from kinlim.validation import standard

        return standard.compare_numbers(self, data)

    def verdict(self, numbers: Mapping[str, Any]) -> Verdict:
        """See `kinlim.validation.verdicts.of_deviations`, over all times."""
        from kinlim.validation.verdicts import of_deviations

        found = numbers["deviations"][self.name]
        return of_deviations(
            self.name, "what is expected", found["largest_z"], found["count"], found["chi2"], numbers["replicas"]
        )

    def draw(self, compared: "xr.Dataset", data: Datasets) -> "Figure":
        """See `kinlim.validation.standard_figures.numbers`."""
        from kinlim.validation import standard_figures

        return standard_figures.numbers(self, compared, data)

    def measured(self, compared: "xr.Dataset") -> dict[str, Measured]:
        """The root of the sum of squared differences at the last time, with the noise taken out."""
        from kinlim.validation import standard

        value, error = standard.excess(compared, self.name)
        what = f"difference in {self.name} beyond noise, last time"
        return {f"excess_{self.name}": Measured(value, error, what, self.claimed, self.source)}


@dataclass(frozen=True)
class Modes(Numbers):
    """Fourier modes 2 int u cos(2 pi k x) and 2 int u sin(2 pi k x) of a solution on the torus, k = 1, 2, ...

    The particles have them as a variable over (time, wave, part), see `kinlim.statistics.fourier`.

    Attributes:
        of: name of u in the solution, which is written down at equidistant points.
    """

    of: str = "u"

    def expectation(self, solution: "xr.Dataset") -> "xr.DataArray":
        """The modes of the solution."""
        from kinlim.validation import standard

        return standard.modes(standard.variable(solution, self.of, self.solution))


def rules(*some: Rule) -> Callable[[], Comparison]:
    """What a model compares, by some rules: verdicts, numbers, figures and a page, for `Model.compare`."""

    def comparison() -> Comparison:
        from kinlim.validation.standard import Standard

        return Standard(some)

    return comparison
