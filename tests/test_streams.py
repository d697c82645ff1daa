"""Random streams: the published generator, one stream to a replica, and the laws drawn from them."""

import math

import numpy as np
import pytest
from scipy import stats

from kinlim.stochastic.arithmetic import point_on_circle
from kinlim.stochastic.jump import jump, polynomial
from kinlim.stochastic.streams import modulated_white_noise, splitmix64, start, words


def test_xoshiro_known_answers():
    # from state (1, 2, 3, 4) by the authors' own program, as in the tests of the rand_xoshiro crate
    streams = np.array([[1], [2], [3], [4]], dtype=np.uint64)
    out = np.empty((10, 1), dtype=np.uint64)
    words(streams, out)
    assert out[:, 0].tolist() == [
        41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205,
        9973669472204895162, 14011001112246962877, 12406186145184390807, 15849039046786891736, 10450023813501588000,
    ]  # fmt: skip


def test_splitmix_known_answers():
    # seed 1234567, as Rosetta Code publishes them
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert [int(splitmix64(np.uint64(1234567), np.uint64(k))) for k in range(5)] == known


def test_a_replica_has_its_stream_whatever_its_lane():
    together, alone = np.empty((4, 8), np.uint64), np.empty((4, 1), np.uint64)
    start(together, np.uint64(5), 100)
    start(alone, np.uint64(5), 103)
    assert together[:, 3].tolist() == alone[:, 0].tolist()


def test_streams_of_neighbours_do_not_share_words():
    # an offset by one word between replicas, or a seed that only shifts replicas, would repeat words
    first = np.empty((4, 4096), np.uint64)
    second = np.empty((4, 4096), np.uint64)
    start(first, np.uint64(1), 0)
    start(second, np.uint64(2), 0)
    assert len(np.unique(np.concatenate([first, second]))) == 2 * 4 * 4096


def test_points_lie_on_the_circle_and_cover_it_evenly():
    words_ = np.random.default_rng(1).integers(0, 2**64, 40000, dtype=np.uint64)
    points = np.array([point_on_circle(w) for w in words_])
    assert np.abs((points**2).sum(axis=1) - 1).max() < 5e-16  # two roundings; a coefficient off by 1e-16 would show
    counts, _ = np.histogram(np.arctan2(points[:, 1], points[:, 0]), bins=64, range=(-np.pi, np.pi))
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("sites", [1, 2, 7])  # odd: the second normal of the last pair is dropped
def test_initial_data_are_independent_normals(sites):
    lanes = 40000
    streams, v = np.empty((4, lanes), np.uint64), np.full((lanes, sites + 1), np.nan)
    start(streams, np.uint64(9), 0)
    mean, spread = np.linspace(-1, 2, sites), np.linspace(0.5, 3, sites)
    modulated_white_noise(streams, mean, spread, v)
    assert np.isnan(v[:, sites:]).all()
    z = (v[:, :sites] - mean) / spread
    for i in range(sites):
        assert stats.kstest(z[:, i], "norm").pvalue > 1e-3
    correlations = np.corrcoef(z.T).reshape(sites, sites)[np.triu_indices(sites, 1)]
    assert np.all(np.abs(correlations) < 4.5 / np.sqrt(lanes))


# --- jumps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distance", "published"),
    [
        (2**128, [0x180EC6D33CFD0ABA, 0xD5A61266F0C9392C, 0xA9582618E03FC9AA, 0x39ABDC4529B1661C]),
        (2**192, [0x76E15D3EFEFDCBBF, 0xC5004E441C522FB3, 0x77710069854EE241, 0x39109BB02ACBE635]),
        (
            2**256 - 1,
            [1, 0, 0, 0],
        ),  # the period
        (0, [1, 0, 0, 0]),
        (255, [0, 0, 0, 2**63]),
    ],
)
def test_jump_polynomials_are_the_published_ones(distance, published):
    # JUMP and LONG_JUMP of the authors' xoshiro256plusplus.c; a reversed polynomial or word order would differ
    assert polynomial(distance).tolist() == published


@pytest.mark.parametrize("distance", [0, 1, 2, 63, 255, 256, 257, 1000, 16384])
def test_a_jump_is_that_many_words(distance):
    streams = np.empty((4, 3), np.uint64)
    start(streams, np.uint64(8), 5)
    target, stepped = np.empty_like(streams), streams.copy()
    words(stepped, np.empty((distance, 3), np.uint64))
    jump(streams, polynomial(distance), target)
    assert np.array_equal(target, stepped)


def test_jumps_add_up():
    there, halfway, both = (np.empty((4, 1), np.uint64) for _ in range(3))
    states = np.array([[1], [2], [3], [4]], np.uint64)
    jump(states.copy(), polynomial(10**30 + 7), there)
    jump(states.copy(), polynomial(10**30), halfway)
    jump(halfway, polynomial(7), both)
    assert np.array_equal(there, both)


# --- many neighbouring streams ----------------------------------------------------------------------------------------

REPLICAS, WORDS = 100_000, 64
LAGS = [2**k for k in range(17)]


