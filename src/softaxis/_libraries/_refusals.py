"""Array-likes that are refused, each with the way out."""

from __future__ import annotations

import sys


def refuse(cls: type, name: str) -> None:
    """Raise TypeError with the way out for array-like types whose meaning would be lost."""
    hint = _hint(cls, _REFUSED)
    if hint:
        raise TypeError(message(cls, name, hint))


def unless_a_backend_takes_it(cls: type) -> str:
    """Return the way out for arrays that the array-API implementation would misread or densify."""
    return _hint(cls, _REFUSED_BY_DEFAULT)


def message(cls: type, name: str, hint: str) -> str:
    """Return what the error says."""
    return f"`{name}` must be a plain array, got {type_name(cls)}: {hint}"


def _hint(cls: type, table: tuple[tuple[str, tuple[str, ...], str], ...]) -> str:
    for module, names, hint in table:
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
)
_REFUSED_BY_DEFAULT = (
    (
        "sparse",
        ("SparseArray",),
        "the array-API implementation would densify it. Pass `x.todense()` if that fits",
    ),
)


def type_name(cls: type) -> str:
    """Return the name of a class as a user would import it."""
    return f"{cls.__module__}.{cls.__qualname__}".removeprefix("builtins.")
