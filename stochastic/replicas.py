"""The side of a user's particles: checked on two replicas, simulated by the engine, labelled by their observables."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mpi4py import MPI

from kinlim.base import Ensemble, Study
from kinlim.errors import InputError, RunError
from kinlim.keeper import Keeper
from kinlim.model import Maker, parts_of
from kinlim.parallel import on_root
from kinlim.particles import Observable, Particles, Tick
from kinlim.signals import attended
from kinlim.stochastic import statistic, streams
from kinlim.stochastic.ensemble import Blocks, Cancelled
from kinlim.stochastic.moments import Moments
from kinlim.stochastic.stages import Stages
from kinlim.stochastic.statistic import Statistic, Statistics

TRIAL = 2
"""Replicas that are tried before work starts."""


class ParticlesMaker(Maker):
    """What makes the dataset of `kinlim.Ensembles`."""

    def __init__(self, particles: Callable[[Study], Particles[Any]], table: str) -> None:
        """Of particles made for a study, whose settings are in a table."""
        self.particles, self.table = particles, table

    def check(self, study: Study, comm: MPI.Comm) -> None:
        """Try TRIAL replicas until their kernel says that it lives, and look at what they observe. Collective.

        Raises:
            InputError: a part is missing, fails, or gives something of another shape.
        """
        on_root(comm, lambda: attended(_System(self.particles, study).trial))

    def draft(self, study: Study, comm: MPI.Comm) -> xr.Dataset | None:
        """Of TRIAL replicas, as they are at time 0; None where `finish` can do nothing with so few. Collective.

        Raises:
            InputError: `check` would have said so.
        """
        return on_root(comm, lambda: _System(self.particles, study).draft(study))

    def make(self, study: Study, keeper: Keeper, threads: int | None = None) -> xr.Dataset:
        """Run the ensemble: for each observable its mean and standard error, (time, ...). Collective.

        The same dataset on every rank, the same bits for any ranks, threads and stops.

        Raises:
            RunError: code of the model failed; its place is named.
            Stopped: SIGTERM or SIGUSR1 came; the running blocks were finished and the state has been kept.
        """
        settings: Ensemble = getattr(study, self.table)
        system = _System(self.particles, study)
        with Stages(study, settings, threads, keeper) as stages:
            statistics = stages.run("particles", system, Blocks(settings.replicas, settings.block))
        about = {"title": f"{study.study.name}: particles", "model": study.study.model, "replicas": settings.replicas}
        dataset = label(system.particles, statistics, study).assign_attrs(about, **stages.provenance())
        return system.parts.call(RunError, lambda: system.particles.finish(dataset))


class _System:
    """Particles as the engine wants them: their samples become statistics, their mistakes sentences."""

    def __init__(self, particles: Callable[[Study], Particles[Any]], study: Study) -> None:
        """Make the particles of a study."""
        self.parts = parts_of(study)
        self.particles = self.parts.instance(particles, Particles, study)
        self.observations = self.particles.observations

    def begin(self, streams: NDArray[np.uint64], first: int, threads: int) -> Any:
        return self.parts.call(RunError, lambda: self.particles.begin(streams, first, threads))

    def advance(self, state: Any, observation: int, tick: Tick) -> None:
        self.parts.call(RunError, lambda: self.particles.advance(state, observation, tick), passing=(Cancelled,))

    def observe(self, state: Any, observation: int) -> Statistics:
        found = self.parts.call(RunError, lambda: self.particles.observe(state, observation))
        self._check_finite(found, RunError)
        return {name: _statistic(value) for name, value in found.items()}

    def trial(self) -> None:
        """See `ParticlesMaker.check`."""

        def stop(fraction: float) -> None:
            raise Cancelled

        particles, call = self.particles, self.parts.call
        state, found = self._begun()
        try:
            call(InputError, lambda: particles.advance(state, 0, stop), passing=(Cancelled,))
        except Cancelled:
            return
        found = call(InputError, lambda: particles.observe(state, 0))
        self._check_observed(found)
        self._check_finite(found, InputError)

    def draft(self, study: Study) -> xr.Dataset | None:
        """See `ParticlesMaker.draft`."""
        _, found = self._begun()
        try:
            with np.errstate(all="ignore"):  # of so few replicas, some numbers do not exist
                observed = {name: _statistic(value) for name, value in found.items()}
                statistics = statistic.stack([observed] * self.observations)
                dataset = label(self.particles, statistics, study)
                return self.parts.call(RunError, lambda: self.particles.finish(dataset))
        except RunError:
            return None

    def _begun(self) -> tuple[Any, Mapping[str, Any]]:
        """TRIAL replicas at time 0, and what they observe, which is as announced."""
        particles, call = self.particles, self.parts.call
        words = np.empty((4, TRIAL), np.uint64)
        streams.start(words, np.uint64(0), 0)
        state = call(InputError, lambda: particles.begin(words, 0, 1))
        found = call(InputError, lambda: particles.observe(state, 0))
        self._check_observed(found)
        return state, found

    def _check_observed(self, found: Mapping[str, Any]) -> None:
        """Raise InputError if what was observed is not what was announced."""
        particles, where = self.particles, f"{self.parts.where(self.particles)}.observe"
        if not isinstance(found, Mapping) or set(found) != set(particles.observables):
            given = ", ".join(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
            raise InputError(
                f"{where} gives {given or 'nothing'}, and `observables` announces {', '.join(particles.observables)}"
            )
        for name, observable in particles.observables.items():
            value, shape = found[name], shape_of(particles, observable, name, where)
            if isinstance(value, Statistic):
                self._check_statistic(value, shape, f"{where}: '{name}'")
            elif np.shape(value) != (TRIAL, *shape):
                raise InputError(
                    f"{where}: '{name}' has the shape {np.shape(value)}; with {TRIAL} replicas and the dimensions "
                    f"({', '.join(dims_of(particles, observable))}) it must be {(TRIAL, *shape)}"
                )

    def _check_finite(self, found: Mapping[str, Any], error: type[Exception]) -> None:
        """Raise `error` if a sample is NaN or infinite: its mean would be."""
        for name, value in found.items():
            if not isinstance(value, Statistic) and not np.isfinite(value).all():
                raise error(
                    f"{self.parts.where(self.particles)}.observe: '{name}' has values that are no finite numbers"
                )

    @staticmethod
    def _check_statistic(value: Statistic, shape: tuple[int, ...], what: str) -> None:
        """Raise InputError if a statistic has nothing for a dataset, or something of another size."""
        try:
            with np.errstate(all="ignore"):  # of so few replicas, some numbers do not exist
                found = value.stack([value]).variables()
        except NotImplementedError as error:
            raise InputError(f"{what}: {error}; give it a method `variables`") from None
        for values, _ in found.values():
            if values.size != int(np.prod(shape, dtype=int)):
                raise InputError(f"{what} is a {type(value).__name__} of {values.size} numbers, and must be {shape}")


def _statistic(value: Any) -> Statistic:
    """Samples as their moments."""
    if isinstance(value, Statistic):
        return value
    samples = np.asarray(value, np.float64)
    return Moments.of(samples.reshape(len(samples), -1), 2)


def dims_of(particles: Particles[Any], observable: Observable) -> tuple[str, ...]:
    """Names of an observable's dimensions besides time."""
    if observable.dims is not None:
        return observable.dims
    return particles.grid.axes if particles.grid is not None else ()


