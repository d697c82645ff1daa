"""The collisions of the Kac model: who meets whom, along which direction, and what is exchanged."""

import math
from fractions import Fraction

import numpy as np
import pytest
from numba import njit
from scipy import stats

from kinlim.stochastic import directions
from kinlim.stochastic.arithmetic import fma
from kinlim.stochastic.kac.collisions import (
    NEAR,
    Clocks,
    advance,
    advance_alone,
    components,
    decode,
    velocities,
)
from kinlim.stochastic.streams import modulated_white_noise, start, words
from kinlim.stochastic.vectors import LENGTH, load, select, store

SINE = tuple(getattr(directions, f"S{k}") for k in range(6))
COSINE = tuple(getattr(directions, f"C{k}") for k in range(6))
LOGARITHM = tuple(getattr(directions, f"L{k}") for k in range(12))
MODES = ["pairs", "mirror", "alone"]


def clocks(system, reservoir):
    rates = (system / 2 if system > 1 else 0.0, float(system), reservoir / 2 if reservoir > 1 else 0.0)
    return Clocks(system, reservoir, rates)


def streams_of(replicas, seed):
    streams = np.empty((4, replicas), np.uint64)
    start(streams, np.uint64(seed), 0)
    return streams


def ensemble(replicas, particles, seed, spread=1.0):
    """Normal velocities, and streams for events and for xi."""
    v, normals = velocities(replicas, particles), np.empty((replicas, 3 * particles))
    modulated_white_noise(streams_of(replicas, seed), np.zeros(3 * particles), np.full(3 * particles, spread), normals)
    components(v, particles)[:] = normals.reshape(replicas, particles, 3)
    return v, streams_of(replicas, seed + 100), streams_of(replicas, seed + 200)


def run(mode, v, system, reservoir, streams, events, fresh, spread=0.7):
    if mode == "alone":
        advance_alone(v, system, clocks(system, 0).below, streams, events, spread, fresh)
    else:
        advance(v, system, reservoir, clocks(system, reservoir).below, streams, events, mode == "mirror", spread, fresh)


# --- the plain twin: one replica, one event after the other, as the formulas read ------------------------------------


@njit
def horner(coefficients, x):
    value = coefficients[-1]
    for k in range(len(coefficients) - 2, -1, -1):
        value = fma(x, value, coefficients[k])
    return value


@njit
def plain_direction(word):
    z = np.float64(np.int64(word)) * 2.0**-63
    r = np.float64(np.int64((word << np.uint64(33)) | (word >> np.uint64(31))))
    sine, cosine = r * horner(SINE, r * r), horner(COSINE, r * r)
    inverse = fma(-sine, sine, fma(-cosine, cosine, 2.0))
    radius = math.sqrt(fma(-z, z, 1.0) * inverse)
    return np.array([radius * cosine, radius * sine, z])


@njit
def plain_normal(a, b):
    u = np.float64(np.int64((a >> np.uint64(1)) | np.uint64(1)))
    k, m = 0, u
    while m >= 2**0.5:
        m, k = m / 2, k + 1
    minus_twice_log = fma(m - 1, horner(LOGARITHM, m - 1), (63 - k) * (2 * 0.6931471805599453))
    r = np.float64(np.int64(b))
    return math.sqrt(minus_twice_log) * (r * horner(SINE, r * r))


@njit
def dot(p, omega):
    return (p[0] * omega[0] + p[2] * omega[2]) + p[1] * omega[1]


@njit
def move(p, by, omega):
    for k in range(3):
        p[k] = fma(by, omega[k], p[k])


def choose(word, *counts):
    """One number below each count from the successive fractions of one word, in whole numbers."""
    for count in counts:
        whole, word = divmod(word * count, 2**64)
        yield whole


