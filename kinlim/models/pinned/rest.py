"""`kinlim rest`: what the balls, and their equations, have come to after times long beside all waves."""

from collections.abc import Sequence
from math import pi, sqrt
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from kinlim import api
from kinlim.base import Study, narrowed
from kinlim.errors import InputError
from kinlim.fem.pinned import EQUATIONS, b_n, solve
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.parallel import world
from kinlim.statements import Statement
from kinlim.validation.chance import sure
from kinlim.validation.drawing import legend
from kinlim.validation.pinned.comparison import COMPARISON, PAPER
from kinlim.validation.pinned.pairs import rest
from kinlim.validation.report import number
from kinlim.workflow import Check, examine

BATCHES = 8
"""Independent ensembles, whose scatter gives standard errors, correlations of sites and all."""

MIDDLE = slice(0.25, 0.75)
"""Part of the interval in which the shear is measured, away from the ends."""

LAGS = 3

LONGER = 10
"""Times the study's end_time, for the equations."""

ENDS = ("noflux", "paper")


class Rest(Check):
    """The mean's step from ball to ball, beside the spread, at the last time of a study."""

    name = "rest"
    heading = "the state at rest"
    caption = (
        "Left: mean velocity of the balls at the last time, and of the equations with both ends after ten times that. "
        "Right: spread among neighbours over that of (B'), σ λ/μ_x, in the middle half; lines: (B'), (B_n), pairs."
    )
    template = "pinned/rest.html"

    def __init__(self, study: PinnedStudy) -> None:
        """Of this study."""
        self.study = study

    def _solved(self, boundary: str) -> PinnedStudy:
        """The study of the equations alone, which are followed for longer."""
        solved = self.study.vary("pde", boundary=boundary, system="B'")
        return solved.vary("model", end_time=LONGER * self.study.model.end_time)

    def check(self) -> None:
        """Raise InputError if the equations cannot be solved with either ends, or are not the limit of these balls."""
        COMPARISON.check(self.study)
        if self.study.particles.lags < LAGS:
            raise InputError(f"particles.lags = {self.study.particles.lags}: `kinlim rest` needs {LAGS} at least")
        for boundary in ENDS:
            EQUATIONS.check(self._solved(boundary), world())

    def measure(self) -> xr.Dataset:
        """Simulate in batches, and solve with both ends. Collective."""
        settings = self.study.particles
        batches = []
        for k in range(BATCHES):
            one = self.study.vary(
                "particles", seed=(settings.seed + k) % 2**64, replicas=max(2, settings.replicas // BATCHES)
            )
            batches.append(_measured(api.simulate(one)))
        means = np.array([solve(self._solved(boundary)).mu.to_numpy()[-1] for boundary in ENDS])
        found = xr.concat(batches, "batch")
        both = xr.Dataset(
            {"mu_pde": (("ends", "x"), means, {"long_name": "mean velocity of (B')"})}, {"ends": list(ENDS)}
        )
        return found.merge(both)

    def statements(self, dataset: xr.Dataset) -> list[Statement]:
        """Of Proposition 4.2 on both sides, and of what (B'), (B_n) and normal pairs say of the spread."""
        range0 = float(np.ptp(self.study.model.initial(self.study.model.sites, "site")[0]))
        found = []
        T, solved = self.study.model.end_time, dataset["mu_pde"]
        for who, values, end in (
            ("for the particles", dataset["mu"].mean("batch"), T),
            ("for (B') with ends that let nothing through", solved.sel(ends="noflux"), LONGER * T),
            ("for (B') with the paper's ends", solved.sel(ends="paper"), LONGER * T),
        ):
            left = float(values[-1] - values[0])
            found.append(
                Statement(
                    f"{PAPER} Proposition 4.2",
                    f"the mean does not become constant, {who}",
                    "holds" if abs(left) > KEPT * range0 else "fails",
                    f"mu(b) - mu(a) is {number(left, 3)} at t = {end:g}, of {number(range0, 3)} at the start",
                )
            )
        spread, error = _mean(dataset["spread"])
        limit = sure(BATCHES, 1)
        expected = {"(B')": 1.0, "(B_n)": b_n.balanced(), "normal pairs": rest().local}
        for system, value in expected.items():
            found.append(
                Statement(
                    "At rest",
                    f"sigma lambda/mu_x = {value:.4f}, sigma the spread among neighbours, by {system}",
                    "holds" if abs(spread - value) < limit * error else "fails",
                    f"{spread:.4f} +- {number(error, 1)} for {self.study.model.balls} balls",
                )
            )
        rho, rho_error = _mean(dataset["correlation"].isel(lag=0) - dataset["correlation"].isel(lag=2))
        first = float(rest().correlations[0] - rest().correlations[2])
        found.append(
            Statement(
                "At rest",
                f"rho_1 - rho_3 = {first:.4f}, by normal pairs",
                "holds" if abs(rho - first) < limit * rho_error else "fails",
                f"{rho:.4f} +- {number(rho_error, 1)} for {self.study.model.balls} balls",
            )
        )
        return found

    def tables(self, dataset: xr.Dataset) -> dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]]:
        """What was measured in the middle half."""
        rows = [("σ λ/μ_x, σ among neighbours", *_mean(dataset["spread"]))]
        rows += [
            ("the same, over runs", *_mean(dataset["over_runs"])),
            ("fourth cumulant of W", *_mean(dataset["kurtosis"])),
        ]
        rows += [(f"correlation at distance {k + 1}", *_mean(dataset["correlation"].isel(lag=k))) for k in range(LAGS)]
        return {
            f"{self.study.model.balls} balls, middle half": (
                ("", "measured", "± its error"),
                [(what, f"{value:.4f}", number(error, 1)) for what, value, error in rows],
            )
        }

    def figure(self, dataset: xr.Dataset, verdict: object) -> Figure:
        """Means over x, and the spread of each batch."""
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        x = dataset["x"].to_numpy()
        left.plot(x, dataset["mu"].mean("batch"), "o", ms=3, color="tab:red", label="particles")
        for ends, style in zip(ENDS, ("-", "--"), strict=True):
            left.plot(x, dataset["mu_pde"].sel(ends=ends), style, lw=1.2, label=f"(B'), {ends}")
        left.set(xlabel="x", ylabel="mean velocity")
        legend(left)
        right.plot(np.arange(1, BATCHES + 1), dataset["spread"], "o", color="tab:red", label="batches")
        for name, value, color in (("(B')", 1.0, "0.2"), ("(B_n)", b_n.balanced(), "tab:blue"),
                                   ("normal pairs", rest().local, "tab:green")):  # fmt: skip
            right.axhline(value, color=color, lw=1.2, label=name)
        right.set(xlabel="batch", ylabel=r"$\sigma\lambda/\mu_x$")
        legend(right)
        return figure


