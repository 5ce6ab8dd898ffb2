"""PyTorch."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import array_api_compat.torch
import torch
from torch.autograd.forward_ad import unpack_dual

from softaxis._libraries._record import Array, Library


def _compiled_sum(a: Array, axis: tuple[int, ...]) -> Array | None:
    """Return a sum that torch.compile fuses into one loop; it would unroll the pairwise one."""
    return torch.sum(a, dim=axis, keepdim=True) if torch.compiler.is_compiling() else None


def _namespace() -> Any:
    found = ModuleType(array_api_compat.torch.__name__)
    vars(found).update(vars(array_api_compat.torch), compiled_sum=_compiled_sum)
    return found


def _tracing(_: Array) -> bool:
    return bool(torch.compiler.is_compiling())


def _device(x: Array) -> str:
    return str(x.device.type)


def _readable(x: Array) -> bool:
    return _device(x) == "cpu" and not _tracing(x)


def _differentiating(x: Array) -> bool:
    if x.requires_grad and torch.is_grad_enabled():
        return True
    return not _tracing(x) and unpack_dual(x).tangent is not None  # forward mode


LIBRARY = Library(
    "torch",
    _namespace(),
    readable=_readable,
    tracing=_tracing,
    differentiating=_differentiating,
    device=_device,
)