def shape_of(particles: Particles[Any], observable: Observable, name: str, where: str) -> tuple[int, ...]:
    """Shape of an observable of one replica.

    Raises:
        InputError: a dimension has no coordinates.
    """
    there = _coordinates(particles)
    for dim in dims_of(particles, observable):
        if dim not in there:
            raise InputError(f"{where}: '{name}' has the dimension {dim}, which is neither in `grid` nor in `labels`")
    return tuple(len(there[dim]) for dim in dims_of(particles, observable))


def label(particles: Particles[Any], statistics: Statistics, study: Study) -> xr.Dataset:
    """Give statistics the names, dimensions and coordinates of their observables."""
    variables: dict[str, Any] = {}
    for name, observable in particles.observables.items():
        dims, shape = dims_of(particles, observable), shape_of(particles, observable, name, "observables")
        for suffix, (values, what) in statistics[name].variables().items():
            about = {"long_name": f"{what}{observable.meaning}", "units": observable.unit}
            variables[name + suffix] = (("time", *dims), values.reshape(len(values), *shape), about)
    physics = study.model
    return xr.Dataset(
        variables,
        coords={
            "time": ("time", physics.times, {"long_name": "time"}),
            "fraction": ("time", np.asarray(physics.observe), {"long_name": "fraction of end_time"}),
            **{
                dim: (dim, np.asarray(values), {} if dim in particles.labels else {"long_name": "position"})
                for dim, values in _coordinates(particles).items()
            },
        },
    )


def _coordinates(particles: Particles[Any]) -> dict[str, Any]:
    grid = {} if particles.grid is None else particles.grid.coordinates
    return {**grid, **particles.labels}
