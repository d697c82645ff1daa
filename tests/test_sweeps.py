"""The points of a sweep: noise of its own for each, which stays when there are more."""

import itertools

import pytest

from kinlim import sweeps
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
