"""The pinned balls against their limit equations: what is compared, drawn and reported."""

from kinlim.validation.pinned.comparison import COMPARISON

__all__ = ["COMPARISON"]