def outputs(states):
    """The first words of all streams, shape (WORDS, replicas)."""
    out = np.empty((WORDS, states.shape[1]), np.uint64)
    words(states.copy(), out)
    return out


def seeded(seed, first=0):
    states = np.empty((4, REPLICAS), np.uint64)
    start(states, np.uint64(seed), first)
    return states


def signs(column):
    """Bits of words as +-1, shape (words, 64)."""
    return 1 - 2 * np.unpackbits(column.view(np.uint8).reshape(-1, 8), axis=1).astype(np.float32)


def of_z(z):
    """p-value of a standard normal."""
    return float(2 * stats.norm.sf(abs(z)))


def of_counts(cells, bins):
    """p-value of chi-square that all bins are equally likely."""
    return float(stats.chisquare(np.bincount(cells.ravel(), minlength=bins)).pvalue)


def of_poisson(count, mean):
    """Two-sided p-value, with half of the probability of the value itself, so that it is near to uniform."""
    below, at = stats.poisson.cdf(count - 1, mean), stats.poisson.pmf(count, mean)
    return float(2 * min(below + at / 2, 1 - below - at / 2))


def between_neighbours(out):
    """Word k of stream r against word k of stream r + lag; at the end of a row, word k + 1 of the first streams."""
    p = {}
    u = out[:32].ravel() * 2.0**-64 - 0.5
    weight = np.bitwise_count(out[:8]).ravel() - 32.0
    angle = 2 * math.pi * 2.0**-64 * ((out[:8].ravel() * np.uint64(998)) << np.uint64(1))  # as the kernel, n = 1000
    x, y = np.cos(angle), np.sin(angle)
    centre = ((u[: 16 * REPLICAS] + 0.5) * 998).astype(int)
    bits = [signs(out[k]) for k in range(2)]
    for lag in LAGS:
        a, b = slice(None, -lag), slice(lag, None)
        p[f"uniforms {lag}"] = of_z(12 * np.vdot(u[a], u[b]) / math.sqrt(u.size - lag))
        p[f"Hamming weights {lag}"] = of_z(np.vdot(weight[a], weight[b]) / 16 / math.sqrt(weight.size - lag))
        turned = np.vdot(x[a], x[b]) + np.vdot(y[a], y[b])  # sum of the cosines of the differences
        p[f"angles {lag}"] = of_z(turned / math.sqrt((x.size - lag) / 2))
        p[f"centres {lag}"] = of_poisson(int((centre[a] == centre[b]).sum()), (centre.size - lag) / 998)
    for lag in LAGS[::8]:
        agreement = sum(sheet[:-lag].T @ sheet[lag:] for sheet in bits) / math.sqrt(2 * (REPLICAS - lag))
        p[f"bits {lag}"] = float(stats.chi2.sf(np.square(agreement, dtype=float).sum(), 64**2))
        p[f"worst bits {lag}"] = float(-np.expm1(64**2 * np.log1p(-of_z(np.abs(agreement).max()))))
    return p


