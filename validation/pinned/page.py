"""The report of the pinned balls, and what is said of them in a terminal."""

from typing import Any

import xarray as xr

from kinlim.validation.pinned import figures
from kinlim.validation.report import embedded, model_of, png, render

SURE = 5.0
"""Standard deviations of noise from which on a difference is called one: noise does that once in two million times."""

ENOUGH = 100
"""Runs from which on standard errors are known well enough for that."""


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
    comparison: xr.Dataset, numbers: dict[str, Any], pictures: dict[str, bytes], particles: xr.Dataset, pde: xr.Dataset
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
        sure=SURE,
        enough=ENOUGH,
        pictures={name: embedded(data) for name, data in pictures.items()},
    )


def draw_solution(pde: xr.Dataset) -> dict[str, bytes]:
    """Every figure of the solution alone as PNG, by name."""
    return {"field": png(figures.field(pde))}


def tell(numbers: dict[str, Any]) -> list[str]:
    """What came out at the last time, in sentences."""
    last, lines = numbers["times"][-1], []
    for name, what in (("mu", "mean velocity mu"), ("sigma", "spread sigma")):
        found, response = last[f"rel_l2_{name}"], last[f"response_{name}"]
        if found is None:
            continue
        change = ""
        if response is not None:
            change = f"; it has made {100 * response:.1f} +- {100 * last[f'response_se_{name}']:.1g} % of their change"
        lines.append(
            f"At {last['fraction']:g} T the {what} is {100 * found:.2g} % from the equations "
            f"(noise alone: {100 * last[f'rel_l2_noise_{name}']:.2g} %){change}."
        )
    return lines
