"""Memory inside numba functions: pointers, loads and stores of whole and partial vectors.

A pointer to uint16 stands for float16, which is computed in float32: loads and stores convert.
"""

from __future__ import annotations

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import types
from numba.extending import intrinsic, overload

from softaxis._backends._numba._vectors import (
    F32,
    F64,
    WIDE,
    llvm_call,
    llvm_type,
    scalar_of,
    shuffled,
    spread,
)

_VECTORS = {types.float32: F32, types.float64: F64, types.uint16: F32}
_STORED = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.uint16: ir.HalfType(),
}
_BYTES = {types.float32: 4, types.float64: 8, types.uint16: 2}
_NONTEMPORAL_ALIGNMENT = 16
_LINE = 64
"""Bytes of a cache line."""
_HAS_MASKS = get_host_cpu_features().get("avx512vl", False)
"""Whether stores take a mask at the price of a store: AVX2's takes many times as long on some
processors, and is lost on those that read the same place soon."""


def vector_of(pointer):
    """Return the type of the vectors that are loaded through a pointer."""
    return _VECTORS[pointer.dtype]


@intrinsic
def pointer(typingctx, address, like):
    """Return an address as a pointer to numbers of the type of `like`, or as one like `like`."""
    found = like if isinstance(like, types.CPointer) else types.CPointer(like)

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(found))

    return found(address, like), codegen


@intrinsic
def advance(typingctx, p, i):
    """Return the pointer to the i-th number from here."""

    def codegen(context, builder, sig, args):
        return builder.gep(args[0], [args[1]])

    return p(p, i), codegen


def width(p):
    """Return how many numbers a vector holds."""
    raise NotImplementedError


@overload(width)
def _width(p):
    n = vector_of(p).width
    return lambda p: n


@intrinsic
def filled(typingctx, p, value):
    """Return a vector of the kind that is loaded through `p`, with `value` in every lane."""
    vector = vector_of(p)

    def codegen(context, builder, sig, args):
        one = context.cast(builder, args[1], value, scalar_of(vector))
        return spread(builder, one, vector.width)

    return vector(p, value), codegen


def _place(builder, p, args, lanes):
    """Return the pointer to a vector, and the type it is stored in."""
    stored = ir.VectorType(_STORED[p.dtype], lanes)
    return builder.bitcast(builder.gep(args[0], [args[1]]), stored.as_pointer()), stored


def _loaded(builder, vector, x):
    return x if x.type == llvm_type(vector) else builder.fpext(x, llvm_type(vector))


def _to_store(builder, x, stored):
    return x if x.type == stored else builder.fptrunc(x, stored)


@intrinsic
def load(typingctx, p, i):
    """Load the vector that begins with the i-th number."""
    vector = vector_of(p)

    def codegen(context, builder, sig, args):
        place, _ = _place(builder, p, args, vector.width)
        return _loaded(builder, vector, builder.load(place, align=_BYTES[p.dtype]))

    return vector(p, i), codegen


def _prefetch(writes):
    """Return a function that asks for the cache lines of four vectors from the i-th number on.

    Nothing has to be there: asking for what lies beyond an array does nothing.
    """

    @intrinsic
    def prefetch(typingctx, p, i):
        size = 4 * vector_of(p).width * _BYTES[p.dtype]

        def codegen(context, builder, sig, args):
            byte = ir.IntType(8)
            start = builder.bitcast(builder.gep(args[0], [args[1]]), byte.as_pointer())
            for line in range(0, size, _LINE):
                place = builder.gep(start, [ir.Constant(ir.IntType(64), line)])
                hints = [ir.Constant(ir.IntType(32), hint) for hint in (writes, 3, 1)]
                llvm_call(builder, "llvm.prefetch.p0", ir.VoidType(), [place, *hints])
            return context.get_dummy_value()

        return types.none(p, i), codegen

    return prefetch


expect = _prefetch(0)
expect_to_write = _prefetch(1)


