"""What is known of the oriented swap process, beside what the sorting kernel does: (2.1)-(2.2) of the pinned balls.

    python bench/oriented_swap.py [--effort 1]

Ball 1 .. n holds a velocity; one collision sorts a uniform one of the n - 1 adjacent pairs. Collision number N happens
at time t = N/(n-1), so that every pair is chosen once per unit of time, and the sources' continuous time, in which
pairs are chosen at the points of independent Poisson processes of rate 1, differs from t by O(sqrt(t/n)). Ranks 1 .. n
count velocities from the smallest, which ends at ball 1. docs/sorting.md has the statements, their sources, and the
derivations of those that have none.
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import special, stats
from scipy.interpolate import PchipInterpolator

from kinlim.stochastic.pinned.redistribute import LANES, width
from kinlim.stochastic.pinned.sorting import advance, workspace
from kinlim.stochastic.streams import start

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Rows = Callable[[int, int], Array]
"""Initial velocities of replicas first .. first + count - 1, shape (count, n)."""

GOE_MEAN, GOE_VARIANCE = -1.2065335745820, 1.6077810345810
"""Of the Tracy-Widom law F1: Bornemann, Markov Process. Relat. Fields 16 (2010) 803-866; `goe_cdf` gives the same."""


# --- the kernel: the one part that knows it ---------------------------------------------------------------------------


def simulate(
    rows: Rows, n: int, replicas: int, seed: int, collisions: Sequence[int] = (), tagged: float = 0, finish: bool = True
) -> tuple[Counts, Counts]:
    """Let replicas collide, until they are sorted if they are to `finish`.

    Returns:
        Number of the last collision that swapped anything, shape (replicas,), and the ball that has the velocity
        `tagged` after each number of `collisions`, shape (len(collisions), replicas).
    """
    last, places = np.zeros(replicas, np.int64), np.zeros((len(collisions), replicas), np.int64)

    def block(first: int) -> None:
        count = min(8 * LANES, replicas - first)
        lanes = -(-count // LANES) * LANES
        v, streams, room, done = np.zeros((lanes, width(n))), np.empty((4, lanes), np.uint64), workspace(), 0
        start(streams, np.uint64(seed), first)
        v[:, :n] = rows(first, lanes)
        latest = np.zeros(lanes, np.int64)
        for k, until in enumerate(collisions):
            advance(v, latest, n, streams, done, until - done, *room)
            done = until
            places[k, first : first + count] = 1 + np.argmax(v[:count, :n] == tagged, axis=1)
        while finish and (v[:, 1:n] < v[:, : n - 1]).any():
            advance(v, latest, n, streams, done, n * n // 8 + 8, *room)
            done += n * n // 8 + 8
        last[first : first + count] = latest[:count]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(block, range(0, replicas, 8 * LANES)))
    return last, places


def reverse(n: int) -> Rows:
    """Velocities n, n-1, ..., 1: everything must be reversed."""
    return lambda _, count: np.tile(np.arange(n, 0, -1.0), (count, 1))


def shuffle(n: int, seed: int) -> Rows:
    """A uniformly random order of 1 .. n."""

    def rows(first: int, count: int) -> Array:
        return np.random.default_rng([seed, first]).permuted(np.tile(np.arange(1.0, n + 1), (count, 1)), axis=1)

    return rows


def above(rows: Rows, k: int) -> Rows:
    """1 for ranks above k, 0 for the others: the last swap is then the last between the two kinds."""
    return lambda first, count: (rows(first, count) > k).astype(float)


def noise(n: int, ball: int, u: float, seed: int) -> Rows:
    """Independent velocities, uniform in [0, 1], but u at one ball."""

    def rows(first: int, count: int) -> Array:
        v = np.random.default_rng([seed, first]).random((count, n))
        v[:, ball - 1] = u
        return v

    return rows


# --- exact, for few balls ---------------------------------------------------------------------------------------------


class Chain:
    """The chain on all orders of n velocities; state 0 is sorted, the last one is reversed."""

    def __init__(self, n: int) -> None:
        """List states and moves; n <= 8."""
        self.n = n
        self.orders = np.array(list(permutations(range(1, n + 1))))
        powers = (n + 1) ** np.arange(n)[::-1]
        codes = self.orders @ powers  # increasing
        self.moves = []
        for x in range(n - 1):
            after = self.orders.copy()
            after[:, x : x + 2].sort(axis=1)
            self.moves.append(np.searchsorted(codes, after @ powers))

    def step(self, p: Array) -> Array:
        """Probabilities of the states after one more collision."""
        moved = np.sum([np.bincount(move, p, len(p)) for move in self.moves], axis=0)
        return moved / (self.n - 1)

    def begin(self, shuffled: bool) -> Array:
        """Probabilities at the beginning: of every order alike, or reversed."""
        p = np.full(len(self.orders), 1 / len(self.orders)) if shuffled else np.zeros(len(self.orders))
        p[-1] += not shuffled
        return p

    def last_swap(self, shuffled: bool = False) -> Array:
        """P(last swap is collision m), m = 0, 1, ...; what is left out is below 1e-12."""
        p, sorted_ = self.begin(shuffled), []
        while p[0] < 1 - 1e-12:
            sorted_.append(p[0])
            p = self.step(p)
        return np.diff(sorted_, prepend=0.0)

    def places(self, rank: int, collisions: int, shuffled: bool = False) -> Array:
        """P(ball 1 .. n has the velocity of that rank), after so many collisions."""
        p = self.begin(shuffled)
        for _ in range(collisions):
            p = self.step(p)
        return p @ (self.orders == rank)


def in_collisions(n: int, mean: float, variance: float) -> tuple[float, float]:
    """Mean and variance of N, given those of the continuous time T.

    T is a sum of N waiting times, exponential of mean 1/(n-1) and independent of N, so E T = E N/(n-1) and
    Var T = (Var N + E N)/(n-1)^2.
    """
    return (n - 1) * mean, (n - 1) ** 2 * variance - (n - 1) * mean


# --- exact, for any number --------------------------------------------------------------------------------------------


gauss_legendre = cache(np.polynomial.legendre.leggauss)
"""Nodes and weights on [-1, 1]."""


@njit(error_model="numpy")
def _orthonormal(log_first: Array, a: Array, b: Array, c: Array, x: Array) -> Array:
    """Solve f_(k+1) = (a_k + b_k x) f_k - c_k f_(k-1) from f_0 = exp(log_first), which may underflow; (k, x)."""
    out = np.empty((a.size, x.size))
    for i in range(x.size):
        f, before, log = 1.0, 0.0, log_first[i]
        for k in range(a.size):
            out[k, i] = f * math.exp(log)
            f, before = (a[k] + b[k] * x[i]) * f - c[k] * before, f
            size = max(abs(f), abs(before))
            if size > 1e100:
                f, before, log = f / size, before / size, log + math.log(size)
    return out


def hermite_functions(count: int, x: Array) -> Array:
    """Eigenfunctions 0 .. count-1 of the harmonic oscillator, shape (count, x.size)."""
    k = np.arange(count)
    first = -x * x / 2 - math.log(math.pi) / 4
    return _orthonormal(first, np.zeros(count), np.sqrt(2 / (k + 1)), np.sqrt(k / (k + 1)), x)


def laguerre_functions(count: int, alpha: int, x: Array) -> Array:
    """Functions 0 .. count-1 orthonormal on x > 0 with weight x^alpha exp(-x) within, up to signs, (count, x.size)."""
    k = np.arange(count)
    norm = np.sqrt((k + 1.0) * (k + alpha + 1))
    first = (alpha * np.log(x) - x - math.lgamma(alpha + 1)) / 2
    return _orthonormal(first, (2 * k + alpha + 1) / norm, -1 / norm, np.sqrt(k * (k + alpha + 0.0)) / norm, x)


def absorbing_cdf(n: int, t: float) -> float:
    """P(T <= t) for the time T at which n reversed velocities are sorted.

    T is the point-to-line passage time (see `point_to_line`), and 2 T the largest eigenvalue of A A^T, with A an
    (n-1) x n matrix of independent N(0, 1). That law is det(1 - P R P), P the projection on the first n - 1 Hermite
    functions, (R f)(x) = f(2 r - x), r^2 = t; here by the trapezoidal rule around r, where alone R P is not nilpotent.
    """
    if t <= 0:
        return 0.0
    r, edge, beyond = math.sqrt(t), math.sqrt(2 * n - 1), 9 * (n - 1) ** (-1 / 6)
    half = max(edge - r, 0) + beyond
    momentum = math.sqrt(max(edge**2 - (r - half) ** 2, 0)) if r > half else edge
    x = np.linspace(r - half, r + half, 2 * math.ceil(half * (momentum + 9) / math.pi) + 1)
    f = hermite_functions(n - 1, x)
    return float(np.linalg.det(np.eye(x.size) - (x[1] - x[0]) * f[:, ::-1].T @ f))


def corner_cdf(i: int, j: int, t: float) -> float:
    """P(G(i, j) <= t), G(i, j) the point-to-point passage time through i x j exponential weights.

    The largest eigenvalue of the Laguerre unitary ensemble: det(1 - K) on (t, infinity).
    """
    if t <= 0:
        return 0.0
    count, alpha = min(i, j), abs(i - j)
    side = math.sqrt(i) + math.sqrt(j)
    scale = side * (1 / math.sqrt(i) + 1 / math.sqrt(j)) ** (1 / 3)
    length = max(side**2 - t, 0) + 14 * scale
    node, weight = gauss_legendre(30 + 2 * min(count, 25))
    f = laguerre_functions(count, alpha, t + length * (1 + node) / 2) * np.sqrt(weight * length / 2)
    return float(np.linalg.det(np.eye(count) - f @ f.T))


def place_law(n: int, rank: int, t: float) -> Array:
    """P(ball 1 .. n has the velocity of that rank) at continuous time t, from reversed order.

    Ranks >= `rank` and ranks > `rank` are two exclusion processes; the velocity is where only the first has a particle.
    """

    def density(k: int) -> Array:
        """P(ball 1 .. n has a rank > k): particle i from the right has taken j steps once G(i, j) <= t."""
        occupied = np.zeros(n + 2)
        for i in range(1, n - k + 1):
            taken = [1.0, *(corner_cdf(i, j, t) for j in range(1, k + 1)), 0.0]
            occupied[n - k + 1 - i : n + 2 - i] -= np.diff(taken)
        return occupied[1 : n + 1] if k else np.ones(n)

    return density(rank - 1) - density(rank)


def after(law: Callable[[float], Array], n: int, collisions: int) -> Array:
    """A law after a number of collisions from the one at continuous time, up to O(1/t^2).

    At time t that number is Poisson with mean and variance m = (n-1) t, so f(t) = E g(M) = g(m) + m g''(m)/2 + ...,
    and g = f - m f''/2 up to the next order, with derivatives in m.
    """
    t = collisions / (n - 1)
    h = 0.5 * math.sqrt(t)
    middle = law(t)
    return middle - t / (n - 1) / 2 * (law(t + h) - 2 * middle + law(t - h)) / h**2


def goe_cdf(s: float) -> float:
    """Tracy-Widom law F1(s) = det(1 - Ai((x+y)/2)/2) on (s, infinity): Ferrari and Spohn, J. Phys. A 38 (2005) L557."""
    node, weight = gauss_legendre(60)
    length = 20 + max(-s, 0)
    x, root = s + length * (1 + node) / 2, np.sqrt(weight * length / 2)
    return float(np.linalg.det(np.eye(60) - root[:, None] * special.airy((x[:, None] + x) / 2)[0] / 2 * root))


def mean_and_variance(cdf: Callable[[float], float], centre: float, scale: float) -> tuple[float, float, Callable]:
    """Of a law that lies within 9 scales below and 14 above a centre; and an interpolation of its cdf."""
    t = centre + scale * np.arange(-9, 14.2, 0.2)
    f = np.array([cdf(s) for s in t])
    beyond, h = 1 - f, t[1] - t[0]
    mean = t[0] + h * (beyond.sum() - 0.5)  # trapezoidal rule; with ends as flat as these, Euler-Maclaurin is exact
    square = (t[0] - mean) ** 2 + 2 * h * (((t - mean) * beyond).sum() - (t[0] - mean) / 2)
    return mean, square + h * h / 6, PchipInterpolator(t, f)


def absorbing_law(n: int) -> tuple[float, float, Callable]:
    """Mean, variance and cdf of the time at which n reversed velocities are sorted."""
    return mean_and_variance(lambda t: absorbing_cdf(n, t), 2 * n - 1.2 * (2 * n) ** (1 / 3), (2 * n) ** (1 / 3))


def corner_law(i: int, j: int) -> tuple[float, float, Callable]:
    """Mean, variance and cdf of G(i, j), the time at which i large velocities have passed j small ones."""
    side = math.sqrt(i) + math.sqrt(j)
    scale = side * (1 / math.sqrt(i) + 1 / math.sqrt(j)) ** (1 / 3)
    return mean_and_variance(lambda t: corner_cdf(i, j, t), side**2 - 1.8 * scale, scale)


@njit(error_model="numpy")
def point_to_line(n: int, samples: int, rng: np.random.Generator) -> Array:
    """Sample max over i + j = n of G(i, j): the longest way through a triangle of exponential weights."""
    out, g = np.empty(samples), np.zeros(n)
    for s in range(samples):
        g[:] = 0.0
        longest = 0.0
        for i in range(1, n):
            for j in range(1, n - i + 1):
                g[j] = max(g[j], g[j - 1]) + rng.standard_exponential()
            longest = max(longest, g[n - i])
        out[s] = longest
    return out


# --- limits -----------------------------------------------------------------------------------------------------------


def fronts(a: float, tau: float) -> tuple[float, float]:
    """Where, in reversed order, ranks above a n are still mixed with those below, at time tau n: from, to."""
    low = max(math.sqrt(tau) - math.sqrt(1 - a), 0) ** 2
    high = 1 - max(math.sqrt(tau) - math.sqrt(a), 0) ** 2
    return (low, high) if low < high else (a, a)


def speed_then_front(speed: Array, a: float, tau: float) -> Array:
    """Place/n at time tau n, from reversed order, of the velocity of rank a n, given its speed before it meets a front.

    Angel, Holroyd and Romik: the speed is uniform in [-1, 1].
    """
    return np.clip(1 - a + speed * tau, *fronts(a, tau))


def straight_then_shock(begin: Array, a: float, tau: float) -> Array:
    """Place/n at time tau n, from random order, of the velocity of rank a n that began at `begin`, a fraction of n."""
    return np.clip(begin + (2 * a - 1) * min(tau, 1), a * min(tau, 1), 1 - (1 - a) * min(tau, 1))


@njit(error_model="numpy")
def hopf_lax(orders: Array) -> Array:
    """Predict the absorbing time of each given order, shape (samples, n), up to O(n^(1/3)): max over k of V(k).

    V(k) = max over z of (sqrt P + sqrt H)^2, P large velocities (rank above k) among balls 1 .. z, H small ones beyond:
    these have to pass each other, which takes as long as if they began in reversed order.
    """
    samples, n = orders.shape
    out = np.zeros(samples)
    for s in range(samples):
        for k in range(1, n):
            large = 0
            for z in range(1, n):
                large += orders[s, z - 1] > k
                small = k - (z - large)
                out[s] = max(out[s], large + small + 2 * math.sqrt(large * small))
    return out


# --- the table --------------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """A line of the table.

    Attributes:
        what: the quantity.
        source: of the known value: see docs/sorting.md.
        p: p-value of a test; nan where the known value is a limit, from which a deviation is expected.
        known: nan for a whole law.
        measured: the same.
        error: standard error of `measured`.
    """

    what: str
    source: str
    p: float
    known: float = math.nan
    measured: float = math.nan
    error: float = math.nan

    def __str__(self) -> str:
        """One line of text."""
        value = "" if math.isnan(self.measured) else f"{self.known:>11.5g}{self.measured:>14.5g} +- {self.error:<7.1g}"
        z = f"z {(self.measured - self.known) / self.error:+.1f}" if value else f"p {self.p:.2g}"
        return f"{self.what:<66}{value:<36}{'limit' if math.isnan(self.p) else z:>9}   {self.source}"


def compare(what: str, known: float, samples: Array, source: str, limit: bool = False) -> Line:
    """A mean with its known value."""
    mean, error = samples.mean(), samples.std(ddof=1) / math.sqrt(samples.size)
    p = math.nan if limit else 2 * stats.norm.sf(abs(mean - known) / error)
    return Line(what, source, p, known, mean, error)


def compare_variance(what: str, known: float, samples: Array, source: str, limit: bool = False) -> Line:
    """A variance with its known value, the standard error from the fourth moment."""
    deviation = samples - samples.mean()
    return compare(what, known, deviation**2 * (samples.size / (samples.size - 1)), source, limit)


def compare_counts(what: str, law: Array, samples: Counts, source: str) -> Line:
    """Chi-square of samples 0, 1, ... with a law; neighbouring cells are put together to at least ten expected."""
    beyond = max(samples.max() + 1 - law.size, 0)
    expected = np.pad(law, (0, beyond)) * samples.size
    observed = np.bincount(samples, minlength=expected.size)
    cells = np.minimum(np.cumsum(expected) // 10, expected.sum() // 10 - 1).astype(int)
    expected, observed = np.bincount(cells, expected), np.bincount(cells, observed)
    kept = expected > 0
    p = stats.chisquare(observed[kept], expected[kept] * (samples.size / expected[kept].sum())).pvalue
    return Line(what, source, p)


def compare_law(what: str, cdf: Callable[[Array], Array], samples: Array, source: str) -> Line:
    """Kolmogorov-Smirnov test of a continuous law."""
    return Line(what, source, stats.kstest(samples, cdf).pvalue)


def in_time(last: Counts, n: int, seed: int) -> Array:
    """Continuous times of collisions number `last`: sums of that many exponential waiting times of mean 1/(n-1)."""
    return np.random.default_rng(seed).gamma(last) / (n - 1)


def few_balls(n: int, replicas: int) -> Iterator[Line]:
    """Everything about n = 4, 5, 6, ... balls, from the chain on all orders."""
    chain = Chain(n)
    for shuffled, order in ((False, "reversed"), (True, "random order")):
        rows = shuffle(n, 5) if shuffled else reverse(n)
        counts = (n, 2 * n)
        last, places = simulate(rows, n, replicas, 100 + n, counts, tagged=2.0)
        law = chain.last_swap(shuffled)
        mean = law @ np.arange(law.size)
        yield compare(f"n {n}, {order}: E N", mean, last.astype(float), "chain")
        yield compare_variance(f"n {n}, {order}: Var N", law @ (np.arange(law.size) - mean) ** 2, last, "chain")
        yield compare_counts(f"n {n}, {order}: law of N", law, last, "chain")
        for k, count in enumerate(counts):
            law = chain.places(2, count, shuffled)
            yield compare_counts(f"n {n}, {order}: ball with rank 2 after {count}", law, places[k] - 1, "chain")


def point_to_line_times(n: int, samples: int) -> Iterator[Line]:
    """Passage times, without any sorting, from their exact law."""
    mean, variance, _ = absorbing_law(n)
    times = point_to_line(n, samples, np.random.default_rng(n))
    yield compare(f"n {n}, point-to-line passage time: mean", mean, times, "LOE")
    yield compare_variance(f"n {n}, point-to-line passage time: variance", variance, times, "LOE")


def reversed_order(n: int, replicas: int) -> Iterator[Line]:
    """From reversed order: the absorbing time, and the path of the velocity of rank 0.4 n."""
    a, taus = 0.4, (0.2, 1.0, 1.6)
    rank = round(a * n)
    last, places = simulate(reverse(n), n, replicas, n, [round(tau * n * (n - 1)) for tau in taus], float(rank))
    mean, variance, cdf = absorbing_law(n)
    yield compare(f"n {n}, reversed: E N/(n-1)", mean, last / (n - 1), "BGR22+LOE")
    known = in_collisions(n, mean, variance)[1] / (n - 1) ** 2
    yield compare_variance(f"n {n}, reversed: Var N/(n-1)^2", known, last / (n - 1), "BGR22+LOE")
    yield compare_law(f"n {n}, reversed: law of T", cdf, in_time(last, n, 1), "BGR22+LOE")
    scaled = (last / (n - 1) - 2 * n) / (2 * n) ** (1 / 3)
    yield compare(f"n {n}, reversed: E (T - 2n)/(2n)^(1/3)", GOE_MEAN, scaled, "BGR22", limit=True)
    yield compare_variance(f"n {n}, reversed: Var T/(2n)^(2/3)", GOE_VARIANCE, scaled, "BGR22", limit=True)
    speed = (places[0] - (n + 1 - rank)) / (taus[0] * n)
    yield compare_variance(f"n {n}, reversed: variance of the speed", 1 / 3, speed, "AHR09", limit=True)
    for tau, place in zip(taus[1:], places[1:], strict=True):
        limit = speed_then_front(np.linspace(-1, 1, 20001), a, tau).mean()
        yield compare(f"n {n}, reversed: mean place/n at {tau} n", limit, place / n, "AHR09", limit=True)
        off = np.abs(place / n - speed_then_front(speed, a, tau))
        yield compare(f"n {n}, reversed: distance from its predicted path at {tau} n", 0, off, "AHR09", limit=True)


def one_threshold(n: int, replicas: int) -> Iterator[Line]:
    """From reversed order, ranks above n/4 against the others: the last swap between balls n/4 and n/4 + 1."""
    k = n // 4
    last, _ = simulate(above(reverse(n), k), n, replicas, n + 1)
    mean, variance, cdf = corner_law(n - k, k)
    yield compare(f"n {n}, reversed, rank n/4: E V/n", mean / n, last / (n - 1) / n, "LUE")
    known = in_collisions(n, mean, variance)[1] / (n - 1) ** 2
    yield compare_variance(f"n {n}, reversed, rank n/4: Var V", known, last / (n - 1), "LUE")
    yield compare_law(f"n {n}, reversed, rank n/4: law of V", cdf, in_time(last, n, 2), "LUE")
    yield compare(f"n {n}, reversed, rank n/4: E V/n", 1 + math.sqrt(3) / 2, last / (n - 1) / n, "AHR09", limit=True)


def one_velocity(n: int, replicas: int) -> Iterator[Line]:
    """From reversed order: where the velocity of rank 0.4 n is, before and after it feels the ends."""
    rank, counts = round(0.4 * n), (n * n // 5, 4 * n * n // 5, 7 * n * n // 5)
    _, places = simulate(reverse(n), n, replicas, n + 2, counts, float(rank), finish=False)
    for count, place in zip(counts, places, strict=True):
        law = after(lambda t: place_law(n, rank, t), n, count)
        yield compare_counts(f"n {n}, reversed: ball with rank {rank} after {count}", law, place - 1, "LUE")


def random_order(n: int, replicas: int) -> Iterator[Line]:
    """From random order: absorbing time, one threshold, and the path of the velocity of rank 0.7 n."""
    a, taus = 0.7, (0.0, 0.5, 0.8)
    counts = [round(tau * n * (n - 1)) for tau in taus]
    last, places = simulate(shuffle(n, 6), n, replicas, n + 3, counts, float(round(a * n)))
    t = last / (n - 1)
    yield compare(f"n {n}, random: E T/n", 1, t / n, "here", limit=True)
    yield compare(f"n {n}, random: E (T - n)/n^(1/2)", math.nan, (t - n) / math.sqrt(n), "here", limit=True)
    predicted = hopf_lax(
        np.concatenate([shuffle(n, 6)(first, 8 * LANES) for first in range(0, 2 * 8 * LANES, 8 * LANES)])
    )
    off = t[: predicted.size] - predicted
    yield compare(f"n {n}, random: E (T - predicted)/n", 0, off / n, "here", limit=True)
    middle, _ = simulate(above(shuffle(n, 6), n // 2), n, replicas, n + 4)
    v = middle / (n - 1)
    yield compare(f"n {n}, random, rank n/2: E V/n", 1, v / n, "here", limit=True)
    yield compare_variance(f"n {n}, random, rank n/2: Var V/n", 1, v / math.sqrt(n), "here", limit=True)
    for tau, place in zip(taus[1:], places[1:], strict=True):
        off = np.abs(place / n - straight_then_shock(places[0] / n, a, tau))
        yield compare(f"n {n}, random: distance from its predicted path at {tau} n", 0, off, "here", limit=True)


def in_noise(n: int, replicas: int) -> Iterator[Line]:
    """One velocity among independent ones, before it feels the ends: a second-class particle in equilibrium."""
    u, ball, counts = 0.7, n // 2, [round(tau * n * (n - 1)) for tau in (1 / 16, 1 / 8, 1 / 4)]
    _, places = simulate(noise(n, ball, u, 7), n, replicas, n + 5, counts, u, finish=False)
    for count, place in zip(counts, places, strict=True):
        t, moved = count / (n - 1), place - ball
        yield compare(f"n {n}, noise, u 0.7: mean path after {t:.0f}", (2 * u - 1) * t, moved, "FF94")
        scaled = moved / (2 * (u * (1 - u)) ** (1 / 3) * t ** (2 / 3))
        yield compare_variance(
            f"n {n}, noise, u 0.7: scaled variance after {t:.0f}", 0.510523, scaled, "PS04", limit=True
        )


def lines(effort: float) -> Iterator[Line]:
    """All lines; the number of replicas is proportional to `effort`."""

    def replicas(count: int) -> int:
        return max(round(count * effort), 8 * LANES)

    for n in (4, 6):
        yield from few_balls(n, replicas(300_000))
    for n, samples in ((50, 40_000), (200, 30_000)):
        yield from point_to_line_times(n, replicas(samples))
    for n, samples in ((50, 100_000), (200, 30_000), (800, 4_000)):
        yield from reversed_order(n, replicas(samples))
    for n, samples in ((50, 100_000), (200, 30_000), (800, 2_000)):
        yield from one_threshold(n, replicas(samples))
    yield from one_velocity(50, replicas(200_000))
    for n, samples in ((50, 50_000), (200, 20_000), (800, 3_000)):
        yield from random_order(n, replicas(samples))
    yield from in_noise(800, replicas(20_000))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--effort", type=float, default=1.0, help="factor on the number of replicas")
    began = time.perf_counter()
    print(f"{'':<66}{'known':>11}{'measured +- s.e.':>25}")
    for line in lines(parser.parse_args().effort):
        print(line, flush=True)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
