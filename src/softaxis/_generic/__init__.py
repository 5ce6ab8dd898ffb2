"""The array-API implementation of every function: mathematics only, no dispatch.

Every function is pure, takes canonical arguments (see `softaxis.backend`) and the array
namespace `xp`, and works on any library that follows the standard.
"""

from softaxis._generic._gradients import (
    log_softmax_jvp,
    log_softmax_vjp,
    logsumexp_jvp,
    logsumexp_vjp,
    softmax_jacobian,
    softmax_jvp,
    softmax_vjp,
)
from softaxis._generic._losses import cross_entropy, cross_entropy_and_grad
from softaxis._generic._normalizers import (
    hardmax,
    log_sigmoid,
    log_softmax,
    sigmoid,
    softmax,
    softmin,
)
from softaxis._generic._reductions import logmeanexp, logsumexp

__all__ = [
    "cross_entropy",
    "cross_entropy_and_grad",
    "hardmax",
    "log_sigmoid",
    "log_softmax",
    "log_softmax_jvp",
    "log_softmax_vjp",
    "logmeanexp",
    "logsumexp",
    "logsumexp_jvp",
    "logsumexp_vjp",
    "sigmoid",
    "softmax",
    "softmax_jacobian",
    "softmax_jvp",
    "softmax_vjp",
    "softmin",
]
