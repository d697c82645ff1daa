"""Decay to equilibrium in numbers: exact gap, truncated matrices, diffusion limit and explicit bounds side by side."""

from collections.abc import Sequence
from typing import Any

from kinlim.models.reaction.tables import KineticReaction
from kinlim.validation.reaction.linearised import Linearised
from kinlim.validation.reaction.spectrum import Gap, gap
from kinlim.validation.reaction.theorem import METHODS, bound, lattice
from kinlim.validation.reaction.truncated import abscissa

NODES = 64
"""Of each profile in the truncated matrices, unless told."""

SHELL, CANDIDATES = 4, 16
"""The slowest mode is looked for among the CANDIDATES of slowest diffusion with entries up to SHELL."""

AXES = ("x", "y", "z")


def table(
    model: KineticReaction | Linearised, modes: Sequence[int] = range(5), nodes: int = NODES
) -> list[dict[str, Any]]:
    """One row for each Fourier mode k along each axis, all rates per unit of the time of (9).

    Keys: `k`, the wave number, and `axis`; `gap`, the exact rate; `frequency`, 0 where the slowest eigenvalue is real;
    `discrete`, whether an eigenvalue decides, otherwise the essential spectrum does; `truncated`, minus the spectral
    abscissa of the truncated matrix with this many nodes, `truncated_error`, its criterion, and `trusted`; `limit`,
    4 pi^2 k^2 D(m_inf). The last four are None for k = 0.

    Raises:
        RunError: see `kinlim.validation.reaction.spectrum.gap`.
    """
    system = model if isinstance(model, Linearised) else Linearised.of(model)
    found = []
    for k in modes:
        for axis in range(system.dimension if k else 1):
            number = tuple(k if i == axis else 0 for i in range(system.dimension))
            found.append({"k": k, "axis": AXES[axis]} | _row(system, number, nodes))
    return found


def _row(system: Linearised, k: tuple[int, ...], nodes: int) -> dict[str, Any]:
    exact = gap(system, k)
    row: dict[str, Any] = {"gap": exact.rate, "frequency": exact.frequency, "discrete": exact.discrete}
    if not any(k):
        return row | dict.fromkeys(("truncated", "truncated_error", "trusted", "limit"))
    matrix = abscissa(system.mode(k), nodes)
    return row | {
        "truncated": -matrix.s.real / system.epsilon**2,
        "truncated_error": matrix.error,
        "trusted": matrix.trusted,
        "limit": system.diffusion_rate(k),
    }


def overall(model: KineticReaction | Linearised) -> dict[str, Any]:
    """The gap over all modes and the explicit bounds below it, per unit of the time of (9).

    Keys: `gap`; `k`, the mode that has it, None where it is the essential spectrum, which all modes share; `frequency`;
    `essential`, where that begins; and for each of the `METHODS` of `kinlim.validation.reaction.theorem` a `Bound`, or
    None where a fourth moment of a profile is infinite.
    """
    system = model if isinstance(model, Linearised) else Linearised.of(model)
    candidates: list[tuple[Gap, tuple[int, ...] | None]] = [(Gap(system.essential, 0.0, False, ()), None)]
    slow = sorted(lattice(system.dimension, SHELL), key=system.diffusion_rate)[:CANDIDATES]
    candidates += [(gap(system, k), k) for k in slow]
    slowest, k = min(candidates, key=lambda candidate: candidate[0].rate)
    return {
        "gap": slowest.rate,
        "k": k if slowest.discrete else None,
        "frequency": slowest.frequency,
        "essential": system.essential,
        **{method: bound(system, method) for method in METHODS},
    }
