"""Short vectors for kernels: LENGTH doubles, words or truth values as a numba type, with the usual operators.

LLVM's own vectoriser decides anew for every loop how wide it goes and what it gathers one by one; here it is written
down. Each operation becomes one LLVM instruction on `<LENGTH x double>` or `<LENGTH x i64>`, which LLVM cuts into what
the machine has: one AVX-512 register, two of AVX2, four of SSE2 or NEON. Nothing is reordered or contracted.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LENGTH = 8


class Vector(types.Type):  # type: ignore[misc]  # numba has no annotations
    """LENGTH values of one type."""

    def __init__(self, element: types.Type) -> None:
        """Name the type of the values."""
        self.element = element
        super().__init__(name=f"{LENGTH} x {element}")


@register_model(Vector)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, ir.VectorType(manager[vector.element].get_value_type(), LENGTH))


FLOATS, WORDS, TRUTHS = Vector(types.float64), Vector(types.uint64), Vector(types.boolean)


def shuffle(builder: ir.IRBuilder, x: ir.Value, y: ir.Value, places: list[int]) -> ir.Value:
    """Take entries of x and y laid end to end."""
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))


def call(builder: ir.IRBuilder, name: str, *arguments: ir.Value, flags: tuple[str, ...] = ()) -> ir.Value:
    """Call LLVM's `name` for doubles or vectors of them."""
    kind = arguments[0].type
    suffix = f"v{kind.count}f64" if isinstance(kind, ir.VectorType) else "f64"
    function = ir.FunctionType(kind, [kind] * len(arguments))
    declared = cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.{suffix}")
    return builder.call(declared, arguments, fastmath=flags)


def common(*given: types.Type) -> Any:
    """Return the vector type among the given ones, or None."""
    return next((t for t in given if isinstance(t, Vector)), None)


def alike(context: Any, builder: ir.IRBuilder, given: Any, values: Any, kind: Vector | None = None) -> list[ir.Value]:
    """Repeat those values that are single numbers, if another one is a vector or `kind` asks for it."""
    kind = kind or common(*given)
    return [
        v if kind in (None, t) else _repeat(context, builder, t, v, kind) for t, v in zip(given, values, strict=True)
    ]


def _repeat(context: Any, builder: ir.IRBuilder, given: types.Type, value: ir.Value, kind: Vector) -> ir.Value:
    empty = ir.Constant(context.get_value_type(kind), ir.Undefined)
    number = context.cast(builder, value, given, kind.element)
    first = builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
    return shuffle(builder, first, first, [0] * LENGTH)


def _define(symbol: Any, on_floats: str, on_words: str) -> None:
    """Let `symbol` between vectors, or a vector and a number, be an instruction of llvmlite's builder."""

    @intrinsic
    def apply(context: Any, a: Any, b: Any) -> Any:
        kind = common(a, b)

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
            instruction = getattr(builder, on_floats if kind == FLOATS else on_words)
            return instruction(*alike(context, builder, signature.args, arguments))

        return kind(a, b), generate

    @overload(symbol, strict=False)  # not strict: the annotations of the two functions differ
    def choose(a: Any, b: Any) -> Callable[[Any, Any], Any] | None:
        return None if common(a, b) is None else lambda a, b: apply(a, b)


_define(operator.add, "fadd", "add")
_define(operator.sub, "fsub", "sub")
_define(operator.mul, "fmul", "mul")
_define(operator.and_, "", "and_")
_define(operator.or_, "", "or_")
_define(operator.xor, "", "xor")
_define(operator.ixor, "", "xor")
_define(operator.lshift, "", "shl")
_define(operator.rshift, "", "lshr")


@intrinsic
def below(context: Any, a: Any, b: Any) -> Any:
    """Whether a < b, for words."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.icmp_unsigned("<", *alike(context, builder, signature.args, arguments))

    return TRUTHS(a, b), generate


@intrinsic
def equal(context: Any, a: Any, b: Any) -> Any:
    """Whether a = b, for words."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.icmp_unsigned("==", *alike(context, builder, signature.args, arguments))

    return TRUTHS(a, b), generate


