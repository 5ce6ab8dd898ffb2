"""A pytest plugin: the conformance kit, one test for each function and check.

``pytest -p softaxis.testing.plugin --pyargs softaxis.testing.conformance --softaxis-backend NAME``
"""

from __future__ import annotations

from typing import Any

import pytest

from softaxis._dispatch._tables import tables
from softaxis.testing._checks import CHECKS
from softaxis.testing._run import ON_REQUEST
from softaxis.testing._subject import Subject

SUBJECT: pytest.StashKey[Subject] = pytest.StashKey()


def pytest_addoption(parser: Any) -> None:
    """Add the options."""
    group = parser.getgroup("softaxis")
    group.addoption("--softaxis-backend", metavar="NAME", help="the backend to test")
    group.addoption("--softaxis-library", metavar="L", help="whose arrays, for `default`")
    group.addoption("--softaxis-device", metavar="D", help="where arrays are made")
    group.addoption("--softaxis-large", action="store_true", help="try 2**31 elements as well")


def pytest_configure(config: Any) -> None:
    """Load the backend."""
    name = config.getoption("--softaxis-backend")
    if name is None:
        return
    library, device = config.getoption("--softaxis-library"), config.getoption("--softaxis-device")
    try:
        config.stash[SUBJECT] = Subject(name, library, device)
    except (ValueError, RuntimeError, ImportError) as error:
        raise pytest.UsageError(f"--softaxis-backend {name}: {error}") from error


@pytest.fixture(scope="session")
def softaxis_subject(request: Any) -> Any:
    """Return the backend under test."""
    return request.config.stash[SUBJECT]


def pytest_generate_tests(metafunc: Any) -> None:
    """Make a test of each function and check."""
    if "softaxis_check" not in metafunc.fixturenames:
        return
    if SUBJECT not in metafunc.config.stash:
        raise pytest.UsageError("--softaxis-backend NAME must say which backend is tested")
    subject = metafunc.config.stash[SUBJECT]
    large = metafunc.config.getoption("--softaxis-large")
    pairs = [
        (function, check)
        for function in subject.implementations
        for check in CHECKS
        if (large or check != ON_REQUEST) and (function in tables or check == "claims")
    ]
    ids = [f"{function}-{check.replace(' ', '-')}" for function, check in pairs]
    metafunc.parametrize(("softaxis_function", "softaxis_check"), pairs, ids=ids)


def pytest_runtest_logreport(report: Any) -> None:
    """Count what was executed and passed."""
    if report.when == "call" and report.passed and "softaxis/testing/conformance" in report.nodeid:
        _passed.append(report.nodeid)


_passed: list[str] = []


def pytest_sessionfinish(session: Any, exitstatus: int) -> None:
    """Turn a run red in which nothing was executed: it proves nothing."""
    if SUBJECT in session.config.stash and exitstatus == 0 and not _passed:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
