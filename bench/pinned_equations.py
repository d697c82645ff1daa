"""Work against precision for the limit equations of the pinned balls: kinlim beside what its user would write instead.

    OMP_NUM_THREADS=1 python bench/pinned_equations.py [--rounds 3] [--quick] [--plot FILE.png]

(B') without flux at the ends, lambda = 846, mu0 = -erf(27 (x - 1/2)^3), sigma0 = 0.05 (1 - cos 2 pi x), until 2/lambda.
The programs, each on one core, kinlim's opponents from `pinned_opponents`:

    kinlim   finite elements and an adaptive Rosenbrock method, over degree, cells and rtol
    kinlim, explicit   the same elements with a lumped mass, and stabilised steps of order 4
    Heun     the paper's method: central differences, explicit steps at the limit of stability
    RKL2     the same with stabilised steps, as many stages as the differences allow
    LSODA    the same differences, integrated implicitly with a banded Jacobian, over cells and rtol
    BDF      the same with SciPy's own integrator and a sparse Jacobian
    plain DOLFINx   P2, Crank-Nicolson steps of one length, one `NonlinearProblem` each, over cells and steps

Errors are relative L2 norms at the equispaced points that a program's grid shares with the sites. Compilation is left
out everywhere. Seconds of kinlim are its `stepping_seconds`; the whole call, with mesh, forms from the cache, results
and provenance, has a column of its own. The programs take turns within a round, since the speed of a shared machine
drifts, and the least time of the rounds counts.

An envelope takes the best of many settings, so it also takes luck, an error that happens to cancel at the end. That
favours whoever has more settings: kinlim has 157, LSODA 84, plain DOLFINx 12; nothing is left to choose for Heun and
RKL2 but the cells.
"""

import argparse
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pinned_opponents import explicit, lines, tutorial

import kinlim
from kinlim.errors import RunError
from kinlim.study import Study

Array = NDArray[np.float64]
Result = tuple[Array, Array, float]
"""mu, sigma at equispaced points, and the seconds that count."""

PAPER = Path(__file__).parent.parent / "examples" / "pinned-paper.toml"
LAM, SITES = 846.0, 1600
END_TIME = 2 / LAM
LEVELS = (5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5, 5e-6, 2e-6, 1e-6)
TARGET = (1e-6, 2e-6)
"""Errors in mu and in sigma."""

RTOLS = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7)
COLOURS = {
    "kinlim": "#0072b2",
    "kinlim, explicit": "#56b4e9",
    "Heun": "#d55e00",
    "RKL2": "#e69f00",
    "LSODA": "#009e73",
    "BDF": "#cc79a7",
    "plain DOLFINx": "#777777",
}


@dataclass
class Run:
    """A program with a setting, and what it gave; `seconds` and `whole` are the least of all rounds."""

    program: str
    setting: str
    solve: Callable[[], Result]
    errors: tuple[float, float] = (math.inf, math.inf)
    seconds: float = math.inf
    whole: float = math.inf
    failure: str = ""

    def once(self, reference: tuple[Array, Array]) -> None:
        """Solve once more, unless that failed before."""
        if self.failure:
            return
        began = time.perf_counter()
        try:
            mu, sigma, seconds = self.solve()
        except RunError as error:
            self.failure = str(error)
            return
        self.seconds, self.whole = min(self.seconds, seconds), min(self.whole, time.perf_counter() - began)
        self.errors = difference(mu, reference[0]), difference(sigma, reference[1])


def by_kinlim(study: Study, degree: int, cells: int, rtol: float, stepping: str = "implicit") -> Result:
    """Solve by kinlim; values at the sites."""
    pde = kinlim.solve(study.vary("pde", degree=degree, cells=cells, rtol=rtol, stepping=stepping))
    return pde["mu"].to_numpy()[-1], pde["sigma"].to_numpy()[-1], pde.attrs["stepping_seconds"]


def by_explicit(study: Study, cells: int, stages: int | None) -> Result:
    """Solve by explicit steps."""
    began = time.perf_counter()
    _, mu, sigma, _ = explicit(*profiles(study), LAM, END_TIME, cells, stages)
    return mu, sigma, time.perf_counter() - began


