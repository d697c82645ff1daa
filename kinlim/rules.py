"""What is held against what, in a model of one's own: rules, which name variables that both sides have."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kinlim.model import Comparison, Datasets, Measured, Verdict

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Means", "Modes", "Numbers", "Rule", "rules"]


class Rule(ABC):
    """One thing that is compared.

    Attributes:
        name: of the variable of the particles.
        label: what its numbers and figures are called; by default the name, and needed where one is compared twice.
        about: the same in words, for the verdict; by default the label.
        particles: name of their side.
        solution: name of the side that they are held against.
        claimed: exponents that a source claims for the difference in a sweep, by the last part of a parameter's key.
        source: of the claim.
        follow: whether a sweep follows the difference; what is exact at every n is not worth it.
    """

    name: str
    follow: bool
    label: str
    about: str
    particles: str
    solution: str
    claimed: Mapping[str, float] | None
    source: str

    def __post_init__(self) -> None:
        """Fill in the label and the words."""
        object.__setattr__(self, "label", self.label or self.name)
        object.__setattr__(self, "about", self.about or self.label)

    def foresee(self, data: Datasets) -> None:  # noqa: B027 - a rule may want nothing by name
        """Raise InputError if a variable is missing in some of the datasets, or has other coordinates; here nothing.

        The values are not looked at: they may be those of a draft, see `Maker.draft` in `kinlim.model`.
        """

    @abstractmethod
    def compare(self, data: Datasets) -> "xr.Dataset":
        """Differences: difference_NAME and its standard error over (time, ...), and numbers over (time,).

        Raises:
            InputError: a variable is missing, is no number, or has other coordinates on the other side.
        """

    @abstractmethod
    def verdict(self, numbers: Mapping[str, Any]) -> Verdict:
        """What follows from metrics.json."""

    def tell(self, numbers: Mapping[str, Any]) -> list[str]:
        """Sentences besides the verdict, from metrics.json; here the power, which errors would have been seen."""
        from kinlim.validation.verdicts import power

        return power(self.about, numbers["times"], self.label, numbers["replicas"])

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
        norm: in which a sweep follows the difference; L1 for solutions with jumps.
    """

    name: str
    particles: str = "particles"
    solution: str = "pde"
    of: str | None = None
    norm: Literal["L1", "L2"] = "L2"
    claimed: Mapping[str, float] | None = None
    source: str = ""
    label: str = ""
    about: str = ""
    follow: bool = True

    def foresee(self, data: Datasets) -> None:
        """See `kinlim.validation.standard.foresee_means`."""
        from kinlim.validation import standard

        standard.foresee_means(self, data)

    def compare(self, data: Datasets) -> "xr.Dataset":
        """See `kinlim.validation.standard.compare_means`."""
        from kinlim.validation import standard

        return standard.compare_means(self, data)

    def verdict(self, numbers: Mapping[str, Any]) -> Verdict:
        """See `kinlim.validation.verdicts.of_profile`, at the last time."""
        from kinlim.validation.verdicts import of_profile

        points = numbers["points"][self.label]
        return of_profile(self.about, numbers["times"], self.label, numbers["replicas"], points)

    def tell(self, numbers: Mapping[str, Any]) -> list[str]:
        """The power; how far the solution has moved at the last time, and what part the particles have made of it."""
        last, name = numbers["times"][-1], self.label
        lines = super().tell(numbers)
        if not last[f"response_se_{name}"] or last[f"moved_{name}"] is None:
            return lines
        return [
            *lines,
            f"{name}: the solution has moved by {100 * last[f'moved_{name}']:.2g} % of its size; the particles have "
            f"made {100 * last[f'response_{name}']:.2f} +- {100 * last[f'response_se_{name}']:.2g} % of that.",
        ]

    def draw(self, compared: "xr.Dataset", data: Datasets) -> "Figure":
        """See `kinlim.validation.standard_figures.profile`."""
        from kinlim.validation import standard_figures

        return standard_figures.profile(self, compared, data)

    def measured(self, compared: "xr.Dataset") -> dict[str, Measured]:
        """The difference at the last time with the noise taken out, its signed size, and the part of the change."""
        last, name = compared.isel(time=-1), self.label

        def at(key: str) -> float:
            return float(last[f"{key}_{name}"])

        key = {"L1": "l1_excess", "L2": "rel_l2_excess"}[self.norm]
        what = {"L1": "mean |difference|", "L2": "relative L2 difference"}[self.norm]
        return {
            f"excess_{name}": Measured(
                at(key) or float("nan"), at(f"{key}_se"), f"{what} in {name} beyond noise, last time", self.claimed,
                self.source,
            ),
            f"gap_{name}": Measured(abs(at("gap")), at("gap_se"), f"|gap| of {name} along the solution, last time"),
            f"response_{name}": Measured(
                abs(at("response") - 1), at("response_se"),
                f"|part of the predicted change of {name} that the particles make - 1|, last time", self.claimed,
                self.source,
            ),
        }  # fmt: skip


