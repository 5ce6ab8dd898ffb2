"""Array libraries: what the functions need to know about the library an array comes from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

Array = Any
Namespace = Any


def _always(_: Array) -> bool:
    return True


def _never(_: Array) -> bool:
    return False


def _cpu(_: Array) -> str:
    return "cpu"


def _itself(value: Any) -> Any:
    return value


@dataclass(frozen=True, eq=False)
class Library:
    """What an array library is like, learnt once per type of array."""

    name: str
    xp: Namespace
    readable: Callable[[Array], bool] = _never
    """Values can be read without tracing, computing or waiting for a device."""
    tracing: Callable[[Array], bool] = _never
    """The array stands for values that a compiler will see later."""
    differentiating: Callable[[Array], bool] = _never
    """Somebody records what is computed from the array in order to differentiate it."""
    device: Callable[[Array], str] = _cpu
    """The kind of device an array is on: "cpu", "cuda", ..."""
    dtype: Callable[[Any], Any] = _itself
    """The library's own object for what a user may write as a dtype; TypeError for others."""
    immutable: bool = False
    quiet: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Within it, arithmetic reports nothing to NumPy's floating-point error state."""


_by_type: dict[type, Library] = {}


def library_of(x: Array, name: str = "x") -> Library:
    """Return the library of the array `x`; TypeError, naming the parameter, for anything else."""
    found = _by_type.get(type(x))
    return _learn(x, name) if found is None else found


def _learn(x: Array, name: str) -> Library:
    refuse(type(x))
    library = _torch(x) or _jax(x) or _numpy(x) or _dask(x) or _cupy(x) or _any(x, name)
    _by_type[type(x)] = library
    return library


# PyTorch comes first and by plain imports, because torch.compile may trace this far.
def _torch(x: Array) -> Library | None:
    if sys.modules.get("torch") is None:
        return None
    import torch

    if not isinstance(x, torch.Tensor):
        return None
    import array_api_compat.torch as xp

    return Library(
        "torch",
        xp,
        readable=_torch_readable,
        tracing=_torch_tracing,
        differentiating=_torch_differentiating,
        device=_torch_device,
    )


def _torch_tracing(_: Array) -> bool:
    import torch

    return torch.compiler.is_compiling()


def _torch_readable(x: Array) -> bool:
    return _torch_device(x) == "cpu" and not _torch_tracing(x)


def _torch_differentiating(x: Array) -> bool:
    import torch

    return bool(x.requires_grad) and torch.is_grad_enabled()


def _torch_device(x: Array) -> str:
    return str(x.device.type)


def _jax(x: Array) -> Library | None:
    if sys.modules.get("jax") is None:
        return None
    import jax

    if not isinstance(x, jax.Array):
        return None

    def is_tracer(y: Array) -> bool:
        return isinstance(y, jax.core.Tracer)

    def device(y: Array) -> str:
        return "traced" if is_tracer(y) else str(next(iter(y.devices())).platform)

    def dtype(value: Any) -> Any:
        found = jax.numpy.dtype(value)
        if found.itemsize == 8 and not jax.config.jax_enable_x64:  # noqa: PLR2004
            raise TypeError(f"JAX has no {found} unless jax_enable_x64 is set")
        return found

    return Library(
        "jax",
        jax.numpy,
        tracing=is_tracer,
        differentiating=is_tracer,
        device=device,
        dtype=dtype,
        immutable=True,
    )


def _numpy(x: Array) -> Library | None:
    import array_api_compat

    if not array_api_compat.is_numpy_array(x):
        return None
    import array_api_compat.numpy as xp
    import numpy as np

    return Library("numpy", xp, readable=_always, dtype=np.dtype, quiet=_numpy_quiet)


def _numpy_quiet() -> AbstractContextManager[Any]:
    import numpy as np

    return np.errstate(all="ignore")


def _dask(x: Array) -> Library | None:
    import array_api_compat

    if not array_api_compat.is_dask_array(x):
        return None
    import array_api_compat.dask.array as xp
    import numpy as np

    return Library("dask", xp, dtype=np.dtype, immutable=True, quiet=_numpy_quiet)


def _cupy(x: Array) -> Library | None:
    import array_api_compat

    if not array_api_compat.is_cupy_array(x):
        return None
    import numpy as np

    return Library("cupy", array_api_compat.array_namespace(x), device=_cuda, dtype=np.dtype)


def _cuda(_: Array) -> str:
    return "cuda"


def _any(x: Array, name: str) -> Library:
    import array_api_compat

    try:
        xp = array_api_compat.array_namespace(x)
    except TypeError:
        raise TypeError(
            f"`{name}` must be an array of a library that follows the Python array API standard, "
            f"a list, a tuple or a number, got {_type_name(type(x))}"
        ) from None
    return Library(
        xp.__name__.partition(".")[0],
        xp,
        readable=lambda y: not array_api_compat.is_lazy_array(y),
        device=lambda y: str(array_api_compat.device(y)).lower(),
        immutable=not array_api_compat.is_writeable_array(x),
        quiet=nullcontext if sys.modules.get("numpy") is None else _numpy_quiet,
    )


def refuse(cls: type) -> None:
    """Raise TypeError with the way out for array-like types whose meaning would be lost."""
    hint = _refusal(cls)
    if hint:
        raise TypeError(f"softaxis does not take {_type_name(cls)}: {hint}")


def _refusal(cls: type) -> str:
    for module, names, hint in _REFUSED:
        package = sys.modules.get(module)
        if package is not None:
            for name in names:
                known = getattr(package, name, None)
                if isinstance(known, type) and issubclass(cls, known):
                    return hint
    return ""


_REFUSED = (
    (
        "numpy.ma",
        ("MaskedArray",),
        "its mask would be ignored. Pass `x.data` with `where=~np.ma.getmaskarray(x)`",
    ),
    ("numpy", ("matrix",), "a matrix never loses a dimension. Pass `np.asarray(x)`"),
    ("pandas", ("DataFrame", "Series", "Index"), "pass `x.to_numpy()`"),
    ("xarray", ("DataArray", "Dataset", "Variable"), "pass `x.data` with `axis` as a number"),
    ("pint", ("Quantity",), "exp needs a plain number. Pass `x.magnitude`"),
    (
        "sparse",
        ("SparseArray",),
        "softmax has no zeros where its input has them, so the array would be densified. "
        "Pass `x.todense()` if that fits in memory",
    ),
)


def _type_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}".removeprefix("builtins.")


def adopt(x: object, name: str) -> Array:
    """Return a list, a tuple or a number as a NumPy array; anything else unchanged."""
    if not isinstance(x, (list, tuple, int, float, complex)):
        library_of(x, name)  # refuses what is no array
        return x
    first: Any = x
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if isinstance(first, (list, tuple, int, float, complex)) or type(first).__module__ == "numpy":
        return _as_numpy(x, name)
    raise TypeError(f"`{name}` must hold numbers, got a {type(x).__name__} of {_type_name(type(first))}")


def _as_numpy(x: object, name: str) -> Array:
    try:
        import numpy as np
    except ImportError as error:
        raise ImportError(
            f"`{name}` is a {type(x).__name__}, which softaxis hands to NumPy, and NumPy is not "
            "installed: python -m pip install numpy"
        ) from error
    try:
        array = np.asarray(x)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"`{name}` must be a rectangular list of numbers: {error}") from None
    if array.dtype.kind not in "biufc":
        raise TypeError(f"`{name}` must hold numbers, got a {type(x).__name__} of dtype {array.dtype}")
    return array
