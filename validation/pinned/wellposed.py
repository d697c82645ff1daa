"""Section 6 held against its own iteration: what converges, and which inequalities of the proof the iterates obey."""

from math import pi, sqrt
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from kinlim.errors import InputError
from kinlim.statements import STATEMENTS, Statement, dump
from kinlim.validation import drawing, report
from kinlim.validation.pinned.comparison import PAPER, SURE
from kinlim.validation.pinned.inequalities import FLOOR, Inequality, careful_recursion, inequalities, lemma_time
from kinlim.validation.profiles import distances

Array = NDArray[np.float64]

HOLDS = 1 + 1e-9
"""Largest ratio of left to right at which an inequality is said to hold."""

STOPPED = 0.1
"""A front that moves by less than this part of itself in the last third of the iterations has all but stopped."""


def judge(trace: xr.Dataset, solution: xr.Dataset | None = None, particles: xr.Dataset | None = None) -> dict[str, Any]:
    """Say what converged and which inequalities hold, ready for JSON: no NaN, nothing infinite.

    Args:
        trace: as `kinlim.fem.pinned.picard.iterate` returns it.
        solution: as `kinlim.fem.pinned.solve` returns it for boundary = "paper", to hold the last iterate against.
        particles: of the same study, to hold all iterates against at T.

    Returns:
        convergence: for every observation time, the first iterate that has converged, contraction factors
            b_{k+1}/b_k and a_{k+1}/a_k (worst, and mean of the last three), the exponent p in a_{k+1} ~ b_k^p, and the
            smallest a_k/||mu_k||: at best rounding, which the iteration amplifies as T' grows.
        front: for every k, the T' up to which the first k iterates have converged.
        inequalities: the largest ratio of left to right, where it is reached, and whether each holds.
        recursion: Lemma 6.4 on the measured a_0 and b_0, as printed and with the square roots.
        lipschitz: the largest ||sqrt|w_k| - sqrt|w_{k-1}||| / ||(w_k - w_{k-1})/sqrt(d)||, d the distance from the
            ends: a bounded one is what a contraction argument would need.
        rounding_growth: c in exp(c lambda^2 T'), the growth of the least change with T', where the front has stopped.
        agreement: L2 differences of the last iterate from the solution, relative to its largest size so far.
        particles: of every iterate, relative L2 distances of mu and sigma from the particles at T, beyond noise.
        headline: the outcome in a sentence.
        conclusion: all this in sentences.

    Raises:
        InputError: the solution is of other ends, times or nodes.
    """
    T = trace["time"].to_numpy()
    converged = trace["converged"].to_numpy() == 1
    first = np.where(converged.any(axis=0), converged.argmax(axis=0), len(converged))
    slowest = np.maximum.accumulate(first)  # converged on [0, T'] and on every shorter interval
    front = [_last(T, slowest <= k) for k in range(len(converged))]
    done, waited = front[-1], front[2 * (len(front) - 1) // 3]
    columns = [int(np.searchsorted(T, t * (1 - 1e-12))) for t in trace["observation"].to_numpy() if t > 0]
    verdict: dict[str, Any] = {
        "lambda_B": float(trace.attrs["lambda_B"]),
        "end_time": float(T[-1]),
        "iterations": len(converged) - 1,
        "steps": len(T),
        "tolerance": float(trace.attrs["tolerance"]),
        "converged": bool(done == T[-1]),
        "converged_up_to": done,
        "stalled": waited is not None and done is not None and done < min(T[-1], (1 + STOPPED) * waited),
        "followed_up_to": _last(T, np.isfinite(trace["a"].to_numpy()[-1])),
        "convergence": [_convergence(trace, column, int(slowest[column])) for column in columns],
        "front": [{"iterations": k, "time": time} for k, time in enumerate(front)],
        "inequalities": [_worst(one, T) for one in inequalities(trace)],
        "recursion": _recursions(trace),
        "lipschitz": _lipschitz(trace),
        "rounding_growth": None,
        "agreement": None if solution is None else _agreement(trace, solution),
        "particles": None if particles is None else _from_particles(trace, particles),
    }
    if verdict["stalled"]:
        verdict["rounding_growth"] = _rounding_growth(trace)
    verdict["headline"], verdict["conclusion"] = _headline(verdict), _conclusion(verdict)
    verdict[STATEMENTS] = dump(_statements(verdict))
    return verdict


def _statements(verdict: dict[str, Any]) -> list[Statement]:
    """Of every inequality that could be checked, as printed or as mended, and of the iteration's convergence."""
    on = f"lambda_B = {report.number(verdict['lambda_B'], 3)}, T = {verdict['end_time']:g}"
    up_to = verdict["converged_up_to"]
    found = [
        Statement(
            f"{PAPER} Section 6",
            "the iteration converges",
            "holds" if verdict["converged"] else "fails",
            f"on [0, {report.number(up_to or 0.0)}] within {verdict['iterations']} iterations ({on})",
        )
    ]
    if verdict["particles"] and (fixed := verdict["particles"][-1])["mu"] is not None:
        off = {
            name: f"{report.number(fixed[name])} +- {report.number(fixed[f'{name}_se'], 1)}" for name in ("mu", "sigma")
        }
        found.append(
            Statement(
                f"{PAPER} Section 6",
                "the fixed point is what the particles do",
                "fails" if fixed["sigma"] > SURE * fixed["sigma_se"] else "not decided",
                f"at T it is {off['mu']} in mu and {off['sigma']} in sigma away, relative L2 beyond noise ({on})",
            )
        )
    for one in verdict["inequalities"]:
        if one["holds"] is None:
            continue
        ratio = "infinite" if one["max_ratio"] is None else report.number(one["max_ratio"])
        where = " on these iterates; it is false where e = g" if one["label"] == "(6.6)" and one["holds"] else ""
        found.append(
            Statement(
                f"{PAPER} {one['label']}",
                f"{one['statement']}{' (mended)' if one['kind'] == 'careful' else ''}",
                "holds" if one["holds"] else "fails",
                f"left over right side is at most {ratio}{where} ({on})",
            )
        )
    return found


def _last(T: Array, good: NDArray[np.bool_]) -> float | None:
    """The last of the times before which all are good."""
    count = len(good) if good.all() else int(good.argmin())
    return float(T[count - 1]) if count else None


def _worst(one: Inequality, T: Array) -> dict[str, Any]:
    """An inequality where it is nearest to failing, or fails most."""
    entry: dict[str, Any] = {"label": one.label, "kind": one.kind, "statement": one.statement}
    ratio = one.ratio
    checked = ~np.isnan(ratio)
    if not checked.any():
        nothing = dict.fromkeys(("holds", "max_ratio", "large_ratio", "iteration", "time"))
        return entry | nothing | {"checked": 0, "failed": 0}
    large = np.isfinite(ratio) & one.large
    row, column = np.unravel_index(np.nanargmax(ratio), ratio.shape)
    worst = float(ratio[row, column])
    return entry | {
        "holds": worst <= HOLDS,
        "max_ratio": worst if np.isfinite(worst) else None,  # None beside False: the right side is 0
        "large_ratio": float(ratio[large].max()) if large.any() else None,
        "iteration": one.first + int(row),
        "time": float(T[column]),
        "checked": int(checked.sum()),
        "failed": int((ratio[checked] > HOLDS).sum()),
    }


def _convergence(trace: xr.Dataset, column: int, first: int) -> dict[str, Any]:
    """How the iteration went on [0, T'], T' being a step end."""
    a, b, mu, w = (trace[name].to_numpy()[1:, column] for name in ("a", "b", "mu_h1", "w_l1"))  # k = 1, 2, ...
    known = (a > FLOOR * mu) & (b > FLOOR * w) & np.isfinite(a)
    known[first:] = False  # what follows convergence is rounding
    count = len(known) if known.all() else int(known.argmin())
    factors = {}
    for name, change in (("mu", a[:count]), ("w", b[:count])):
        ratios = change[1:] / change[:-1]
        factors[f"contraction_{name}_worst"] = float(ratios.max()) if len(ratios) else None
        factors[f"contraction_{name}"] = float(np.exp(np.log(ratios[-3:]).mean())) if len(ratios) else None
    slope = float(np.polyfit(np.log(b[: count - 1]), np.log(a[1:count]), 1)[0]) if count >= 4 else None
    finite = np.isfinite(a) & (mu > 0)
    return {
        "time": float(trace["time"][column]),
        "iterations": first if first <= len(a) else None,
        **factors,
        "exponent": slope,
        "least_change": float((a[finite] / mu[finite]).min()) if finite.any() else None,
        "w_l1": float(w[-1]) if np.isfinite(w[-1]) else None,
        "largest_w_l1": float(np.nanmax(w)) if np.isfinite(w).any() else None,
    }


def _rounding_growth(trace: xr.Dataset) -> float | None:
    """How fast the least relative change of mu grows with T', between rounding and order one, in units of lambda^2.

    Linearised where mu_x = lambda sigma, (B') has w_t = -lambda^2 w besides diffusion. The iteration sums
    exp(-lambda^2 t) as its Taylor series does, whose terms and their rounding errors grow like exp(lambda^2 t): c = 1.
    Only the slope can be told: that begins when the waves have made mu_x positive, at a time of about 1/lambda.
    """
    T, a, mu = (trace[name].to_numpy() for name in ("time", "a", "mu_h1"))
    known = np.isfinite(a[1:]).all(axis=0) & (mu[1:] > 0).all(axis=0)
    least = np.full(len(T), np.nan)
    least[known] = (a[1:, known] / mu[1:, known]).min(axis=0)
    between = (least > 1e-12) & (least < 1e-3)
    if between.sum() < 5:
        return None
    return float(np.polyfit(T[between], np.log(least[between]), 1)[0] / (trace.attrs["lambda_B"] ** 2 / 2))


def _recursions(trace: xr.Dataset) -> dict[str, Any]:
    """Lemma 6.4's recursion: the largest T for which it converges; and the one with square roots, at no longer a T."""
    lam, length, end = trace.attrs["lambda_B"], trace.attrs["length"], float(trace["time"][-1])
    alpha, beta = float(trace["mu_h1"][0, -1]) / sqrt(end), float(trace["w_l1"][0, -1]) / end
    largest = lemma_time(alpha, beta, lam)
    column = max(int(np.searchsorted(trace["time"], min(end, largest or end), side="right")) - 1, 0)
    T = float(trace["time"][column])
    _, B = careful_recursion(alpha * sqrt(T), beta * T, lam, T, length, 200)
    # The same with the norms of an iterate in place of the growing sums: B_{n+1} = r B_{n-1}^(1/2) + s B_n^(1/2).
    P, W = (float(np.nan_to_num(trace[name].to_numpy()[-1, column])) for name in ("mu_x_l2", "w_l1"))
    smooth, c = min(T, length**2 / 8), lam * sqrt(1 + min(T / 2, (length / pi) ** 2))
    limit = (smooth * (c * (2 * P + lam * sqrt(W)) + lam * P)) ** 2
    return {
        "alpha": alpha,
        "beta": beta,
        "largest_T": largest,
        "converges_at_end_time": largest is not None and largest >= end,
        "careful": {
            "T": T,
            "floor": (smooth * lam * alpha) ** 2 * T,
            "first": beta * T,
            "least": float(B.min()),
            "last": float(B[-1]),
            "steps": len(B) - 1,
            "limit": limit,
            "limit_over_w": limit / W if W > 0 else None,
        },
    }


def _lipschitz(trace: xr.Dataset) -> dict[str, Any]:
    """The largest Lipschitz constant of the square root that the iterates show in the weighted norm."""
    change, root, b, w, mu = (
        trace[name].to_numpy()[1:] for name in ("weighted_change", "root_change", "b", "w_l1", "mu_h1")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((b > FLOOR * w + (FLOOR * mu) ** 2) & (change > 0), root / change, np.nan)
    known = np.isfinite(ratio)
    return {"largest": float(ratio[known].max()) if known.any() else None}


def _agreement(trace: xr.Dataset, solution: xr.Dataset) -> list[dict[str, Any]]:
    """L2 differences of the last iterate from the solution, relative to the largest that was observed so far."""
    if solution.attrs.get("boundary") != "paper":
        raise InputError(
            f"the solution has boundary = {solution.attrs.get('boundary')!r}; the iteration is for boundary = 'paper'"
        )
    times, x = trace["observation"].to_numpy(), trace["node_x"].to_numpy()
    for name, mine, where in (("times", times, "time"), ("nodes", x, "node_x")):
        if len(mine) != solution[where].size or not np.allclose(mine, solution[where], rtol=1e-9, atol=1e-12):
            raise InputError(f"the iteration and the solution were recorded at different {name}")
    pairs = {
        "mu": (trace["node_mu"].to_numpy(), solution["node_mu"].to_numpy()),
        "w": (trace["node_w"].to_numpy(), solution["node_sigma"].to_numpy() ** 2 / 2),
    }
    rows: list[dict[str, Any]] = [{"time": float(t)} for t in times]
    for name, (mine, other) in pairs.items():
        distance, now = (np.sqrt(np.trapezoid(values**2, x, axis=1)) for values in (mine - other, other))
        size = np.maximum.accumulate(now)  # norms over [0, T'] see no solution that has died out
        for row, d, s in zip(rows, distance, size, strict=True):
            row[f"rel_l2_{name}"] = float(d / s) if s > 0 and np.isfinite(d) else None
    return rows


def _from_particles(trace: xr.Dataset, particles: xr.Dataset) -> list[dict[str, Any]]:
    """Distances of the iterates from the means of the particles at T, over the size of these, beyond noise.

    Noise is taken out as in `kinlim.validation.profiles.distances`; None where an iterate did not get to T.
    """
    last, node_x = particles.isel(time=-1), trace["node_x"].to_numpy()
    order = np.argsort(node_x)
    rows = []
    for k in trace["iteration"].to_numpy():
        row: dict[str, Any] = {"iteration": int(k)}
        w = trace["iterate_w"].to_numpy()[k]
        for name, values in (("mu", trace["iterate_mu"].to_numpy()[k]), ("sigma", np.sqrt(2 * np.abs(w)))):
            there, error = (last[key].to_numpy() for key in (name, f"{name}_se"))
            iterate = np.interp(last["x"].to_numpy(), node_x[order], values[order])
            found = distances((there - iterate)[None], error[None], there[None])
            known = np.isfinite(iterate).all()
            row[name] = float(found["rel_l2_excess"][0]) if known else None
            row[f"{name}_se"] = float(found["rel_l2_excess_se"][0]) if known else None
        rows.append(row)
    return rows


def _listed(labels: list[str]) -> str:
    """Labels that have commas themselves, one after another."""
    return ", ".join(f"[{label}]" for label in labels)


def _headline(verdict: dict[str, Any]) -> str:
    """Whether the iteration converges, which printed inequalities fail, and whether the mended ones hold."""
    wrong = {
        kind: [one["label"] for one in verdict["inequalities"] if one["kind"] == kind and one["holds"] is False]
        for kind in ("printed", "careful")
    }
    done = verdict["converged_up_to"]
    part = "nowhere" if done is None else f"up to t = {report.number(done)} of {report.number(verdict['end_time'])}"
    parts = [
        "The iteration converges" if verdict["converged"] else f"The iteration has converged {part}",
        f"as printed, {_listed(wrong['printed'])} fail" + ("s" if len(wrong["printed"]) == 1 else "")
        if wrong["printed"] else "no printed inequality fails",
        f"mended, {_listed(wrong['careful'])} FAIL" if wrong["careful"] else "the mended inequalities hold",
    ]  # fmt: skip
    return "; ".join(parts) + "."


def _conclusion(verdict: dict[str, Any]) -> list[str]:
    """What the trace shows, in sentences: convergence, agreement, inequalities, Lemma 6.4."""
    parts = (_of_convergence, _of_agreement, _of_printed, _of_careful, _of_recursion)
    return [sentence for part in parts for sentence in part(verdict)]


def _of_convergence(verdict: dict[str, Any]) -> list[str]:
    """How far the iteration has converged, and what stopped it."""
    number, T, done = report.number, verdict["end_time"], verdict["converged_up_to"]
    at, tolerance = f"At λ_B = {number(verdict['lambda_B'])}", number(verdict["tolerance"], 1)
    if verdict["converged"]:
        count = verdict["convergence"][-1]["iterations"]
        return [f"{at} the iteration converges on [0, {number(T)}]: {count} iterations to a tolerance of {tolerance}."]
    so_far = "on no interval from 0" if done is None else f"on [0, {number(done)}]"
    front = _of_stalled_front(verdict) if verdict["stalled"] else MOVING
    return [
        f"{at}, after {verdict['iterations']} iterations, the iteration has converged {so_far} to a tolerance of "
        f"{tolerance}, not on [0, {number(T)}]. {front}"
    ]


MOVING = "The front was still moving: more iterations would carry it further."


def _of_stalled_front(verdict: dict[str, Any]) -> str:
    """Why the front has stopped."""
    growth = verdict["rounding_growth"]
    slope = "" if growth is None else f", with the slope of exp({report.number(growth, 2)} (λ_B²/2) T')"
    return (
        "The front has all but stopped: beyond it the changes hardly fall any more. The least change that is reached "
        f"grows with T' from rounding upwards{slope}. The likely cause is rounding: where μₓ = λσ, λ = λ_B/√2, the "
        "equations relax with rate λ², and the iteration sums exp(−λ²t) term by term, with terms that grow like "
        "exp(λ²t)."
    )


def _of_agreement(verdict: dict[str, Any]) -> list[str]:
    """How far the last iterate is from the time-stepped solution, where it has converged."""
    said, done = [], verdict["converged_up_to"] or 0
    for name, symbol in (("mu", "μ"), ("w", "w")) if verdict["agreement"] else ():
        rows = [row for row in verdict["agreement"] if row["time"] <= done]
        differences = [row[f"rel_l2_{name}"] for row in rows if row[f"rel_l2_{name}"] is not None]
        if differences:
            said.append(
                f"Where it has converged, {symbol} differs from the time-stepped solution by at most "
                f"{report.number(max(differences), 2)} of its largest L² norm so far."
            )
    return said


def _of_printed(verdict: dict[str, Any]) -> list[str]:
    """Which inequalities fail as they are printed."""
    said, number = [], report.number
    for one in verdict["inequalities"]:
        if one["kind"] == "printed" and one["holds"] is False:
            much = (
                "its right side is 0 where its left is not"
                if one["max_ratio"] is None
                else f"left over right reaches {number(one['max_ratio'])}"
            )
            said.append(
                f"Printed {one['label']} fails on these iterates: {much}, at k = {one['iteration']}, "
                f"T' = {number(one['time'])}."
            )
    luck = "" if said else "No printed inequality fails on these iterates; that is luck of their size. "
    return [
        *said,
        f"{luck}With c μ(0) and c² w(0) for initial data every iterate becomes (c μₖ, c² wₖ): the left side of (6.5) "
        "is then c times what it was and its right side c² times, so that it fails for small c whatever its constant; "
        "(6.6) likewise where e = g.",
    ]


def _of_careful(verdict: dict[str, Any]) -> list[str]:
    """Whether the mended inequalities hold."""
    careful = [one for one in verdict["inequalities"] if one["kind"] == "careful"]
    if wrong := [one["label"] for one in careful if one["holds"] is False]:
        return [f"Of the mended inequalities {', '.join(wrong)} fail: an error of this program, or of its mesh."]
    return ["All mended inequalities, with square roots, hold."]


def _of_recursion(verdict: dict[str, Any]) -> list[str]:
    """What Lemma 6.4 makes of these inequalities."""
    number, done, lemma = report.number, verdict["converged_up_to"], verdict["recursion"]["largest_T"]
    broken = any(one["kind"] == "printed" and one["holds"] is False for one in verdict["inequalities"])
    gap = "A failing upper bound is a gap in the proof, not a counterexample to Theorem 4.1. " if broken else ""
    up_to = "for no T that was tried" if lemma is None else f"up to T = {number(lemma)}"
    itself = "." if done is None else f"; the iteration itself converges up to T = {number(done)} at least."
    return [
        f"{gap}The recursion of Lemma 6.4, from the measured a₀ and b₀, would give convergence {up_to}{itself}",
        BEYOND,
    ]


BEYOND = (
    "With the square roots Lemma 6.4 gives nothing: Bₙ₊₁ ≥ min(T, L²/8) λ_B a₀ √Bₙ keeps Bₙ from falling to 0, "
    "however small T is, since √ is not Lipschitz at 0. One way to a contraction might be a lower bound of w by "
    "the distance from the ends and a weighted norm; it is not carried out here. Existence, which is all that "
    "Theorem 4.1 states, seems to follow otherwise (an argument of ours, not the paper's): in the closed convex "
    "set {|w(t)| ≤ R exp(4λ_B²t)} of L¹ over x and t, R = 2|w(0)| + 3|μ(0)|², the map w ↦ μ ↦ w is continuous by "
    "(6.5′) and (6.6′), compact by the smoothing of the heat equation, and stays inside, so that by Schauder it "
    "has a fixed point, a weak solution, for every T; nothing is said of uniqueness. Where w(0) ≥ 0 it solves "
    "(B) itself: μₓ² − λ_B μₓ√|w| ≥ −λ_B²|w|/4 keeps w from becoming negative."
)
"""What is left of Theorem 4.1 without Lemma 6.4."""


def text(verdict: dict[str, Any]) -> str:
    """Give the verdict as a table for a terminal."""

    def cell(value: float | None, form: str = ".3g") -> str:
        return "-" if value is None else format(value, form)

    lines = [
        f"lambda_B = {verdict['lambda_B']:g}, [0, {verdict['end_time']:g}], {verdict['steps']} steps, "
        f"{verdict['iterations']} iterations, tolerance {verdict['tolerance']:g}",
        "",
        f"{'T':>10}  {'iterations':>10}  {'b ratio':>8}  {'worst':>8}  {'exponent':>8}  {'least change':>12}",
    ]
    lines += [
        f"{row['time']:>10.4g}  {row['iterations'] or '-':>10}  {cell(row['contraction_w']):>8}  "
        f"{cell(row['contraction_w_worst']):>8}  {cell(row['exponent']):>8}  {cell(row['least_change']):>12}"
        for row in verdict["convergence"]
    ]
    lines += ["", f"{'left/right, largest':<22}{'b > w/10':>9}{'of all':>10}  {'at k':>5}  {'T':>10}"]
    lines += [
        f"{one['label']:<22}{cell(one['large_ratio']):>9}{cell(one['max_ratio']):>10}  {one['iteration'] or '-':>5}  "
        f"{cell(one['time'], '.4g'):>10}  " + {True: "holds", False: "FAILS", None: "-"}[one["holds"]]
        for one in verdict["inequalities"]
    ]
    return "\n".join([verdict["headline"], "", *lines, "", *verdict["conclusion"]])


def figure(trace: xr.Dataset, verdict: dict[str, Any]) -> Figure:
    """Draw the changes by iteration, the front, the inequalities by iteration, and a_{k+1} against b_k."""
    T, k = trace["time"].to_numpy(), trace["iteration"].to_numpy()
    figure = Figure(figsize=(11, 8), layout="constrained")
    figure.get_layout_engine().set(hspace=0.08)
    (changes, progress), (ratios, powers) = figure.subplots(2, 2)
    rows = verdict["convergence"]
    shown = [rows[i] for i in sorted(set(np.linspace(0, len(rows) - 1, min(len(rows), 4)).round().astype(int)))]
    for i, row in enumerate(shown):
        column = int(np.searchsorted(T, row["time"]))
        a, b, w = (trace[name].to_numpy()[:, column] for name in ("a", "b", "w_l1"))
        mu = trace["mu_h1"].to_numpy()[:, column]
        label, color = f"T' = {report.number(row['time'])}", f"C{i}"
        with np.errstate(divide="ignore", invalid="ignore"):
            changes.semilogy(k[1:], _positive(a[1:] / mu[1:]), "-", color=color, lw=1.2, label=label)
            changes.semilogy(k[1:], _positive(b[1:] / w[1:]), ":", color=color, lw=1.2)
        powers.loglog(_positive(b[1:-1]), _positive(a[2:]), "o", ms=3, color=color, label=label)
    if np.isfinite(changes.dataLim.y1):  # a line at one height alone gives a logarithmic axis no range
        changes.axhline(verdict["tolerance"], color="0.6", lw=0.8)
    changes.set(title="Relative change: μ in H¹ (lines), w in L¹ (dots)", xlabel="iteration k")

    reached = [(one["iterations"], one["time"]) for one in verdict["front"] if one["time"] is not None]
    if reached:
        progress.plot(*zip(*reached, strict=True), drawstyle="steps-post", color="tab:blue", label="iteration")
    lemma = verdict["recursion"]["largest_T"]
    if lemma is not None:
        progress.axhline(lemma, color="tab:red", lw=1, label="Lemma 6.4 as printed")
    progress.set(title="Converged on [0, T'] within k iterations", xlabel="iteration k", ylabel="T'")
    progress.xaxis.set_major_locator(MaxNLocator(integer=True))
    progress.set_ylim(0, 1.05 * verdict["end_time"])

    for one in inequalities(trace):
        if "n = 0" in one.label or one.label.startswith("a priori"):
            continue
        ratio = np.nanmax(np.where(np.isfinite(one.ratio), one.ratio, -1), axis=1, initial=-1)
        style = "-" if one.kind == "printed" else "--"
        ratios.semilogy(one.first + np.arange(len(ratio)), _positive(ratio), style, lw=1.2, label=one.label)
    ratios.axhline(1, color="0.3", lw=0.8)
    ratios.set(title="Left side over right side, worst T'; above 1 it fails", xlabel="iterate on the left, k")

    columns = np.searchsorted(T, [row["time"] for row in shown])
    b, a = trace["b"].to_numpy()[1:-1, columns], trace["a"].to_numpy()[2:, columns]
    known = (b > 0) & (a > 0)
    if known.any():
        span, top = np.array([b[known].min(), b[known].max()]), a[known].max()
        for power, name, style in ((1.0, "b", "-"), (0.5, "√b", "--")):
            powers.loglog(span, top * (span / span[1]) ** power, style, color="0.6", lw=1, label=f"a ∝ {name}")
    powers.set(title="aₖ₊₁ against bₖ", xlabel="bₖ = ‖wₖ − wₖ₋₁‖", ylabel="aₖ₊₁ = ‖μₖ₊₁ − μₖ‖")
    for axis in (changes, progress, ratios, powers):
        drawing.legend(axis)
    figure.set_label(" ".join([verdict["headline"], *_of_printed(verdict)[:-1]]))
    return figure


def html(trace: xr.Dataset, verdict: dict[str, Any], picture: bytes) -> str:
    """Fill the template: one file with its figure inside.

    Args:
        trace: as `kinlim.fem.pinned.picard.iterate` returns it.
        verdict: as `judge` gives it.
        picture: `figure` as PNG, from `kinlim.validation.drawing.png`.
    """
    return report.render(
        "pinned/wellposed.html",
        trace=trace.attrs,
        verdict=verdict,
        model=report.model_of(trace),
        picture=picture,
    )


def _positive(values: Array) -> Array:
    """What a logarithmic axis can show."""
    return np.where(values > 0, values, np.nan)
