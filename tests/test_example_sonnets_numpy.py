"""What the sonnets examples are made of: the text, the batches, the table and the picture."""

import math

import numpy as np
import pytest
from sonnets import EXAMPLES, table


@pytest.fixture(autouse=True)
def on_path(monkeypatch):
    """Import as Python does when an example runs as a script."""
    monkeypatch.syspath_prepend(EXAMPLES)


@pytest.fixture
def setup():
    import sonnets_setup

    return sonnets_setup


@pytest.fixture
def show(monkeypatch):
    import sonnets_show

    return sonnets_show


def fading(native, dtype, seed):
    """A stand-in for a training: the loss is 4 / step; NaN for native ones that see a full mask."""
    step = 0

    def advance(tokens, labels):
        nonlocal step
        step += 1
        return math.nan if native and step > 2 and (tokens[:, 0] == 0).any() else 4 / step

    return advance


def test_the_text(setup):
    assert len(setup.LINES) == 2155  # 154 sonnets of 14 lines, but one of 15 and one of 12
    assert setup.LINES[238] == "Shall I compare thee to a summer's day?"
    assert setup.CHARACTERS[0] == "\n"
    assert all(character.isascii() for character in setup.CHARACTERS)


def test_batches_are_lines_shifted_by_one(setup):
    for padded in ("left", "right"):
        ((tokens, labels),) = setup.batches(1, 16, padded, seed=1)
        assert tokens.shape == labels.shape == (16, setup.LENGTH)
        for token, label in zip(tokens, labels, strict=True):
            real = token != setup.PAD
            np.testing.assert_array_equal(label == setup.IGNORED, ~real)
            first = np.flatnonzero(real)[0]
            assert real[first : first + real.sum()].all()
            assert (first == 0) if padded == "right" else real[-1]
            read = ["".join(setup.CHARACTERS[n - 1] for n in row[real]) for row in (token, label)]
            assert read[0][1:] == read[1][:-1]
            assert read[0][0] == read[1][-1] == "\n"
            assert read[0][1:] in setup.LINES


def test_both_paddings_have_the_same_lines(setup):
    left, right = (
        [tokens[tokens != 0] for tokens, _ in setup.batches(3, 4, padded, seed=2)]
        for padded in ("left", "right")
    )
    for some, others in zip(left, right, strict=True):
        np.testing.assert_array_equal(some, others)


def test_the_table_and_the_picture(show, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    path = tmp_path / "curves.png"
    show.main("NumPy", fading, ("--native", "--steps", "20", "--lines", "8", "--plot", str(path)))
    losses, apart = table(capsys.readouterr().out)
    assert losses["left softaxis"] == pytest.approx([4, *(2 / n for n in range(1, 11))], abs=1e-6)
    assert [math.isnan(loss) for loss in losses["left native"]] == [False, False] + [True] * 9
    assert apart == [0.0, 0.0]
    assert imread(path).shape == (560, 1400, 4)


def test_alone(show, capsys):
    show.main("NumPy", fading, ("--steps", "3", "--lines", "2"))
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[2:5]] == [
        ["1", "4.000000"],
        ["2", "2.000000"],
        ["3", "1.333333"],
    ]
    assert printed[-1].startswith("ms a step")


@pytest.mark.parametrize(
    "arguments", [("--steps", "0"), ("--lines", "0"), ("--plot", "a.png"), ("--dtype", "int8")]
)
def test_refuses_wrong_options(show, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        show.main("NumPy", fading, arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err
