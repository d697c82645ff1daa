"""The inequalities of Section 6, as printed and as mended, and the recursions of Lemma 6.4 that go with them.

The printed proof bounds ||sqrt|f| - sqrt|h||| in L2 by ||f - h|| in L1, where (sqrt|f| - sqrt|h|)^2 <= |f - h| gives
the root of that. With it, L the length of the interval and f = w_k, h = w_{k-1}, e = mu_k, g = mu_{k-1},

    (6.5')   ||mu_{k+1} - mu_k||_H1 <= lambda_B (1 + min(T/2, L^2/pi^2))^(1/2) ||f - h||^(1/2),
    (6.6')   ||w_{k+1} - w_k||_L1 <= min(T, L^2/8) [ ||e_x - g_x|| (||e_x + g_x|| + lambda_B ||f||^(1/2))
                                                     + lambda_B ||g_x|| ||f - h||^(1/2) ].

(6.5'): u = mu_{k+1} - mu_k, s = sqrt|f| - sqrt|h| have |u(t)|^2/2 + ||u_x||^2 <= lambda_B ||s|| ||u_x|| on [0, t], so
that ||u_x|| <= lambda_B ||s|| and |u(t)|^2 <= lambda_B^2 ||s||^2/2; and int u = 0, whence ||u|| <= (L/pi) ||u_x||.
(6.6'): Duhamel, and for g >= 0 int_0^infinity int e^{t Laplace} g = int g(x) (x - a)(b - x)/2 <= L^2/8 int g.

(B') is unchanged by (mu, w) -> (c mu, c^2 w), and so are the two above; (6.5) is not, and fails for small c, (6.6)
where e = g.
"""

from dataclasses import dataclass
from math import log, pi, sqrt

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLOOR = 1e-12
"""Changes below this part of the iterate are rounding, and prove nothing."""

LARGE = 0.1
"""Changes above this part of the iterate are of order one."""

LONGEST, SHORTEST = 1e3, 1e-18
"""Times between which the recursion of Lemma 6.4 is tried."""


@dataclass(frozen=True)
class Inequality:
    """One inequality, evaluated on the iterates.

    Attributes:
        label: its number in the paper, with a prime where it is mended.
        kind: "printed" or "careful".
        statement: the inequality, in words of the paper.
        first: k of the first row, the iterate that the left side is about.
        left: shape (iterations, times).
        right: the same.
        counts: where the left side is more than rounding.
        large: where the change of w behind it is at least LARGE times w, so that neither side is small.
    """

    label: str
    kind: str
    statement: str
    first: int
    left: Array
    right: Array
    counts: NDArray[np.bool_]
    large: NDArray[np.bool_]

    @property
    def ratio(self) -> Array:
        """Left over right, NaN where it says nothing; infinite where the right side alone vanishes."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.counts & np.isfinite(self.right), self.left / self.right, np.nan)


def inequalities(trace: xr.Dataset) -> list[Inequality]:
    """Evaluate both sides of the inequalities of Section 6, as printed and mended, for every iterate and T'."""
    q = {str(name): trace[name].to_numpy() for name in trace.data_vars if trace[name].dims == ("iteration", "time")}
    lam, length, T = trace.attrs["lambda_B"], trace.attrs["length"], trace["time"].to_numpy()
    a, b, mu, mu_x, w, root = q["a"], q["b"], q["mu_h1"], q["mu_x_l2"], q["w_l1"], q["root_change"]
    change, total = q["mu_x_change"], q["mu_x_sum"]
    sum_a, sum_b = np.cumsum(a, axis=0), np.cumsum(b, axis=0)
    printed = lam * np.sqrt(2 * T + 1)
    careful = lam * np.sqrt(1 + np.minimum(T / 2, (length / pi) ** 2))
    smooth = np.minimum(T, length**2 / 8)
    mean0, w0 = q["mu_l2"][0] ** 2 / T, w[0] / T  # |mu(0)|^2 and |w(0)|: the zeroth iterate is constant in time
    known_a, known_b = a > FLOOR * mu, b > FLOOR * w + (FLOOR * mu) ** 2
    found: list[Inequality] = []

    behind = np.divide(b, w, out=np.zeros_like(b), where=w > 0) > LARGE

    def add(label: str, kind: str, statement: str, left: Array, right: Array, known: NDArray[np.bool_]) -> None:
        rows = min(len(left), len(right))  # left: up to the last iterate; right: as far as there is an iterate after it
        first = len(trace.iteration) - len(left)
        counts, large = known[first : first + rows], behind[first - 1 : first - 1 + rows]
        found.append(Inequality(label, kind, statement, first, left[:rows], right[:rows], counts, large))

    # n = 0 compares the first iterate with data constant in time, which no heat equation has made.
    def bound_b(n: slice) -> Array:
        return T * (1 + lam) * a[n] * (2 * sum_a[n] + sum_b[n]) + T * lam * b[n] * sum_a[n]

    now, old, after, second = slice(1, -1), slice(None, -2), slice(1, None), slice(2, None)
    add("step to (6.5)", "printed", "‖√|wₖ| − √|wₖ₋₁|‖ ≤ ‖wₖ − wₖ₋₁‖", root[after], b[after], known_b)
    add("(6.5), (6.7), (6.9)", "printed", "aₖ₊₁ ≤ λ√(2T+1) bₖ", a[second], printed * b[now], known_a)
    add(
        "(6.6)",
        "printed",
        "bₖ₊₁ ≤ T(1+λ)‖eₓ−gₓ‖(‖eₓ‖+‖gₓ‖+‖f‖) + Tλ‖gₓ‖‖f−h‖",
        b[second],
        T * (1 + lam) * change[now] * (mu_x[now] + mu_x[old] + w[now]) + T * lam * mu_x[old] * b[now],
        known_b,
    )
    add("(6.10)", "printed", "bₖ₊₁ ≤ T(1+λ)aₖ(2Σa+Σb) + Tλbₖ Σa", b[second], bound_b(now), known_b)
    add("(6.9), n = 0", "printed", "a₁ ≤ λ√(2T+1) b₀", a[after], printed * b[:1], known_a)
    add("(6.10), n = 0", "printed", "b₁ ≤ T(1+λ)a₀(2a₀+b₀) + Tλb₀a₀", b[after], bound_b(slice(0, 1)), known_b)
    add("root", "careful", "‖√|wₖ| − √|wₖ₋₁|‖² ≤ ‖wₖ − wₖ₋₁‖", root[after] ** 2, b[after], known_b)
    add("Lemma 6.2", "careful", "‖(μₖ₊₁−μₖ)ₓ‖ ≤ λ‖√|wₖ| − √|wₖ₋₁|‖", change[second], lam * root[now], known_a)
    add("(6.5′)", "careful", "aₖ₊₁ ≤ λ√(1+min(T/2, L²/π²)) bₖ^½", a[second], careful * np.sqrt(b[now]), known_a)
    add(
        "(6.6′)",
        "careful",
        "bₖ₊₁ ≤ min(T, L²/8)[‖eₓ−gₓ‖(‖eₓ+gₓ‖+λ‖f‖^½) + λ‖gₓ‖‖f−h‖^½]",
        b[second],
        smooth * (change[now] * (total[now] + lam * np.sqrt(w[now])) + lam * mu_x[old] * np.sqrt(b[now])),
        known_b,
    )
    add(
        "(6.10′)",
        "careful",
        "bₖ₊₁ ≤ min(T, L²/8)[aₖ(2Σa+λ(Σb)^½) + λbₖ^½ Σa]",
        b[second],
        smooth * (a[now] * (2 * sum_a[now] + lam * np.sqrt(sum_b[now])) + lam * np.sqrt(b[now]) * sum_a[now]),
        known_b,
    )
    before = slice(None, -1)
    add("a priori, μ", "careful", "‖(μₖ₊₁)ₓ‖² ≤ |μ(0)|²+λ²‖wₖ‖", mu_x[after] ** 2, mean0 + lam**2 * w[before], known_a)
    add(
        "a priori, w",
        "careful",
        "‖wₖ₊₁‖ ≤ min(T, L²/8)[|w(0)| + λ‖(μₖ)ₓ‖‖wₖ‖^½ + ‖(μₖ)ₓ‖²]",
        w[after],
        smooth * (w0 + lam * mu_x[before] * np.sqrt(w[before]) + mu_x[before] ** 2),
        known_b,
    )
    return found


