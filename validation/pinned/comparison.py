"""How far the ensemble of pinned balls is from its limit equations, and how much of that is sampling noise."""

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kinlim.base import Study, narrowed
from kinlim.errors import InputError
from kinlim.model import Datasets, Measured
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.rules import Means, Rule
from kinlim.statements import Statement
from kinlim.validation.chance import sure
from kinlim.validation.pinned import figures, white_noise
from kinlim.validation.profiles import ratio
from kinlim.validation.report import number
from kinlim.validation.standard import Standard, excess_of
from kinlim.validation.verdicts import percent

Array = NDArray[np.float64]

PAPER = "Burdzy, Hoskins, Steinerberger"

SURE = 5.0
"""Standard errors that make a spread certain."""


class BallsAgainstEquations(Standard):
    """Mean velocity mu and spread sigma of the particles against the solution of (A), (B') or (C), site by site."""

    template = "pinned/page.html"
    captions = {  # noqa: RUF012 - a class of a user's own is written so
        "spreads": "The standard deviation over runs at one site, and the one that second differences of neighbouring "
        "balls show within a run, σ²_local = ⟨(vᵢ₋₁ − 2vᵢ + vᵢ₊₁)²⟩/6.",
        "noise": "The derivation of the equations supposes vᵢ = μᵢ + σᵢWᵢ with independent normal Wᵢ. Above, the "
        "density of W over all sites and runs, less that of N(0, 1). Below, correlations of Wᵢ and Wᵢ₊ₖ: within a run, "
        "over the sites of that run, and over the ensemble, run by run at the same sites.",
    }

    def rules_of(self, data: Datasets) -> tuple[Rule, ...]:
        """Against the equations, and against rival.nc where there is one."""
        return tuple(rule for rule in self.rules if rule.solution in data)

    def check(self, study: Study) -> None:
        """Raise InputError with the sorting kernel, of which the equations are not the limit."""
        self._refuse_another_kernel(narrowed(study, PinnedStudy).particles.kernel)

    def _refuse_another_kernel(self, kernel: str) -> None:
        if kernel != "redistribute":
            raise InputError(
                f"particles.kernel = '{kernel}' is not the model whose limit the equations are, so there is nothing to "
                "compare; `kinlim simulate` runs its particles alone"
            )

    def more(self, data: Datasets) -> Mapping[str, Any]:
        """Two spreads, correlations of neighbours, and how far the velocities are from white noise; all over (time,).

        correlation, correlation_2: of neighbours and next neighbours over the ensemble, weighted by their spread, and
        correlation_null_sd, the standard deviation that independent sites would give the first.
        rel_l2_sigma_local: relative L2 difference from sigma of the spread among neighbours within a run, another thing
        than the spread over runs. spread_ratio = (sum sigma_local^2 / sum sigma^2)^(1/2) over the inner sites, and
        spread_ratio_predicted = (1 - 4 rho_1/3 + rho_2/3)^(1/2), what second differences make of the two correlations.
        Besides, what `kinlim.validation.pinned.white_noise.measure` finds.
        """
        particles, pde = data["particles"], data["pde"]
        self._refuse_another_kernel(str(particles.attrs.get("kernel", "redistribute")))
        found = {**_spreads(particles, pde), **white_noise.measure(particles)}
        return {name: ("time", values) for name, values in found.items()}

    def facts(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Any]:
        """The lambda of both sides, and how much of the energy is gone through the ends."""
        particles, pde = data["particles"], data["pde"]
        return {
            "lambda": float(pde.attrs["lambda"]),
            "particle_lambda": float(particles.attrs["particle_lambda"]),
            "energy_gone": _gone(pde),
            "ends": _ends(data),
            "white_noise": white_noise.judged(particles),
        }

    def statements(self, numbers: Mapping[str, Any]) -> list[Statement]:
        """Of the paper's ends, (2.11)-(2.12), of what is conserved, (4.1)-(4.2), and of white noise, (2.5)."""
        ends = numbers["ends"]
        spread, error, middle = (ends[name] for name in ("spread", "spread_se", "median"))
        others = ", ".join(
            f"{number(one['spread'])} in {side}.nc ({one['boundary']})" for side, one in ends["solutions"].items()
        )
        found = [
            Statement(
                f"{PAPER} (2.12)",
                "no spread at the ends",
                "fails" if spread > SURE * error else "not decided",
                f"the balls at the ends have the spread {number(spread, 3)} +- {number(error, 1)} at the last time, "
                f"half of all balls have more than {number(middle, 3)}; the ends of the solutions: {others}",
            )
        ]
        for side, one in ends["solutions"].items():
            kept = abs(one["energy_gone"]) < one["tolerance"]
            found.append(
                Statement(
                    f"{PAPER} (4.2)",
                    "energy is conserved "
                    + ("with the paper's ends" if one["boundary"] == "paper" else "with ends that let nothing through"),
                    "holds" if kept else "fails",
                    f"{percent(one['energy_gone'])} of it went out through the ends by the last time in {side}.nc; "
                    f"that of the particles changes by {number(ends['drift'], 1)} of itself",
                )
            )
        if (noise := numbers["white_noise"]) is not None:
            found += _of_white_noise(noise, numbers["replicas"], numbers["points"]["mu"])
        return found

    def findings(self, numbers: Mapping[str, Any]) -> list[str]:
        """The spread within a run at the last time, and a lambda that is not the particles' own."""
        last, lines = numbers["times"][-1], []
        if "rel_l2_sigma_rival" in last:
            found = [(name, *left_over(last, name)) for name in ("mu", "sigma")]
            told = [
                f"{number(left)} +- {number(error, 1)} in {name}" for name, left, error in found if left is not None
            ]
            lines.append(
                "Distance beyond noise from rival.nc over that from pde.nc, last time: "
                f"{', '.join(told) or 'noise hides both'}."
            )
        if None not in (last["rel_l2_sigma_local"], last["correlation"], last["spread_ratio"]):
            size = percent(abs(last["spread_ratio"] - 1)) + (" larger" if last["spread_ratio"] > 1 else " smaller")
            lines.append(
                f"Spread among neighbours within a run: relative L2 difference {percent(last['rel_l2_sigma_local'])} "
                f"from sigma of the equations. It is {size} than the spread over runs: neighbours have correlation "
                f"{number(last['correlation'])}, where independent velocities would give 0 +- "
                f"{number(last['correlation_null_sd'], 2)}."
            )
        if numbers["lambda"] != numbers["particle_lambda"]:
            lines.append(
                f"Mind: the study sets lambda = {number(numbers['lambda'], 6)} in the equations; the particles' own "
                f"value is {number(numbers['particle_lambda'], 6)}. The two sides describe different systems."
            )
        return lines

    def measured(self, data: Datasets, comparison: xr.Dataset | None) -> dict[str, Measured]:
        """Besides what the rules measure: spreads at the ends and in the middle of their order, and energy lost."""
        ends = _ends(data)
        local = data["particles"]["sigma_local"][-1].to_numpy()
        found = {
            "end_spread": Measured(ends["spread"], ends["spread_se"], "spread over runs at the ends, last time"),
            "median_spread": Measured(ends["median"], 0.0, "median spread over runs, last time"),
            "median_spread_local": Measured(
                float(np.nanmedian(local)), 0.0, "median spread among neighbours, last time"
            ),
        }
        for side, one in ends["solutions"].items():
            found |= {
                f"end_spread_{side}": Measured(one["spread"], 0.0, f"spread at the ends, last time, {side}.nc"),
                f"median_spread_{side}": Measured(one["median"], 0.0, f"median spread, last time, {side}.nc"),
                f"energy_gone_{side}": Measured(
                    one["energy_gone"], 0.0, f"part of the energy gone through the ends, {side}.nc"
                ),
            }
        regions = {} if comparison is None else _by_region(comparison, data)
        return super().measured(data, comparison) | found | regions

    def figures(self, comparison: xr.Dataset, data: Datasets) -> dict[str, Figure]:
        """The two spreads, and white noise where it was recorded."""
        particles = data["particles"]
        found = {"spreads": figures.spreads(particles, data["pde"])}
        return {**found, "noise": figures.noise(particles)} if "w_density" in particles else found

    def context(self, comparison: xr.Dataset, numbers: Mapping[str, Any], data: Datasets) -> dict[str, Any]:
        """Integrals at the last time, and the system's name."""
        particles, pde = data["particles"], data["pde"]
        return {
            "particles": particles.attrs,
            "pde": pde.attrs,
            "rival": data["rival"].attrs if "rival" in data else None,
            "totals": {
                name: (float(particles[name][-1]), float(particles[f"{name}_se"][-1]), float(pde[name][-1]))
                for name in ("momentum", "energy")
            },
            "min_w": float(pde["min_w"].min()),
            "system": str(pde.attrs["system"]).replace("'", "′"),
        }


