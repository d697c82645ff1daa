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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import permutations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import special, stats
from scipy.interpolate import PchipInterpolator

from kinlim.stochastic.redistribute import LANES, width
from kinlim.stochastic.sorting import advance, workspace
from kinlim.stochastic.streams import start

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Rows = Callable[[int, int], Array]
"""Initial velocities of replicas first .. first + count - 1, shape (count, n)."""

GOE_MEAN, GOE_VARIANCE = -1.2065335745820, 1.6077810345810
"""Of the Tracy-Widom law F1: Bornemann, Markov Processes Relat. Fields 16 (2010) 803-866, table 4."""


# --- the kernel: the one part that knows it ---------------------------------------------------------------------------


def simulate(
    rows: Rows, n: int, replicas: int, seed: int, collisions: Sequence[int] = (), tagged: float | None = None
) -> tuple[Counts, Counts]:
    """Let replicas collide until they are sorted, or no longer than is looked at where there is a tagged velocity.

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
        while tagged is None and (v[:, 1:n] < v[:, : n - 1]).any():
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
        p, sorted_ = self.begin(shuffled), [0.0][:0]
        while 1 - p[0] > 1e-12:
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


@njit(cache=True)
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


@njit(cache=True, nogil=True)
def point_to_line(n: int, samples: int, seed: int) -> Array:
    """Sample max over i + j = n of G(i, j): the longest way through a triangle of exponential weights."""
    np.random.seed(seed)
    out, g = np.empty(samples), np.zeros(n)
    for s in range(samples):
        g[:] = 0.0
        longest = 0.0
        for i in range(1, n):
            for j in range(1, n - i + 1):
                g[j] = max(g[j], g[j - 1]) + np.random.exponential()
            longest = max(longest, g[n - i])
        out[s] = longest
    return out


# --- limits -----------------------------------------------------------------------------------------------------------


def fronts(a: float, tau: float) -> tuple[float, float]:
    """Where, in reversed order, ranks above a n are still mixed with those below, at time tau n: from, to."""
    low = max(math.sqrt(tau) - math.sqrt(1 - a), 0) ** 2
    high = 1 - max(math.sqrt(tau) - math.sqrt(a), 0) ** 2
    return (low, high) if low < high else (a, a)


def mean_place(a: float, tau: float) -> float:
    """Limit of E place/n at time tau n from reversed order: a uniform speed in [-1, 1] from 1 - a, then the fronts."""
    low, high = fronts(a, tau)
    speed = np.linspace(-1, 1, 20001)
    return float(np.clip(1 - a + speed * tau, low, high).mean())


@njit(cache=True)
def hopf_lax(order: Array) -> tuple[float, float]:
    """Macroscopic prediction of the absorbing time of each given order, shape (samples, n).

    max over k, z of (sqrt P + sqrt H)^2, P large velocities (rank above k) among balls 1 .. z, H small ones beyond.

    Returns:
        The prediction for every sample.
    """
    samples, n = order.shape
    out = np.zeros(samples)
    for s in range(samples):
        for k in range(1, n):
            large = 0
            for z in range(1, n):
                large += order[s, z - 1] > k
                small = k - (z - large)
                out[s] = max(out[s], large + small + 2 * math.sqrt(large * small))
    return out