@intrinsic
def store(typingctx, p, i, x):
    """Store a vector from the i-th number on."""

    def codegen(context, builder, sig, args):
        place, stored = _place(builder, p, args, x.width)
        builder.store(_to_store(builder, args[2], stored), place, align=_BYTES[p.dtype])
        return context.get_dummy_value()

    return types.none(p, i, x), codegen


@intrinsic
def store_past(typingctx, p, i, x):
    """Store a vector past the caches, where the address is a multiple of 16."""

    def codegen(context, builder, sig, args):
        place, stored = _place(builder, p, args, x.width)
        instruction = builder.store(
            _to_store(builder, args[2], stored), place, align=_NONTEMPORAL_ALIGNMENT
        )
        one = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        instruction.set_metadata("nontemporal", one)
        return context.get_dummy_value()

    return types.none(p, i, x), codegen


@intrinsic
def load_wide(typingctx, p, i):
    """Load a vector of float64 that is twice as long as others."""

    def codegen(context, builder, sig, args):
        place, _ = _place(builder, p, args, WIDE.width)
        return builder.load(place, align=_BYTES[p.dtype])

    return WIDE(p, i), codegen


@intrinsic
def store_wide(typingctx, p, i, x):
    """Store such a vector."""

    def codegen(context, builder, sig, args):
        place, _ = _place(builder, p, args, WIDE.width)
        builder.store(args[2], place, align=_BYTES[p.dtype])
        return context.get_dummy_value()

    return types.none(p, i, x), codegen


def _first_lanes(builder, vector, n):
    """The mask of the first n lanes, n being far from the limits of 32 bits."""
    lane = ir.IntType(32)
    lanes = ir.Constant(ir.VectorType(lane, vector.width), list(range(vector.width)))
    return builder.icmp_signed("<", lanes, spread(builder, builder.trunc(n, lane), vector.width))


def _masked_place(builder, p, args, lanes, action):
    """Return the name of LLVM's function, the pointer, and both types of what lies there.

    float16 travels as 16-bit integers: processors mask those, and few know the other.
    """
    place, stored = _place(builder, p, args, lanes)
    moved, element = stored, {types.float32: "f32", types.float64: "f64", types.uint16: "i16"}
    if p.dtype == types.uint16:
        moved = ir.VectorType(ir.IntType(16), lanes)
        place = builder.bitcast(place, moved.as_pointer())
    return f"llvm.masked.{action}.v{lanes}{element[p.dtype]}.p0", place, stored, moved


@intrinsic
def load_part(typingctx, p, i, n, fill):
    """Load the first n lanes, fewer than all; `fill` is in the others."""
    vector = vector_of(p)

    def codegen(context, builder, sig, args):
        name, place, stored, moved = _masked_place(builder, p, args, vector.width, "load")
        mask = _first_lanes(builder, vector, args[2])
        one = context.cast(builder, args[3], fill, scalar_of(vector))
        others = _to_store(builder, spread(builder, one, vector.width), stored)
        alignment = ir.Constant(ir.IntType(32), _BYTES[p.dtype])
        x = llvm_call(
            builder, name, moved, [place, alignment, mask, builder.bitcast(others, moved)]
        )
        return _loaded(builder, vector, builder.bitcast(x, stored))

    return vector(p, i, n, fill), codegen


@intrinsic
def store_part(typingctx, p, i, x, n):
    """Store the first n lanes: all of them where n is no less, and none where it is negative."""

    def codegen(context, builder, sig, args):
        name, place, stored, moved = _masked_place(builder, p, args, x.width, "store")
        value = builder.bitcast(_to_store(builder, args[2], stored), moved)
        alignment = _BYTES[p.dtype]
        if _HAS_MASKS:
            mask = _first_lanes(builder, x, args[3])
            arguments = [value, place, ir.Constant(ir.IntType(32), alignment), mask]
            llvm_call(builder, name, ir.VoidType(), arguments)
        else:
            whole = builder.icmp_signed(">=", args[3], ir.Constant(args[3].type, x.width))
            with builder.if_else(whole) as (then, otherwise):
                with then:
                    builder.store(value, place, align=alignment)
                with otherwise:
                    _store_halves(builder, value, place, args[3], alignment)
        return context.get_dummy_value()

    return types.none(p, i, x, n), codegen


