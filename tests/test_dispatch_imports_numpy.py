"""What a call imports and what it does not, and that entry points and the static table agree."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from distributions import PLUGINS, entry_points, run

from softaxis._dispatch import _registry

CHECKOUT = Path(__file__).parents[1]
CALLED = """
softaxis.softmax(x); softaxis.log_softmax(x, axis=0); softaxis.logsumexp(x)
softaxis.softmax(x, where=x > 0); softaxis.hardmax(x); softaxis.sigmoid(x)
"""


def test_the_static_table_is_what_is_published():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["entry-points"]
    published = {
        (group.removeprefix("softaxis.backends."), name): value
        for group, entries in groups.items()
        for name, value in entries.items()
    }
    assert {(s.package, s.name) for s in _registry.FIRST_PARTY} == set(published)
    assert all(group.startswith("softaxis.backends.") for group in groups)
    for source in _registry.FIRST_PARTY:
        module = published[source.package, source.name].partition(":")[0]
        code = source.load.__code__
        assert module in code.co_names
        assert published[source.package, source.name].endswith(":backend")
        assert "backend" in code.co_names
    for distribution in importlib.metadata.distributions(name="softaxis"):
        installed = {
            (entry.group, entry.name, entry.value)
            for entry in distribution.entry_points
            if entry.group.startswith("softaxis.backends.")
        }
        assert installed == {
            (group, name, value)
            for group, entries in groups.items()
            for name, value in entries.items()
        }


def test_the_entry_points_of_softaxis_itself_are_not_taken_for_third_party(tmp_path):
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / "softaxis-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: softaxis\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(entry_points(project["entry-points"]))
    seen = run(
        """
import json, softaxis
listed = [(b.name, b.origin) for b in softaxis.list_backends()]
print(json.dumps({"listed": listed}))
""",
        site=tmp_path,
    )
    names = [
        "default",
        "numba",
        "numpy",
        "torch_numba",
        "torch",
        "torch_triton",
        "jax_numba",
        "jax",
        "cupy",
        "dask",
    ]
    assert seen == {"listed": [[name, "softaxis"] for name in names], "log": []}


def test_a_plain_call_never_scans_the_environment(tmp_path):
    seen = run(
        f"""
import json, importlib.metadata
import numpy as np
def forbidden(*args, **kw):
    raise AssertionError("the environment was scanned")
importlib.metadata.entry_points = importlib.metadata.distributions = forbidden
import softaxis
x = np.ones((2, 3))
{CALLED}
softaxis.softmax([1.0, 2.0]); softaxis.get_backend("default").softmax(x)
with softaxis.backend_opts(prioritize="default", trace=True):
    softaxis.softmax(x)
softaxis.set_backends(prioritize="numpy")
explained = softaxis.explain_dispatch(softaxis.softmax, x).backend
try:
    softaxis.list_backends()
except AssertionError as error:
    listing = str(error)
print(json.dumps(dict(explained=explained, listing=listing)))
""",
        "good",
        site=tmp_path,
    )
    assert seen == {"explained": "numpy", "listing": "the environment was scanned", "log": []}


def test_an_array_of_one_package_loads_the_backend_of_no_other(tmp_path):
    """Other array packages are imported (empty stand-ins: an import would be all it takes)."""
    for package in ("torch", "jax_numba", "jax", "dask", "cupy"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("class Tensor: pass\nclass Array: pass\n")
    (tmp_path / "dask" / "array.py").write_text("class Array: pass\n")
    seen = run(
        f"""
import json, sys
import cupy, dask.array, jax, torch
import numpy as np, softaxis
x = np.ones((2, 3))
{CALLED}
loaded = [name for name in sys.modules if name.startswith("softaxis._backends.")]
others = [name for name in sys.modules if name.startswith("array_api_compat.")]
print(json.dumps(dict(loaded=loaded, others=[n for n in others if "numpy" not in n])))
""",
        site=tmp_path,
    )
    loaded = {name.split(".")[2] for name in seen["loaded"]}
    assert {name for name in loaded if not name.startswith("_")} == {"numba", "numpy"}
    kernels = "softaxis._backends._numba._machine"  # they are for arrays that are large
    assert kernels not in seen["loaded"]
    assert not {name.split(".")[1] for name in seen["others"]} & {"torch", "dask", "cupy"}


def test_importing_softaxis_imports_no_costly_module(tmp_path):
    seen = run(
        """
import json, sys
before = set(sys.modules)
import softaxis
print(json.dumps({"new": sorted(set(sys.modules) - before)}))
""",
        site=tmp_path,
    )
    costly = {
        "dataclasses",
        "inspect",
        "logging",
        "queue",
        "threading",
        "importlib.metadata",
        "array_api_compat",
        "numpy",
    }
    assert not costly & set(seen["new"])


@pytest.mark.needs_package("hatchling")
@pytest.mark.needs_package("pip")
def test_a_plugin_that_pip_installs(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for file in (PLUGINS / "good").iterdir():
        if file.is_file():
            (source / file.name).write_bytes(file.read_bytes())
    site = tmp_path / "site"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-index", "--no-build-isolation", "--target", str(site)),
            str(source),
        ],
        check=True,
        timeout=300,
        capture_output=True,
    )
    seen = run(
        """
import json, numpy as np, softaxis
x = np.array([1.0, 2.0, 4.0])
with softaxis.backend_opts(prioritize="good", trace=True) as trace:
    p = softaxis.softmax(x)
import softaxis_test_good
listed = [(b.name, b.origin, b.state) for b in softaxis.list_backends() if b.name == "good"]
print(json.dumps(dict(trace=trace, sum=float(p.sum()), listed=listed,
                      file=softaxis_test_good.__file__)))
""",
        site=site,
    )
    assert seen["trace"] == [["softaxis:softmax", "good", "ran", ""]]
    assert seen["sum"] == pytest.approx(1, abs=1e-15)
    assert seen["listed"] == [["good", "softaxis-test-good 1.0", "ready"]]
    assert Path(seen["file"]).parent == site
