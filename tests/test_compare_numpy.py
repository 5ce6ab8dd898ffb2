"""`softaxis.compare` and `softaxis compare`: rows, errors, special values, JSON, files, plots."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import softaxis
from softaxis._cli._main import main
from softaxis.testing import references as ref
from softaxis.testing._comparison import COMPARED, compare
from softaxis.testing._comparison.errors import count_error, sample_of
from softaxis.testing._comparison.functions import truth_of
from softaxis.testing._comparison.probes import judged
from softaxis.testing._comparison.problem import posed
from softaxis.testing._comparison.special import PROBES, answers

scipy = pytest.importorskip("scipy")

QUICK = {"rounds": 1, "seconds": 0.0, "libraries": ["numpy"]}


def outcome(found, name, probe):
    """Look one special value up."""
    (row,) = [row for row in found.rows if row.name == name]
    (one,) = [one for one in row.special if one.probe == probe]
    return one


@pytest.fixture(scope="module")
def softmax():
    return compare("softmax", shape=(40, 30), **QUICK)


@pytest.fixture(scope="module")
def log_softmax():
    return compare("log_softmax", [[0.0, -20.0, -30.0]] * 4, dtype="float32", **QUICK)


def test_the_rows(softmax):
    names = [row.name for row in softmax.rows if row.backend in {None, "default", "numpy"}]
    assert names == ["softaxis default (numpy)", "softaxis numpy", "scipy.special.softmax"]
    for row in softmax.rows:
        assert row.state == "ran"
        assert row.seconds > 0
        assert row.memory is None or row.memory >= 0
        assert 0 <= row.error.eps < row.error.bound
        assert not row.error.above
    (scipys,) = [row for row in softmax.rows if row.backend is None]
    for row in softmax.rows:
        assert row.ratio == pytest.approx(row.seconds / scipys.seconds)


@pytest.mark.parametrize("function", COMPARED)
def test_every_function(function):
    found = compare(function, shape=(6, 5), **QUICK)
    ours = [row for row in found.rows if row.backend in {"default", "numpy"}]
    assert ours
    for row in ours:
        assert row.state == "ran", row.reason
        assert not row.error.above
        assert len(row.special) == len(PROBES[function])
        assert [str(one) for one in row.special if one.verdict != "right"] == []


def test_functions_go_by_name_or_object():
    by_object = compare(softaxis.softmin, [1.0, 2.0], **QUICK)
    assert by_object.function == "softmin"
    assert by_object.dtype == "float64"
    assert by_object.shape == (2,)


def test_the_table(softmax):
    page = str(softmax)
    assert page.startswith("softmax of random normal numbers, 40 x 30, float32, axis 1\n")
    for row in softmax.rows:
        assert row.name in page
    for label in ("time, ms", "ratio", "memory, MB", "error, eps", "uint8 [1, 2, 200]"):
        assert label in page
    assert "WRONG    scipy.special.softmax: gives NaN, should be 0.09" in page.replace("\n", " ")


def test_a_busy_machine_is_told(softmax):
    quiet, busy = replace(softmax, load=0.9), replace(softmax, load=2.5)
    assert "The machine was busy: 2.5 processes for each processor" in str(busy)
    assert "busy" not in str(quiet)
    assert busy.as_json()["load"] == 2.5


# Special values: SciPy's answers are looked at as they are now.


def test_bytes(softmax):
    x = np.array([1, 2, 3], np.uint8)
    with np.errstate(all="ignore"):
        assert np.isnan(scipy.special.softmax(x)).any()
    wrong = outcome(softmax, "scipy.special.softmax", "uint8 [1, 2, 3]")
    assert str(wrong) == "WRONG: gives NaN, should be 0.09"
    for name in ("softaxis default (numpy)", "softaxis numpy"):
        assert str(outcome(softmax, name, "uint8 [1, 2, 3]")) == "right"


def test_many_equal_terms(softmax):
    with np.errstate(all="ignore"):
        assert scipy.special.softmax(np.zeros(70_000, np.float16))[0] == 0
    wrong = outcome(softmax, "scipy.special.softmax", "70000 equal float16")
    assert str(wrong) == "WRONG: gives 0, should be 1.43e-05"


def test_next_to_certainty(log_softmax):
    assert scipy.special.log_softmax(np.array([0, -20], np.float32))[0] == 0
    wrong = outcome(log_softmax, "scipy.special.log_softmax", "float32 [0, -20]")
    assert str(wrong) == "WRONG: gives 0, should be -2.06e-09"
    assert wrong.expected == pytest.approx(float(ref.log_softmax(np.array([0.0, -20.0]))[0]))
    assert str(outcome(log_softmax, "softaxis numpy", "float32 [0, -20]")) == "right"


def test_what_scipy_has_not(softmax):
    assert outcome(softmax, "scipy.special.softmax", "a row masked entirely").verdict == "n/a"
    assert outcome(softmax, "scipy.special.softmax", "gradient of that row").verdict == "n/a"
    assert outcome(softmax, "softaxis numpy", "gradient of that row").verdict == "right"


def test_the_expected_special_values():
    expected = {probe.label: values for probe, values in answers("logsumexp")}
    assert expected["float64 [0, -40]"] == pytest.approx(np.log1p(np.exp(-40.0)), rel=1e-15)
    assert expected["70000 equal float16"] == pytest.approx(np.log(70_000))
    assert expected["gradient of that row"].tolist() == [0, 0, 0]
    expected = {probe.label: values for probe, values in answers("cross_entropy")}
    assert expected["[1e8, 1e8], label 0"] == pytest.approx(np.log(2))
    assert expected["gradient of a masked row"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("actual", "verdict"),
    [
        ([1.0, 2.0], "right"),
        ([1.0, 2.019], "right"),
        ([1.0, 2.03], "WRONG"),
        ([1, np.nan], "WRONG"),
    ],
)
def test_the_verdict(actual, verdict):
    probe = PROBES["softmax"][0]
    found = judged(probe, np.asarray(actual, np.float32), "float32", np.array([1.0, 2.0]))
    assert found.verdict == verdict
    if verdict == "WRONG":
        assert found.expected == 2


# Errors.


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("off", [0, 3, 1000])
def test_errors_are_counted_in_eps(dtype, off):
    x = np.zeros((1, 4), dtype)
    actual = np.full((1, 4), 0.25, dtype)
    actual[0, 2] += off * ref.EPS[dtype] / 4
    error = count_error(actual, dtype, truth_of("softmax", x))
    assert error.eps == pytest.approx(off)
    assert error.bound == 4
    assert error.above == (off > 4)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_is_off_by_infinity(wrong):
    error = count_error(np.array([wrong]), "float64", truth_of("logsumexp", np.zeros((1, 3))))
    assert (error.eps, error.above) == (np.inf, True)
    spoilt = truth_of("softmax", np.full((1, 2), -np.inf))
    assert count_error(np.full((1, 2), np.nan), "float64", spoilt).eps == 0
    assert count_error(np.full((1, 2), 0.5), "float64", spoilt).eps == np.inf


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp"])
def test_errors_agree_with_the_references(function):
    x = np.random.default_rng(1).standard_normal((5, 7, 3)) * 9
    found = compare(function, x, axis=1, **QUICK)
    result = getattr(scipy.special, function)(x, axis=1)
    expected = getattr(ref, function)(x, axis=1)
    if function == "logsumexp":
        expected = expected[0]
        scale = np.maximum(np.maximum(ref.magnitude(expected), np.abs(x.max(axis=1))), 1)
    else:
        scale = ref.magnitude(expected)
    worst = (
        max((ref.magnitude(ref.objects(result) - expected) / scale).ravel()) / ref.EPS["float64"]
    )
    (row,) = [row for row in found.rows if row.backend is None]
    assert row.error.eps == pytest.approx(float(worst))
    assert found.sampled == found.of_rows == 15


def test_an_error_above_the_bound_is_marked(log_softmax):
    (row,) = [row for row in log_softmax.rows if row.backend is None]
    assert row.error.above
    assert row.error.eps == pytest.approx(1 / ref.EPS["float32"], rel=0.01)  # it gives 0
    page = str(log_softmax)
    assert "8.4e+06 !" in page
    assert "! above the documented bound" in page.replace("\n  ", "")


def test_rows_are_sampled_evenly():
    sample = sample_of(posed("softmax", None, (500, 100), "float32", -1, 0))
    assert len(sample.places) == 100
    assert sample.places[0] == 0
    assert sample.places[-1] == 499
    assert set(np.diff(sample.places)) <= {5, 6}
    assert sample.truth.expected.shape == (100, 100)


def test_a_row_too_long_for_mpmath():
    found = compare("sigmoid", np.zeros(200_001, np.float32), **QUICK)
    assert all(row.error is None and row.state == "ran" for row in found.rows)
    assert "not measured, for a row is too long" in str(found).replace("\n  ", "")


def test_bfloat16_is_rounded_to_nearest():
    x = [1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8, 1.0 + 2**-7, -3.14159, np.inf]
    values = posed("softmax", x, None, "bfloat16", -1, 0).x
    assert values.tolist() == [1.0, 1.0, 1.0 + 2**-6, 1.0 + 2**-7, -3.140625, np.inf]


def test_the_input_stays_as_it_is():
    x = np.random.default_rng(0).standard_normal((3, 4))
    before = x.copy()
    compare("logsumexp", x, **QUICK)
    np.testing.assert_array_equal(x, before)


# Who takes part.


def test_what_is_not_installed_is_a_row(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    found = compare("softmax", [1.0, 2.0], **{**QUICK, "libraries": ["numpy", "cupy"]})
    states = {row.name: (row.state, row.reason) for row in found.rows}
    assert states["cupy"] == ("missing", "cupy is not installed")
    assert states["scipy"][0] == "broken"
    assert states["softaxis numpy"] == ("ran", "")
    assert all(row.ratio is None for row in found.rows)
    assert "cupy is not installed" in str(found)


def test_a_native_function_that_refuses_is_a_row(monkeypatch):
    def refuse(x, axis):
        raise TypeError("not today")

    monkeypatch.setattr(scipy.special, "softmax", refuse)
    found = compare("softmax", [1.0, 2.0], **QUICK)
    (row,) = [row for row in found.rows if row.backend is None]
    assert (row.state, row.reason) == ("refuses", "TypeError: not today")
    assert row.seconds is row.ratio is row.error is None
    assert str(row.special[0]) == "refuses (TypeError)"
    assert all(row.state == "ran" for row in found.rows if row.backend is not None)


def test_a_backend_that_declines_is_a_row():
    found = compare("logsumexp", np.ones((2, 3, 4)), axis=(0, 2), **QUICK)
    rows = {row.backend: row for row in found.rows}
    assert rows["numpy"].state == "declines"
    assert rows["numpy"].reason.startswith("takes neighbouring axes")
    assert rows["default"].state == "ran"


def test_a_call_that_breaks_while_it_is_timed_is_a_row(monkeypatch):
    calls = []

    def tire(x, axis):
        calls.append(x)
        if len(calls) > 6:
            raise RuntimeError("tired")
        return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)

    monkeypatch.setattr(scipy.special, "softmax", tire)
    monkeypatch.setattr("softaxis.testing._comparison.comparison.answers", lambda function: [])
    found = compare("softmax", [1.0, 2.0], **QUICK)
    (row,) = [row for row in found.rows if row.backend is None]
    assert (row.state, row.reason) == ("broken", "RuntimeError: tired")
    assert all(row.seconds for row in found.rows if row.backend is not None)


def test_other_libraries_are_not_imported():
    code = (
        "import sys, softaxis.testing._comparison as c\n"
        "c.compare('sigmoid', [1.0], libraries=['numpy'], rounds=1)\n"
        "assert not {'torch', 'jax', 'dask', 'cupy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


PLUGIN = """
import numpy as np
from softaxis.backend import Backend

