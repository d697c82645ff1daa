"""`kinlim noise`: modulated white noise, (2.5), in single runs and over the ensemble, and where the variance lies."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from kinlim import api
from kinlim.base import Study, narrowed
from kinlim.layout import NAN_WHERE
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.parallel import on_root, world
from kinlim.statements import Statement
from kinlim.validation.chance import sure
from kinlim.validation.drawing import legend
from kinlim.validation.pinned import modes, single_runs, white_noise
from kinlim.validation.pinned.comparison import COMPARISON, PAPER, SURE
from kinlim.validation.pinned.single_runs import LAGS, TESTS
from kinlim.validation.report import number
from kinlim.validation.verdicts import percent
from kinlim.workflow import Check, examine

RUNS = 200
"""Single runs that are looked at, if there are as many."""

PILOT = 256
"""Replicas run beforehand for W, where the study leaves W out."""

ENSEMBLE = ("ks", "ks_noise", "ad", "correlation_z", "largest_lag", "lags", "anisotropy", "anisotropy_se")
"""What `white_noise.judged` says of a time and this page shows."""


class Noise(Check):
    """(2.5) at every time of a study, run by run and over the ensemble; the variance by waves."""

    name = "noise"
    heading = "white noise, run by run"
    caption = (
        "Left: part of the single runs for which white noise is rejected at 1 %, by five tests. Right: spectrum of the "
        "velocities' differences from run to run; white noise is a horizontal line. Dotted: mean σ² of the equations."
    )
    template = "pinned/noise.html"

    def __init__(self, study: PinnedStudy) -> None:
        """Of this study, with the runs and the distances that the tests need."""
        runs = min(RUNS, study.particles.replicas)
        self.study = study.vary(
            "particles",
            snapshots=list(range(runs)),
            lags=min(LAGS, (study.model.balls - 1) // 2),
            pilot=study.particles.pilot or PILOT,
        )

    def check(self) -> None:
        """Raise InputError if this is not the model whose limit the equations are, or these cannot be solved."""
        COMPARISON.check(self.study)
        api.check(self.study)

    def measure(self) -> xr.Dataset:
        """Simulate, solve, and look at every time. Collective."""
        particles, pde = api.simulate(self.study), api.solve(self.study)
        return on_root(world(), lambda: _measured(particles, pde))

    def statements(self, dataset: xr.Dataset) -> list[Statement]:
        """Of Figures 2 to 4 for the ensemble and for single runs, and of where the variance lies in the end."""
        return [*_of_ensemble(dataset), *_of_runs(dataset), *_of_variance(dataset)]

    def tables(self, dataset: xr.Dataset) -> dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]]:
        """Rejections, distances over the ensemble, and the variance, time by time."""
        at = [f"{float(f):g} T" for f in dataset["fraction"]]
        rejected = _rejected(dataset)
        ensemble = [dataset[name].to_numpy() for name in ENSEMBLE]
        split = [modes.split(s, dataset.attrs["runs"]) for s in dataset["spectrum"].to_numpy()]
        columns = [dataset[name].to_numpy() for name in ("variance", "variance_local", "variance_pde")]
        n = dataset.attrs["balls"]
        return {
            f"Single runs for which white noise is rejected at 1 %, of {dataset.attrs['runs']}": (
                ("time", "KS", "AD", "correlations", "pairs, wave 2", "pairs, wave 4"),
                [(t, *map(str, row)) for t, row in zip(at, rejected, strict=True)],
            ),
            f"Over the ensemble of {dataset.attrs['replicas']} runs": (
                ("time", "KS", "noise", "A²/N", f"largest of {int(np.nanmax(ensemble[5]))} correlations over its error",
                 "at distance", "⟨cos 4θ⟩ beyond noise's", "± its error"),
                [
                    (t, number(ks), number(noise, 2), number(ad), f"{z:.1f}", f"{lag:.0f}", number(four), number(se, 1))
                    for t, ks, noise, ad, z, lag, _, four, se in zip(at, *ensemble, strict=True)
                ],
            ),
            "Variance, mean over the sites": (
                ("time", "over runs", "among neighbours", "equations", "short waves", "long waves, times n",
                 "± its error", f"{100 * modes.MOST:.0f} % of which below wave number"),
                [
                    (t, *(number(v) for v in values), number(one.short), number(one.long * n),
                     number(one.error * n, 1), str(one.cutoff or "—"))
                    for t, values, one in zip(at, zip(*columns, strict=True), split, strict=True)
                ],
            ),
        }  # fmt: skip

    def figure(self, dataset: xr.Dataset, verdict: object) -> Figure:
        """Rejections over time, and spectra."""
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        part = np.array(_rejected(dataset)) / dataset.attrs["runs"]
        for k, what in enumerate(TESTS.values()):
            left.plot(dataset["fraction"], part[:, k], "o-", ms=3, lw=1, label=what)
        left.axhline(single_runs.LEVEL, color="0.5", ls=":", lw=1)
        left.set(xlabel="t/T", ylabel="part of the runs rejected", ylim=(-0.03, 1.03))
        legend(left)
        n = dataset.attrs["balls"]
        edges = np.unique(np.geomspace(1, n, 25).astype(int))
        for t in sorted({0, dataset.sizes["time"] // 2, dataset.sizes["time"] - 1}):
            s = n * dataset["spectrum"][t].to_numpy()
            middle = [(a + b - 1) / 2 for a, b in pairwise(edges)]
            mean = [s[a:b].mean() for a, b in pairwise(edges)]
            line = right.plot(middle, mean, "o-", ms=3, lw=1, label=f"{float(dataset['fraction'][t]):g} T")[0]
            right.axhline(float(dataset["variance_pde"][t]), color=line.get_color(), ls=":", lw=1)
        right.set(xscale="log", yscale="log", xlabel="wave number k, of waves 2n/k balls long", ylabel="$n S_k$")
        legend(right)
        return figure


def _measured(particles: xr.Dataset, pde: xr.Dataset) -> xr.Dataset:
    """Everything that the page shows, of both sides."""
    velocity = particles["velocity"].transpose("time", "replica", "x").to_numpy()
    times = range(len(velocity))
    p = [_tested(velocity[t], particles.isel(time=t)) for t in times]
    judged = [white_noise.judged(particles, t) or {} for t in times]

    def variance(side: xr.Dataset, name: str, what: str) -> tuple[str, np.ndarray, dict[str, str]]:
        return "time", (side[name].to_numpy()[:, 1:-1] ** 2).mean(axis=1), {"long_name": what}

    return xr.Dataset(
        {
            "p": (("time", "test", "run"), np.array(p), {"long_name": "chance of white noise to be as far off"}),
            "spectrum": (
                ("time", "mode"), np.array([modes.spectrum(v) for v in velocity]),
                {"long_name": "variance over runs in the cosine modes of the interval"},
            ),
            "variance": variance(particles, "sigma", "variance over runs, mean over sites"),
            "variance_local": variance(particles, "sigma_local", "the same among neighbours"),
            "variance_pde": variance(pde, "sigma", "sigma^2 of pde.nc"),
            **{
                name: (
                    "time", np.array([float(one.get(name, np.nan)) for one in judged]),
                    {NAN_WHERE: "there is too little spread to judge"},
                )
                for name in ENSEMBLE
            },
        },
        {"time": particles["time"], "fraction": particles["fraction"], "test": list(TESTS)},
        {"runs": velocity.shape[1], "replicas": int(particles.attrs["replicas"]), "balls": velocity.shape[2]},
    )  # fmt: skip


def _tested(velocity: np.ndarray, moment: xr.Dataset) -> list[np.ndarray]:
    """Probabilities of single runs, shape (tests, runs), over the sites that spread; 1 where none does."""
    mu, sigma = (moment[name].to_numpy() for name in ("mu", "sigma"))
    used = sigma > 0
    if used.sum() < 4:
        return [np.ones(len(velocity)) for _ in TESTS]
    found = single_runs.p_values((velocity[:, used] - mu[used]) / sigma[used])
    return [found[name] for name in TESTS]


def _rejected(dataset: xr.Dataset) -> list[list[int]]:
    """Numbers of rejected runs, by time and test."""
    return [[int(v) for v in row] for row in (dataset["p"] < single_runs.LEVEL).sum("run").to_numpy()]


def _of_runs(dataset: xr.Dataset) -> list[Statement]:
    """What single runs show, at the time with most rejections."""
    runs, rejected = int(dataset.attrs["runs"]), np.array(_rejected(dataset))
    found = []
    for k, what in enumerate(TESTS.values()):
        worst = int(rejected[:, k].argmax())
        fails = single_runs.beyond_chance(rejected[worst, k], runs, len(rejected))
        times = ", ".join(f"{n} at {float(f):g} T" for n, f in zip(rejected[:, k], dataset["fraction"], strict=True))
        found.append(
            Statement(
                f"{PAPER} Figures 2-4",
                f"one run of {dataset.attrs['balls']} balls is white noise: {what}",
                "fails" if fails else "not decided",
                f"rejected at 1 % for so many of {runs} runs: {times}",
            )
        )
    return found


def _of_ensemble(dataset: xr.Dataset) -> list[Statement]:
    """The same of all runs together: the histogram, correlations and isotropy of pairs."""
    known = dataset.isel(time=np.flatnonzero(np.isfinite(dataset["ks"].to_numpy())))
    if not known.sizes["time"]:
        return []

    def each(name: str, digits: int = 2) -> str:
        return ", ".join(
            f"{number(float(v), digits)} at {float(f):g} T" for v, f in zip(known[name], known["fraction"], strict=True)
        )

    lags = int(known["lags"][0])
    limit = sure(int(dataset.attrs["replicas"]), lags * known.sizes["time"])
    z4 = np.abs(known["anisotropy"] / known["anisotropy_se"])
    normal, apart, isotropic = (
        bool((known["ks"] > known["ks_noise"]).any()),
        bool((known["correlation_z"] > limit).any()),
        bool((z4 > sure(10**6, known.sizes["time"])).any()),
    )
    return [
        Statement(
            f"{PAPER} Figures 2-4",
            "W is normal, over the ensemble",
            "fails" if normal else "not decided",
            f"distance of Kolmogorov and Smirnov {each('ks')}; noise reaches {number(float(known['ks_noise'][0]), 2)}",
        ),
        Statement(
            f"{PAPER} Figures 2-4",
            "W is not correlated, over the ensemble",
            "fails" if apart else "not decided",
            f"the largest of {lags} correlations over its standard error is {each('correlation_z')}; noise reaches "
            f"{limit:.1f} in all of them",
        ),
        Statement(
            f"{PAPER} Figures 2-4",
            "pairs of neighbouring W are isotropic, over the ensemble",
            "fails" if isotropic else "not decided",
            f"mean of cos 4 theta beyond that of independent pairs {each('anisotropy')}, standard error "
            f"{number(float(known['anisotropy_se'][0]), 1)}",
        ),
    ]


def _of_variance(dataset: xr.Dataset) -> list[Statement]:
    """How much of the variance at the last time the equations have, and what the rest is."""
    last, n = dataset.isel(time=-1), int(dataset.attrs["balls"])
    one = modes.split(last["spectrum"].to_numpy(), dataset.attrs["runs"])
    pde = float(last["variance_pde"])
    where = f", {percent(modes.MOST)} of that below wave number {one.cutoff}" if one.cutoff else ""
    return [
        Statement(
            f"{PAPER} (2.5)",
            "what runs differ by is independent from ball to ball, so that all waves have the same variance",
            "fails" if abs(one.long) > SURE * one.error else "not decided",
            f"at the last time waves of four balls and more have {number(one.long * n)}/n +- "
            f"{number(one.error * n, 1)}/n beyond the level of shorter ones{where}; that level, {number(one.short)}, "
            f"is {number(one.short / pde)} of the equations' sigma^2, {number(pde)}",
        )
    ]


def run(study: Study, folder: Path) -> str:
    """Examine a study and write noise.nc, .json, .html and figure. Collective."""
    return examine(study, folder, Noise(narrowed(study, PinnedStudy)))
