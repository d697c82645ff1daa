"""The regularised square root that (B') and (C) share: sigma from w = sigma^2/2, odd in w."""

from typing import Any

import ufl


def spread(w: Any, delta: Any) -> Any:
    """Give sigma = sqrt(2) w/(w^2 + delta^2)^(1/4), which is sqrt(2|w|) with the sign of w once |w| >> delta.

    For w >= 0 this is the sigma of (B') and (C). It is odd in w: where w dips below zero and mu_x > 0, the source
    -lambda mu_x sigma pushes it back, where that of sqrt(2|w|) would push it further.
    """
    return ufl.sqrt(2) * w / ufl.sqrt(ufl.sqrt(w**2 + delta**2))
