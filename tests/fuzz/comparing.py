"""Results against mpmath numbers, element by element, with an error allowed for each in eps."""

import operator

import numpy as np
from calls import Wrong

from softaxis.testing import references as ref

mp, NAN, INF, ZERO = ref.mp, ref.NAN, ref.INF, ref.ZERO
MOST = {**ref.LARGEST, "longdouble": ref.exact(np.finfo(np.longdouble).max)}
WIDTH = {"float16": 0, "bfloat16": 0, "float32": 1, "float64": 2, "longdouble": 3}
NEGLECTED = mp.exp(-ref.FAR)
REAL_OF = {"complex64": "float32", "complex128": "float64"}


def agree(got, want, allowed, dtype, flushed=False):
    """Say whether a number is within `allowed` eps of another; NaN is, of NaN only.

    Beyond the largest number of a dtype is infinity. Around the subnormal numbers their spacing
    takes the place of eps or, where a library flushes them to 0, the smallest normal number. The
    references leave out of a sum what is below exp(-FAR), which a longdouble still holds.
    """
    if mp.isnan(want) or mp.isnan(got):
        return bool(mp.isnan(want) and mp.isnan(got))
    eps, tiny, most = ref.EPS[dtype], ref.TINY[dtype], MOST[dtype]
    if mp.isinf(want):
        return got == want
    allowed = allowed * eps + (2 * tiny if flushed else 8 * eps * tiny)
    if dtype == "longdouble":
        allowed += NEGLECTED
    if mp.isinf(got):
        return bool(abs(want) + allowed > most) and mp.sign(got) == mp.sign(want)
    return bool(abs(got - want) <= allowed)


def compare(xp, got, want, allowed, dtype, what="result"):
    """Compare rows of numbers; a row whose `allowed` is None may hold anything."""
    for i, (row, expected, limits) in enumerate(zip(got, want, allowed, strict=True)):
        if limits is None:
            continue
        for j, (value, right, limit) in enumerate(zip(row, expected, limits, strict=True)):
            if not agree(value, right, limit, dtype, xp.flushes_subnormals):
                off = mp.nstr(abs(value - right) / ref.EPS[dtype], 4)
                raise Wrong(
                    f"{what}, row {i}, element {j}: got {mp.nstr(value, 20)}, expected "
                    f"{mp.nstr(right, 20)}: off by {off} eps, {mp.nstr(limit, 4)} allowed"
                )


def has(array, shape, dtype, what="result"):
    """Check a shape and a dtype."""
    if array.shape != shape:
        raise Wrong(f"{what}: shape {array.shape}, expected {shape}")
    name = "longdouble" if array.dtype == np.longdouble != np.float64 else str(array.dtype)
    if name != ("float32" if dtype == "bfloat16" else dtype):
        raise Wrong(f"{what}: dtype {array.dtype}, expected {dtype}")


def result_dtype(xp, call):
    """Say which dtype the result of a call should have."""
    asked = call.options.get("dtype")
    if asked is not None:
        return asked.name
    is_float = call.dtype in WIDTH or call.dtype in REAL_OF
    return call.dtype if is_float else xp.default_float


def as_floating(xp, call, values):
    """Convert integers to the library's default real dtype, or the wider one asked for."""
    if values.dtype.kind not in "biu":
        return values
    dtypes = [xp.default_float, result_dtype(xp, call)]
    return values.astype(max(dtypes, key=WIDTH.get))


def axis_of(call):
    default = None if call.function.startswith(("logsumexp", "logmeanexp")) else -1
    axis = call.options.get("axis", default)
    return axis if axis is None or isinstance(axis, tuple) else operator.index(axis)


def rows(array, shape, axis):
    return ref.as_rows(ref.objects(array), shape, axis)


def flags(where, shape, axis):
    return ref.as_rows(np.asarray(True if where is None else where), shape, axis)
