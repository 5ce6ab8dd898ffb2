"""Vectors of 64 bytes inside numba functions: their types and arithmetic.

Written out as LLVM vectors rather than left to LLVM's vectoriser, so that the order of every sum
is ours and the same on every processor, whose own registers may be narrower.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

_ELEMENTS = {
    "f32": ir.FloatType(),
    "f64": ir.DoubleType(),
    "i1": ir.IntType(1),
    "i32": ir.IntType(32),
    "i64": ir.IntType(64),
}
_SCALARS = {"f32": types.float32, "f64": types.float64}
_FIRST = ir.Constant(ir.IntType(32), 0)


class Vector(types.Type):
    """A vector of `width` elements "f32", "f64", "i1" of comparisons, "i32", "i64" of counts."""

    def __init__(self, element: str, width: int) -> None:
        self.element = element
        self.width = width
        super().__init__(name=f"vector({element}, {width})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, llvm_type(fe_type))


F32 = Vector("f32", 16)
F64 = Vector("f64", 8)
WIDE = Vector("f64", 16)
"""F32 in the dtype in which sums of it are held."""
COUNTS = {F32: Vector("i32", F32.width), F64: Vector("i64", F64.width)}
"""What is counted of each of their lanes."""


def llvm_type(vector):
    """Return LLVM's type."""
    return ir.VectorType(_ELEMENTS[vector.element], vector.width)


def scalar_of(vector):
    """Return the type of an element."""
    return _SCALARS[vector.element]


def integers(vector):
    """Return LLVM's type of a vector's bits."""
    return ir.VectorType(ir.IntType(int(vector.element[1:])), vector.width)


def constant(vector, value):
    """Return a constant with the same value in every lane."""
    return ir.Constant(llvm_type(vector), [value] * vector.width)


def shuffled(builder, first, second, lanes):
    """Return the named lanes of two vectors in a row."""
    return builder.shuffle_vector(
        first, second, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    )


def spread(builder, value, width):
    """Return a vector with the value in every lane."""
    empty = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
    return shuffled(builder, builder.insert_element(empty, value, _FIRST), empty, [0] * width)


def llvm_call(builder, name, result, args):
    """Call a function of LLVM's own."""
    function_type = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), args)


def fused(builder, vector, a, b, c):
    """a * b + c, rounded once."""
    name = f"llvm.fma.v{vector.width}{vector.element}"
    return llvm_call(builder, name, llvm_type(vector), [a, b, c])


def _define(op, instruction, elements):
    @infer_global(op)
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            if (
                len(args) == 2
                and isinstance(args[0], Vector)
                and args[0] == args[1]
                and args[0].element in elements
            ):
                return signature(args[0], *args)
            return None

    @lower_builtin(op, Vector, Vector)
    def _lower(context, builder, sig, args):
        return getattr(builder, instruction)(*args)


_define(operator.add, "fadd", ("f32", "f64"))
_define(operator.sub, "fsub", ("f32", "f64"))
_define(operator.mul, "fmul", ("f32", "f64"))
_define(operator.truediv, "fdiv", ("f32", "f64"))


def _comparison(sign):
    @intrinsic
    def compare(typingctx, a, b):
        def codegen(context, builder, sig, args):
            return builder.fcmp_ordered(sign, *args)

        return Vector("i1", a.width)(a, b), codegen

    return compare


greater = _comparison(">")
equal = _comparison("==")


@intrinsic
def select(typingctx, mask, a, b):
    """Take `a` where the mask is true, else `b`."""

    def codegen(context, builder, sig, args):
        return builder.select(*args)

    return a(mask, a, b), codegen


@intrinsic
def is_zero(typingctx, a):
    """Whether each lane has no bit set, as 0 has but not -0: integers are compared sooner."""

    def codegen(context, builder, sig, args):
        bits = integers(a)
        return builder.icmp_unsigned("==", builder.bitcast(args[0], bits), ir.Constant(bits, None))

    return Vector("i1", a.width)(a), codegen


