"""The exact side of a study of Kac particles: both evolutions, their distance and the theorem's terms, as a dataset."""

import time
from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from mpi4py import MPI

from kinlim.equation import SENSITIVE, SENSITIVITY
from kinlim.errors import InputError, Stopped
from kinlim.fem.kac import theorem
from kinlim.fem.kac.evolution import Distances, Evolution
from kinlim.fem.kac.one_particle import l_squared, tau
from kinlim.fem.kac.sectors import Sector, initial, sectors
from kinlim.keeper import Keeper
from kinlim.models.kac.symmetric import Label
from kinlim.models.kac.tables import KacStudy
from kinlim.parallel import on_root
from kinlim.progress import Meter, percent
from kinlim.provenance import provenance
from kinlim.study import dump

Array = NDArray[np.float64]

FUNCTIONS = "orthonormal symmetric Hermite function: 'x' of the system, '|x' of the reservoir, '.' between particles"

FRAME = 160
"""Times at which distances are recorded, besides 0: equal ratios up to end_time."""

PARTS = ("joint", "marginal", "conserved", "transient")
"""Parts of the distance, see `kinlim.fem.kac.evolution.Distances`."""

VANISHING = 1e-13
"""Coefficients of h0 up to this, relative to the largest one, are rounding errors."""


def check(study: KacStudy, comm: MPI.Comm) -> None:
    """Raise InputError on all ranks if h0 has no part of degree up to `exact.degree`."""
    if not on_root(comm, lambda: bool(_parts(study, {}))):
        raise InputError(
            f"exact.degree = {study.exact.degree}: model.h0 - 1 has no part of a degree up to this, so nothing can "
            "be solved; take a higher degree"
        )


@dataclass(frozen=True)
class Part:
    """The part of both evolutions in one sector, from h0."""

    evolution: Evolution
    start: Array

    @property
    def sector(self) -> Sector:
        """Which polynomials."""
        return self.evolution.sector


STEP = 1e-4
"""Relative change of the times by which sensitivities are found."""


def solve(study: KacStudy, comm: MPI.Comm = MPI.COMM_WORLD, keeper: Keeper | None = None) -> xr.Dataset:
    """Solve both systems on symmetric polynomials of degree up to `exact.degree`.

    Args:
        study: the study.
        comm: the ranks. Collective; rank 0 does it, in seconds up to degree 5.
        keeper: may ask for the end. Nothing is kept; a signal ends the program at once.

    Returns:
        The same dataset on every rank. With e the orthonormal functions of degree 1 and 2, reservoir(time, function) is
        <h_t, e>, thermostat(time, own) is <h~_t, e>, difference(time, function) the first minus the second.
        distance(frame_time, part) is the distance of the parts of h_t and h~_t of degree up to `exact.degree`, and
        `resolved` the norm of that part of h0 - 1: all there is if `unresolved`, the norm of the rest over
        ||h0 - 1||, is 0. In every degree both systems evolve apart from the other degrees, and every bound holds.
        worst(frame_time, degree, part) is the largest for any h0 - 1 of norm 1 in a degree; docs/kac.md lists the rest.
    """
    return on_root(comm, lambda: _solve(study, comm, keeper or Keeper(comm)))


