"""Where compiled kernels are kept: beside the package, in the user's folder, named, or nowhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import softaxis

pytestmark = pytest.mark.needs_package("numba")

CALL = """
import numpy as np, softaxis
x = np.array([[1, 2, 3], [4, 4, 4]], "float32")
p = softaxis.get_backend("numba").softmax(x, axis=0)
want = 1 / (1 + np.exp(x[::-1] - x))
np.testing.assert_allclose(p, want, rtol=1e-6)
import sys
from softaxis._backends._numba._machine import compiled_now
print(compiled_now, "numba" in sys.modules)
"""
COMPILED = "['softmax_columns-float32'] True"
FOUND = "[] False"
WHERE = "from softaxis._backends._numba._cache import cache_folder; print(cache_folder())"
NO_PLACE = """
from softaxis._backends._numba import _cache
_cache._places = lambda: iter(())
"""


@pytest.fixture
def package(tmp_path):
    """Copy the package to where a test may write."""
    source = Path(softaxis.__file__).parent
    copy = tmp_path / "site" / "softaxis"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def start(code, package, **environment):
    home = package.parents[1] / "home"
    home.mkdir(exist_ok=True)
    clean = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    theirs = {
        "PYTHONPATH": str(package.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "LOCALAPPDATA": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=clean | theirs | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip()


def run(code, package, **environment):
    return finish(start(code, package, **environment))


def files(folder):
    return sorted(path.name for path in Path(folder).glob("**/*.o"))


def spoil_folder(package):
    """Nobody can write there, not even root: a file stands where the folder would be."""
    (package / "_backends" / "_numba" / "__pycache__").write_text("no folder")


def test_kernels_are_kept_beside_the_package_and_found_again(package):
    assert run(CALL, package) == COMPILED
    folder = Path(run(WHERE, package))
    assert folder.parent == package / "_backends" / "_numba" / "__pycache__"
    assert files(folder)
    assert run(CALL, package) == FOUND


def test_where_the_package_cannot_be_written_the_user_s_folder_serves(package):
    spoil_folder(package)
    folder = Path(run(WHERE, package))
    assert package.parents[1] / "home" in folder.parents
    assert run(CALL, package) == COMPILED
    assert files(folder)
    assert run(CALL, package) == FOUND


def test_numba_s_variable_names_the_folder(package, tmp_path):
    chosen = str(tmp_path / "chosen")
    assert Path(run(WHERE, package, NUMBA_CACHE_DIR=chosen)).parent == Path(chosen)
    assert run(CALL, package, NUMBA_CACHE_DIR=chosen) == COMPILED
    assert files(chosen)
    assert not (package / "_backends" / "_numba" / "__pycache__").exists()
    assert run(CALL, package, NUMBA_CACHE_DIR=chosen) == FOUND


def test_the_folder_of_other_functions_is_left_alone(package):
    code = "import softaxis._backends._numba._entries; from numba import config; "
    assert run(code + "print(config.CACHE_DIR)", package) == ""


def test_without_any_place_they_are_compiled_and_not_kept(package):
    assert run(NO_PLACE + WHERE, package) == "None"
    assert run(NO_PLACE + CALL, package) == COMPILED
    assert not files(package.parents[1])


def test_two_processes_that_compile_at_once(package):
    both = [start(CALL, package) for _ in range(2)]
    assert all(finish(one) in {COMPILED, FOUND} for one in both)
    assert run(CALL, package) == FOUND


@pytest.mark.parametrize("name", ["_exp.py", "_walk.py", "_entries.py"])
def test_another_source_has_another_folder(package, name):
    before = run(WHERE, package)
    with (package / "_backends" / "_numba" / name).open("a") as source:
        source.write("# another line\n")
    assert run(WHERE, package) != before


SPOILT = {
    "empty": lambda content: b"",
    "nonsense": lambda content: b"nonsense" * 9,
    "cut short": lambda content: content[:-1],
}


def test_what_is_kept_and_spoilt_is_compiled_again(package):
    assert run(CALL, package) == COMPILED
    (kept,) = Path(run(WHERE, package)).glob("*.o")
    for how, spoil in SPOILT.items():  # in turn: whatever is found was compiled after the last one
        kept.write_bytes(spoil(kept.read_bytes()))
        assert run(CALL, package) == COMPILED, how
        assert run(CALL, package) == FOUND, how
