"""The regularised square root that (B'), (B_n) and (C) share, and the scales that every system is given."""

from typing import Any, NamedTuple

import ufl


class Scales(NamedTuple):
    """The numbers in a system of equations.

    Attributes:
        lam: lambda.
        delta: the regularisation, in the unit of w = sigma^2/2.
        spacing: (b - a)/(n - 1), from ball to ball; (B_n) alone has it in its equations.
    """

    lam: Any
    delta: Any
    spacing: Any


def spread(w: Any, delta: Any) -> Any:
    """Give sigma = sqrt(2) w/(w^2 + delta^2)^(1/4), which is sqrt(2|w|) with the sign of w once |w| >> delta.

    For w >= 0 this is the sigma of (B') and (C). It is odd in w: where w dips below zero and mu_x > 0, the source
    -lambda mu_x sigma pushes it back, where that of sqrt(2|w|) would push it further.
    """
    return ufl.sqrt(2) * w / ufl.sqrt(ufl.sqrt(w**2 + delta**2))
