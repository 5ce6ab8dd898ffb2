"""`softaxis explain --plot`: the file, and what the picture shows."""

import itertools
import math
import struct

import pytest

from softaxis._cli._explain import walk
from softaxis._cli._main import main

pytestmark = pytest.mark.skipif(
    "config.getoption('--library') != 'numpy'", reason="the command line hands lists to NumPy"
)
pytest.importorskip("matplotlib")

from softaxis._cli._plot import draw  # noqa: E402 - it imports matplotlib


@pytest.mark.parametrize(
    "argv",
    [
        "-1 1 2 3",
        "0.5 2 --sink 0 --temperature 2 --label 1",
        "1000 -1000 3",
        "7",
        "1 2 2 --temperature 0",
        "1 2 --temperature inf",
    ],
)
def test_the_file_is_a_picture(capsys, tmp_path, argv):
    path = tmp_path / "walk.png"
    assert main(["explain", *argv.split(), "--plot", str(path)]) == 0
    assert capsys.readouterr().out.endswith(f"\nThe plot is in {path}\n")
    picture = path.read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 1200
    assert height > 500
    assert len(picture) > 15_000


def test_the_curve_carries_the_inputs():
    found = walk([-1.0, 1.0, 2.0, 3.0])
    curve, _ = draw(found).axes
    dots = [tuple(dot.get_offsets()[0]) for dot in curve.collections if dot.get_offsets().size == 2]
    points = [dot for dot in dots if dot != (0, 0)]
    for x in found.x:
        assert any(dot == pytest.approx((x, math.exp(x))) for dot in points)
    line = curve.lines[0]
    assert line.get_ydata() == pytest.approx([math.exp(x) for x in line.get_xdata()])


def test_large_inputs_are_drawn_shifted():
    curve, _ = draw(walk([1000.0, 998.0])).axes
    assert curve.get_title().startswith("exp(x - 1000)")
    assert curve.get_ylim() == pytest.approx((0, 1.15))


def test_the_bars_are_the_distribution():
    found = walk([0.25, 1.23, -0.8], sink=0.5)
    _, bars = draw(found).axes
    assert [bar.get_width() for bar in bars.patches] == list(found.probabilities)
    names = [label.get_text() for label in bars.get_yticklabels()]
    assert names == ["x[0] = 0.25", "x[1] = 1.23", "x[2] = -0.8", "none = 0.5"]


@pytest.mark.parametrize(
    "x",
    [
        [1.0, 2.0],
        [0.0] * 12,
        [k / 10 for k in range(20)],
        [k - 10.0 for k in range(20)],
        [math.sin(k) for k in range(20)],
        [0.0, 1e-3, 1000.0, 999.5, -1000.0, 500.0],
    ],
    ids=["two", "equal", "close", "spread", "mixed", "large"],
)
def test_no_name_lies_on_another(x):
    for axes in draw(walk(x)).axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        assert boxes
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)


def test_numbers_too_large_to_draw_are_refused(capsys, tmp_path):
    path = tmp_path / "walk.png"
    assert main(["explain", "1e300", "1", "--plot", str(path)]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert "`--plot` has no room for 1 to 1e+300" in captured.err
    assert not path.exists()


def test_a_folder_is_no_file(capsys, tmp_path):
    folder = tmp_path / "walk.png"
    folder.mkdir()
    assert main(["explain", "1", "--plot", str(folder)]) == 2
    assert "it is a folder" in capsys.readouterr().err


def test_a_file_that_cannot_be_written(capsys, tmp_path, monkeypatch):
    path = tmp_path / "walk.png"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    assert main(["explain", "1", "--plot", str(path)]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err == (
        f"softaxis explain: error: `--plot` cannot write {path}: No space left on device\n"
    )
