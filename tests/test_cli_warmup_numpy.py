"""`softaxis warmup`: every kernel is compiled ahead, and says so; where it cannot, it says why."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

needs_numba = pytest.mark.needs_package("numba")
KERNELS = "--function", "log_softmax", "--dtype", "float64"


def warmup(*options, prelude="", status=0, **environment):
    """Run the command in a process of its own."""
    code = (
        f"{prelude}\n"
        f"import sys; from softaxis.__main__ import main; sys.exit(main(['warmup', *{options!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


@needs_numba
def test_kernels_are_compiled_once_and_no_call_compiles_afterwards(tmp_path):
    folder = {"NUMBA_CACHE_DIR": str(tmp_path)}
    first = warmup(*KERNELS, **folder).splitlines()
    assert first[0].startswith(f"The kernels are kept in {tmp_path}")
    assert first[1].split()[:2] == ["log_softmax", "float64"]
    assert first[1].endswith(" s")
    # small rows, jobs of three sorts, and columns; four by which threads share a task; and what
    # XLA calls, there and back
    expected = 9 if find_spec("jax") is None else 11
    assert first[2].startswith(f"{expected} compiled")
    again = warmup(*KERNELS, **folder).splitlines()
    assert again[1].endswith("was there")
    assert again[2].startswith("0 compiled in ")
    assert len(first) == len(again) == 3
    code = """
import numpy as np, softaxis
backend = softaxis.get_backend("numba")
for shape in [(3, 4), (3, 9000), (900, 700)]:
    x = np.ones(shape)
    for a in (x, x.T, x[::-1, ::2]):
        backend.log_softmax(a, axis=0)
        backend.log_softmax(a, axis=1, where=a > 0, out=np.empty_like(a))
        backend.log_softmax(a, axis=None, temperature=3)
        backend.log_softmax(a, axis=1, temperature=a[:, :1])
        backend.log_softmax(a, axis=1, sink=0)
        backend.log_softmax(a, axis=0, sink=a[0])
from softaxis._backends._numba._machine import compiled_now
print(compiled_now)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | folder,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == "[]\n"


@needs_numba
def test_every_function_and_dtype_has_its_line():
    lines = warmup().splitlines()
    from softaxis._backends.numba import backend

    expected = [[name, d] for name in backend.functions for d in ("float32", "float64", "float16")]
    assert [line.split()[:2] for line in lines[1:-1]] == expected


def test_numba_is_not_there():
    hidden = "import sys; sys.modules['numba'] = None"
    text = warmup(prelude=hidden, status=1)
    assert text.startswith("softaxis warmup: backend 'numba' (softaxis) cannot be loaded")
    assert "pip install 'softaxis[numba]'" in text
    assert text.count("\n") == 1


@needs_numba
def test_there_is_no_place():
    nowhere = """
from softaxis._backends._numba import _cache
_cache._places = lambda: iter(())
"""
    text = warmup(prelude=nowhere, status=1)
    assert "there is no place to keep compiled kernels" in text
    assert "NUMBA_CACHE_DIR" in text


@needs_numba
@pytest.mark.parametrize(
    ("options", "name"), [(("--function", "hardmax"), "softmax"), (("--dtype", "int8"), "float32")]
)
def test_what_is_not_known_is_refused(options, name):
    text = warmup(*options, status=2)
    assert f"`{options[0]}` must be one of" in text
    assert name in text
    assert f"got {options[1]!r}" in text
