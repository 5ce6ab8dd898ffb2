"""Arguments of the command line, exit status, and where errors go."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import softaxis
from softaxis._cli import _compare, _doctor, _input, _test, _warmup
from softaxis._cli._render import show

EXPLAIN = """Walk through softmax step by step, as on paper.

example: softaxis explain -- -1 1 2 3
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n(see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    given = sys.argv[1:] if argv is None else argv
    # Only numbers can follow "--" and they are shielded anyway, so options may come after it too.
    arguments = [_shield(text) for text in given if text != "--"]
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command == "explain":  # numbers may also come after an option
        options.x += [text for text in rest if not text.startswith("-")]
        rest = [text for text in rest if text.startswith("-")]
    if rest:
        parser.error(f"unknown argument: {' '.join(rest)}")
    status = 0
    try:
        status = options.run(options) or 0
        sys.stdout.flush()
    except _input.BadInput as error:
        print(f"softaxis {options.command}: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def build_parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = _Parser(prog="softaxis", description="softmax, explained and inspected")
    parser.add_argument("--version", action="version", version=f"softaxis {softaxis.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    raw = argparse.RawDescriptionHelpFormatter
    explain = commands.add_parser(
        "explain",
        help="walk through softmax step by step",
        description=EXPLAIN,
        formatter_class=raw,
    )
    explain.add_argument("x", nargs="*", help="the numbers (logits), separated by spaces")
    explain.add_argument("--temperature", metavar="T", help="softmax of x / T")
    explain.add_argument("--sink", metavar="S", help='logit of one more class, "none of these"')
    explain.add_argument("--label", metavar="K", help="cross-entropy of class K and its gradient")
    explain.add_argument("--plot", metavar="FILE.png", help="draw exp(x) and the distribution")
    explain.set_defaults(run=_explain)
    backends = commands.add_parser(
        "backends", help="list array libraries, backends and what would run"
    )
    backends.add_argument("--json", action="store_true", help="for machines")
    backends.set_defaults(run=_backends)
    for command in (_test, _doctor, _compare, _warmup):
        command.add_parser(commands)
    return parser


def _explain(options: argparse.Namespace) -> None:
    x = _input.parse_numbers(options.x)
    temperature = _input.parse_temperature(options.temperature)
    sink = _input.parse_sink(options.sink)
    label = _input.parse_label(options.label, len(x))
    plot = _input.parse_plot_file(options.plot)
    if plot is not None:
        _input.need("matplotlib", "`--plot`")
    _input.need("numpy", "`explain`")

    from softaxis._cli._explain import walk
    from softaxis._cli._story import story

    result = walk(x, temperature, sink, label)
    if plot is not None:
        from softaxis._cli._plot import save_plot

        save_plot(result, plot)
    show(list(story(result)))
    if plot is not None:
        print(f"\nThe plot is in {plot}")


def _backends(options: argparse.Namespace) -> None:
    from softaxis._cli._backends import report

    if sys.stderr.isatty():
        print("importing the array libraries ...", file=sys.stderr)
    found = report()
    if options.json:
        print(json.dumps(found.as_json(), indent=2))
        return
    from softaxis._cli._listing import listing

    show(list(listing(found)))


def _shield(text: str) -> str:
    """Put a space before a negative number: argparse takes -1e3 and -inf for options otherwise."""
    try:
        float(text)
    except ValueError:
        return text
    return f" {text}" if text.startswith("-") else text
