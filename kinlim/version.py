"""The version of kinlim, read by pyproject.toml; CITATION.cff carries the same."""

__version__ = "0.1.0"