def _solve(study: KacStudy, comm: MPI.Comm, keeper: Keeper) -> xr.Dataset:
    began, model, degree = time.perf_counter(), study.model, study.exact.degree
    M, N, rates = model.system, model.reservoir, (model.lambda_s, model.lambda_r, model.mu)
    kinds = [Evolution(s, *rates) for n in range(1, degree + 1) for s in sectors(n, M, N, distinct=True)]
    parts = _parts(study, {kind.sector: kind for kind in kinds})
    cost = np.cumsum([float(len(kind.sector.labels)) ** 3 for kind in kinds])
    with Meter("sectors", True) as meter:
        for kind, done in zip(kinds, cost / cost[-1], strict=True):
            _ = kind.reservoir_modes  # the slow part, kept
            meter(done)
            if keeper.requests.received:
                raise Stopped(keeper.goodbye(f" after {percent(done)} of the sectors"))
    frame = np.concatenate([[0.0], np.geomspace(1e-4 * model.end_time, model.end_time, FRAME)])
    variables = {
        **_means(parts, study),
        **_distances(parts, model.times, frame, degree),
        **_worst(kinds, frame, degree),
        **_sectors(kinds, study),
        **_lemma2(degree, N),
        **_bounds(kinds, frame, study),
    }
    coordinates = {
        "time": ("time", model.times, {"long_name": "time"}),
        "fraction": ("time", np.asarray(model.observe), {"long_name": "fraction of end_time"}),
        "function": ("function", [str(label) for label in model.functions], {"long_name": FUNCTIONS}),
        "own": ("own", [str(label) for label in model.own_functions], {"long_name": "those of the system alone"}),
        "frame_time": ("frame_time", frame, {"long_name": "time"}),
        "part": ("part", list(PARTS), {"long_name": "of the distance: of joint laws, of the system alone, ..."}),
        "degree": ("degree", np.arange(1, degree + 1), {"long_name": "degree of the polynomials"}),
        "sector": ("sector", [_name(kind.sector) for kind in kinds], {"long_name": "degree, and parity in x, y, z"}),
    }
    return xr.Dataset(
        variables,
        coords=coordinates,
        attrs={
            "title": f"{study.study.name}: exact sectors", "model": "kac", "system": M, "reservoir": N,
            "lambda_s": rates[0], "lambda_r": rates[1], "mu": rates[2], "end_time": model.end_time,
            "highest_degree": degree, **_constants(parts, kinds, study),
            **provenance(comm.size, 1, time.perf_counter() - began, study=dump(study)),
        },
    )  # fmt: skip


def _parts(study: KacStudy, known: dict[Sector, Evolution]) -> list[Part]:
    """The sectors in which h0 - 1 has a part, with those evolutions that are `known` already."""
    model = study.model
    rates = model.lambda_s, model.lambda_r, model.mu
    moment, chosen = cache(model.h0.moment), model.h0.chosen(model.system)
    starts = {
        sector: initial(sector, moment, chosen)
        for n in range(1, study.exact.degree + 1)
        for sector in sectors(n, model.system, model.reservoir)
    }
    largest = max(float(np.abs(start).max()) for start in starts.values())
    return [
        Part(known.get(sector) or Evolution(sector, *rates), start)
        for sector, start in starts.items()
        if np.abs(start).max() > VANISHING * largest
    ]


def _means(parts: list[Part], study: KacStudy) -> dict[str, Any]:
    """Means of the functions of degree 1 and 2, and what another speed would change in them."""
    times = study.model.times
    found, later, sooner = (_means_at(parts, study, times * (1 + step)) for step in (0, STEP, -STEP))
    changes = {name: (later[name][1] - sooner[name][1]) / (2 * STEP) for name in found}
    return found | {
        f"{SENSITIVITY}{name}": (found[name][0], change, {"long_name": f"{name}: {SENSITIVE}"})
        for name, change in changes.items()
    }


def _means_at(parts: list[Part], study: KacStudy, times: Array) -> dict[str, Any]:
    """Means of the functions of degree 1 and 2 at some times."""
    model = study.model
    columns: dict[Label, tuple[Array, Array, Array]] = {}
    for part in parts:
        if part.sector.degree > 2:
            continue
        system = [label for label in part.sector.labels if not label.reservoir]
        with_thermostat = part.evolution.with_thermostat(times, part.start)
        difference = part.evolution.difference(times, part.start)
        for k, label in enumerate(part.sector.labels):
            second = with_thermostat[:, k] if k < len(system) else np.zeros(len(times))
            columns[label] = second + difference[:, k], second, difference[:, k]
    nothing = (np.zeros(len(times)),) * 3  # where h0 has no part, h_t has none

    def table(chosen: tuple[Label, ...], which: int) -> Array:
        return np.stack([columns.get(label, nothing)[which] for label in chosen], axis=1)

    return {
        "reservoir": (("time", "function"), table(model.functions, 0), {"long_name": "<h_t, e>"}),
        "thermostat": (("time", "own"), table(model.own_functions, 1), {"long_name": "<h~_t, e>"}),
        "difference": (("time", "function"), table(model.functions, 2), {"long_name": "<h_t - h~_t, e>"}),
    }


