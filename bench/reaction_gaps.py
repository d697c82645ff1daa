"""Decay to equilibrium of the kinetic reaction model: the tables of docs/reaction-hypocoercivity.md.

    python bench/reaction_gaps.py [gaps | truncated | bounds | sobolev | along | compactness | all]

Exact gaps against the limit, truncated matrices with their criterion, explicit bounds below the gap, the weights with
which H1 decays, and the functionals along a nonlinear solution of the discrete-velocity system. Takes two minutes.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from math import log2, pi, sqrt

import numpy as np
import xarray as xr
from scipy.integrate import solve_ivp

from kinlim.models.reaction.profile import GaussianProfile, MixtureProfile, PowerProfile
from kinlim.validation.reaction import sobolev
from kinlim.validation.reaction.compactness import averaging, lemma_3_4
from kinlim.validation.reaction.decay import rate
from kinlim.validation.reaction.functionals import functionals
from kinlim.validation.reaction.hypocoercivity import overall
from kinlim.validation.reaction.linearised import Linearised
from kinlim.validation.reaction.spectrum import gap
from kinlim.validation.reaction.theorem import METHODS, bound
from kinlim.validation.reaction.truncated import abscissa, rule

UNIT = GaussianProfile(family="gaussian", covariance=1.0)
NARROW = GaussianProfile(family="gaussian", covariance=0.25)
HUMPS = MixtureProfile(family="mixture", weights=(0.5, 0.5), means=(-1.0, 1.0), covariances=(0.01, 0.01))
POWER = PowerProfile(family="power", k=3.0)
HEAVY = PowerProfile(family="power", k=2.0)
RHOS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
EPSILONS = (1.0, 0.3, 0.2, 0.1, 0.05, 0.01, 1e-3, 1e-4)
PAIRS = {"N(0,1), N(0,1/4)": (UNIT, NARROW), "power 3, N(0,1/4)": (POWER, NARROW), "power 2, N(0,1/4)": (HEAVY, NARROW),
         "humps at -1 and 1, both": (HUMPS, HUMPS)}  # fmt: skip


def row(cells: Sequence[object]) -> None:
    """Print a row of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def head(title: str, cells: Sequence[object]) -> None:
    """Print the title and the head of a Markdown table."""
    print(f"\n{title}\n")
    row(cells)
    row(["---"] * len(cells))


def gaps() -> None:
    """Gaps of k = 1 over epsilon."""
    rho = 2.0
    head(f"rho_inf = {rho:g}: rate of k = 1; * the essential spectrum; +- i frequency", ["epsilon", *PAIRS])
    for epsilon in EPSILONS:
        cells = []
        for pair in PAIRS.values():
            found = gap(Linearised(rho, epsilon, *pair), (1,))
            swing = f" +- {found.frequency:.6g}i" if found.frequency else ""
            cells.append(f"{found.rate:.8g}{swing}" if found.discrete else f"{found.rate:.8g}*")
        row([epsilon, *cells])
    row(["limit", *(f"{Linearised(rho, 1.0, *pair).diffusion_rate((1,)):.8g}" for pair in PAIRS.values())])
    head("epsilon above which k = 1 has no eigenvalue to the right of the essential spectrum", ["rho_inf", *PAIRS])
    for rho in RHOS:
        row([rho, *(f"{threshold(rho, *pair):.5g}" for pair in PAIRS.values())])
    began = time.perf_counter()
    for _ in range(20):
        gap(Linearised(2.0, 0.05, UNIT, NARROW), (1,))
    print(f"\none gap: {(time.perf_counter() - began) / 20 * 1e3:.1f} ms")


def threshold(rho: float, chi1: object, chi2: object) -> float:
    """Bisection in log epsilon."""
    low, high = 1e-4, 10.0
    for _ in range(30):
        middle = sqrt(low * high)
        discrete = gap(Linearised(rho, middle, chi1, chi2), (1,)).discrete  # type: ignore[arg-type]
        low, high = (middle, high) if discrete else (low, middle)
    return low


def truncated() -> None:
    """Relative errors of the spectral abscissa, and its criterion."""
    counts = (8, 16, 32, 64, 128)
    title = "rho_inf = 1, k = 1: relative error of minus the spectral abscissa | criterion; T: trusted"
    head(title, ["profiles", "epsilon", "decided by", *(f"K = {n}" for n in counts)])
    for name, pair in PAIRS.items():
        for epsilon in (0.05, 0.1, 0.2, 0.5):
            system = Linearised(1.0, epsilon, *pair)
            exact, cells = gap(system, (1,)), []
            for n in counts:
                found = abscissa(system.mode((1,)), n)
                wrong = abs(-found.s.real / epsilon**2 / exact.rate - 1)
                cells.append(f"{wrong:.0e}, {found.error:.0e}{' T' if found.trusted else ''}")
            row([name, epsilon, "eigenvalue" if exact.discrete else "essential", *cells])


