"""The Kac model, exactly: both systems on symmetric polynomials, which both generators keep."""

from kinlim.fem.kac.solve import check, solve

SOLVERS = {"exact": solve}
"""By the name of what they write."""

__all__ = ["SOLVERS", "check", "solve"]
