"""Complex softmax, log_softmax and logsumexp, by real arithmetic on the two parts.

The shift is the largest real part. A complex product would turn inf * 0 into NaN, so the parts
stay apart until the end.
"""

from __future__ import annotations

from softaxis._axes import Axis
from softaxis._dtypes import DType, cast, kind
from softaxis._generic._rows import cooled, maximum, shift_of
from softaxis._generic._summation import total
from softaxis._libraries import Array, Namespace

_INF = float("inf")
_NAN = float("nan")
_PI = 3.141592653589793


class _Sum:
    """Each row's terms exp(z) = (cos + i sin) and their sum, with the maximum m taken out."""

    def __init__(
        self,
        x: Array,
        axis: Axis,
        where: Array | None,
        xp: Namespace,
        *,
        temperature: Array | float | None = None,
        weights: Array | None = None,
    ) -> None:
        self.re, self.im = _parts(x, xp)
        if where is not None:
            self.re = xp.where(where, self.re, -_INF)
        if weights is not None:
            self.re = xp.where(weights != 0, self.re, -_INF)
        self.im = xp.where(self.re == -_INF, 0.0, self.im)
        self.m = maximum(self.re, axis, xp)
        shift = shift_of(self.m, xp)
        self.z = self.re - shift
        if temperature is not None:
            self.z, self.im = cooled(self.re, shift, temperature, xp), self.im / temperature
        e = xp.exp(self.z)
        self.cos, self.sin = e * xp.cos(self.im), e * xp.sin(self.im)
        if weights is not None:
            self._weigh(weights, xp)
        self.sum_cos = total(self.cos, axis, xp)
        self.sum_sin = total(self.sin, axis, xp)
        self.log_size = xp.log(xp.hypot(self.sum_cos, self.sum_sin))
        angle = xp.atan2(self.sum_sin, self.sum_cos)
        self.angle = xp.where(angle <= -_PI, -angle, angle)

    def _weigh(self, weights: Array, xp: Namespace) -> None:
        dead = self.re == -_INF
        parts = (cast(part, self.re.dtype, xp) for part in _parts(weights, xp))
        re, im = (xp.where(dead, 0.0, part) for part in parts)
        self.cos, self.sin = self.cos * re - self.sin * im, self.cos * im + self.sin * re

    @property
    def empty(self) -> Array:
        """Where the row has nothing but -inf in it."""
        return self.m == -_INF


def softmax(
    x: Array,
    *,
    axis: Axis,
    where: Array | None,
    temperature: Array | float | None,
    xp: Namespace,
) -> Array:
    """exp(z) / sum exp(z)."""
    s = _Sum(x, axis, where, xp, temperature=temperature)
    size = s.sum_cos * s.sum_cos + s.sum_sin * s.sum_sin
    re = xp.where(s.empty, _NAN, (s.cos * s.sum_cos + s.sin * s.sum_sin) / size)
    im = xp.where(s.empty, _NAN, (s.sin * s.sum_cos - s.cos * s.sum_sin) / size)
    return _masked(re, im, where, 0.0, x, xp)


def log_softmax(
    x: Array,
    *,
    axis: Axis,
    where: Array | None,
    temperature: Array | float | None,
    xp: Namespace,
) -> Array:
    """z - log(sum exp(z))."""
    s = _Sum(x, axis, where, xp, temperature=temperature)
    re = xp.where(s.empty, _NAN, s.z - s.log_size)
    im = xp.where(s.empty, _NAN, s.im - s.angle)
    return _masked(re, im, where, -_INF, x, xp)


def logsumexp(
    x: Array, weights: Array | None, *, axis: Axis, where: Array | None, xp: Namespace
) -> tuple[Array, Array, Array]:
    """log|s|, the angle of s in (-pi, pi] and s / |s|, dimensions kept."""
    s = _Sum(x, axis, where, xp, weights=weights)
    infinite = s.m == _INF
    size = xp.where(infinite, s.m, shift_of(s.m, xp) + s.log_size)
    size = xp.where(s.empty, -_INF, size)
    angle = xp.where(s.empty | infinite, 0.0, s.angle)
    none = s.empty | ((s.sum_cos == 0) & (s.sum_sin == 0))
    cos, sin = (xp.where(none, 0.0, f(angle)) for f in (xp.cos, xp.sin))
    return size, angle, joined(cos, sin, x.dtype, xp)


def joined(re: Array, im: Array, dtype: DType, xp: Namespace) -> Array:
    """re + i im in a complex dtype."""
    return xp.astype(re, dtype) + 1j * xp.astype(im, dtype)


def _parts(x: Array, xp: Namespace) -> tuple[Array, Array]:
    if kind(x.dtype, xp) == "complex floating":
        return xp.real(x), xp.imag(x)
    return x, xp.zeros_like(x)


def _masked(
    re: Array, im: Array, where: Array | None, fill: float, x: Array, xp: Namespace
) -> Array:
    if where is not None:
        re, im = xp.where(where, re, fill), xp.where(where, im, 0.0)
    return joined(re, im, x.dtype, xp)