raising = Backend("raising", types=(np.ndarray,))
wrong = Backend("wrong", types=(np.ndarray,))
shapeless = Backend("shapeless", types=(np.ndarray,))

@raising.implements
def softmax(x, /, *, axis):
    raise RuntimeError("no such luck\\nsecond line")

@wrong.implements
def softmax(x, /, *, axis):
    return np.full_like(x, 0.25, dtype=np.float32)

@shapeless.implements
def softmax(x, /, *, axis):
    return x[..., :1] * 0
"""


def test_broken_backends_are_rows(tmp_path):
    (tmp_path / "compared_plugin.py").write_text(PLUGIN)
    info = tmp_path / "compared_plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: compared-plugin\nVersion: 1\n")
    names = ("raising", "wrong", "shapeless")
    lines = [f"{name} = compared_plugin:{name}" for name in names]
    lines.append("unimportable = compared_nowhere:backend")
    text = "\n".join(["[softaxis.backends.numpy]", *lines])
    (info / "entry_points.txt").write_text(text)
    arguments = ["compare", "softmax", "--shape", "3", "4", "--libraries", "numpy", "--json", "-"]
    folders = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "softaxis", *arguments, "--seconds", "0", "--rounds", "1"],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
    )
    assert done.returncode == 0, done.stderr
    rows = {row["backend"]: row for row in json.loads(done.stdout)["contestants"]}
    assert rows["raising"]["state"] == "refuses"
    assert rows["raising"]["reason"] == "RuntimeError: no such luck"
    special = rows["raising"]["special"]["uint8 [1, 2, 3]"]
    assert special["text"] in {"refuses (RuntimeError)", "right"}
    assert rows["wrong"]["error"]["above"]
    assert rows["shapeless"]["reason"] == "ValueError: gives shape (3, 1), should be (3, 4)"
    assert rows["unimportable"]["state"] == "broken"
    assert "compared_nowhere" in rows["unimportable"]["reason"]
    assert rows["default"]["state"] == rows["numpy"]["state"] == "ran"


# JSON and the command line.


def run(capsys, *arguments):
    """Run the command line here; return its exit status and what it wrote."""
    quick = ["--rounds", "1", "--seconds", "0", "--libraries", "numpy"]
    status = main(["compare", *map(str, arguments), *quick])
    return status, *capsys.readouterr()


def test_json(softmax):
    found = json.loads(json.dumps(softmax.as_json(), allow_nan=False))
    assert found["function"] == "softmax"
    assert found["shape"] == [40, 30]
    assert found["axis"] == 1
    assert found["rows"] == found["sampled_rows"] == 40
    assert {"numpy", "scipy", "mpmath"} <= set(found["versions"])
    rows = {row["name"]: row for row in found["contestants"]}
    scipys = rows["scipy.special.softmax"]
    assert {"seconds", "ratio", "memory", "error", "special", "state", "reason"} <= set(scipys)
    assert set(scipys["error"]) == {"eps", "bound", "above"}
    special = scipys["special"]["uint8 [1, 2, 3]"]
    assert special["verdict"] == "WRONG"
    assert special["gives"] == "nan"
    assert special["text"] == "WRONG: gives NaN, should be 0.09"


def test_the_command(capsys):
    status, out, _ = run(capsys, "softmax", "--shape", 5, 6, "--dtype", "float64", "--axis", -2)
    assert status == 0
    assert out.startswith("softmax of random normal numbers, 5 x 6, float64, axis 0\n")
    assert "scipy.special.softmax" in out


@pytest.mark.parametrize(("text", "axis"), [("none", [0, 1]), ("0 1", [0, 1]), ("1", 1)])
def test_the_axis(capsys, text, axis):
    options = ["logsumexp", "--shape", 2, 3, "--axis", *text.split(), "--json", "-"]
    status, out, _ = run(capsys, *options)
    assert status == 0
    assert json.loads(out)["axis"] == axis


def test_json_to_a_file(capsys, tmp_path):
    path = tmp_path / "found.json"
    status, out, _ = run(capsys, "sigmoid", "--shape", 3, "--json", path)
    assert status == 0
    assert out.endswith(f"The JSON is in {path}\n")
    assert json.loads(path.read_text())["function"] == "sigmoid"


def save(path, x):
    """Write an array in the format that the name tells."""
    match path.suffix:
        case ".npy":
            np.save(path, x)
        case ".npz":
            np.savez(path, logits=x)
        case ".csv":
            np.savetxt(path, x, delimiter=",")
        case ".txt":
            np.savetxt(path, x)


@pytest.mark.parametrize("ending", ["npy", "npz", "csv", "txt"])
def test_files(capsys, tmp_path, ending):
    path = tmp_path / f"logits.{ending}"
    save(path, np.array([[0.0, -20.0], [3.0, 1.0]], np.float32))
    status, out, _ = run(capsys, "log_softmax", path, "--json", "-")
    assert status == 0
    found = json.loads(out)
    assert found["shape"] == [2, 2]
    assert found["dtype"] == ("float32" if ending in {"npy", "npz"} else "float64")
    assert found["source"] == "the array given"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["softmux"], "`function` must be one of softmax, log_softmax"),
        (["softmax_vjp"], "`function` must be one of softmax, log_softmax"),
        (["softmax", "--shape", "3", "x"], "`--shape` must be integers, got 'x'"),
        (["softmax", "--shape", "3", "-4"], "`shape` must be integers of 0 or more"),
        (["softmax", "--shape", "0"], "at least one element"),
        (["softmax", "--dtype", "float31"], "`dtype` must be one of bool, int8"),
        (["softmax", "--shape", "3", "--axis", "4"], "`axis` 4 is out of bounds"),
        (["softmax", "--axis", "one"], "`--axis` must be integers, got 'one'"),
        (["cross_entropy", "--shape", "2", "3", "--axis", "none"], "`axis` must be a single one"),
        (["softmax", "--seed", "-1"], "`--seed` must be 0 or more"),
        (["softmax", "nowhere.npy"], "cannot read nowhere.npy: No such file"),
        (["softmax", "logits.mat"], "`file` must end in .npy, .npz, .csv or .txt"),
        (["softmax", "logits.npy", "--shape", "3"], "give a file or `--shape`, not both"),
        (["softmax", "--plot", "plot.jpg"], "must end in .png"),
        (["softmax", "--json", "nowhere/found.json"], "`--json` cannot write"),
    ],
)
def test_bad_arguments(capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert not out
    assert err.startswith("softaxis compare: error: ")
    assert message in err


def test_bad_rounds_seconds_and_libraries(capsys):
    for option, value in (("--rounds", "0"), ("--seconds", "x"), ("--libraries", "nonesuch")):
        assert main(["compare", "softmax", "--shape", "2", option, value]) == 2
        assert f"`{option[2:]}`" in capsys.readouterr().err.replace("`--", "`")


def test_files_that_hold_no_numbers(capsys, tmp_path):
    words = tmp_path / "words.csv"
    words.write_text("a,b\nc,d\n")
    status, _, err = run(capsys, "softmax", words)
    assert status == 2
    assert "as numbers" in err
    two = tmp_path / "two.npz"
    np.savez(two, a=np.ones(2), b=np.ones(2))
    status, _, err = run(capsys, "softmax", two)
    assert status == 2
    assert "must hold one array, it has: a, b" in err
    broken = tmp_path / "broken.npy"
    broken.write_bytes(b"not an array")
    assert run(capsys, "softmax", broken)[0] == 2
    save(tmp_path / "complex.npy", np.ones(3, complex))
    status, _, err = run(capsys, "softmax", tmp_path / "complex.npy")
    assert status == 2
    assert "`x` must hold real numbers, got dtype complex128" in err


@pytest.mark.parametrize("package", ["numpy", "mpmath"])
def test_without_the_packages(package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from softaxis.__main__ import main; sys.exit(main(['compare', 'softmax']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 2
    assert f"`compare` needs {package}" in done.stderr
    assert 'python -m pip install "softaxis[test]"' in done.stderr


def test_without_mpmath_in_python():
    code = (
        "import sys; sys.modules['mpmath'] = None\n"
        "try:\n    import softaxis.testing._comparison\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert 'python -m pip install "softaxis[test]"' in done.stdout


# The picture.


def test_the_plot_without_matplotlib(softmax, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"the plot needs matplotlib .* \"softaxis\[cli\]\""):
        softmax.plot(tmp_path / "compare.png")


def test_the_plot(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "compare.png"
    status, out, _ = run(capsys, "log_softmax", "--shape", 4, 5, "--plot", path)
    assert status == 0
    assert out.endswith(f"\nThe plot is in {path}\n")
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_what_the_plot_shows(log_softmax):
    pytest.importorskip("matplotlib")
    from softaxis.testing._comparison.plots import LIGHT, draw

    times, errors, special = draw(log_softmax).axes
    names = [label.get_text() for label in times.get_yticklabels()]
    assert names == [row.name for row in log_softmax.rows]
    assert len(times.patches) == len(errors.patches) == len(names)
    hatched = [bool(bar.get_hatch()) for bar in errors.patches]
    assert hatched == [row.error.above for row in log_softmax.rows]
    marks = [10 ** line.get_xdata()[0] for line in errors.lines]
    assert marks == pytest.approx([row.error.bound for row in log_softmax.rows])
    verdicts = [one.verdict for row in log_softmax.rows for one in row.special]
    assert len(special.patches) == len(verdicts)
    from matplotlib.colors import to_hex

    wrong = [to_hex(cell.get_facecolor()).upper() == LIGHT["wrong"] for cell in special.patches]
    assert wrong == [verdict == "WRONG" for verdict in verdicts]
