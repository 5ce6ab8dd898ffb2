"""What is installed and what would run, as a page."""

import platform
from collections.abc import Iterator, Sized

import softaxis
from softaxis._cli._backends import Report
from softaxis._cli._layout import Block, Heading, Table, Text


def listing(report: Report) -> Iterator[Block]:
    """List libraries, backends, and who runs what."""
    yield Heading(f"softaxis {softaxis.__version__}, Python {platform.python_version()}")
    yield Heading("Array libraries")
    libraries = [
        (
            library.name,
            library.version or ("?" if library.installed else "-"),
            library.error or ", ".join(library.devices) or library.note or "not installed",
        )
        for library in report.libraries
    ]
    yield Table(("library", "version", "devices"), tuple(libraries), align="<<<")
    yield Heading("Backends")
    backends = [
        (
            each.name,
            "any" if each.name == "default" else each.package,
            each.state,
            each.origin,
            each.reason or _count(each.functions),
        )
        for each in report.backends
    ]
    yield Table(("backend", "arrays", "state", "from", "reason"), tuple(backends), align="<<<<<")
    yield Heading("What would run")
    rows = [*_grouped(report), *_not_tried(report)]
    if not rows:
        yield Text("Nothing yet: no array library is installed. python -m pip install numpy")
        return
    yield Table(("library", "backend", "functions"), tuple(rows), align="<<<")
    names = ", ".join(dict.fromkeys(run.function for run in report.runs))
    yield Text(
        f"Seen by calling each function on two numbers; larger arrays may go elsewhere. "
        f"The functions: {names}."
    )


def _count(functions: Sized) -> str:
    return {0: "", 1: "1 function"}.get(len(functions), f"{len(functions)} functions")


def _grouped(report: Report) -> Iterator[tuple[str, str, str]]:
    """One line for each backend of a library, `default` last, and for each reason to refuse."""
    for library in report.libraries:
        runs = [run for run in report.runs if run.library == library.name]
        groups: dict[tuple[str, str], list[str]] = {}
        for run in sorted(runs, key=lambda run: run.backend == "default"):
            key = run.backend or "refused", run.refused or ""
            groups.setdefault(key, []).append(run.function)
        name = library.name
        for (backend, reason), functions in groups.items():
            text = ", ".join(functions)
            if len(functions) == len(runs):
                text = "all functions"
            elif backend == "default":
                text = f"the other {len(functions)} functions"
            yield name, backend, text + (f" ({reason})" if reason else "")
            name = ""


def _not_tried(report: Report) -> Iterator[tuple[str, str, str]]:
    for library in report.libraries:
        if library.installed and library.error:
            yield library.name, "none", "not tried, for the error above"
