"""The kernels of `numba` on tensors, by PyTorch's own threads."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.needs_package("numba")
PRELUDE = """
import faulthandler, os, threading
faulthandler.dump_traceback_later(100, exit=True)
import torch, softaxis
from softaxis._backends import _torch_team
torch.set_num_threads(2)
softaxis.set_num_threads(4)
x = torch.randn(700, 300, generator=torch.Generator().manual_seed(0)) * 3
long = x.reshape(1, -1)
has_team = _torch_team._parallel() is not None

def compute():
    one, y = x.clone().requires_grad_(), torch.arange(700) % 300
    softaxis.cross_entropy(one, y, reduction="sum").backward()
    return softaxis.softmax(x), softaxis.log_softmax(long), softaxis.logsumexp(x, axis=0), one.grad

def same(results, expected):
    return all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))

def ours():
    return [t for t in threading.enumerate() if t.name.startswith("softaxis-")]
"""


def run(code):
    """Run a program to its end, which must come, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + code],
        capture_output=True,
        encoding="utf-8",
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_team_is_pytorchs_and_changes_no_bits():
    run("""
expected = compute()
assert bool(ours()) != has_team
torch.set_num_threads(1)
assert same(compute(), expected)
torch.set_num_threads(3)
assert same(compute(), expected)
""")


def test_pytorch_has_a_team_where_it_comes_from_a_wheel_for_linux():
    if sys.platform != "linux":
        pytest.skip("NOT RUN: PyTorch has another OpenMP here")
    assert run("print(has_team)") == "True\n"


def test_softaxis_may_be_allowed_fewer_threads_than_pytorch():
    run("""
expected = compute()
softaxis.set_num_threads(1)
assert same(compute(), expected)
torch.set_num_threads(4)
softaxis.set_num_threads(2)
assert same(compute(), expected)
assert ours()  # for a team of four is more than is allowed
""")


def test_calls_from_several_threads_at_once():
    run("""
from concurrent.futures import ThreadPoolExecutor
expected = compute()
with ThreadPoolExecutor(4) as pool:
    assert all(pool.map(lambda _: same(compute(), expected), range(40)))
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT RUN: there is no fork here")
def test_a_forked_process_does_not_wait_for_the_threads_of_its_parent():
    run("""
import numpy as np  # an operator of PyTorch's that uses its threads would wait for them

def same(results, expected):
    return all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(results, expected))

forward = lambda: (softaxis.softmax(x), softaxis.log_softmax(long), softaxis.logsumexp(x, axis=0))
expected = forward()
pid = os.fork()
if pid == 0:
    code = 1
    try:
        code = 0 if same(forward(), expected) and ours() else 2
    finally:
        os._exit(code)
assert os.waitpid(pid, 0)[1] == 0
assert same(forward(), expected)
""")