KEPT = 0.01
"""Part of the mean's range at the start above which it is not called constant."""


def _measured(particles: xr.Dataset) -> xr.Dataset:
    """What a batch shows at the last time: the mean, and in the middle half spread, fourth cumulant, correlations."""
    last = particles.isel(time=-1)
    x = last["x"].to_numpy()
    length = x[-1] - x[0]
    inside = (x >= x[0] + MIDDLE.start * length) & (x <= x[0] + MIDDLE.stop * length)
    step = np.polyfit(np.arange(inside.sum()), last["mu"].to_numpy()[inside], 1)[0]
    sigma, local = (last[name].to_numpy()[inside] for name in ("sigma", "sigma_local"))
    over_runs, spread = (float(np.sqrt((s**2).mean())) / (2 * sqrt(pi) * step) for s in (sigma, local))
    kurtosis = float((last["cumulant_4"].to_numpy()[inside] / sigma**4).mean())
    return xr.Dataset(
        {
            "mu": ("x", last["mu"].to_numpy(), {"long_name": "mean velocity of the particles"}),
            "spread": ((), spread, {"long_name": "spread among neighbours over mu_x/lambda, middle half"}),
            "over_runs": ((), over_runs, {"long_name": "spread over runs over mu_x/lambda, middle half"}),
            "kurtosis": ((), kurtosis, {"long_name": "fourth cumulant over sigma^4, middle half"}),
            "correlation": ("lag", last["correlation"].to_numpy()[:LAGS], {"long_name": "over the ensemble"}),
        },
        coords={"x": x, "lag": np.arange(1, LAGS + 1)},
    )


def _mean(values: xr.DataArray) -> tuple[float, float]:
    """Mean over the batches and its standard error."""
    return float(values.mean()), float(values.std(ddof=1)) / sqrt(BATCHES)


def run(study: Study, folder: Path) -> str:
    """Examine a study and write rest.nc, .json, .html and figure. Collective."""
    return examine(study, folder, Rest(narrowed(study, PinnedStudy)))
