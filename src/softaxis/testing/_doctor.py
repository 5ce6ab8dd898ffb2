"""The doctor: every backend is loaded and tried in a process of its own, under a time limit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from softaxis import BackendStatus, list_backends
from softaxis.testing._diagnosis import Diagnosis, conclude, read
from softaxis.testing._watch import watch

TIMEOUT = 120.0
IMPORT_LIMIT = 5.0


def doctor(
    names: Iterable[str] | None = None,
    *,
    timeout: float = TIMEOUT,
    import_limit: float = IMPORT_LIMIT,
) -> tuple[Diagnosis, ...]:
    """Examine backends, each in a process of its own that cannot take this one down.

    Parameters
    ----------
    names : iterable of str, optional
        Names that `softaxis.list_backends` knows; all of them by default.
    timeout : float
        Seconds for each backend, after which its process and the processes it started are ended.
    import_limit : float
        Seconds that the import of a backend may take beyond that of its array library.

    Returns
    -------
    tuple of Diagnosis
        One for each backend.

    Raises
    ------
    ValueError
        There is no backend of such a name, or a limit is not positive.

    Examples
    --------
    >>> from softaxis.testing import doctor
    >>> [found] = doctor(["numpy"])
    >>> found.healthy
    True
    """
    return tuple(examine(names, timeout=timeout, import_limit=import_limit))


def examine(
    names: Iterable[str] | None, *, timeout: float, import_limit: float
) -> Iterator[Diagnosis]:
    """Yield what `doctor` returns, one by one."""
    for name, limit in (("timeout", timeout), ("import_limit", import_limit)):
        if not limit > 0:
            raise ValueError(f"`{name}` must be a positive number of seconds, got {limit!r}")
    for status in chosen(names):
        if status.name == "default" and status.state == "ready" and find_spec("numpy") is None:
            yield Diagnosis(*status[:3], "missing", "numpy is not installed")
        elif status.state in {"missing", "blocked"}:
            yield Diagnosis(*status[:4], reason=status.reason)
        else:
            yield _examined(status, timeout, import_limit)


def chosen(names: Iterable[str] | None) -> list[BackendStatus]:
    """Return the backends of these names; none of them is loaded for that."""
    known = {status.name: status for status in list_backends()}
    if names is None:
        return list(known.values())
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in known:
            raise ValueError(f"no backend is called {name!r}; there are: {', '.join(known)}")
    return [known[name] for name in wanted]


def _examined(status: BackendStatus, timeout: float, import_limit: float) -> Diagnosis:
    with tempfile.TemporaryDirectory(prefix="softaxis-", ignore_cleanup_errors=True) as name:
        arguments = [status.name, name, str(timeout)]
        ending = watch("softaxis.testing._examination", arguments, Path(name), timeout)
        return conclude(status, read(Path(name)), ending, import_limit)
