"""How far the ensemble of pinned balls is from its limit equations, and how much of that is sampling noise."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinlim.errors import InputError

Array = NDArray[np.float64]


def compare(particles: xr.Dataset, pde: xr.Dataset) -> xr.Dataset:
    """Hold the moments of the particles against the solution of the equations, at the sites and observation times.

    With d_i the difference at site i, s_i its standard error and u_i the solution, per time and for mu and sigma:
        rel_l2        = (sum d^2 / sum u^2)^(1/2),
        rel_l2_noise  = (sum s^2 / sum u^2)^(1/2), what sampling alone would give for rel_l2,
        rel_l2_excess = ((sum d^2 - sum s^2) / sum u^2)^(1/2), 0 where the noise exceeds the difference: what is left
                        of rel_l2 for the model (and the solver) once the noise is taken out,
        rel_l2_excess_se, its standard error: Var(sum d^2 - sum s^2) = sum 2 s^4 + 4 b^2 s^2 for independent Gaussian
                        sites of bias b, with b^2 estimated by max(d^2 - s^2, 0); 0 where the excess is 0,
        chi2          = mean of z^2 over the sites with s > 0, z = d/s: 1 +- (2/sites)^(1/2) if noise is all there is,
        z_rms         = chi2^(1/2).
    Besides, correlation: of neighbours (lag 1) over the ensemble, mean over sites, 0 +- correlation_null_sd if the
    noise is white; rel_l2_sigma_local: rel_l2 of the spread among neighbours in a replica, which is another thing than
    the spread over replicas (MATHS 1.5).

    Args:
        particles: as `kinlim.simulate` returns it.
        pde: as `kinlim.solve` returns it.

    Raises:
        InputError: the two do not share sites and times.
    """
    if particles.sizes["site"] != pde.sizes["x"] or not np.allclose(particles.x, pde.x, rtol=1e-12, atol=1e-12):
        raise InputError(
            "the particles and the equations were recorded at different sites; they belong to different studies"
        )
    if particles.sizes["time"] != pde.sizes["time"] or not np.allclose(particles.time, pde.time, rtol=1e-9, atol=0):
        raise InputError(
            "the particles and the equations were recorded at different times; they belong to different studies"
        )
    result = xr.Dataset(coords={name: particles[name] for name in ("time", "fraction", "site", "x")})
    result.attrs = {
        "title": "particles against equations", "model": "pinned", "sites": particles.sizes["site"],
        "replicas": particles.attrs["replicas"], "lambda": pde.attrs["lambda"],
        "particle_lambda": particles.attrs["particle_lambda"], "end_time": particles.attrs["end_time"],
    }  # fmt: skip
    for name in ("mu", "sigma"):
        solution = pde[name].to_numpy()
        difference, error = particles[name].to_numpy() - solution, particles[f"{name}_se"].to_numpy()
        result[f"difference_{name}"] = (("time", "site"), difference)
        result[f"difference_{name}_se"] = (("time", "site"), error)
        for key, values in _distances(difference, error, solution).items():
            result[f"{key}_{name}"] = ("time", values)
    local = particles["sigma_local"].to_numpy()[:, 1:-1] - pde["sigma"].to_numpy()[:, 1:-1]
    # Lag 1 averages n - 1 pairs of sites; independent sites would put it at 0 with this standard deviation.
    result["correlation"] = particles["correlation"].isel(lag=0, drop=True)
    result["correlation_null_sd"] = (
        "time",
        np.full(result.sizes["time"], 1 / np.sqrt(result.attrs["replicas"] * (result.sizes["site"] - 1))),
    )
    result["rel_l2_sigma_local"] = ("time", _ratio(_norm(local), _norm(pde["sigma"].to_numpy()[:, 1:-1])))
    return result


def metrics(comparison: xr.Dataset, particles: xr.Dataset, pde: xr.Dataset) -> dict[str, Any]:
    """Collect metrics.json: one object per time, and what each side conserved; a number that does not exist is None."""
    names = [str(name) for name, values in comparison.data_vars.items() if values.dims == ("time",)]
    return {
        "model": "pinned",
        "replicas": int(particles.attrs["replicas"]),
        "times": [
            {"time": float(moment.time), "fraction": float(moment.fraction)}
            | {name: _number(float(moment[name])) for name in names}
            for moment in (comparison.isel(time=t) for t in range(comparison.sizes["time"]))
        ],
        "conservation": {
            side: {name: float(dataset[name].max()) for name in ("momentum_drift", "energy_drift")}
            for side, dataset in (("particles", particles), ("pde", pde))
        },
    }


def _distances(difference: Array, error: Array, solution: Array) -> dict[str, Array]:
    """Every number that `compare` explains, shape (times,) each, from arrays of shape (times, sites)."""
    size, noise = _norm(solution), _norm(error)
    excess2 = np.maximum(_norm(difference) ** 2 - noise**2, 0)
    bias2 = np.maximum(difference**2 - error**2, 0)
    variance = (2 * error**4 + 4 * bias2 * error**2).sum(axis=1)
    excess = np.sqrt(excess2)
    known = error > 0
    z2 = np.divide(difference, error, out=np.zeros_like(error), where=known) ** 2
    chi2 = _ratio(z2.sum(axis=1), known.sum(axis=1).astype(float))
    return {
        "rel_l2": _ratio(_norm(difference), size),
        "rel_l2_noise": _ratio(noise, size),
        "rel_l2_excess": _ratio(excess, size),
        "rel_l2_excess_se": np.where(excess > 0, _ratio(np.sqrt(variance), 2 * excess * size), 0.0),
        "chi2": chi2,
        "z_rms": np.sqrt(chi2),
    }


def _norm(values: Array) -> Array:
    return np.sqrt((values**2).sum(axis=1))


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Divide; NaN where the denominator is 0, since nothing can be said relative to nothing."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
