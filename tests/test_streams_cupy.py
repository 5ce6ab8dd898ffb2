"""Streams and graphs of CUDA: calls are only put into the current stream, and can be captured."""

from types import SimpleNamespace

import cuda_on_cpu
import cupy
import numpy as np
import pytest
from cuda_on_cpu import HOPPER, Device, HostArray

import softaxis
from softaxis._backends import cupy as backend
from softaxis._backends._cupy import _kernels
from softaxis._backends._cupy._configure import ASIDE, configure

LENGTHS = [10, 3_000, 20_000, 200_000, 2_000_003]  # every regime


class Unreadable(HostArray):
    """An array whose values are not at hand: to look at one would wait for the device."""

    def _refuse(self, *_):
        raise AssertionError("a value was read")

    __bool__ = __int__ = __float__ = __index__ = __iter__ = item = tolist = get = _refuse


def unreadable(x):
    return np.asarray(x).view(Unreadable)


@pytest.mark.needs_program("g++", "no C++ compiler (g++)")
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_no_value_is_read(monkeypatch, pytestconfig, reduction):
    """Neither of labels, which are not checked, nor of what a mean divides by."""
    Device(pytestconfig.cache.mkdir("cuda-on-cpu")).installed(monkeypatch)
    monkeypatch.setattr(cuda_on_cpu, "HostArray", Unreadable)  # what is computed is one as well
    x = unreadable(np.arange(30, dtype="float32").reshape(5, 6))
    rows = unreadable(np.ones((5, 1), "float32"))
    backend.softmax(x, axis=1, where=unreadable(x > 3), temperature=rows, sink=rows[:, 0])
    backend.logsumexp(x, axis=0)
    backend.softmax_vjp(x, x, axis=1)
    labels = unreadable(np.array([0, 9, -1, -7, 3]))
    backend.cross_entropy_and_grad(
        x,
        labels,
        axis=1,
        class_weights=unreadable(np.ones(6, "float32")),
        ignore_index=-1,
        reduction=reduction,
    )


class Recorded:
    """What takes the place of `cupy.RawKernel`."""

    made: list["Recorded"]

    def __init__(self, code, name, options):
        self.name, self.launches = name, []
        self.made.append(self)

    def __call__(self, grid, block, args, **keywords):
        self.launches.append((grid, block, args, keywords))


@pytest.mark.parametrize("length", LENGTHS)
def test_kernels_go_to_the_current_stream_of_cupy(monkeypatch, length):
    """They are given none, and get it from CuPy; each is made and loaded once for a device."""
    kind = type("Kind", (Recorded,), {"made": []})
    monkeypatch.setattr(cupy, "RawKernel", kind)
    monkeypatch.setattr(_kernels, "limits_of", lambda device: HOPPER)
    for name in ("_found", "_ready"):
        monkeypatch.setattr(_kernels, name, {})
    configuration = configure(3, length, 4, limits=HOPPER)
    call = object()
    for device in (0, 0, 1):
        dtypes = (np.dtype("float32"), np.dtype("float32"))
        _kernels.run((device, configuration, *dtypes, 3, _kernels.SOFTMAX, 0), call)
    wanted = [name for name, *_ in _kernels.launches(configuration, 3, _kernels.SOFTMAX)]
    assert [one.name for one in kind.made] == wanted * 2
    assert [len(one.launches) for one in kind.made] == [2] * len(wanted) + [1] * len(wanted)
    for one in kind.made:
        assert {args for _, _, args, _ in one.launches} == {(call,)}
        assert all(given == {"shared_mem": configuration.shared} for *_, given in one.launches)
        if configuration.cluster:
            assert one.max_dynamic_shared_size_bytes == HOPPER.shared - ASIDE


@pytest.mark.parametrize(
    ("capability", "count", "cluster"),
    [("80", 108, 1), ("90", 132, 8), ("90", 14, 1), ("100", 148, 8), ("120", 170, 8)],
)
def test_what_a_device_has(monkeypatch, capability, count, cluster):
    """Clusters from sm_90 on, unless it is a slice with few multiprocessors."""
    found = {"MultiProcessorCount": count, "MaxSharedMemoryPerBlockOptin": 99}
    device = SimpleNamespace(compute_capability=capability, attributes=found)
    monkeypatch.setattr(cupy.cuda, "Device", lambda index: device)
    assert _kernels.limits_of.__wrapped__(0) == (99, cluster)


@pytest.mark.needs_device
@pytest.mark.parametrize("length", LENGTHS)
def test_a_captured_call_is_replayed(length):
    """On a stream of its own, with new values, and memory of a pool as old as the graph."""
    random = np.random.default_rng(length)
    first, second = random.standard_normal((2, 3, length), "float32")
    x, labels = cupy.asarray(first), cupy.asarray(random.integers(0, length, 3))
    out = cupy.empty_like(x)

    def compute():
        softaxis.softmax(x, out=out)
        return softaxis.cross_entropy_and_grad(x, labels, reduction="mean")

    cupy.cuda.get_current_stream().synchronize()
    stream, pool = cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()
    with stream, cupy.cuda.using_allocator(pool.malloc):
        compute()  # compiles and loads the kernels, and fills the pool
        stream.begin_capture()
        loss, grad = compute()
        graph = stream.end_capture()
        x.set(second)
        graph.launch(stream)
        stream.synchronize()
    wanted, slope = softaxis.cross_entropy_and_grad(second, labels.get(), reduction="mean")
    np.testing.assert_allclose(out.get(), softaxis.softmax(second), rtol=1e-5)
    np.testing.assert_allclose(loss.get(), wanted, rtol=1e-5)
    np.testing.assert_allclose(grad.get(), slope, rtol=1e-5, atol=1e-7)
