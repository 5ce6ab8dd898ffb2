"""Backends that are broken on purpose: which check of the kit, or the doctor, finds each."""

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest
from distributions import write_metadata

from softaxis import testing
from softaxis._dispatch import _registry
from softaxis.testing._doctor import doctor

EXAMPLES = Path(__file__).parents[1] / "plugins" / "broken-examples"

BY_THE_DOCTOR = {
    "slow_import": ("slow import", r"0\.\d s, numpy not counted; the limit is 0.3 s"),
    "crash_on_import": ("crash", "importing backend 'crash_on_import'"),
    "raises_on_import": ("broken import", "ImportError: libfast.so.7: cannot open shared object"),
    "hangs_on_import": ("hang", r"no end after [\d.]+ s, importing backend 'hangs_on_import'"),
    "exits_on_import": ("broken import", "SystemExit: 0, importing backend 'exits_on_import'"),
    "crashes_in_call": ("crash", "in the conformance kit"),
    "hangs_in_call": ("hang", "in the conformance kit"),
}
BY_THE_KIT = {
    "wrong_numbers": ("values", "gives 1.0001 instead of 1.0 "),
    "wrong_tail": ("long rows", r"rows of 1025"),
    "wrong_dtype": ("values", "returns dtype float64 instead of float32"),
    "claims_a_dtype": ("claims", "claims float16 and declines every call"),
    "claims_a_keyword": ("claims", "claims `temperature` and declines every call"),
    "claims_everything": ("claims", "declines every call"),
    "ignores_where": ("arguments", "gives .* instead of 1.0 "),
    "raises_instead": ("shapes and axes", "raises NotImplementedError: several axes"),
    "mutates_input": ("values", "argument 0 was modified"),
    "warns": ("values", "raises FloatingPointError: overflow encountered in exp"),
    "not_thread_safe": ("threads", "the bits of a row change when other threads call"),
    "depends_on_batch": ("batch", "the bits of a row change with its batch"),
}


FAIL_ELSEWHERE_TOO = {"wrong_numbers", "wrong_dtype", "mutates_input", "warns"}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put the examples on the path with the metadata that an installer writes."""
    write_metadata(EXAMPLES, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(_registry, "_scanned", [])


def test_every_example_is_published_described_and_found():
    project = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())["project"]
    published = set(project["entry-points"]["softaxis.backends.numpy"])
    described = re.findall(
        r"^\| `(\w+)` .* (doctor|kit) \|$", (EXAMPLES / "README.md").read_text(), re.MULTILINE
    )
    assert published == {name for name, _ in described}
    assert {name for name, by in described if by == "doctor"} == set(BY_THE_DOCTOR)
    assert {name for name, by in described if by == "kit"} == set(BY_THE_KIT)


@pytest.mark.parametrize("name", BY_THE_DOCTOR)
def test_the_doctor_finds_it_and_lives_on(installed, monkeypatch, name):
    monkeypatch.setenv("SOFTAXIS_BROKEN_SECONDS", "0.5")
    state, reason = BY_THE_DOCTOR[name]
    timeout = 3 if state == "hang" else 60
    [found] = doctor([name], timeout=timeout, import_limit=0.3)
    assert found.state == state
    assert re.search(reason, found.reason)
    assert found.origin == "softaxis-broken-examples 1.0"
    assert f"softaxis_broken_examples.{name}" not in sys.modules
    if name not in {"slow_import", "exits_on_import"}:
        assert any(f"{name}.py:" in line for line in found.stack)


@pytest.mark.parametrize("name", BY_THE_KIT)
def test_the_kit_finds_it_and_nothing_else(installed, name):
    check, reason = BY_THE_KIT[name]
    backend = importlib.import_module(f"softaxis_broken_examples.{name}").backend
    report = testing.check(backend, stop=name in FAIL_ELSEWHERE_TOO)
    assert not report.passed
    [failure] = report.failures
    assert failure.check == check
    assert re.search(reason, failure.reason)
    assert f"get_backend('{name}').{failure.function}(" in failure.code
    compile(failure.code, name, "exec")
