"""The command `compare`: what the user typed becomes a call of `softaxis.compare`."""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from softaxis._cli._input import BadInput, need, parse_plot_file
from softaxis._cli._render import show

DESCRIPTION = """Run one function on one input with every installed library and backend, side by
side: time, memory, largest error against mpmath, and special values.

examples: softaxis compare softmax
          softaxis compare softmax --shape 4096 1024 --dtype float64 --plot compare.png
          softaxis compare log_softmax logits.npy --json -
"""


def add_parser(commands: Any) -> None:
    """Describe the arguments."""
    parser = commands.add_parser(
        "compare",
        help="time, memory, error and special values of every library, side by side",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("function", help="softmax, log_softmax, logsumexp, cross_entropy, ...")
    parser.add_argument("file", nargs="?", help="the input: .npy, .npz, .csv or .txt")
    parser.add_argument("--shape", nargs="+", metavar="N", help="draw random numbers instead")
    parser.add_argument("--dtype", help="float32 for random numbers, else that of the file")
    parser.add_argument(
        "--axis", nargs="+", default=["-1"], metavar="K", help="of a row: the last; `none`: all"
    )
    parser.add_argument(
        "--libraries", nargs="+", metavar="NAME", help="numpy, torch, ...: those with a backend"
    )
    parser.add_argument("--seed", default="0", metavar="N", help="of the random numbers")
    parser.add_argument("--rounds", default="20", metavar="N", help="of timing, at most")
    parser.add_argument("--seconds", default="5", metavar="S", help="of timing, about")
    parser.add_argument("--json", metavar="FILE", help="for machines; - is stdout")
    parser.add_argument("--plot", metavar="FILE.png", help="draw all of it")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    shape = None if options.shape is None else [_integer(n, "--shape") for n in options.shape]
    if shape is not None and options.file is not None:
        raise BadInput("give a file or `--shape`, not both")
    axis = _axis(options.axis)
    seed, rounds = _integer(options.seed, "--seed"), _integer(options.rounds, "--rounds")
    if seed < 0:
        raise BadInput(f"`--seed` must be 0 or more, got {seed}")
    seconds = _seconds(options.seconds)
    plot = parse_plot_file(options.plot)
    _check_json_file(options.json)
    for package in ("numpy", "mpmath"):
        _need_for_measuring(package)
    if plot is not None:
        need("matplotlib", "`--plot`")
    x = None if options.file is None else _read(Path(options.file))

    from softaxis.testing._comparison import compare
    from softaxis.testing._comparison.tables import blocks

    if sys.stderr.isatty():
        print("importing the libraries, calling and timing them ...", file=sys.stderr)
    try:
        found = compare(
            options.function,
            x,
            shape=shape,
            dtype=options.dtype,
            axis=axis,
            libraries=options.libraries,
            seed=seed,
            rounds=rounds,
            seconds=seconds,
        )
    except (TypeError, ValueError, MemoryError) as error:
        raise BadInput(str(error) or "the input does not fit into memory") from error
    if options.json != "-":
        show(list(blocks(found)))
    if options.json is not None:
        _write_json(options.json, json.dumps(found.as_json(), indent=2, allow_nan=False))
    if plot is not None:
        _plot(found, plot, quiet=options.json == "-")


def _integer(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"`{name}` must be integers, got {text.strip()!r}") from None


def _axis(texts: list[str]) -> int | tuple[int, ...] | None:
    if [text.lower() for text in texts] == ["none"]:
        return None
    axes = tuple(_integer(text, "--axis") for text in texts)
    return axes[0] if len(axes) == 1 else axes


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise BadInput(f"`--seconds` must be a number of 0 or more, got {text.strip()}")
    return value


def _check_json_file(text: str | None) -> None:
    if text in (None, "-"):
        return
    path = Path(str(text))
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"`--json` cannot write {path}: it is a folder, or in none that exists")


def _need_for_measuring(package: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        hint = 'python -m pip install "softaxis[test]"'
        raise BadInput(f"`compare` needs {package} ({error}); to install it: {hint}") from error


def _read(path: Path) -> Any:
    """Read an array as its name tells."""
    import numpy as np

    try:
        match path.suffix.lower():
            case ".npy":
                return np.load(path, allow_pickle=False)
            case ".npz":
                return _only_array(path, np.load(path, allow_pickle=False))
            case ".csv":
                return np.loadtxt(path, delimiter=",", ndmin=1)
            case ".txt":
                return np.loadtxt(path, ndmin=1)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise BadInput(f"cannot read {path} as numbers: {error}") from error
    raise BadInput(f"`file` must end in .npy, .npz, .csv or .txt, got {str(path)!r}")


def _only_array(path: Path, archive: Any) -> Any:
    with archive:
        if len(archive.files) != 1:
            names = ", ".join(archive.files) or "none"
            raise BadInput(f"{path} must hold one array, it has: {names}; save yours as .npy")
        return archive[archive.files[0]]


def _write_json(target: str, text: str) -> None:
    if target == "-":
        print(text)
        return
    try:
        Path(target).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"`--json` cannot write {target}: {error.strerror}") from error
    print(f"\nThe JSON is in {target}")


def _plot(found: Any, path: Path, *, quiet: bool) -> None:
    try:
        found.plot(path)
    except OSError as error:
        raise BadInput(f"`--plot` cannot write {path}: {error.strerror}") from error
    if not quiet:
        print(f"\nThe plot is in {path}")