def _of_white_noise(noise: Mapping[str, Any], replicas: int, balls: int) -> list[Statement]:
    """Of (2.5): that W is normal, without correlations, isotropic in pairs."""
    limit = sure(replicas, noise["lags"])
    z = noise["anisotropy"] / noise["anisotropy_se"]
    return [
        Statement(
            f"{PAPER} (2.5)",
            "W = (v - mu)/sigma is normal",
            "fails" if noise["ks"] > noise["ks_noise"] else "not decided",
            f"distance of Kolmogorov and Smirnov {number(noise['ks'], 3)}, Anderson and Darling's A^2/N "
            f"{number(noise['ad'], 3)}; noise reaches {number(noise['ks_noise'], 2)} in all "
            f"{number(noise['samples'], 3)} samples, and {number(white_noise.SELDOM / balls**0.5, 2)} in one run",
        ),
        Statement(
            f"{PAPER} (2.5)",
            "W is not correlated",
            "fails" if noise["correlation_z"] > limit else "not decided",
            f"the largest of {noise['lags']} correlations, at distance {noise['largest_lag']}, is "
            f"{noise['correlation_z']:.1f} standard errors off; noise reaches {limit:.1f}",
        ),
        Statement(
            f"{PAPER} Figure 4",
            "pairs of neighbouring W are isotropic",
            "fails" if abs(z) > SURE else "not decided",
            f"mean of cos 4 theta is {number(noise['anisotropy'], 2)} +- {number(noise['anisotropy_se'], 1)} beyond "
            "that of independent normal pairs",
        ),
    ]


