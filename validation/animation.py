"""`kinlim animate DIR`: a solution and the particles beside it as a film, GIF or MP4."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.figure import Figure

from kinlim.errors import InputError, RunError
from kinlim.grid import AXES
from kinlim.model import Datasets
from kinlim.validation.standard_figures import DOTS, PARTICLES, SOLUTION, flat

FRAMES_A_SECOND = 10

ENDINGS = (".gif", ".mp4")


def animate(data: Datasets, solution: str, path: Path) -> int:
    """Draw every frame of a solution; the number of frames.

    In one dimension these are frame_NAME(frame, point) if the dataset has them, otherwise NAME(time, x), as curves with
    the particles' means as dots, those of the last observation so far; in two NAME(time, x, y) as maps, in three
    those in the middle of the last axis.

    Args:
        data: the datasets of a study by their sides.
        solution: the side that is drawn.
        path: of the film; its ending is .gif, or .mp4, which needs ffmpeg.

    Raises:
        InputError: the ending is another, there is no ffmpeg, or the dataset has no field over space and time.
        RunError: the film cannot be written.
    """
    if path.suffix not in ENDINGS:
        raise InputError(f"{path}: a film ends in {' or '.join(ENDINGS)}")
    if path.suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise InputError(f"{path}: ffmpeg is needed for MP4 and is not here; a GIF needs nothing")
    dataset = data[solution]
    names = str(dataset.attrs.get("unknowns", "")).split()
    axes = [axis for axis in AXES if names and axis in dataset[names[0]].dims]
    if not axes:
        raise InputError(f"{solution}.nc: holds no field over space and time, so there is nothing to animate")
    figure = Figure(figsize=(5 * len(names), 4), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    drawn = [
        (_curve if len(axes) == 1 else _map)(panel, dataset, name, axes, data)
        for panel, name in zip(panels, names, strict=True)
    ]
    count = min(len(times) for times, _ in drawn)
    if labelled := panels[0].get_legend_handles_labels()[0]:
        figure.legend(handles=labelled, loc="outside lower center", ncols=2, frameon=False)

    def show(frame: int) -> list[Any]:
        figure.suptitle(f"t = {float(drawn[0][0][frame]):.3g}")
        return [artist for _, change in drawn for artist in change(frame)]

    film = FuncAnimation(figure, show, frames=count, blit=False)
    writer = PillowWriter(FRAMES_A_SECOND) if path.suffix == ".gif" else FFMpegWriter(FRAMES_A_SECOND)
    part = path.with_name(f".part-{path.name}")  # whole or not at all
    try:
        film.save(str(part), writer=writer, dpi=100)
        part.rename(path)
    except OSError as error:
        raise RunError(f"{path}: could not be written ({error.strerror or error})") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _curve(panel: Any, dataset: xr.Dataset, name: str, axes: list[str], data: Datasets) -> tuple[Any, Any]:
    """Times, and what changes the curve and the dots to those of a frame."""
    if f"frame_{name}" in dataset:
        times, x = dataset["frame_time"].to_numpy(), dataset["frame_x"].to_numpy()
        values = dataset[f"frame_{name}"].to_numpy()
    else:
        times, x = dataset["time"].to_numpy(), dataset[axes[0]].to_numpy()
        values = dataset[name].transpose("time", axes[0]).to_numpy()
    order = np.argsort(x)
    (line,) = panel.plot(x[order], values[0][order], color=SOLUTION, lw=1.4, label="equation")
    artists = [line]
    seen: xr.DataArray | None = None
    for side in data.values():
        if side is not dataset and name in side and set(side[name].dims) == {"time", axes[0]} and f"{name}_se" in side:
            seen = side[name].transpose("time", axes[0])
            every = -(-seen.sizes[axes[0]] // DOTS)
            (dots,) = panel.plot([], [], "o", ms=2.6, color=PARTICLES, label="particles")
            artists.append(dots)
            break
    low, high = values.min(), values.max()
    panel.set_ylim(low - 0.06 * (high - low or 1), high + 0.06 * (high - low or 1))
    panel.set_xlabel(axes[0])
    panel.set_ylabel(name)

    def change(frame: int) -> list[Any]:
        line.set_ydata(values[frame][order])
        if seen is not None:
            past = np.flatnonzero(seen["time"].to_numpy() <= times[frame] * (1 + 1e-12))
            if past.size:
                there = seen[int(past[-1])]
                artists[1].set_data(there[axes[0]].to_numpy()[::every], there.to_numpy()[::every])
        return artists

    return times, change


def _map(panel: Any, dataset: xr.Dataset, name: str, axes: list[str], data: Datasets) -> tuple[Any, Any]:
    """Times, and what changes the map to that of a frame."""
    values = dataset[name]
    low, high = float(values.min()), float(values.max())
    image = panel.pcolormesh(*flat(values.isel(time=0), axes), shading="nearest", vmin=low, vmax=high)
    panel.figure.colorbar(image, ax=panel, label=name)
    panel.set(xlabel=axes[0], ylabel=axes[1], aspect="equal")

    def change(frame: int) -> list[Any]:
        image.set_array(flat(values.isel(time=frame), axes)[2])
        return [image]

    return dataset["time"].to_numpy(), change
