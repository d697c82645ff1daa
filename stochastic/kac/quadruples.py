"""Reading and writing of velocities in R^3 that are kept as four numbers, the last one 0.

One particle is one register of 32 bytes, in a cache line of its own or with one other particle. The directions of
collisions, which come as three vectors of LENGTH numbers, are laid out in the same way.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kinlim.stochastic.vectors import LENGTH, pointer, shuffle

_LONG, _DOUBLE = ir.IntType(64), ir.DoubleType()
_QUADRUPLE = ir.VectorType(_DOUBLE, 4)


def _at(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, place: ir.Value) -> ir.Value:
    """Point to the quadruple that begins at entry `place` of an array taken flat."""
    return pointer(context, builder, kind, array, place, _QUADRUPLE)


def _fma(builder: ir.IRBuilder, *arguments: ir.Value) -> ir.Value:
    function = ir.FunctionType(_QUADRUPLE, [_QUADRUPLE] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, function, "llvm.fma.v4f64"), arguments)


def _sum(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Add (x0 + x2) + (x1 + x3); every entry of the result is that."""
    x = builder.fadd(x, shuffle(builder, x, x, [2, 3, 0, 1]))
    return builder.fadd(x, shuffle(builder, x, x, [1, 0, 3, 2]))


@intrinsic
def write_rows(context: Any, rows: Any, place: Any, x: Any, y: Any, z: Any) -> Any:
    """Put (x, y, z, 0) of each entry of three vectors one after the other, from entry `place` of an array taken flat.

    Four shuffles pair the entries, sixteen stores of two numbers do the rest.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        rows, place, x, y, z = arguments
        zero = ir.Constant(z.type, None)
        for lane in range(LENGTH):
            even = [0, 8, 2, 10, 4, 12, 6, 14]  # [x0 y0 x2 y2 x4 y4 x6 y6], of which a pair is stored
            both = [k + lane % 2 * (k < 8 or 1) for k in even]
            for half, (a, b) in enumerate(((x, y), (z, zero))):
                pair = shuffle(builder, shuffle(builder, a, b, both), x, [lane & ~1, lane | 1])
                entry = builder.add(place, _LONG(4 * lane + 2 * half))
                target = pointer(context, builder, signature.args[0], rows, entry, pair.type)
                builder.store(pair, target, align=8)
        return context.get_dummy_value()

    return types.none(rows, types.intp, x, y, z), generate


@intrinsic
def exchange(context: Any, v: Any, p: Any, q: Any, rows: Any, o: Any) -> Any:
    """Let the velocities at p and q of `v` exchange their components along the direction at o of `rows`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        v, p, q, rows, o = arguments
        p, q = (_at(context, builder, signature.args[0], v, place) for place in (p, q))
        a, b = builder.load(p, align=8), builder.load(q, align=8)
        direction = builder.load(_at(context, builder, signature.args[3], rows, o), align=8)
        by = _sum(builder, builder.fmul(builder.fsub(b, a), direction))
        builder.store(_fma(builder, by, direction, a), p, align=8)
        builder.store(_fma(builder, builder.fneg(by), direction, b), q, align=8)
        return context.get_dummy_value()

    return types.none(v, types.intp, types.intp, rows, types.intp), generate


@intrinsic
def between(context: Any, v: Any, p: Any, q: Any, rows: Any, o: Any) -> Any:
    """Return what `exchange` adds to p's velocity along the direction: the difference of the components."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        v, p, q, rows, o = arguments
        a, b = (builder.load(_at(context, builder, signature.args[0], v, place), align=8) for place in (p, q))
        direction = builder.load(_at(context, builder, signature.args[3], rows, o), align=8)
        by = _sum(builder, builder.fmul(builder.fsub(b, a), direction))
        return builder.extract_element(by, ir.IntType(32)(0))

    return types.float64(v, types.intp, types.intp, rows, types.intp), generate


@intrinsic
def along(context: Any, v: Any, p: Any, rows: Any, o: Any) -> Any:
    """Return the component of the velocity at p of `v` along the direction at o of `rows`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        v, p, rows, o = arguments
        velocity = builder.load(_at(context, builder, signature.args[0], v, p), align=8)
        direction = builder.load(_at(context, builder, signature.args[2], rows, o), align=8)
        return builder.extract_element(_sum(builder, builder.fmul(velocity, direction)), ir.IntType(32)(0))

    return types.float64(v, types.intp, rows, types.intp), generate


@intrinsic
def push(context: Any, v: Any, p: Any, rows: Any, o: Any, by: Any) -> Any:
    """Add `by` times the direction at o of `rows` to the velocity at p of `v`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        v, p, rows, o, by = arguments
        p = _at(context, builder, signature.args[0], v, p)
        direction = builder.load(_at(context, builder, signature.args[2], rows, o), align=8)
        first = builder.insert_element(ir.Constant(_QUADRUPLE, ir.Undefined), by, ir.IntType(32)(0))
        step = shuffle(builder, first, first, [0] * 4)
        builder.store(_fma(builder, step, direction, builder.load(p, align=8)), p, align=8)
        return context.get_dummy_value()

    return types.none(v, types.intp, rows, types.intp, types.float64), generate


@intrinsic
def expect(context: Any, v: Any, places: Any, at: Any) -> Any:
    """Ask for the cache lines of the velocities at places[at : at + LENGTH] of `v`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        v, places, at = arguments
        byte, how = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = ir.FunctionType(ir.VoidType(), [byte, how, how, how])
        prefetch = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
        for lane in range(LENGTH):
            entry = pointer(context, builder, signature.args[1], places, builder.add(at, _LONG(lane)), _LONG)
            particle = pointer(context, builder, signature.args[0], v, builder.load(entry), ir.IntType(8))
            builder.call(prefetch, [particle, how(1), how(3), how(1)])  # data to write, into L1
        return context.get_dummy_value()

    return types.none(v, places, types.intp), generate
