"""One softmax family, right and fast on every array library.

Every function takes an array of any library that follows the Python array API standard and
returns one of the same library:

>>> import numpy as np
>>> import softaxis
>>> softaxis.softmax(np.array([1.0, 2.0, 3.0])).round(3)
array([0.09 , 0.245, 0.665])

See https://softaxis.readthedocs.io for what the functions mean, and `softaxis.backend` for how
to publish a faster one.
"""

from __future__ import annotations

from softaxis._compare import compare
from softaxis._dispatch import (
    BackendStatus,
    Explanation,
    backend_opts,
    explain_dispatch,
    get_backend,
    list_backends,
    set_backends,
)
from softaxis._errors import AxisError
from softaxis._gradients import (
    log_softmax_jvp,
    log_softmax_vjp,
    logsumexp_jvp,
    logsumexp_vjp,
    softmax_jacobian,
    softmax_jvp,
    softmax_vjp,
)
from softaxis._losses import cross_entropy, cross_entropy_and_grad
from softaxis._normalizers import (
    hardmax,
    log_sigmoid,
    log_softmax,
    sigmoid,
    softmax,
    softmin,
)
from softaxis._reductions import logmeanexp, logsumexp
from softaxis._threads import get_num_threads, set_num_threads

__all__ = [
    "AxisError",
    "BackendStatus",
    "Explanation",
    "__version__",
    "backend_opts",
    "compare",
    "cross_entropy",
    "cross_entropy_and_grad",
    "explain_dispatch",
    "get_backend",
    "get_num_threads",
    "hardmax",
    "list_backends",
    "log_sigmoid",
    "log_softmax",
    "log_softmax_jvp",
    "log_softmax_vjp",
    "logmeanexp",
    "logsumexp",
    "logsumexp_jvp",
    "logsumexp_vjp",
    "set_backends",
    "set_num_threads",
    "sigmoid",
    "softmax",
    "softmax_jacobian",
    "softmax_jvp",
    "softmax_vjp",
    "softmin",
]

__version__ = "0.1.0"