def _store_halves(builder, value, place, n, alignment):
    """Store the first n lanes, fewer than all: the half, quarter ... of them that n's bits say."""
    none = ir.Constant(n.type, 0)
    n = builder.select(builder.icmp_signed(">", n, none), n, none)
    place = builder.bitcast(place, value.type.element.as_pointer())
    half = value.type.count // 2
    while half > 0:
        low = shuffled(builder, value, value, range(half))
        high = shuffled(builder, value, value, range(half, 2 * half))
        bit = builder.and_(n, ir.Constant(n.type, half))
        counts = builder.icmp_signed("!=", bit, none)
        with builder.if_then(counts):
            builder.store(low, builder.bitcast(place, low.type.as_pointer()), align=alignment)
        place = builder.gep(place, [bit])
        value = builder.select(counts, high, low)
        half //= 2


@intrinsic
def read(typingctx, p, i):
    """Return the i-th number."""
    number = scalar_of(vector_of(p))

    def codegen(context, builder, sig, args):
        stored = _STORED[p.dtype]
        place = builder.bitcast(builder.gep(args[0], [args[1]]), stored.as_pointer())
        x = builder.load(place, align=_BYTES[p.dtype])
        return x if p.dtype != types.uint16 else builder.fpext(x, ir.FloatType())

    return number(p, i), codegen


@intrinsic
def write(typingctx, p, i, x):
    """Store a number as the i-th; to float16 by way of float32."""

    def codegen(context, builder, sig, args):
        stored = _STORED[p.dtype]
        place = builder.bitcast(builder.gep(args[0], [args[1]]), stored.as_pointer())
        value = args[2]
        if isinstance(stored, ir.HalfType) and isinstance(value.type, ir.DoubleType):
            value = builder.fptrunc(value, ir.FloatType())
        if value.type != stored:
            wider = isinstance(stored, ir.DoubleType)
            value = (builder.fpext if wider else builder.fptrunc)(value, stored)
        builder.store(value, place, align=_BYTES[p.dtype])
        return context.get_dummy_value()

    return types.none(p, i, x), codegen


@intrinsic
def allowed(typingctx, address, like):
    """Return the mask of the bytes from `address` on that are not 0, as wide as `like`."""
    from softaxis._backends._numba._vectors import Vector

    def codegen(context, builder, sig, args):
        stored = ir.VectorType(ir.IntType(8), like.width)
        place = builder.inttoptr(args[0], stored.as_pointer())
        x = builder.load(place, align=1)
        return builder.icmp_unsigned("!=", x, ir.Constant(stored, [0] * like.width))

    return Vector("i1", like.width)(address, like), codegen


def _transposed(builder, vectors):
    """Exchange rows and columns of a square, by blocks of 1, 2, 4 ... (Eklundh's method)."""
    n = len(vectors)
    step = 1
    while step < n:
        first = [i + n - step if i & step else i for i in range(n)]
        second = [i + n if i & step else i + step for i in range(n)]
        out = list(vectors)
        for i in range(n):
            if not i & step:
                a, b = vectors[i], vectors[i + step]
                out[i] = shuffled(builder, a, b, first)
                out[i + step] = shuffled(builder, a, b, second)
        vectors = out
        step *= 2
    return vectors


def _line(builder, first, i, stride, stored):
    """The pointer to the i-th of vectors that are `stride` bytes apart."""
    start = builder.ptrtoint(first, ir.IntType(64))
    place = builder.add(start, builder.mul(stride, ir.Constant(ir.IntType(64), i)))
    return builder.inttoptr(place, stored.as_pointer())


