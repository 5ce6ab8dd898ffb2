"""softmax of sparse arrays whose unstored entries are -inf: a backend of softaxis."""

import sparse

from softaxis.backend import Backend
from softaxis_example import _gradients, _softmax

__all__ = ["backend"]

backend = Backend("example", types=(sparse.COO,), arrays="softaxis_example.testing:arrays")
"""What the entry point names. Each function claims float32 and float64, which is the default."""

backend.implements(_softmax.softmax)
backend.implements(_softmax.log_softmax)
backend.implements(_softmax.logsumexp)
backend.implements(_gradients.softmax_vjp)
backend.implements(_gradients.log_softmax_vjp)
