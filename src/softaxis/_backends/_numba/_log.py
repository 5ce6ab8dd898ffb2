"""log(k + rest), inside the loop over rows: a call of the C library there costs as much as a row.

The method is that of `log1p` in fdlibm (Sun Microsystems, 1993), whose polynomial and whose
log 2 in two parts these are: with s = k + rest = 2**e (1 + f) and c what rounding took from s,

    log(k + rest) = e log 2 + log(1 + f) + c / s,
    log(1 + f) = f - f**2 / 2 + t (f**2 / 2 + R(t**2)),   t = f / (2 + f).

Its error is below one unit in the last place.
"""

from __future__ import annotations

from math import inf

from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

_HIGH = 6.93147180369123816490e-01
_LOW = 1.90821492927058770002e-10
_LIMIT = 2.0**52
_EXPONENT = -1 << 52
_SQRT_HALF = 0x3FE6A09E667F3BCD
"""The bits of sqrt(1/2): of what lies above them the upper ones are e, and 1 + f <= sqrt(2)."""


@intrinsic
def _bits(typingctx, x):
    """Return the bits of a float64."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def _of_bits(typingctx, bits):
    """Return the float64 of some bits."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@njit(error_model="numpy", no_cpython_wrapper=True, _nrt=False)
def log_sum(k, rest):
    """log(k + rest), of a number k of maxima; -inf where there is neither, NaN for NaN."""
    s = k + rest
    if not 1.0 <= s < _LIMIT:
        return -inf if s == 0.0 else s - s
    c = (rest - (s - k)) / s
    bits = _bits(s)
    above = bits - _SQRT_HALF
    e = float(above >> 52)
    f = _of_bits(bits - (above & _EXPONENT)) - 1.0
    half = 0.5 * f * f
    t = f / (2.0 + f)
    z = t * t
    w = z * z
    even = w * (
        3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01)
    )
    odd = z * (
        6.666666666666735130e-01
        + w
        * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    return e * _HIGH - ((half - (t * (half + (odd + even)) + (e * _LOW + c))) - f)
