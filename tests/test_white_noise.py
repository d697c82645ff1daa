"""W = (v - mu)/sigma in the frame of a pilot: counted right, and without the bias of the frame."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from mpi4py import MPI

from kinlim.stochastic.moments import Moments
from kinlim.stochastic.pinned import simulate, white_noise
from kinlim.stochastic.pinned.white_noise import EDGES, PAIR_EDGES, R_EDGES, Frame
from kinlim.study import check
from kinlim.validation.pinned import white_noise as judging
from kinlim.validation.pinned.white_noise import measure

RNG = np.random.default_rng(11)
LAGS = 3


def measured(v, frame, sites=()):
    return white_noise.observe(v, frame, 0, LAGS, sites)


def exact_frame(n):
    return Frame(np.linspace(-1, 2, n)[None], np.linspace(0.5, 3, n)[None])


def test_histograms_are_numpys():
    n, v = 9, None
    frame = exact_frame(n)
    v = frame.mean + frame.spread * RNG.standard_t(3, size=(500, n))  # heavy tails: some lie outside
    u = (v - frame.mean) / frame.spread
    found = measured(v, frame, (0, 5))
    outer = np.concatenate([[-np.inf], EDGES, [np.inf]])
    assert found["w"].count.tolist() == np.histogram(u, outer)[0].tolist()
    assert found["w"].count[0] > 0
    outer = np.concatenate([[-np.inf], PAIR_EDGES, [np.inf]])
    pairs = np.histogram2d(u[:, :-1].ravel(), u[:, 1:].ravel(), (outer, outer))[0]
    assert np.array_equal(found["pair"].count, pairs)
    for k, i in enumerate((0, 5)):
        assert np.array_equal(found["pair_at"].count[k], np.histogram2d(u[:, i], u[:, i + 1], (outer, outer))[0])


@pytest.mark.parametrize("frozen", [[], [0, 7, 19], [3, 4, 5]])
def test_correlations_within_a_run_are_pearsons(frozen):
    # sites without spread: a pair with one of them must not count, nor shift the means of the others
    n, frame = 20, exact_frame(20)
    frame.spread[0, frozen] = 0
    v = RNG.normal(size=(40, n)).cumsum(axis=1) + 3
    found = measured(v, frame)
    used = frame.spread[0] > 0
    u = np.where(used, (v - frame.mean) / np.where(used, frame.spread, 1), 0)
    expected = []
    for k in range(1, LAGS + 1):
        left = np.flatnonzero(used[:-k] & used[k:])
        assert frame.pairs(LAGS)[0, k - 1] == len(left)
        r = [stats.pearsonr(row[left], row[left + k]).statistic for row in u]
        expected.append(np.mean(r))
        outer = np.concatenate([[-np.inf], R_EDGES, [np.inf]])
        counts = np.histogram(np.array(r) * np.sqrt(len(left) - 1), outer)[0]
        assert found["within_count"].count[k - 1].tolist() == counts.tolist()
    assert found["within"].mean == pytest.approx(expected, rel=1e-11)
    assert found["w"].count.sum() == 40 * used.sum()


def test_within_and_over_the_ensemble_answer_different_questions():
    # runs that differ by a constant: correlated over the ensemble, independent within a run
    n = 400
    frame = Frame(np.zeros((1, n)), np.full((1, n), np.sqrt(2)))
    v = RNG.normal(size=(1000, n)) + RNG.normal(size=(1000, 1))
    within = measured(v, frame)["within"]
    assert np.abs(within.mean + 1 / n).max() < 5 * within.mean_se.max()  # Pearson's own bias is about -1/n
    assert within.spread == pytest.approx(1 / np.sqrt(n - 2), abs=5 * within.spread_se.max())
    assert np.corrcoef(v[:, 0], v[:, 1])[0, 1] > 0.4


def test_a_small_pilot_does_not_bias_the_density():
    # 16 replicas give a frame that is off by 1/4 in place and 1/6 in width at every site: the plain histogram is far
    # from N(0, 1), the density is not
    n, replicas = 50, 20000
    sample = RNG.normal(size=(16, n)) * 2 + 1
    frame = Frame.of(Moments.stack([Moments.of(sample, 2)]))
    v = RNG.normal(size=(replicas, n)) * 2 + 1
    found = measured(v, frame)
    velocity = Moments.stack([Moments.of(v, 8)])
    density, error = white_noise.density(found["w"].count[None], EDGES, frame, velocity)
    normal = np.diff(stats.norm.cdf(EDGES)) / np.diff(EDGES)
    big = normal * np.diff(EDGES) * replicas * n > 100
    chi2 = (((density[0] - normal)[big] / error[0][big]) ** 2).sum()
    # mu and sigma come from the same replicas, which takes away from chi-square rather than adding to it
    assert chi2 < stats.chi2.ppf(1 - 1e-4, big.sum())
    plain = found["w"].count[1:-1] / (replicas * n) / np.diff(EDGES)
    assert (((plain - normal)[big] / error[0][big]) ** 2).sum() > 10 * big.sum()
    pairs = white_noise.pair_density(found["pair"].count[None], PAIR_EDGES, frame, velocity)[0]
    line = np.diff(stats.norm.cdf(PAIR_EDGES)) / np.diff(PAIR_EDGES)
    square = np.outer(line, line)
    share = square * np.diff(PAIR_EDGES)[0] ** 2
    big = share * replicas * (n - 1) > 100
    z = (pairs - square)[big] * np.diff(PAIR_EDGES)[0] ** 2 / np.sqrt(share[big] / (replicas * (n - 1)))
    # pairs share sites, so that neighbouring cells are correlated; the mean of z^2 stays 1
    assert (z**2).mean() == pytest.approx(1, abs=0.15)


def test_what_is_left_of_the_bias_is_of_second_order():
    # W uniform on (-sqrt 3, sqrt 3): its edges are smeared by the frame, elsewhere nothing is left
    n, replicas = 400, 5000
    frame = Frame.of(Moments.stack([Moments.of(RNG.normal(size=(256, n)), 2)]))
    v = RNG.uniform(-np.sqrt(3), np.sqrt(3), size=(replicas, n))
    found = measured(v, frame)
    velocity = Moments.stack([Moments.of(v, 8)])
    density, error = white_noise.density(found["w"].count[None], EDGES, frame, velocity)
    centre = (EDGES[1:] + EDGES[:-1]) / 2
    inside, outside = np.abs(centre) < 1.3, np.abs(centre) > 2.2
    # phi'' (1/256)(1 + W^2/2)/2 is the bias that the correction leaves: below 1e-3, twice the error
    assert np.abs(density[0] - 1 / np.sqrt(12))[inside].max() < 2e-3 + 4 * error[0].max()
    assert np.abs(density[0][outside]).max() < 2e-3


def test_white_noise_is_measured_against_its_null(tables):
    # independent normal velocities at time 0: no distance, no correlation within runs beyond their errors
    # and after five collisions per site
    n = 200
    tables["model"] |= {"balls": n, "mu0": "x", "sigma0": "1+x", "observe": [0.0, 1.0], "end_time": 2.5e-4}
    tables["particles"] |= {"replicas": 4000, "pilot": 256}
    study = check(tables)
    particles = simulate(study, MPI.COMM_SELF, 2)
    found = measure(particles)
    assert found["w_distance"][0] < 1.5 * found["w_distance_noise"][0]
    assert found["w_chi2"][0] < 1.5  # about 130 bins: 1 +- 0.12
    null = found["correlation_within_null_sd"][0]
    assert found["correlation_within"][0] == pytest.approx(-1 / n, abs=1 / n + 4 * null / np.sqrt(4000))
    assert found["correlation_within_sd"][0] == pytest.approx(null, rel=4 / np.sqrt(2 * 4000) + 1 / n)
    # collisions correlate neighbours: the test can tell
    assert found["correlation_within"][1] < -1 / n - 10 * found["correlation_within_se"][1]
    assert found["w_chi2"][1] > 2
    assert measure(particles.drop_vars("w_density")) == {}


def test_rounding_is_no_spread(tables):
    # half of the balls begin with no spread; collisions of equal velocities give them one of rounding only
    tables["model"] |= {"mu0": "1/3", "sigma0": "max(0,x-1/2)", "observe": [0.0, 1.0], "end_time": 2.5e-4}
    tables["particles"] |= {"replicas": 600, "pilot": 64}
    found = simulate(check(tables), MPI.COMM_SELF, 2)
    assert int(found.w_samples[0]) == 600 * 25
    assert int(found.w_samples[1]) < 600 * 50
    assert float(found.w_density[0].max()) < 0.5


def binned(samples, low=6.0, bins=240):
    """Centres and density of samples in bins like those of W."""
    counts, edges = np.histogram(samples, bins, (-low, low))
    return (edges[1:] + edges[:-1]) / 2, counts / len(samples) / (edges[1] - edges[0])


def test_distances_from_the_normal_law():
    # normal samples are within noise; tails of a fourth cumulant 0.6, a shift of 3 %, a spread 3 % off are found
    rng = np.random.default_rng(5)
    n = 10**6
    normal, noise = rng.standard_normal(n), judging.SELDOM / n**0.5
    heavy = rng.standard_t(14, n) * (12 / 14) ** 0.5
    assert judging.kolmogorov_smirnov(*binned(normal)) < noise
    assert judging.anderson_darling(*binned(normal)) < 6 / n  # A^2 exceeds 6.0 once in a thousand times
    for wrong in (heavy, normal + 0.03, 1.03 * normal):
        assert judging.kolmogorov_smirnov(*binned(wrong)) > 2 * noise
        assert judging.anderson_darling(*binned(wrong)) > 20 / n
    # against SciPy's own of the samples themselves, but for the bins
    exact = stats.kstest(heavy, "norm").statistic
    assert judging.kolmogorov_smirnov(*binned(heavy)) == pytest.approx(exact, rel=0.02)


def test_isotropy_of_pairs():
    rng = np.random.default_rng(6)
    n = 400_000
    pairs = rng.standard_normal((n, 2))

    def found(samples, wave):
        counts, edges, _ = np.histogram2d(*samples.T, bins=40, range=[[-4, 4], [-4, 4]])
        width = edges[1] - edges[0]
        return judging.anisotropy((edges[1:] + edges[:-1]) / 2, counts / n / width**2, wave)

    error = (2 * n) ** -0.5
    assert abs(found(pairs, 4)) < 4.5 * error
    # independent but not normal: four lobes along the axes
    lobes = rng.standard_t(8, (n, 2)) * (6 / 8) ** 0.5
    assert found(lobes, 4) > 20 * error
    # correlated: cos 2 theta of the pairs turned by an eighth
    turned = pairs @ np.array([[1.1, 0.0], [0.0, 0.9]])
    assert abs(found(turned, 2)) > 20 * error


def test_where_nothing_spreads_nothing_is_judged():
    # no spread, no W and no correlation: metrics.json must not get a NaN
    last = {"w_density": ("w", np.zeros(4)), "w_samples": ((), 0.0), "correlation": ("lag", [np.nan])}
    particles = xr.Dataset(last, coords={"w": np.arange(4.0)}).expand_dims("time")
    assert judging.judged(particles) is None
    assert judging.judged(particles.assign(w_samples=("time", [9.0]))) is None