def _joined(found: list[Distances]) -> Array:
    """Distance of sums of one or more orthogonal parts, shape (times, PARTS)."""
    squares = sum(np.stack([getattr(one, name) for name in PARTS], axis=1) ** 2 for one in found)
    return np.sqrt(squares)


def _distances(parts: list[Part], times: Array, frame: Array, degree: int) -> dict[str, Any]:
    """Distances of h_t and h~_t: at the observations, over time, and over time by degree."""
    of_degree = np.zeros((len(frame), degree, len(PARTS)))
    for n in range(1, degree + 1):
        if some := [part for part in parts if part.sector.degree == n]:
            of_degree[:, n - 1] = _joined([part.evolution.distances(frame, part.start) for part in some])
    observed = _joined([part.evolution.distances(times, part.start) for part in parts])
    text = {"long_name": "norm of the part of h_t - h~_t of degree up to highest_degree, not over that of h0 - 1"}
    return {
        "distance_observed": (("time", "part"), observed, text),
        "distance": (("frame_time", "part"), np.sqrt((of_degree**2).sum(axis=1)), text),
        "distance_by_degree": (
            ("frame_time", "degree", "part"),
            of_degree,
            {"long_name": "the same, degree by degree"},
        ),
    }


def _worst(kinds: list[Evolution], frame: Array, degree: int) -> dict[str, Any]:
    """Largest distances for any h0 - 1 of norm 1 in a degree."""
    worst = np.zeros((len(frame), degree, len(PARTS)))
    for kind in kinds:
        n = kind.sector.degree
        found = kind.worst(frame)
        worst[:, n - 1] = np.maximum(worst[:, n - 1], np.stack([getattr(found, name) for name in PARTS], axis=1))
    text = {"long_name": "largest norm of h_t - h~_t for any h0 - 1 of norm 1 in a degree"}
    return {"worst": (("frame_time", "degree", "part"), worst, text)}


def _sectors(kinds: list[Evolution], study: KacStudy) -> dict[str, Any]:
    """What lemmas and theorem say of each sector."""
    model = study.model
    rates = model.lambda_s, model.lambda_r, model.mu
    lemma1 = np.array([theorem.lemma1_norm(kind.sector) for kind in kinds])
    lemma3 = np.array([theorem.lemma3(kind.sector) for kind in kinds])
    over = ("sector",)
    return {
        "gap": (
            over,
            np.array([theorem.gap(kind.sector, *rates) for kind in kinds]),
            {"long_name": "spectral gap of L"},
        ),
        "size": (over, np.array([len(kind.sector.labels) for kind in kinds]), {"long_name": "functions in the sector"}),
        "lemma1": (over, lemma1[:, 0], {"long_name": "largest ||R u||/||u|| over functions u of v"}),
        "lemma1_marginal": (over, lemma1[:, 1], {"long_name": "largest ||E[R u | v]||/||u||"}),
        "lemma3": (over, lemma3[:, 0], {"long_name": "largest <u, T_1 u>/<u, u>"}),
        "decay": (over, lemma3[:, 1], {"long_name": "smallest <u, sum (I - T_i) u>/<u, u>"}),
    }


