"""Validate the docstring of every public name against numpydoc, by the checks in pyproject.toml."""

import importlib
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

from numpydoc.validate import ERROR_MSGS, validate

PUBLIC_MODULES = ("softaxis", "softaxis.backend", "softaxis.compat.scipy", "softaxis.testing")
# Importing these imports an array library, which the session "docs" installs and "lint" does not.
NEED_A_LIBRARY = {"softaxis.torch.nn": "torch"}


def chosen_checks():
    """Return the codes to look for: all but those that the table names after "all"."""
    pyproject = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    everything, *ignored = pyproject["tool"]["numpydoc_validation"]["checks"]
    assert everything == "all"
    return ERROR_MSGS.keys() - set(ignored)


def checked_modules():
    """Return the modules to look at, and say which one cannot be imported here."""
    missing = [name for name, library in NEED_A_LIBRARY.items() if find_spec(library) is None]
    for name in missing:
        print(f"{name}: NOT CHECKED, for {NEED_A_LIBRARY[name]} is not installed")
    return [*PUBLIC_MODULES, *(NEED_A_LIBRARY.keys() - missing)]


def complaints(checks):
    """Yield one line for each fault."""
    for module in checked_modules():
        for name in importlib.import_module(module).__all__:
            if name.startswith("_"):  # __version__
                continue
            path = f"{module}.{name}"
            for code, message in validate(path)["errors"]:
                if code in checks:
                    yield f"{path}: {code} {message}"


if __name__ == "__main__":
    faults = list(complaints(chosen_checks()))
    print(*faults, f"{len(faults)} faults in the public docstrings", sep="\n")
    sys.exit(bool(faults))