def _gone(solution: xr.Dataset) -> float:
    """Part of the energy that went out through the ends by the last time."""
    out = float(solution["energy_flux"][-1])
    return out / (float(solution["energy"][-1]) + out) if out else 0.0


def _ends(data: Datasets) -> dict[str, Any]:
    """Spreads at the ends at the last time, of particles and solutions, and energy lost there."""
    particles = data["particles"]
    last, error = (particles[name][-1].to_numpy() for name in ("sigma", "sigma_se"))
    return {
        "spread": float(last[[0, -1]].mean()),
        "spread_se": float(np.hypot(*error[[0, -1]]) / 2),
        "median": float(np.median(last)),
        "drift": float(particles["energy_drift"][-1]),
        "solutions": {
            side: {
                "boundary": str(solution.attrs["boundary"]),
                "spread": float(solution["sigma"][-1].to_numpy()[[0, -1]].mean()),
                "median": float(np.median(solution["sigma"][-1])),
                "energy_gone": _gone(solution),
                "tolerance": 10 * float(solution.attrs["rtol"]),
            }
            for side, solution in data.items()
            if side != "particles"
        },
    }


BEYOND, BEHIND = 1.2, 0.8
"""Distances from an end, over lambda t, from which on its wave has not come yet, and up to which it has passed."""


def _by_region(comparison: xr.Dataset, data: Datasets) -> dict[str, Measured]:
    """Root mean square distances beyond noise at the last time: where no wave from an end has come, and behind them.

    Waves run with the speed lambda (Remark 4.4). NaN where noise is all there is, or a region is empty.
    """
    last, pde = comparison.isel(time=-1), data["pde"]
    x = last["x"].to_numpy()
    run = float(pde.attrs["lambda"]) * float(last["time"])
    from_end = np.minimum(x - x[0], x[-1] - x)
    found = {}
    for label in (str(name).removeprefix("rel_l2_excess_") for name in comparison if "rel_l2_excess_" in str(name)):
        if f"difference_{label}" not in last:
            continue
        d, s = (last[f"difference_{label}{suffix}"].to_numpy() for suffix in ("", "_se"))
        for region, inside, what in (
            ("bulk", from_end > BEYOND * run, "where no wave from the ends has come"),
            ("walls", from_end < BEHIND * run, "behind the waves from the ends"),
        ):
            size, error = (part / sqrt(max(inside.sum(), 1)) for part in excess_of(d[inside], s[inside]))
            found[f"{region}_{label}"] = Measured(
                size,
                error,
                f"root mean square distance in {label} beyond noise, {what}, last time",
            )
    return found


def left_over(moment: Mapping[str, Any], name: str) -> tuple[float | None, float | None]:
    """The distance beyond noise from rival.nc over that from pde.nc, and its standard error; None where noise hides it.

    Args:
        moment: an entry of "times" of metrics.json.
        name: "mu" or "sigma".
    """
    here, there = (moment[f"rel_l2_excess_{label}"] for label in (name, f"{name}_rival"))
    errors = (moment[f"rel_l2_excess_se_{label}"] for label in (name, f"{name}_rival"))
    if not here:
        return None, None
    error, other = errors
    return there / here, float(np.hypot(other / here, error * there / here**2))


def _spreads(particles: xr.Dataset, pde: xr.Dataset) -> dict[str, Array]:
    """The numbers that `more` explains for the two spreads and the correlations, shape (times,)."""
    inner = slice(1, -1)
    sigma, local = particles["sigma"].to_numpy(), particles["sigma_local"].to_numpy()[:, inner]
    solution = pde["sigma"].to_numpy()[:, inner]
    first, second = particles["correlation"].to_numpy()[:, :2].T
    return {
        "correlation": first,
        "correlation_2": second,
        "correlation_null_sd": white_noise.null_deviation(sigma, 1, int(particles.attrs["replicas"])),
        "rel_l2_sigma_local": ratio(_norm(local - solution), _norm(solution)),
        "spread_ratio": ratio(_norm(local), _norm(sigma[:, inner])),
        "spread_ratio_predicted": np.sqrt(np.maximum(1 - 4 * first / 3 + second / 3, 0)),
    }


def _norm(values: Array) -> Array:
    return np.sqrt((values**2).sum(axis=1))


RULES = (Means("mu", about="The mean velocity mu"), Means("sigma", about="The spread sigma"))
RIVALS = tuple(
    replace(rule, solution="rival", label=f"{rule.name}_rival", about=f"{rule.about} against rival.nc")
    for rule in RULES
)
COMPARISON = BallsAgainstEquations((*RULES, *RIVALS))
