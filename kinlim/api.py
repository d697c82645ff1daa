"""The Python interface: load a study, simulate it, solve it, compare; each stage gives an xarray dataset.

The modules that do the work are imported when a stage is called, not before: a typing mistake in a study should not
wait for PETSc and numba to load.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinlim import layout
from kinlim import study as studies
from kinlim.base import Study
from kinlim.errors import InputError
from kinlim.model import Estimated, Maker, Refereed, Refined, Side
from kinlim.study import model_of

if TYPE_CHECKING:
    import xarray as xr

    from mpi4py import MPI

    from kinlim.keeper import Keeper


def load(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Study:
    """Read and check a study.

    Args:
        source: the path of a TOML file; TOML itself, as a text of several lines; or its tables.
        overrides: ``table.key=value`` with the value in TOML; they win over the source.

    Raises:
        InputError: naming the file (or ``--set``), the key and the value.

    Examples:
        mine.toml is what ``kinlim new pinned`` prints.

        >>> kinlim.load("mine.toml", ["model.balls=200"]).model.balls
        200
        >>> kinlim.load("mine.toml", ["model.bals=200"])
        Traceback (most recent call last):
        ...
        kinlim.errors.InputError: --set model.bals=200: model.bals = 200: unknown key (did you mean balls?); ...
    """
    if isinstance(source, Mapping):
        return studies.check(studies.override(dict(source), overrides), "study", overrides)
    if isinstance(source, str) and "\n" in source:
        return studies.check(studies.override(studies.parse(source, "study"), overrides), "study", overrides)
    return studies.load(source, overrides)


def simulate(
    study: Study, *, comm: "MPI.Comm | None" = None, threads: int | None = None, keeper: "Keeper | None" = None
) -> "xr.Dataset":
    """Simulate the particles. Collective.

    Args:
        study: the study.
        comm: the ranks; by default all.
        threads: per rank; None for all cores.
        keeper: what to go on from, and where to keep finished replicas; its ranks count then.

    Raises:
        InputError: the study has no particles, or asks them for what they cannot do, such as a bias that they cannot
            meet.

    Examples:
        Each variable says what it means; NAME_se is the standard error of NAME.

        >>> study = kinlim.load("mine.toml", ["model.balls=100", "particles.replicas=1000"])
        >>> particles = kinlim.simulate(study)
        >>> particles.sigma.dims, particles.sigma_se.long_name
        (('time', 'x'), 'standard error of sigma, from the fourth moment')

        Every replica has its own random numbers, so threads change nothing.

        >>> particles.sigma.equals(kinlim.simulate(study, threads=1).sigma)
        True
    """
    there = model_of(study).wanted(study, "simulate")
    if not there:
        raise InputError(f"study.model = '{study.study.model}': this model has no particles to simulate")
    keeper = _keeper(comm, keeper)
    there[0].maker().check(study, keeper.comm)
    return make(there[0], study, keeper, threads)


def solve(
    study: Study,
    name: str | None = None,
    *,
    comm: "MPI.Comm | None" = None,
    estimate_error: bool = False,
    referee: bool = False,
    keeper: "Keeper | None" = None,
) -> "xr.Dataset":
    """Solve the equations. Collective.

    Args:
        study: the study.
        name: of the solution, such as "pde", "kinetic" or "exact"; None for the first that the study has.
        comm: the ranks; by default all.
        estimate_error: add error_NAME(source, time), what better solutions tell of the errors.
        referee: add referee_NAME(time), the distance to the solution by another method; see `kinlim.fem.fourier`.
        keeper: what to go on from, and where to keep how far it has come; its ranks count then.

    Raises:
        InputError: the equations cannot be solved as the study asks, or it has no such solution.

    Examples:
        >>> study = kinlim.load("mine.toml", ["model.balls=100"])
        >>> pde = kinlim.solve(study, estimate_error=True)
        >>> pde.source.values.tolist()
        ['mesh', 'steps', 'regularisation']
        >>> bool(pde.error_sigma_total.max() < 1e-5)
        True
    """
    keeper = _keeper(comm, keeper)
    side = model_of(study).side(study, name)
    side.maker().check(study, keeper.comm)
    if referee:
        refereed(side, study).refereeable(study, keeper.comm)
    return make(side, study, keeper, estimate_error=estimate_error, referee=referee)


def make(
    side: Side,
    study: Study,
    keeper: "Keeper",
    threads: int | None = None,
    *,
    estimate_error: bool = False,
    referee: bool = False,
) -> "xr.Dataset":
    """The dataset of a side whose maker has checked the study. Collective.

    Raises:
        InputError: as `Maker.make` of `kinlim.model`; or the side has no errors that can be estimated, or no referee,
            where one is asked for.
    """
    maker = estimated(side, study) if estimate_error else side.maker()
    dataset = maker.make(study, keeper, threads)
    if isinstance(maker, Estimated) and estimate_error:
        from kinlim.fem.refinement import estimate

        errors = estimate(maker, maker.better(study), dataset, keeper.comm)
        dataset = dataset.merge(errors, compat="no_conflicts")
    if referee:
        dataset = refereed(side, study).referee(study, dataset, keeper.comm)
    if (source := model_of(study).source) is not None:
        dataset.attrs["model_file_sha256"] = hashlib.sha256(source.read_bytes()).hexdigest()
    return layout.seal(dataset, side.file)


def converge(study: Study, *, comm: "MPI.Comm | None" = None) -> "xr.Dataset":
    """Measure errors of the first solution under refinement; see `Refined.converge` in `kinlim.model`. Collective.

    Raises:
        InputError: there is nothing to refine.
    """
    return refined(model_of(study).side(study), study).converge(study, _keeper(comm, None).comm)


def refined(side: Side, study: Study) -> Refined:
    """The maker of a dataset whose errors of mesh and time steps can be measured.

    Raises:
        InputError: it has none.
    """
    return _that_is(Refined, side, study, NONE.format("kinlim converge"))


def estimated(side: Side, study: Study) -> Estimated:
    """The maker of a dataset whose errors can be estimated.

    Raises:
        InputError: it has none.
    """
    return _that_is(Estimated, side, study, NONE.format("kinlim solve --estimate-error"))


NONE = "`{}` refines meshes and time steps; this model's solution is computed without them"
"""The message of a command that has nothing to refine."""


def refereed(side: Side, study: Study) -> Refereed:
    """The maker of a dataset for which there is a referee.

    Raises:
        InputError: there is none.
    """
    return _that_is(Refereed, side, study, "--referee needs an equation on a torus; this model solves none")


def _that_is[T: Maker](kind: type[T], side: Side, study: Study, otherwise: str) -> T:
    maker = side.maker()
    if not isinstance(maker, kind):
        raise InputError(f"study.model = '{study.study.model}': {otherwise}")
    return maker


def check(study: Study, *, comm: "MPI.Comm | None" = None) -> None:
    """Raise InputError if an equation cannot be solved as the study asks. Collective; takes milliseconds."""
    for side in model_of(study).wanted(study, "solve"):
        side.maker().check(study, _keeper(comm, None).comm)


def compare(particles: "xr.Dataset", *solutions: "xr.Dataset") -> "xr.Dataset":
    """Compare particles with the solution, or with several; see `compare` in `kinlim.validation` of the model.

    The attribute `verdicts` says what follows, one sentence a line.

    Raises:
        InputError: they are of different models, or have changed since kinlim made them.

    Examples:
        >>> study = kinlim.load("mine.toml", ["model.balls=100", "particles.replicas=1000"])
        >>> comparison = kinlim.compare(kinlim.simulate(study), kinlim.solve(study))
        >>> mean, spread = comparison.verdicts.splitlines()
        >>> spread
        'The spread sigma at t = 0.99 T: particles and equations DIFFER by 11 % in L2, beyond noise of 2.7 %, ...'

        What the sentences say is in the dataset, at every time.

        >>> print(f"{comparison.gap_sigma[-1]:+.3f} +- {comparison.gap_se_sigma[-1]:.3f}")
        -0.108 +- 0.004
    """
    first, *others = (dataset.attrs.get("model") for dataset in (particles, *solutions))
    for other in others:
        if other != first:
            raise InputError(
                f"the particles are of the model {first!r}, and the solution is of {other!r}: only datasets of one "
                "model can be compared"
            )
    model = model_of(_study(particles, "the particles"))
    names = [side.name for side in model.sides if side.stage == "solve"]
    data = {"particles": particles} | dict(zip(names, solutions, strict=False))
    for name, solution in zip(names, solutions, strict=False):
        _study(solution, f"the solution {name}")
    compared, numbers = model.compare().conclude(data)
    return compared.assign_attrs(verdicts="\n".join(verdict["sentence"] for verdict in numbers["verdicts"]))


def _study(dataset: "xr.Dataset", what: str) -> Study:
    """The study of a dataset that is as it was made."""
    layout.verify(dataset, what)
    return studies.check(studies.parse(str(dataset.attrs["study"]), f"the study of {what}"), f"the study of {what}")


def _keeper(comm: "MPI.Comm | None", keeper: "Keeper | None") -> "Keeper":
    """The keeper, or one that keeps nothing."""
    from kinlim.keeper import Keeper
    from kinlim.parallel import world

    return keeper or Keeper(comm or world())