def twin(mode, v, system, reservoir, drawn, fresh, spread=0.7):
    """Events of one replica, v of shape (particles, 3), from words of shape (events, 3) and (events, 2)."""
    first, second = (int(b) for b in clocks(system, 0 if mode == "alone" else reservoir).below)
    for (kind, pair, where), (a, b) in zip(drawn.tolist(), fresh.tolist(), strict=True):
        mixed = False
        if kind < first:
            i, j = choose(pair, system, system - 1)
            j = system - 1 if j == i else j
        elif kind > second:
            i, j = choose(pair, reservoir, reservoir - 1)
            i, j = system + i, system + (reservoir - 1 if j == i else j)
        else:
            i, j = choose(pair, system, 1 if mode == "alone" else reservoir)
            mixed, j = True, system + j
        omega = plain_direction(np.uint64(where))
        xi = spread * plain_normal(np.uint64(a), np.uint64(b))
        if mode == "alone" and mixed:
            move(v[i], xi - dot(v[i], omega), omega)
        elif mode == "alone":
            at_i, at_j = dot(v[i], omega), dot(v[j], omega)
            move(v[i], at_j - at_i, omega)
            move(v[j], at_i - at_j, omega)
        elif mode == "mirror" and mixed:
            by, at_j = dot(v[j] - v[i], omega), dot(v[j], omega)
            move(v[i], by, omega)
            move(v[j], xi - at_j, omega)
        else:
            by = dot(v[j] - v[i], omega)
            move(v[i], by, omega)
            move(v[j], -by, omega)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("system", "reservoir"), [(1, 1), (2, 1), (1, 7), (3, 2), (10, 300)])
def test_kernel_and_its_plain_twin_agree_bit_by_bit(mode, system, reservoir):
    # any slip in words, kinds, places, lanes, blocks, counts that differ, a last vector that is not full
    for replicas in (1, 11):
        v, streams, fresh = ensemble(replicas, system + reservoir, seed=3)
        events = np.array([[150], [41, 40, 300, 43, 44, 45, 47, 41, 5, 0, 131]][replicas > 1])
        drawn, more = np.empty((900, replicas), np.uint64), np.empty((600, replicas), np.uint64)
        words(streams.copy(), drawn)
        words(fresh.copy(), more)
        expected = components(v, system + reservoir).copy()
        for r, count in enumerate(events):
            at = slice(count)
            of_three, of_two = drawn[:, r].reshape(-1, 3)[at], more[:, r].reshape(-1, 2)[at]
            twin(mode, expected[r], system, reservoir, of_three, of_two)
        run(mode, v, system, reservoir, streams, events, fresh)
        assert np.array_equal(components(v, system + reservoir), expected)
        left = np.empty((1, replicas), np.uint64)
        words(streams, left)
        assert left[0, 0] == drawn[3 * events[0], 0]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_run_may_be_cut_anywhere(mode):
    # words drawn ahead of a cut and lost, or a stream of xi that is not put back
    v, streams, fresh = ensemble(9, 15, seed=1)
    w, streams_, fresh_ = v.copy(), streams.copy(), fresh.copy()
    pieces = np.random.default_rng(1).integers(0, 200, (6, 9))
    run(mode, v, 5, 10, streams, pieces.sum(axis=0), fresh)
    for piece in pieces:
        run(mode, w, 5, 10, streams_, piece, fresh_)
    assert np.array_equal(v, w)
    assert np.array_equal(streams, streams_)
    assert np.array_equal(fresh, fresh_)


@pytest.mark.parametrize("mode", MODES)
def test_a_replica_is_the_same_alone_and_beside_others(mode):
    # a place or a stream of the neighbour's; 16,000 particles go one replica after the other even where 8 are there
    for system, reservoir in ((4, 9), (4, 16_000)):
        v, streams, fresh = ensemble(8, system + reservoir, seed=2)
        assert (8 * v.size > NEAR) == (reservoir > 9)
        w, streams_, fresh_ = v[5:6].copy(), streams[:, 5:6].copy(), fresh[:, 5:6].copy()
        run(mode, v, system, reservoir, streams, np.full(8, 1000), fresh)
        run(mode, w, system, reservoir, streams_, np.full(1, 1000), fresh_)
        assert np.array_equal(v[5:6], w)
        assert np.array_equal(streams[:, 5:6], streams_)


# --- laws -------------------------------------------------------------------------------------------------------------


@njit
def _decoded(drawn, below, system, reservoir, out):
    for k in range(0, drawn.shape[1], LENGTH):
        kind, pair = load(drawn, k), load(drawn, drawn.shape[1] + k)
        one, other, mixed = decode(kind, pair, (below[0], below[1]), np.uint64(system), np.uint64(reservoir))
        store(out, k, one)
        store(out, out.shape[1] + k, other)
        store(out, 2 * out.shape[1] + k, select(mixed, np.uint64(1), np.uint64(0)))


