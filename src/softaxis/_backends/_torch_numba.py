"""Tensors as arrays, and what the kernels of the `numba` backend make of them as tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._backends import _numba_small, numba
from softaxis._backends._torch_autograd import PLAIN, Kernels, Terms, is_recorded, is_watched
from softaxis._backends._torch_kernels import KERNELS as NATIVE
from softaxis._backends._torch_ready import PAYS, READY
from softaxis._backends._torch_team import crew, threads

_ALONE = 1 << 15
"""Elements of a tensor that is computed by one thread anyhow."""
_FEW = 1 << 13
"""Elements up to which to call an operator of PyTorch takes longer than what it does."""


def is_memory(*tensors: Tensor | None) -> bool:
    """Return whether tensors are nothing but numbers in the memory of the CPU."""
    for x in tensors:
        if x is not None and not (
            type(x) in PLAIN and x.is_cpu and x.layout is torch.strided and not x.is_neg()
        ):
            return False
    return True


def unusual(labels: Tensor, terms: Terms) -> str:
    """Return why the kernel does not compute such a loss."""
    weights = terms.class_weights
    if not is_memory(labels, weights):
        return "takes plain tensors that nothing watches"
    if weights is not None and is_recorded(weights):
        return "has no gradient of `class_weights`"
    return unusual_terms(labels, terms)


def unusual_terms(labels: Tensor, terms: Terms) -> str:
    """Return the same of what can be told without a look at the tensors."""
    if labels.dtype.is_floating_point or terms.z_loss == torch.inf:
        return "takes integer labels"
    if terms.class_weights is not None and terms.class_weights.dtype is torch.bfloat16:
        return "takes no `class_weights` of bfloat16"
    if terms.label_smoothing and not (terms.where is None and terms.class_weights is None):
        return "takes `label_smoothing` without `where` and `class_weights`"
    return ""


@cache
def engine() -> Any:
    """Import what loads or compiles kernels, when a call has come as far as here."""
    from softaxis._backends._numba import _engine

    return _engine


@cache
def has_float16() -> bool:
    """Return whether the processor converts float16."""
    from softaxis._backends._numba._launch import HAS_FLOAT16

    return bool(HAS_FLOAT16)


def softmax(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """exp(z) / sum(exp(z))."""
    if where is None or x.numel() <= _FEW:
        return _run(numba.softmax, x, axis=axis, where=_mask(where))
    y = _run(numba.softmax, _hiding(x, where), axis=axis)
    return _settled(y, axis, where, 0.0)


def softmax_vjp(p: Tensor, g: Tensor, axis: Any) -> Tensor:
    """p (h - sum(p h)), h = g - g_top."""
    if _is_for_native("softmax", p, axis):
        return NATIVE.softmax_vjp(p, g, axis)
    return product("softmax_vjp", p, g, axis)


def product(name: str, y: Tensor, g: Tensor, axis: Axis) -> Tensor:
    """One of the vector-Jacobian products of a result, by its kernel."""
    dx = gradient_of_rows(name, y, g, axis)
    return _run(getattr(numba, name), y, g, axis=axis) if dx is None else dx


def _is_for_native(name: str, x: Tensor, axis: Any) -> bool:
    """Return whether a gradient is not worth compiling a kernel."""
    return isinstance(axis, int) and x.numel() < PAYS and not READY[name][x.dtype]


def log_softmax(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """z - log(sum(exp(z)))."""
    if where is None or x.numel() <= _FEW:
        return _run(numba.log_softmax, x, axis=axis, where=_mask(where))
    y = _run(numba.log_softmax, _hiding(x, where), axis=axis)
    return _settled(y, axis, where, -torch.inf)


def log_softmax_vjp(logp: Tensor, g: Tensor, axis: Any) -> Tensor:
    """g - p sum(g)."""
    if _is_for_native("log_softmax", logp, axis):
        return NATIVE.log_softmax_vjp(logp, g, axis)
    return product("log_softmax_vjp", logp, g, axis)


def logsumexp(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """m + log(sum(exp(x - m))), with the dimensions kept."""
    if where is not None and x.numel() > _FEW:
        x, where = _hiding(x, where), None
    y = _run(numba.logsumexp, x, axis=axis, where=_mask(where))
    return y.reshape(reduced_shape(tuple(x.shape), axis, keepdims=True))


def _hiding(x: Tensor, where: Tensor) -> Tensor:
    """Return x with -inf for what the mask leaves out.

    The kernels take a mask, too, but copy each row for it, which takes longer from about `_FEW`
    elements on.
    """
    return torch.where(where, x.detach(), -torch.inf)


def _settled(y: Tensor, axis: Axis, where: Tensor, fill: float) -> Tensor:
    """Fill what the mask leaves out of rows that are NaN, as those are that it leaves out entirely.

    Elsewhere that has come out of the kernel.
    """
    axes = as_tuple(axis)
    if y[tuple(0 if i in axes else slice(None) for i in range(y.ndim))].isnan().any():
        words = y.view(_WORDS[y.dtype])  # several times as fast as masked_fill_
        seen = where.to(words.dtype)
        words.bitwise_and_(-seen)
        if fill:
            bits = torch.tensor(fill, dtype=y.dtype).view(words.dtype)
            words.bitwise_or_((1 - seen) * bits)
    return y


_WORDS = {torch.float16: torch.int16, torch.float32: torch.int32, torch.float64: torch.int64}


def logsumexp_vjp(x: Tensor, y: Tensor, g: Tensor, axis: Any, where: Tensor | None) -> Tensor:
    """g softmax(x); 0 for a row of -inf."""
    if _is_for_native("logsumexp", x, axis):
        return NATIVE.logsumexp_vjp(x, y, g, axis, where)
    if where is None and axis == x.ndim - 1 and x.numel() <= _FEW:
        dx = _small_logsumexp_vjp(x, y, g)
        if dx is not None:
            return dx
    dx = softmax(x, axis, where).mul_(g)
    empty = y == -torch.inf
    return dx.masked_fill_(empty, 0.0) if empty.any() else dx


def _small_logsumexp_vjp(x: Tensor, y: Tensor, g: Tensor) -> Tensor | None:
    """The same by NumPy, whose functions are called in half the time."""
    p = _numba_small.softmax_of_rows(_array(x), -1)
    if p is NotImplemented:
        return None
    with np.errstate(all="ignore"):
        np.multiply(p, g.numpy(), out=p)
        empty = y.numpy() == -np.inf
    if empty.any():
        np.copyto(p, 0.0, where=empty)
    return torch.from_numpy(p)


def cross_entropy(x: Tensor, labels: Tensor, axis: Axis, terms: Terms) -> Tensor:
    """The loss."""
    return _run(numba.cross_entropy, x, labels, axis=axis, **_keywords(terms))


def cross_entropy_and_grad(
    x: Tensor, labels: Tensor, axis: Axis, terms: Terms
) -> tuple[Tensor, Tensor]:
    """The loss, and the gradient of its sum."""
    with threads():
        loss, slope = numba.cross_entropy_and_grad(
            _array(x), labels.numpy(), axis=axis, **_keywords(terms)
        )
    return _tensor(loss), _tensor(slope)


def cross_entropy_noted(
    x: Tensor, labels: Tensor, axis: Any, terms: Terms
) -> tuple[Tensor, Tensor | None]:
    """The loss, and for large tensors what its gradient has to know of each row."""
    if x.numel() <= _ALONE:
        return cross_entropy(x, labels, axis, terms), None
    with threads():
        loss, notes = engine().cross_entropy_noted(
            _array(x), labels.numpy(), axis, *_keywords(terms).values()
        )
    return _tensor(loss), _tensor(notes)


def cross_entropy_vjp(
    x: Tensor, labels: Tensor, g: Tensor, axis: Any, terms: Terms, notes: Tensor | None = None
) -> Tensor:
    """g d loss / d x: a factor of all rows is the kernel's, one for each is multiplied with."""
    one = not any(g.stride())  # a number, or one that autograd has expanded
    scale = (g if g.ndim == 0 else g.flatten()[0]).item() if one else 1.0
    dx = None
    if notes is not None:
        with threads():
            found = engine().cross_entropy_vjp(
                _array(x),
                labels.numpy(),
                notes.numpy(),
                axis,
                *_keywords(terms).values(),
                scale=scale,
            )
        dx = torch.from_numpy(found)
    elif x.numel() < PAYS and terms.where is terms.class_weights is None and terms.z_loss == 0:
        if not READY["cross_entropy"][x.dtype]:
            return NATIVE.cross_entropy_vjp(x, labels, g, axis, terms)
        if scale == 1 and axis == x.ndim - 1 and terms.label_smoothing == 0:
            dx = _small_gradient(x, labels, terms)
    if dx is None:
        kernel = partial(engine().cross_entropy, gradient=True, scale=scale)
        dx = _run(lambda *a: kernel(*a, axis, *_keywords(terms).values())[1], x, labels)
    return dx if one else dx.mul_(g.unsqueeze(axis))


