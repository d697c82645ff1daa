"""Proposition 4.3 along solutions, and the wave limit of Remark 4.4."""

import json

import numpy as np
import pytest
from commands import kinlim as command

from kinlim.study import check, dump


def test_a_study_is_varied_by_the_keys_of_its_file(tables):
    study = check(tables)
    assert study.vary("model", balls=99).model.balls == 99
    varied = study.vary("model", **{"lambda": 3.0})
    assert (varied.model.lam, varied.vary("model", balls=99).model.lam) == (3.0, 3.0)


@pytest.mark.slow
def test_what_it_concludes(tables, tmp_path, monkeypatch, capsys):
    # a decreasing mean is put in order long before the bound; it leaves its range meanwhile; waves at order 1/lambda
    tables["model"] |= {"balls": 60, "mu0": "-sin(pi*(x-1/2))/2", "sigma0": "1", "end_time": 0.2, "observe": [1.0]}
    tables["pde"] |= {"cells": 120}
    path = tmp_path / "small.toml"
    path.write_text(dump(check(tables)))
    assert command("dynamics", path, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    found = [one["verdict"] for one in json.loads((tmp_path / "r" / "dynamics.json").read_text())["statements"]]
    assert found == ["holds", "fails", "holds", "holds"], said
    assert "Remark 4.4" in (tmp_path / "r" / "dynamics.html").read_text()
    orders = [float(line.partition("exponent ")[2].split()[0]) for line in said.splitlines() if "exponent" in line]
    assert np.array(orders) == pytest.approx([-1, -1], abs=0.15)


@pytest.mark.parametrize(
    ("command_name", "change", "words"),
    [
        ("dynamics", {"model": {"end_time": 0.001}}, "names one collision twice"),
        ("drift", {"model": {"balls": 10**6}}, "end_time = 0.002 is 6.4e+16 collisions"),
        ("rest", {"particles": {"lags": 2}}, "particles.lags = 2: `kinlim rest` needs 3"),
        ("rest", {"particles": {"kernel": "sorting", "pilot": 0}}, "particles.kernel = 'sorting'"),
    ],
)
def test_a_study_that_cannot_be_varied_so_is_refused(
    tables, tmp_path, monkeypatch, capsys, command_name, change, words
):
    tables["model"] |= {"observe": [1.0]}
    tables["particles"]["replicas"] = 2
    for table, settings in change.items():
        tables[table] |= settings
    path = tmp_path / "small.toml"
    path.write_text(dump(check(tables)))
    assert command(command_name, path, "-o", tmp_path / "r", monkeypatch=monkeypatch) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
