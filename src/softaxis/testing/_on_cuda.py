"""PyTorch's tensors in the memory of a GPU, for backends that take no others: `TORCH`."""

from __future__ import annotations

from softaxis.testing._arrays import Arrays
from softaxis.testing._known_arrays import TorchArrays


def __getattr__(name: str) -> Arrays:
    """Look for the GPU when somebody asks for its tensors."""
    if name != "TORCH":
        raise AttributeError(name)
    found = TorchArrays("cuda")
    if not found.xp.cuda.is_available():
        raise RuntimeError(
            "PyTorch finds no GPU with its driver here, and the backend runs on nothing else"
        )
    return found
