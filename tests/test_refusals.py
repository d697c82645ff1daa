"""A model file that is wrong is refused in one sentence with its place, before anything is written."""

import pytest
from commands import kinlim

GOOD = """\
import numpy as np
import ufl
from numba import njit

import kinlim
import kinlim.statistics


class Ring(kinlim.Physics):
    sites: int = 8

    @property
    def grid(self):
        return kinlim.Points(x=np.arange(self.sites) / self.sites)


@njit
def kernel(values):
    values[0, 0] += 1.0


class Walk(kinlim.Particles):
    observables = {"u": kinlim.Observable("density")}

    @property
    def grid(self):
        return self.model.grid

    def begin(self, streams, first, threads):
        return np.zeros((streams.shape[1], self.model.sites))

    def advance(self, state, observation, tick):
        kernel(state)

    def observe(self, state, observation):
        return {"u": state}


class Heat(kinlim.Equation):
    unknowns = {"u": "density"}
    domain = kinlim.Interval(0, 1)

    @property
    def grid(self):
        return self.model.grid

    def initial(self, x):
        return np.cos(np.pi * x)

    def residual(self, u, u_t, v, at):
        return (u_t * v + ufl.inner(ufl.grad(u), ufl.grad(v))) * at.dx

    def held(self, u, at):
        return {("u", "left"): 1.0}


MODEL = kinlim.Model(
    name="ring",
    physics=Ring,
    sides=(kinlim.Evolution(Heat), kinlim.Ensembles(Walk)),
    compare=kinlim.rules(kinlim.Means("u")),
)
"""

STUDY = """\
[study]
model = "mine.py"
name = "mine"
[model]
end_time = 0.1
observe = [0.5, 1.0]
[particles]
replicas = 10
[pde]
cells = 8
"""

LINE = GOOD.splitlines().index("    values[0, 0] += 1.0") + 1

