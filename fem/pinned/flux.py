"""Energy that has passed the held ends, from the reaction of their rows.

With chi the basis function of an end node and s(u) what the second equation is the balance of, that row would say
    d/dt int s(u) chi + G(u; chi) = 0;
what is left of it instead, the reaction, is the energy that the end lets in per unit time. Over a time step the first
term is a difference, exact; the second is integrated through its values at the ends of the last three steps: of order
four, where the rate is smooth, which is that of the default scheme. (A) takes longer steps, and its balance closes less
well. w_x at the end, taken from the finite elements, would not close the balance.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ufl
from dolfinx import fem, mesh

from kinlim.fem.compiled import compiled

POINTS = 4
"""Times through which the rate is interpolated."""


class EndFlux:
    """Accumulates the energy let in through the held ends; 0 where none is held.

    Attributes:
        total: energy let in since the beginning, the same on all ranks.
        history: (time, G) at the ends of the last steps.
    """

    def __init__(
        self,
        u: fem.Function,
        held: NDArray[np.int32],
        stored: Any,
        steady: Callable[[Any, Any], ufl.Form],
        quadrature: int,
    ) -> None:
        """Compile the forms. Collective.

        Args:
            u: the solution.
            held: rows of the held ends.
            stored: s(u), as an expression.
            steady: G, a form from a test function and a measure.
            quadrature: degree of the quadrature.
        """
        space, domain = u.function_space, u.function_space.mesh
        self.comm, self.any = domain.comm, domain.comm.allreduce(len(held)) > 0
        self.total, self.history = 0.0, [(0.0, 0.0)]
        chi = fem.Function(space)
        chi.x.array[held] = 1.0
        domain.topology.create_connectivity(0, 1)
        ends = mesh.exterior_facet_indices(domain.topology)
        at_ends = mesh.compute_incident_entities(domain.topology, ends, 0, 1)
        tags = mesh.meshtags(domain, 1, np.sort(at_ends), np.ones(len(at_ends), np.int32))
        dx = ufl.Measure("dx", domain, subdomain_data=tags, metadata={"quadrature_degree": quadrature})(1)
        self.forms = [compiled(form) for form in (stored * chi[1] * dx, steady(chi, dx))]

    def start(self, time: float, total: float = 0.0, history: Sequence[tuple[float, float]] = ()) -> None:
        """Begin, or go on from a `total` and a `history` that were kept. Collective."""
        self.total = total
        if self.any:
            self.stored, rate = self._now()
            self.history = list(history) or [(time, rate)]

    def after_step(self, time: float) -> None:
        """Add the step that led to `time`. Collective."""
        if self.any:
            stored, rate = self._now()
            self.history = [*self.history[1 - POINTS :], (time, rate)]
            self.total += stored - self.stored + last_interval(*np.transpose(self.history))
            self.stored = stored

    def _now(self) -> tuple[float, float]:
        """Integrals of s(u) chi and G(u; chi), summed over the ends and ranks."""
        here = np.array([fem.assemble_scalar(form) for form in self.forms])
        stored, rate = self.comm.allreduce(here)
        return float(stored), float(rate)


def last_interval(t: NDArray[np.float64], f: NDArray[np.float64]) -> float:
    """Integrate the polynomial through the values f at the increasing times t over the last of the intervals."""
    h = t[-1] - t[-2]
    s = (t - t[-1]) / h  # -1 and 0 at the ends of that interval
    powers = np.arange(len(t))
    weights = np.linalg.solve(np.vander(s, increasing=True).T, -((-1.0) ** (powers + 1)) / (powers + 1))
    return float(h * weights @ f)
