"""The report of the Kac model, and what is said of it in a terminal."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from kinlim.model import Verdict
from kinlim.validation.kac import figures
from kinlim.validation.kac.comparison import KINDS
from kinlim.validation.report import embedded, model_of, number, png, render
from kinlim.validation.verdicts import of_deviations


def draw_solution(exact: xr.Dataset) -> dict[str, bytes]:
    """Every figure of the exact side alone as PNG, by name."""
    return {"distance": png(figures.distance(exact))}


def draw(comparison: xr.Dataset, particles: xr.Dataset, exact: xr.Dataset) -> dict[str, bytes]:
    """Every figure of the comparison as PNG, by name."""
    return {
        "moments": png(figures.moments(particles, exact, comparison)),
        "differences": png(figures.differences(particles, exact, comparison)),
        **draw_solution(exact),
    }


def html(
    comparison: xr.Dataset,
    numbers: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    particles: xr.Dataset,
    exact: xr.Dataset,
) -> str:
    """Fill the template of the Kac model.

    Args:
        comparison: what `kinlim.validation.kac.compare` finds.
        numbers: as in metrics.json.
        pictures: as `draw` makes them.
        particles: the ensemble.
        exact: the exact sectors.
    """
    groups = {str(group): particles.sel(group=group).isel(time=-1) for group in particles["group"].to_numpy()}
    return render(
        "kac/page.html",
        particles=particles.attrs,
        exact=exact.attrs,
        model=model_of(exact),
        numbers=numbers,
        sectors=[
            {"name": str(exact["sector"][k].item()), **{key: float(exact[key][k]) for key in SECTOR}}
            for k in range(exact.sizes["sector"])
        ],
        lemma2=[
            {"degree": int(n), "low": float(low), "high": float(high), "mended": float(mended)}
            for n, (low, high), mended in zip(
                exact["degree"].to_numpy(), exact["lemma2"].to_numpy(), exact["lemma2_mended"].to_numpy(), strict=True
            )
        ],
        worst=[
            {"degree": int(n), **{str(p): float(exact["worst"].sel(degree=n, part=p).max()) for p in
            exact["part"].to_numpy()}} for n in exact["degree"].to_numpy()
        ],
        groups={
            name: {"energy": float(group["energy"]), "energy_se": float(group["energy_se"])}
            for name, group in groups.items()
        },
        together=[float(x) for x in particles["together"]] if "together" in particles else None,
        pictures={name: embedded(data) for name, data in pictures.items()},
    )  # fmt: skip


SECTOR = ("size", "gap", "lemma1", "lemma1_marginal", "lemma3", "decay")
"""Columns of the table of sectors."""


def verdicts(numbers: Mapping[str, Any]) -> list[Verdict]:
    """Whether simulated and exact means agree, in both systems and for their difference."""
    all_, replicas = numbers["overall"], numbers["replicas"]
    names = {
        "reservoir": "Means with the reservoir", "thermostat": "Means with the thermostat",
        "difference": "Differences of the two",
    }  # fmt: skip
    return [
        of_deviations(
            names[kind], "the exact ones", all_[f"largest_z_{kind}"], all_[f"count_{kind}"], all_[f"chi2_{kind}"],
            replicas,
        )
        for kind in KINDS
    ]  # fmt: skip


def tell(numbers: Mapping[str, Any]) -> list[str]:
    """What came out, in sentences."""
    found = numbers["theorem"]
    late, size = numbers["times"][-1], found["resolved"]
    lines = [
        f"At t = {late['time']:g} the joint laws are {number(late['distance'] / size)} ||h0 - 1|| apart, "
        f"those of the system alone {number(late['distance_marginal'] / size)}; in the long run "
        f"{number(found['plateau'])} and {number(found['plateau_marginal'])}, where the paper's bound is "
        f"{number(found['plateau_bound_paper'])}."
    ]
    if found["unresolved"] > 0:
        lines.append(
            f"Mind: these are distances of the part of h0 of degree up to exact.degree, over the norm of that part; "
            f"the rest has norm {number(found['unresolved'])} ||h0 - 1||."
        )
    return lines
