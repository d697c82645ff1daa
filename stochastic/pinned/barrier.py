"""A barrier for threads inside compiled kernels: a few microseconds where one through Python takes a hundred.

Every thread adds one to a counter and waits until all have. The counter only grows, so that nothing need be reset
between barriers. Who waits long gives its core away again and again: with more threads than cores it is slower but
never stuck.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

PATIENCE = 2000
"""Looks at the counter, about 50 microseconds, before the core is offered to others."""


def _pointer(context: Any, builder: ir.IRBuilder, kind: Any, array: Any) -> ir.Value:
    """Address of the first entry of an array."""
    return cgutils.create_struct_proxy(kind)(context, builder, value=array).data


@intrinsic
def _arrive(context: Any, counter: Any) -> Any:
    """Add one to counter[0], at once for all threads."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        pointer = _pointer(context, builder, signature.args[0], arguments[0])
        builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "seq_cst")
        return context.get_dummy_value()

    return types.none(counter), generate


@intrinsic
def _arrived(context: Any, counter: Any) -> Any:
    """Read counter[0], and after it whatever those who added to it had written before."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        pointer = _pointer(context, builder, signature.args[0], arguments[0])
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(counter), generate


@intrinsic
def _give_way(context: Any) -> Any:
    """Let another thread have the core: POSIX's sched_yield."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield")
        builder.call(function, [])
        return context.get_dummy_value()

    return types.none(), generate


@njit(nogil=True, cache=True)
def wait_for_all(counter: NDArray[np.int64], threads: int, meeting: int) -> None:
    """Return when all threads have called it for this meeting.

    Args:
        counter: shape (any,), int64, shared; its first entry is 0 before meeting 1.
        threads: that meet.
        meeting: 1, 2, 3, ..., the same for all.
    """
    if threads == 1:
        return
    _arrive(counter)
    looks = 0
    while _arrived(counter) < threads * meeting:
        looks += 1
        if looks > PATIENCE:
            _give_way()
