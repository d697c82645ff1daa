"""Compilers' caches: half made, cut off, empty or garbage, they are compiled again, and the numbers are the same."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr

from kinlim import caches
from kinlim.caches import Entry, _born

STUDY = """
[study]
model = "pinned"
name = "small"
[model]
balls = 20
mu0 = "x"
sigma0 = "1"
end_time = 0.001
observe = [1.0]
[particles]
replicas = 20
[pde]
cells = 8
"""


@pytest.fixture
def entry(tmp_path):
    made = Entry(tmp_path, "libffcx_forms_1")
    made.source.touch()
    return made


def finish(entry, content=b"a library"):
    entry.ready.touch()
    (entry.place / f"{entry.name}.cpython.so").write_bytes(content)
    entry.seal()


def test_a_form_in_the_making_is_its_makers(entry):
    entry.sign()
    assert entry.abandoned(), "what this process was interrupted in, it does not wait for"
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    entry._write(entry.read() | {"pid": other.pid, "born": _born(other.pid)})
    assert not entry.abandoned()
    entry._write(entry.read() | {"born": "0"})  # a number that another process has been given since
    assert entry.abandoned()
    entry._write(entry.read() | {"host": "another"})
    assert not entry.abandoned()
    os.utime(entry.source, (0, 0))
    assert entry.abandoned()
    other.communicate(b"\n")


def test_a_form_whose_maker_is_gone_is_abandoned(entry):
    program = (
        "from pathlib import Path\nfrom kinlim.caches import Entry\n"
        f"Entry(Path({str(entry.place)!r}), {entry.name!r}).sign()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert entry.abandoned()


def test_an_unsigned_form_is_abandoned_after_a_while(entry):
    assert not entry.abandoned()
    os.utime(entry.source, (time.time() - 60,) * 2)
    assert entry.abandoned()


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "note"])
def test_what_is_not_as_it_was_made_is_known(entry, damage):
    entry.ready.touch()
    assert not entry.sealed(), "finished, but not yet loaded by its maker: to be waited for, not to be dropped"
    finish(entry)
    assert entry.sealed()
    assert entry.whole()
    library = next(entry.place.glob("*.so"))
    if damage == "cut":
        library.write_bytes(b"a lib")
    elif damage == "flipped":
        library.write_bytes(b"b library")
    elif damage == "gone":
        library.unlink()
    else:
        entry.note.write_bytes(b"\xff{")
    assert not entry.whole()
    entry.drop()
    assert not list(entry.place.iterdir())


def run(folder: Path, cache: Path, name: str) -> tuple[str, xr.Dataset, xr.Dataset]:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "NUMBA_CACHE_DIR": str(cache / "numba")}
    command = [sys.executable, "-m", "kinlim", "run", str(folder / "small.toml"), "-o", str(folder / name)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stderr, *(xr.load_dataset(folder / name / f"{side}.nc") for side in ("pde", "particles"))


@pytest.mark.slow
def test_damaged_caches_are_dropped_and_the_numbers_are_the_same(tmp_path):
    (tmp_path / "small.toml").write_text(STUDY)
    cache = tmp_path / "cache"
    _, pde, particles = run(tmp_path, cache, "first")
    libraries = sorted((cache / "kinlim" / "forms").glob("*.so"))
    indices = sorted((cache / "numba").rglob("*.nbi"))
    kernels = sorted((cache / "numba").rglob("*.nbc"))
    assert len(libraries) > 3
    libraries[0].write_bytes(libraries[0].read_bytes()[:5000])  # would be a bus error
    half = Entry(libraries[1].parent, libraries[1].name.split(".")[0])
    half.drop()
    half.source.touch()  # as a compiler that was killed leaves it
    os.utime(half.source, (0, 0))
    indices[0].write_bytes(b"")  # click takes EOFError for an abort
    indices[1].write_bytes(b"garbage")
    kernels[-1].write_bytes(kernels[-1].read_bytes()[:100])
    said, again, particles_again = run(tmp_path, cache, "second")
    assert "a compiled form in the cache is damaged" in said
    assert "left half compiled" in said
    assert (again["sigma"] == pde["sigma"]).all()
    assert (particles_again["mu"] == particles["mu"]).all()
    said, *_ = run(tmp_path, cache, "third")
    assert "compiled again" not in said


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "small.toml").write_text(STUDY)
    (tmp_path / "file").touch()
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "file")}
    command = [sys.executable, "-m", "kinlim", "solve", str(tmp_path / "small.toml"), "-o", str(tmp_path / "r")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "set XDG_CACHE_HOME to a folder that can be written" in done.stderr


@pytest.mark.slow
def test_two_processes_fill_one_cache_at_once(tmp_path):
    (tmp_path / "small.toml").write_text(STUDY)
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "kinlim", "solve", str(tmp_path / "small.toml"), "-o"]
    both = [
        subprocess.Popen([*command, str(tmp_path / name)], env=environment, stderr=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    for one in both:
        said = one.communicate(timeout=300)[1]
        assert one.returncode == 0, said
        assert "compiled again" not in said
    first, second = (xr.load_dataset(tmp_path / name / "pde.nc") for name in "ab")
    assert (first["sigma"] == second["sigma"]).all()


def test_forms_of_one_processor_are_not_used_by_another(monkeypatch):
    """They share a home on many clusters, and one would meet instructions that it does not know."""
    here = caches.compile_options()
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, **more: read(path, **more).replace("avx", "abc"))
    there = caches.compile_options()
    assert ("-march=native" in here) == (here != there)

    def missing(path, **more):
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)  # without /proc
    assert caches.compile_options() == [*caches.FAST]
    assert "-ffast-math" not in caches.FAST  # which takes NaN for a number
