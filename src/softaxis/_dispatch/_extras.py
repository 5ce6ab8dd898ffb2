"""Which packages are installed, and how one is that an extra of softaxis brings."""

from __future__ import annotations


def is_installed(package: str) -> bool:
    """Return whether a package can be found, without importing it."""
    found = _found.get(package)
    if found is None:
        from importlib.util import find_spec

        try:
            found = find_spec(package.partition(".")[0]) is not None  # "a.b" would import a
        except (ImportError, ValueError):
            found = False
        _found[package] = found
    return found


_found: dict[str, bool] = {}


def require(package: str) -> None:
    """Say how to install a package that is not there."""
    if not is_installed(package):
        raise ModuleNotFoundError(
            f"No module named {package!r}; pip install 'softaxis[{package}]' installs it",
            name=package,
        )