@intrinsic
def load_square(typingctx, source, stride, p, row):
    """Copy a square: vectors from `source` on, `stride` bytes apart, become columns of `p`.

    Lines of `p` are `row` numbers apart.
    """
    vector = vector_of(source)

    def codegen(context, builder, sig, args):
        start, apart, target, line = args
        stored = ir.VectorType(_STORED[source.dtype], vector.width)
        lines = []
        for i in range(vector.width):
            place = _line(builder, start, i, apart, stored)
            x = builder.load(place, align=_BYTES[source.dtype])
            lines.append(_loaded(builder, vector, x))
        for i, x in enumerate(_transposed(builder, lines)):
            index = builder.mul(line, ir.Constant(ir.IntType(64), i))
            place = builder.bitcast(builder.gep(target, [index]), llvm_type(vector).as_pointer())
            builder.store(x, place, align=_BYTES[p.dtype])
        return context.get_dummy_value()

    return types.none(source, stride, p, row), codegen


@intrinsic
def store_square(typingctx, target, stride, p, row):
    """Copy a square back: the reverse of `load_square`."""
    vector = vector_of(target)

    def codegen(context, builder, sig, args):
        start, apart, source, line = args
        stored = ir.VectorType(_STORED[target.dtype], vector.width)
        lines = []
        for i in range(vector.width):
            index = builder.mul(line, ir.Constant(ir.IntType(64), i))
            place = builder.bitcast(builder.gep(source, [index]), llvm_type(vector).as_pointer())
            lines.append(builder.load(place, align=_BYTES[p.dtype]))
        for i, x in enumerate(_transposed(builder, lines)):
            place = _line(builder, start, i, apart, stored)
            builder.store(_to_store(builder, x, stored), place, align=_BYTES[target.dtype])
        return context.get_dummy_value()

    return types.none(target, stride, p, row), codegen


@intrinsic
def read_byte(typingctx, address):
    """Return the byte at an address."""

    def codegen(context, builder, sig, args):
        return builder.load(builder.inttoptr(args[0], ir.IntType(8).as_pointer()))

    return types.uint8(address), codegen


@intrinsic
def read_index(typingctx, address):
    """Return the 64-bit integer at an address."""

    def codegen(context, builder, sig, args):
        return builder.load(builder.inttoptr(args[0], ir.IntType(64).as_pointer()), align=1)

    return types.int64(address), codegen


@intrinsic
def read_half_index(typingctx, address):
    """Return the 32-bit integer at an address, with its sign."""

    def codegen(context, builder, sig, args):
        place = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        return builder.sext(builder.load(place, align=4), ir.IntType(64))

    return types.int64(address), codegen


def size_of(like):
    """Return how many bytes a number takes."""
    raise NotImplementedError


@overload(size_of)
def _size_of(like):
    n = like.bitwidth // 8
    return lambda like: n


def working_size(like):
    """Return how many bytes a number takes while it is computed with."""
    raise NotImplementedError


@overload(working_size)
def _working_size(like):
    n = scalar_of(_VECTORS[like]).bitwidth // 8
    return lambda like: n


@intrinsic
def scratch_pointer(typingctx, address, like):
    """Return an address as a pointer to numbers of the dtype in which `like` is computed."""
    found = types.CPointer(scalar_of(_VECTORS[like]))

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(found))

    return found(address, like), codegen


@intrinsic
def claim(typingctx, address):
    """Add 1 to the integer at an address that threads share, and return what was there."""

    def codegen(context, builder, sig, args):
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "acq_rel")

    return types.int64(address), codegen


@intrinsic
def peek(typingctx, address):
    """Return the integer at an address that threads share."""

    def codegen(context, builder, sig, args):
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(address), codegen


@intrinsic
def publish(typingctx, address, value):
    """Write the integer at an address that threads share, after whatever was written before."""

    def codegen(context, builder, sig, args):
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        builder.store_atomic(args[1], place, "release", 8)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), codegen


@intrinsic
def swap(typingctx, address, old, new):
    """Write `new` at an address that threads share if `old` is there; return whether it was."""

    def codegen(context, builder, sig, args):
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        found = builder.cmpxchg(place, args[1], args[2], "acq_rel", "acquire")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64, types.int64), codegen
