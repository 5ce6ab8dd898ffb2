"""Checks of arguments: each names the parameter, what was expected and what came."""

from __future__ import annotations

from typing import Any

from softaxis._axes import Axis, is_broadcastable, is_same_shape, reduced_shape
from softaxis._dtypes import DType, device_of, floating_dtype, kind
from softaxis._libraries import Array, adopt, library_of

REAL = ("real floating", "integral", "bool")
NUMBERS = (*REAL, "complex floating")


def array(x: Any, name: str, kinds: tuple[str, ...] = NUMBERS) -> Array:
    """Return the first argument as an array whose dtype is of one of `kinds`."""
    known = _known.get(type(x))
    if known is not None and known.get(x.dtype) in kinds:
        return x
    x = adopt(x, name)
    found = kind(x.dtype, library_of(x, name).xp)
    if found not in kinds:
        raise _wrong_dtype(x, name, kinds)
    _known.setdefault(type(x), {})[x.dtype] = found
    return x


_known: dict[type, dict[DType, str]] = {}
"""The kinds of the dtypes that arrays of a type came with: two look-ups instead of six."""


def check_kind(x: Array, name: str, kinds: tuple[str, ...]) -> None:
    """Refuse a further array whose dtype is of none of `kinds`."""
    if kind(x.dtype, library_of(x).xp) not in kinds:
        raise _wrong_dtype(x, name, kinds)


def _wrong_dtype(x: Array, name: str, kinds: tuple[str, ...]) -> TypeError:
    expected = " or ".join(k.removesuffix(" floating") for k in kinds)
    return TypeError(f"`{name}` must have a {expected} dtype, got {x.dtype}")


def same_library(value: Any, name: str, x: Array) -> Array:
    """Return `value` as an array of the library of `x`; lists are arrays of NumPy's."""
    if type(value) is type(x):
        return value
    library = library_of(x)
    array = adopt(value, name)
    other = library_of(array)
    if other.xp is not library.xp:
        came = type(value).__module__.partition(".")[0] + "." + type(value).__name__
        raise TypeError(
            f"`{name}` must be an array of {library.name}, like the first one, "
            f"got {came.removeprefix('builtins.')}"
        )
    return array


def broadcastable(value: Array, name: str, shape: tuple[int, ...], what: str) -> Array:
    """Refuse an array that does not broadcast to `shape`."""
    if not is_broadcastable(tuple(value.shape), shape):
        raise ValueError(
            f"`{name}` must broadcast to {what} {shape}, got shape {tuple(value.shape)}"
        )
    return value


def mask(where: Any, x: Array) -> Array | None:
    """Return `where` as None or a boolean array that broadcasts to `x`."""
    if where is True:
        return None
    if where is False:
        return library_of(x).xp.zeros_like(x, dtype=library_of(x).xp.bool)
    array = same_library(where, "where", x)
    if kind(array.dtype, library_of(x).xp) != "bool":
        raise TypeError(f"`where` must have a boolean dtype, got {array.dtype}")
    return broadcastable(array, "where", tuple(x.shape), "the shape of `x`")


def temperature(value: Any, x: Array) -> Array | float | None:
    """Return `temperature` as None, a float >= 0 or an array that broadcasts to `x`."""
    number = _scalar(value, "temperature")
    if number is None:
        array = same_library(value, "temperature", x)
        check_kind(array, "temperature", ("real floating", "integral"))
        return broadcastable(array, "temperature", tuple(x.shape), "the shape of `x`")
    if not number >= 0:
        raise ValueError(f"`temperature` must not be negative or NaN, got {value!r}")
    return None if number == 1 else number


def sink(value: Any, x: Array, axis: Axis) -> Array | float:
    """Return `sink` as a float or an array that broadcasts to the reduced shape."""
    if kind(x.dtype, library_of(x).xp) == "complex floating":
        raise TypeError(f"`sink` needs a real `x`, got dtype {x.dtype}")
    number = _scalar(value, "sink")
    if number is not None:
        return number
    array = same_library(value, "sink", x)
    check_kind(array, "sink", ("real floating", "integral"))
    shape = reduced_shape(tuple(x.shape), axis)
    return broadcastable(array, "sink", shape, "the shape of `x` without `axis`,")


