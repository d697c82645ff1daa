"""Pictures of a solution in one dimension while it is computed: its values at some points, spread evenly over time."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolfinx import fem

from kinlim.fem.nodes import Nodes

Array = NDArray[np.float64]

FRAMES = 200
"""Pictures over the whole time, about."""

POINTS = 400
"""Points in each."""


class Frames:
    """The pictures.

    Attributes:
        x: the points, shape (points,).
        values: at each time, shape (points, components).
        times: of the pictures.
    """

    def __init__(self, x: Array, at: Callable[[fem.Function], Array], end: float) -> None:
        """Of values that `at` finds at the points x, until the time `end`."""
        self.x, self.at, self.spacing = x, at, end / FRAMES
        self.values: list[Array] = []
        self.times: list[float] = []

    def note(self, time: float, u: fem.Function, spacing: float = 0.0) -> None:
        """Take a picture, unless the last one is as late, or no more than `spacing` older. Collective."""
        if not self.times or (time > self.times[-1] and time >= self.times[-1] + spacing):
            self.values.append(self.at(u))
            self.times.append(time)

    def state(self) -> dict[str, Array]:
        """What `restore` needs."""
        return {"frames": np.array(self.values), "frame_times": np.array(self.times)}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on."""
        self.values, self.times = list(arrays["frames"]), [float(t) for t in arrays["frame_times"]]

    def variables(self, names: Mapping[str, str]) -> dict[str, tuple[Any, ...]]:
        """frame_NAME(frame, point) of the components, whose names and meanings are given."""
        values = np.array(self.values)
        return {
            f"frame_{name}": (("frame", "point"), values[:, :, k], {"long_name": f"{what} in a frame"})
            for k, (name, what) in enumerate(names.items())
        }

    def coordinates(self) -> dict[str, tuple[Any, ...]]:
        """frame_time and frame_x."""
        return {
            "frame_time": ("frame", np.array(self.times), {"long_name": "time of a frame"}),
            "frame_x": ("point", self.x, {"long_name": "position of a point in a frame"}),
        }


def at_nodes(nodes: Nodes) -> tuple[Array, Callable[[fem.Function], Array]]:
    """Points among the nodes of a mesh, evenly chosen, and what finds values there."""
    chosen = np.linspace(0, len(nodes.x) - 1, min(POINTS, len(nodes.x))).round().astype(int)
    return nodes.x[chosen], lambda u: nodes(u)[chosen]
