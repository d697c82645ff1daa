"""Studies: the scales of the model, and one clear paragraph for everything that cannot be used."""

import math
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import tomli_w

import kinlim
from kinlim.errors import InputError
from kinlim.study import check, dump, load, override

PAPER = files("kinlim.examples").joinpath("pinned-paper.toml")


def test_the_papers_run_has_the_papers_numbers():
    model = load(str(PAPER)).model
    assert model.lam == pytest.approx(999 / (2 * math.sqrt(math.pi)), rel=1e-15)  # (2.8)
    assert abs(model.end_time / model.collision_time - 59840) < 2  # T over the rescaling below (2.7)
    assert model.times == pytest.approx(np.array(model.observe) * model.end_time, rel=1e-3)
    assert model.sites[[0, -1]].tolist() == [0.0, 1.0]


def test_on_another_interval_space_and_time_scale_as_heat_does(tables):
    unit = check(tables).model
    tables["model"]["interval"] = [1, 4]
    other = check(tables).model
    assert other.lam == pytest.approx(unit.lam / 3)
    assert other.collision_time == pytest.approx(unit.collision_time * 9)
    assert other.sites[-1] == 4.0


def test_lambda_may_be_given(tables):
    tables["model"]["lambda"] = 2.5
    study = check(tables)
    assert study.model.lam == 2.5
    assert study.model.particle_lambda == pytest.approx(49 / (2 * math.sqrt(math.pi)))
    assert check(_reread(study)) == study


def _reread(study):
    import tomllib

    return tomllib.loads(dump(study))


def test_a_dumped_study_reads_back_equal(study):
    assert check(_reread(study)) == study


def test_overrides_win_and_are_toml(tmp_path, study):
    path = tmp_path / "s.toml"
    path.write_text(dump(study))
    changed = load(path, ["particles.replicas = 70", 'model.mu0="x**2"', "model.observe=[1]"])
    assert (changed.particles.replicas, str(changed.model.mu0), changed.model.observe) == (70, "x**2", (1.0,))


