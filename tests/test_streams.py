"""Random streams: the published generator, one stream to a replica, and the laws drawn from them."""

import numpy as np
import pytest
from scipy import stats

from kinlim.stochastic.arithmetic import point_on_circle
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
