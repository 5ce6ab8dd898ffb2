"""Which packages are installed, and how one is that an extra of softaxis brings."""

from __future__ import annotations


def is_installed(package: str) -> bool:
    """Return whether a package can be found, without importing it."""
    from importlib.util import find_spec

    try:
        return find_spec(package.partition(".")[0]) is not None  # "a.b" would import a
    except (ImportError, ValueError):
        return False


def has_extra(package: str) -> bool:
    """Return the same of what an extra brings; dispatch asks often, so it is found out once."""
    found = _extras.get(package)
    if found is None:
        found = _extras[package] = is_installed(package)
    return found


_extras: dict[str, bool] = {}


def require(package: str) -> None:
    """Say how to install a package that is not there."""
    if not has_extra(package):
        raise ModuleNotFoundError(
            f"No module named {package!r}; pip install 'softaxis[{package}]' installs it",
            name=package,
        )
