"""Which kernels run at once, without compiling: asked once, and then true of the whole process.

What is on disk may change meanwhile; the answer may not, for the bits of a row would with it. So
either everything is there that a function and its gradient need, or nothing of it counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softaxis.backend import declined

PAYS = 1 << 17
"""Elements from which on kernels are compiled that are not on disk: that takes some seconds."""
_NAMES = {torch.float16: "float16", torch.float32: "float32", torch.float64: "float64"}


class Ready(dict[torch.dtype, bool]):
    """Whether all of some kernels are compiled, on disk or in memory, by dtype."""

    def __init__(self, *kernels: str) -> None:
        self.kernels = kernels

    def __missing__(self, dtype: torch.dtype) -> bool:
        # of two threads that ask at once both get what the first one stores
        return self.setdefault(dtype, dtype in _NAMES and self._are_compiled(_NAMES[dtype]))

    def _are_compiled(self, dtype: str) -> bool:
        from softaxis._backends._numba._machine import KNOWS_ARRAYS, is_compiled

        other = () if dtype != "float16" else ("_columns", "_small")  # what float16 has none of
        if not KNOWS_ARRAYS:
            other = (*other, "_small")
        return all(is_compiled(one, dtype) for one in self.kernels if not one.endswith(other))

    def takes(self, x: Tensor) -> bool:
        """Tell dispatch whether a tensor is taken though it is small."""
        if torch.compiler.is_compiling():
            return False
        if not self[x.dtype]:
            declined(
                f"fewer than {PAYS} elements, and kernels that are not compiled: "
                "`python -m softaxis warmup`"
            )
        return self[x.dtype]


_LOSSES = Ready(
    "cross_entropy",
    "cross_entropy_and_grad",
    "cross_entropy_vjp",
    "cross_entropy_small",
    "cross_entropy_and_grad_small",
)
_SOFTMAX_PRODUCT = Ready("softmax_vjp")
READY = {
    "softmax": Ready("softmax", "softmax_vjp", "softmax_columns", "softmax_small"),
    "log_softmax": Ready(
        "log_softmax", "log_softmax_vjp", "log_softmax_columns", "log_softmax_small"
    ),
    "logsumexp": Ready(
        "logsumexp",
        "logsumexp_columns",
        "logsumexp_small",
        "softmax",
        "softmax_columns",
        "softmax_small",
    ),
    "cross_entropy": _LOSSES,
    "cross_entropy_and_grad": _LOSSES,
    "softmax_vjp": _SOFTMAX_PRODUCT,
    "softmax_jvp": _SOFTMAX_PRODUCT,
    "log_softmax_vjp": Ready("log_softmax_vjp"),
}
"""By function; what computes its gradient is among the kernels."""
