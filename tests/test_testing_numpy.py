"""The conformance kit itself: what it records, what it says, and its three ways in."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import softaxis
from softaxis._cli._main import main
from softaxis.backend import Backend, declined
from softaxis.testing import Arrays, arrays_for, check, long_row
from softaxis.testing import references as ref
from softaxis.testing._comparing import Expected, excess
from softaxis.testing._long_trials import long_trials
from softaxis.testing._recording import FILE, record


def backend(function, name="softmax", **capability):
    """Make a backend of one function, which is not installed."""
    made = Backend("trial", types=(np.ndarray,))
    made.implements(name=name, **capability)(function)
    return made


def plain(x, /, *, axis):
    """Compute softmax as it should be, for the dtypes it claims."""
    e = np.exp(x - np.where(np.isfinite(m := x.max(axis, keepdims=True)), m, 0))
    with np.errstate(all="ignore"):
        return e / e.sum(axis, keepdims=True)


def test_what_is_recorded_is_what_mpmath_says():
    assert json.loads(FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(record()))


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp"])
def test_long_rows_are_expected_to_be_what_mpmath_says(function):
    trials = [t for t in long_trials(function, "float64", few=True) if t.size < 1000]
    assert len(trials) > 10
    for trial in trials:
        x, axis = trial.arrays[0].values, trial.keywords["axis"]
        expected = getattr(ref, function)(x, axis)
        expected = expected[0] if function == "logsumexp" else expected
        high, low, _ = trial.expected[0]
        error = ref.magnitude(ref.objects(high) + ref.objects(low) - expected)
        assert (error <= 2.0**-95 * np.maximum(ref.magnitude(expected), 1e-300)).all()


def test_the_kinds_of_long_rows():
    assert long_row("last", 9).argmax() == 8
    assert long_row("equal", 3).tolist() == [1.5] * 3
    row = long_row("dominated", 100)
    assert np.sort(row)[-1] - np.sort(row)[-2] > 16
    for kind in ("mixed", "last", "equal", "dominated"):
        row = long_row(kind, 3000)
        np.testing.assert_array_equal(row, row.astype(np.float16))


def test_errors_are_counted_in_what_is_allowed():
    expected = Expected(np.array([1.0, np.nan, np.inf, 70000.0]), np.zeros(4), np.full(4, 2.0))
    actual = np.array([1 + 2.0**-9, np.nan, np.inf, np.inf], np.float16)
    assert excess(actual, expected, "float16", flushed=False).tolist() == [1.0, 0.0, 0.0, 0.0]
    wrong = np.array([np.nan, 1.0, -np.inf, 65504.0], np.float16)
    assert np.isinf(excess(wrong, expected, "float16", flushed=False)).all()


def test_a_failure_is_a_line_of_python_to_paste():
    def forgetful(x, /, *, axis):
        e = np.exp(x)
        return e / e.sum(axis, keepdims=True)

    report = check(backend(forgetful), checks=["values"])
    (failure,) = report.failures
    assert not report.passed
    assert "gives" in failure.reason or "raises" in failure.reason
    # the same line, through the array-API implementation, gives what it says should come out
    line = failure.code.replace("'trial'", "'default'")
    *setup, call = line.partition("  # ")[0].split("; ")
    names = {}
    exec("; ".join(setup), names)  # that is what the line is for
    result = eval(call, names)
    should = json.loads(line.rpartition("should be ")[2])
    np.testing.assert_allclose(np.float64(result), should, rtol=1e-2)


def test_what_is_claimed_and_never_runs_is_a_failure():
    made = backend(lambda x, /, *, axis: declined("not today"), dtypes=("float32",))
    report = check(made)
    assert not report.passed
    (failure,) = report.failures
    assert (failure.check, failure.cases) == ("claims", 1)
    assert "float32" in failure.reason
    assert "not today" in failure.reason


def test_an_empty_backend_and_one_that_implements_nothing_of_ours():
    assert not check(Backend("trial", types=(np.ndarray,))).passed
    report = check(backend(plain, "sofmax"))
    assert [one.reason for one in report.failures] == ["there is no softaxis.sofmax"]


def test_a_declared_bound_is_what_counts():
    def rough(x, /, *, axis, **arguments):
        return softaxis.get_backend("default").softmax(x, axis=axis) * (1 + 20 * 2.0**-52)

    given = {"dtypes": ("float64",)}
    checks = ["values", "long rows"]
    assert not check(backend(rough, **given), checks=checks).passed
    report = check(backend(rough, bound=8.0, **given), checks=checks)
    assert report.passed
    assert 1 < max(worst for *_, worst in report.measured) <= 8


def test_the_minimum_size_does_not_hide_a_backend():
    report = check(backend(plain, min_size=10**9, dtypes=("float64",)), checks=["shapes and axes"])
    assert report.outcomes[0].cases > 20


def test_unknown_names():
    with pytest.raises(ValueError, match="no backend is called 'nonesuch'"):
        check("nonesuch")
    with pytest.raises(ValueError, match=r"`functions` must be among .*got 'sofmax'"):
        check("numpy", functions=["sofmax"])
    with pytest.raises(ValueError, match="`checks` must be among"):
        check("numpy", checks=["speed"])


def test_arrays_of_a_library_that_the_kit_does_not_know():
    arrays = arrays_for("array_api_compat.numpy")
    assert isinstance(arrays, Arrays)
    assert arrays.to_numpy(arrays.asarray([1.0, 2.0], "float32")).dtype == np.float32
    made = Backend("trial", types=(np.ndarray,), arrays="softaxis:softmax")
    made.implements(name="softmax")(plain)
    with pytest.raises(TypeError, match=r"`arrays` of backend 'trial' must name"):
        check(made)


def test_a_report_is_plain_data():
    report = check("numpy", functions=["logsumexp"], checks=["special values", "tracing"])
    data = json.loads(json.dumps(report.as_json()))
    assert (data["backend"], data["library"], data["passed"]) == ("numpy", "numpy", True)
    assert [one["state"] for one in data["outcomes"]] == ["passed", "not run"]
    assert {one["dtype"] for one in data["measured"]} >= {"float16", "float64"}


def test_the_command(capsys, tmp_path):
    file = tmp_path / "report.json"
    arguments = ["test", "numpy", "--function", "softmax", "--check", "values"]
    assert main([*arguments, "--json", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "numpy keeps what it promises" in shown
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["passed"]
    assert main([*arguments, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"] == report["measured"]


def test_the_command_says_what_was_not_run(capsys):
    assert main(["test", "numpy", "--function", "softmax", "--check", "gradients"]) == 1
    assert "nothing was run, so nothing is proved" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonesuch"],
        ["numpy", "--function", "sofmax"],
        ["default", "--library", "nonesuch"],
        ["numpy", "--function", "softmax", "--check", "values", "--json", "/nonesuch/report.json"],
    ],
    ids=" ".join,
)
def test_bad_usage_of_the_command(capsys, arguments):
    assert main(["test", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("softaxis test: error: ")
    assert "nonesuch" in error or "sofmax" in error


def run_pytest(*arguments, **environment):
    source = str(Path(softaxis.__file__).parents[1])
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "softaxis.testing.plugin"),
            *("-p", "no:cacheprovider", "--pyargs", "softaxis.testing.conformance", *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(source).anchor,
        env={"PYTHONPATH": source, "PATH": "", **environment},
        timeout=300,
    )


def test_the_pytest_plugin():
    done = run_pytest("--softaxis-backend", "numpy", "-k", "softmax-values or softmax-tracing")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed, 2 skipped" in done.stdout  # softmax and log_softmax


def test_a_run_of_skipped_tests_is_red():
    done = run_pytest("--softaxis-backend", "numpy", "-k", "tracing")
    assert re.search(r"^[1-9]\d* skipped, \d+ deselected", done.stdout, re.MULTILINE), done.stdout
    assert done.returncode != 0


@pytest.mark.parametrize("arguments", [[], ["--softaxis-backend", "nonesuch"]])
def test_the_pytest_plugin_needs_a_backend(arguments):
    done = run_pytest(*arguments)
    assert done.returncode in {2, 4}
    assert "--softaxis-backend" in done.stdout + done.stderr