def across(out):
    """Word k of all streams, as a sample."""
    p = {}
    for k in (0, 1, 2, 3, 7, 31):
        column = out[k]
        p[f"high bits {k}"] = of_counts((column >> np.uint64(54)).astype(int), 1024)
        p[f"low bits {k}"] = of_counts((column & np.uint64(1023)).astype(int), 1024)
        pairs = column[: REPLICAS // 2 * 2].reshape(-1, 2) >> np.uint64(59)
        p[f"pairs {k}"] = of_counts((pairs[:, 0] * np.uint64(32) + pairs[:, 1]).astype(int), 1024)
        p[f"ones {k}"] = float(stats.chi2.sf((signs(column).sum(axis=0, dtype=float) ** 2).sum() / REPLICAS, 64))
    # Birthday spacings: 10^5 birthdays in a year of 2^47 days have about Poisson(1.8) equal spacings (Marsaglia).
    for name, days in (("high", out[:16] >> np.uint64(17)), ("low", out[:16] & np.uint64(2**47 - 1))):
        spacings = np.sort(np.diff(np.sort(days, axis=1), axis=1), axis=1)
        p[f"birthdays {name}"] = of_poisson(int((np.diff(spacings, axis=1) == 0).sum()), 16 * REPLICAS**3 / 2**49)
    for k in (0, 1):
        p[f"ranks {k}"] = of_ranks(out[k])
    return p


def of_ranks(column):
    """p-value of the ranks over GF(2) of 64 x 64 matrices, the rows of each from 64 neighbouring streams."""
    matrices = column[: column.size // 64 * 64].reshape(-1, 64).copy()
    one, ranks, each = np.uint64(1), np.zeros(len(matrices), int), np.arange(len(matrices))
    for bit in range(64):
        has = (matrices >> np.uint64(bit)) & one == 1
        pivot = has.argmax(axis=1)
        row = np.where(has[each, pivot], matrices[each, pivot], 0)
        matrices ^= np.where(has, row[:, None], 0)  # the pivot itself becomes 0 and is out of the way
        ranks += has.any(axis=1)
    full = np.prod(1 - 0.5 ** np.arange(1, 65))
    expected = np.array([1 - full * (1 + 2.0), full * 2.0, full]) * len(matrices)  # P(63) = 2 P(64), up to 2^-64
    return float(stats.chisquare(np.bincount(np.clip(ranks - 62, 0, 2), minlength=3), expected).pvalue)


def interleaved(out):
    """Word 0 of all streams, then word 1 of all streams, and so on, as one sequence."""
    sequence = out.ravel()
    u = sequence * 2.0**-64
    size, p = u.size, {}
    p["mean"] = of_z((u.mean() - 0.5) * math.sqrt(12 * size))
    p["spread"] = of_z((((u - 0.5) ** 2).mean() - 1 / 12) * math.sqrt(180 * size))
    triples = sequence[: size // 3 * 3].reshape(-1, 3) >> np.uint64(60)
    p["triples"] = of_counts((triples @ np.array([256, 16, 1], np.uint64)).astype(int), 4096)
    rises = int((u[1:] > u[:-1]).sum())
    p["rises"] = of_z((rises - (size - 1) / 2) / math.sqrt((size + 1) / 12))
    gaps = np.minimum(np.diff(np.flatnonzero(u < 0.1)) - 1, 60)
    law = np.append(0.1 * 0.9 ** np.arange(60), 0.9**60)
    p["gaps"] = float(stats.chisquare(np.bincount(gaps, minlength=61), law * gaps.size).pvalue)
    greatest = u[: size // 8 * 8].reshape(-1, 8).max(axis=1)
    p["greatest of eight"] = of_counts((greatest**8 * 1000).astype(int), 1000)
    p["same stream, next word"] = of_z(
        12 * np.vdot(u[:-REPLICAS] - 0.5, u[REPLICAS:] - 0.5) / math.sqrt(size - REPLICAS)
    )
    changes = signs(sequence[: 2**18]).ravel()
    p["runs of bits"] = of_z(np.vdot(changes[1:], changes[:-1]) / math.sqrt(changes.size - 1))
    return p


def battery(out):
    """p-values of all tests of (b), (c) and (d) by name."""
    return between_neighbours(out) | across(out) | interleaved(out)


def repeated(out):
    """How many words occur again."""
    ordered = np.sort(out, axis=None)
    return int((ordered[1:] == ordered[:-1]).sum())


def counted(p):
    """Probability that the least of so many p-values is as small."""
    return float(-np.expm1(len(p) * np.log1p(-min(p.values()))))


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "first"), [(1, 0), (2**64 - 1, 10**9)])
def test_streams_of_neighbours_are_independent(seed, first):
    # More than a hundred tests: correlations of uniforms, bits, weights, angles and centres between r and r + 2^k;
    # chi-squares, birthday spacings, ranks and pairs across replicas; the sequence of a word of every stream in turn.
    states = seeded(seed, first)
    assert np.unique(states).size == states.size  # SplitMix64 is a bijection of its counter
    out = outputs(states)
    assert repeated(out) == 0  # of N = 6.4 million words: expected N^2/2^65 = 1e-6; no state is met again, either
    p = battery(out)
    assert counted(p) > 1e-4, min(p, key=p.get)
    assert stats.kstest(list(p.values()), "uniform").pvalue > 1e-4, p


def test_streams_never_meet():
    # All streams lie on one cycle of 2^256 - 1 states. Of two that begin at random, one runs into the other within L
    # words with probability 2 L/2^256 at most: for all pairs of 10^9 replicas with 10^10 words each less than 1e-49.
    replicas, length = 10**9, 10**10
    assert replicas**2 / 2 * 2 * length / 2**256 < 1e-49


def consecutive(seed):
    """State of replica r: seed + 4r, ..., seed + 4r + 3."""
    return (np.uint64(seed) + np.arange(4 * REPLICAS, dtype=np.uint64)).reshape(-1, 4).T.copy()


def one_replica_number(seed):
    """State of replica r: a good one for the seed, but r in place of one word."""
    states = np.tile(seeded(seed)[:, :1], REPLICAS)
    states[2] = np.arange(REPLICAS)
    return states


def one_word_later(seed):
    """Replica r begins r words into the same stream."""
    state = seeded(seed)[:, :1].copy()
    states = np.empty((4, REPLICAS), np.uint64)
    for r in range(REPLICAS):
        states[:, r] = state[:, 0]
        words(state, np.empty((1, 1), np.uint64))
    return states


@pytest.mark.slow
@pytest.mark.parametrize("seeding", [consecutive, one_replica_number])
def test_the_battery_rejects_seeds_that_only_count(seeding):
    p = battery(outputs(seeding(12345)))
    assert counted(p) < 1e-12


def test_streams_that_overlap_are_found():
    # as if replicas were set apart by a word instead of by a seed of their own; to the battery they are one good stream
    out = outputs(one_word_later(1))
    assert repeated(out) == (WORDS - 1) * (REPLICAS - 1)
