"""How far simulated Kac particles are from the exact sectors, and how far the two systems are from each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinlim.base import Study
from kinlim.model import Datasets, Measured
from kinlim.rules import Numbers
from kinlim.statements import Statement
from kinlim.validation.kac import figures, scaling, statements
from kinlim.validation.report import number
from kinlim.validation.standard import Standard, finite

Array = NDArray[np.float64]

ENOUGH = 100
"""Particles that must have come apart before the standard error of a coupled difference is believed.

Before that, most replicas have no difference at all, and the few that have one say little of its variance.
"""

SECTOR = ("size", "gap", "lemma1", "lemma1_marginal", "lemma3", "decay")
"""Columns of the table of sectors."""


@dataclass(frozen=True)
class CoupledDifferences(Numbers):
    """Means of functions with the reservoir minus those with the thermostat, once enough particles are apart."""

    def known(self, particles: xr.Dataset) -> xr.DataArray:
        """Those with a standard error, at times at which ENOUGH particles have come apart."""
        has_error = super().known(particles)
        if "together" not in particles:
            return has_error
        apart = (1 - particles["together"]) * particles.attrs["system"] * particles.attrs["replicas"]
        return has_error & (apart >= ENOUGH)


class SystemsAgainstSectors(Standard):
    """Simulated means of functions of degree 1 and 2 against exact ones, and the two systems' distance."""

    template = "kac/page.html"
    captions = {  # noqa: RUF012 - a class of a user's own is written so
        "reservoir": 'Means of orthonormal functions with the reservoir: "x" is Σ vₓ/√M in units of equilibrium, "xx" '
        'is Σ(vₓ² − 1)/√(2M), "x.x" the product over pairs; "|x" is Σ wₓ/√N of the reservoir.',
        "thermostat": "The same with the thermostat, where every function of the reservoir has mean 0. What the "
        "system has lost the reservoir keeps, and the joint law with it: hence √(M/N).",
        "difference": "With the reservoir minus with the thermostat. A coupled difference is judged once 100 particles "
        "have come apart.",
        "simulated": "Left: the part of the distance in degrees 1 and 2, as the simulation shows it. Right, if the two "
        "are coupled: by how much that reduces the variance, for as many replicas (grey: each function, dots: median).",
        "distance": "Exact distances over ‖h₀ − 1‖ in L²(Γ) and bounds for them. Dashed lines are the bounds of "
        "docs/kac-sectors.md: they hold for all h₀, all rates and all times, and are sharper than the paper's but for "
        "short times.",
    }

    def sweepable(self, study: Study, stages: Sequence[str]) -> None:
        """Nothing is wrong with any: the exact side alone tells distances."""

    def more(self, data: Datasets) -> Mapping[str, Any]:
        """Distances of the two systems, exactly and as far as particles show them, and what coupling gains.

        sampled, with sampled_se: root of the sum of squared differences over functions of degree 1 and 2; the squares
        of the standard errors are subtracted, which makes its square unbiased. sampled_exact is the same, exactly.
        gain is the variance of a difference of independent means over that of the coupled one, for as many replicas, of
        each function of the system; variance_gain its median.
        """
        particles, exact = data["particles"], data["exact"]
        sampled, sampled_se = _sampled(particles["difference"].to_numpy(), particles["difference_se"].to_numpy())
        own = list(exact["own"].to_numpy())
        independent = particles["reservoir_se"].sel(function=own).to_numpy() ** 2 + (
            particles["thermostat_se"].to_numpy() ** 2
        )
        coupled = particles["difference_se"].sel(function=own).to_numpy() ** 2
        gain = np.divide(independent, coupled, out=np.full(coupled.shape, np.nan), where=coupled > 0)
        part = exact["distance_observed"]
        found = {
            "sampled": (sampled, "distance that the simulation shows in degrees 1 and 2"),
            "sampled_se": (sampled_se, "standard error of sampled"),
            "sampled_exact": (np.sqrt((exact["difference"].to_numpy() ** 2).sum(axis=1)), "the same, exactly"),
            "distance": (part.sel(part="joint").to_numpy(), "distance of the joint laws"),
            "distance_marginal": (part.sel(part="marginal").to_numpy(), "distance of the laws of the system alone"),
        }
        if particles.attrs["coupled"]:
            median = np.array([_median(now) for now in gain], np.float64)
            found["variance_gain"] = median, "variance of an independent over that of the coupled difference, median"
        what = {"long_name": "variance of an independent over that of the coupled difference"}
        return {
            **{name: ("time", values, {"long_name": said}) for name, (values, said) in found.items()},
            "gain": (("time", "own"), gain, what),
        }

    def facts(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Any]:
        """The theorem's numbers, and the lemmas'."""
        return {"theorem": theorem(data["exact"]), "lemmas": statements.lemmas(data["exact"])}

    def statements(self, numbers: Mapping[str, Any]) -> list[Statement]:
        """See `kinlim.validation.kac.statements`."""
        return statements.statements(numbers)

    def findings(self, numbers: Mapping[str, Any]) -> list[str]:
        """Distances of the two systems beside the paper's bound."""
        found, late = numbers["theorem"], numbers["times"][-1]
        size, M, N = found["resolved"], found["system"], found["reservoir"]
        least = found["bound_over_distance_least"]
        lines = [
            f"Distance of the joint laws of system and reservoir: {number(late['distance'] / size)} ||h0 - 1|| at "
            f"t = {late['time']:g} and {number(found['plateau'])} in the long run, where the paper's bound is C = "
            f"{number(found['plateau_bound_paper'])}"
            + ("" if least is None else f"; over all times its bound is at least {number(least)} times the distance")
            + f". No h0 can be farther apart in the long run than sqrt(M/(M + N)) = {number(found['plateau_worst'])}.",
            f"Distance of the laws of the system alone: {number(late['distance_marginal'] / size)} ||h0 - 1|| at "
            f"t = {late['time']:g}, {number(found['plateau_marginal'])} in the long run; at most M/(M + N) = "
            f"{number(M / (M + N))}. So M/N is the order for the system alone, and sqrt(M/N) for the joint law, of "
            "which the paper's theorem speaks.",
        ]
        if found["unresolved"] > 0:
            lines.append(
                f"Mind: this h0 is not a polynomial of degree {found['highest_degree']}. These are distances of its "
                f"part of degree up to that, over the norm of that part, {number(size)}; the rest has norm "
                f"{number(found['unresolved'])} of the whole, {number(found['initial_distance'])}."
            )
        return lines

    def figures(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Figure]:
        """The distance that the simulation shows."""
        return {"simulated": figures.simulated(data["particles"], data["exact"], comparison)}

    def solution_figures(self, data: Datasets) -> dict[str, Figure]:
        """Distances and their bounds."""
        return {"distance": figures.distance(data["exact"])}

    def context(self, comparison: xr.Dataset, numbers: Mapping[str, Any], data: Datasets) -> dict[str, Any]:
        """Tables of the sectors and lemmas, and energies at the end."""
        particles, exact = data["particles"], data["exact"]
        last = particles.isel(time=-1)
        return {
            "particles": particles.attrs,
            "exact": exact.attrs,
            "sectors": [
                {"name": str(exact["sector"][k].item()), **{key: float(exact[key][k]) for key in SECTOR}}
                for k in range(exact.sizes["sector"])
            ],
            "degrees": [
                {
                    "degree": int(n),
                    "lemma2": [float(end) for end in exact["lemma2"].sel(degree=n)],
                    "mended": float(exact["lemma2_mended"].sel(degree=n)),
                    **{
                        str(part): float(exact["worst"].sel(degree=n, part=part).max()) for part in exact["part"].values
                    },
                }
                for n in exact["degree"].to_numpy()
            ],
            "groups": {
                str(group): [float(last[key].sel(group=group)) for key in ("energy", "energy_se")]
                for group in particles["group"].to_numpy()
            },
            "together": [float(x) for x in particles["together"]] if "together" in particles else None,
        }

    def measured(self, data: Datasets, comparison: xr.Dataset | None) -> dict[str, Measured]:
        """Distances and their parts."""
        return scaling.measured(data["exact"], comparison)

    def overlay(self, points: Sequence[tuple[Mapping[str, Any], Datasets]]) -> tuple[dict[str, bytes], dict[str, str]]:
        """Distances of all points over time."""
        return scaling.overlay(points)


