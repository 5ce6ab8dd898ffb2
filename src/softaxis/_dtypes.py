"""Dtypes: of what kind one is, and in which one to compute.

bool and integers become the library's default real dtype before any arithmetic; float16 and
bfloat16 compute in float32 and are rounded once at the end; everything else computes as it is.
"""

from __future__ import annotations

from math import copysign, inf
from typing import Any, TypeAlias

from softaxis._libraries import Array, Namespace

DType: TypeAlias = Any

_KINDS = ("real floating", "integral", "bool", "complex floating")
_kinds: dict[str, dict[DType, str]] = {}


def kind(dtype: DType, xp: Namespace) -> str:
    """Return "bool", "integral", "real floating" or "complex floating"; "" for anything else."""
    kinds = _kinds.get(xp.__name__)  # by library: dtypes of two of them may hash alike
    if kinds is None:
        kinds = _kinds[xp.__name__] = {}
    found = kinds.get(dtype)
    if found is None:
        found = kinds[dtype] = _kind(dtype, xp)
    return found


def _kind(dtype: DType, xp: Namespace) -> str:
    for name in _KINDS:
        try:
            if xp.isdtype(dtype, name):
                return name
        except (AttributeError, TypeError, ValueError):  # what libraries say to what is no dtype
            return ""
    return ""


def default_real(x: Array, xp: Namespace) -> DType:
    """Return the dtype that integers of the device of `x` become."""
    return _default(x, xp, "real floating")


def default_integral(x: Array, xp: Namespace) -> DType:
    """Return the widest integers that the library uses by itself."""
    return _default(x, xp, "integral")


def as_integral(value: int, dtype: DType, x: Array, xp: Namespace) -> int | None:
    """Return what `value` becomes where integers of `dtype` become `default_integral`.

    Unsigned ones wrap if they are as wide. None where `dtype` does not hold the value.
    """
    limits = xp.iinfo(dtype)
    if not limits.min <= value <= limits.max:
        return None
    largest = int(xp.iinfo(default_integral(x, xp)).max)
    return value if value <= largest else value - 2 * (largest + 1)


def _default(x: Array, xp: Namespace, name: str) -> DType:
    info = xp.__array_namespace_info__()
    return info.default_dtypes(device=device_of(x))[name]


def device_of(x: Array) -> Any:
    """Return the device of `x`; None where its library has no such notion, or not now."""
    return getattr(x, "device", None)


def working_dtype(dtype: DType, xp: Namespace) -> DType:
    """Return the dtype to compute in: float32 for every narrower one."""
    if kind(dtype, xp) == "real floating" and xp.finfo(dtype).bits < 32:
        return xp.float32
    return dtype


def floating_dtype(x: Array, xp: Namespace) -> DType:
    """Return the dtype of `x` in native byte order, or the default real one for integers."""
    if kind(x.dtype, xp) in ("bool", "integral"):
        return default_real(x, xp)
    return xp.result_type(x.dtype, x.dtype)


def to_working(x: Array, dtype: DType | None, xp: Namespace) -> tuple[Array, DType]:
    """Return `x` in the dtype to compute in, and the dtype to round to at the end.

    A wider `dtype` casts first; a narrower one casts last, because casting first would turn
    float32 70000 into a float16 infinity.
    """
    working, final = dtypes_for(x, dtype, xp)
    return cast(x, working, xp), final


def dtypes_for(x: Array, dtype: DType | None, xp: Namespace) -> tuple[DType, DType]:
    """Return the dtype to compute in and the dtype to round to at the end."""
    own = floating_dtype(x, xp)
    final = own if dtype is None else dtype
    return xp.result_type(working_dtype(own, xp), working_dtype(final, xp)), final


def cast(x: Array, dtype: DType, xp: Namespace) -> Array:
    """Return `x` in `dtype`, itself where it has it."""
    return x if x.dtype == dtype else xp.astype(x, dtype)


def as_held(value: float, dtype: DType, xp: Namespace) -> float:
    """Return a number as 0 or infinity where `dtype` would round it to that."""
    limits = xp.finfo(dtype)
    if abs(value) > float(limits.max):
        return copysign(inf, value)
    return 0.0 if abs(value) < float(limits.smallest_normal) * float(limits.eps) else value
