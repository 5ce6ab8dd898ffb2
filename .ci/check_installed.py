"""Call an installed softaxis as a stranger does: python check_installed.py bare|numpy|cli|test.

`bare`: an environment that holds softaxis and array-api-compat, and no array library.
`numpy`: the same after `pip install softaxis[numpy]`.  `cli`: after `pip install softaxis[cli]`.
`test`: after `pip install softaxis[cli,test]`.
"""

import subprocess
import sys
from importlib.metadata import entry_points, files
from importlib.util import find_spec
from pathlib import Path

import softaxis

CUDA = ("rows.cu", "memory.cuh", "numbers.cuh", "team.cuh")
ARRAY_LIBRARIES = ("numpy", "torch", "jax", "cupy", "dask")


def bare():
    assert not any(map(find_spec, ARRAY_LIBRARIES)), "the environment is not empty"
    assert all(hasattr(softaxis, name) for name in softaxis.__all__)
    assert {backend.state for backend in softaxis.list_backends()} <= {"missing", "ready"}
    assert "softaxis/py.typed" in map(str, files("softaxis"))
    for package in ARRAY_LIBRARIES:
        for entry in entry_points(group=f"softaxis.backends.{package}"):
            assert entry.value == f"softaxis._backends.{entry.name}:backend"
        assert package in entry_points(group=f"softaxis.backends.{package}").names
    installed = {str(path).rpartition("/_backends/")[2] for path in files("softaxis")}
    assert "_numba/_entries.py" in installed
    assert {f"_cupy/{name}" for name in CUDA} <= installed
    try:
        softaxis.softmax([1.0, 2.0, 3.0])
    except ImportError as error:
        message = str(error)
    else:
        raise AssertionError("softmax of a list ran without NumPy")
    assert "pip install numpy" in message, f"no way out in: {message}"
    print(f"without an array library: {message}")
    refused = command("explain", "--", "-1", "1", "2", "3")
    assert refused.returncode == 2, refused
    assert "pip install" in refused.stderr, f"no way out in: {refused.stderr}"
    assert "Traceback" not in refused.stderr, refused.stderr
    listed = command("backends", "--json")
    assert listed.returncode == 0, listed.stderr
    assert '"missing"' in listed.stdout


def numpy():
    import numpy as np

    result = softaxis.softmax(np.asarray([0.0, 0.9, 0.1]))
    assert np.allclose(result, [0.219, 0.539, 0.242], rtol=0, atol=5e-4), result
    print(softaxis.explain_dispatch(softaxis.softmax, result))


def cli():
    shown = command("explain", "--", "-1", "1", "2", "3")
    assert shown.returncode == 0, shown.stderr
    assert all(number in shown.stdout for number in ("0.01", "0.09", "0.24", "0.66", "30.56"))


def test():
    for arguments in (
        ("test", "numpy"),
        ("test", "default", "--function", "cross_entropy"),
        ("test", "default", "--library", "array_api_strict", "--function", "softmax"),
        ("doctor", "numpy"),
        ("compare", "softmax", "--shape", "64", "64", "--plot", "compare.png"),
    ):
        done = command(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "softaxis numpy" in done.stdout
    assert Path("compare.png").stat().st_size > 10_000
    kit = ("-p", "softaxis.testing.plugin", "--pyargs", "softaxis.testing.conformance")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *kit, "--softaxis-backend", "numpy"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    print(ran.stdout.splitlines()[-1])


def command(*arguments):
    """Run the script `softaxis` that the installation put beside this interpreter."""
    script = Path(sys.executable).with_name("softaxis")
    return subprocess.run([script, *arguments], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    assert Path(softaxis.__file__).is_relative_to(sys.prefix), "softaxis comes from a checkout"
    {"bare": bare, "numpy": numpy, "cli": cli, "test": test}[sys.argv[1]]()
