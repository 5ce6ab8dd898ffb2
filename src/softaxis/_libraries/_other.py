"""Any other library that follows the standard, learnt from one of its arrays."""

from __future__ import annotations

import sys

import array_api_compat

from softaxis._libraries._record import Array, Library, never
from softaxis._libraries._refusals import unless_a_backend_takes_it


def _readable(x: Array) -> bool:
    return not array_api_compat.is_lazy_array(x)


def _device(x: Array) -> str:
    return str(array_api_compat.device(x)).lower()


def learn(x: Array) -> Library | None:
    """Return the library of `x`, or None where it has no array-API namespace."""
    try:
        xp = array_api_compat.array_namespace(x)
    except TypeError:
        return None
    refusal = unless_a_backend_takes_it(type(x))
    library = Library(
        xp.__name__.partition(".")[0],
        xp,
        readable=never if refusal else _readable,
        device=_device,
        immutable=not array_api_compat.is_writeable_array(x),
        refusal=refusal,
    )
    if sys.modules.get("numpy") is None:
        return library
    from softaxis._libraries._numpy import quiet

    return library._replace(quiet=quiet)
