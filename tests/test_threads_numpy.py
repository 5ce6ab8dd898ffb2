"""How many threads compiled kernels use, and calls from several threads and in forked processes."""

import ctypes
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import softaxis

needs_numba = pytest.mark.needs_package("numba")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(autouse=True)
def threads():
    before = softaxis.get_num_threads()
    yield
    softaxis.set_num_threads(before)


def run(code, *, timeout=120, **environment):
    """Run a program to its end, which must come, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_what_is_set_is_had():
    for n in (1, 3, 200):
        softaxis.set_num_threads(n)
        assert softaxis.get_num_threads() == n


@pytest.mark.parametrize("n", [0, -1])
def test_there_is_at_least_one_thread(n):
    before = softaxis.get_num_threads()
    with pytest.raises(ValueError, match="`n` must be at least 1, got"):
        softaxis.set_num_threads(n)
    assert softaxis.get_num_threads() == before


@pytest.mark.parametrize("n", [True, 2.0, "2", None])
def test_the_number_is_an_integer(n):
    with pytest.raises(TypeError, match="`n` must be an int, got"):
        softaxis.set_num_threads(n)


PRINTS = "import softaxis; print(softaxis.get_num_threads())"


def test_the_environment_says_how_many():
    assert run(PRINTS, SOFTAXIS_NUM_THREADS="3") == "3\n"
    assert run(PRINTS, SOFTAXIS_NUM_THREADS=" 5 ") == "5\n"
    changed = PRINTS.replace("print", "softaxis.set_num_threads(2); print")
    assert run(changed, SOFTAXIS_NUM_THREADS="3") == "2\n"


def test_else_it_is_the_number_of_processors_that_the_process_may_use():
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert run(PRINTS, SOFTAXIS_NUM_THREADS="") == f"{n}\n"


@pytest.mark.parametrize("value", ["0", "-2", "two", "2.5"])
def test_a_bad_value_is_one_line_of_the_log(value):
    code = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
import softaxis
n = softaxis.get_num_threads()
assert n == softaxis.get_num_threads() >= 1
"""
    expected = (
        f"softaxis: SOFTAXIS_NUM_THREADS must be an integer of at least 1, got {value!r}; "
        "it is ignored\n"
    )
    assert run(code, SOFTAXIS_NUM_THREADS=value) == expected


def share(part, units, parts, count):
    """Let threads call `part` with the first and the last of some units, and the next one."""
    team = pytest.importorskip("softaxis._backends._numba._team")
    words = [ctypes.c_longlong] * 6

    @ctypes.CFUNCTYPE(ctypes.c_longlong, *words)
    def kernel(job, start, stop, together, scratch, notes):
        assert ctypes.string_at(job) == b"a job"
        assert scratch % 64 == 0
        part(start, stop)
        return 0

    team.share(
        ctypes.cast(kernel, ctypes.c_void_p).value, b"a job\0", units, parts, count, (64, 1), None
    )


@needs_numba
@pytest.mark.parametrize("count", [2, 7, 40])
@pytest.mark.parametrize("parts", [1, 2, 5, 100])
def test_every_unit_is_computed_once(parts, count):
    seen = []
    share(lambda start, stop: seen.extend(range(start, stop)), 100, parts, count)
    assert sorted(seen) == list(range(100))


@needs_numba
def test_helpers_help_awake_and_asleep():
    """Two parts that wait for each other are only done by two threads."""
    for pause in (0, 0, 0.02, 0, 0.0001, 0.0002, 0.0003, 0.02):
        time.sleep(pause)
        meeting = threading.Barrier(2, timeout=60)
        share(lambda *_, meeting=meeting: meeting.wait(), 2, 2, 2)
        assert not meeting.broken


@needs_numba
def test_a_helper_falls_asleep():
    from softaxis._backends._numba import _layout, _team

    share(lambda *_: None, 9, 9, 3)
    deadline = time.monotonic() + 60
    while _team._pool[0].words[:: _layout.BOX].any():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@needs_numba
def test_a_part_may_share_its_own_work():
    seen = []

    def outer(i, _):
        share(lambda start, _: seen.append((i, start)), 6, 6, 3)

    share(outer, 30, 30, 3)
    assert sorted(seen) == [(i, j) for i in range(30) for j in range(6)]


@needs_numba
def test_tasks_of_several_threads_are_not_mixed():
    """Each of them takes helpers from the others, and its task out of boxes that others use."""

    def calls(i):
        for n in range(1, 200):
            seen = []
            share(lambda start, stop, seen=seen: seen.extend(range(start, stop)), n, n % 7 + 1, 3)
            assert sorted(seen) == list(range(n)), (i, n)
        return True

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(calls, range(6))) == [True] * 6


def numbers():
    rng = np.random.default_rng(0)
    return [
        (rng.standard_normal(shape) * 3).astype("float32")
        for shape in [(700, 300), (3, 90_000), (1, 300_000)]
    ]


