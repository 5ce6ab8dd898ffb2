"""The example that trains a model: it learns, all libraries agree, and it says what is missing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from libraries import cupy_has_device

pytest.importorskip("sklearn", reason="scikit-learn, which ships the digits, is not installed")

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPT = EXAMPLES / "digits.py"


@pytest.fixture
def digits(monkeypatch):
    """The example as a module, imported as Python imports it when it runs as a script."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import digits

    return digits


@pytest.fixture
def library(request):
    """The name by which the example knows the library under test; its global flags are put back."""
    name = request.config.getoption("--library")
    if name != "jax":
        yield {"strict": "array_api_strict"}.get(name, name)
        return
    import jax

    before = jax.config.jax_enable_x64
    yield name
    jax.config.update("jax_enable_x64", before)


@pytest.fixture
def trained(digits, capsys):
    """Return a function that runs the example and reads what it printed, line by line."""

    def run(*arguments):
        digits.main(arguments)
        return dict(re.findall(r"^(\w+(?: \w+)?) {2,}(.+)$", capsys.readouterr().out, re.MULTILINE))

    return run


@pytest.fixture
def refused(digits, capsys):
    """Return a function that runs the example, sees it exit with 2, and gives its last line."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            digits.main(arguments)
        out, err = capsys.readouterr()
        assert caught.value.code == 2
        assert out == ""
        return err.splitlines()[-1]

    return run


def plain_numpy_loss(digits, epochs, learning_rate, seed):
    """Train as the example does, with nothing but NumPy and the formulas; return the final loss."""
    images, _, labels, _ = digits.load_images(seed)
    x, y = images - images.mean(axis=0), np.eye(10)[labels]
    w, b = np.random.default_rng(seed).normal(scale=0.01, size=(64, 10)), np.zeros(10)
    for _ in range(epochs):
        p = np.exp(x @ w + b)  # the logits stay small: no shift is needed
        grad = (p / p.sum(axis=1, keepdims=True) - y) / len(x)
        w, b = w - learning_rate * x.T @ grad, b - learning_rate * grad.sum(axis=0)
    p = np.exp(x @ w + b)
    return -np.log((p * y).sum(axis=1) / p.sum(axis=1)).mean()


def test_every_library_learns_the_same(digits, library, trained, refused):
    """Wherever the example runs it reads 95 of 100 digits, with NumPy's loss; else it says why."""
    if library not in digits.LIBRARIES:
        assert f"invalid choice: '{library}'" in refused(library, "--no-plot")
        return
    if library == "cupy" and not cupy_has_device():
        assert "cupy is installed but cannot compute here" in refused(library, "--no-plot")
        return
    result = trained(library, "--no-plot")
    assert float(result["test accuracy"].split()[0]) >= 0.95
    assert float(result["final loss"]) == pytest.approx(
        float(trained("numpy", "--no-plot")["final loss"]), abs=1e-6
    )
    assert result["library"].startswith(library)
    assert re.match(r"\w+ ran cross_entropy_and_grad", result["backend"])
    assert re.match(r"\d+\.\d+ ms an epoch", result["time"])


def test_the_loss_is_that_of_the_formulas(digits, trained):
    result = trained("numpy", "--no-plot", "--epochs", "20", "--learning-rate", "2", "--seed", "3")
    expected = plain_numpy_loss(digits, epochs=20, learning_rate=2.0, seed=3)
    assert float(result["final loss"]) == pytest.approx(expected, abs=1e-9)


def test_float32_is_close_to_float64(trained):
    single = trained("numpy", "--no-plot", "--epochs", "50", "--dtype", "float32")
    double = trained("numpy", "--no-plot", "--epochs", "50")
    assert "float32" in single["library"]
    # 50 steps, each rounded to eps = 1.2e-7 of weights of size 1
    assert float(single["final loss"]) == pytest.approx(float(double["final loss"]), abs=1e-5)


def test_picture(digits, trained, tmp_path, monkeypatch):
    """The picture shows twelve different unseen digits, the hardest last, and probabilities."""
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    shown, draw = [], digits.draw
    monkeypatch.setattr(digits, "draw", lambda *args: draw(*args) or shown.extend(args[-1]))
    path = tmp_path / "digits.png"
    assert trained("numpy", "--epochs", "50", "--plot", str(path))["picture"] == str(path)
    assert imread(path).shape == (1290, 2100, 4)

    pixels, labels, probabilities = (np.asarray(column) for column in zip(*shown, strict=True))
    assert pixels.shape == (12, 8, 8)
    assert len({image.tobytes() for image in pixels}) == 12
    _, unseen, _, right = digits.load_images(0)
    for image, label in zip(pixels, labels, strict=True):
        assert label in right[(unseen == image.reshape(64)).all(axis=1)]
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-12)
    chances = probabilities[range(12), labels]
    assert max(chances[8:]) < min(chances[:8])
    assert list(chances[8:]) == sorted(chances[8:])


@pytest.mark.parametrize("package", ["torch", "sklearn", "matplotlib"])
def test_says_what_is_not_installed(refused, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not there
    line = refused("torch")
    name = {"sklearn": "scikit-learn"}.get(package, package)
    assert re.fullmatch(
        rf"digits.py: not installed: .*\b{name}\b.* \(try: python -m pip install .+\)", line
    )


def test_says_that_there_is_no_device(tmp_path):
    """As a user sees it: exit status 2 and one line, here with a CuPy that finds no driver."""
    (tmp_path / "cupy.py").write_text("def asarray(x): raise RuntimeError('no driver\\nat all')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, SCRIPT, "cupy", "--no-plot"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    message = "digits.py: cupy is installed but cannot compute here: no driver\n"
    assert done.stderr == message


@pytest.mark.parametrize(
    "arguments",
    [
        ("--epochs", "0"),
        ("--epochs", "many"),
        ("--dtype", "int8"),
        ("--plot", "digits.txt"),
        ("--plot", "no-such-folder/digits.png"),
    ],
    ids=" ".join,
)
def test_refuses_wrong_options(refused, arguments):
    assert arguments[0] in refused("numpy", *arguments)


def test_progress_without_rich(digits, capsys, monkeypatch):
    """Into a pipe the plain bar writes one finished line; on a terminal it redraws it."""
    monkeypatch.setitem(sys.modules, "rich", None)
    with digits.progress_bar(2) as advance:
        advance(0.5)
        advance(0.25)
    line = f"training [{'#' * 40}] 2/2 epochs, loss 0.2500"
    assert capsys.readouterr().err == f"{line}\n"

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with digits.progress_bar(2) as advance:
        advance(0.5)
        advance(0.25)
    half = f"training [{'#' * 20}{'.' * 20}] 1/2 epochs, loss 0.5000"
    assert capsys.readouterr().err == f"\r{half}\r{line}\n"