@dataclass(frozen=True)
class Numbers(Rule):
    """Single numbers, or arrays of the same dimensions on both sides, by their largest deviation in standard errors.

    Attributes:
        name: of the variable on both sides.
        against: what they are held against, in words.
        expected: gives the values expected from the solution's dataset, where they are no variable of it.
    """

    name: str
    particles: str = "particles"
    solution: str = "pde"
    expected: "Callable[[xr.Dataset], xr.DataArray] | None" = None
    claimed: Mapping[str, float] | None = None
    source: str = ""
    label: str = ""
    about: str = ""
    follow: bool = True
    against: str = "what is expected"

    def expectation(self, solution: "xr.Dataset", particles: "xr.Dataset") -> "xr.DataArray":
        """What is expected of these particles."""
        from kinlim.validation import standard

        return (
            standard.variable(solution, self.name, self.solution) if self.expected is None else self.expected(solution)
        )

    def known(self, particles: "xr.Dataset") -> "xr.DataArray":
        """Which of the numbers have a standard error that can be believed; here all that have one."""
        return particles[f"{self.name}_se"] > 0

    @property
    def wanted(self) -> tuple[str, ...]:
        """Variables of the solution that the expectation is made of, as far as they are known by name."""
        own = type(self).expectation is not Numbers.expectation  # of a rule made from this one, which may take any
        return () if own or self.expected is not None else (self.name,)

    def foresee(self, data: Datasets) -> None:
        """See `kinlim.validation.standard.foresee_variables`."""
        from kinlim.validation import standard

        standard.foresee_variables(self, data, self.wanted)

    def compare(self, data: Datasets) -> "xr.Dataset":
        """See `kinlim.validation.standard.compare_numbers`."""
        from kinlim.validation import standard

        return standard.compare_numbers(self, data)

    def verdict(self, numbers: Mapping[str, Any]) -> Verdict:
        """See `kinlim.validation.verdicts.of_deviations`, over all times."""
        from kinlim.validation.verdicts import farthest_speed, of_deviations

        found = numbers["deviations"][self.label]
        return of_deviations(
            self.about, found["against"], found["largest_z"], found["count"], found["chi2"], numbers["replicas"],
            farthest_speed(numbers["times"], self.label),
        )  # fmt: skip

    def tell(self, numbers: Mapping[str, Any]) -> list[str]:
        """The power."""
        from kinlim.validation.verdicts import power

        against = numbers["deviations"][self.label]["against"]
        return power(f"{self.about} against {against}", numbers["times"], self.label, numbers["replicas"])

    def draw(self, compared: "xr.Dataset", data: Datasets) -> "Figure":
        """See `kinlim.validation.standard_figures`: a profile over bins, or numbers over time."""
        from kinlim.grid import AXES
        from kinlim.validation import standard_figures

        over = set(AXES) & set(compared[f"difference_{self.label}"].dims)
        return (standard_figures.profile if over else standard_figures.numbers)(self, compared, data)

    def measured(self, compared: "xr.Dataset") -> dict[str, Measured]:
        """The root of the sum of squared differences at the last time, with the noise taken out."""
        from kinlim.validation import standard

        value, error = standard.excess(compared, self.label)
        what = f"difference in {self.label} beyond noise, last time"
        return {f"excess_{self.label}": Measured(value, error, what, self.claimed, self.source)}


@dataclass(frozen=True)
class Modes(Numbers):
    """Fourier modes 2 int u cos(2 pi k x) and 2 int u sin(2 pi k x) of a solution on the torus, k = 1, 2, ...

    The particles have them as a variable over (time, wave, part), see `kinlim.statistics.fourier`.

    Attributes:
        of: name of u in the solution, which is written down at equidistant points.
    """

    of: str = "u"

    @property
    def wanted(self) -> tuple[str, ...]:
        """The function whose modes they are."""
        return (self.of,)

    def expectation(self, solution: "xr.Dataset", particles: "xr.Dataset") -> "xr.DataArray":
        """The modes of the solution."""
        from kinlim.validation import standard

        return standard.modes(standard.variable(solution, self.of, self.solution))


def rules(*some: Rule) -> Callable[[], Comparison]:
    """What a model compares, by some rules: verdicts, numbers, figures and a page, for `Model.compare`.

    Raises:
        ValueError: two have one label; raised where the model declares them, so that its file and line are named.

    Examples:
        >>> compare = kinlim.rules(kinlim.Means("rho"), kinlim.Means("rho", norm="L1", label="rho in L1"))
        >>> kinlim.rules(kinlim.Means("rho"), kinlim.Means("rho", norm="L1"))
        Traceback (most recent call last):
        ...
        ValueError: two rules are called 'rho': give one of them another label=
    """
    labels = [rule.label for rule in some]
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise ValueError(f"two rules are called {twice[0]!r}: give one of them another label=")

    def comparison() -> Comparison:
        from kinlim.validation.standard import Standard

        return Standard(some)

    return comparison
