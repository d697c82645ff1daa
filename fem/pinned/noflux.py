"""Ends that let neither momentum nor energy through: the natural condition of the conservative weak forms.

mu_x - lambda sigma = 0, with w_x = 0 in (B'), sigma sigma_x = 0 in (A), E_x - lambda mu sigma = 0 in (C): nothing is
imposed, the boundary terms are left out.
"""

import numpy as np
from numpy.typing import NDArray

from dolfinx.fem import FunctionSpace


def held(space: FunctionSpace) -> NDArray[np.int32]:
    """No row is."""
    return np.empty(0, np.int32)