def _scalar(value: Any, name: str) -> float | None:
    """Return a Python number as a float, and None for what should be an array."""
    if isinstance(value, bool) or value is None:
        raise TypeError(f"`{name}` must be a real number or an array, got {value!r}")
    return float(value) if isinstance(value, (int, float)) else None


def fraction(value: Any, name: str, high: float) -> float:
    """Return a Python number between 0 and `high`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"`{name}` must be a real number, got {value!r}")
    if not 0 <= value <= high:
        expected = "at least 0" if high == float("inf") else f"between 0 and {high:g}"
        raise ValueError(f"`{name}` must be {expected}, got {value!r}")
    return float(value)


def flag(value: Any, name: str) -> bool:
    """Return a bool; anything else is refused."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` must be True or False, got {value!r}")
    return value


def real_dtype(value: Any, x: Array) -> DType:
    """Return `dtype` as the library's own object for a real floating dtype."""
    library = library_of(x)
    try:
        dtype = library.dtype(value)
        is_real = kind(dtype, library.xp) == "real floating"
    except TypeError as error:
        raise TypeError(
            f"`dtype` must be a real floating dtype of {library.name}, got {value!r}: {error}"
        ) from None
    if not is_real:
        raise TypeError(f"`dtype` must be a real floating dtype of {library.name}, got {value!r}")
    if kind(x.dtype, library.xp) == "complex floating":
        raise TypeError(f"`dtype` {value!r} would drop the imaginary part of {x.dtype}")
    return dtype


def output(out: Any, x: Array, shape: tuple[int, ...], dtype: DType | None) -> Array:
    """Return `out` if the result may be written there."""
    library = library_of(x)
    if library.immutable:
        raise TypeError(f"`out` cannot be written: arrays of {library.name} are immutable")
    if library_of(out, "out").xp is not library.xp:
        raise TypeError(f"`out` must be an array of {library.name}, got {type(out).__name__}")
    if not is_same_shape(tuple(out.shape), shape):
        raise ValueError(f"`out` must have shape {shape}, got {tuple(out.shape)}")
    expected = floating_dtype(x, library.xp) if dtype is None else dtype
    if out.dtype != expected:
        raise TypeError(f"`out` must have dtype {expected}, got {out.dtype}")
    if not _is_writeable(out):
        raise ValueError("`out` must be writeable, got a read-only array")
    return out


def _is_writeable(out: Array) -> bool:
    flags = getattr(out, "flags", None)
    return bool(getattr(flags, "writeable", True))


def weights(value: Any, x: Array, kinds: tuple[str, ...] = NUMBERS) -> Array:
    """Return `weights`, an array or a number, as an array that broadcasts to `x`."""
    if isinstance(value, bool):
        raise TypeError(f"`weights` must be a number or an array, got {value!r}")
    if isinstance(value, (int, float, complex)):
        value = _filled(value, x)
    found = same_library(value, "weights", x)
    check_kind(found, "weights", kinds)
    return broadcastable(found, "weights", tuple(x.shape), "the shape of `x`")


def _filled(value: complex, x: Array) -> Array:
    xp = library_of(x).xp
    dtype = floating_dtype(x, xp)
    if isinstance(value, complex):
        dtype = xp.result_type(dtype, xp.complex64)
    return xp.full((), value, dtype=dtype, device=device_of(x))


def of_shape(value: Any, name: str, x: Array, shape: tuple[int, ...], like: str) -> Array:
    """Return a further real array that must have exactly `shape`."""
    found = same_library(value, name, x)
    check_kind(found, name, REAL)
    if not is_same_shape(tuple(found.shape), shape):
        raise ValueError(f"`{name}` must have {like}, {shape}, got {tuple(found.shape)}")
    return found