def bounds() -> None:
    """Explicit bounds below the gap over all modes."""
    for epsilon in (1.0, 0.1, 0.01):
        head(f"epsilon = {epsilon:g}, {next(iter(PAIRS))}", ["rho_inf", "gap", "lambda_m", "lambda_M", "C_M",
             *(f"{m}: rate, delta, C" for m in METHODS), "best/gap"])  # fmt: skip
        for rho in RHOS:
            found = overall(Linearised(rho, epsilon, UNIT, NARROW))
            one = found["theorem"]
            shown = [f"{b.rate:.4g}, {b.delta:.3g}, {b.prefactor:.3f}" for b in (found[m] for m in METHODS)]
            best = max(found[m].rate for m in METHODS) / found["gap"]
            star = "" if found["k"] else "*"
            row([rho, f"{found['gap']:.5g}{star}", f"{one.lambda_m:.4g}", f"{one.lambda_M:.4g}", f"{one.C_M:.4g}",
                 *shown, f"{best:.2f}"])  # fmt: skip
    head("rho_inf = 2: does the rate degenerate as epsilon -> 0?", ["epsilon", "gap", *METHODS])
    for epsilon in (1.0, 0.1, 1e-2, 1e-3, 1e-4):
        system = Linearised(2.0, epsilon, UNIT, NARROW)
        found = [bound(system, method) for method in METHODS]
        row([epsilon, f"{min(gap(system, (1,)).rate, system.essential):.5g}", *(f"{b.rate:.4g}" for b in found if b)])


def weights() -> None:
    """Weights with which H1 decays."""
    head("H1: unit weights, best delta and tau (delta -: none with tau > 0); with omega",
         ["rho_inf", "epsilon", "sigma1, sigma2", "tau at omega = 1", "omega, delta, tau", "2 gap"])  # fmt: skip
    for rho, epsilon, s1, s2 in [(1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 0.5), (0.6, 1.0, 1.0, 1.0), (0.5, 1.0, 1.0, 1.0),
                                 (2.0, 1.0, 1.0, 0.5), (1 / 8, 1.0, 1.0, 0.5), (8.0, 1.0, 1.0, 0.5), (2.0, 0.1, 1.0,
                                 0.5), (2.0, 0.01, 1.0, 0.5), (2.0, 0.001, 1.0, 0.5)]:  # fmt: skip
        unit, found = sobolev.best_delta(rho, epsilon, s1, s2, 1.0), sobolev.modified(rho, epsilon, s1, s2)
        chis = (GaussianProfile(family="gaussian", covariance=s**2) for s in (s1, s2))
        both = 2 * overall(Linearised(rho, epsilon, *chis))["gap"]
        shown = f"{found.omega:.3g}, {found.delta:.3g}, {found.tau:.4g}" if found else "none found"
        plain = f"{unit.tau:.4g} (delta = {unit.delta:.3g})" if unit.tau > 0 else "-"
        row([rho, epsilon, f"{s1:g}, {s2:g}", plain, shown, f"{both:.4g}"])


