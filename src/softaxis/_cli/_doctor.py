"""`doctor`: every backend tried in a process of its own; the page, and the same as JSON."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import softaxis
from softaxis._cli._input import BadInput
from softaxis._cli._layout import Block, Heading, Row, Table, Text
from softaxis._cli._render import show

if TYPE_CHECKING:
    from softaxis.testing._diagnosis import Diagnosis

DESCRIPTION = """Import and test each backend in a process of its own, which may crash or hang.

The exit status is 0 if no fault is found (a missing array library is none), and 1 otherwise.
"""


def add_parser(commands: Any) -> None:
    """Describe the arguments."""
    parser = commands.add_parser(
        "doctor",
        help="find out which backends are broken, slow to import or wrong",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="backends (default: all)")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=120.0,
        help="for each backend (default: 120)",
    )
    parser.add_argument(
        "--import-limit",
        metavar="SECONDS",
        type=float,
        default=5.0,
        help="for the import of a backend beyond its array library (default: 5)",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write what was found there too; - prints it instead"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from softaxis.testing._doctor import chosen, examine

    limits = {"timeout": options.timeout, "import_limit": options.import_limit}
    file = None if options.json in {None, "-"} else Path(options.json)
    if file is not None and not file.parent.is_dir():
        raise BadInput(f"`--json` cannot write {file}: there is no folder {file.parent}")
    found: list[Diagnosis] = []
    try:
        names = [status.name for status in chosen(options.names or None)]
        for name, diagnosis in zip(names, examine(names, **limits), strict=True):
            found.append(diagnosis)
            if sys.stderr.isatty():
                print(f"{name}: {diagnosis.state}", file=sys.stderr)
    except ValueError as error:
        raise BadInput(str(error)) from error
    text = json.dumps(_as_json(found), indent=2)
    if options.json == "-":
        print(text)
    else:
        show(list(page(found)))
    if file is not None:
        file.write_text(text + "\n", encoding="utf-8")
        print(f"\nThe same as JSON is in {file}")
    return 0 if all(one.healthy for one in found) else 1


def _as_json(found: Sequence[Diagnosis]) -> dict[str, Any]:
    """Return plain dicts and lists; keys are only ever added."""
    return {
        "softaxis": softaxis.__version__,
        "python": platform.python_version(),
        "backends": [
            asdict(one) | {"healthy": one.healthy, "accelerators": one.accelerators}
            for one in found
        ],
    }


def page(found: Sequence[Diagnosis]) -> Iterator[Block]:
    """Lay out one row for each backend, then a section for each fault."""
    faults = [one for one in found if not one.healthy]
    count = {0: "no faults", 1: "1 fault"}.get(len(faults), f"{len(faults)} faults")
    yield Heading(f"softaxis {softaxis.__version__}, Python {platform.python_version()}: {count}")
    header = ("backend", "state", "library", "import", "checks", "devices", "remarks")
    yield Table(header, tuple(_row(one) for one in found), align="<<>>><<")
    yield Text(
        "library: seconds to import the array library; import: to import the backend after it; "
        "checks: conformance checks that passed."
    )
    lines = [line for one in faults for _, line in _lines(one)]
    longest = max(map(len, lines), default=0)
    for one in faults:
        yield Heading(f"{one.name}: {one.state}")
        yield Text(one.reason)
        for label, line in _lines(one):
            yield Row(label, (line.ljust(longest),))


def _row(one: Diagnosis) -> tuple[str, ...]:
    remark = one.reason if one.healthy else "see below"
    return (
        one.name,
        one.state,
        _seconds(one.library_seconds),
        _seconds(one.import_seconds),
        str(one.passed) if one.passed else "-",
        ", ".join(one.accelerators) or ("cpu only" if one.devices else "-"),
        remark,
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _lines(one: Diagnosis) -> Iterator[tuple[str, str]]:
    """Yield what is copied from the page, under its label, and must not be wrapped."""
    for number, line in enumerate(one.stack):
        yield "where" * (not number), line
    if one.check:
        label = "check" if one.state == "fails" else "last check"
        yield label, f"{one.function}: {one.check}"
    for number, line in enumerate(one.code.splitlines()):
        yield "to see it" * (not number), line
    for number, line in enumerate(one.output):
        yield "stderr" * (not number), line