@intrinsic
def negation(context: Any, truths: Any) -> Any:
    """Whether something is not the case."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.not_(arguments[0])

    return TRUTHS(truths), generate


@intrinsic
def any_of(context: Any, truths: Any) -> Any:
    """Whether something is the case somewhere: a single truth value."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        together = builder.bitcast(arguments[0], ir.IntType(LENGTH))
        return builder.icmp_unsigned("!=", together, ir.Constant(together.type, 0))

    return types.boolean(truths), generate


@intrinsic
def any_bit(context: Any, words: Any) -> Any:
    """Whether a bit is set."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.icmp_unsigned("!=", arguments[0], ir.Constant(arguments[0].type, None))

    return TRUTHS(words), generate


@intrinsic
def select(context: Any, condition: Any, a: Any, b: Any) -> Any:
    """Take a where the condition holds, else b: vectors or numbers."""
    kind = common(a, b) or Vector(a)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.select(arguments[0], *alike(context, builder, signature.args[1:], arguments[1:], kind))

    return kind(condition, a, b), generate


def _function(name: str, count: int, flags: tuple[str, ...] = ()) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return call(builder, name, *arguments, flags=flags)

    if count == 1:
        return intrinsic(lambda context, a: (FLOATS(FLOATS), generate))
    return intrinsic(lambda context, a, b: (FLOATS(FLOATS, FLOATS), generate))


root = _function("sqrt", 1)
# "nnan" promises that no entry is NaN: LLVM then leaves out what would carry one through.
smaller, larger = _function("minnum", 2, ("nnan",)), _function("maxnum", 2, ("nnan",))


def _conversion(instruction: str, given: Vector, kind: Vector) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return getattr(builder, instruction)(arguments[0], context.get_value_type(kind))

    return intrinsic(lambda context, a: (kind(given), generate))


signed_value = _conversion("sitofp", WORDS, FLOATS)
bits, from_bits = _conversion("bitcast", FLOATS, WORDS), _conversion("bitcast", WORDS, FLOATS)


def pointer(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, index: ir.Value, target: ir.Type) -> ir.Value:
    """Point to entry `index` of a C-contiguous array, whatever its shape."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), target.as_pointer())


@intrinsic
def load(context: Any, array: Any, index: Any) -> Any:
    """Read the LENGTH entries from `index` on of an array taken flat."""
    kind = Vector(array.dtype)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        target = context.get_value_type(kind)
        at = pointer(context, builder, signature.args[0], arguments[0], arguments[1], target)
        return builder.load(at, align=8)

    return kind(array, types.intp), generate


@intrinsic
def store(context: Any, array: Any, index: Any, values: Any) -> Any:
    """Write the LENGTH entries from `index` on of an array taken flat."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        array, index, values = arguments
        at = pointer(context, builder, signature.args[0], array, index, values.type)
        builder.store(values, at, align=8)
        return context.get_dummy_value()

    return types.none(array, types.intp, values), generate


@intrinsic
def gather(context: Any, array: Any, places: Any, condition: Any) -> Any:
    """Read the entries at `places` of an array of words taken flat, where the condition holds; 0 elsewhere."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        data, places = context.make_array(signature.args[0])(context, builder, arguments[0]).data, arguments[1]
        start = _repeat(context, builder, types.uint64, builder.ptrtoint(data, ir.IntType(64)), WORDS)
        offsets = builder.shl(places, ir.Constant(places.type, [3] * LENGTH))
        pointers = builder.inttoptr(builder.add(start, offsets), ir.VectorType(data.type, LENGTH))
        align, zero = ir.Constant(ir.IntType(32), 8), ir.Constant(places.type, None)
        function = ir.FunctionType(places.type, [pointers.type, align.type, arguments[2].type, places.type])
        name = f"llvm.masked.gather.v{LENGTH}i64.v{LENGTH}p0"
        declared = cgutils.get_or_insert_function(builder.module, function, name)
        return builder.call(declared, [pointers, align, arguments[2], zero])

    return WORDS(array, places, condition), generate