def by_lines(study: Study, method: str, cells: int, rtol: float) -> Result:
    """Solve by SciPy's integrators."""
    began = time.perf_counter()
    _, mu, sigma, _ = lines(*profiles(study), LAM, END_TIME, cells, rtol, method)
    return mu, sigma, time.perf_counter() - began


def by_tutorial(study: Study, cells: int, steps: int) -> Result:
    """Solve by DOLFINx alone."""
    began = time.perf_counter()
    _, mu, sigma, _ = tutorial(*profiles(study), LAM, END_TIME, cells, steps)
    return mu, sigma, time.perf_counter() - began


def profiles(study: Study) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Initial data as functions of points."""
    return lambda x: study.model.mu0(x=x), lambda x: study.model.sigma0(x=x)


def runs(study: Study, quick: bool) -> list[Run]:
    """All that is timed in a round."""
    kinlims: Iterator[tuple[int, int, float]]
    explicits: Iterator[tuple[str, int]]
    implicits: Iterator[tuple[str, int, float]]
    stabilised = itertools.product((2, 3, 4), (75, 150, 300) if quick else (75, 100, 150, 200, 300), RTOLS[:8:2])
    if quick:
        kinlims = itertools.product((2, 3), (75, 150, 300), RTOLS[::2][:4])
        explicits = itertools.product(("Heun", "RKL2"), (200, 400, 800, 1600, 3200))
        implicits = itertools.chain(
            itertools.product(["LSODA"], (400, 800, 1600, 3200), RTOLS[2:7:2]),
            itertools.product(["BDF"], (400, 800), RTOLS[2:7:2]),
        )
    else:
        kinlims = itertools.chain(
            itertools.product([2], (100, 150, 200, 300, 400, 600, 800), RTOLS),
            itertools.product([3], (75, 100, 150, 200, 300, 400), RTOLS),
            itertools.product([4], (75, 100, 150, 200, 300), RTOLS[1:]),
        )
        explicits = itertools.chain(
            itertools.product(["Heun"], (200, 400, 800, 1200, 1600, 2400, 3200, 4800, 6400)),
            itertools.product(["RKL2"], (200, 400, 800, 1200, 1600, 2400, 3200, 4800, 6400, 9600, 12800)),
        )
        implicits = itertools.chain(
            itertools.product(["LSODA"], (200, 400, 800, 1600, 2400, 3200, 4800, 6400, 9600, 12800), RTOLS[1:]),
            itertools.product(["LSODA"], (9600, 12800), (3e-8, 1e-8)),
            itertools.product(["BDF"], (200, 400, 800, 1600), RTOLS[2:7:2]),
            [("BDF", 3200, 1e-6), ("BDF", 6400, 1e-6)],
        )
    return [
        *(
            Run("kinlim", f"degree {p}, {cells} cells, rtol {rtol:.0e}", partial(by_kinlim, study, p, cells, rtol))
            for p, cells, rtol in kinlims
        ),
        *(
            Run(
                "kinlim, explicit",
                f"degree {p}, {cells} cells, rtol {rtol:.0e}",
                partial(by_kinlim, study, p, cells, rtol, "explicit"),
            )
            for p, cells, rtol in stabilised
        ),
        *(
            Run(name, f"{cells} cells", partial(by_explicit, study, cells, 2 if name == "Heun" else None))
            for name, cells in explicits
        ),
        *(
            Run(name, f"{cells} cells, rtol {rtol:.0e}", partial(by_lines, study, name, cells, rtol))
            for name, cells, rtol in implicits
        ),
        *(
            Run("plain DOLFINx", f"{cells} cells, {steps} steps", partial(by_tutorial, study, cells, steps))
            for cells, steps in itertools.product((100, 200, 400), (800, 1600) if quick else (600, 800, 1600, 3200))
        ),
    ]


def difference(values: Array, reference: Array) -> float:
    """Relative L2 norm, by the trapezoidal rule on the points that two equispaced grids share."""
    shared = math.gcd(len(values) - 1, len(reference) - 1)
    ours, theirs = values[:: (len(values) - 1) // shared], reference[:: (len(reference) - 1) // shared]
    weight = np.ones(shared + 1)
    weight[[0, -1]] = 0.5
    return float(np.sqrt(weight @ (ours - theirs) ** 2 / (weight @ theirs**2)))


def reference_of(study: Study, quick: bool) -> tuple[Array, Array]:
    """A fine solution by kinlim, held against another and against the opponents' extrapolated to h = 0."""
    mu, sigma, _ = by_kinlim(study, 4, 800 if quick else 1600, 1e-8 if quick else 1e-9)
    print(f"{'reference against':>40} {'mu':>8} {'sigma':>8}")

    def against(name: str, other_mu: Array, other_sigma: Array) -> None:
        print(f"{name:>40} {difference(other_mu, mu):8.1e} {difference(other_sigma, sigma):8.1e}")

    against("kinlim, degree 3, 800 cells, rtol 1e-8", *by_kinlim(study, 3, 800, 1e-8)[:2])
    fine = 3200 if quick else 6400
    solvers: list[tuple[str, Callable[[int], Result]]] = [
        ("Heun", lambda cells: by_explicit(study, cells, 2)),  # time steps go like h^2, so their error is one of h^4
        ("LSODA", lambda cells: by_lines(study, "LSODA", cells, 1e-9)),
    ]
    for name, solve in solvers:
        coarse, twice = solve(fine // 2), solve(fine)
        against(f"{name}, {fine} cells", *twice[:2])
        mu_limit, sigma_limit = (4 * twice[0][::2] - coarse[0]) / 3, (4 * twice[1][::2] - coarse[1]) / 3
        against(f"{name}, {fine // 2} and {fine} extrapolated", mu_limit, sigma_limit)
    return mu, sigma


def warm_up(study: Study) -> None:
    """Compile all that a round uses; kinlim's forms, one set a degree, into its cache."""
    for degree in (2, 3, 4):
        for stepping in ("implicit", "explicit"):
            by_kinlim(study, degree, 75, 1e-4, stepping)
    for stages in (2, None):
        by_explicit(study, 200, stages)
    by_lines(study, "LSODA", 200, 1e-4)
    by_tutorial(study, 100, 800)


def envelope(of: Sequence[Run], which: int) -> list[Run]:
    """Runs that nothing faster beats in mu (0) or sigma (1), by increasing time."""
    best: list[Run] = []
    for run in sorted((run for run in of if not run.failure), key=lambda run: run.seconds):
        if not best or run.errors[which] < best[-1].errors[which]:
            best.append(run)
    return best


def fastest(of: Sequence[Run], mu: float, sigma: float) -> Run | None:
    """Give the fastest run with errors of no more than these."""
    enough = [run for run in of if run.errors[0] <= mu and run.errors[1] <= sigma]
    return min(enough, key=lambda run: run.seconds) if enough else None


def crossovers(ours: Sequence[Run], theirs: Sequence[Run]) -> tuple[list[tuple[float, float, bool]], float]:
    """Where two envelopes for sigma cross, interpolated log-log.

    Returns:
        (error, seconds, whether `ours` is the faster one below that error) by falling error, beginning with the
        largest error that both reach; and the smallest that both reach. No pairs where there is no such error.
    """
    points = [np.log([(run.errors[1], run.seconds) for run in reversed(part)]).T for part in (ours, theirs)]
    low, high = max(e[0] for e, _ in points), min(e[-1] for e, _ in points)
    if low >= high:
        return [], math.nan
    at = np.linspace(high, low, 20001)
    first, second = (np.interp(at, e, s) for e, s in points)
    wins = first < second
    changes = [0, *np.flatnonzero(wins[1:] != wins[:-1]) + 1]
    return [(math.exp(at[k]), math.exp(first[k]), bool(wins[k])) for k in changes], math.exp(low)


def tell(by_program: dict[str, list[Run]]) -> None:
    """Print all tables."""
    print(f"\n{'program':>16} {'setting':<34} {'mu':>8} {'sigma':>8} {'seconds':>9} {'whole call':>11}")
    for run in itertools.chain.from_iterable(by_program.values()):
        show(run)
    envelopes = {name: envelope(of, 1) for name, of in by_program.items()}
    print("\nNothing faster of the same program is better in sigma:")
    for run in itertools.chain.from_iterable(envelopes.values()):
        show(run)

    opponents = [name for name in by_program if name != "kinlim"]
    print("\nLeast seconds for an error in sigma, and how many times those of kinlim:")
    print(f"{'sigma':>8} {'kinlim':>9} {'whole call':>11}" + "".join(f"{name:>18}" for name in opponents))
    for level in LEVELS:
        own = fastest(by_program["kinlim"], math.inf, level)
        line = f"{level:8.0e} " + (f"{own.seconds:9.4f} {own.whole:11.4f}" if own else f"{'not reached':>21}")
        for name in opponents:
            other = fastest(by_program[name], math.inf, level)
            ratio = f"x{other.seconds / own.seconds:6.2f}" if own and other else " " * 7
            line += f"{other.seconds:10.4f} {ratio}" if other else f"{'not reached':>18}"
        print(line)

    print("\nThe faster one by the envelopes for sigma, interpolated, over the errors that both reach:")
    for name in opponents:
        found, last = crossovers(envelopes["kinlim"], envelopes[name])
        said = [f"from {error:.1e} ({seconds:.3f} s) {'kinlim' if ours else name}" for error, seconds, ours in found]
        print(f"{name:>16}: " + (f"{', '.join(said)}; to {last:.1e}" if said else "no error that both reach"))

    print(f"\nmu <= {TARGET[0]:.0e} and sigma <= {TARGET[1]:.0e}:")
    for name, of in by_program.items():
        best = fastest(of, *TARGET)
        print(f"{name:>16} " + (f"{best.seconds:.4f} s, {best.setting}" if best else "not reached"))


def show(run: Run) -> None:
    """Print a run."""
    if run.failure:
        print(f"{run.program:>16} {run.setting:<34} failed: {run.failure.split(':')[0][:60]}")
    else:
        numbers = f"{run.errors[0]:8.1e} {run.errors[1]:8.1e} {run.seconds:9.4f} {run.whole:11.4f}"
        print(f"{run.program:>16} {run.setting:<34} {numbers}")


def plot(by_program: dict[str, list[Run]], file: Path) -> None:
    """Draw errors against seconds, all runs and the envelopes."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for which, (axes, what) in enumerate(zip(panels, ("mean velocity μ", "spread σ"), strict=True)):
        for name, of in by_program.items():
            done = [run for run in of if not run.failure]
            best, colour = envelope(done, which), COLOURS[name]
            axes.loglog(
                [run.seconds for run in done], [run.errors[which] for run in done],
                ".", color=colour, alpha=0.35, markersize=5, markeredgewidth=0,
            )  # fmt: skip
            axes.loglog(
                [run.seconds for run in best], [run.errors[which] for run in best],
                "o-", color=colour, linewidth=2.4 if name == "kinlim" else 1.5, markersize=3.5, label=name,
                zorder=4 if name == "kinlim" else 3,
            )  # fmt: skip
        axes.set_title(f"Error in the {what}", fontsize=11)
        axes.set_xlabel("seconds on one core")
        axes.grid(True, which="major", color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("relative L2 error")
    legend = {
        "kinlim": "kinlim",
        "kinlim, explicit": "kinlim, explicit",
        "Heun": "explicit differences, Heun",
        "RKL2": "explicit differences, RKL2",
        "LSODA": "method of lines, LSODA",
        "BDF": "method of lines, BDF",
        "plain DOLFINx": "DOLFINx, Crank–Nicolson",
    }
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, [legend[name] for name in names], loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(file, dpi=150)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer settings and one round")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    options = parser.parse_args()
    study = kinlim.load(
        PAPER,
        [
            f"model.balls={SITES + 1}",
            'model.mu0="-erf(27*(x-1/2)**3)"',
            'model.sigma0="0.05*(1-cos(2*pi*x))"',
            f"model.end_time={END_TIME!r}",
            "model.observe=[1.0]",
            f"model.lambda={LAM}",
        ],
    )
    began = time.perf_counter()
    reference = reference_of(study, options.quick)
    everything = runs(study, options.quick)
    warm_up(study)
    rounds = 1 if options.quick else options.rounds
    for _ in range(rounds):
        for run in everything:
            run.once(reference)
    by_program = {name: [run for run in everything if run.program == name] for name in COLOURS}
    tell(by_program)
    print(f"\n{rounds} rounds, {time.perf_counter() - began:.0f} s in all")
    if options.plot:
        plot(by_program, options.plot)


if __name__ == "__main__":
    main()
