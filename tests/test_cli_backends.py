"""`softaxis backends`: libraries, backends, and who runs what; as a page and as JSON."""

import inspect
import json
import subprocess
import sys

import pytest

import softaxis

pytestmark = pytest.mark.skipif(
    "config.getoption('--library') != 'numpy'", reason="one run of the command line is enough"
)

LIBRARIES = ["numpy", "torch", "jax", "cupy", "dask", "array_api_strict", "sparse", "ndonnx"]


def backends(*options, hidden=(), prelude=""):
    """Run `softaxis backends` in a process of its own, with some packages hidden."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({list(hidden)!r})); {prelude}\n"
        f"from softaxis.__main__ import main; sys.exit(main(['backends', *{list(options)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def found():
    return json.loads(backends("--json"))


def test_the_shape_of_the_json(found):
    assert list(found) == ["softaxis", "python", "libraries", "backends", "runs"]
    assert found["softaxis"] == softaxis.__version__
    assert [library["name"] for library in found["libraries"]] == LIBRARIES
    for library in found["libraries"]:
        assert list(library) == ["name", "installed", "version", "devices", "note", "error"]
    for backend in found["backends"]:
        assert {"name", "package", "origin", "state", "reason", "functions"} <= set(backend)
    for runs in found["runs"].values():
        assert all(set(run) == {"backend", "refused"} for run in runs.values())


BESIDES = ("softaxis._dispatch", "softaxis._compare", "softaxis._threads")


def public_functions():
    """Name the public functions that are dispatched."""
    functions = [getattr(softaxis, name) for name in softaxis.__all__]
    return [
        each.__name__
        for each in functions
        if inspect.isfunction(each) and not each.__module__.startswith(BESIDES)
    ]


def test_numpy_is_listed_and_runs_everything(found):
    assert set(found["runs"]["numpy"]) == set(public_functions())
    numpy = found["libraries"][0]
    assert numpy["installed"]
    assert numpy["version"] == sys.modules["numpy"].__version__
    assert numpy["devices"] == ["cpu"]
    for run in found["runs"]["numpy"].values():
        assert run["backend"] in {"numpy", "default"}
        assert run["refused"] is None


def test_every_installed_library_runs_or_says_why(found):
    names = set(public_functions())
    for library in found["libraries"]:
        runs = found["runs"][library["name"]]
        assert set(runs) == (names if library["installed"] and not library["error"] else set())
        assert all((run["backend"] is None) != (run["refused"] is None) for run in runs.values())


def test_the_backends_are_those_of_list_backends(found):
    listed = {(backend["name"], backend["package"]) for backend in found["backends"]}
    assert listed == {(status.name, status.package) for status in softaxis.list_backends()}
    default = next(backend for backend in found["backends"] if backend["name"] == "default")
    assert default["state"] == "ready"


def test_the_page():
    hidden = [name for name in LIBRARIES if name not in {"numpy", "array_api_strict"}]
    page = backends(hidden=hidden)
    assert page.startswith(f"softaxis {softaxis.__version__}, Python 3.")
    for name in [*LIBRARIES, "default", *public_functions()]:
        assert name in page


def test_without_any_array_library():
    page = backends(hidden=LIBRARIES)
    assert page.count("not installed") >= len(LIBRARIES)
    assert "Nothing yet: no array library is installed. python -m pip install numpy" in page
    found = json.loads(backends("--json", hidden=LIBRARIES))
    assert not any(library["installed"] for library in found["libraries"])
    assert not any(found["runs"].values())


def test_a_broken_library_is_a_line(tmp_path):
    (tmp_path / "sparse.py").write_text("raise RuntimeError('no such luck\\nsecond line')\n")
    prelude = f"sys.path.insert(0, {str(tmp_path)!r})"
    hidden = [name for name in LIBRARIES if name not in {"numpy", "sparse"}]
    found = json.loads(backends("--json", hidden=hidden, prelude=prelude))
    sparse = next(library for library in found["libraries"] if library["name"] == "sparse")
    assert sparse["installed"]
    assert sparse["error"] == "RuntimeError: no such luck"
    assert found["runs"]["sparse"] == {}
    assert found["runs"]["numpy"]
    assert "not tried, for the error above" in backends(hidden=hidden, prelude=prelude)
