"""Copies of arrays inside kernels.

With ``target[:] = source`` numba compiles the text of the error that shapes differ, too: 4.6 s, in every process that
compiles a kernel with such a line.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(inline="always")
def put(target: NDArray[Any], source: NDArray[Any]) -> None:
    """Copy `source` into `target`; both have the same shape, which nobody checks, and do not overlap."""
    for at, value in np.ndenumerate(source):
        target[at] = value
