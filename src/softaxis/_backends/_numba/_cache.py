"""Where machine code is kept between processes.

The name of the folder tells what the code was made from: the source of every kernel, numba, and
the processor. It lies beside them, or where that cannot be written, as in an installation for all
users, in the user's own folder for such things.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import llvmlite
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name

from softaxis._backends._numba._layout import HEADER

_DIGEST = 32
"""Bytes that a file begins with: the SHA-256 of the others."""


def kept(name: str) -> bytes | None:
    """Return the code that is kept under a name; None for nothing, or nothing of use.

    A folder that cannot be written may hold what its owner has compiled; the first one that can
    is where what is missing will be kept, and the last one that counts.
    """
    for folder in _folders():
        with suppress(OSError):
            content = (folder / name).read_bytes()
            code = content[_DIGEST:]
            if sha256(code).digest() == content[:_DIGEST]:
                return code
        if _is_writable(folder):
            break
    return None


def keep(name: str, code: bytes) -> None:
    """Keep code under a name, where there is a place; all at once, for others may be reading."""
    folder = cache_folder()
    if folder is None:
        return
    with suppress(OSError):  # a full disk costs the next process some seconds, no more
        handle, path = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(sha256(code).digest() + code)
            Path(path).replace(folder / name)
        except OSError:
            Path(path).unlink()
            raise


def cache_folder() -> Path | None:
    """Return the folder for new code; None where none can be written."""
    return next(filter(_is_writable, _folders()), None)


def _folders() -> Iterator[Path]:
    for place in _places():
        yield place / f"softaxis-{fingerprint()}"


_NOT_COMPILED = (
    "_cache.py",
    "_engine.py",
    "_geometry.py",
    "_launch.py",
    "_machine.py",
    "_team.py",
)


@cache
def fingerprint() -> str:
    """Return what changes with everything that the code depends on."""
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name not in _NOT_COMPILED:
            digest.update(path.name.encode() + path.read_bytes())
    digest.update(_version_of_numba())
    target = (
        llvmlite.__version__,
        sys.implementation.cache_tag,
        sys.platform,
        HEADER,
        os.environ.get("NUMBA_CPU_NAME") or get_host_cpu_name(),
        os.environ.get("NUMBA_CPU_FEATURES") or get_host_cpu_features().flatten(),
    )
    digest.update(repr(target).encode())
    return digest.hexdigest()[:16]


def _version_of_numba() -> bytes:
    """Return what tells numba's version; to import it takes longer than all the rest."""
    numba = find_spec("numba")
    if numba is None or numba.origin is None:
        return b""
    return Path(numba.origin).with_name("_version.py").read_bytes()


def _places() -> Iterator[Path]:
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        yield Path(named)
    yield Path(__file__).parent / "__pycache__"
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    yield Path(base).expanduser() / "softaxis"


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
