"""The particle side of a pinned-ball study: ensemble statistics at the observation times, as a labelled dataset."""

import xarray as xr

from mpi4py import MPI

from kinlim.keeper import Keeper
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.stochastic.ensemble import Blocks
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.pinned.balls import KERNELS, Pilot
from kinlim.stochastic.pinned.dataset import label
from kinlim.stochastic.pinned.redistribute import LANES
from kinlim.stochastic.pinned.white_noise import Frame
from kinlim.stochastic.stages import Stages
from kinlim.stochastic.statistic import typed

PILOT, PARTICLES = "pilot", "particles"
"""The two stages of a simulation."""


def simulate(
    study: PinnedStudy, comm: MPI.Comm = MPI.COMM_WORLD, threads: int | None = None, keeper: Keeper | None = None
) -> xr.Dataset:
    """Run the ensemble of a study.

    Args:
        study: the study.
        comm: the ranks that share the replicas. Collective.
        threads: per rank; None for all cores, shared among the ranks of a machine.
        keeper: what to go on from, and where to keep finished replicas; see `kinlim.stochastic.stages.Stages`.

    Returns:
        The same dataset on every rank, the same bits for any ranks, threads and stops; docs/particles.md lists it.

    Raises:
        Stopped: SIGTERM or SIGUSR1 came; the running blocks were finished and the state has been kept.
    """
    settings = study.particles
    kernel, frame = KERNELS[settings.kernel], None
    with Stages(study, study.particles, threads, keeper or Keeper(comm)) as stages:
        if settings.pilot:
            if (kept := stages.found(PARTICLES)) is not None:
                frame = Frame(kept.arrays["frame/mean"], kept.arrays["frame/spread"])
            frame = comm.bcast(frame)
            if frame is None:
                blocks = Blocks(settings.pilot, min(LANES, settings.block))
                pilot = stages.run(PILOT, Pilot(kernel(study, None)), blocks)
                frame = Frame.of(typed(pilot["velocity"], Moments))
        arrays = {} if frame is None else {"frame/mean": frame.mean, "frame/spread": frame.spread}
        blocks = Blocks(settings.replicas, settings.block)
        statistics = stages.run(PARTICLES, kernel(study, frame), blocks, arrays)
    collisions = study.model.collisions[-1] * settings.replicas
    return label(study, statistics, frame).assign_attrs(stages.provenance(collisions=collisions))