WRONG = {
    "missing method": ("    def residual(", "    def residue(", ["mine.py: the class Heat has no residual, which"]),
    "missing attribute": ("    unknowns = ", "    names = ", ["mine.py: Heat has no unknowns, which every kinlim."]),
    "wrong shape": (
        "np.cos(np.pi * x)", "np.zeros((3, 2))", ["mine.py: Heat.initial gives the shape (3, 2)", "points; it must be"]
    ),
    "not linear in the test function": (
        "(u_t * v +", "(u_t * v**2 +", ["mine.py: Heat.residual is not linear in v"]
    ),
    "no form": ("* at.dx\n", "\n", ["mine.py: Heat.residual must give a UFL form, linear in its test functions v"]),
    "data that are no numbers": ("np.cos(np.pi * x)", "np.log(x)", ["mine.py: Heat.initial is [-inf] at x = 0"]),
    "exception in a kernel": (
        "values[0, 0] += 1.0", 'raise ValueError("too hot")', [f"mine.py, line {LINE}, in kernel: ValueError: too hot"]
    ),
    "kernel that cannot be compiled": ("values[0, 0] += 1.0", "values.nothing()", ["mine.py, line", "in advance"]),
    "exception in a method": (
        "np.cos(np.pi * x)", "np.cos(phi * x)", ["mine.py, line", "in initial: NameError: name 'phi' is not defined"]
    ),
    "unknown boundary": ('"left"', '"top"', ["mine.py: Heat.held: there is no boundary 'top'", "left, right"]),
    "unknown that is held": ('("u", "left")', '("w", "left")', ["mine.py: Heat.held names w; the unknowns are u"]),
    "name taken": ('name="ring"', 'name="kac"', ["mine.py: MODEL.name = 'kac' is the name of another model"]),
    "table taken": (
        "Ensembles(Walk)", 'Ensembles(Walk, table="pde")', ["mine.py: the table 'pde' of one of MODEL.sides is taken"]
    ),
    "equation that is none": (
        "Evolution(Heat)", "Evolution(lambda study: 3)", ["mine.py: <lambda> must give a kinlim.Equation, and gives"]
    ),
    "no sides": ("sides=(", "sides=() and (", ["mine.py: MODEL.sides must be a tuple of sides, such as (kinlim.Evol"]),
    "physics of another kind": (
        "physics=Ring", "physics=dict", ["mine.py: MODEL.physics = <class 'dict'> must be a class derived from"]
    ),
    "syntax error": ("class Heat(", "class Heat((", ["mine.py, line", "is not Python"]),
    "failing import": ("import numpy as np", "import numpie as np", ["mine.py, line 1", "No module named 'numpie'"]),
    "no MODEL": ("MODEL = ", "OTHER = ", ["mine.py: declares no MODEL"]),
    "MODEL of another type": ("MODEL = kinlim.Model(", "MODEL = dict(", ["mine.py: MODEL is a dict"]),
    "observable of another shape": (
        '{"u": state}', '{"u": state[:, 1:]}', ["mine.py: Walk.observe: 'u' has the shape (2, 7)", "(2, 8)"]
    ),
    "observable of another name": ('{"u": state}', '{"w": state}', ["mine.py: Walk.observe gives w", "announces u"]),
    "statistic of another size": (
        '{"u": state}', '{"u": kinlim.statistics.Largest(state[0, 1:])}',
        ["mine.py: Walk.observe: 'u' is a Largest of 7 numbers, and must be (8,)"],
    ),
    "statistic without variables": (
        '{"u": state}',
        '{"u": __import__("dataclasses").make_dataclass("Bare", [], bases=(kinlim.statistics.Statistic,))()}',
        ["mine.py: Walk.observe: 'u'", "Bare has no variables"],
    ),
    "unknown dimension": (
        'Observable("density")', 'Observable("density", ("y",))', ["has the dimension y, which is neither in `grid`"]
    ),
    "rule without its variable of the particles": (
        'Means("u")', 'Means("w", of="u")', ["mine.toml: particles.nc has no variable w; it has u, u_se"]
    ),
    "rule of a side that there is none": (
        'Means("u")', 'Means("u", solution="exact")', ["the rule for u wants exact.nc; the sides", "are pde, particles"]
    ),
    "grid outside the domain": ("/ self.sites)", "/ 4)", ["mine.py: Heat.grid", "outside the mesh"]),
    "held discontinuous elements": (
        "    domain = ", '    element = "discontinuous"\n    domain = ', ["mine.py: Heat.held: discontinuous elements"]
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text(STUDY)
    (tmp_path / "mine.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, folder, words):
    said = capsys.readouterr().err.removeprefix("compiling (what is compiled is kept for the next run)\n")
    assert "Traceback" not in said
    assert said.count("\n") == 1, said
    assert all(word in said for word in words), said
    assert not (folder / "results").exists()


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_model_file_is_refused_before_anything_is_written(folder, fault, monkeypatch, capsys):
    old, new, words = WRONG[fault]
    assert old in GOOD
    (folder / "mine.py").write_text(GOOD.replace(old, new))
    assert kinlim("run", "mine.toml", monkeypatch=monkeypatch) == 2
    refused(capsys, folder, words)


def test_a_missing_model_file(folder, monkeypatch, capsys):
    (folder / "mine.py").unlink()
    assert kinlim("run", "mine.toml", monkeypatch=monkeypatch) == 2
    refused(capsys, folder, ["mine.toml: study.model = 'mine.py'", "mine.py: the file of the model cannot be read"])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("pde.shape='box'", ["pde.shape = 'box' has no meaning on this Interval"]),
        ("pde.degree=0", ["pde.degree = 0: continuous elements have at least degree 1"]),
        ("pde.nodes=3", ["pde.nodes = 3: unknown key"]),
        ("model.sites='many'", ["model.sites = 'many'"]),
        ("particles.replicas=1", ["particles.replicas = 1"]),
    ],
)
def test_settings_that_a_model_cannot_use(folder, setting, words, monkeypatch, capsys):
    assert kinlim("run", "mine.toml", "--set", setting, monkeypatch=monkeypatch) == 2
    refused(capsys, folder, words)


def test_a_missing_mesh_file(folder, monkeypatch, capsys):
    (folder / "mine.toml").write_text(STUDY.replace("cells = 8", "mesh = 'none.txt'"))
    assert kinlim("run", "mine.toml", monkeypatch=monkeypatch) == 2
    refused(capsys, folder, ["none.txt: cannot be read as a mesh (there is no such file)"])


def test_an_exception_while_particles_run_names_its_place(folder, monkeypatch, capsys):
    # only after the trial: the second observation fails, and what was solved before stays
    late = 'kernel(state)\n        if observation:\n            raise ValueError("late")'
    (folder / "mine.py").write_text(GOOD.replace("kernel(state)", late))
    assert kinlim("run", "mine.toml", monkeypatch=monkeypatch) == 1
    said = capsys.readouterr().err
    assert "mine.py, line" in said
    assert "in advance: ValueError: late" in said
    assert (folder / "results" / "mine" / "pde.nc").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('Means("u")', 'Means("u", of="w")', "pde.nc has no variable w; it has "),
        ('Means("u")', 'Numbers("u", expected=None), kinlim.Modes("u", of="w", label="modes")', "has no variable w"),
        ("self.model.grid\n\n    def initial", "kinlim.Points(x=[0, 1])\n\n    def initial", "other coordinates"),
    ],
)
def test_what_a_rule_misses_in_the_solution_is_told_before_the_particles(folder, old, new, words, monkeypatch, capsys):
    """It was told after them, which may have taken days."""
    assert GOOD.count(old) == 1
    (folder / "mine.py").write_text(GOOD.replace(old, new))
    assert kinlim("run", "mine.toml", monkeypatch=monkeypatch) == 2
    assert words in capsys.readouterr().err
    assert (folder / "results" / "mine" / "pde.nc").exists()
    assert not (folder / "results" / "mine" / "particles.nc").exists()


def test_a_folder_of_a_model_that_has_changed_is_refused(folder, monkeypatch, capsys):
    assert kinlim("solve", "mine.toml", monkeypatch=monkeypatch) == 0
    assert (folder / "results" / "mine" / "model.py").read_text() == GOOD
    (folder / "mine.py").write_text(GOOD + "\n")
    for command in (("paraview", "results/mine"), ("run", "mine.toml", "--resume"), ("compare", "results/mine")):
        assert kinlim(*command, monkeypatch=monkeypatch) == 2
        said = capsys.readouterr().err
        assert "mine.py, the file of its model, has changed since" in said
        assert "the version that made this folder is results/mine/model.py" in said
    (folder / "mine.py").unlink()
    assert kinlim("paraview", "results/mine", monkeypatch=monkeypatch) == 2
    assert "the file of its model, is gone" in capsys.readouterr().err
