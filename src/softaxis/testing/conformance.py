"""The conformance kit as tests; see `softaxis.testing.plugin`."""

from __future__ import annotations

import pytest

from softaxis.testing._run import outcomes
from softaxis.testing._subject import Subject


def test_conformance(
    softaxis_subject: Subject, softaxis_function: str, softaxis_check: str
) -> None:
    """One check on one function of the backend."""
    (found,) = outcomes(softaxis_subject, [softaxis_function], [softaxis_check])
    if found.state == "failed":
        pytest.fail(f"{found.reason}\n\n{found.code}", pytrace=False)
    if found.state == "not run":
        pytest.skip(found.reason)
