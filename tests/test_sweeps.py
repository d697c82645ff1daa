"""The points of a sweep: noise of its own for each, which stays when there are more."""

import itertools

import pytest

from kinlim import sweeps
from kinlim.errors import InputError
from kinlim.study import check, dump, load


@pytest.fixture
def file(tmp_path, kac):
    path = tmp_path / "kac.toml"
    path.write_text(dump(check(kac)))
    return path


def seeds(file, *over, overrides=()):
    return {point.folder: point.study.particles.seed for point in sweeps.points_of(file, over, overrides)}


def test_every_point_has_a_seed_of_its_own(file):
    # with one seed for all, neighbouring points drew the same numbers: noise correlated by 0.3 to 0.7, which fits do
    # not know of
    grid = seeds(file, "model.reservoir=12,24,48", "model.mu=1.0,2.0")
    assert len(set(grid.values())) == len(grid) == 6
    # of the study's seed, too; and whatever else a study sets moves none
    other = seeds(file, "model.reservoir=12,24,48", "model.mu=1.0,2.0", overrides=["particles.seed=2"])
    assert not set(grid.values()) & set(other.values())
    assert seeds(file, "model.reservoir=12", overrides=["particles.replicas=7"]) == seeds(file, "model.reservoir=12")


def test_seeds_stay_when_there_are_more_points(file):
    # --resume goes on with the points that are there, in whatever order they are named
    few, many = seeds(file, "model.reservoir=12,24"), seeds(file, "model.reservoir=6,24,12")
    assert few.items() <= many.items()
    orders = itertools.permutations(["model.reservoir=12,24", "model.mu=1.0,2.0"])
    assert len({frozenset(seeds(file, *order).items()) for order in orders}) == 1


def test_a_seed_that_is_varied_is_the_one_named(file):
    assert list(seeds(file, "particles.seed=3,4").values()) == [3, 4]


def test_a_point_can_be_run_again_alone(file, tmp_path):
    # its study.toml, written by the sweep, has the seed
    point, _ = sweeps.points_of(file, ["model.reservoir=12,24"])
    again = tmp_path / "point.toml"
    again.write_text(dump(point.study))
    assert load(again) == point.study


def test_values_that_go_along(file):
    # T = 5/lambda for every n, say: one parameter, and what belongs to each of its values
    points = sweeps.points_of(file, ["model.reservoir=12,24; model.end_time=4.0,8.0", "model.mu=1.0,2.0"])
    assert [(p.study.model.reservoir, p.study.model.end_time, p.study.model.mu) for p in points] == [
        (12, 4.0, 1.0), (12, 4.0, 2.0), (24, 8.0, 1.0), (24, 8.0, 2.0),
    ]  # fmt: skip
    assert all(set(point.values) == {"model.reservoir", "model.mu"} for point in points)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        (["model.reservoir=12,24; model.end_time=4.0"], "model.end_time has 1 values, and goes along with 2 of"),
        (["model.reservoir=12,24; model.reservoir=6,7"], "names a key or a value twice"),
        (["model.reservoir=12,24; model.mu=1.0,2.0", "model.mu=3.0"], "names a key or a value twice"),
        (["model.reservoir=12,24; "], "must be table.key=v1,v2,..."),
    ],
)
def test_what_cannot_go_along(file, over, message):
    with pytest.raises(InputError, match=message):
        sweeps.points_of(file, over)
