"""`kinlim dynamics`: Proposition 4.3 along solutions of the equations, and the wave limit of Remark 4.4."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from kinlim.base import Study, narrowed
from kinlim.fem.pinned import EQUATIONS, solve
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.parallel import world
from kinlim.statements import Statement
from kinlim.validation import powers
from kinlim.validation.drawing import legend
from kinlim.validation.pinned.comparison import PAPER
from kinlim.validation.report import number
from kinlim.workflow import Check, examine

EPSILON = 0.1
"""Of Proposition 4.3, over the range of mu0."""

MOMENTS = 200
"""Observations of a solution."""

DOUBLINGS = 5
"""Of the number of gaps between balls, for the wave limit."""

TRAVELLED, INNER = 0.2, 0.4
"""How far waves go, and how far from the ends they are looked at, over the length."""

ORDER, NEAR = -1.0, 0.2
"""In lambda, of what diffusion leaves of the wave limit after a time of order 1/lambda."""


class Dynamics(Check):
    """Solutions of a study's equations over time, and for larger and larger lambda."""

    name = "dynamics"
    heading = "ordering, and the wave limit"
    caption = (
        "Left: μ at both ends and its least value over time. Right: distance of μ and σ from d'Alembert's solution in "
        "the middle of the interval, against λ; dotted: order λ⁻¹."
    )
    template = "pinned/dynamics.html"

    def __init__(self, study: PinnedStudy) -> None:
        """Of this study."""
        self.study = study

    def _over_time(self) -> PinnedStudy:
        return self.study.vary("model", observe=tuple(np.linspace(0, 1, MOMENTS + 1)[1:].tolist()))

    def _waves(self, doublings: int) -> PinnedStudy:
        """More balls, up to the time in which waves travel TRAVELLED of the length."""
        model = self.study.model
        many = self.study.vary("model", balls=(model.balls - 1) * 2**doublings + 1, **{"lambda": None}).model
        return self.study.vary(
            "model", balls=many.balls, end_time=TRAVELLED * model.length / many.lam, observe=(1.0,), **{"lambda": None}
        )

    def check(self) -> None:
        """Raise InputError if one of the equations cannot be solved."""
        EQUATIONS.check(self._over_time(), world())
        EQUATIONS.check(self._waves(DOUBLINGS - 1), world())

    def measure(self) -> xr.Dataset:
        """Solve. Collective."""
        model = self.study.model
        solution = solve(self._over_time())
        mu0, _ = model.initial(model.sites, "site")
        times = np.append(0.0, solution["time"].to_numpy())
        mu = np.vstack([mu0, solution["mu"].to_numpy()])
        lambdas, distances = [], []
        for k in range(DOUBLINGS):
            study = self._waves(k)
            lambdas.append(study.model.lam)
            distances.append(_from_waves(study, solve(study)))
        return xr.Dataset(
            {
                "left": ("time", mu[:, 0], {"long_name": "mu(a, t)"}),
                "right": ("time", mu[:, -1], {"long_name": "mu(b, t)"}),
                "least": ("time", mu.min(axis=1), {"long_name": "least mu(x, t)"}),
                "mean": ((), float(np.trapezoid(mu0, model.sites)) / model.length, {"long_name": "mean of mu0"}),
                "distance": (("lam", "field"), np.array(distances), {"long_name": "relative L2 distance from waves"}),
            },
            coords={"time": times, "lam": lambdas, "field": ["mu", "sigma"]},
        )

    def statements(self, dataset: xr.Dataset) -> list[Statement]:
        """Of Proposition 4.3, of what its proof assumes, and of Remark 4.4."""
        model, least = self.study.model, dataset["least"].to_numpy()
        ends = f"(B') with ends {self.study.pde.boundary}"
        mu0, _ = model.initial(model.sites, "site")
        epsilon = EPSILON * (np.ptp(mu0) or 1.0)
        bound = (float(dataset["mean"]) - least[0]) * model.length**2 / epsilon
        ordered = dataset["right"].to_numpy() >= dataset["left"].to_numpy() - epsilon
        first = float(dataset["time"][int(ordered.argmax())]) if ordered.any() else np.inf
        below = float((least - least[0]).min())
        found = [
            Statement(
                f"{PAPER} Proposition 4.3",
                f"mu(b) >= mu(a) - epsilon by the time (b - a) int mu~/epsilon, {ends}",
                "holds" if first <= bound else "not decided",
                f"epsilon = {number(epsilon, 2)}: at t = {number(first, 3)}, the bound is {number(bound, 3)}"
                if np.isfinite(first)
                else f"epsilon = {number(epsilon, 2)}: not by t = {model.end_time:g}; the bound is {number(bound, 3)}",
            ),
            Statement(
                f"{PAPER} Proposition 4.3",
                f"mu~ = mu - inf mu_0 stays >= 0, which its proof takes, {ends}",
                "holds" if below >= -ROUNDING * epsilon else "fails",
                f"mu~ falls to {number(below, 3)}, of a range {number(float(np.ptp(mu0)), 3)} of mu_0",
            ),
        ]
        lam = dataset["lam"].to_numpy()
        for m, field in enumerate(("mu", "sigma")):
            distance = dataset["distance"].to_numpy()[:, m]
            law = powers.fit(lam[:, None], distance, np.zeros_like(lam))
            if law is None:
                continue
            last = float(law.last[0])
            found.append(
                Statement(
                    f"{PAPER} Remark 4.4",
                    f"{field} goes to the solution of the wave equation, of order 1/lambda in the middle",
                    "holds" if last < ORDER + NEAR else "not decided" if last < ORDER / 2 else "fails",
                    f"distance {number(distance[-1], 2)} at lambda = {number(lam[-1], 3)}, exponent {last:.2f} on the "
                    f"last pair and {law.exponents[0]:.2f} +- {number(float(law.half_widths[0]), 1)} over all",
                )
            )
        return found

    def tables(self, dataset: xr.Dataset) -> dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]]:
        """Distances from waves."""
        rows = zip(dataset["lam"].to_numpy(), dataset["distance"].to_numpy(), strict=True)
        return {
            "Distance from d'Alembert's solution": (
                ("λ", "μ", "σ"),
                [(number(float(lam), 4), *(number(float(value)) for value in row)) for lam, row in rows],
            )
        }

    def figure(self, dataset: xr.Dataset, verdict: object) -> Figure:
        """The ends over time, and distances against lambda."""
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name, what in (("left", "μ(a, t)"), ("right", "μ(b, t)"), ("least", "least μ(x, t)")):
            left.plot(dataset["time"], dataset[name], lw=1.2, ls="--" if name == "least" else "-", label=what)
        left.set(xlabel="time t", ylabel="mean velocity μ")
        legend(left)
        lam, distance = dataset["lam"].to_numpy(), dataset["distance"].to_numpy()
        for m, field in enumerate(("μ", "σ")):
            right.loglog(lam, distance[:, m], "o-", ms=4, label=field)
        right.loglog(lam, distance[-1, 0] * (lam / lam[-1]) ** ORDER, ":", color="0.4", label="λ⁻¹")
        right.set(xlabel="λ", ylabel="relative L² distance")
        legend(right)
        return figure


ROUNDING = 1e-6
"""Of epsilon."""


def _from_waves(study: PinnedStudy, solution: xr.Dataset) -> list[float]:
    """L2 distances of mu and sigma from d'Alembert's solution over its norm, in the middle of the interval.

    mu + sigma moves to the right and mu - sigma to the left, both at the speed lambda.
    """
    model, last = study.model, solution.isel(time=-1)
    a, b = model.interval
    x = last["x"].to_numpy()
    inside = (x >= a + INNER * model.length) & (x <= b - INNER * model.length)
    gone = model.lam * float(last["time"])
    (mu_from, sigma_from), (mu_to, sigma_to) = (model.initial(x[inside] + s * gone, "site") for s in (-1, 1))
    right, left = mu_from + sigma_from, mu_to - sigma_to
    waves = {"mu": (right + left) / 2, "sigma": (right - left) / 2}
    size = np.linalg.norm(np.concatenate(list(waves.values())))
    return [float(np.linalg.norm(last[name].to_numpy()[inside] - wave) / size) for name, wave in waves.items()]


def run(study: Study, folder: Path) -> str:
    """Examine a study and write dynamics.nc, .json, .html and figure. Collective."""
    return examine(study, folder, Dynamics(narrowed(study, PinnedStudy)))
