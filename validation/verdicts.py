"""Conclusions from numbers: agree, differ, or cannot be told. Every rule that concludes does so here, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10, sqrt
from typing import Any

from kinlim.model import Verdict
from kinlim.validation.chance import sure

SURE = 5.0
"""Standard deviations of noise from which on a difference is called one: noise does that once in two million times."""

ENOUGH = 100
"""Runs from which on standard errors are known well enough for that."""

OFTEN = 1.645
"""Standard deviations below its mean that a normal variable is in one of 20 cases."""

SOUGHT = (0.01, 0.03, 0.1)
"""Relative errors for which a report says how many replicas show them."""

MATTERS = 0.01
"""Relative L2 difference that is looked for: where noise would hide it, agreement cannot be told."""

CHANGE_MATTERS = 0.1
"""The same for the part of the predicted change that the particles have made."""


@dataclass(frozen=True)
class Speed:
    """How fast the particles are, over the equation's speed, minus 1: see `kinlim.validation.profiles.speeds`.

    Attributes:
        value: of the fit at one time.
        error: its standard error.
        time: of that fit.
    """

    value: float
    error: float
    time: float

    @property
    def differs(self) -> bool:
        """Whether noise does not make that."""
        return abs(self.value) > SURE * self.error

    def __str__(self) -> str:
        """In words."""
        digits = max(2, ceil(-log10(self.error)) + 1)
        return (
            f"the particles run at {1 + self.value:.{digits}f} +- {self.error:.1g} of the equation's speed "
            f"(t = {self.time:.3g})"
        )


def speeds_of(times: Sequence[Mapping[str, Any]], label: str) -> list[Speed]:
    """The speed at every time that tells it."""
    return [
        Speed(row[f"speed_{label}"], row[f"speed_se_{label}"], row["time"])
        for row in times
        if row.get(f"speed_se_{label}")
    ]


def speed_of(times: Sequence[Mapping[str, Any]], label: str) -> Speed | None:
    """The speed at the time at which it is known best; None where nothing tells it."""
    return min(speeds_of(times, label), key=lambda speed: speed.error, default=None)


def farthest_speed(times: Sequence[Mapping[str, Any]], label: str) -> Speed | None:
    """The speed at the time at which it is the most standard errors away from the equation's, if any tells it."""
    return max(speeds_of(times, label), key=lambda speed: abs(speed.value) / speed.error, default=None)


def power(about: str, times: Sequence[Mapping[str, Any]], label: str, replicas: int) -> list[str]:
    """Which relative errors of an equation's speed are seen, and how many replicas show smaller ones.

    The speed s is a factor of the whole right side, u_t = s F(u); no coefficient of a single term is that.
    An error is seen where it comes out SURE standard errors or more; one of SURE + OFTEN does so in 19 of 20 runs.
    Nothing is said where only errors beyond the speed itself would be seen.
    """
    speed = speed_of(times, label)
    if speed is None or replicas < ENOUGH:
        return []
    least = (SURE + OFTEN) * speed.error
    if least > 1:  # the solution hardly moves: its speed is not what these data are about
        return []
    needed = ", ".join(f"{round_up(replicas * (least / size) ** 2):,}" for size in SOUGHT)
    sizes = ", ".join(percent(size) for size in SOUGHT)
    return [
        f"{about}: an error of {percent(least)} or more in the equation's speed, which is one factor of all terms of "
        f"its right side, would be seen in 19 of 20 such runs; errors of {sizes} take about {needed} replicas. "
        "An error of one coefficient alone is not meant: it may be larger and remain unseen."
    ]


def round_up(value: float, least: int = ENOUGH) -> int:
    """To two digits, at least `least`."""
    size = 10 ** max(floor(log10(max(value, 1))) - 1, 0)
    return max(ceil(value / size) * size, least)


def of_profile(about: str, times: Sequence[Mapping[str, Any]], name: str, replicas: int, points: int) -> Verdict:
    """Whether a profile of means agrees with a solution, at the last time.

    They differ where the squared distance is SURE standard deviations above what noise makes of it, where chi-square
    over the points is, where the particles have made another part of the change that the solution predicts, or where
    they run at another speed at any of the times. They agree where that is not so and a difference
    of MATTERS, and of CHANGE_MATTERS of the change, would have been seen.

    Args:
        about: what is compared, in words.
        times: numbers of `kinlim.validation.profiles` time by time: rel_l2_NAME, excess_z_NAME, ...
        name: of the profile.
        replicas: independent runs.
        points: at which they are compared.
    """
    numbers = times[-1]

    def get(key: str) -> float | None:
        value: float | None = numbers[f"{key}_{name}"]
        return value

    def said(outcome: str, text: str) -> Verdict:
        at = f"t = {numbers['fraction']:g} T"
        kind = {"agree": "agree", "differ": "DIFFER", "cannot be told": "cannot be told apart"}[outcome]
        return Verdict(about, outcome, f"{about} at {at}: particles and equations {kind}{text}.")  # type: ignore[arg-type]

    rel, noise = get("rel_l2"), get("rel_l2_noise")
    if rel is None or noise is None:
        return said("cannot be told", ": the solution vanishes, so there is no relative difference")
    if replicas < ENOUGH:
        return said("cannot be told", f": {replicas} replicas are too few to know noise by; {ENOUGH} would do")
    spread = sqrt(2 / points)
    excess_z, chi2, response, response_se = (get(key) for key in ("excess_z", "chi2", "response", "response_se"))
    if excess_z is not None and excess_z > SURE:
        excess, gap = get("rel_l2_excess") or 0.0, get("gap") or 0.0
        side = f", {'below' if gap < 0 else 'above'} the solution by {percent(abs(gap))} along it"
        return said("differ", f" by {percent(excess)} in L2, beyond noise of {percent(noise)}{side}")
    if chi2 is not None and chi2 > 1 + SURE * spread:
        return said("differ", f" point by point: chi2 is {chi2:.3g} a point, where noise makes 1 +- {spread:.2g}")
    if (speed := farthest_speed(times, name)) is not None and speed.differs:
        return said("differ", f": {speed}")
    made = None if response is None or not response_se else (response, response_se)
    if made is not None and abs(made[0] - 1) > SURE * made[1]:
        return said(
            "differ", f": the particles have made {100 * made[0]:.1f} +- {100 * made[1]:.1g} % of the predicted change"
        )
    seen = noise * sqrt(SURE * spread)  # the smallest excess that passes the first test
    missing = max(seen / MATTERS, 0.0 if made is None else SURE * made[1] / CHANGE_MATTERS)
    if missing > 1:
        more = ceil(replicas * missing**2)
        what = percent(MATTERS) if seen > MATTERS else f"{percent(CHANGE_MATTERS)} of the change"
        return said("cannot be told", f": noise hides a difference of {what}; about {more:,} replicas would show it")
    return said("agree", f": no difference beyond noise, where one of {percent(seen)} in L2 would be seen")


