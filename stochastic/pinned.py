"""The particle side of a pinned-ball study: ensemble statistics at the observation times, as a labelled dataset."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.checkpoint import State
from kinlim.parallel import default_threads, on_root
from kinlim.pinned import PinnedStudy
from kinlim.provenance import provenance
from kinlim.signals import StopRequests
from kinlim.stochastic.balls import KERNELS, Pilot
from kinlim.stochastic.dataset import label
from kinlim.stochastic.ensemble import Blocks, run_ensemble
from kinlim.stochastic.model import Model
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.redistribute import LANES
from kinlim.stochastic.statistic import Statistics, typed
from kinlim.stochastic.white_noise import Frame
from kinlim.study import dump

Array = NDArray[np.float64]

PILOT, PARTICLES = "pilot", "particles"
"""The two stages of a simulation."""


def simulate(
    study: PinnedStudy,
    comm: MPI.Comm = MPI.COMM_WORLD,
    threads: int | None = None,
    *,
    checkpoint: State | None = None,
    keep: Callable[[State], None] | None = None,
) -> xr.Dataset:
    """Run the ensemble of a study.

    Args:
        study: the study.
        comm: the ranks that share the replicas. Collective.
        threads: per rank; None for all cores, shared among the ranks of a machine.
        checkpoint: of this study, or of one that differs in nothing but fewer replicas: what is done is not done again.
            Looked at on rank 0.
        keep: called on rank 0 with a checkpoint after every block of replicas.

    Returns:
        The same dataset on every rank, the same bits for any ranks, threads and stops; docs/particles.md lists it.

    Raises:
        Stopped: SIGTERM or SIGUSR1 came; the running blocks were finished and `keep` was called.
    """
    settings, text, began = study.particles, dump(study), time.perf_counter()
    threads = default_threads(comm) if threads is None else threads
    before = 0.0 if checkpoint is None else float(checkpoint.attrs["seconds"])
    kernel, frame = KERNELS[settings.kernel], None

    def seconds() -> float:
        return before + time.perf_counter() - began

    def run(name: str, model: Model[Any], blocks: Blocks, frame: dict[str, Array]) -> Statistics:
        def keep_with_frame(state: State) -> None:
            assert keep is not None
            about = {"study": text, "stage": name, "seconds": seconds()}
            keep(State({**state.arrays, **frame}, {**state.attrs, **about}))

        there = checkpoint if checkpoint is not None and checkpoint.attrs["stage"] == name else None
        keeper = None if keep is None else keep_with_frame
        return run_ensemble(model, settings.seed, blocks, comm, threads, name, there, keeper, requests)

    with StopRequests() as requests:
        if settings.pilot:
            if checkpoint is not None and checkpoint.attrs["stage"] == PARTICLES:
                frame = Frame(checkpoint.arrays["frame/mean"], checkpoint.arrays["frame/spread"])
            frame = comm.bcast(frame)
            if frame is None:
                pilot = run(PILOT, Pilot(kernel(study, None)), Blocks(settings.pilot, min(LANES, settings.block)), {})
                frame = Frame.of(typed(pilot["velocity"], Moments))
        arrays = {} if frame is None else {"frame/mean": frame.mean, "frame/spread": frame.spread}
        statistics = run(PARTICLES, kernel(study, frame), Blocks(settings.replicas, settings.block), arrays)
    attributes = on_root(
        comm,
        lambda: provenance(
            comm.size,
            threads,
            seconds(),
            study=dump(study),
            seed=str(settings.seed),  # text, since NetCDF integers end at 2^63
            collisions=study.model.collisions[-1] * settings.replicas,
        ),
    )
    return label(study, statistics, frame).assign_attrs(attributes)
