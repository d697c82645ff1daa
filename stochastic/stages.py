"""The stages of a simulation: ensembles that follow each other under one set of signals and one checkpoint."""

import time
from typing import Any, Self

from numpy.typing import NDArray

from kinlim.base import Ensemble, Study
from kinlim.checkpoint import State
from kinlim.errors import InputError
from kinlim.keeper import Keeper
from kinlim.parallel import default_threads, on_root
from kinlim.provenance import provenance
from kinlim.stochastic.ensemble import Blocks, run_ensemble
from kinlim.stochastic.model import Model
from kinlim.stochastic.statistic import Statistics
from kinlim.study import dump


class Stages:
    """A context in which `run` simulates; signals are listened to from its beginning to its end."""

    def __init__(self, study: Study, settings: Ensemble, threads: int | None, keeper: Keeper) -> None:
        """Begin to count the time.

        Args:
            study: the study.
            settings: of its particles.
            threads: per rank; None for all cores, shared among the ranks of a machine.
            keeper: of this study, or of one that differs in nothing but fewer replicas: what is done is not done again,
                and a state is kept several times a second. Its ranks share the replicas. Collective.
        """
        self.study, self.settings, self.keeper, self.comm = study, settings, keeper, keeper.comm
        if threads is not None and threads < 1:
            raise InputError(f"threads = {threads}: must be at least 1")
        self.threads = default_threads(self.comm) if threads is None else threads
        kept = keeper.kept
        self.began = time.perf_counter() - (0.0 if kept is None else float(kept.attrs["seconds"]))

    def __enter__(self) -> Self:
        """Listen to signals."""
        self.keeper.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Listen no more."""
        self.keeper.__exit__(*error)

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
        write = self.keeper.write

        def keep(state: State) -> None:
            assert write is not None
            about = {"study": dump(self.study), "stage": name, "seconds": time.perf_counter() - self.began}
            write(State({**state.arrays, **(also or {})}, {**state.attrs, **about}))

        return run_ensemble(
            model, self.settings.seed, blocks, self.comm, self.threads, name, self.found(name),
            None if write is None else keep, self.keeper.requests,
        )  # fmt: skip

    def found(self, name: str) -> State | None:
        """The kept state, if it is one of this stage; on rank 0."""
        kept = self.keeper.kept
        return kept if kept is not None and kept.attrs["stage"] == name else None

    def provenance(self, **more: int) -> dict[str, Any]:
        """Attributes that say how the statistics were made, the same on every rank."""
        return on_root(
            self.comm,
            lambda: provenance(
                self.comm.size,
                self.threads,
                time.perf_counter() - self.began,
                study=dump(self.study),
                seed=str(self.settings.seed),  # text, since NetCDF integers end at 2^63
                **more,
            ),
        )