def of_deviations(
    about: str,
    reference: str,
    largest: float | None,
    count: int,
    chi2: float | None,
    replicas: int,
    speed: Speed | None = None,
) -> Verdict:
    """Whether many means agree with what is expected of them, by the largest deviation of them all, and their speed.

    The first is valid however the means depend on each other: noise alone exceeds the threshold once in a thousand
    times.

    Args:
        about: which means, in words.
        reference: what they are held against, in words.
        largest: of |z| = |mean - expected|/(standard error); None if there is none.
        count: of the means.
        chi2: mean of z^2.
        replicas: independent runs.
        speed: of the particles over that of the solution.
    """
    if largest is None or chi2 is None:
        return Verdict(about, "cannot be told", f"{about} cannot be told apart from {reference}: no mean has an error.")
    limit = sure(replicas, count)
    numbers = f"at most {largest:.2g} standard errors apart, of {count:,} means, where noise alone reaches {limit:.2g}"
    if largest > limit:
        return Verdict(about, "differ", f"{about} and {reference} DIFFER: {numbers}; reduced chi2 {chi2:.3g}.")
    if speed is not None and replicas >= ENOUGH and speed.differs:
        return Verdict(about, "differ", f"{about} and {reference} DIFFER: {speed}; reduced chi2 {chi2:.3g}.")
    if limit > DULL * sure(MANY, count):
        enough = next(number for number in range(replicas, MANY) if sure(number, count) <= DULL * sure(MANY, count))
        few = f"{replicas} replicas are too few to know noise by; {enough} would do"
        return Verdict(about, "cannot be told", f"{about} cannot be told apart from {reference}: {few} ({numbers}).")
    return Verdict(about, "agree", f"{about} and {reference} agree: {numbers}; reduced chi2 {chi2:.3g}.")


DULL, MANY = 3.0, 10**6
"""Of few replicas the errors are uncertain themselves: noise reaches so many times what it reaches of MANY, too far."""

VAGUE = 0.5
"""Half width of the confidence interval of an exponent from which on it is not determined: 1/2 or 1, say."""


def of_exponent(quantity: str, parameter: str, found: dict[str, Any]) -> Verdict:
    """Whether the exponent of a quantity in a parameter of a sweep is the one that a source claims, if one does.

    Args:
        quantity: that is measured.
        parameter: in which it is followed.
        found: value, half_width (None without a confidence interval), last (the slope nearest the limit), claimed;
            by_noise, as in `kinlim.validation.powers.PowerLaw`.
    """
    about, claimed, half = f"{quantity} in {parameter}", found["claimed"], found["half_width"]
    claim = "" if claimed is None else f", where {claimed:g} is claimed"
    if half is None:
        return Verdict(
            about, "cannot be told", f"{about}: slope {found['value']:.3g}, from too few points to be sure{claim}."
        )
    value = f"{found['value']:.3g} +- {half:.{1 if half < 10 else 2}g}"
    if half > VAGUE:
        undecided = f"{about}: the exponent is not determined ({value}){claim}."
        return Verdict(about, "cannot be told", undecided + _advice(half, found.get("by_noise")))
    if claimed is None:
        return Verdict(about, "agree", f"{about}: exponent {value}.")
    agree = abs(found["value"] - claimed) <= half
    word = "agrees with" if agree else "DIFFERS from"
    return Verdict(about, "agree" if agree else "differ", f"{about}: exponent {value} {word} the claimed {claimed:g}.")


def _advice(half: float, by_noise: bool | None) -> str:
    """How many replicas would determine an exponent, where noise is what keeps it from that; a half width is known."""
    if by_noise is None:
        return ""
    if not by_noise:
        return " More replicas would not determine it: the points are farther from one power law than noise explains."
    times = (half / VAGUE) ** 2
    return (
        f" About {round_up(times, 2):,} times as many replicas at every point "
        f"would determine it to +- {VAGUE:g}, provided that its error is noise and falls like 1/sqrt(replicas)."
    )


def percent(value: float) -> str:
    """A fraction as percent, with two digits."""
    return f"{100 * value:.2g} %"
