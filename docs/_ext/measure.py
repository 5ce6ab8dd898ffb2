"""Hold every backend to its promises, and record the largest errors for the documentation.

`python docs/_ext/measure.py` writes docs/measured.json; with names, it replaces their records in
it. JAX counts in 64 bits where JAX_ENABLE_X64=1 says so.
"""

import json
import sys
from pathlib import Path

import softaxis
from softaxis.testing import check

FILE = Path(__file__).parents[1] / "measured.json"
SUBJECTS = {
    "numpy": ("numpy", "numpy"),
    "numba": ("numba", "numpy"),
    "torch_numba": ("torch_numba", "torch"),
    "torch": ("torch", "torch"),
    "jax_numba": ("jax_numba", "jax"),
    "jax": ("jax", "jax"),
    "dask": ("dask", "dask"),
    "default": ("default", "numpy"),
    "default-strict": ("default", "array_api_strict"),
}


def measure(backend, library):
    """Return what goes into the file, and whether the backend passed."""
    report = check(backend, library=library)
    for failure in report.failures:
        print(f"{backend}: {failure.function}, {failure.check}: {failure.reason}\n{failure.code}")
    calls = sum(one.cases for one in report.outcomes)
    print(f"{backend} on {report.library} {report.version}: {calls} calls", end=", ")
    print("as promised" if report.passed else "NOT AS PROMISED")
    (status,) = (one for one in softaxis.list_backends() if one.name == backend)
    data = report.as_json()
    kept = {key: data[key] for key in ("backend", "library", "version", "device")}
    bounds = {name: record.bound for name, record in status.functions.items()}
    worst = {name: {} for name in bounds}
    for function, dtype, error in report.measured:
        worst[function][dtype] = round(error, 4)
    return kept | {"calls": calls, "bounds": bounds, "worst": worst}, report.passed


def written():
    """Return the records in the file, by subject."""
    reports = json.loads(FILE.read_text(encoding="utf-8"))["reports"]
    found = {(one["backend"], one["library"]): one for one in reports}
    return {name: found[key] for name, key in SUBJECTS.items() if key in found}


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(SUBJECTS)
    records = written() if sys.argv[1:] else {}
    passed = True
    for name in chosen:
        records[name], as_promised = measure(*SUBJECTS[name])
        passed = passed and as_promised
    reports = [records[name] for name in SUBJECTS if name in records]
    found = {"softaxis": softaxis.__version__, "reports": reports}
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(not passed)
