"""`kinlim iterate`: the iteration of the well-posedness proof on a study, judged and written into a folder."""

from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from kinlim import api
from kinlim.base import Study, narrowed
from kinlim.fem.pinned import EQUATIONS, solve
from kinlim.fem.pinned.picard import as_in_the_paper, iterate
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.parallel import world
from kinlim.validation.pinned import wellposed
from kinlim.workflow import Examination, examine

STEPPED = 1e-9
"""rtol of the time-stepped solution beside the iteration."""

NAME = "iteration"


class Iteration(Examination):
    """The iterates, held against the time-stepped solution of (B') with the paper's ends."""

    name = NAME

    def __init__(self, study: PinnedStudy) -> None:
        """Of this study."""
        self.study, self.iterated, self.comm = study, as_in_the_paper(study), world()

    def check(self) -> None:
        """Raise InputError if the equations cannot be solved."""
        EQUATIONS.check(self.iterated, self.comm)

    def measure(self) -> xr.Dataset:
        """Iterate. Collective."""
        return iterate(self.study, self.comm, **self.study.iteration.model_dump())

    def judge(self, dataset: xr.Dataset) -> dict[str, Any]:
        """Orders, inequalities and agreement; and the particles, if the study leaves them their lambda. Collective."""
        stepped = self.iterated.vary("pde", rtol=min(self.iterated.pde.rtol, STEPPED))
        model = self.study.model
        own = model.lam == model.particle_lambda and self.study.particles.kernel == "redistribute"
        particles = api.simulate(self.study, comm=self.comm) if own else None
        return wellposed.judge(dataset, solve(stepped, self.comm), particles)

    def figure(self, dataset: xr.Dataset, verdict: dict[str, Any]) -> Figure:
        """The figure of the report."""
        return wellposed.figure(dataset, verdict)

    def html(self, dataset: xr.Dataset, verdict: dict[str, Any], picture: bytes) -> str:
        """The report."""
        return wellposed.html(dataset, verdict, picture)

    def text(self, verdict: dict[str, Any]) -> str:
        """The verdict, for a terminal."""
        return wellposed.text(verdict)


def run(study: Study, folder: Path) -> str:
    """Iterate on a study and write iteration.nc, .json, .html and figure. Collective."""
    return examine(study, folder, Iteration(narrowed(study, PinnedStudy)))