def _lemma2(degree: int, N: int) -> dict[str, Any]:
    """Lemma 2 on polynomials of one particle: smallest and largest ratio of its sides, as printed and as mended."""
    printed, mended = np.zeros((degree, 2)), np.zeros(degree)
    for n in range(1, degree + 1):
        ratios = []
        for sector in sectors(n, 1, N, distinct=True):
            lemma = theorem.lemma2(n, sector.parity, N)
            root = np.linalg.inv(np.linalg.cholesky(lemma.printed))
            ratios += list(np.linalg.eigvalsh(root @ lemma.measured @ root.T))
            off = np.abs(lemma.measured - lemma.mended).max() / np.abs(lemma.measured).max()
            mended[n - 1] = max(mended[n - 1], off)
        printed[n - 1] = min(ratios), max(ratios)
    return {
        "lemma2": (("degree", "end"), printed, {"long_name": "smallest and largest left over right side, as printed"}),
        "lemma2_mended": (("degree",), mended, {"long_name": "largest relative difference of the mended identity"}),
    }


def _gap(kinds: list[Evolution]) -> float:
    """k: the smallest spectral gap of all sectors."""
    return min(theorem.gap(kind.sector, kind.lambda_s, kind.lambda_r, kind.mu) for kind in kinds)


def _bounds(kinds: list[Evolution], frame: Array, study: KacStudy) -> dict[str, Any]:
    """Bounds of the distance over ||h0 - 1||: the paper's, and sharper ones for the joint law and for the system's."""
    model = study.model
    M, N, mu, over = model.system, model.reservoir, model.mu, ("frame_time",)
    paper = theorem.paper_bound(frame, M, N, model.lambda_s, mu, _gap(kinds))
    return {
        "bound_paper": (over, paper, {"long_name": "the theorem's bound over ||h0 - 1||"}),
        "bound_joint": (over, theorem.joint_bound(frame, M, N, mu), {"long_name": "sqrt((M/N)(1 - exp(-mu t/3)))"}),
        "bound_marginal": (over, theorem.marginal_bound(frame, M, N, mu), {"long_name": "(M/N)(1 - exp(-mu t/3))"}),
    }


def _constants(parts: list[Part], kinds: list[Evolution], study: KacStudy) -> dict[str, float]:
    """The numbers of the theorem, and of this h0 at its latest and at its worst."""
    model = study.model
    M, N, whole = model.system, model.reservoir, model.initial_distance
    resolved = sqrt(sum(float(part.start @ part.start) for part in parts))
    plateau = _joined([part.evolution.plateau(part.start) for part in parts])[0]

    def largest(which: str) -> tuple[float, float]:
        """Largest value of a part of the distance over all times, and when."""

        def minus(log_t: float) -> float:
            found = [getattr(part.evolution.distances(np.exp(log_t), part.start), which) for part in parts]
            return -sqrt(sum(float(value[0]) ** 2 for value in found))

        grid = np.log(np.geomspace(1e-3, 1e2, 60) / model.mu)
        best = int(np.argmin([minus(x) for x in grid]))
        ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        peak = minimize_scalar(minus, bounds=ends, method="bounded", options={"xatol": 1e-6})
        return -float(peak.fun), float(np.exp(peak.x))

    bump, bump_time = largest("transient")
    peak_marginal, _ = largest("marginal")  # often the plateau, which no time reaches
    k = _gap(kinds)
    return {
        "initial_distance": whole, "resolved": resolved,
        "unresolved": sqrt(max(1 - (resolved / whole) ** 2, 0.0)) if resolved < (1 - 1e-9) * whole else 0.0,
        "plateau": float(plateau[0]), "plateau_marginal": float(plateau[1]),
        "bump": bump, "bump_time": bump_time, "peak_marginal": peak_marginal,
        "k": k, "l": sqrt(l_squared()), "b": model.mu * sqrt(l_squared()) / (k - model.mu / 3),
        "C": theorem.lemma1_constant(M, N), "Lambda": (model.lambda_s / 2 + model.mu) * M,
        "tau_momentum": tau(0, 1), "tau_energy": tau(1, 0), "tau_next": tau(1, 1),
    }  # fmt: skip


def _name(sector: Sector) -> str:
    """Degree, and the axes in which it is odd."""
    odd = "".join(axis for axis, one in zip("xyz", sector.parity, strict=True) if one)
    return f"{sector.degree}, odd in {odd}" if odd else f"{sector.degree}, even"
