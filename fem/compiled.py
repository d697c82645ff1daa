"""Forms, compiled by FFCx and the C compiler the first time that they are met, and kept by DOLFINx for the next."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import ufl
from dolfinx import fem, jit
from mpi4py import MPI

from kinlim import caches
from kinlim.errors import RunError
from kinlim.progress import compiling

FAILED = "JIT compilation"
"""In what DOLFINx says on all ranks when rank 0 has not been able to compile; only there it says why."""


def compiled(form: ufl.Form) -> fem.Form:
    """The form as DOLFINx assembles it. Collective; progress messages know that it is being compiled.

    Raises:
        InputError: compiled forms cannot be kept.
        RunError: the compiler, or the loader, failed on rank 0 of several.
    """
    return _compiled(form.ufl_domain().ufl_cargo().comm, lambda: fem.form(form))


class Compiled(NamedTuple):
    """An expression, evaluated at some points at a time.

    Attributes:
        address: of the function, as UFCx has it.
        library: which it is in.
    """

    address: int
    library: Any


def compiled_expression(expression: Any, points: NDArray[np.float64], comm: MPI.Comm) -> Compiled:
    """An expression at points of the reference cell, shape (points, dimension). Collective, as `compiled`.

    Raises:
        InputError: compiled forms cannot be kept.
        RunError: the compiler, or the loader, failed on rank 0 of several.
    """
    found, library, *_ = _compiled(comm, lambda: jit.ffcx_jit(comm, (expression, points)))
    return Compiled(int(library.ffi.cast("intptr_t", found.tabulate_tensor_float64)), library)


def _compiled[T](comm: MPI.Comm, compile_: Callable[[], T]) -> T:
    caches.refused.clear()
    try:
        with compiling:
            return compile_()
    except RuntimeError as error:
        if FAILED not in str(error):
            raise
        why = caches.refused[0] if caches.refused else RunError(" ".join(str(error).split()))
        raise comm.bcast(why) from None
