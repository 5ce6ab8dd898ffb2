"""PyTorch's tensors in the memory of a GPU, for backends that take no others."""

from __future__ import annotations

from softaxis.testing._known_arrays import TorchArrays

TORCH = TorchArrays("cuda")
if not TORCH.xp.cuda.is_available():
    raise RuntimeError(
        "PyTorch finds no GPU with its driver here, and the backend runs on nothing else"
    )
