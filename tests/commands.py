"""The command line, run in the process of a test."""

import sys

import pytest

from kinlim import cli


def kinlim(*arguments, monkeypatch):
    """Exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["kinlim", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code
