"""exp on vectors, scaled by a power of two, so that small results do not underflow on the way.

With z <= 0, n = round(z / log 2) and r = z - n log 2, the result is 2**(n + BIAS) p(r), p being
the polynomial of least relative error (Lawson) that begins with 1 + r: within 0.88 eps of exp in
float32, where one more term would cost a tenth of the time and take a seventh off the error after
rounding, and 0.02 eps in float64. The bias keeps 2**(n + BIAS) a normal number down to where
exp(z) rounds to 0; whoever uses the result divides it out again, exactly.
"""

from __future__ import annotations

import math

from llvmlite import ir
from numba.extending import intrinsic, overload

from softaxis._backends._numba._memory import vector_of
from softaxis._backends._numba._vectors import constant, fused, integers, larger, llvm_type


class _Kind:
    """What exp needs to know of a floating dtype."""

    def __init__(self, *, bias, digits, exponent, tail):
        self.bias = bias
        self.digits = digits
        # adding this rounds to an integer, whose low bits, biased, become an exponent
        self.rounder = 1.5 * 2.0**digits + exponent + bias
        # n is such that 2**(n + BIAS) has no bits: it is 0
        self.lowest = -(exponent + bias) * math.log(2)
        self.coefficients = [1.0, 1.0, *tail]


_KINDS = {
    "f32": _Kind(
        bias=64,
        digits=23,
        exponent=127,
        tail=[
            0.49999231198287936,
            0.16667114834191932,
            0.0418902005648616,
            0.008312515488578297,
        ],
    ),
    "f64": _Kind(
        bias=500,
        digits=52,
        exponent=1023,
        tail=[
            0.50000000000000106271,
            0.16666666666666412551,
            0.041666666666530159353,
            0.0083333333334944459065,
            0.0013888888943629926239,
            0.00019841269506607021004,
            0.000024801493099025649647,
            2.7557586353522278202e-6,
            2.7630248368472882038e-7,
            2.5000066626477465254e-8,
        ],
    ),
}


def _exp(builder, z, x):
    """2**BIAS exp(x); 0 far below, where 2**(n + BIAS) is, and NaN for NaN."""
    kind = _KINDS[z.element]
    bits = integers(z)

    def same(value):
        return constant(z, value)

    x = larger(builder, same(kind.lowest), x)
    rounded = fused(builder, z, x, same(1 / math.log(2)), same(kind.rounder))
    n = builder.fsub(rounded, same(kind.rounder))
    r = _remainder(builder, z, n, x)
    p = same(kind.coefficients[-1])
    for coefficient in reversed(kind.coefficients[:-1]):
        p = fused(builder, z, p, r, same(coefficient))
    shift = ir.Constant(bits, [kind.digits] * z.width)
    power = builder.bitcast(builder.shl(builder.bitcast(rounded, bits), shift), llvm_type(z))
    return builder.fmul(p, power)


@intrinsic
def exp_scaled(typingctx, z):
    """Return 2**BIAS exp(z) for z <= 0; 0 far below, NaN for NaN."""

    def codegen(context, builder, sig, args):
        return _exp(builder, z, args[0])

    return z(z), codegen


@intrinsic
def exp_of_others(typingctx, z, top):
    """Return the same, but 0 where `top`: what is left of the sum without the maxima."""

    def codegen(context, builder, sig, args):
        return builder.select(args[1], constant(z, 0.0), _exp(builder, z, args[0]))

    return z(z, top), codegen


def _remainder(builder, vector, n, x):
    """x - n log 2. float32's log 2 is right to 0.02 eps of |x|; float64 takes a second part."""
    if vector.element == "f32":
        return fused(builder, vector, n, constant(vector, -math.log(2)), x)
    high, low = 6.93147180369123816490e-01, 1.90821492927058770002e-10
    r = fused(builder, vector, n, constant(vector, -high), x)
    return fused(builder, vector, n, constant(vector, -low), r)


def unscaled(p):
    """Return what takes the bias out again, for numbers that `p` points to."""
    raise NotImplementedError


@overload(unscaled)
def _unscaled(p):
    factor = 2.0 ** -_KINDS[vector_of(p).element].bias
    return lambda p: factor
