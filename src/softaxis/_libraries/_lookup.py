"""From an array to its library, learnt once per type; from a list to a NumPy array."""

from __future__ import annotations

import sys
from typing import Any

from softaxis._libraries._record import Array, Library
from softaxis._libraries._refusals import refuse, type_name

_by_type: dict[type, Library] = {}


def library_of(x: Array, name: str = "x") -> Library:
    """Return the library of the array `x`; TypeError, naming the parameter, for anything else."""
    found = _by_type.get(type(x))
    return _learn(x, name) if found is None else found


def library_of_type(cls: type) -> Library | None:
    """Return the library whose arrays have been seen to have this type."""
    return _by_type.get(cls)


def _learn(x: Array, name: str) -> Library:
    refuse(type(x), name)
    library = _known(x) or _other(x)
    if library is None:
        raise TypeError(
            f"`{name}` must be an array of a library that follows the Python array API standard, "
            f"a list, a tuple or a number, got {type_name(type(x))}"
        )
    _by_type[type(x)] = library
    return library


# torch.compile may trace this far: PyTorch comes first, by plain imports of records made before
def _known(x: Array) -> Library | None:
    if sys.modules.get("torch") is not None:
        import torch

        if isinstance(x, torch.Tensor):
            from softaxis._libraries._torch import LIBRARY

            return LIBRARY
    if sys.modules.get("jax") is not None:
        import jax

        if isinstance(x, jax.Array):
            from softaxis._libraries._jax import LIBRARY

            return LIBRARY
    return None


def _other(x: Array) -> Library | None:
    import array_api_compat

    if array_api_compat.is_numpy_array(x):
        from softaxis._libraries._numpy import LIBRARY
    elif array_api_compat.is_dask_array(x):
        from softaxis._libraries._dask import LIBRARY
    elif array_api_compat.is_cupy_array(x):
        from softaxis._libraries._cupy import LIBRARY
    else:
        from softaxis._libraries._other import learn

        return learn(x)
    return LIBRARY


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
    raise TypeError(
        f"`{name}` must hold numbers, got a {type(x).__name__} of {type_name(type(first))}"
    )


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
        raise TypeError(
            f"`{name}` must hold numbers, got a {type(x).__name__} of dtype {array.dtype}"
        )
    return array
