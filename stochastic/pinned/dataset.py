"""particles.nc: the statistics of pinned balls under their names."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.layout import NAN_WHERE
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.stochastic.correlations import LaggedCovariances
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.pinned import white_noise
from kinlim.stochastic.pinned.white_noise import EDGES, PAIR_EDGES, R_EDGES, Frame
from kinlim.stochastic.statistic import Counts, Kept, Largest, Statistics, typed

Array = NDArray[np.float64]
Variables = dict[str, tuple[tuple[str, ...], NDArray[Any], dict[str, str]]]

PROFILE, SCALAR, LAG = ("time", "x"), ("time",), ("time", "lag")


def label(study: PinnedStudy, statistics: Statistics, frame: Frame | None) -> xr.Dataset:
    """Give the statistics names, units of the study, and coordinates."""
    model, settings = study.model, study.particles
    variables = _velocities(statistics, model.length)
    coordinates: Variables = {
        "time": (SCALAR, model.times, {"long_name": "time of the equations"}),
        "fraction": (SCALAR, np.asarray(model.observe), {"long_name": "fraction of end_time"}),
        "collisions": (SCALAR, np.asarray(model.collisions), {"long_name": "collisions of each replica"}),
        "site": (("x",), np.arange(1, model.balls + 1), {"long_name": "ball"}),
        "x": (("x",), model.sites, {"long_name": "position"}),
        "lag": (("lag",), np.arange(1, settings.lags + 1), {"long_name": "distance in sites"}),
    }
    if settings.snapshots:
        velocity = typed(statistics["snapshot"], Kept).value
        variables["velocity"] = (
            ("time", "replica", "x"), velocity, {"long_name": "velocities of single replicas"}
        )  # fmt: skip
        coordinates["replica"] = (("replica",), np.array(settings.snapshots), {"long_name": "replica, from 0"})
    if frame is not None:
        variables |= _white_noise(statistics, frame, settings.lags)
        coordinates |= _bins(settings.pairs)
    if settings.kernel == "sorting":
        variables |= _order(statistics, settings.replicas)
        if settings.follow:
            coordinates["followed"] = (
                ("followed",), np.array(settings.follow), {"long_name": "ball whose first velocity is followed"}
            )  # fmt: skip
    return xr.Dataset(
        variables,
        coords=coordinates,
        attrs={
            "title": f"{study.study.name}: particles", "model": "pinned", "kernel": settings.kernel,
            "balls": model.balls, "replicas": settings.replicas, "pilot": settings.pilot,
            "particle_lambda": model.particle_lambda, "end_time": model.end_time,
        },
    )  # fmt: skip


def _velocities(statistics: Statistics, length: float) -> Variables:
    """Moments of the velocities, neighbours, and what is conserved."""
    velocity, local, totals = (typed(statistics[name], Moments) for name in ("velocity", "local", "totals"))
    pairs, drift = typed(statistics["pairs"], LaggedCovariances), typed(statistics["drift"], Largest).value
    sigma_local = np.sqrt(local.mean)
    local_se = np.divide(local.mean_se, 2 * sigma_local, out=np.zeros_like(sigma_local), where=sigma_local > 0)
    mean, mean_se = totals.mean * length, totals.mean_se * length

    def at_sites(values: Array) -> Array:
        """Fill the two end sites, which lack a neighbour, with NaN."""
        return np.pad(values, ((0, 0), (1, 1)), constant_values=np.nan)

    return {
        "mu": (PROFILE, velocity.mean, {"long_name": "ensemble mean velocity"}),
        "mu_se": (PROFILE, velocity.mean_se, {"long_name": "standard error of mu"}),
        "sigma": (PROFILE, velocity.spread, {"long_name": "ensemble standard deviation of the velocity"}),
        "sigma_se": (PROFILE, velocity.spread_se, {"long_name": "standard error of sigma, from the fourth moment"}),
        "cumulant_3": (
            PROFILE, velocity.third,
            {"long_name": "third cumulant of the velocity over the ensemble", NAN_WHERE: "fewer than three replicas"},
        ),
        "cumulant_3_se": (PROFILE, velocity.third_se, {"long_name": "its standard error, from moments to the sixth"}),
        "cumulant_4": (
            PROFILE, velocity.fourth,
            {"long_name": "fourth cumulant of the velocity over the ensemble", NAN_WHERE: "fewer than four replicas"},
        ),
        "cumulant_4_se": (PROFILE, velocity.fourth_se, {"long_name": "its standard error, from moments to the eighth"}),
        "sigma_local": (
            PROFILE, at_sites(sigma_local),
            {
                "long_name": "spread within a replica: root of the mean of (v[i-1] - 2 v[i] + v[i+1])^2/6",
                NAN_WHERE: "the first and the last site",
            },
        ),
        "sigma_local_se": (
            PROFILE, at_sites(local_se),
            {"long_name": "standard error of sigma_local", NAN_WHERE: "the first and the last site"},
        ),
        "correlation": (
            LAG, pairs.correlation(velocity.variance),
            {
                "long_name": "correlation of v[i] and v[i+lag] over the ensemble, sites weighted by their spread",
                NAN_WHERE: "no site has any spread",
            },
        ),
        "momentum": (SCALAR, mean[:, 0], {"long_name": "(b-a)/n sum of v, ensemble mean"}),
        "momentum_se": (SCALAR, mean_se[:, 0], {"long_name": "standard error of momentum"}),
        "energy": (SCALAR, mean[:, 1], {"long_name": "(b-a)/n sum of v^2/2, ensemble mean"}),
        "energy_se": (SCALAR, mean_se[:, 1], {"long_name": "standard error of energy"}),
        "momentum_drift": (
            SCALAR, drift[:, 0],
            {"long_name": "largest |change| of momentum in any replica over its bound sqrt(2 (b-a) energy)"},
        ),
        "energy_drift": (SCALAR, drift[:, 1], {"long_name": "largest relative |change| of energy in any replica"}),
    }  # fmt: skip


def _white_noise(statistics: Statistics, frame: Frame, lags: int) -> Variables:
    """What `kinlim.stochastic.pinned.white_noise` measures of W = (v - mu)/sigma."""
    velocity, within = typed(statistics["velocity"], Moments), typed(statistics["within"], Moments)
    count, pair, pair_at, r = (
        typed(statistics[name], Counts).count for name in ("w", "pair", "pair_at", "within_count")
    )
    w, w_se = white_noise.density(count, EDGES, frame, velocity)
    square = ("time", "w_left", "w_right")
    variables: Variables = {
        "w_density": (
            ("time", "w"), w, {"long_name": "density of W, all sites and replicas", NAN_WHERE: "no site has any spread"}
        ),
        "w_density_se": (
            ("time", "w"), w_se, {"long_name": "standard error of w_density, were sites and replicas independent"}
        ),
        "w_samples": (SCALAR, count.sum(axis=1), {"long_name": "number of W in w_density"}),
        "w_outside": (SCALAR, count[:, 0] + count[:, -1], {"long_name": "how many lay outside its bins"}),
        "pair_density": (
            square, white_noise.pair_density(pair, PAIR_EDGES, frame, velocity),
            {
                "long_name": "density of (W[i], W[i+1]), all sites and replicas",
                NAN_WHERE: "no two neighbours have any spread",
            },
        ),
        "pair_samples": (SCALAR, pair.sum(axis=(1, 2)), {"long_name": "number of pairs in pair_density"}),
        **{
            f"correlation_within{suffix}": (LAG, values, {"long_name": what, NAN_WHERE: "a run has no spread"})
            for suffix, values, what in (
                ("", within.mean, "correlation of W[i] and W[i+lag] within a run, mean over runs"),
                ("_se", within.mean_se, "standard error of correlation_within"),
                ("_sd", within.spread, "standard deviation over runs of the correlation within a run"),
                ("_sd_se", within.spread_se, "standard error of correlation_within_sd"),
            )
        },
        "correlation_within_pairs": (LAG, frame.pairs(lags), {"long_name": "pairs of sites in such a correlation"}),
        "correlation_within_count": (
            ("time", "lag", "r"), r[:, :, 1:-1],
            {"long_name": "runs by their correlation within the run times (pairs - 1)^(1/2)"},
        ),
    }  # fmt: skip
    if pair_at.shape[1]:
        variables["pair_count"] = (
            ("time", "left_site", "w_left", "w_right"), pair_at[:, :, 1:-1, 1:-1],
            {"long_name": "runs by their pair (U[i], U[i+1]) at a chosen site, U = W in the frame of the pilot"},
        )  # fmt: skip
    return variables


def _bins(pairs: tuple[int, ...]) -> Variables:
    """Coordinates of the histograms: the centres of their bins."""

    def centres(edges: Array) -> Array:
        return (edges[1:] + edges[:-1]) / 2

    coordinates: Variables = {
        "w": (("w",), centres(EDGES), {"long_name": "W = (v - mu)/sigma"}),
        "w_left": (("w_left",), centres(PAIR_EDGES), {"long_name": "W at a site"}),
        "w_right": (("w_right",), centres(PAIR_EDGES), {"long_name": "W at the next site"}),
        "r": (("r",), centres(R_EDGES), {"long_name": "correlation within a run times (pairs - 1)^(1/2)"}),
    }
    if pairs:
        coordinates["left_site"] = (("left_site",), np.array(pairs), {"long_name": "left ball of a chosen pair"})
    return coordinates


def _order(statistics: Statistics, replicas: int) -> Variables:
    """What the sorting kernel shows."""
    last = typed(statistics["last_swap"], Moments)
    finished, position = (typed(statistics[name], Counts).count for name in ("sorted", "position"))
    variables: Variables = {
        "sorted_fraction": (SCALAR, finished[:, 0] / replicas, {"long_name": "share of replicas in order"}),
        "last_swap": (SCALAR, last.mean[:, 0], {"long_name": "last collision that changed anything, mean"}),
        "last_swap_se": (SCALAR, last.mean_se[:, 0], {"long_name": "standard error of last_swap"}),
        "last_swap_sd": (SCALAR, last.spread[:, 0], {"long_name": "standard deviation of the last change"}),
        "last_swap_sd_se": (SCALAR, last.spread_se[:, 0], {"long_name": "standard error of last_swap_sd"}),
        "last_swap_cumulant_3": (
            SCALAR, last.third[:, 0],
            {"long_name": "third cumulant of the last change", NAN_WHERE: "fewer than three replicas"},
        ),
    }  # fmt: skip
    if position.shape[1]:
        variables["position_count"] = (
            ("time", "followed", "x"),
            position,
            {"long_name": "replicas by the site of a followed velocity"},
        )
    return variables
