"""What users ask for: `backend_opts`, `set_backends`, `get_backend`, and what they are told."""

import asyncio
import copy
import multiprocessing
import os
import pickle

import numpy as np
import pytest

import softaxis
from softaxis.backend import Backend, Capability, declined

X = np.array([[1.0, 2.0], [0.0, -1.0]])


def ran(function=softaxis.softmax, *arrays, **arguments):
    return softaxis.explain_dispatch(function, *(arrays or (X,)), **arguments).backend


@pytest.fixture(autouse=True)
def _options_of_the_environment():
    yield
    softaxis.set_backends()


def test_options_hold_inside_their_block_only():
    assert ran() == "numpy"
    with softaxis.backend_opts(prioritize="default"):
        assert ran() == "default"
    assert ran() == "numpy"
    with softaxis.backend_opts(disable="numpy"):
        assert ran() == "default"
    assert ran() == "numpy"


def test_blocks_nest():
    with softaxis.backend_opts(prioritize="default", trace=True) as outer:
        with softaxis.backend_opts(prioritize=["numpy"]):
            assert softaxis.softmax(X).shape == (2, 2)
        with softaxis.backend_opts(disable=["default"], trace=True) as inner:
            softaxis.softmax(X)
        with softaxis.backend_opts():
            softaxis.softmax(X)
    assert [name for _, name, _, _ in outer] == ["numpy", "default"]
    assert inner == [
        ("softaxis:softmax", "numba", "declined", "fewer than 131072 elements"),
        ("softaxis:softmax", "numpy", "ran", ""),
    ]


def test_without_trace_there_is_none():
    with softaxis.backend_opts(prioritize="default") as trace:
        assert trace is None


def test_an_exception_inside_a_block_ends_it():
    with pytest.raises(KeyError), softaxis.backend_opts(prioritize="default", trace=True):
        raise KeyError
    assert ran() == "numpy"
    with softaxis.backend_opts(trace=True) as trace, pytest.raises(softaxis.AxisError):
        softaxis.softmax(X, axis=7)
    assert trace == []  # validation comes before any backend


def test_a_block_is_a_context_manager_that_can_decorate():
    @softaxis.backend_opts(prioritize="default")
    def inside():
        return ran()

    assert [inside(), ran(), inside(), ran()] == ["default", "numpy"] * 2


def test_a_trace_records_the_reason_for_declining():
    with softaxis.backend_opts(trace=True) as trace:
        softaxis.softmax(X, where=X > 0)
        softaxis.softmax(X.astype(complex))
        softaxis.hardmax(X)
    assert [event[:3] for event in trace] == [
        ("softaxis:softmax", "numba", "declined"),
        ("softaxis:softmax", "numpy", "declined"),
        ("softaxis:softmax", "default", "ran"),
        ("softaxis:softmax", "numba", "declined"),
        ("softaxis:softmax", "numpy", "declined"),
        ("softaxis:softmax", "default", "ran"),
        ("softaxis:hardmax", "default", "ran"),
    ]
    assert "where" in trace[1][3]
    assert trace[4][3].startswith("takes bool, int8")


def test_declining_returns_notimplemented():
    assert declined("why") is NotImplemented


@pytest.mark.parametrize("ask", [softaxis.backend_opts, softaxis.set_backends])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prioritize": "nobody"}, ValueError, "no backend is called 'nobody'; there are: "),
        ({"prioritize": ["numpy", "nobody"]}, ValueError, "no backend is called 'nobody'"),
        ({"prioritize": [np]}, TypeError, "`prioritize` must be a name or names of backends"),
        ({"disable": [3]}, TypeError, "`disable` must be a name or names of backends, got 3"),
    ],
)
def test_wrong_options_are_refused_and_change_nothing(ask, arguments, error, message):
    with pytest.raises(error, match=message):
        ask(**arguments).__enter__()
    assert ran() == "numpy"


def test_disabling_what_is_not_installed_is_no_error():
    with softaxis.backend_opts(disable=["nobody", "cupy"]):
        assert ran() == "numpy"


def test_set_backends_replaces_what_was_chosen_before():
    softaxis.set_backends(prioritize="default")
    assert ran() == "default"
    softaxis.set_backends(disable="default")
    assert ran() == "numpy"
    softaxis.set_backends()
    assert ran(softaxis.softmax, X, where=X > 0) == "default"


def test_a_block_adds_to_what_set_backends_chose():
    softaxis.set_backends(prioritize="default")
    with softaxis.backend_opts(trace=True) as trace:
        softaxis.softmax(X)
        softaxis.set_backends(disable="default")
        softaxis.softmax(X)
    softaxis.softmax(X)
    assert [name for _, name, _, _ in trace] == ["default", "default"]
    assert ran() == "numpy"