def _small_gradient(x: Tensor, labels: Tensor, terms: Terms) -> Tensor | None:
    found = _numba_small.cross_entropy_and_grad_of_rows(
        _array(x), labels.numpy(), -1, terms.ignore_index, terms.reduction
    )
    return None if found is NotImplemented else torch.from_numpy(found[1])


def _takes(x: Tensor, *others: Tensor | None) -> bool:
    return (
        is_memory(x, *others)
        and not is_watched()
        and (x.dtype is not torch.float16 or has_float16())
    )


KERNELS = Kernels(
    softmax,
    softmax_vjp,
    log_softmax,
    log_softmax_vjp,
    logsumexp,
    logsumexp_vjp,
    cross_entropy,
    cross_entropy_vjp,
    _takes,
    cross_entropy_noted,
)


_rows: dict[tuple[str, torch.dtype, torch.Size], Any] = {}
_SHAPES = 256
"""So many are remembered, for a program has few."""


def gradient_of_rows(name: str, y: Tensor, g: Tensor, axis: Any) -> Tensor | None:
    """Run the kernel of a gradient on rows side by side; None where they are not."""
    if axis == y.ndim - 1 and y.is_contiguous() and g.is_contiguous() and g.dtype is y.dtype:
        return launched(name, y, g)
    return None


