"""Our own backends, held to what they promise by the kit that strangers use."""

import pytest

import softaxis
from softaxis.testing import check

# The package whose arrays are made, and the backends that are tried on them.
SUBJECTS = {
    "numpy": ("numpy", ["numpy", "numba", "default"]),
    "strict": ("array_api_strict", ["default"]),
    "torch": ("torch", ["torch", "default"]),
    "jax": ("jax", ["jax"]),
    "dask": ("dask", ["dask", "default"]),
    "ndonnx": ("ndonnx", ["default"]),
}


def pytest_generate_tests(metafunc):
    package, names = SUBJECTS.get(metafunc.config.getoption("--library"), (None, []))
    statuses = {one.name: one for one in softaxis.list_backends(load=True)}
    cases = [
        pytest.param(name, package, function, id=f"{name}-{function}")
        for name in names
        for function in statuses[name].functions
    ]
    metafunc.parametrize(("backend", "package", "function"), cases)


def test_the_promises_are_kept(backend, package, function):
    report = check(backend, library=package, functions=[function])
    assert report.passed, "\n".join(f"{one.reason}\n{one.code}" for one in report.failures)
    assert report.library == package
    assert sum(one.cases for one in report.outcomes) > 5
    assert all(0 <= worst <= 1 for *_, worst in report.measured)
