"""The regularised square root that (B') and (C) share: sigma from w = sigma^2/2, odd in w."""

from typing import Any

import ufl


def spread(w: Any, delta: Any) -> Any:
    """Give sigma = sqrt(2) w/(w^2 + delta^2)^(1/4), which is sqrt(2|w|) with the sign of w once |w| >> delta.

    Odd in w: where w dips below zero the term lambda mu_x sigma pushes it back; the even form would not.
    """
    return ufl.sqrt(2) * w / ufl.sqrt(ufl.sqrt(w**2 + delta**2))
