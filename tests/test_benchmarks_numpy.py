"""What the benchmarks compute from their measurements: ratios, means, rows, names of machines."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "asv_benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


def point(function, name, dtype="float32", copy_seconds=1.0, **seconds):
    from benchmarks.grid import case
    from rounds import Point

    named = {key.replace("numba", "softaxis[numba]"): value for key, value in seconds.items()}
    return Point(function, case(name), dtype, named, {}, copy_seconds)


def test_a_ratio_is_times_as_fast():
    from goals import BETTER, ratio

    found = point("softmax", "8x10", softaxis=2.0, scipy=6.0, torch=5.0, jax=3.0)
    assert ratio(found, "softaxis", "scipy") == 3
    assert ratio(found, "softaxis", BETTER) == 1.5
    assert ratio(found, "softaxis[numba]", "scipy") is None


def test_what_is_missing_has_no_ratio():
    from goals import BETTER, ratio

    found = point("softmax", "8x10", softaxis=2.0)
    assert ratio(found, "softaxis", "scipy") is None
    assert ratio(found, "softaxis", BETTER) is None


def test_the_share_of_copy_speed_counts_bytes():
    from goals import COPY, ratio

    written = point("softmax out=", "4096x1024", numba=2.0, copy_seconds=1.0)
    assert ratio(written, "softaxis[numba]", COPY) == 0.5
    reduced = point("logsumexp", "4096x1024", numba=1.0, copy_seconds=2.0)
    assert ratio(reduced, "softaxis[numba]", COPY) == pytest.approx(1 + 1 / 1024)


def test_figures_are_geometric_means_and_worst_points():
    from goals import Goal, figures

    points = [
        point("softmax", "8x10", numba=1.0, scipy=0.5),
        point("softmax", "4096x1024", numba=1.0, scipy=8.0),
        point("logsumexp", "4096x1024", numba=1.0, scipy=99.0),
    ]
    goal = Goal("softaxis[numba]", "scipy", ("softmax",), mean=2, worst=1)
    (figure,) = figures(points, [goal])
    assert figure.mean == pytest.approx(2)
    assert (figure.worst, figure.where, figure.points) == (0.5, points[0], 2)
    assert not figure.met
    (figure,) = figures(points, [goal._replace(nbytes=10**6)])
    assert (figure.worst, figure.points, figure.met) == (8, 1, True)


def test_a_goal_without_points_is_said_to_have_none():
    from goals import Goal, figures

    goal = Goal("softaxis[numba]", "scipy", ("softmax", "logsumexp"), mean=10)
    assert [found.functions for found in figures([], [goal])] == [("softmax",), ("logsumexp",)]


def test_every_contestant_has_a_row_and_what_is_missing_says_why(tmp_path):
    import report
    from benchmarks.grid import CONTESTANTS

    found = point("logsumexp", "1000x4096@0", "float64", softaxis=0.5, copy_seconds=2.0)
    found.missing["jax"] = "not installed"
    report.save(tmp_path / "grid.json", [found], {"memory": []})
    saved = json.loads((tmp_path / "grid.json").read_text())
    rows = {row["contestant"]: row for row in saved["rows"]}
    assert list(rows) == list(CONTESTANTS)
    assert rows["softaxis"]["seconds"] == 0.5
    assert (rows["jax"]["seconds"], rows["jax"]["missing"]) == (None, "not installed")
    assert (rows["softaxis"]["shape"], rows["softaxis"]["axis"]) == ([1000, 4096], 0)
    assert rows["softaxis"]["bytes_read"] == 1000 * 4096 * 8
    assert rows["softaxis"]["bytes_written"] == 4096 * 8
    assert saved["versions"]["numpy"] == np.__version__


def test_a_second_run_replaces_its_points_and_keeps_the_others(tmp_path):
    import report
    from benchmarks.grid import CONTESTANTS

    file = tmp_path / "grid.json"
    first = [point("softmax", name, softaxis=1.0) for name in ("8x10", "4096x1024")]
    report.save(file, first, {"memory": ["kept"]})
    report.save(file, [point("softmax", "8x10", softaxis=2.0)], {})
    saved = json.loads(file.read_text())
    found = {tuple(row["shape"]): row["seconds"] for row in saved["rows"] if row["seconds"]}
    assert found == {(8, 10): 2.0, (4096, 1024): 1.0}
    assert len(saved["rows"]) == 2 * len(CONTESTANTS)
    assert saved["memory"] == ["kept"]
    file.write_text(json.dumps(saved | {"machine": "another"}))
    report.save(file, first[:1], {})
    assert len(json.loads(file.read_text())["rows"]) == len(CONTESTANTS)


CPUINFO = "vendor_id : {}\nflags : fpu {}\n\nvendor_id : other\nflags : none\n"


@pytest.mark.parametrize(
    ("vendor", "flags", "ending"),
    [
        ("AuthenticAMD", "avx2 avx512f", "amd-avx512"),
        ("GenuineIntel", "sse2 avx2", "intel-avx2"),
        ("GenuineIntel", "sse2", "intel"),
    ],
)
def test_a_machine_is_named_by_its_class(vendor, flags, ending):
    from machine import machine_class

    name = machine_class(CPUINFO.format(vendor, flags))
    assert re.fullmatch(rf"\d+-core-{ending}", name)


def test_what_others_take_is_told_from_what_we_take(monkeypatch):
    import machine

    ticks, own = [[0, 0, 0, 0, 0], [600, 0, 100, 1200, 100]], [0.0, 5.0]
    monkeypatch.setattr(machine, "_ticks", lambda: ticks.pop(0))
    monkeypatch.setattr(machine, "_own_seconds", lambda: own.pop(0))
    monkeypatch.setattr(machine.os, "sysconf", lambda _: 100)
    assert machine.Watch().others() == pytest.approx((700 - 500) / 2000)


def test_one_processor_of_every_core_comes_first(monkeypatch, tmp_path):
    from benchmarks import threads

    monkeypatch.setattr(threads, "TOPOLOGY", str(tmp_path / "{}"))
    for processor, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        (tmp_path / str(processor)).write_text(siblings)
    assert threads.cores({0, 1, 2, 3}) == [0, 1, 2, 3]
    assert threads.cores({0, 2, 3}) == [0, 3, 2]


def test_what_warms_up_is_a_part_with_the_same_axes():
    from benchmarks.grid import CASES
    from benchmarks.memory import PART, part

    for case in CASES:
        smaller = part(case)
        assert smaller.axis == case.axis
        assert smaller.size <= max(min(case.size, 2 * PART), 1)
        assert all(a <= b for a, b in zip(smaller.shape, case.shape, strict=True))


def test_errors_are_counted_in_eps():
    pytest.importorskip("mpmath")
    from benchmarks.accuracy import max_eps, operands

    on = operands("softmax", "normal", "float32")
    wide = np.exp(on.x.astype("longdouble"))
    exact = (wide / wide.sum(axis=-1, keepdims=True)).astype("float32")
    assert max_eps("softmax", on, exact) <= 0.5
    exact[3, 5] *= np.float32(1 + 2**-20)
    assert 7.5 <= max_eps("softmax", on, exact) <= 8.5


def test_a_page_that_asks_for_more_than_is_carried_is_refused():
    import publish

    with pytest.raises(FileNotFoundError, match=r"https://cdn\.example/new\.min\.js.*vendor"):
        publish.localize('<script src="https://cdn.example/new.min.js" integrity="x"></script>')


def test_the_table_names_who_is_missing(tmp_path):
    """The command runs without SciPy, PyTorch, JAX and numba, and says so."""
    blocked = tmp_path / "sitecustomize.py"
    blocked.write_text(
        "import sys\n"
        "for name in ('scipy', 'torch', 'jax', 'numba'):\n"
        "    sys.modules[name] = None\n"
    )
    command = [sys.executable, FOLDER / "bench.py", "--grid-only", "--cases", "8x10"]
    options = ["--functions", "softmax", "--dtypes", "float32", "--seconds", "0"]
    environment = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[1] / 'src'}"}
    done = subprocess.run(
        [*command, *options], env=environment, check=True, capture_output=True, text=True
    )
    for name in ("scipy", "torch", "jax", "softaxis[numba]"):
        assert f"{name}: not installed" in done.stdout
