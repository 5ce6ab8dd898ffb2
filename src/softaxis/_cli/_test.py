"""The command `test`: hold a backend to what softaxis promises."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softaxis._cli._input import BadInput, need
from softaxis._cli._layout import Block, Heading, Table, Text
from softaxis._cli._render import show

if TYPE_CHECKING:
    from softaxis.testing import Outcome, Report

DESCRIPTION = """Hold a backend to what softaxis promises, by calling it directly.

example: softaxis test numpy
         softaxis test default --library array_api_strict --function softmax

The exit status is 0 if everything claimed was run and kept its promises, and 1 otherwise.
"""


def add_parser(commands: Any) -> None:
    """Describe the arguments."""
    parser = commands.add_parser(
        "test",
        help="hold a backend to what softaxis promises",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("backend", metavar="BACKEND", help="its name; see `softaxis backends`")
    parser.add_argument("--library", metavar="L", help="whose arrays, for the backend `default`")
    parser.add_argument("--device", metavar="D", help="where arrays are made, such as cuda")
    parser.add_argument("--function", metavar="F", action="append", help="only this one")
    parser.add_argument("--check", metavar="C", action="append", help="only this one")
    parser.add_argument("--large", action="store_true", help="try 2**31 elements as well")
    parser.add_argument("--stop", action="store_true", help="end at the first failure")
    parser.add_argument("--json", metavar="FILE", help="write the report; - for stdout")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    need("numpy", "`test`")
    from softaxis.testing import check

    watched = sys.stderr.isatty()
    try:
        report = check(
            options.backend,
            library=options.library,
            device=options.device,
            functions=options.function,
            checks=options.check,
            large=options.large,
            stop=options.stop,
            progress=_progress if watched else None,
        )
    except (ValueError, RuntimeError, ImportError) as error:
        raise BadInput(str(error)) from error
    finally:
        if watched:
            print("\r\033[K", end="", file=sys.stderr)
    if options.json == "-":
        print(json.dumps(report.as_json(), indent=2))
        return int(not report.passed)
    if options.json:
        text = json.dumps(report.as_json(), indent=2) + "\n"
        try:
            Path(options.json).write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"`--json` cannot be written: {error}") from error
    show(list(page(report)))
    for failure in report.failures:
        if failure.code:  # not wrapped, so that it can be pasted
            print(f"\n{failure.function}, {failure.check}:\n{failure.code}")
    return int(not report.passed)


def _progress(outcome: "Outcome") -> None:
    line = f"{outcome.function}: {outcome.check} {outcome.state}"
    print(f"\r\033[K{line[:78]}", end="", file=sys.stderr, flush=True)


def page(report: "Report") -> Iterator[Block]:
    """Say what was found."""
    where = f"{report.library} arrays on {report.device}"
    yield Heading(f"Backend {report.backend}, {where}")
    functions = list(dict.fromkeys(one.function for one in report.outcomes))
    header = ("function", "passed", "failed", "not run", "calls", "declined", "worst error")
    yield Table(header, tuple(_row(report, name) for name in functions))
    yield Text("The worst error is counted in the documented bound: up to 1 is as promised.")
    if report.failures:
        yield Heading("Failures")
        rows = [(one.function, one.check, one.reason) for one in report.failures]
        yield Table(("function", "check", "what is wrong"), tuple(rows), align="<<<")
    left_out = [one for one in report.outcomes if one.state == "not run"]
    if left_out:
        yield Heading("Not run")
        reasons: dict[tuple[str, str], list[str]] = {}
        for one in left_out:
            reasons.setdefault((one.check, one.reason), []).append(one.function)
        shown = [
            (name, _names(those, functions), reason) for (name, reason), those in reasons.items()
        ]
        yield Table(("check", "functions", "why"), tuple(shown), align="<<<")
    yield Heading(_verdict(report))


def _row(report: "Report", function: str) -> tuple[str, ...]:
    found = [one for one in report.outcomes if one.function == function]
    states = [one.state for one in found]
    counts = [str(states.count(state)) for state in ("passed", "failed", "not run")]
    worst = max((one.worst for one in found if one.worst is not None), default=None)
    calls = (str(sum(one.cases for one in found)), str(sum(one.declined for one in found)))
    return function, *counts, *calls, "-" if worst is None else f"{worst:.2f}"


def _names(those: list[str], every: list[str]) -> str:
    if len(those) == len(every):
        return "all"
    return those[0] if len(those) == 1 else f"{len(those)} functions"


def _verdict(report: "Report") -> str:
    if report.passed:
        calls = sum(one.cases for one in report.outcomes)
        return f"{report.backend} keeps what it promises ({calls} calls)"
    if not report.failures:
        return f"{report.backend}: nothing was run, so nothing is proved"
    count = len(report.failures)
    failures = "1 failure" if count == 1 else f"{count} failures"
    return f"{report.backend} does not keep what it promises ({failures})"
