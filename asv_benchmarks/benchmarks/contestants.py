"""How each contestant is called: what its user would write, on arrays of its own, on two threads.

A contestant that is not installed, or has no such function, raises `NotImplementedError`: asv then
skips it, and `nox -s bench` says so.
"""

import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .grid import DEFAULT, THREADS, Case, labels, logits

Call = Callable[[], Any]

SPIN = 0.015
"""Seconds for which PyTorch's OpenMP threads keep both cores busy after a call; measured: 0.01."""


class Operands(NamedTuple):
    """NumPy arrays, of which each library makes its own."""

    x: np.ndarray
    axis: int
    labels: np.ndarray | None
    out: np.ndarray | None


class Contestant(NamedTuple):
    """One call, and what has to be done before and after its turn; neither is timed."""

    call: Call
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    backend: str = ""
    """The backend of softaxis that has to be the one which runs."""


def make(name: str, function: str, case: Case, dtype: str) -> Contestant:
    """Return a contestant with its arrays made."""
    x = logits(case, dtype)
    bare = function.removesuffix(" out=")
    with_labels = labels(case) if bare == "cross_entropy" else None
    out = np.zeros_like(x) if function != bare else None
    return MAKERS[name](bare, Operands(x, case.axis, with_labels, out))


def prepare(name: str, function: str, case: Case, dtype: str) -> Contestant:
    """Return a contestant that has been called once, so that nothing is left to compile."""
    contestant = make(name, function, case, dtype)
    contestant.before()
    if contestant.backend:
        insist(contestant)
    contestant.call()
    contestant.after()
    return contestant


def insist(contestant: Contestant) -> None:
    """Refuse to time one backend under the name of another that declined."""
    import softaxis

    with softaxis.backend_opts(trace=True) as trace:
        contestant.call()
    _, ran, _, _ = trace[-1]
    if ran != contestant.backend:
        why = next((why for _, name, _, why in trace if name == contestant.backend), "not asked")
        raise NotImplementedError(f"declined: {why}")


def need(package: str) -> Any:
    """Import a package, or say that it is not installed."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != package.split(".", maxsplit=1)[0]:
            raise  # something that it needs
        raise NotImplementedError("not installed") from error


def softaxis(chosen: dict[str, str], function: str, on: Operands) -> Contestant:
    """Call the public function, with some backend first or none of another."""
    import softaxis

    public = getattr(softaxis, function)
    given = {"axis": on.axis} | ({} if on.out is None else {"out": on.out})
    operands = (on.x,) if on.labels is None else (on.x, on.labels)
    small = tuple(array[tuple(slice(1) for _ in array.shape)] for array in operands)
    if on.labels is not None:
        small = (small[0], np.zeros_like(small[1]))

    def choose() -> None:
        """Choose for the process, and let a small call fill the table that this has emptied."""
        softaxis.set_backends(**chosen)
        public(*small, axis=on.axis)

    try:
        softaxis.set_backends(**chosen)
    except (ValueError, RuntimeError) as error:
        if not _is_absent(error):
            raise
        raise NotImplementedError("not installed") from error
    call = partial(public, *operands, **given)
    return Contestant(call, choose, backend=chosen.get("prioritize", ""))


def _is_absent(error: BaseException) -> bool:
    """Return whether a backend is unknown to this softaxis, or lacks its package."""
    return isinstance(error, ValueError) or isinstance(error.__cause__, ModuleNotFoundError)


def scipy(function: str, on: Operands) -> Contestant:
    """Call `scipy.special`, which has neither `out` nor a cross-entropy."""
    special = need("scipy.special")
    if on.out is not None or not hasattr(special, function):
        raise NotImplementedError("has none")
    return Contestant(partial(getattr(special, function), on.x, axis=on.axis))


def torch(function: str, on: Operands) -> Contestant:
    """Call PyTorch on tensors on the CPU."""
    torch = need("torch")
    torch.set_num_threads(THREADS)
    x = torch.from_numpy(on.x)
    if on.labels is not None:  # PyTorch wants the classes along axis 1
        entropy = torch.nn.functional.cross_entropy
        y = torch.from_numpy(on.labels)
        call = partial(entropy, x.movedim(on.axis, 1), y, reduction="none")
    elif on.out is not None:
        call = partial(getattr(torch, function), x, on.axis, out=torch.from_numpy(on.out))
    else:
        call = partial(getattr(torch, function), x, on.axis)
    return Contestant(call, after=partial(time.sleep, SPIN))


def jax(function: str, on: Operands) -> Contestant:
    """Call `jax.jit` of what JAX has; its users put a cross-entropy together, as Optax does."""
    jax = need("jax")
    jax.config.update("jax_enable_x64", True)
    if on.out is not None:
        raise NotImplementedError("has none")
    logsumexp = jax.scipy.special.logsumexp

    def cross_entropy(x: Any, y: Any) -> Any:
        chosen = jax.numpy.take_along_axis(x, jax.numpy.expand_dims(y, on.axis), on.axis)
        return logsumexp(x, axis=on.axis) - chosen.squeeze(on.axis)

    functions = {
        "softmax": partial(jax.nn.softmax, axis=on.axis),
        "log_softmax": partial(jax.nn.log_softmax, axis=on.axis),
        "logsumexp": partial(logsumexp, axis=on.axis),
        "cross_entropy": cross_entropy,
    }
    compiled = jax.jit(functions[function])
    arrays = [jax.numpy.asarray(array) for array in (on.x, on.labels) if array is not None]
    return Contestant(lambda: compiled(*arrays).block_until_ready())


MAKERS: dict[str, Callable[[str, Operands], Contestant]] = {
    "softaxis": partial(softaxis, {"disable": "numba"}),
    "softaxis[numba]": partial(softaxis, {"prioritize": "numba"}),
    DEFAULT: partial(softaxis, {}),
    "scipy": scipy,
    "torch": torch,
    "jax": jax,
}
