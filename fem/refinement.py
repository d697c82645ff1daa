"""How far solutions are from better ones, whatever their equation."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.base import Study
from kinlim.keeper import Keeper
from kinlim.model import Estimated


def estimate(maker: Estimated, others: Mapping[str, Study], solution: xr.Dataset, comm: MPI.Comm) -> xr.Dataset:
    """Estimate the error of a solution from better ones. Collective.

    The relative L2 difference that each makes, over all points, estimates the error of its source.

    Args:
        maker: solves.
        others: for each source of error, a study that has less of it, or whose solution is as far as that one's is.
        solution: whose errors are wanted.
        comm: the ranks.

    Returns:
        With (source, time): error_NAME for each variable, and with (time): error_NAME_total, their sums.
    """
    solutions = [maker.make(other, Keeper(comm)) for other in others.values()]
    result = xr.Dataset(coords={"source": ("source", list(others)), "time": solution["time"]})
    for name in maker.estimated or str(solution.attrs["unknowns"]).split():
        found = np.array([distance(solution[name], other[name]) for other in solutions])
        about = {"long_name": f"estimated relative L2 error of {name} at the points of the dataset"}
        result[f"error_{name}"] = (("source", "time"), found, about)
        result[f"error_{name}_total"] = ("time", found.sum(axis=0), {"long_name": f"sum of error_{name}"})
    return result


def distance(one: xr.DataArray, other: xr.DataArray) -> NDArray[np.float64]:
    """Relative L2 distance of two fields with the dimension time first, shape (times,); absolute where all is 0."""
    return relative(one.to_numpy(), other.to_numpy())


def relative(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same for arrays, shape (times, ...)."""
    here, there = (values.reshape(len(values), -1) for values in (one, other))
    norm, gap = (np.sqrt((values**2).sum(axis=1)) for values in (there, here - there))
    return np.divide(gap, norm, out=gap.copy(), where=norm > 0)
