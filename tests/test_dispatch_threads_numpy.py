"""Threads: each sees its own options, and a backend is loaded once however many ask at once."""

import sys
import threading
from collections import Counter

import numpy as np
import pytest
from distributions import run

import softaxis

X = np.array([[1.0, 2.0], [0.0, -1.0]])
THREADS, ROUNDS = 8, 150


@pytest.fixture(autouse=True)
def _frequent_switches():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)
    softaxis.set_backends()


def in_threads(*targets):
    """Run each target in a thread, all starting at once; raise what the first one raised."""
    barrier, errors = threading.Barrier(len(targets)), []

    def run_one(target):
        barrier.wait(60)
        try:
            target()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            errors.append(error)

    threads = [threading.Thread(target=run_one, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if errors:
        raise errors[0]


def expect(trace, *names):
    """Assert that the calls of one thread, and only those, were recorded, in order."""
    assert [name for _, name, _, _ in trace] == list(names)
    trace.clear()


def switching(mine, other):
    """Nest, leave and re-enter blocks; after every call look who ran."""

    def work():
        for _ in range(ROUNDS):
            with softaxis.backend_opts(prioritize=mine, trace=True) as trace:
                softaxis.softmax(X)
                expect(trace, mine)
                with softaxis.backend_opts(prioritize=other):
                    softaxis.softmax(X)
                    softaxis.softmax(X, axis=0)
                expect(trace, other, other)
                with softaxis.backend_opts(disable=[mine, "numba"]):
                    softaxis.softmax(X)
                expect(trace, other)
                softaxis.softmax(X)
                expect(trace, mine)

    return work


def test_eight_threads_that_switch_options_see_each_their_own():
    pairs = [("numpy", "default"), ("default", "numpy")]
    in_threads(*(switching(*pairs[i % 2]) for i in range(THREADS)))


def test_threads_without_options_are_not_disturbed():
    results = Counter()
    reference = {name: softaxis.get_backend(name).softmax(X) for name in ("numpy", "default")}

    def plain():
        for _ in range(ROUNDS):
            with softaxis.backend_opts(trace=True) as trace:
                softaxis.softmax(X)
            expect(trace, "numba", "numpy")  # the first one declines small arrays
            results["right"] += np.allclose(softaxis.softmax(X), reference["numpy"], rtol=1e-15)

    in_threads(plain, *(switching("default", "numpy") for _ in range(THREADS - 1)))
    assert results["right"] == ROUNDS


def test_set_backends_while_others_call():
    """A call decides by the old options or by the new ones, and afterwards by the new ones only."""
    done = threading.Event()
    seen = Counter()

    def call():
        while not done.is_set():
            with softaxis.backend_opts(trace=True) as trace:
                softaxis.softmax(X)
            *_, (_, name, outcome, _) = trace
            assert outcome == "ran"
            seen[name] += 1
            assert softaxis.softmax(X).shape == (2, 2)

    def choose():
        try:
            for _ in range(ROUNDS):
                for name in ("default", "numpy"):
                    softaxis.set_backends(prioritize=name)
                    for _ in range(3):
                        assert softaxis.explain_dispatch(softaxis.softmax, X).backend == name
        finally:
            done.set()

    in_threads(choose, *(call for _ in range(THREADS - 1)))
    assert set(seen) <= {"numpy", "default"}
    assert sum(seen.values()) > 0
    assert softaxis.explain_dispatch(softaxis.softmax, X).backend == "numpy"


def test_first_calls_of_many_threads_at_once(tmp_path):
    seen = run(
        """
import json, sys, threading
import numpy as np, softaxis
sys.setswitchinterval(1e-6)
x = np.ones((2, 3))
functions = [softaxis.softmax, softaxis.log_softmax, softaxis.logsumexp, softaxis.hardmax]
barrier, results = threading.Barrier(8), []
def work(i):
    barrier.wait()
    for j in range(4):
        results.append(float(np.sum(functions[(i + j) % 4](x, axis=-1))))
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(json.dumps({"sums": sorted(round(r, 6) for r in results)}))
""",
        site=tmp_path,
    )
    log = [round(-6 * float(np.log(3)), 6)] * 8
    assert seen["sums"] == sorted(log + [2.0] * 16 + [round(2 * (1 + float(np.log(3))), 6)] * 8)


def test_a_backend_that_is_slow_to_import_is_loaded_once(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "import numpy as np\n"
        "from softaxis.backend import Backend\n"
        "bodies = []\n"
        "def __getattr__(name):\n"
        "    if name != 'backend':\n"
        "        raise AttributeError(name)\n"
        "    bodies.append(name)\n"
        "    time.sleep(0.2)\n"
        "    backend = Backend('slow', types=(np.ndarray,))\n"
        "    backend.implements(name='softmax', dtypes=None)(lambda x, **_: (x, backend))\n"
        "    return backend\n"
    )
    info = tmp_path / "slow-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[softaxis.backends.numpy]\nslow = slow:backend\n")
    seen = run(
        """
import json, threading
import numpy as np, softaxis
x = np.ones(3)
barrier, found = threading.Barrier(8), []
def work():
    barrier.wait()
    with softaxis.backend_opts(prioritize="slow"):
        found.append(softaxis.softmax(x)[1])
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(json.dumps({"threads": len(found), "backends": len({id(b) for b in found})}))
""",
        site=tmp_path,
    )
    assert seen["threads"] == 8
    assert seen["backends"] == 1


def test_a_broken_backend_is_one_log_line_from_many_threads(tmp_path):
    seen = run(
        """
import json, sys, threading
import numpy as np, softaxis
sys.setswitchinterval(1e-6)
x = np.ones(3)
barrier = threading.Barrier(8)
def work():
    barrier.wait()
    softaxis.softmax(x)
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(json.dumps({"backend": softaxis.explain_dispatch(softaxis.softmax, x).backend}))
""",
        "unimportable",
        site=tmp_path,
        SOFTAXIS_PRIORITIZE="unimportable",
    )
    assert seen["backend"] == "numpy"
    assert len(seen["log"]) == 1
