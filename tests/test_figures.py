"""Every figure of every command can be read: legends cover nothing, nothing is cut off, ticks do not touch, words."""

import copy
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from conftest import KAC, PIXEL, REACTION, TABLES
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import kinlim
from kinlim import workflow
from kinlim.models.pinned import drift, dynamics, noise, rest
from kinlim.models.pinned.iteration import Iteration
from kinlim.results import Results
from kinlim.study import model_of
from kinlim.validation import drawing, report, standard_figures

EXAMPLES = Path(__file__).parent.parent / "examples"

OBSERVED = [0.0, 0.01, 0.05, 0.2, 0.6, 1.0]
"""Fractions; the first above 0 and the last are far enough apart for a logarithmic axis with 0 on it."""

COUNTS = {1: [5], 2: [1, 5], 3: [0, 3, 5], 6: range(6)}
"""How many times are drawn, and which of these."""


def illegible(figure):
    """What cannot be read in a figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, wrong = canvas.get_renderer(), []
    tight, whole = figure.get_tightbbox(renderer).transformed(figure.dpi_scale_trans), figure.bbox.padded(1)
    if not (whole.contains(*tight.min) and whole.contains(*tight.max)):
        wrong.append(f"cut off: {tight} of {whole}")
    panels = [panel for panel in figure.axes if panel.get_visible()]
    taken = {f"panel {k}": panel.patch.get_window_extent(renderer) for k, panel in enumerate(panels)}
    for k, panel in enumerate(panels):
        words = {"title": panel.title, "x label": panel.xaxis.label, "y label": panel.yaxis.label}
        for axis in (panel.xaxis, panel.yaxis):
            labels = tick_labels(axis)
            for one, two in pairwise(labels):
                if one.get_window_extent(renderer).overlaps(two.get_window_extent(renderer)):
                    wrong.append(f"ticks {one.get_text()} and {two.get_text()} of panel {k} touch")
            words |= {f"{axis.axis_name} tick {label.get_text()}": label for label in labels}
        taken |= {
            f"{what} of panel {k}": word.get_window_extent(renderer) for what, word in words.items() if word.get_text()
        }
    for legend in (*figure.legends, *(panel.get_legend() for panel in panels if panel.get_legend())):
        box = legend.get_window_extent(renderer)
        wrong += [f"legend over {what}" for what, there in taken.items() if box.overlaps(there)]
    words = [(what, box) for what, box in taken.items() if what.startswith(("title", "x label"))]
    return wrong + [f"{a} over {b}" for (a, one), (b, two) in combinations(words, 2) if one.overlaps(two)]


def tick_labels(axis):
    """Those that are drawn, in order."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()) if low <= tick.get_loc() <= high]
    labels = [tick.label1 for tick in sorted(ticks, key=lambda tick: tick.get_loc())]
    return [label for label in labels if label.get_visible() and label.get_text()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


@pytest.fixture
def drawn(monkeypatch):
    """Figures that are rendered while a test runs, and what their PNG says of them."""
    found = []

    def savefig(figure, file, metadata, **_):
        file.write(PIXEL)
        found.append((figure, metadata[report.WORDS]))

    monkeypatch.setattr(Figure, "savefig", savefig)
    return found


def check(drawn):
    assert drawn
    wrong = {words: found for figure, words in drawn if (found := illegible(figure))}
    assert wrong == {}
    for _, words in drawn:
        assert any(character.isdigit() for character in words), words  # what was found, not what is shown


def tables(of, **changes):
    changed = copy.deepcopy(of)
    for table, keys in changes.items():
        changed.setdefault(table, {}).update(keys)
    return changed


RUNS = {
    "pinned": tables(TABLES, model={"observe": OBSERVED}, particles={"pilot": 64}, rival={"system": "A", "cells": 40}),
    "reaction": tables(REACTION, model={"observe": OBSERVED}),
    "reaction-2d": tables(
        REACTION,
        model={"observe": OBSERVED, "dimension": 2, "chi2": {"family": "gaussian", "covariance": 1.0}},
        particles={"replicas": 10, "per_unit": 1000, "bias": 0.1},
        kinetic={"modes": 6, "cells": 6, "degree": 2, "rtol": 1e-4},
        pde={"cells": 10, "degree": 2, "rtol": 1e-5},
    ),
    "kac": tables(KAC, model={"observe": OBSERVED}),
}


@pytest.mark.slow
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_any_number_of_times(folder, drawn, name, count):
    study = kinlim.load(RUNS[name])
    comparison, sides = model_of(study).compare(), model_of(study).wanted(study)
    if not (folder / name).exists():
        kinlim.run(study, folder / name)
        drawn.clear()
    data = {side.name: Results(folder / name).read(side.file).isel(time=COUNTS[count]) for side in sides}
    comparison.draw(comparison.compare(data), data)
    comparison.draw_solutions(data)
    check(drawn)


def example(name, *changes):
    return kinlim.load(EXAMPLES / f"{name}.toml", changes)


SMALL = ("particles.replicas=200", "model.balls=40")
COMMANDS = {
    "converge pinned": lambda folder: workflow.converge(kinlim.load(TABLES), folder),
    "converge reaction": lambda folder: workflow.converge(kinlim.load(REACTION), folder),
    "iterate": lambda folder: workflow.examine(
        study := example("pinned-iterates", "particles.replicas=2000", "pde.cells=40"), folder, Iteration(study)
    ),
    "drift": lambda folder: drift.run(example("pinned-drift", "particles.replicas=1000"), folder),
    "noise": lambda folder: noise.run(example("pinned-noise", *SMALL, "model.end_time=0.003"), folder),
    "rest": lambda folder: rest.run(example("pinned-rest", "particles.replicas=160", "model.balls=12"), folder),
    "dynamics": lambda folder: dynamics.run(example("pinned-ends", "particles.replicas=100"), folder),
    "sweep pinned": lambda folder: kinlim.sweep(kinlim.load(TABLES), {"model.balls": [20, 30, 40]}, folder),
    "sweep reaction": lambda folder: kinlim.sweep(
        kinlim.load(REACTION), {"model.epsilon": [0.1, 0.15, 0.2]}, folder, stages=("solve",)
    ),
    "sweep kac": lambda folder: kinlim.sweep(
        kinlim.load(KAC), {"model.system": [1, 3], "model.reservoir": [10, 1000]}, folder, stages=("solve",)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command(folder, drawn, name):
    COMMANDS[name](folder / name.replace(" ", "-"))
    check(drawn)


# --- one by one -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [3, 6, 13])
def test_a_legend_has_as_many_columns_as_there_is_room_for(width):
    """In three columns it was cut off on both sides of a narrow figure."""
    figure = Figure(figsize=(width, 4), layout="constrained")
    upper, lower = figure.subplots(2)
    for label in ("expected", "particles", "± 2 standard errors of the difference"):
        upper.plot([0, 1], label=label)
        lower.plot([0, 1], label=label)
    drawing.legend(figure)
    lower.set_xlabel("x")
    drawing.legend(lower)
    assert illegible(figure) == []
    assert figure.legends[0]._ncols == {3: 1, 6: 3, 13: 3}[width]
    assert len(figure.legends[0].get_texts()) == 3  # both panels have the same curves


@pytest.mark.parametrize("scale", ["log", "symlog"])
@pytest.mark.parametrize("high", [1.07, 1.5, 4.0, 30.0, 90.0, 2e4, 1e9, 1e30])
@pytest.mark.parametrize("low", [2e-7, 0.04, 1.0, 3e4])
def test_ticks_of_logarithmic_axes_do_not_touch(low, high, scale):
    figure = Figure(figsize=(5, 3), layout="constrained")
    panel = figure.subplots()
    panel.plot([low if scale == "log" else 0, low, low * high], [1, 1, high])
    panel.set_xscale(scale, **({"linthresh": low} if scale == "symlog" else {}))
    panel.set_yscale("log")
    drawing.ticks(figure)
    assert illegible(figure) == []
    assert len(tick_labels(panel.xaxis)) >= 2


def test_ticks_that_somebody_has_chosen_stay():
    figure = Figure()
    panel = figure.subplots()
    panel.loglog([1, 8], [1, 8])
    panel.set_xticks([1, 2, 4, 8], ["one", "two", "four", "eight"])
    drawing.ticks(figure)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["one", "two", "four", "eight"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([3.0, 2.5, 2.0], "falls from 3.00 at 0 to 2.00 at 2"),
        ([2.0, 2.5, 3.0], "rises from 2.00 at 0 to 3.00 at 2"),
        ([2.0, 5.0, 3.0], "goes from 2.00 at 0 to 3.00 at 2, between 2.00 and 5.00"),
        ([np.nan, 2.0, 1.0], "falls from 2.00 at 1 to 1.00 at 2"),
        ([7.0, 7.0, 7.0], "is 7.00"),
    ],
)
def test_where_a_curve_goes(values, said):
    assert drawing.course(np.arange(3.0), np.array(values)) == said


def test_a_figure_that_says_nothing_is_read():
    """A user's figure gets words from its curves; its own label goes before them."""
    figure = Figure()
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [2, 1], label="u")
    left.set(title="Decay", xlabel="t")
    right.errorbar([1, 2], [3, 4], 0.1, label="v")
    assert report.words(drawing.png(figure)) == (
        "Decay over t: u falls from 2.00 at 0 to 1.00 at 1. Curves: v rises from 3.00 at 1 to 4.00 at 2."
    )
    right.clear()
    right.plot(["one", "two"], [3, 4])  # of a user: what has no numbers stops no report
    assert "rises from 3.00 at 0 to 4.00 at 1" in report.words(drawing.png(figure))
    figure.set_label("u halves: 2 → 1")
    assert report.words(drawing.png(figure)) == "u halves: 2 → 1"


@pytest.mark.parametrize("factor", [0.5, 30.0, 3000.0])
def test_a_profile_shows_its_differences_in_standard_errors(factor):
    """All points of which chi2 is the mean square, beside lines at two standard errors; at any size of them."""
    x, t = np.linspace(0, 1, 40), np.array([0.1, 0.2])
    z = factor * np.sin(9 * x) * np.ones((2, 1))
    s = np.where(x > 0, 0.01, 0.0) * np.ones((2, 1))  # what has no error is not drawn
    names = {"expected_u": 1 + 0 * z, "difference_u": z * s, "difference_u_se": s}
    compared = xr.Dataset({name: (("time", "x"), values) for name, values in names.items()}, {"time": t, "x": x})
    chi2 = (z[:, 1:] ** 2).mean(axis=1)
    compared["chi2_u"] = ("time", chi2)
    data = {"particles": xr.Dataset({"u": compared["expected_u"] + compared["difference_u"]})}
    figure = standard_figures.profile(kinlim.Means("u"), compared, data)
    assert illegible(figure) == []
    for panel, said in zip(figure.axes[4:], chi2, strict=True):
        low, high, dots = (np.asarray(line.get_ydata()) for line in panel.lines)
        assert (low[0], high[0]) == (-2, 2)
        assert np.nanmean(dots**2) == pytest.approx(said)
        assert np.isnan(dots[0])
        bottom, top = panel.get_ylim()
        assert bottom < np.nanmin(dots) < np.nanmax(dots) < top
        heights = panel.transData.transform([(0, -2), (0, 2)])[:, 1]
        assert np.ptp(heights) > 0.2 * panel.get_window_extent().height


@pytest.mark.parametrize(("factor", "side"), [(0.9, "smaller"), (1.1, "larger")])
def test_words_say_on_which_side_the_particles_lie_and_how_surely(factor, side):
    """A wrong sign, a share of another total, or noise called a difference would show."""
    t, x = np.arange(3.0), np.linspace(0, 1, 20)
    u = np.tile(1 + x, (3, 1))
    coordinates = {"time": t, "x": x}
    particles = xr.Dataset(
        {"u": (("time", "x"), u * [[1], [1], [factor]]), "u_se": (("time", "x"), 0.01 * u)}, coordinates
    )
    rule, data = kinlim.Means("u"), {"particles": particles, "pde": xr.Dataset({"u": (("time", "x"), u)}, coordinates)}
    figure = rule.draw(rule.compare(data), data)
    assert figure.get_label() == (
        f"u over x, t = 0 to 2: the particles' values are {side} than expected by 10 % at 1 of 3 times. 20 of 60 means "
        "are more than two standard errors off, where noise makes about 3; the largest difference is 10 standard "
        "errors, at t = 2."
    )
    noise = 1 + 0.01 * np.random.default_rng(1).normal(size=u.shape)
    data["particles"]["u"] = ("time", "x"), u * noise
    assert "as large as expected, but for noise" in rule.draw(rule.compare(data), data).get_label()
