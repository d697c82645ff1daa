"""The standard rules: what noise explains is noise, what it does not is found; pages and figures in any dimension."""

import numpy as np
import pytest
import xarray as xr

import kinlim
from kinlim.errors import InputError
from kinlim.validation.report import readable

STUDY = "[model]\nn = 3\n"


def made_up(axes, bias=0.0, seed=1, se=0.004):
    """Particles that are the solution 1 + cos(2 pi x) ... at two times, plus a bias and noise of known size."""
    rng, time = np.random.default_rng(seed), np.array([0.5, 1.0])
    coordinates = {axis: np.arange(16) / 16 for axis in axes}
    wave = sum(np.cos(2 * np.pi * x) for x in np.meshgrid(*coordinates.values(), indexing="ij"))
    u = np.exp(-time).reshape(-1, *[1] * len(axes)) * wave + 2
    dims, coords = ("time", *axes), {"time": time, "fraction": ("time", time), **coordinates}
    noisy = u * (1 + bias) + se * rng.normal(size=u.shape)
    # modes of the particles: those of the solution in one dimension, with noise of their own
    modes = np.zeros((2, 3, 2))
    modes[:, 0, 0] = np.exp(-time) * (1 + bias)
    about = {
        "title": "made up: particles", "model": "m", "replicas": 1000, "study": STUDY, "source": "kinlim", "git": "",
        "wall_seconds": 1.0, "ranks": 1, "threads": 1, "seed": "1", "versions": "",
    }  # fmt: skip
    particles = xr.Dataset(
        {
            "u": (dims, noisy), "u_se": (dims, np.full(u.shape, se)),
            "modes": (("time", "wave", "part"), modes + se * rng.normal(size=modes.shape)),
            "modes_se": (("time", "wave", "part"), np.full(modes.shape, se)),
            "mass": ("time", 2 * (1 + bias) + se * rng.normal(size=2)), "mass_se": ("time", np.full(2, se)),
        },
        coords={**coords, "wave": [1, 2, 3], "part": ["cos", "sin"]}, attrs=about,
    )  # fmt: skip
    solution = {"u": (dims, u), "initial_u": (axes, wave + 2), "mass": ("time", [2.0, 2.0])}
    pde = xr.Dataset(solution, coords=coords)
    pde.attrs = {k: v for k, v in about.items() if k != "replicas"} | {"cells": 3, "degree": 1, "steps": 4}
    return {"particles": particles, "pde": pde}


def first_modes(pde):
    """What is expected of the particles' modes, without the rule `Modes`."""
    n = pde.sizes["x"]
    found = np.fft.rfft(pde.u.values, axis=1)[:, 1:4] * 2 / n
    return xr.DataArray(np.stack([found.real, -found.imag], axis=2), dims=("time", "wave", "part"))


RULES = {
    "means": kinlim.Means("u"),
    "numbers": kinlim.Numbers("mass"),
    "expected": kinlim.Numbers("modes", expected=first_modes),
    "modes": kinlim.Modes("modes", of="u"),
}


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_finds_a_bias_and_nothing_else(kind):
    rule = RULES[kind]
    for bias, outcome in ((0.0, "agree"), (0.2, "differ")):
        data = made_up(("x",), bias)
        comparison = kinlim.rules(rule)()
        compared, numbers = comparison.conclude(data)
        assert numbers["verdicts"][0]["outcome"] == outcome, numbers["verdicts"]
        measured = comparison.measured(data, compared)
        name = f"excess_{rule.name}"
        if bias:
            assert measured[name].value > 5 * measured[name].error > 0
        else:
            assert not measured[name].value > 5 * measured[name].error


def test_noise_alone_is_seldom_called_a_difference():
    # the largest of 6 |z| exceeds the threshold once in a thousand times; chi-square is 1 on average
    found = [kinlim.rules(RULES["modes"])().conclude(made_up(("x",), seed=seed))[1] for seed in range(40)]
    assert [numbers["verdicts"][0]["outcome"] for numbers in found].count("differ") <= 1
    chi2 = np.mean([numbers["deviations"]["modes"]["chi2"] for numbers in found])
    assert chi2 == pytest.approx(1, abs=4 * np.sqrt(2 / 12 / 40))


