"""The backend against the conformance kit."""

from softaxis.testing import check


def test_it_conforms():
    report = check("example")
    assert report.passed, "\n".join(f"{one.reason}\n{one.code}" for one in report.failures)
    assert {one.function for one in report.outcomes} >= {"softmax", "log_softmax", "logsumexp"}
