"""The report of the pinned balls, and what is said of them in a terminal."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from kinlim.model import Verdict
from kinlim.validation.pinned import figures
from kinlim.validation.report import embedded, model_of, png, render
from kinlim.validation.verdicts import of_profile


def draw(comparison: xr.Dataset, particles: xr.Dataset, pde: xr.Dataset) -> dict[str, bytes]:
    """Every figure of the comparison as PNG, by name."""
    pictures = {
        "moments": png(figures.moments(particles, pde, comparison)),
        "spreads": png(figures.spreads(particles, pde, comparison)),
    }
    if "w_density" in particles:
        pictures["noise"] = png(figures.noise(particles))
    if "frame_mu" in pde:  # datasets of kinlim 0.1 have none
        pictures["field"] = png(figures.field(pde))
    return pictures


def html(
    comparison: xr.Dataset,
    numbers: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    particles: xr.Dataset,
    pde: xr.Dataset,
) -> str:
    """Fill the template of the pinned balls.

    Args:
        comparison: their differences.
        numbers: as in metrics.json.
        pictures: as `draw` makes them.
        particles: the ensemble.
        pde: the solution.
    """
    return render(
        "pinned/page.html",
        particles=particles.attrs,
        pde=pde.attrs,
        comparison=comparison.attrs,
        totals={
            name: (float(particles[name][-1]), float(particles[f"{name}_se"][-1]), float(pde[name][-1]))
            for name in ("momentum", "energy")
        },
        min_w=float(pde["min_w"].min()),
        energy_gone=float(pde["energy_flux"][-1] / (pde["energy"][-1] + pde["energy_flux"][-1])),
        numbers=numbers,
        model=model_of(particles),
        system=str(pde.attrs["system"]).replace("'", "′"),
        pictures={name: embedded(data) for name, data in pictures.items()},
    )


def draw_solution(pde: xr.Dataset) -> dict[str, bytes]:
    """Every figure of the solution alone as PNG, by name."""
    return {"field": png(figures.field(pde))}


def verdicts(numbers: Mapping[str, Any]) -> list[Verdict]:
    """Whether mu and sigma agree at the last time."""
    last, replicas, sites = numbers["times"][-1], numbers["replicas"], numbers["sites"]
    return [
        of_profile(what, last, name, replicas, sites)
        for name, what in (("mu", "The mean velocity mu"), ("sigma", "The spread sigma"))
    ]


def tell(numbers: Mapping[str, Any]) -> list[str]:
    """What came out at the last time besides the verdicts, in sentences."""
    last, lines = numbers["times"][-1], []
    for name in ("mu", "sigma"):
        moved, response = last[f"moved_{name}"], last[f"response_{name}"]
        if response is not None:
            lines.append(
                f"The solution's {name} has moved by {100 * moved:.2g} % of its size; the particles have made "
                f"{100 * response:.1f} +- {100 * last[f'response_se_{name}']:.1g} % of that."
            )
    return lines
