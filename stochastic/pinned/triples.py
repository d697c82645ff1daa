"""Reading and writing the triples of neighbouring velocities that a vector of collisions concerns.

A triple (a, b, d) is 24 bytes somewhere in memory. It is read by one load of 32 bytes, so that 8 loads and 11 shuffles
give the vectors of a, b and d. It is written by a store of 16 bytes for (a, b) and one of 8 for d, which touch nothing
behind the triple: 5 shuffles. Both need the addresses one by one; these come from memory, since taking one out of a
vector register would cost a shuffle too.
"""

from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kinlim.stochastic.vectors import FLOATS, LENGTH, pointer, shuffle

_LONG, _DOUBLE = ir.IntType(64), ir.DoubleType()


def _addresses(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any, width: int) -> Iterator[ir.Value]:
    """Point to `width` doubles from the left site of each triple on."""
    v, places, at = arguments[:3]
    for lane in range(LENGTH):
        entry = builder.add(at, _LONG(lane))
        place = builder.load(pointer(context, builder, signature.args[1], places, entry, _LONG))
        site = builder.lshr(place, _LONG(32))
        yield pointer(context, builder, signature.args[0], v, site, ir.VectorType(_DOUBLE, width))


@intrinsic
def read_triples(context: Any, v: Any, places: Any, at: Any) -> Any:
    """Return vectors a, b, d from the sites in the upper halves of places[at : at + LENGTH]; reads v[site + 3] too."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        row = [builder.load(p, align=8) for p in _addresses(context, builder, signature, arguments, 4)]
        # [a0 b0 d0 . a4 b4 d4 .] and so on
        pair = [shuffle(builder, row[k], row[k + 4], list(range(8))) for k in range(4)]
        # [a0 a1 b0 b1 a4 a5 b4 b5] and [d0 d1 . . d4 d5 . .], then with 2, 3, 6, 7
        ab, ab_ = (shuffle(builder, x, y, [0, 8, 1, 9, 4, 12, 5, 13]) for x, y in (pair[:2], pair[2:]))
        d, d_ = (shuffle(builder, x, y, [2, 10, 2, 10, 6, 14, 6, 14]) for x, y in (pair[:2], pair[2:]))
        first, last = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
        result = [
            shuffle(builder, x, y, places) for x, y, places in ((ab, ab_, first), (ab, ab_, last), (d, d_, first))
        ]
        return context.make_tuple(builder, signature.return_type, result)

    return types.UniTuple(FLOATS, 3)(v, places, types.intp), generate


@intrinsic
def write_triples(context: Any, v: Any, places: Any, at: Any, a: Any, b: Any, d: Any) -> Any:
    """Put vectors a, b, d where `read_triples` found them."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        a, b, d = arguments[3:]
        even = shuffle(builder, a, b, [0, 8, 2, 10, 4, 12, 6, 14])  # [a0 b0 a2 b2 a4 b4 a6 b6]
        odd = shuffle(builder, a, b, [1, 9, 3, 11, 5, 13, 7, 15])
        for lane, p in enumerate(list(_addresses(context, builder, signature, arguments, 2))):
            builder.store(shuffle(builder, odd if lane % 2 else even, a, [lane & ~1, lane | 1]), p, align=8)
            third = builder.gep(builder.bitcast(p, _DOUBLE.as_pointer()), [_LONG(2)])
            builder.store(builder.extract_element(d, ir.IntType(32)(lane)), third)
        return context.get_dummy_value()

    return types.none(v, places, types.intp, a, b, d), generate


@intrinsic
def expect_triples(context: Any, v: Any, places: Any, at: Any) -> Any:
    """Ask for the cache lines that `read_triples` will need."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        byte, how = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = ir.FunctionType(ir.VoidType(), [byte, how, how, how])
        prefetch = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
        for p in _addresses(context, builder, signature, arguments, 1):
            builder.call(prefetch, [builder.bitcast(p, byte), how(0), how(3), how(1)])  # data to read, into L1
        return context.get_dummy_value()

    return types.none(v, places, types.intp), generate
