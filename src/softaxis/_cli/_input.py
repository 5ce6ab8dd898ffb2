"""What the user typed, turned into numbers, or refused in one plain sentence."""

import importlib
import math
from collections.abc import Sequence
from pathlib import Path


class BadInput(Exception):
    """The message is for the user: it goes to stderr and the exit status is 2."""


def parse_numbers(texts: Sequence[str]) -> tuple[float, ...]:
    """Return the logits; each of them has to be a finite number."""
    if not texts:
        raise BadInput(
            "`x` is empty: expected at least one number, as in: softaxis explain -- -1 1 2 3"
        )
    return tuple(_finite(text, "x") for text in texts)


def parse_temperature(text: str | None) -> float | None:
    """Return the temperature; 0 and inf are its two limits and allowed."""
    if text is None:
        return None
    value = _number(text, "--temperature")
    if math.isnan(value) or value < 0:
        raise BadInput(f"`--temperature` must be a number of 0 or more, got {text.strip()}")
    return value


def parse_sink(text: str | None) -> float | None:
    """Return the logit of "none of these"."""
    return None if text is None else _finite(text, "--sink")


def parse_label(text: str | None, classes: int) -> int | None:
    """Return the class; classes count from 0 and never wrap."""
    if text is None:
        return None
    expected = "0" if classes == 1 else f"a class from 0 to {classes - 1}"
    try:
        label = int(text)
    except ValueError:
        label = -1
    if not 0 <= label < classes:
        raise BadInput(f"`--label` must be {expected} (classes count from 0), got {text.strip()}")
    return label


def parse_plot_file(text: str | None) -> Path | None:
    """Return the file to draw to; refuse what cannot be one before anything is computed."""
    if text is None:
        return None
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise BadInput(f"`--plot` writes a PNG: the name must end in .png, got {text!r}")
    if not path.parent.is_dir():
        raise BadInput(f"`--plot` cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise BadInput(f"`--plot` cannot write {path}: it is a folder")
    return path


def need(package: str, purpose: str) -> None:
    """Import `package`, or say how to install it."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        hint = 'python -m pip install "softaxis[cli]"'
        raise BadInput(f"{purpose} needs {package} ({error}); to install it: {hint}") from error


def _finite(text: str, name: str) -> float:
    value = _number(text, name)
    if not math.isfinite(value):
        raise BadInput(f"`{name}` must hold finite numbers only, got {text.strip()}")
    return value


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        hint = "; separate the numbers by spaces" if "," in text or " " in text.strip() else ""
        raise BadInput(f"`{name}`: {text.strip()!r} is not a number{hint}") from None