def _sampled(mean: Array, error: Array) -> tuple[Array, Array]:
    """Root of the unbiased square of the distance, 0 if that is negative, and its standard error to leading order."""
    square = (mean**2 - error**2).sum(axis=1)
    of_square = np.sqrt((4 * mean**2 * error**2 + 2 * error**4).sum(axis=1))
    root = np.sqrt(np.maximum(square, 0))
    return root, np.divide(of_square, 2 * root, out=np.sqrt(of_square), where=square > of_square)


def theorem(exact: xr.Dataset) -> dict[str, Any]:
    """The theorem's numbers: of the parts of h0 up to the highest degree, distances relative to the norm of these."""
    a = exact.attrs
    size, M, N = a["resolved"], a["system"], a["reservoir"]
    t, distance = exact["frame_time"].to_numpy(), exact["distance"].sel(part="joint").to_numpy()
    late = t > 0
    ratio = size * exact["bound_paper"].to_numpy()[late] / np.maximum(distance[late], 1e-300)
    return {
        "initial_distance": finite(a["initial_distance"]),
        "system": int(M),
        "reservoir": int(N),
        "highest_degree": int(a["highest_degree"]),
        "resolved": size,
        "unresolved": a["unresolved"],
        "plateau": a["plateau"] / size,
        "plateau_marginal": a["plateau_marginal"] / size,
        "plateau_worst": sqrt(M / (M + N)),
        "plateau_bound_paper": finite(a["C"]),
        "bump": a["bump"] / size,
        "bump_time": a["bump_time"],
        "peak_marginal": a["peak_marginal"] / size,
        "k": a["k"],
        "l": a["l"],
        "b": a["b"],
        "C": finite(a["C"]),
        "Lambda": a["Lambda"],
        "bound_over_distance_least": finite(float(ratio.min())),
    }


def _median(values: Array) -> float:
    there = values[np.isfinite(values)]
    return float(np.median(there)) if there.size else np.nan


COMPARISON = SystemsAgainstSectors(
    (
        Numbers("reservoir", solution="exact", about="Means with the reservoir", against="the exact ones"),
        Numbers("thermostat", solution="exact", about="Means with the thermostat", against="the exact ones"),
        CoupledDifferences("difference", solution="exact", about="Differences of the two", against="the exact ones"),
    )
)