def decoded(drawn, system, reservoir):
    """Numbers of the two particles, and whether they are mixed, for words of shape (2, count)."""
    out = np.empty((3, drawn.shape[1]), np.uint64)
    _decoded(drawn, clocks(system, reservoir).below, system, reservoir, out)
    assert not (out[:2] & np.uint64(3)).any()
    return (out[0] >> np.uint64(2)).astype(int), (out[1] >> np.uint64(2)).astype(int), out[2] == 1


@njit
def _directions(drawn, out):
    for k in range(0, drawn.size, LENGTH):
        for row, x in enumerate(directions.direction(load(drawn, k))):
            store(out, row * drawn.size + k, x)


@njit
def _normals(a, b, out):
    for k in range(0, a.size, LENGTH):
        store(out, k, directions.normal(load(a, k), load(b, k)))


def of_words(count, seed):
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


@pytest.mark.parametrize(("system", "reservoir"), [(4, 7), (1, 6), (5, 1), (1, 1)])
def test_every_pair_is_as_frequent_as_its_clock_says(system, reservoir):
    # a pair left out or met twice, i = j, a kind with another's rate
    count = 400_000
    i, j, mixed = decoded(of_words(2 * count, 1).reshape(2, count), system, reservoir)
    n = system + reservoir
    rates = clocks(system, reservoir)
    expected = np.zeros((n, n))
    inner, between, outer = (count * rate / rates.total for rate in rates.rates)
    expected[:system, :system] = inner / max(system * (system - 1), 1)
    expected[:system, system:] = between / (system * reservoir)
    expected[system:, system:] = outer / max(reservoir * (reservoir - 1), 1)
    np.fill_diagonal(expected, 0)
    counts = np.bincount(i * n + j, minlength=n * n).reshape(n, n)
    possible = expected > 0
    assert not counts[~possible].any()
    assert np.array_equal(mixed, (i < system) & (j >= system))
    if possible.sum() > 1:
        assert stats.chisquare(counts[possible], expected[possible]).pvalue > 1e-3


