"""PyTorch."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import array_api_compat.torch
import torch
from torch.autograd.forward_ad import unpack_dual

from softaxis._axes import Axis, as_tuple
from softaxis._libraries._record import Array, Library


def _total(a: Array, axis: Axis) -> Array | None:
    """Return a sum that torch.compile fuses into one loop; it would unroll the pairwise one."""
    if not torch.compiler.is_compiling():
        return None
    return torch.sum(a, dim=as_tuple(axis), keepdim=True)


def _result_type(one: Any, other: Any) -> Any:
    """Return what two dtypes promote to.

    Of float16 and bfloat16 array-api-compat asks PyTorch, in a way that torch.compile cannot trace.
    """
    return one if one is other else array_api_compat.torch.result_type(one, other)


def _namespace() -> Any:
    found = ModuleType(array_api_compat.torch.__name__)
    vars(found).update(vars(array_api_compat.torch), total=_total, result_type=_result_type)
    return found


def _tracing(_: Array) -> bool:
    return bool(torch.compiler.is_compiling())


def _device(x: Array) -> str:
    return str(x.device.type)


def _readable(x: Array) -> bool:
    return _device(x) == "cpu" and not _tracing(x)


def _in_memory(x: Array) -> Array:
    """Return an array of NumPy's.

    Its operators take a third of the time and wake no threads; those of OpenMP keep a processor
    busy for some milliseconds after each.
    """
    return x.detach().numpy()


def _differentiating(x: Array) -> bool:
    if x.requires_grad and torch.is_grad_enabled():
        return True
    return not _tracing(x) and unpack_dual(x).tangent is not None  # forward mode


LIBRARY = Library(
    "torch",
    _namespace(),
    readable=_readable,
    in_memory=_in_memory,
    tracing=_tracing,
    differentiating=_differentiating,
    device=_device,
)
