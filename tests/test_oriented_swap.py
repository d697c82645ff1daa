"""What is known of the oriented swap process: references against each other, and the sorting kernel against them."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import kinlim
from kinlim.study import check

SOURCE = Path(__file__).parent.parent / "bench" / "oriented_swap.py"


@pytest.fixture(scope="module")
def swap():
    spec = importlib.util.spec_from_file_location("oriented_swap", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def chain(swap):
    return swap.Chain(6)


def moments(law):
    number = np.arange(law.size)
    mean = law @ number
    return mean, law @ (number - mean) ** 2


# --- references against each other ------------------------------------------------------------------------------------


def test_three_balls_are_sorted_by_three_alternating_swaps(swap):
    # 1 + Geometric(1/2) + Geometric(1/2) by hand: an absorbing time counted from 0, or one early, would show
    law = swap.Chain(3).last_swap()
    assert law[:6] == pytest.approx([0, 0, 0, 1 / 4, 1 / 4, 3 / 16])
    assert moments(law) == pytest.approx((5, 4))


def test_absorbing_time_has_the_law_of_a_laguerre_eigenvalue(swap, chain):
    # BGR22, and E T = E N/(n-1), Var T = (Var N + E N)/(n-1)^2: a matrix one too large, T for 2 T, or a Poisson
    # variance left out or added twice each move one of the two
    mean, variance, _ = swap.absorbing_law(6)
    assert moments(chain.last_swap()) == pytest.approx(swap.in_collisions(6, mean, variance), rel=1e-7)
    for t in (0.1, 1.0, 4.0):
        assert swap.absorbing_cdf(2, t) == pytest.approx(-math.expm1(-t), abs=1e-12)


def test_absorbing_time_is_a_point_to_line_passage_time(swap):
    # without eigenvalues or sorting: a triangle one line too large or small would be two units off
    _, _, cdf = swap.absorbing_law(20)
    assert stats.kstest(swap.point_to_line(20, 20000, np.random.default_rng(1)), cdf).pvalue > 1e-4


def test_passage_times_to_a_corner(swap):
    # closed forms: a line of j weights is Gamma(j); 2 x 2 is X + max(Y, Z) + W; rows and columns may be exchanged
    t = np.array([0.5, 2.0, 7.0])
    for j in (1, 2, 5):
        assert [swap.corner_cdf(1, j, s) for s in t] == pytest.approx(stats.gamma(j).cdf(t), abs=1e-10)
    assert swap.corner_cdf(3, 7, 20.0) == pytest.approx(swap.corner_cdf(7, 3, 20.0), abs=1e-12)
    s = np.linspace(0, 60, 60001)
    assert np.trapezoid([1 - swap.corner_cdf(2, 2, x) for x in s[::20]], s[::20]) == pytest.approx(3.5, abs=1e-4)


def test_last_swap_across_a_threshold_is_a_corner_passage_time(swap, chain):
    # V(k) by the chain: all ranks up to k are at balls up to k. k for n - k, or balls for ranks, differ at k = 2
    t, k = 5.0, 2
    sorted_ = (np.sort(chain.orders[:, :k], axis=1) == np.arange(1, k + 1)).all(axis=1)
    p, total = chain.begin(False), 0.0
    for m in range(80):
        total += stats.poisson(t * 5).pmf(m) * (p @ sorted_)
        p = chain.step(p)
    assert total == pytest.approx(swap.corner_cdf(k, 6 - k, t), abs=1e-9)


@pytest.mark.parametrize("rank", [1, 2, 5, 6])
def test_place_of_one_velocity(swap, chain, rank):
    # difference of two exclusion processes: left for right, or a front one site off, moves whole probabilities
    t = 2.5
    mixed = sum(stats.poisson(5 * t).pmf(m) * chain.places(rank, m) for m in range(60))
    assert swap.place_law(6, rank, t) == pytest.approx(mixed, abs=1e-10)


def test_a_law_after_a_number_of_collisions(swap):
    # leaves a quarter of the difference between the two; with half the correction half is left, with its sign changed
    # almost twice the difference
    exact = swap.Chain(7).places(3, 24)
    plain = swap.place_law(7, 3, 24 / 6)
    corrected = swap.after(lambda t: swap.place_law(7, 3, t), 7, 24)
    assert np.abs(corrected - exact).max() < 0.3 * np.abs(plain - exact).max()


def test_tracy_widom_law(swap):
    mean, variance, _ = swap.mean_and_variance(swap.goe_cdf, -1.2, 1.0)
    assert (mean, variance) == pytest.approx((swap.GOE_MEAN, swap.GOE_VARIANCE), abs=1e-10)


def test_absorbing_time_tends_to_tracy_widom(swap):
    # (T - 2n)/(2n)^(1/3): any other scale would leave a distance that does not fall; measured rate 1/3 and 2/3
    sizes = np.array([50, 200, 800])
    laws = np.array([swap.absorbing_law(n)[:2] for n in sizes])
    scale = (2 * sizes) ** (1 / 3)
    off = np.abs([(laws[:, 0] - 2 * sizes) / scale - swap.GOE_MEAN, laws[:, 1] / scale**2 - swap.GOE_VARIANCE])
    rate = -np.diff(np.log(off), axis=1) / math.log(4)
    assert rate[0] == pytest.approx([1 / 3, 1 / 3], abs=0.04)
    assert rate[1] == pytest.approx([2 / 3, 2 / 3], abs=0.1)


@pytest.mark.parametrize("a", [0.2, 0.5, 0.9])
def test_fronts_meet_where_and_when_the_velocity_finishes(swap, a):
    # at a, at time 1 + 2 sqrt(a (1-a)): fronts of the wrong end meet elsewhere, and leave [0, 1] before
    end = 1 + 2 * math.sqrt(a * (1 - a))
    assert swap.fronts(a, end - 1e-6) == pytest.approx((a, a), abs=1e-5)
    assert swap.fronts(a, end + 0.1) == (a, a)
    assert swap.fronts(a, min(a, 1 - a) / 2) == (0, 1)
    assert swap.straight_then_shock(np.array([0.0, 0.5, 1.0]), a, 1.0) == pytest.approx(a)


def test_macroscopic_prediction_and_its_plain_twin_agree(swap):
    order = np.random.default_rng(3).permutation(np.arange(1.0, 10))
    best = max(
        (math.sqrt((order[:z] > k).sum()) + math.sqrt((order[z:] <= k).sum())) ** 2
        for k in range(1, 9)
        for z in range(1, 9)
    )
    assert swap.hopf_lax(order[None]) == pytest.approx([best])


# --- the kernel against the references --------------------------------------------------------------------------------


@pytest.mark.slow
def test_few_balls(swap):
    # laws and moments of the last swap, and one velocity's place, from both beginnings: a last swap that is one
    # collision off (60 standard errors), a pair that is left out, velocities sorted the other way
    lines = list(swap.few_balls(5, 100_000))
    assert len(lines) == 10
    assert min(line.p for line in lines) > 1e-4, [str(line) for line in lines]


@pytest.mark.parametrize(
    ("study", "n", "replicas", "tests"),
    [("reversed_order", 40, 20_000, 3), ("one_threshold", 40, 20_000, 3), ("one_velocity", 30, 20_000, 3)],
)
def test_many_balls(swap, study, n, replicas, tests):
    # exact laws at finite n: a last swap that misses an end, a threshold, or a velocity that passes a front
    lines = [line for line in getattr(swap, study)(n, replicas) if not math.isnan(line.p)]
    assert len(lines) == tests
    assert min(line.p for line in lines) > 1e-4, [str(line) for line in lines]


@pytest.mark.parametrize(
    ("study", "quantity"),
    [("reversed_order", "distance from its predicted path"), ("random_order", "distance from its predicted path")],
)
def test_paths_tend_to_their_limits(swap, study, quantity):
    # a limit as a rate: the distance falls by 4^(1/3) = 1.6 from n = 50 to 200; from a wrong path it would not fall
    off = [
        [line.measured for line in getattr(swap, study)(n, replicas) if quantity in line.what]
        for n, replicas in ((50, 4000), (200, 1000))
    ]
    assert np.divide(*off) == pytest.approx(1.7, abs=0.3)


@pytest.mark.slow
def test_last_swap_across_a_threshold_is_gaussian_from_random_order(swap):
    # variance n for every threshold, here three: a variance of the order's counts taken wrong would depend on k
    n = 200
    for k in (50, 100, 150):
        last, _ = swap.simulate(swap.above(swap.shuffle(n, 1), k), n, 4096, k)
        line = swap.compare_variance("", n, last / (n - 1), "")
        assert line.measured == pytest.approx(n, abs=4 * line.error + 0.03 * n)


def test_a_velocity_in_noise_keeps_its_mean_speed(swap):
    # 2u - 1 exactly, until it feels the ends: u for 1 - u, or a collision count one pair off, would show
    lines = [line for line in swap.in_noise(160, 20_000) if not math.isnan(line.p)]
    assert len(lines) == 3
    assert min(line.p for line in lines) > 1e-4, [str(line) for line in lines]


# --- through the engine: what a study of the sorting kernel records ---------------------------------------------------


def sorted_study(tables, **model):
    """20 balls for 1200 collisions, twice the mean number that sorts them."""
    tables["model"] = {"balls": 20, "end_time": 1200 * 2 / (19**2 * 18), "observe": [0.15, 1.0], **model}
    tables["particles"] |= {"kernel": "sorting", "replicas": 30000, "follow": [4, 17]}
    return kinlim.simulate(check(tables))


def test_a_study_from_reversed_order_has_the_known_laws(swap, tables):
    # a ball counted from the wrong end, or a collision counted twice, would show
    found = sorted_study(tables, mu0="-x", sigma0="0").isel(lag=0)
    time, variance, _ = swap.absorbing_law(20)
    mean, sd = 19 * time, math.sqrt(19**2 * variance - 19 * time)
    end = found.isel(time=-1)
    assert float(end.sorted_fraction) == 1
    assert float(end.last_swap) == pytest.approx(mean, abs=4 * float(end.last_swap_se))
    assert float(end.last_swap_sd) == pytest.approx(sd, abs=4 * float(end.last_swap_sd_se))
    collisions = int(found.collisions[0])
    for ball in (4, 17):  # of rank 21 - ball
        law = swap.after(lambda t: swap.place_law(20, 21 - ball, t), 20, collisions)  # noqa: B023
        seen = found.position_count.sel(followed=ball).to_numpy()
        assert seen.sum(axis=1).tolist() == [30000] * 2
        assert seen[1, 20 - ball] == 30000
        big = law * 30000 > 10
        assert stats.chisquare(seen[0][big], law[big] / law[big].sum() * seen[0][big].sum()).pvalue > 1e-4


def test_a_study_from_random_order_has_the_known_mean(chain, tables):
    # the chain on all orders of six balls
    tables["particles"]["lags"] = 2
    tables["model"] = {"balls": 6, "end_time": 300 * 2 / 100, "observe": [1.0], "mu0": "0", "sigma0": "1"}
    tables["particles"] |= {"kernel": "sorting", "replicas": 30000}
    found = kinlim.simulate(check(tables)).isel(time=-1)
    assert float(found.sorted_fraction) == 1
    mean, variance = moments(chain.last_swap(shuffled=True))
    assert float(found.last_swap) == pytest.approx(mean, abs=4 * float(found.last_swap_se))
    assert float(found.last_swap_sd) == pytest.approx(math.sqrt(variance), abs=4 * float(found.last_swap_sd_se))