@intrinsic
def none_of(typingctx, a):
    """Return the counts that a row begins with."""
    counts = COUNTS[a]

    def codegen(context, builder, sig, args):
        return constant(counts, 0)

    return counts(a), codegen


@intrinsic
def one_more(typingctx, counts, mask):
    """Add 1 to the lanes where the mask is true."""

    def codegen(context, builder, sig, args):
        return builder.sub(args[0], builder.sext(args[1], llvm_type(counts)))

    return counts(counts, mask), codegen


@intrinsic
def counted(typingctx, counts):
    """Return counts as a vector of floats."""
    (found,) = (vector for vector, of in COUNTS.items() if of == counts)

    def codegen(context, builder, sig, args):
        return builder.sitofp(args[0], llvm_type(found))

    return found(counts), codegen


@intrinsic
def splat(typingctx, like, value):
    """Return `value` in every lane of a vector like another one."""

    def codegen(context, builder, sig, args):
        one = context.cast(builder, args[1], value, scalar_of(like))
        return spread(builder, one, like.width)

    return like(like, value), codegen


@intrinsic
def hidden(typingctx, i):
    """Return `i`, of which LLVM learns nothing.

    A loop up to it is not unrolled: of an exponential's constants and numbers on the way, those
    of one vector fit in the registers of AVX2, and processors overlap the iterations themselves.
    """

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(args[0].type, [args[0].type])
        return builder.call(ir.InlineAsm(kind, "", "=r,0", side_effect=True), args)

    return i(i), codegen


def larger(builder, a, b):
    """The larger one of each lane; the second where the first is NaN."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@intrinsic
def maximum(typingctx, a, b):
    """The larger one of each lane; `b` where `a` is NaN."""

    def codegen(context, builder, sig, args):
        return larger(builder, *args)

    return a(a, b), codegen


def _folded(builder, x, width, join):
    """Join the lanes by halves: the same order on every processor."""
    while width > 1:
        width //= 2
        low = shuffled(builder, x, x, range(width))
        high = shuffled(builder, x, x, range(width, 2 * width))
        x = join(low, high)
    return builder.extract_element(x, _FIRST)


@intrinsic
def largest(typingctx, a):
    """Return the largest lane."""

    def codegen(context, builder, sig, args):
        return _folded(builder, args[0], a.width, lambda x, y: larger(builder, x, y))

    return scalar_of(a)(a), codegen


@intrinsic
def total(typingctx, a):
    """Return the sum of the lanes."""

    def codegen(context, builder, sig, args):
        return _folded(builder, args[0], a.width, builder.fadd)

    return scalar_of(a)(a), codegen


@intrinsic
def count(typingctx, mask):
    """Return how many lanes are true."""

    def codegen(context, builder, sig, args):
        bits = ir.IntType(mask.width)
        ones = llvm_call(
            builder, f"llvm.ctpop.i{mask.width}", bits, [builder.bitcast(args[0], bits)]
        )
        return builder.zext(ones, ir.IntType(64))

    return types.int64(mask), codegen


@intrinsic
def widened(typingctx, a):
    """Return a vector of float32 as one of float64."""

    def codegen(context, builder, sig, args):
        return builder.fpext(args[0], llvm_type(WIDE))

    return WIDE(a), codegen


@intrinsic
def halved(typingctx, a):
    """Add the halves of a vector of float32, and return the sums as float64."""

    def codegen(context, builder, sig, args):
        low = shuffled(builder, args[0], args[0], range(F64.width))
        high = shuffled(builder, args[0], args[0], range(F64.width, F32.width))
        return builder.fpext(builder.fadd(low, high), llvm_type(F64))

    return F64(a), codegen


@intrinsic
def narrowed(typingctx, p, a):
    """Return a vector of the kind that is loaded through `p`."""
    found = F32 if p.dtype == types.float32 else F64

    def codegen(context, builder, sig, args):
        return args[1] if a == found else builder.fptrunc(args[1], llvm_type(found))

    return found(p, a), codegen
