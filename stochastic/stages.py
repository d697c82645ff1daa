"""The stages of a simulation: ensembles that follow each other under one set of signals and one checkpoint."""

import time
from collections.abc import Callable
from typing import Any, Self

from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.base import BaseStudy
from kinlim.checkpoint import State
from kinlim.errors import InputError
from kinlim.parallel import default_threads, on_root
from kinlim.provenance import provenance
from kinlim.signals import StopRequests
from kinlim.stochastic.ensemble import Blocks, run_ensemble
from kinlim.stochastic.model import Model
from kinlim.stochastic.statistic import Statistics
from kinlim.study import dump


class Stages:
    """A context in which `run` simulates; signals are listened to from its beginning to its end."""

    def __init__(
        self,
        study: BaseStudy,
        comm: MPI.Comm,
        threads: int | None,
        checkpoint: State | None = None,
        keep: Callable[[State], None] | None = None,
    ) -> None:
        """Begin to count the time.

        Args:
            study: the study.
            comm: the ranks that share the replicas. Collective.
            threads: per rank; None for all cores, shared among the ranks of a machine.
            checkpoint: of this study, or of one that differs in nothing but fewer replicas: what is done is not done
                again. Looked at on rank 0.
            keep: called on rank 0 with a checkpoint after every block of replicas.
        """
        self.study, self.comm, self.checkpoint, self.keep = study, comm, checkpoint, keep
        if threads is not None and threads < 1:
            raise InputError(f"threads = {threads}: must be at least 1")
        self.threads = default_threads(comm) if threads is None else threads
        self.began = time.perf_counter() - (0.0 if checkpoint is None else float(checkpoint.attrs["seconds"]))
        self.requests = StopRequests()

    def __enter__(self) -> Self:
        """Listen to signals."""
        self.requests.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Listen no more."""
        self.requests.__exit__(*error)

    def run(
        self, name: str, model: Model[Any], blocks: Blocks, also: dict[str, NDArray[Any]] | None = None
    ) -> Statistics:
        """Simulate a stage, or what its checkpoint has left of it, and give its statistics on every rank.

        Args:
            name: of the stage.
            model: what is simulated.
            blocks: the replicas.
            also: arrays that its checkpoints must hold besides.

        Raises:
            Stopped: SIGTERM or SIGUSR1 came; the running blocks were finished and `keep` was called.
        """

        def keep(state: State) -> None:
            assert self.keep is not None
            about = {"study": dump(self.study), "stage": name, "seconds": time.perf_counter() - self.began}
            self.keep(State({**state.arrays, **(also or {})}, {**state.attrs, **about}))

        return run_ensemble(
            model, self.study.particles.seed, blocks, self.comm, self.threads, name, self.found(name),
            None if self.keep is None else keep, self.requests,
        )  # fmt: skip

    def found(self, name: str) -> State | None:
        """The checkpoint, if it is one of this stage."""
        there = self.checkpoint is not None and self.checkpoint.attrs["stage"] == name
        return self.checkpoint if there else None

    def provenance(self, collisions: int) -> dict[str, Any]:
        """Attributes that say how the statistics were made, the same on every rank."""
        return on_root(
            self.comm,
            lambda: provenance(
                self.comm.size,
                self.threads,
                time.perf_counter() - self.began,
                study=dump(self.study),
                seed=str(self.study.particles.seed),  # text, since NetCDF integers end at 2^63
                collisions=collisions,
            ),
        )