def launched(name: str, x: Tensor, g: Tensor | None = None) -> Tensor | None:
    """Run a kernel on tensors side by side, without what a launch on any arrays has to look at.

    None stands for what it does not take.
    """
    n = x.numel()
    key = name, x.dtype, x.shape
    found = _rows.get(key)
    if found is None:
        if len(_rows) >= _SHAPES:
            _rows.clear()
        found = _rows[key] = _prepared(*key, g is not None)
    start, rows = found
    if rows is None or n * x.element_size() >= _HUGE:
        return None
    y = torch.empty_like(x)
    b = 0 if g is None else g.data_ptr()
    start(rows, x.data_ptr(), b, y.data_ptr(), *(_ONE if n <= _ALONE else crew()))
    return y


_HUGE = 1 << 22
"""Bytes from which on NumPy asks the system for huge pages, which PyTorch does not."""
_ONE = 1, None


def _prepared(name: str, dtype: torch.dtype, shape: torch.Size, has_b: bool) -> Any:
    from softaxis._backends._numba._launch import prepared, start

    kind = str(dtype).removeprefix("torch.")
    return start, prepared(name, kind, tuple(shape), has_b)


def _run(function: Callable[..., Any], *tensors: Tensor, **keywords: Any) -> Tensor:
    """Call a function of arrays, with as many threads as PyTorch may use."""
    arrays = [_array(x) for x in tensors]
    if arrays[0].size <= _ALONE:
        return _tensor(function(*arrays, **keywords))
    with threads():
        return _tensor(function(*arrays, **keywords))


def _array(x: Tensor) -> Any:
    return (x.detach() if x.requires_grad else x).numpy()


def _mask(where: Tensor | None) -> Any:
    return None if where is None else where.numpy()


def _keywords(terms: Terms) -> dict[str, Any]:
    weights = terms.class_weights
    given = {
        "where": _mask(terms.where),
        "class_weights": None if weights is None else _array(weights),
    }
    return terms._asdict() | given


def _tensor(y: Any) -> Tensor:
    return torch.from_numpy(y if isinstance(y, np.ndarray) else np.asarray(y))
