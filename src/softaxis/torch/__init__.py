"""For PyTorch: `softaxis.torch.nn`, softaxis as modules. Importing it imports PyTorch."""

from __future__ import annotations

from softaxis.torch import nn

__all__ = ["nn"]