@needs_numba
def test_calls_from_several_threads_at_once():
    backend = softaxis.get_backend("numba")
    arrays = numbers()
    softaxis.set_num_threads(1)
    expected = [backend.softmax(x, axis=axis) for x in arrays for axis in (0, 1)]
    softaxis.set_num_threads(3)
    begin = threading.Barrier(8)

    def calls(_):
        begin.wait()
        for _ in range(5):
            results = [backend.softmax(x, axis=axis) for x in arrays for axis in (0, 1)]
            for got, want in zip(results, expected, strict=True):
                np.testing.assert_array_equal(got, want)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(calls, range(8))) == [True] * 8


@needs_numba
def test_first_calls_from_several_threads_at_once():
    """A process of its own, where nothing is loaded, and all of them load and compile."""
    code = """
import threading, numpy as np, softaxis
backend = softaxis.get_backend("numba")
x = np.arange(12, dtype="float32").reshape(3, 4)
found, begin = [], threading.Barrier(8)
def call():
    begin.wait()
    found.append((backend.softmax(x), backend.softmax(x, axis=0), backend.logsumexp(x, axis=1)))
threads = [threading.Thread(target=call) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
assert len(found) == 8
for one in found:
    for got, want in zip(one, found[0]):
        np.testing.assert_array_equal(got, want)
"""
    run(code, timeout=300)


PRELUDE = """
import faulthandler, multiprocessing, os, sys, threading
faulthandler.dump_traceback_later(100, exit=True)
import numpy as np, softaxis
softaxis.set_num_threads(3)
softaxis.set_backends(prioritize="numba")
x = (np.random.default_rng(0).standard_normal((700, 300)) * 3).astype("float32")
long = x.reshape(1, -1)

def compute(_=None):
    return softaxis.softmax(x, axis=1), softaxis.softmax(x, axis=0), softaxis.softmax(long)

def same(results, expected):
    return all(np.array_equal(a, b) for a, b in zip(results, expected, strict=True))

def forked(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]
"""
FORKS = {
    "after the pool has run": """
expected = compute()
assert forked(lambda: same(compute(), expected)) == 0
assert same(compute(), expected)
""",
    "before the first call": """
assert forked(lambda: len(compute()) == 3) == 0
expected = compute()
assert forked(lambda: same(compute(), expected)) == 0
""",
    "of a fork": """
expected = compute()
assert forked(lambda: forked(lambda: same(compute(), expected)) == 0 and
              same(compute(), expected)) == 0
""",
    "while others compute": """
expected = compute()
stop, wrong = threading.Event(), []
def busy():
    while not stop.is_set():
        if not same(compute(), expected):
            wrong.append(1)
threads = [threading.Thread(target=busy) for _ in range(3)]
for t in threads: t.start()
try:
    for _ in range(25):
        assert forked(lambda: same(compute(), expected)) == 0
finally:
    stop.set()
for t in threads: t.join()
assert not wrong
""",
    "by multiprocessing": """
expected = compute()
with multiprocessing.get_context("fork").Pool(3) as pool:
    found = pool.map(compute, range(6))
assert all(same(one, expected) for one in found)
""",
    "from a helper": """
import ctypes
from softaxis._backends._numba import _team
expected = compute()
meeting, found = threading.Barrier(2, timeout=60), []
@ctypes.CFUNCTYPE(ctypes.c_longlong, *[ctypes.c_longlong] * 6)
def part(*_):
    meeting.wait()
    found.append(forked(lambda: same(compute(), expected)))
    return 0
_team.share(ctypes.cast(part, ctypes.c_void_p).value, b"", 2, 2, 2, (0, 0), None)
assert found == [0, 0]
""",
}


@needs_fork
@needs_numba
@pytest.mark.parametrize("when", FORKS)
def test_forks(when):
    run(PRELUDE + FORKS[when] + "print('done')", timeout=150)


@needs_numba
def test_the_interpreter_ends_quietly():
    assert run(PRELUDE + "compute(); print('done')") == "done\n"
    with_a_busy_thread = """
compute()
def busy():
    while True:
        compute()
threading.Thread(target=busy, daemon=True).start()
print('done')
"""
    assert run(PRELUDE + with_a_busy_thread) == "done\n"


@needs_numba
def test_calls_while_the_interpreter_ends():
    code = """
import atexit
expected = compute()
atexit.register(lambda: print(same(compute(), expected)))
"""
    assert run(PRELUDE + code) == "True\n"


@needs_fork
@needs_numba
def test_a_fork_while_another_thread_compiles(tmp_path):
    """The fork waits, so that the child does not find the compiler's lock held for ever."""
    code = """
import os, threading, time
import numpy as np, softaxis
backend = softaxis.get_backend("numba")
x = np.ones((3, 5), "float32")
compiling = threading.Thread(target=lambda: backend.softmax(x, axis=0))
import softaxis._backends._numba._engine
compiling.start()
time.sleep(0.5)
pid = os.fork()
if pid == 0:
    code = 1
    try:
        code = 0 if np.allclose(backend.softmax(x, axis=0), 1 / 3) else 2
    finally:
        os._exit(code)
assert os.waitpid(pid, 0)[1] == 0
compiling.join()
"""
    run(code, NUMBA_CACHE_DIR=str(tmp_path), timeout=300)
