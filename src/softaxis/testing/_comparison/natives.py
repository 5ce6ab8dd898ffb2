"""The functions that array libraries have of their own, called as their users call them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

Function = Callable[..., Any]


class Native(NamedTuple):
    """A function ``f(x, *operands, axis=...)``, under the name it has in its library.

    `masked` is the same with `where`: what a user writes to leave elements out; None where the
    library cannot tell the derivative anyway.
    """

    library: str
    name: str
    function: Function
    masked: Function | None = None


def without_axis(function: Function) -> Function:
    """Let a function of single numbers be called like the others."""

    def call(x: Any, axis: Any = None) -> Any:  # noqa: ARG001
        return function(x)

    return call


def _scipy(name: str) -> Native:
    function = getattr(import_module("scipy.special"), name)
    return Native("numpy", f"scipy.special.{name}", function)


def _scipy_elementwise(name: str) -> Native:
    function = getattr(import_module("scipy.special"), name)
    return Native("numpy", f"scipy.special.{name}", without_axis(function))


def _cupyx(name: str) -> Native:
    function = getattr(import_module("cupyx.scipy.special"), name)
    return Native("cupy", f"cupyx.scipy.special.{name}", function)


def _minus_infinity_added(x: Any, where: Any) -> Any:
    """Mask as PyTorch's attention does: 0 where an element takes part, -inf where it does not."""
    return x + x.new_zeros(x.shape).masked_fill(~where, -float("inf"))


def _torch(name: str, *, functional: bool = False) -> Native:
    module = import_module("torch.nn.functional" if functional else "torch")
    function = getattr(module, name)

    def masked(x: Any, where: Any, axis: Any) -> Any:
        return function(_minus_infinity_added(x, where), dim=axis)

    label = f"F.{name}" if functional else f"torch.{name}"
    return Native("torch", label, lambda x, axis: function(x, dim=axis), masked)


def _torch_elementwise(name: str, *, functional: bool = False) -> Native:
    native = _torch(name, functional=functional)
    module = import_module("torch.nn.functional" if functional else "torch")
    function = getattr(module, name)
    return native._replace(function=without_axis(function), masked=None)


def _torch_cross_entropy() -> Native:
    from torch.nn.functional import cross_entropy

    def function(x: Any, labels: Any, axis: int) -> Any:
        classes_second = x.movedim(axis, 1) if x.ndim > 1 else x
        return cross_entropy(classes_second, labels.long(), reduction="none")

    def masked(x: Any, labels: Any, where: Any, axis: int) -> Any:
        return function(_minus_infinity_added(x, where), labels, axis)

    return Native("torch", "F.cross_entropy", function, masked)


def _jax(name: str) -> Native:
    function = getattr(import_module("jax.nn"), name)

    def masked(x: Any, where: Any, axis: Any) -> Any:
        return function(x, axis=axis, where=where)

    return Native("jax", f"jax.nn.{name}", function, masked)


def _jax_elementwise(name: str) -> Native:
    function = getattr(import_module("jax.nn"), name)
    return Native("jax", f"jax.nn.{name}", without_axis(function))


def _optax() -> Native:
    loss = import_module("optax").softmax_cross_entropy_with_integer_labels

    def function(x: Any, labels: Any, axis: int) -> Any:
        return loss(x, labels, axis=axis)

    def masked(x: Any, labels: Any, where: Any, axis: int) -> Any:
        return loss(x, labels, axis=axis, where=where)

    return Native("jax", "optax integer labels", function, masked)


# Library, package and how to get the native function, for each function of softaxis.
_Loader = tuple[str, str, Callable[[], Native]]


def _of(name: str) -> tuple[_Loader, ...]:
    return (
        ("numpy", "scipy", lambda: _scipy(name)),
        ("torch", "torch", lambda: _torch(name)),
        ("jax", "jax", lambda: _jax(name)),
        ("cupy", "cupy", lambda: _cupyx(name)),
    )


NATIVES: dict[str, tuple[_Loader, ...]] = {
    "softmax": _of("softmax"),
    "log_softmax": _of("log_softmax"),
    "logsumexp": _of("logsumexp"),
    "cross_entropy": (
        ("torch", "torch", _torch_cross_entropy),
        ("jax", "optax", _optax),
    ),
    "softmin": (("torch", "torch", lambda: _torch("softmin", functional=True)),),
    "sigmoid": (
        ("numpy", "scipy", lambda: _scipy_elementwise("expit")),
        ("torch", "torch", lambda: _torch_elementwise("sigmoid")),
        ("jax", "jax", lambda: _jax_elementwise("sigmoid")),
    ),
    "log_sigmoid": (
        ("numpy", "scipy", lambda: _scipy_elementwise("log_expit")),
        ("torch", "torch", lambda: _torch_elementwise("logsigmoid", functional=True)),
        ("jax", "jax", lambda: _jax_elementwise("log_sigmoid")),
    ),
}