def test_when_nothing_may_run_the_error_says_so():
    with (
        softaxis.backend_opts(disable=["default", "numpy"]),
        pytest.raises(NotImplementedError, match="no backend that may run softaxis:softmax"),
    ):
        softaxis.softmax(X)


def test_explanations():
    explained = softaxis.explain_dispatch(softaxis.softmax, X, where=X > 0)
    assert explained.function == "softaxis:softmax"
    assert explained.array == "numpy.ndarray"
    assert explained.backend == "default"
    names = [(name, outcome) for name, outcome, _ in explained.candidates]
    assert names == [("numba", "declined"), ("numpy", "declined"), ("default", "ran")]
    first, second, third, fourth = str(explained).splitlines()
    assert first == "softaxis:softmax on numpy.ndarray ran on: default"
    assert second == "  1. numba: declined (fewer than 131072 elements)"
    assert third.startswith("  2. numpy: declined (")
    assert fourth == "  3. default: ran"
    not_needed = softaxis.explain_dispatch(softaxis.softmax, X).candidates[2]
    assert not_needed == ("default", "not needed", "")
    assert softaxis.explain_dispatch(softaxis.logsumexp, [1.0, 2.0]).array == "numpy.ndarray"
    assert ran(softaxis.softmax_vjp, X, X) == "default"


def test_explanations_when_nothing_runs():
    with softaxis.backend_opts(disable="default"):
        explained = softaxis.explain_dispatch(softaxis.softmax, X, where=X > 0)
    assert explained.backend == ""
    assert [outcome for _, outcome, _ in explained.candidates] == ["declined", "declined"]
    assert "ran on: nothing" in str(explained)


@pytest.mark.parametrize(
    "function", [print, np.exp, softaxis.list_backends, lambda x: x, "softmax"]
)
def test_only_functions_of_softaxis_are_explained(function):
    with pytest.raises(TypeError, match="`function` must be a public function of softaxis"):
        softaxis.explain_dispatch(function, X)


def test_an_explained_call_raises_what_the_call_raises():
    with pytest.raises(softaxis.AxisError):
        softaxis.explain_dispatch(softaxis.softmax, X, axis=9)
    with pytest.raises(TypeError, match="missing"):
        softaxis.explain_dispatch(softaxis.softmax)


def test_get_backend_runs_one_backend_behind_the_same_validation():
    numpy, default = softaxis.get_backend("numpy"), softaxis.get_backend("default")
    np.testing.assert_allclose(numpy.softmax(X), default.softmax(X), rtol=1e-15)
    np.testing.assert_array_equal(
        default.softmax([1.0, 2.0]), default.softmax(np.array([1.0, 2.0]))
    )
    np.testing.assert_array_equal(numpy.softmax(X, axis=-2), numpy.softmax(X, axis=0))
    loss, grad = default.cross_entropy_and_grad(X, np.array([0, 1]), reduction="mean")
    assert loss.shape == ()
    assert grad.shape == (2, 2)
    with pytest.raises(softaxis.AxisError):
        numpy.softmax(X, axis=2)
    with pytest.raises(TypeError, match="`where` must have a boolean dtype"):
        numpy.softmax(X, where=X)
    with pytest.raises(TypeError, match=r"softmax\(\) got an unexpected keyword argument 'axes'"):
        numpy.softmax(X, axes=1)
    with pytest.raises(TypeError, match="MaskedArray"):
        default.softmax(np.ma.masked_array(X))
    assert repr(numpy) == "softaxis.get_backend('numpy')"


def test_get_backend_does_not_fall_back():
    numpy = softaxis.get_backend("numpy")
    with pytest.raises(NotImplementedError, match=r"'numpy' declined softaxis:softmax.*: .*where"):
        numpy.softmax(X, where=X > 0)
    with pytest.raises(NotImplementedError, match="takes bool, int8"):
        numpy.softmax(X.astype(complex))
    with pytest.raises(AttributeError, match="backend 'numpy' implements no 'softmax_vjp'"):
        _ = numpy.softmax_vjp
    assert not hasattr(numpy, "no_such_function")
    with pytest.raises(ValueError, match="no backend is called 'nobody'"):
        softaxis.get_backend("nobody")


def test_get_backend_disregards_what_is_disabled_for_calls():
    with softaxis.backend_opts(disable="numpy"):
        assert softaxis.get_backend("numpy").softmax(X).shape == (2, 2)