BAD = [
    # (what to set, words that the refusal must contain)
    ("model.ball=10", ["model.ball = 10", "did you mean balls", "sigma0"]),
    ("particles.replica=10", ["replica", "did you mean replicas"]),
    ("modell.balls=10", ["modell", "unknown key", "did you mean model"]),
    ("model.balls='many'", ["balls = 'many'", "integer"]),
    ("model.balls=10.5", ["balls = 10.5", "integer"]),
    ("model.balls=true", ["balls = True", "integer"]),
    ("model.balls=4", ["balls = 4", "greater than or equal to 5"]),
    ("model.balls=-1000", ["balls = -1000"]),
    ("model.balls=10000000000", ["balls = 10000000000", "less than or equal to 10000000"]),
    ("model.end_time=-1.0", ["end_time = -1.0", "greater than 0"]),
    ("model.end_time=nan", ["end_time = nan", "finite"]),
    ("model.end_time=inf", ["end_time = inf", "finite"]),
    ("model.end_time=0", ["end_time = 0", "greater than 0"]),
    ("model.end_time=1e-9", ["end_time = 1e-09", "shorter than one collision"]),
    ("model.end_time='1'", ["end_time = '1'", "number"]),
    ("model.observe=[]", ["observe = []"]),
    ("model.observe=[0.5, 0.4]", ["observe = [0.5, 0.4]", "increase"]),
    ("model.observe=[0.5, 1.5]", ["observe", "1.5", "[0, 1]"]),
    ("model.observe=[0.5, 0.50001]", ["observe", "one collision twice"]),
    ("model.observe=0.5", ["observe = 0.5"]),
    ("model.interval=[1, 0]", ["interval = [1, 0]", "a < b"]),
    ("model.interval=[0, inf]", ["interval", "inf", "finite"]),
    ("model.interval=[0, 1e-300]", ["interval = [0, 1e-300]", "length"]),
    ("model.interval=[1e300, 1e301]", ["interval", "length"]),
    ("model.interval=[1.0, 1.0000000000000002]", ["interval", "length"]),
    ("model.end_time=1e300", ["end_time = 1e+300", "collisions"]),
    ("model.observe=[0.0]", ["observe = [0.0]", "before the first collision"]),
    ("model.lambda=-3", ["lambda = -3"]),
    ("model.lambda=1e300", ["lambda = 1e+300"]),
    ("model.mu0='1e80*x'", ["mu0 = '1e80*x'", "at x = 1", "overflow"]),
    ("model.mu0='y'", ["mu0 = 'y'", "unknown name 'y'"]),
    ("model.mu0='open(x)'", ["mu0 = 'open(x)'", "not a known function"]),
    ("model.mu0='x.__class__'", ["mu0", "x.__class__", "not allowed"]),
    ("model.mu0='x**9**9'", ["mu0", "exponent"]),
    ("model.mu0='1/x'", ["mu0 = '1/x'", "x = 0", "finite"]),
    ("model.mu0=[1]", ["mu0 = [1]", "formula"]),
    ("model.sigma0='cos(pi*x)'", ["sigma0 = 'cos(pi*x)'", "is -1 at x = 1, site 50 of 50", "negative"]),
    ("model.sigma0='x-1/100'", ["sigma0", "is -0.01 at x = 0, site 1"]),
    ("particles.kernel='sorted'", ["kernel = 'sorted'", "redistribute"]),
    ("particles.replicas=1", ["replicas = 1", "2"]),
    ("particles.seed=-1", ["seed = -1"]),
    ("particles.lags=50", ["lags = 50", "balls = 50"]),
    ("pde.system='D'", ["system = 'D'", "B'"]),
    ("pde.boundary='open'", ["boundary = 'open'", "noflux", "paper"]),
    ("pde.mesh='nodes.txt'", ["mesh = '", "nodes.txt'", "cells = 40", "both"]),
    ("pde.cells=10000000", ["pde.cells = 10000000", "GiB"]),
    ("pde.refinements=-1", ["refinements = -1"]),
    ("pde.regularisation=1", ["regularisation = 1"]),
    ("iteration.steps=0", ["iteration.steps = 0"]),
    ("iteration.tolerance=1", ["tolerance = 1"]),
    ("pde.cells=0", ["cells = 0"]),
    ("pde.degree=9", ["degree = 9"]),
    ("pde.rtol=0", ["rtol = 0"]),
    ("pde.grading=0.5", ["grading = 0.5"]),
    ("study.model='fluid'", ["study.model = 'fluid'", "pinned"]),
    ("study.name='../up'", ["name = '../up'"]),
]


@pytest.mark.parametrize(("setting", "words"), BAD, ids=[setting for setting, _ in BAD])
def test_bad_values_are_refused_in_one_paragraph(tmp_path, study, setting, words):
    # a value in the file: the file is named; a value from --set: the override is named
    path = tmp_path / "bad.toml"
    tables = override(_reread(study), [setting])
    path.write_text(tomli_w.dumps(tables))
    with pytest.raises(InputError) as in_file:
        load(path)
    path.write_text(dump(study))
    with pytest.raises(InputError) as in_override:
        load(path, [setting])
    for refusal, origin in (
        (in_file, str(path)),
        (in_override, str(path) if setting.startswith("study.model=") else f"--set {setting}"),
    ):
        text = str(refusal.value)
        assert text.startswith(f"{origin}: "), text
        assert "\n" not in text
        assert all(word in text for word in words), text


@pytest.mark.parametrize("word", ["C", "B_n", "B'", "A"])
def test_a_word_needs_no_quotes_of_its_own(study, word):
    assert override(_reread(study), [f"pde.system={word}"])["pde"]["system"] == word
    for name in ("wrong1.py", "../models/mine.py", "./grid.msh"):
        assert override(_reread(study), [f"pde.mesh={name}"])["pde"]["mesh"] == name
    assert override(_reread(study), ["pde.system=true"])["pde"]["system"] is True  # which is TOML


