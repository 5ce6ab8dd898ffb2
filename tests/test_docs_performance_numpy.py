"""What docs/performance.md derives from the recorded results, and what it says without them."""

import json
import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NUMBA = "softaxis[numba]"


@pytest.fixture(autouse=True)
def results(monkeypatch, tmp_path):
    """Return an empty folder of results, which the page is made from."""
    for folder in (ROOT / "asv_benchmarks", ROOT / "docs" / "_ext"):
        monkeypatch.syspath_prepend(folder)
    import speeds

    monkeypatch.setattr(speeds, "RESULTS", tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):  # names that another test may import afresh
        if str(ROOT / "docs") in str(getattr(module, "__file__", "")):
            del sys.modules[name]


def row(contestant, seconds, shape=(4096, 1024), missing=None, **given):
    case = {"function": "softmax", "axis": -1, "dtype": "float32", "copy_seconds": 1e-3} | given
    of = {"shape": shape, "contestant": contestant, "seconds": seconds, "missing": missing}
    return case | of


def write(folder, name, **content):
    versions = {"versions": {"softaxis": "0"}, "machine": "2-core", "date": "2026-01-01"}
    (folder / f"{name}.json").write_text(json.dumps(versions | content), encoding="utf-8")


def test_rows_of_one_point_are_gathered():
    from speeds import as_points

    rows = [row("scipy", 8.0), row("jax", None, missing="not installed"), row("torch", None)]
    first, second = as_points([*rows, row("scipy", 3.0, shape=(8, 10))])
    assert first.seconds == {"scipy": 8.0}
    assert first.missing == {"jax": "not installed"}
    assert (second.case.name, second.seconds) == ("8x10", {"scipy": 3.0})


def test_bandwidth_counts_what_has_to_be_read_and_written():
    from speeds import as_points, bandwidth, copy_bandwidth

    (point,) = as_points([row(NUMBA, 1e-3)])
    assert bandwidth(point, NUMBA) == pytest.approx(2 * 4 * 4096 * 1024 / 1e6)
    assert copy_bandwidth(point) == bandwidth(point, NUMBA)
    assert bandwidth(point, "jax") is None
    (reduced,) = as_points([row(NUMBA, 1e-3, function="logsumexp")])
    assert bandwidth(reduced, NUMBA) == pytest.approx(4 * 4096 * 1025 / 1e6)


def test_a_mean_is_geometric():
    from speeds import mean

    assert mean([2.0, 8.0]) == pytest.approx(4)
    assert mean([]) is None


def test_the_calls_that_pay_for_numba():
    from speeds import calls_to_pay

    assert calls_to_pay(0.5, 3e-3, 1e-3) == pytest.approx(250)
    assert calls_to_pay(0.5, 1e-3, 1e-3) == math.inf
    assert calls_to_pay(None, 3e-3, 1e-3) is None
    assert calls_to_pay(0.5, 3e-3, None) is None


@pytest.mark.parametrize(("ratio", "text"), [(0.994, "0.99"), (0.997, "1.0"), (9.96, "10")])
def test_ratios_have_two_digits(ratio, text):
    from speeds import times

    assert times(ratio) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.234e-6, "1.23"), (1.234e-5, "12.3"), (1.2344e-2, "12,344")]
)
def test_microseconds_have_three_digits(seconds, text):
    from speeds import microseconds

    assert microseconds(seconds) == text


def test_the_first_sentence_is_of_the_numbers(results):
    rows = [row(NUMBA, 2e-3), row("scipy", 4e-2), row("torch", 3e-3), row("jax", 4e-3)]
    write(results, "grid", rows=[*rows, row(NUMBA, 1e-6, (8, 10)), row("scipy", 5e-6, (8, 10))])
    from speeds_words import gain, means

    assert "**2 ms**; SciPy 40 ms, PyTorch 3 ms, JAX 4 ms" in gain()
    assert "**10** (`softmax`) times as fast as SciPy" in gain()
    assert "**1.5** (`softmax`) times as fast as the faster" in gain()
    assert "**10**; 5.0 at 8x10 `float32`" in means()


def test_small_arrays_say_why_somebody_is_missing(results):
    rows = [row("jax", None, (1, 10), missing="not installed"), row("scipy", 2e-5, (1, 10))]
    write(results, "grid", rows=rows)
    from speeds_words import small

    first = small().splitlines()[2]
    assert first.endswith("| not measured | not measured | 20.0 | not measured | not installed |")


def test_sizes_name_the_calls_that_pay(results):
    found = [row("softaxis", 3e-3, (1024, 128)), row(NUMBA, 1e-3, (1024, 128))]
    found += [row("softaxis", 1e-3, (8, 128)), row(NUMBA, 2e-3, (8, 128))]
    write(results, "row_lengths", sizes=found, start={"first_call": 0.4})
    from speeds_takeover import sizes, start

    assert sizes().splitlines()[2:] == [
        "| 1,024 | 1,000 | 2,000 | 0.50 | infinitely many |",
        "| 131,072 | 3,000 | 1,000 | 3.0 | 200 |",
    ]
    assert "It takes 200 such calls" in start()


def test_a_busy_machine_is_named(results):
    write(results, "grid", others=0.34)
    write(results, "row_lengths", others=0.02)
    from speeds_words import provenance

    grid, lengths = provenance().splitlines()
    assert "34%" in grid
    assert lengths.endswith("2-core, two threads, 2026-01-01; softaxis 0")


def test_without_results_everything_says_so():
    from speeds_takeover import WORDS as TAKEOVER
    from speeds_words import WORDS

    for write_out in (WORDS | TAKEOVER).values():
        assert "not measured" in write_out()


@pytest.mark.parametrize("layout", ["wide", "narrow"])
def test_figures_are_drawn_with_and_without_results(results, layout):
    from drawing import MODES
    from figures_heat import heat
    from figures_speeds import lengths, sizes

    def texts(figure):
        figure.draw_without_rendering()
        found = [text.get_text() for axes in figure.axes for text in axes.texts]
        return found + [line.get_label() for axes in figure.axes for line in axes.lines]

    colours = MODES["dark"]
    assert texts(lengths("float32", layout)(colours)).count("not measured") == 3
    assert "not measured" in texts(sizes(layout)(colours))
    assert "4.0" not in texts(heat(layout)(colours))
    write(results, "grid", rows=[row(NUMBA, 1e-3), row("scipy", 4e-3)])
    write(results, "row_lengths", rows=[row(NUMBA, 1e-3)], sizes=[row(NUMBA, 1e-3)])
    assert texts(lengths("float32", layout)(colours)).count(NUMBA) == 1
    assert "not measured" not in texts(sizes(layout)(colours))
    assert texts(heat(layout)(colours)).count("4.0") == 2  # the cell and the mean