def recursion(a0: float, b0: float, lam: float, T: float, count: int) -> tuple[Array, Array]:
    """Run (6.9) and (6.10) with equality: A_n and B_n, n = 0..count, fewer where they grow beyond 1e100.

    It is what the printed proof must show to converge (Lemma 6.4).
    """
    A, B, sum_a, sum_b = [a0], [b0], a0, b0
    while len(A) <= count and B[-1] < 1e100:
        bound = T * (1 + lam) * A[-1] * (2 * sum_a + sum_b) + T * lam * B[-1] * sum_a
        A.append(lam * sqrt(2 * T + 1) * B[-1])
        B.append(bound)
        sum_a, sum_b = sum_a + A[-1], sum_b + B[-1]
    return np.array(A), np.array(B)


def careful_recursion(a0: float, b0: float, lam: float, T: float, length: float, count: int) -> tuple[Array, Array]:
    """Run (6.5') and (6.10') with equality, likewise.

    It never converges where a_0 > 0: B_{n+1} >= min(T, L^2/8) lambda_B a_0 B_n^(1/2), so that B_n cannot fall below
    about (min(T, L^2/8) lambda_B a_0)^2 for long.
    """
    smooth, c = min(T, length**2 / 8), lam * sqrt(1 + min(T / 2, (length / pi) ** 2))
    A, B, sum_a, sum_b = [a0], [b0], a0, b0
    while len(A) <= count and B[-1] < 1e100:
        bound = smooth * (A[-1] * (2 * sum_a + lam * sqrt(sum_b)) + lam * sqrt(B[-1]) * sum_a)
        A.append(c * sqrt(B[-1]))
        B.append(bound)
        sum_a, sum_b = sum_a + A[-1], sum_b + B[-1]
    return np.array(A), np.array(B)


def lemma_time(alpha: float, beta: float, lam: float) -> float | None:
    """Largest T for which the recursion of Lemma 6.4 converges from a_0 = alpha T^(1/2), b_0 = beta T.

    Found by bisection; `LONGEST` if that still converges, None if `SHORTEST` does not.
    """

    def converges(T: float) -> bool:
        A, B = recursion(alpha * sqrt(T), beta * T, lam, T, 3000)
        return bool(A[-1] <= 1e-14 * A.sum() and B[-1] <= 1e-14 * B.sum())

    if converges(LONGEST):
        return LONGEST
    if not converges(SHORTEST):
        return None
    low, high = log(SHORTEST), log(LONGEST)
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if converges(float(np.exp(middle))) else (low, middle)
    return float(np.exp(low))
