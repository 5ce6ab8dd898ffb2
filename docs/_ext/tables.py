"""The tables of libraries and backends, as Markdown, made from the records and from nothing else.

What a backend can do comes from its capability records, what a library can do from the classes that
run the tests on it, and what is refused from the package's own list. `python docs/_ext/tables.py`
prints the table of the README; a test compares the two.
"""

import json
import sys
from pathlib import Path

import softaxis

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from libraries import LIBRARIES  # the table that the tests run by

MEASURED = Path(__file__).parents[1] / "measured.json"
TITLES = {
    "numpy": "NumPy",
    "torch": "PyTorch",
    "jax": "JAX",
    "cupy": "CuPy",
    "dask": "Dask",
    "strict": "array-api-strict",
    "ndonnx": "ndonnx (ONNX)",
    "sparse": "pydata/sparse",
}
SHORT = {
    "longdouble": "`longdouble`",
    "bfloat16": "`bfloat16`",
    "float16": "`float16`",
    "complex64": "complex",
}
HEAD = ["arrays of", "a backend of their own", "array-API implementation", "the library"]
NOT_HERE = "not installed here"


def table(head, rows):
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def backends():
    """Return every first-party backend that can be loaded here, by name."""
    found = softaxis.list_backends(load=True)
    return {each.name: each for each in found if each.origin == "softaxis"}


def names(functions):
    """Name functions, in the order of the public list."""
    return ", ".join(f"`{name}`" for name in softaxis.__all__ if name in functions)


def own(library):
    """Say what runs on a backend made for this library."""
    backend = backends().get(library)
    if not LIBRARIES[library][0].computes or backend is None:
        return "none"
    if backend.state == "missing":
        return NOT_HERE
    if not backend.functions:
        return f"`{library}`: none yet"
    everything = backend.functions.keys() == backends()["default"].functions.keys()
    return f"`{library}`: {'all functions' if everything else names(backend.functions)}"


def rest(library):
    """Say what runs on the array-API implementation."""
    if not LIBRARIES[library][0].computes:
        return "refused"
    backend = backends().get(library)
    every = backends()["default"].functions.keys()
    if backend is not None and backend.state == "missing":
        return NOT_HERE
    if backend is None or not backend.functions:
        return "all functions"
    left = len(every - backend.functions.keys())
    return f"the other {left}" if left else "none needed"


def remarks(library):
    """Say what the library has or lacks, as the tests know it."""
    kind = LIBRARIES[library][0]
    if not kind.computes:
        return kind.why_not
    lacking = [text for name, text in SHORT.items() if name not in kind.dtypes]
    found = [f"no {', '.join(lacking)}"] if lacking else []
    if kind.immutable:
        found.append("immutable: no `out`")
    if kind.lazy:
        found.append("lazy: nothing is computed")
    if kind.flushes_subnormals:
        found.append("flushes subnormals to 0")
    return "; ".join(found)


def readme():
    """Return the table of the README."""
    rows = [[title, own(key), rest(key), remarks(key)] for key, title in TITLES.items()]
    return table(HEAD, [*rows, ["any other array-API library", "yours?", "all functions", ""]])


def libraries():
    """Return the table of libraries, with the session of nox that tests each of them."""
    rows = [
        [title, own(key), rest(key), remarks(key), f"`tests({key})`"]
        for key, title in TITLES.items()
    ]
    return table([*HEAD, "nox session"], rows)


def capabilities():
    """Return the capability records; functions of a backend that share one share a row."""
    head = ["backend", "functions", "dtypes", "derivatives", "traced", "lazy", "remarks"]
    rows = []
    for backend in backends().values():
        groups = {}
        for name, record in backend.functions.items():
            groups.setdefault(record, []).append(name)
        for record, functions in groups.items():
            rows.append([f"`{backend.name}`", *_capability(record, functions)])
        if not groups:
            reason = NOT_HERE if backend.state == "missing" else "no functions of its own yet"
            rows.append([f"`{backend.name}`", "", "", "", "", "", reason])
    return table(head, rows)


def dtypes(names):
    """Name dtypes, the widths of the integers taken together."""
    text = ", ".join(f"`{name}`" for name in names)
    for kind in ("int", "uint"):
        widths = ", ".join(f"`{kind}{width}`" for width in (8, 16, 32, 64))
        text = text.replace(widths, f"`{kind}8` to `{kind}64`")
    return text


def _capability(record, functions):
    every = backends()["default"].functions.keys()
    limits = []
    if record.min_size:
        limits.append(f"from {record.min_size:,} elements")
    if record.devices:
        limits.append(f"on {', '.join(record.devices)}")
    if record.notes:
        limits.append(record.notes)
    return [
        "all" if set(functions) == every else names(functions),
        "any" if record.dtypes is None else dtypes(record.dtypes),
        *("yes" if flag else "no" for flag in (record.differentiable, record.traceable)),
        "yes" if record.lazy else "no",
        "; ".join(limits),
    ]


def refusals():
    """Return what is refused, with the way out."""
    from softaxis._libraries._refusals import _REFUSED, _REFUSED_BY_DEFAULT

    rows = []
    for module, classes, hint in (*_REFUSED, *_REFUSED_BY_DEFAULT):
        reason, _, way_out = hint.rpartition(". ")
        names_ = ", ".join(f"`{module}.{name}`" for name in classes)
        rows.append([names_, reason, way_out[:1].upper() + way_out[1:]])
    return table(["type", "because", "instead"], rows)


def functions():
    """Return which backend takes which function, for arrays of each library."""
    every = backends()["default"].functions
    columns = [name for name in backends() if name != "default"]
    rows = []
    for name in (one for one in softaxis.__all__ if one in every):
        taken = [
            f"`{column}`" if name in backends()[column].functions else "`default`"
            for column in columns
        ]
        rows.append([f"`{name}`", *taken, "`default`"])
    return table(
        [
            "function",
            *(TITLES.get(column) or _beside(column) for column in columns),
            "any other",
        ],
        rows,
    )


def _beside(backend):
    """Name a backend that is not called as its library is."""
    return f"{TITLES[backends()[backend].package]}, `{backend}`"


def measured():
    """Return the largest errors that the conformance kit measured, beside the declared bounds."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    kinds = ("float16", "bfloat16", "float32", "float64", "longdouble")
    rows = []
    for report in found["reports"]:
        name, library = report["backend"], TITLES.get(report["library"], report["library"])
        for function, worst in report["worst"].items():
            numbers = [f"{worst[kind]:.2f}" if kind in worst else "" for kind in kinds]
            bound = f"{report['bounds'][function]:g}"
            rows.append([f"`{name}`", f"{library} {report['version']}", f"`{function}`"])
            rows[-1] += [bound, *numbers]
    head = ["backend", "arrays", "function", "declared", *(f"`{kind}`" for kind in kinds)]
    return table(head, rows)


TABLES = {
    "functions": functions,
    "measured": measured,
    "libraries": libraries,
    "capabilities": capabilities,
    "refusals": refusals,
    "readme": readme,
}

if __name__ == "__main__":
    print(TABLES[sys.argv[1] if len(sys.argv) > 1 else "readme"]())
