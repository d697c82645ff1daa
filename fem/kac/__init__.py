"""The Kac model, exactly: both systems on symmetric polynomials, which both generators keep."""

from kinlim.fem.kac.solve import check, solve

__all__ = ["check", "solve"]
