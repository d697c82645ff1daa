"""`kinlim drift`: Theorem 2.3 and Lemma 5.1 on a study's data, exactly, by formula and by the real kernel."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from kinlim.base import Study, narrowed
from kinlim.layout import NAN_WHERE
from kinlim.models.pinned.tables import PinnedStudy
from kinlim.parallel import on_root, world
from kinlim.statements import Found, Statement
from kinlim.stochastic.pinned.one_collision import after_one_collision
from kinlim.validation.chance import sure
from kinlim.validation.drawing import legend
from kinlim.validation.pinned.comparison import PAPER
from kinlim.validation.pinned.one_step import drift, lemma_coefficient, printed
from kinlim.validation.report import number
from kinlim.workflow import Check, examine

DOUBLINGS = 6
"""Of the number of gaps between balls, from the study's on."""

ORDER, NEAR = -3.0, 0.3
"""Order in n that the paper states for the remainders, and how near the last local slope must be."""

MOMENTS = ("v", "v^2")

NO_SPREAD = 1e-6
"""Least sigma over the largest that counts as none."""


class Drift(Check):
    """What one collision does to the means of v and v^2, for white noise with the study's mu0 and sigma0."""

    name = "drift"
    heading = "one collision, and Theorem 2.3"
    caption = (
        "Left: largest remainder of (2.6) and (2.7) over the balls 3 to n − 2 against n; dotted: order n⁻³. Right: the "
        "drift of the mean at the smallest n, exactly, by (2.6), and by the kernel with 4 standard errors."
    )
    template = "pinned/drift.html"

    def __init__(self, study: PinnedStudy) -> None:
        """Of this study."""
        self.study = study

    def check(self) -> None:
        """Raise InputError if the data cannot be used at more balls; nothing else can be wrong."""
        for balls in self._balls():
            self._data(balls)

    def _balls(self) -> list[int]:
        return [(self.study.model.balls - 1) * 2**k + 1 for k in range(DOUBLINGS)]

    def _data(self, balls: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Mu, sigma at so many sites, and their distance."""
        model = self.study.vary("model", balls=balls).model
        return *model.initial(model.sites, "site"), model.spacing

    def measure(self) -> xr.Dataset:
        """Drifts and remainders. Collective; rank 0 works."""
        return on_root(world(), self._measure)

    def _measure(self) -> xr.Dataset:
        balls, settings = self._balls(), self.study.particles
        remainders, ends = np.empty((len(balls), 2)), np.empty((len(balls), 2, 2))
        for k, n in enumerate(balls):
            mu, sigma, h = self._data(n)
            exact = np.stack(drift(mu, sigma))
            remainders[k] = np.nanmax(np.abs(exact - printed(mu, sigma, h))[:, 2:-2], axis=1)
            ends[k] = exact[:, :2]
        mu, sigma, h = self._data(balls[0])
        exact, formula = np.stack(drift(mu, sigma)), np.stack(printed(mu, sigma, h))
        chosen = [0, 1, *sorted({int(np.nanargmax(np.abs(one))) for one in formula})]
        kernel = [after_one_collision(mu, sigma, ball, settings.replicas, settings.seed) for ball in chosen]
        sites = self.study.model.sites
        return xr.Dataset(
            {
                "remainder": (("n", "moment"), remainders, {"long_name": "largest remainder"}),
                "drift_at_end": (("n", "moment", "ball"), ends, {"long_name": "drift of balls 1 and 2"}),
                "drift": (("moment", "x"), exact, {"long_name": "exact drift at the smallest n"}),
                "formula": (
                    ("moment", "x"),
                    formula,
                    {"long_name": "(2.6), (2.7) without remainder", NAN_WHERE: "a ball near an end"},
                ),
                "kernel": (("chosen", "moment"), np.stack([mean for mean, _ in kernel])),
                "kernel_se": (("chosen", "moment"), np.stack([error for _, error in kernel])),
                "coefficient": ((), lemma_coefficient(), {"long_name": "coefficient in I_2"}),
            },
            coords={"n": balls, "moment": list(MOMENTS), "x": sites, "chosen": np.array(chosen) + 1, "ball": [1, 2]},
        ).assign_attrs(
            replicas=settings.replicas,
            least_sigma=float(sigma.min() / np.abs(sigma).max()),
        )

    def statements(self, dataset: xr.Dataset) -> list[Statement]:
        """Of (2.6), (2.7), the balls for which they hold, (5.12)-(5.15), (5.30), (5.46)."""
        n, found = dataset["n"].to_numpy(), []
        excluded = (
            "" if dataset.attrs["least_sigma"] > NO_SPREAD else "; sigma vanishes here, which the theorem excludes"
        )
        for m, (equation, moment) in enumerate(zip(("(2.6)", "(2.7)"), MOMENTS, strict=True)):
            rest = dataset["remainder"].to_numpy()[:, m]
            slopes = _slopes(n, rest)
            good = slopes[-1] < ORDER + NEAR
            found.append(
                Statement(
                    f"{PAPER} {equation}",
                    f"drift of {moment}, remainder O(n^-3), balls 3 to n - 2{excluded}",
                    "holds" if good else "fails",
                    f"largest remainder {number(rest[-1], 2)} at n = {n[-1]}, order {slopes[-1]:.2f} on the last pair "
                    f"of n and {slopes[0]:.2f} on the first",
                )
            )
        last = dataset["drift_at_end"].to_numpy()[:, 0, 1]
        slope = _slopes(n, last)[-1]
        good = slope < ORDER + NEAR
        found.append(
            Statement(
                f"{PAPER} Theorem 2.3",
                "(2.6) for ball 2 and ball n - 1, too",
                "holds" if good else "fails",
                f"drift of ball 2 is {number(last[-1], 3)} at n = {n[-1]}, and goes like n^{slope:.2f}: it is never "
                "the right ball of a triple, so that nothing balances the sorts that push it down",
            )
        )
        z = self._z(dataset)
        limit = sure(int(dataset.attrs["replicas"]), z.size)
        largest = float(np.abs(z).max())
        found.append(
            Statement(
                f"{PAPER} (5.12)-(5.15)",
                "means after the sort, by the mean radius",
                "holds" if largest < limit else "fails",
                f"kernel against integral: largest of {z.size} deviations {largest:.1f} standard errors, noise reaches "
                f"{limit:.1f}",
            )
        )
        c = float(dataset["coefficient"])
        verdicts: tuple[tuple[str, int, Found], ...] = tuple(
            (equation, value, "holds" if abs(c - value) < 1e-6 else "fails")
            for equation, value in (("(5.30)", 2), ("(5.46)", 1))
        )
        found += [
            Statement(
                f"{PAPER} {equation}",
                f"coefficient {value} of eps^2 sqrt(3 pi) delta_1 delta_2 in I_2",
                verdict,
                f"it is {c:.10f} by quadrature",
            )
            for equation, value, verdict in verdicts
        ]
        return found

    def _z(self, dataset: xr.Dataset) -> np.ndarray:
        """Deviations of the kernel from the integral in standard errors, where the kernel has noise."""
        at = dataset["chosen"].to_numpy() - 1
        expected, error = dataset["drift"].to_numpy()[:, at].T, dataset["kernel_se"].to_numpy()
        z = (dataset["kernel"].to_numpy() - expected)[error > 0] / error[error > 0]
        return np.asarray(z)

    def tables(self, dataset: xr.Dataset) -> dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]]:
        """Remainders by n, and the kernel's drifts."""
        n, rest = dataset["n"].to_numpy(), dataset["remainder"].to_numpy()
        slopes = [("", ""), *zip(*(tuple(f"{s:.2f}" for s in _slopes(n, rest[:, m])) for m in range(2)), strict=True)]
        at_end = dataset["drift_at_end"].to_numpy()
        return {
            "Remainders": (
                ("n", "(2.6)", "order", "(2.7)", "order", "drift of v, ball 1", "ball 2"),
                [
                    (
                        str(n[k]),
                        number(rest[k, 0]),
                        slopes[k][0],
                        number(rest[k, 1]),
                        slopes[k][1],
                        number(at_end[k, 0, 0]),
                        number(at_end[k, 0, 1]),
                    )
                    for k in range(len(n))
                ],
            ),
            f"The kernel at n = {n[0]}": (
                ("ball", "moment", "exact", "kernel", "± its error", "formula"),
                [
                    (
                        str(ball),
                        moment,
                        number(float(dataset["drift"][m, ball - 1]), 5),
                        number(float(dataset["kernel"][k, m]), 5),
                        number(float(dataset["kernel_se"][k, m]), 1),
                        number(float(dataset["formula"][m, ball - 1]), 5)
                        if np.isfinite(dataset["formula"][m, ball - 1])
                        else "—",
                    )
                    for k, ball in enumerate(dataset["chosen"].to_numpy())
                    for m, moment in enumerate(MOMENTS)
                ],
            ),
        }

    def figure(self, dataset: xr.Dataset, verdict: object) -> Figure:
        """Remainders against n, and drifts against x."""
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        n, rest = dataset["n"].to_numpy(), dataset["remainder"].to_numpy()
        for m, equation in enumerate(("(2.6)", "(2.7)")):
            left.loglog(n, rest[:, m], "o-", ms=4, label=equation)
        left.loglog(n, rest[-1, 0] * (n / n[-1]) ** ORDER, ":", color="0.4", label="n⁻³")
        left.set(xlabel="balls n", ylabel="largest remainder")
        legend(left)
        x, chosen = dataset["x"].to_numpy(), dataset["chosen"].to_numpy() - 1
        right.plot(x, dataset["drift"][0], lw=1.2, label="exact")
        right.plot(x, dataset["formula"][0], "--", lw=1.2, label="(2.6)")
        right.errorbar(
            x[chosen],
            dataset["kernel"][:, 0],
            4 * dataset["kernel_se"][:, 0],
            fmt="o",
            ms=4,
            color="tab:red",
            label="kernel",
        )
        right.set(xlabel="x", ylabel=f"drift of the mean, n = {n[0]}")
        legend(right)
        return figure


def _slopes(n: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Local orders between neighbouring n; 0 where nothing is left to fall."""
    size = np.abs(values)
    there = (size[1:] > 0) & (size[:-1] > 0)
    return np.divide(
        np.log(np.where(there, size[1:], 1) / np.where(there, size[:-1], 1)),
        np.log(n[1:] / n[:-1]),
    )


def run(study: Study, folder: Path) -> str:
    """Examine a study and write drift.nc, .json, .html and figure. Collective."""
    return examine(study, folder, Drift(narrowed(study, PinnedStudy)))