@pytest.mark.slow
@pytest.mark.parametrize("axes", [("x",), ("x", "y"), ("x", "y", "z")])
def test_pages_in_any_dimension(axes):
    data = made_up(axes)
    some = (kinlim.Means("u"), kinlim.Numbers("mass"))
    comparison = kinlim.rules(*some)()
    compared, numbers = comparison.conclude(data)
    page = comparison.html(compared, numbers, comparison.draw(compared, data), data)
    assert page.count("data:image/png;base64,iVBOR") == 2
    assert all(readable(verdict["sentence"]) in page for verdict in numbers["verdicts"])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda d: {**d, "pde": d["pde"].drop_vars("u")}, "pde.nc has no variable u"),
        (lambda d: {**d, "pde": d["pde"].assign_coords(x=d["pde"].x + 0.01)}, "other coordinates along x"),
        (lambda d: {**d, "pde": d["pde"].isel(time=[0])}, "different times"),
        (lambda d: {**d, "pde": d["pde"].assign_attrs(study="[model]\nn = 4\n")}, "model.n = 3, pde.nc has 4"),
        (lambda d: {**d, "particles": d["particles"].assign(u=d["particles"].u * np.nan)}, "not finite numbers"),
        (lambda d: {"particles": d["particles"]}, "the rule for u wants pde.nc; there are particles"),
    ],
)
def test_what_does_not_belong_together_is_refused(fault, words):
    with pytest.raises(InputError, match=words):
        kinlim.rules(RULES["means"])().conclude(fault(made_up(("x",))))


def test_two_rules_of_one_name_need_labels(tmp_path):
    rules = 'compare=rules(Means("u"), Means("u", label="v"), Means("v")))'
    text = KNOWN.replace("import Known", "import Known, Means, rules").replace(
        "(Known(values),))", f"(Known(values),), {rules}"
    )
    (tmp_path / "nothing.py").write_text(text.replace("VALUES", "{}"))
    (tmp_path / "s.toml").write_text('[study]\nmodel = "nothing.py"\nname = "n"\n[model]\nend_time = 1.0\n')
    with pytest.raises(InputError, match=r"nothing.py, line 14, .*two rules are called 'v': give one of them another"):
        kinlim.load(tmp_path / "s.toml")
    data = made_up(("x",))
    comparison = kinlim.rules(kinlim.Means("u"), kinlim.Means("u", label="again", follow=False))()
    compared, numbers = comparison.conclude(data)
    assert set(numbers["points"]) == {"u", "again"}
    np.testing.assert_array_equal(compared["rel_l2_u"], compared["rel_l2_again"])
    assert not [name for name in comparison.measured(data, compared) if "again" in name]


KNOWN = """
from kinlim import Known, Model, Physics


class Nothing(Physics):
    size: int = 3


def values(study):
    t = study.model.times
    return VALUES


MODEL = Model("nothing", Nothing, (Known(values),))
"""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ('{"u": ("time", 1 / (t - t), "u")}', "u has values that are no numbers"),
        ('{"u": ("time", t[1:], "u")}', "u has 1 times, and the study observes at 2"),
        ('{"u": (("time", "x"), t, "u")}', "ValueError"),
        ('{"u": ("time", t.wrong, "u")}', "line 11, in values: AttributeError"),
    ],
)
def test_what_is_not_known_is_said(tmp_path, values, words):
    (tmp_path / "nothing.py").write_text(KNOWN.replace("VALUES", values))
    (tmp_path / "s.toml").write_text(
        '[study]\nmodel = "nothing.py"\nname = "n"\n[model]\nend_time = 1.0\nobserve = [0.5, 1.0]\n'
    )
    with pytest.raises(kinlim.RunError, match=words), np.errstate(all="ignore"):
        kinlim.solve(kinlim.load(tmp_path / "s.toml"))


def test_what_is_known_keeps_its_coordinates_and_its_own_sensitivities(tmp_path):
    values = '{"lag": ("lag", [1, 2], "lag"), "u": (("time", "lag"), [[x, x**2] for x in t], "u")}'
    (tmp_path / "nothing.py").write_text(KNOWN.replace("VALUES", values))
    text = '[study]\nmodel = "nothing.py"\nname = "n"\n[model]\nend_time = 2.0\nobserve = [0.5, 1.0]\n'
    (tmp_path / "s.toml").write_text(text)
    found = kinlim.solve(kinlim.load(tmp_path / "s.toml"))
    assert found.u.dims == ("time", "lag")
    assert list(found.lag.values) == [1, 2]
    np.testing.assert_allclose(found.sensitivity_u, [[1, 2], [2, 8]], rtol=1e-9)  # t du/dt
    own = values[:-1] + ', "sensitivity_u": (("time", "lag"), [[7, 7], [7, 7]], "mine")}'
    (tmp_path / "nothing.py").write_text(KNOWN.replace("VALUES", own))
    assert (kinlim.solve(kinlim.load(tmp_path / "s.toml")).sensitivity_u == 7).all()


class Twice(kinlim.Numbers):
    """Its expectation is of a variable with another name, as a user's own may be."""

    def expectation(self, solution, particles):
        return 2 * solution["other"]


def test_what_a_rule_of_ones_own_wants_is_not_guessed():
    assert kinlim.Numbers("n").wanted == ("n",)
    assert Twice("n").wanted == ()
    assert kinlim.Numbers("n", expected=lambda solution: solution["other"]).wanted == ()
