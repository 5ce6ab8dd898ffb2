"""PyTorch."""

from __future__ import annotations

import array_api_compat.torch as xp
import torch
from torch.autograd.forward_ad import unpack_dual

from softaxis._libraries._record import Array, Library


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
    xp,
    readable=_readable,
    tracing=_tracing,
    differentiating=_differentiating,
    device=_device,
)
