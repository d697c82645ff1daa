"""Positions on the torus in units of 2^-32 of its length, as 32-bit words that wrap around by themselves.

A flight is one addition of whole numbers, modulo 1 without a test, and the cell of a position is the leading word of a
product; positions are as exact anywhere on the torus. A displacement y is rounded to whole units by adding 1.5 2^20 to
it: the last bit of that double is worth 2^-32, and its last 32 bits are y modulo 1, for |y| below 2^19.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from kinlim.stochastic.vectors import call

UNIT = 2.0**-32
"""What the last bit of a position is worth."""

_LONG, _WORD, _DOUBLE = ir.IntType(64), ir.IntType(32), ir.DoubleType()

Words32 = NDArray[np.uint32]
Singles = NDArray[np.float32]


@intrinsic
def flown(context: Any, x: Any, v: Any, time: Any) -> Any:
    """Position after a flight with velocity v for a time."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        x, v, time = arguments
        end = call(builder, "fma", builder.fpext(v, _DOUBLE), time, ir.Constant(_DOUBLE, 1.5 * 2.0**20))
        return builder.add(x, builder.trunc(builder.bitcast(end, _LONG), _WORD))

    return types.uint32(types.uint32, types.float32, types.float64), generate


@intrinsic
def place(context: Any, x: Any, shift: Any, cells: Any) -> Any:
    """Cell along an axis, 0 ... cells - 1, of position x on a grid that begins at -shift."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        x, shift, cells = arguments
        product = builder.mul(builder.zext(builder.add(x, shift), _LONG), builder.zext(cells, _LONG))
        return builder.trunc(builder.lshr(product, _LONG(32)), _WORD)

    return types.uint32(types.uint32, types.uint32, types.uint32), generate


@njit(nogil=True, cache=True)
def fly(pos: Words32, vel: Singles, first: int, last: int, time: float) -> None:
    """Let particles first ... last - 1 fly.

    Args:
        pos: shape (d, capacity), changed.
        vel: the same shape.
        first: of them.
        last: of them.
        time: over epsilon, so that it is a distance for velocity 1.
    """
    for axis in range(pos.shape[0]):
        x, v = pos[axis, first:last], vel[axis, first:last]
        for i in range(x.size):
            x[i] = flown(x[i], v[i], time)


@njit(nogil=True, cache=True)
def locate(pos: Words32, first: int, last: int, shift: Words32, cells: int, where: Words32) -> None:
    """Fill `where` with the cells of particles first ... last - 1, the last axis fastest.

    Args:
        pos: shape (d, capacity).
        first: of them.
        last: of them.
        shift: shape (d,), of the grid.
        cells: along each axis.
        where: at least last - first entries, overwritten.
    """
    along = np.uint32(cells)
    for axis in range(pos.shape[0]):
        x, begin = pos[axis, first:last], shift[axis]
        if axis == 0:
            for i in range(x.size):
                where[i] = place(x[i], begin, along)
        else:
            for i in range(x.size):
                where[i] = np.uint32(where[i] * along + place(x[i], begin, along))
