"""What is installed and what would run, as data; ``backends --json`` prints it as it is."""

import inspect
import platform
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import softaxis
from softaxis._cli._libraries import DEVICES, Library, inspect_library, namespace, one_line


@dataclass(frozen=True)
class Run:
    """Which backend ran a function on a tiny array, or why none did."""

    library: str
    function: str
    backend: str | None
    refused: str | None


@dataclass(frozen=True)
class Report:
    """All that ``backends`` says."""

    libraries: tuple[Library, ...]
    backends: tuple[softaxis.BackendStatus, ...]
    runs: tuple[Run, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain dicts and lists; keys are only ever added."""
        runs: dict[str, dict[str, Any]] = {library.name: {} for library in self.libraries}
        for run in self.runs:
            runs[run.library][run.function] = {"backend": run.backend, "refused": run.refused}
        return {
            "softaxis": softaxis.__version__,
            "python": platform.python_version(),
            "libraries": [asdict(library) for library in self.libraries],
            "backends": [_status(backend) for backend in self.backends],
            "runs": runs,
        }


def _status(backend: softaxis.BackendStatus) -> dict[str, Any]:
    functions = {name: each._asdict() for name, each in backend.functions.items()}
    return backend._asdict() | {"functions": functions}


def report() -> Report:
    """Look at every library and backend; what is broken becomes a line of the report."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backends = tuple(softaxis.list_backends(load=True))
        packages = [each.package for each in backends if each.name != "default"]
        libraries = tuple(inspect_library(name) for name in dict.fromkeys([*DEVICES, *packages]))
        usable = [each.name for each in libraries if each.installed and not each.error]
        runs = tuple(_run(name, function) for name in usable for function in functions(backends))
    return Report(libraries, backends, runs)


def functions(backends: Sequence[softaxis.BackendStatus]) -> list[Callable[..., Any]]:
    """Return the public functions that are dispatched: `default` implements them all."""
    default = next(each for each in backends if each.name == "default")
    return [getattr(softaxis, name) for name in sorted(default.functions)]


def _run(library: str, function: Callable[..., Any]) -> Run:
    """Call the function on two numbers and see where it goes."""
    name = function.__name__
    try:
        explanation = softaxis.explain_dispatch(function, *_arrays(namespace(library), function))
    except Exception as error:  # noqa: BLE001 - a broken library is a line of the report
        return Run(library, name, None, one_line(error))
    if explanation.backend:
        return Run(library, name, explanation.backend, None)
    reasons = "; ".join(f"{tried}: {reason}" for tried, _, reason in explanation.candidates)
    return Run(library, name, None, reasons)


def _arrays(xp: Any, function: Callable[..., Any]) -> list[Any]:
    """Make up the positional arguments: vectors, except for what a reduction returns."""
    parameters = inspect.signature(function).parameters.values()
    names = [each.name for each in parameters if each.kind is each.POSITIONAL_ONLY]
    reduced = {"lse", "g"} if "lse" in names else set()
    return [xp.asarray(0.5 if name in reduced else [0.25, 0.75]) for name in names]