def test_large_numbers_of_particles_are_chosen_evenly():
    # products of 32 bits that overflow, too few bits for the second particle, ties between the two
    count, n = 800_000, 10**6
    i, j, mixed = decoded(of_words(2 * count, 2).reshape(2, count), 100, n)
    i, j = i[~mixed & (i >= 100)] - 100, j[~mixed & (i >= 100)] - 100
    assert min(i.min(), j.min()) >= 0
    assert max(i.max(), j.max()) < n
    for chosen in (i, j, i % 1000, j % 1000, (j - i) % n):
        cells = chosen * 200 // (chosen.max() + 1)
        assert stats.chisquare(np.bincount(cells, minlength=200)).pvalue > 1e-3
    cells = (i * 16 // n) * 16 + j * 16 // n
    assert stats.chisquare(np.bincount(cells, minlength=256)).pvalue > 1e-3


@pytest.mark.parametrize(("system", "reservoir"), [(1, 1), (2, 1), (1, 2), (3, 5), (100, 10**6)])
def test_extreme_words_stay_in_range(system, reservoir):
    ends = np.array([0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 2**32, 2**64 - 2, 2**64 - 1], np.uint64)
    kind, pair = (grid.ravel() for grid in np.meshgrid(np.append(ends, np.repeat(ends[-1], 8)), ends))
    i, j, _ = decoded(np.array([kind, pair]), system, reservoir)
    assert np.all((i != j) & (np.minimum(i, j) >= 0) & (np.maximum(i, j) < system + reservoir))
    out = np.empty((3, 8))
    _directions(ends, out)
    assert (out**2).sum(axis=0) == pytest.approx(1, abs=5e-16)


def test_bounds_are_the_rates_to_the_last_bit():
    rates = (0.1, 0.7, 12345.6)
    below = Clocks(2, 3, rates).below
    exact = [sum(map(Fraction, rates[:k])) / sum(map(Fraction, rates)) * 2**64 for k in (1, 2)]
    assert max(abs(int(b) - e) for b, e in zip(below, exact, strict=True)) <= 0.5
    assert clocks(3, 0).below[1] == 2**64 - 1


def test_directions_are_uniform_up_to_their_sign():
    # collisions do not see the sign of Omega; a polynomial of another angle, z and azimuth tied by shared bits
    count = 800_000
    out = np.empty((3, count))
    _directions(of_words(count, 3), out)
    x, y, z = out
    assert (x >= 0).all()
    azimuth = np.arctan2(y, x)
    assert stats.kstest(z, "uniform", (-1, 2)).pvalue > 1e-3
    assert stats.kstest(azimuth, "uniform", (-np.pi / 2, np.pi)).pvalue > 1e-3
    cells = np.histogram2d(z, azimuth, 24, [(-1, 1), (-np.pi / 2, np.pi / 2)])[0]
    assert stats.chisquare(cells.ravel()).pvalue > 1e-3
    pairs = [(a, b) for a in range(3) for b in range(a, 3)]
    for a, b in pairs:  # spreads from the fourth moments, (1 + 2 delta)/15
        moment, square = (1 / 3, 1 / 5) if a == b else (0, 1 / 15)
        error = math.sqrt((square - moment**2) / count)
        assert (out[a] * out[b]).mean() == pytest.approx(moment, abs=4 * error)
        assert (out[a] ** 2 * out[b] ** 2).mean() == pytest.approx(square, abs=4 * math.sqrt(1 / 9 / count))


def test_directions_have_length_one_without_systematic_error():
    # lengths that are 1e-16 too large in the mean heat every replica; float128 would hide the rounding of the entries
    count = 80_000
    out = np.empty((3, count))
    _directions(of_words(count, 4), out)
    square = np.array([sum(Fraction(float(c)) ** 2 for c in omega) - 1 for omega in out.T[:20_000]], float)
    assert np.abs(square).max() < 1e-15
    assert abs(square.mean()) < 4 * square.std() / math.sqrt(len(square))
    z = of_words(count, 4).astype(np.int64) / 2.0**63
    assert np.array_equal(out[2], z)
    r = ((of_words(count, 4) << np.uint64(33)) | (of_words(count, 4) >> np.uint64(31))).astype(np.int64) / 2.0**63
    assert np.arctan2(out[1], out[0]) == pytest.approx(r * np.pi / 2, abs=1e-9)


@pytest.mark.slow
def test_normals_are_what_box_and_muller_say():
    # logarithms near 0 and 1, exponents, the law as a whole
    count = 400_000
    a, b, xi = of_words(count, 5), of_words(count, 6), np.empty(count)
    ends = [0, 1, 2, 3, 2**20, 2**52, 2**53, 2**62, 2**63, 2**63 + 2**62]
    a[:16] = [*ends, *(2**64 - 2**k for k in (63, 40, 12, 8, 2, 0))]
    _normals(a, b, xi)
    u = ((a >> np.uint64(1)) | np.uint64(1)).astype(float) / 2.0**63
    r = b.astype(np.int64) / 2.0**63
    assert xi == pytest.approx(np.sqrt(-2 * np.log(u)) * np.sin(np.pi / 2 * r), rel=1e-9, abs=1e-12)
    assert stats.kstest(xi[16:], "norm").pvalue > 1e-3


# --- what a collision does --------------------------------------------------------------------------------------------


def test_one_collision_exchanges_components_and_keeps_momentum_and_energy():
    v, streams, fresh = ensemble(800, 5, seed=4)
    before = components(v, 5).copy()
    run("pairs", v, 2, 3, streams, np.full(800, 1), fresh)
    after = components(v, 5)
    moved = (before != after).any(axis=2)
    assert np.all(moved.sum(axis=1) == 2)
    assert after.sum(axis=1) == pytest.approx(before.sum(axis=1), abs=2e-15)
    assert (after**2).sum(axis=(1, 2)) == pytest.approx((before**2).sum(axis=(1, 2)), rel=2e-15)
    change = (after - before)[moved].reshape(800, 2, 3)
    omega = change[:, 0] / np.linalg.norm(change[:, 0], axis=1)[:, None]
    first, second = (old[moved].reshape(800, 2, 3) @ omega[:, :, None] for old in (before, after))
    assert second[:, 0] == pytest.approx(first[:, 1], abs=1e-13)  # along Omega: theirs is ours now


def test_momentum_and_energy_drift_by_rounding_only():
    # 10^5 collisions a particle: a length of Omega that is 1e-16 wrong in the mean would give 1e-11
    v, streams, fresh = ensemble(64, 6, seed=5)
    before = components(v, 6).copy()
    run("pairs", v, 2, 4, streams, np.full(64, 300_000), fresh)
    after = components(v, 6)
    energy = (after**2).sum(axis=(1, 2)) / (before**2).sum(axis=(1, 2)) - 1
    assert np.abs(energy).max() < 1e-12
    assert abs(energy.mean()) < 4 * energy.std() / math.sqrt(64)
    drift = (after - before).sum(axis=1)
    assert np.abs(drift).max() < 1e-12
    assert np.all(np.abs(drift.mean(axis=0)) < 4.5 * drift.std(axis=0) / math.sqrt(64))
    assert not v[:, 3::4].any()  # the fourth entries


def test_the_mirror_sees_the_same_events_whatever_xi():
    # words of xi taken from the stream of events would part the two systems; so would another order of operations, by
    # the last bits, while nothing that the mirror has made different is met
    v, streams, fresh = ensemble(800, 5, seed=6)
    plain, plain_streams = v.copy(), streams.copy()
    mirrored = [v.copy(), v.copy()]
    for event in range(5):
        before = components(plain, 5).copy()
        run("pairs", plain, 2, 3, plain_streams, np.full(800, 1), fresh.copy())
        step = components(plain, 5) - before
        i = np.argmax(step.any(axis=2), axis=1)
        omega = step[np.arange(800), i] / np.linalg.norm(step[np.arange(800), i], axis=1)[:, None]
        for other, seed in zip(mirrored, (7, 8), strict=True):
            old, own_streams = components(other, 5).copy(), streams.copy()
            run("mirror", other, 2, 3, own_streams, np.full(800, 1), streams_of(800, seed))
            assert np.array_equal(own_streams, plain_streams)
            change = components(other, 5) - old
            assert np.array_equal(change.any(axis=2), step.any(axis=2))  # the same particles ..
            if event == 0:
                assert np.array_equal(components(other, 5)[:, :2], components(plain, 5)[:, :2])
            across = change - (change @ omega[:, :, None]) * omega[:, None, :]
            assert across == pytest.approx(0, abs=1e-11)  # .. along the same direction
        streams = plain_streams.copy()


def test_the_reservoir_of_a_mirror_stays_in_equilibrium_and_knows_nothing_of_the_system():
    # a reservoir that takes over what the system brings, as a true one does, or xi that is used twice
    replicas, system, reservoir, spread = 4000, 2, 3, 0.7
    v, streams, fresh = ensemble(replicas, system + reservoir, seed=8, spread=spread)
    u = components(v, system + reservoir)
    u[:, :system] = 5.0 + np.arange(replicas)[:, None, None] % 7
    true = v.copy()
    run("pairs", true, system, reservoir, streams.copy(), np.full(replicas, 12), fresh.copy())
    run("mirror", v, system, reservoir, streams, np.full(replicas, 12), fresh)
    around = u[:, system:] / spread
    assert stats.kstest(around.ravel(), "norm").pvalue > 1e-3
    assert stats.kstest(components(true, system + reservoir)[:, system:].ravel() / spread, "norm").pvalue < 1e-9
    inside = u[:, :system].reshape(replicas, -1)
    for features in (around.reshape(replicas, -1), (around**2).reshape(replicas, -1)):
        for own in (inside, inside**2):
            together = np.corrcoef(features.T, own.T)[: features.shape[1], features.shape[1] :]
            assert np.abs(together).max() < 4.5 / math.sqrt(replicas)


@pytest.mark.parametrize("system", [1, 4])
def test_a_system_alone_reaches_the_temperature_of_its_thermostat(system):
    # xi of another spread, or added to the old component instead of taking its place
    replicas = 4000
    v = velocities(replicas, system)
    components(v, system)[:] = 3.0
    streams, fresh = streams_of(replicas, 9), streams_of(replicas, 10)
    run("alone", v, system, 0, streams, np.full(replicas, 60 * system), fresh, spread=1.7)
    for part in range(3):
        assert stats.kstest(components(v, system)[:, 0, part] / 1.7, "norm").pvalue > 1e-3
    together = np.corrcoef(components(v, system).reshape(replicas, -1).T)
    np.fill_diagonal(together, 0)
    assert np.abs(together).max() < 4.5 / math.sqrt(replicas)
