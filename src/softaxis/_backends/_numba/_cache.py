"""Where compiled functions are kept between processes.

numba looks at one file to see whether what it kept is still right, and ours are spread over many:
so the folder's name tells all of their contents. It lies beside them, or where that cannot be
written, as in an installation for all users, in the user's own folder for such things.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import config, njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return numba's decorator for functions that are kept on disk, where there is a place."""
    folder = cache_folder()

    def decorator(function: Callable[..., Any]) -> Any:
        if folder is None:
            return njit(**options)(function)
        given, config.CACHE_DIR = config.CACHE_DIR, str(folder)
        try:
            dispatcher = njit(cache=True, **options)(function)
        finally:
            config.CACHE_DIR = given
        dispatcher._cache = _Forgiving(dispatcher._cache)  # numba offers no other way
        return dispatcher

    return decorator


class _Forgiving:
    """numba's cache of a function, which begins anew where what it kept cannot be read."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *args: Any) -> Any:
        """Return what was kept; None for nothing, or nothing of use."""
        try:
            return self._cache.load_overload(*args)
        except Exception:  # noqa: BLE001 - whatever a spoilt file raises
            self._cache.flush()
            return None

    def save_overload(self, *args: Any) -> None:
        """Keep what was compiled."""
        try:
            self._cache.save_overload(*args)
        except Exception:  # noqa: BLE001
            self._cache.flush()
            self._cache.save_overload(*args)


def cache_folder() -> Path | None:
    """Return the folder for compiled functions; None where none can be written."""
    name = f"softaxis-{_fingerprint()}"
    for place in _places():
        folder = place / name
        if _is_writable(folder):
            return folder
    return None


_NOT_COMPILED = ("_cache.py", "_engine.py", "_geometry.py", "_launch.py")


def _fingerprint() -> str:
    """Return what changes with the source of any kernel."""
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name not in _NOT_COMPILED:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _places() -> Iterator[Path]:
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR)
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