def nonlinear(system: Linearised, nodes: int, points: int, times: np.ndarray, size: float) -> xr.Dataset:
    """The nonlinear discrete-velocity system, spectral in x, from f/chi1 and g/chi2 of relative amplitude size."""
    mode, rho, epsilon = system.mode((1,)), system.rho_inf, system.epsilon
    law1, law2 = rule(mode.law1, nodes), rule(mode.law2, nodes)
    x, k = np.arange(points) / points, np.fft.fftfreq(points, 1 / points) * (np.arange(points) != points // 2)
    derivative = np.fft.ifft(2j * pi * k[:, None] * np.fft.fft(np.eye(points), axis=0), axis=0).real
    rest = np.array([rho, 1 / rho])[:, None, None]

    def change(_: float, y: np.ndarray) -> np.ndarray:
        f, g = y.reshape(2, nodes, points) * size + rest
        new_f = 1 - (law2.masses @ g) * f - epsilon * law1.nodes[:, None] * (f @ derivative.T)
        new_g = 1 - (law1.masses @ f) * g - epsilon * law2.nodes[:, None] * (g @ derivative.T)
        return np.concatenate([new_f.ravel(), new_g.ravel()]) / epsilon**2 / size

    def jacobian(_: float, y: np.ndarray) -> np.ndarray:
        (f, g), n = y.reshape(2, nodes, points) * size + rest, np.arange(points)
        full = np.zeros((2, nodes, points, 2, nodes, points))
        for i in range(nodes):
            for species, law in enumerate((law1, law2)):
                full[species, i, :, species, i] = -epsilon * law.nodes[i] * derivative
            full[0, i, n, 0, i, n] -= law2.masses @ g
            full[1, i, n, 1, i, n] -= law1.masses @ f
            full[0, i, n, 1, :, n] -= f[i][:, None] * law2.masses
            full[1, i, n, 0, :, n] -= g[i][:, None] * law1.masses
        return full.reshape(len(y), len(y)) / epsilon**2

    wave = np.outer(np.ones(nodes), np.cos(2 * pi * x)).ravel()
    start = np.concatenate([rho * wave, -wave / rho])
    found = solve_ivp(change, (0, times[-1]), start, "BDF", times, rtol=1e-7, atol=1e-12, jac=jacobian).y
    values = found.reshape(2, nodes, points, len(times)) * size + rest[..., None]
    variables = {"f": (("time", "node", "x"), np.moveaxis(values[0], -1, 0))}
    variables["g"] = (("time", "node", "x"), np.moveaxis(values[1], -1, 0))
    for name, at_nodes in (("v_f", law1.nodes), ("v_g", law2.nodes), ("chi1", law1.masses), ("chi2", law2.masses)):
        variables[name] = (("node",), at_nodes)
    return xr.Dataset(variables, {"time": times, "x": x}, {"epsilon": epsilon, "rho_inf": rho})


def along() -> None:
    """Measured decay and the functionals along nonlinear solutions."""
    columns = ["profiles", "rho_inf", "epsilon", "a", "rate of m, k = 1", "exact gap", "relative difference"]
    columns += ["rise of H0, H1", "decay of the distance, sqrt H0, sqrt H1"]
    head("nonlinear solutions from f = rho_inf (1 + a cos 2 pi x) chi1, g = (1 - a cos 2 pi x) chi2/rho_inf", columns)
    cases = [(UNIT, NARROW, 2.0, 0.05, 32), (UNIT, NARROW, 0.5, 0.1, 32), (HUMPS, HUMPS, 1.0, 0.1, 12)]
    for chi1, chi2, rho, epsilon, nodes in cases:
        system = Linearised(rho, epsilon, chi1, chi2)
        exact = gap(system, (1,))
        for size in (1e-3, 0.4):
            times = np.linspace(0, 10 / exact.rate, 81)
            data = nonlinear(system, nodes, 8, times, size)
            m = data["chi1"].to_numpy() @ data["f"].to_numpy() - data["chi2"].to_numpy() @ data["g"].to_numpy()
            measured = rate(times, np.fft.fft(m, axis=1)[:, 1], np.full(81, 1e-8 * size))
            found = functionals(data)
            fits = [rate(times, found[name].to_numpy() ** p, np.full(81, 1e-8 * found[name].to_numpy()[0] ** p))
                    for name, p in (("distance", 1), ("H0", 0.5), ("H1", 0.5)) if name in found]  # fmt: skip
            swing = f" +- {measured.frequency:.5g}i" if measured and measured.frequency else ""
            label = "humps" if chi1 is HUMPS else "Gaussians"
            row([label, rho, epsilon, size, f"{measured.rate:.6g}{swing}" if measured else "-",
                 f"{exact.rate:.6g}" + (f" +- {exact.frequency:.5g}i" if exact.frequency else ""),
                 f"{measured.rate / exact.rate - 1:.1e}" if measured else "-",
                 ", ".join(f"{found.attrs[key]:.1g}" for key in ("H0_rise", "H1_rise") if key in found.attrs),
                 ", ".join(f"{fit.rate:.4g}" if fit else "-" for fit in fits)])  # fmt: skip


def compactness() -> None:
    """Exponent and constant of Lemma 3.2, constant of Lemma 3.4."""
    head("|xi|: slope of -log K/2 over an octave", ["profile", "32 pi", "512 pi", "sqrt(|xi| K) at 1024 pi"])
    for name, chi in (("N(0,1)", UNIT), ("power 3", POWER), ("power 2", HEAVY), ("humps", HUMPS)):
        p = Linearised(1.0, 1.0, chi, chi).mode((1,)).law1
        slopes = [log2(averaging(p, length) / averaging(p, 2 * length)) / 2 for length in (32 * pi, 512 * pi)]
        row([name, *(f"{slope:.4f}" for slope in slopes), f"{sqrt(1024 * pi * averaging(p, 1024 * pi)):.4f}"])
    head("best constant of (35)", ["gamma", "constant"])
    for gamma in (1 / 3, 1 / 2, 1.0, 5.0):
        row([f"{gamma:.4g}", f"{lemma_3_4(gamma):.4f}"])


PARTS: dict[str, Callable[[], None]] = {
    "gaps": gaps, "truncated": truncated, "bounds": bounds, "sobolev": weights, "along": along,
    "compactness": compactness,
}  # fmt: skip


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="all", choices=[*PARTS, "all"])
    part = parser.parse_args().part
    for name, show in PARTS.items():
        if part in (name, "all"):
            show()


if __name__ == "__main__":
    main()
