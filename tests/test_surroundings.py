"""A full disk, no shared memory, no Unicode, no memory: one sentence, or it works; and what is written is whole."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from surroundings import PLACES, left, run

from kinlim import compat

MOUNTABLE = os.geteuid() == 0 and (
    subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
)

IN_TMP = Path(__file__).resolve().is_relative_to("/tmp")


@pytest.mark.slow
@pytest.mark.skipif(not MOUNTABLE, reason="only root may mount")
@pytest.mark.parametrize(
    ("place", "code", "sentence"),
    [
        ("results on 4 KiB", 1, "r/study.toml: could not be written (No space left on device)"),
        ("results on 20 KiB", 1, "r/exact.nc: could not be written (No space left on device)"),
        ("results on 120 KiB", 1, "r/figures/distance.png: could not be written (No space left on device)"),
        ("read-only results", 2, "r: the output folder cannot be written (Read-only file system)"),
        ("caches on 100 KiB", 0, "compiled kernels cannot be kept (No space left on device); the next run"),
        pytest.param("a full /tmp", 0, "", marks=pytest.mark.skipif(IN_TMP, reason="kinlim is there itself")),
        pytest.param(
            "no /dev/shm", 2, "/dev/shm: MPI shares memory there, and it cannot be written",
            marks=pytest.mark.skipif(not compat.WHEEL, reason="Open MPI goes other ways"),
        ),
        ("HOME=/proc/nowhere", 0, ""),
        ("locale C, no UTF-8", 0, ""),
        ("umask 077", 0, ""),
        ("a link as folder", 0, ""),
        ("a link to nothing", 2, "r: the output folder cannot be written (it is a link to what is not there)"),
        ("64 descriptors", 0, ""),
        ("no standard streams", 0, ""),
    ],
)  # fmt: skip
def test_a_run_works_or_says_why(place, code, sentence):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as room:  # /tmp is one of the places
        found, said = run(PLACES[place], "kac", Path(room))
        kept = left(Path(room))
    assert found == code, said
    assert said.count("kinlim: ") == bool(sentence), said
    assert sentence in said
    assert "NOT WHOLE" not in kept