@pytest.mark.parametrize(
    "value",
    ["0x" + "f" * 5000, "1" + "0" * 5000, "[" * 3000, "'" + "x" * 5000 + "'"],
    ids=["hex", "digits", "deep", "long"],
)
def test_monstrous_values_are_refused_briefly(tmp_path, study, value):
    # Python refuses to print such numbers, and its parser to go that deep
    path = tmp_path / "s.toml"
    path.write_text(dump(study))
    with pytest.raises(InputError, match="particles.seed") as refusal:
        load(path, [f"particles.seed={value}"])
    assert len(str(refusal.value)) < 400
    path.write_text(f"[particles]\nseed = {value}")
    with pytest.raises(InputError, match="s.toml"):
        load(path)


def test_data_too_small_for_eighth_powers_are_refused(tables):
    tables["model"] |= {"mu0": "1e-80*x", "sigma0": "0"}
    with pytest.raises(InputError, match="mu0 = '1e-80.x' and sigma0 = '0' are at most 1e-80"):
        check(tables)


def test_statistics_beyond_memory_are_refused(tables):
    tables["model"] |= {"balls": 10**6, "end_time": 1e-6}
    tables["particles"]["block"] = 1000
    with pytest.raises(InputError, match="particles.block = 1000 .* GiB a thread"):
        check(tables)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pilot": 5}, "particles.pilot = 5: must be 0, for nothing of W, or at least 16"),
        ({"follow": [3]}, "particles.follow = .3. needs kernel = 'sorting'"),
        ({"snapshots": [0, 600]}, "particles.snapshots = .0, 600. must be numbers of replicas, 0 to 599"),
        ({"snapshots": [7, 7]}, "particles.snapshots = .7, 7.: must increase"),
        ({"pairs": [10]}, "particles.pairs = .10. needs a pilot"),
        ({"pairs": [50], "pilot": 64}, "particles.pairs = .50. must be numbers of balls, 1 to 49"),
        ({"kernel": "sorting", "follow": [0]}, "particles.follow = .0. must be numbers of balls, 1 to 50"),
        ({"block": 0}, "particles.block = 0"),
    ],
)
def test_records_that_cannot_be_kept_are_refused(tables, settings, words):
    tables["particles"] |= settings
    with pytest.raises(InputError, match=words):
        check(tables)


def test_blocks_and_pilots_have_defaults_that_fit(tables):
    assert check(tables).particles.block == 512
    assert check(tables).particles.pilot == 0
    tables["particles"]["replicas"] = 1024
    assert check(tables).particles.pilot == 256
    for balls, block in ((1000, 512), (3000, 128), (10**5, 32), (10**6, 1)):
        tables["model"] |= {"balls": balls, "end_time": 1e-8 if balls > 5000 else 0.002}
        if balls == 10**6:
            tables["model"]["end_time"] = 1e-11
        assert check(tables).particles.block == block


@pytest.mark.parametrize(
    "setting",
    [
        "particles",
        "particles=3",
        "particles.replicas",
        "particles.replicas=",
        "a.b=c",
        "particles.seed=1\nx=2",
        "=1",
        "model.mu0=" + "[" * 3000,
        "model.balls=1" + "0" * 5000,
    ],
)
def test_malformed_overrides_are_refused(tmp_path, study, setting):
    path = tmp_path / "s.toml"
    path.write_text(dump(study))
    with pytest.raises(InputError, match="--set"):
        load(path, [setting])


def test_a_missing_key_is_named(tables):
    del tables["model"]["sigma0"]
    with pytest.raises(InputError, match=re.escape("model.sigma0 is missing")):
        check(tables)


def test_a_missing_table_is_named(tables):
    del tables["particles"]
    with pytest.raises(InputError, match="particles is missing"):
        check(tables)


@pytest.mark.parametrize("text", ["[study", "study = 3", "", "\x00", "[study]\nname='a'"])
def test_unreadable_files_are_refused(tmp_path, text):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(str(path))):
        load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.toml.*No such file"):
        load(tmp_path / "nowhere.toml")


def test_the_version_is_the_same_everywhere():
    citation = Path(__file__).parent.parent / "CITATION.cff"
    assert f"version: {kinlim.__version__}\n" in citation.read_text()