def test_the_listing():
    listed = {status.name: status for status in softaxis.list_backends()}
    assert list(listed)[:10] == [
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
    ran()
    numpy = {status.name: status for status in softaxis.list_backends()}["numpy"]
    assert (numpy.package, numpy.origin, numpy.state, numpy.reason) == (
        "numpy",
        "softaxis",
        "ready",
        "",
    )
    assert all(isinstance(record, Capability) for record in numpy.functions.values())
    default = listed["default"]
    assert default.state == "ready"
    assert set(numpy.functions) <= set(default.functions)
    for status in listed.values():
        assert status.state in {"ready", "available", "missing", "blocked", "broken"}
        assert bool(status.functions) <= (status.state == "ready")
        assert bool(status.reason) == (status.state in {"missing", "blocked", "broken"})


def test_the_listing_follows_the_options():
    with softaxis.backend_opts(disable=["numpy", "default"]):
        listed = {status.name: status for status in softaxis.list_backends()}
    assert listed["numpy"].state == "blocked"
    assert listed["numpy"].reason == "disabled in code"
    assert listed["default"].state == "blocked"
    assert listed["default"].reason == "disabled in code"


def test_asyncio_tasks_have_options_of_their_own():
    async def task(name):
        with softaxis.backend_opts(prioritize=name, trace=True) as trace:
            for _ in range(20):
                softaxis.softmax(X)
                await asyncio.sleep(0)
        return {name for _, name, _, _ in trace}

    async def without():
        seen = set()
        for _ in range(20):
            seen.add(ran())
            await asyncio.sleep(0)
        return seen

    async def main():
        return await asyncio.gather(task("default"), without(), task("numpy"), task("default"))

    assert asyncio.run(main()) == [{"default"}, {"numpy"}, {"numpy"}, {"default"}]


def test_a_task_inherits_the_options_it_was_started_under():
    async def main():
        with softaxis.backend_opts(prioritize="default"):
            task = asyncio.create_task(asyncio.to_thread(ran))
            return await task

    assert asyncio.run(main()) == "default"


def _in_a_child(queue):
    queue.put(
        [ran(), np.array_equal(softaxis.softmax(X), softaxis.get_backend("default").softmax(X))]
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT RUN: there is no fork here")
def test_a_forked_process_starts_with_the_options_of_its_parent():
    context = multiprocessing.get_context("fork")
    softaxis.set_backends(prioritize="default")
    queue = context.SimpleQueue()
    with softaxis.backend_opts(disable="numpy"):
        process = context.Process(target=_in_a_child, args=(queue,))
        process.start()
        process.join(60)
    assert queue.get() == ["default", True]


@pytest.mark.parametrize("name", ["softmax", "logsumexp", "cross_entropy", "explain_dispatch"])
def test_functions_survive_pickling_and_copying_inside_a_block(name):
    function = getattr(softaxis, name)
    with softaxis.backend_opts(prioritize="default"):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(function, protocol)) is function
        assert copy.copy(function) is copy.deepcopy(function) is function


def test_records_survive_pickling_and_copying():
    records = [
        softaxis.explain_dispatch(softaxis.softmax, X),
        softaxis.list_backends()[0],
        Capability(dtypes=("float16",), min_size=3),
        softaxis.AxisError(3, 2),
    ]
    for record in records:
        for again in (pickle.loads(pickle.dumps(record)), copy.deepcopy(record)):
            assert type(again) is type(record)
            assert str(again) == str(record)


def test_a_backend_is_checked_when_it_is_made():
    with pytest.raises(ValueError, match="`name` must be an identifier other than 'default'"):
        Backend("default", types=(np.ndarray,))
    with pytest.raises(ValueError, match="got 'two words'"):
        Backend("two words", types=(np.ndarray,))
    with pytest.raises(TypeError, match="`types` must be a tuple of array classes"):
        Backend("mine", types=())
    with pytest.raises(TypeError, match="`types` must be a tuple of array classes"):
        Backend("mine", types=("numpy.ndarray",))
    backend = Backend("mine", types=(np.ndarray,))
    with pytest.raises(TypeError, match="fast"):
        backend.implements(name="softmax", fast=True)(print)

    @backend.implements
    def softmax(x, /, *, axis):
        return x

    assert backend.functions["softmax"].function is softmax
    assert backend.functions["softmax"].keywords == {"axis"}
    assert repr(backend) == "Backend('mine', functions=['softmax'])"


def test_a_number_at_its_default_asks_for_nothing():
    """Also where it is another object than the default, and a backend lacks the keyword."""
    x, labels = np.ones((2, 3)), np.array([0, 1])
    same = softaxis.explain_dispatch(
        softaxis.cross_entropy, x, labels, label_smoothing=float("0.0")
    )
    assert same.backend == "numpy"
    other = softaxis.explain_dispatch(softaxis.cross_entropy, x, labels, label_smoothing=0.1)
    assert other.backend == "default"
