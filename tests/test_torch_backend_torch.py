"""The gradients, the memory and the reach of the backends `torch` and `torch_numba`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import softaxis

torch = pytest.importorskip("torch", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings(  # of what PyTorch does itself
    "ignore:`torch.jit.script(_method)?` is deprecated",
)
inf, nan = float("inf"), float("nan")
BACKENDS = ["torch", pytest.param("torch_numba", marks=pytest.mark.needs_package("numba"))]
every_backend = pytest.mark.parametrize("backend", BACKENDS)

TAIL = 4.248354255291589e-18
"""exp(-40), which is 1 - p of the larger logit of [40, 0] to 17 digits."""
NEAR_CERTAINTY = {
    "softmax": (lambda f, x: f.softmax(x)[..., 0], (TAIL, -TAIL)),
    "log_softmax": (lambda f, x: f.log_softmax(x)[..., 0], (TAIL, -TAIL)),
    "cross_entropy": (
        lambda f, x: f.cross_entropy(x, torch.zeros(x.shape[:-1]).long()),
        (-TAIL, TAIL),
    ),
}
"""A function, and its gradient at [40, 0]; PyTorch's own are 0 for the first logit."""


@every_backend
@pytest.mark.parametrize("function", NEAR_CERTAINTY)
def test_the_largest_logit_has_its_gradient_near_certainty(backend, function):
    call, gradient = NEAR_CERTAINTY[function]
    f = softaxis.get_backend(backend)
    x = torch.tensor([[40.0, 0.0]], dtype=torch.float64, requires_grad=True)
    expected = torch.tensor([gradient], dtype=torch.float64)
    (first,) = torch.autograd.grad(call(f, x).sum(), x, create_graph=True)
    torch.testing.assert_close(first, expected, rtol=1e-14, atol=0)
    # the second derivative of each of the three is, to first order in the tail, its sign and size
    (second,) = torch.autograd.grad(first[0, 0], x)
    sign = -1.0 if function != "cross_entropy" else 1.0
    torch.testing.assert_close(
        second, sign * torch.tensor([[TAIL, -TAIL]], dtype=x.dtype), rtol=1e-14, atol=0
    )
    _, tangent = torch.func.jvp(
        lambda z: call(f, z), (x.detach(),), (torch.ones_like(x) * torch.tensor([1.0, 0.0]),)
    )
    torch.testing.assert_close(tangent, expected[:, 0], rtol=1e-14, atol=0)


def logits(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.randn(6, 9, generator=generator, dtype=torch.float64)
    x[1, 2] = 40.0  # all but certain
    return x.to(dtype)


def masks():
    mask = logits() > -2
    mask[:, 3] = mask[0] = False  # fully masked, along either axis
    return mask


LABELS = torch.tensor([0, 2, 8, -1, 3, 3])
CALLS = {
    "softmax": lambda f, x, mask: f.softmax(x),
    "softmax-masked": lambda f, x, mask: f.softmax(x, axis=0, where=mask),
    "log_softmax": lambda f, x, mask: f.log_softmax(x),
    "log_softmax-masked": lambda f, x, mask: f.log_softmax(x, axis=0, where=mask),
    "logsumexp": lambda f, x, mask: f.logsumexp(x, axis=-1),
    "logsumexp-masked": lambda f, x, mask: f.logsumexp(x, axis=0, where=mask, keepdims=True),
    "cross_entropy": lambda f, x, mask: f.cross_entropy(x, LABELS, ignore_index=-1),
    "cross_entropy-axis-0": lambda f, x, mask: f.cross_entropy(
        x.movedim(1, 0), LABELS, axis=0, ignore_index=-1, reduction="mean"
    ),
    "cross_entropy-sum": lambda f, x, mask: f.cross_entropy(
        x, LABELS.to(torch.int8), ignore_index=-1, reduction="sum"
    ),
    "cross_entropy-smoothed": lambda f, x, mask: f.cross_entropy(
        x, LABELS, ignore_index=-1, label_smoothing=0.25, reduction="mean"
    ),
    "cross_entropy-spread": lambda f, x, mask: f.cross_entropy(
        x, LABELS, ignore_index=-1, label_smoothing=1.0
    ),
    "cross_entropy-z": lambda f, x, mask: f.cross_entropy(
        x, LABELS, ignore_index=-1, label_smoothing=0.25, z_loss=0.5, reduction="mean"
    ),
    "cross_entropy-weighted": lambda f, x, mask: f.cross_entropy(
        x, LABELS, ignore_index=-1, class_weights=torch.arange(9.0), where=mask | (x > 3)
    ),
}
CASES = [("torch", name) for name in CALLS] + [
    pytest.param("torch_numba", name, marks=pytest.mark.needs_package("numba")) for name in CALLS
]
every_case = pytest.mark.parametrize(("backend", "case"), CASES)


def gradient(backend, case, x, mask, **options):
    """Return the result, and the gradient of a weighted sum of what is finite of it."""
    x = x.clone().requires_grad_()
    y = CALLS[case](softaxis.get_backend(backend), x, mask)
    weights = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).reshape(y.shape)
    scalar = (torch.where(torch.isfinite(y), y, 0.0) * weights.to(y.dtype)).sum()
    return y.detach(), torch.autograd.grad(scalar, x, **options)[0]


@pytest.mark.parametrize("case", [*(f"{name}-near-certainty" for name in NEAR_CERTAINTY), *CALLS])
def test_what_is_compiled_has_the_same_gradient(case):
    torch._dynamo.reset()
    mask, f = masks(), softaxis
    name = case.removesuffix("-near-certainty")
    if name != case:
        x = torch.tensor([[40.0, 0.0]], dtype=torch.float64)
        call, tolerance = (lambda z: NEAR_CERTAINTY[name][0](f, z)), 1e-14
    else:
        x, tolerance = logits(torch.float64), 1e-12
        call = lambda z: CALLS[case](f, z, mask)  # noqa: E731
    gradients = []
    for function in (call, torch.compile(call, fullgraph=True, backend="aot_eager")):
        z = x.clone().requires_grad_()
        y = function(z)
        torch.where(torch.isfinite(y), y, 0.0).sum().backward()
        gradients.append(z.grad)
    scale = tolerance if tolerance == 1e-12 else 0
    torch.testing.assert_close(*gradients, rtol=tolerance, atol=scale)


@pytest.mark.parametrize("case", CALLS)
@pytest.mark.needs_package("numba")
def test_what_is_compiled_calls_the_kernels_as_operators(case):
    from functorch.compile import make_boxed_func
    from torch._dynamo.backends.common import aot_autograd

    torch._dynamo.reset()
    programs = []

    def look(module, _):
        programs.append(str(module.graph))
        return make_boxed_func(module.forward)

    x, mask = logits(), masks()
    call = lambda z: CALLS[case](softaxis, z, mask)  # noqa: E731
    look_and_trace = aot_autograd(fw_compiler=look, bw_compiler=look)
    softaxis.set_backends(prioritize="torch_numba")
    try:
        compiled = torch.compile(call, fullgraph=True, backend=look_and_trace)
        gradients = []
        for function in (call, compiled):
            z = x.clone().requires_grad_()
            y = function(z)
            torch.where(torch.isfinite(y), y, 0.0).sum().backward()
            gradients.append((y.detach(), z.grad))
    finally:
        softaxis.set_backends()
    torch.testing.assert_close(*gradients, rtol=0, atol=0)
    assert len(programs) == 2  # forward and backward
    assert all("softaxis" in program for program in programs)


@every_case
@pytest.mark.parametrize("hidden", [0.0, nan, inf], ids=str)
def test_results_and_gradients_are_those_of_the_array_api_in_float64(backend, case, hidden):
    """To 16 eps of the largest term: two roundings of the weight beside the 8 that are promised."""
    mask, x = masks(), logits()
    expected = gradient("default", case, x.double(), mask)
    if "masked" in case:
        x = torch.where(mask, x, hidden)
    eps = torch.finfo(torch.float32).eps
    for got, wanted in zip(gradient(backend, case, x, mask), expected, strict=True):
        assert got.dtype == torch.float32
        scale = float(torch.where(torch.isfinite(wanted), wanted, 0.0).abs().max())
        torch.testing.assert_close(
            got.double(), wanted, rtol=16 * eps, atol=16 * eps * scale, equal_nan=True
        )


@every_backend
@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp", "cross_entropy"])
def test_derivatives_of_both_orders_in_every_mode(backend, function):
    f, labels = softaxis.get_backend(backend), torch.tensor([1, 0, 3])
    x = logits(torch.float64)[2:5, :4].clone().requires_grad_()
    call = {
        "softmax": f.softmax,
        "log_softmax": f.log_softmax,
        "logsumexp": lambda z: f.logsumexp(z, axis=-1),
        "cross_entropy": lambda z: f.cross_entropy(z, labels, reduction="mean"),
    }[function]
    assert torch.autograd.gradcheck(
        call, x, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )
    assert torch.autograd.gradgradcheck(
        call, x, check_fwd_over_rev=True, check_rev_over_rev=True, check_batched_grad=True
    )
    once, twice = torch.func.jacrev(call)(x.detach()), torch.func.jacrev(torch.func.jacfwd(call))
    torch.testing.assert_close(once, torch.func.jacfwd(call)(x.detach()), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(
        twice(x.detach()), torch.func.hessian(call)(x.detach()), rtol=1e-12, atol=1e-14
    )
    per_row = torch.func.vmap(torch.func.grad(lambda z: f.softmax(z)[0]))(x.detach())
    torch.testing.assert_close(
        per_row, torch.func.vmap(torch.func.jacrev(f.softmax))(x.detach())[:, 0]
    )


@every_backend
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_autocast_changes_no_dtype(backend, dtype):
    dtype = getattr(torch, dtype)
    for n in (3, 40):
        x = torch.ones(2, n, dtype=dtype, requires_grad=True)
        with torch.autocast("cpu", dtype=torch.bfloat16), softaxis.backend_opts(prioritize=backend):
            results = (
                softaxis.softmax(x),
                softaxis.log_softmax(x),
                softaxis.logsumexp(x, axis=-1),
                softaxis.cross_entropy(x, torch.zeros(2).long(), reduction="mean"),
            )
            for y in results:
                (slope,) = torch.autograd.grad(y.sum(), x)
                assert y.dtype == slope.dtype == dtype


def test_autocast_changes_no_dtype_of_plain_calls_either():
    x = torch.ones(2, 3, dtype=torch.bfloat16)
    softaxis.softmax(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert softaxis.softmax(x).dtype == torch.bfloat16
        assert softaxis.softmax(x.float()).dtype == torch.float32


@pytest.mark.filterwarnings(
    "ignore:`torch.jit.trace` is deprecated", "ignore::torch.jit.TracerWarning"
)
def test_whoever_watches_operators_sees_them():
    """A kernel that reads memory behind the back of a mode would be missing from its record."""
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    x = torch.arange(2.0**18).reshape(-1, 64) / 2**16
    for call in (lambda z: softaxis.log_softmax(z * 2), lambda z: softaxis.log_softmax(z[:2])):
        expected = call(x)
        seen.clear()
        with Watch():
            call(x)
        assert len(seen) > 2
        program = make_fx(call)(torch.zeros_like(x))
        torch.testing.assert_close(program(x), expected)
        torch.testing.assert_close(torch.jit.trace(call, torch.zeros_like(x))(x), expected)


@pytest.mark.parametrize("device", ["meta", "fake"])
def test_tensors_without_numbers(device):
    from torch._subclasses.fake_tensor import FakeTensorMode

    def shapes():
        x = torch.empty(300, 500, device="meta" if device == "meta" else None)
        labels = torch.zeros(300, dtype=torch.int64, device=x.device)
        yield softaxis.softmax(x).shape, (300, 500)
        yield softaxis.log_softmax(x, axis=0, where=x > 0).shape, (300, 500)
        yield softaxis.logsumexp(x, axis=1, keepdims=True).shape, (300, 1)
        yield softaxis.cross_entropy(x, labels).shape, (300,)

    if device == "meta":
        assert all(found == wanted for found, wanted in shapes())
    else:
        with FakeTensorMode():
            assert all(found == wanted for found, wanted in shapes())


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of gloo and DTensor
@pytest.mark.parametrize("axis", [0, 1])
def test_sharded_tensors_stay_sharded(axis):
    """One process is enough to see which operators DTensor can place."""
    import torch.distributed as dist

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        from torch.distributed.tensor import DeviceMesh, Replicate, Shard, distribute_tensor

        mesh = DeviceMesh("cpu", [0])
        by_row = [Replicate() if axis else Shard(0)]
        labels = distribute_tensor(LABELS, mesh, by_row)
        for call in (
            lambda z, _: softaxis.softmax(z)[..., 0],
            lambda z, _: softaxis.log_softmax(z)[..., 0],
            lambda z, _: softaxis.logsumexp(z, axis=-1),
            lambda z, y: softaxis.cross_entropy(z, y, ignore_index=-1, reduction="mean"),
        ):
            x = logits()
            x[3] = nan  # an ignored row
            alone = x[:3].clone().requires_grad_() if call(x, LABELS).ndim else x.requires_grad_()
            x = distribute_tensor(alone.detach(), mesh, [Shard(axis)]).requires_grad_()
            expected, y = call(alone, LABELS), call(x, labels)
            torch.testing.assert_close(y.full_tensor(), expected)
            expected.sum().backward()
            y.sum().backward()
            assert x.grad.placements == (Shard(axis),)
            torch.testing.assert_close(x.grad.full_tensor(), alone.grad)
    finally:
        dist.destroy_process_group()


MEMORY = """
import sys, torch, softaxis
softaxis.set_backends(disable=sys.argv[1])
def peak():  # of this program alone: `resource` would count that of its parent
    lines = open("/proc/self/status").read().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
def train(rows, classes):
    x = torch.ones(rows, classes, requires_grad=True)
    before = peak()
    softaxis.cross_entropy(x, torch.zeros(rows, dtype=int), reduction="mean").backward()
    return peak() - before - x.grad.nbytes
train(300, 500)
print(train(640, 50_257))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: reads the peak as Linux tells it")
@pytest.mark.parametrize("disable", ["torch_numba", "none"])
def test_cross_entropy_needs_the_logits_their_gradient_and_little_else(disable):
    """At most 64 MB beside them; PyTorch's own takes two more tensors of 129 MB here."""
    path = [str(Path(softaxis.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, disable],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 64 * 2**20


@pytest.mark.needs_package("numba")
@pytest.mark.parametrize("shape", [(3, 40), (400, 400)])
def test_kernels_share_the_memory_of_tensors_and_write_none_of_it(shape):
    x = torch.randn(shape).t().contiguous().t()
    version, before = x._version, x.clone()
    f = softaxis.get_backend("torch_numba")
    assert f.softmax(x).shape == shape
    f.log_softmax(x.requires_grad_()).sum().backward()
    assert x._version == version
    assert torch.equal(x, before)


def test_wrong_labels_are_refused_however_small_the_tensor():
    for x in (torch.ones(2, 3), torch.ones(500, 300)):
        labels = torch.zeros(len(x), dtype=torch.int64)
        assert torch.isfinite(softaxis.cross_entropy(x, labels)).all()
        for wrong in (-1, x.shape[1]):
            labels[-1] = wrong
            for recorded in (False, True):
                with pytest.raises(ValueError, match="`labels` must be in"):
                    softaxis.cross_entropy(x.clone().requires_grad_(recorded), labels)


@pytest.mark.needs_package("numba")
def test_kernels_use_no_more_threads_than_pytorch_may(monkeypatch):
    from softaxis._backends import _torch_team
    from softaxis._backends._numba import _team

    pool = _team._Pool()
    compute, asked = pool.compute, []

    def recorded(task, helpers):
        asked.append(helpers)
        compute(task, helpers)

    pool.compute = recorded
    monkeypatch.setattr(_team, "_pool", [pool])
    monkeypatch.setattr(_torch_team, "_parallel", lambda: None)  # as where there is no OpenMP
    before, mine = torch.get_num_threads(), softaxis.get_num_threads()
    x = torch.ones(600, 500)
    try:
        softaxis.set_num_threads(4)
        for count in (3, 1):
            torch.set_num_threads(count)
            softaxis.softmax(x)
    finally:
        torch.set_num_threads(before)
        softaxis.set_num_threads(mine)
    assert asked == [2]  # helpers, beside the calling thread


def _normalized(name):
    return "log_softmax" if name.startswith("log_softmax") else "softmax"


PRODUCTS = {
    "softmax_vjp": lambda f, x, v, **given: f.softmax_vjp(f.softmax(x), v, **given),
    "softmax_jvp": lambda f, x, v, **given: f.softmax_jvp(f.softmax(x), v, **given),
    "log_softmax_vjp": lambda f, x, v, **given: f.log_softmax_vjp(f.log_softmax(x), v, **given),
    "log_softmax_jvp": lambda f, x, v, **given: f.log_softmax_jvp(f.log_softmax(x), v, **given),
    "logsumexp_vjp": lambda f, x, v, **given: f.logsumexp_vjp(
        x, f.logsumexp(x, axis=-1), v[..., 0], axis=-1, **given
    ),
    "logsumexp_jvp": lambda f, x, v, **given: f.logsumexp_jvp(
        x, f.logsumexp(x, axis=-1), v, axis=-1, **given
    ),
}
SERVED = [("torch", name) for name in PRODUCTS] + [
    pytest.param("torch_numba", name, marks=pytest.mark.needs_package("numba"))
    for name in ("softmax_vjp", "softmax_jvp", "log_softmax_vjp")
]


def directions(n, dtype=torch.float32):
    """Return logits and directions of six rows, one all but certain, one with an empty class."""
    generator = torch.Generator().manual_seed(n)
    x, v = (3 * torch.randn(6, n, generator=generator, dtype=torch.float64) for _ in range(2))
    x[1, 2], x[2, 1] = 60.0, -inf
    return x.to(dtype), v.to(dtype)


def in_one_step(backend, name, x, v):
    """Call a product of a backend; the functions whose results it takes are those of `torch`."""
    f = softaxis.get_backend("torch")
    own = softaxis.get_backend(backend)
    served = {one: getattr(f, one) for one in ("softmax", "log_softmax", "logsumexp")}
    return PRODUCTS[name](type("Functions", (), served | {name: getattr(own, name)}), x, v)


@pytest.mark.parametrize(("backend", "name"), SERVED)
@pytest.mark.parametrize("n", [5, 40, 70_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_those_of_the_array_api_however_large_the_rows(backend, name, n, dtype):
    x, v = directions(n, dtype)
    expected = PRODUCTS[name](softaxis.get_backend("default"), x.double(), v.double())
    eps = torch.finfo(dtype).eps
    scale = expected.abs().amax(-1, keepdim=True) if expected.ndim == 2 else 1 + expected.abs()
    got = in_one_step(backend, name, x, v)
    assert got.dtype == dtype
    bound = 256 if "logsumexp" in name else 32  # exp(x - lse) of a rounded lse, as documented
    assert ((got.double() - expected).abs() <= bound * eps * (scale + eps)).all()


@pytest.mark.parametrize(("backend", "name"), SERVED)
@pytest.mark.parametrize("n", [5, 40])
@pytest.mark.parametrize("bad", [nan, inf, -inf], ids=str)
def test_what_is_not_finite_stays_in_its_row_of_a_product(backend, name, n, bad):
    x, v = directions(n)
    before = in_one_step(backend, name, x, v)
    alone = torch.cat([in_one_step(backend, name, x[i : i + 1], v[i : i + 1]) for i in range(6)])
    assert torch.equal(before, alone)
    v[2, 1] = v[3, 2] = v[4, 0] = bad  # the first where the probability is 0
    after = in_one_step(backend, name, x, v)
    for row in (0, 1, 5):
        assert torch.equal(after[row].view(torch.int32), before[row].view(torch.int32))
    expected = in_one_step("default", name, x, v)
    torch.testing.assert_close(after, expected, equal_nan=True, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_do_not_run_the_array_api_steps(monkeypatch, name):
    """But where something is to be differentiated, they do."""
    x, v = directions(5)
    asked = []

    def steps(*arguments, **keywords):
        asked.append(name)
        return original(*arguments, **keywords)

    original = getattr(softaxis._generic, name)
    monkeypatch.setattr(softaxis._generic, name, steps)
    for axis in ({}, {"axis": -1}) if "logsumexp" not in name else ({},):
        PRODUCTS[name](softaxis, x, v, **axis)
    assert asked == []
    PRODUCTS[name](softaxis.get_backend("torch"), x, v.requires_grad_()).sum().backward()
    assert asked == [name]
    assert v.grad is not None


def test_directions_of_other_dtypes_and_along_other_axes():
    x, v = directions(40)
    f = softaxis.get_backend("default")
    for backend in ("torch", None):
        g = softaxis if backend is None else softaxis.get_backend(backend)
        for name in ("softmax_vjp", "log_softmax_vjp", "softmax_jvp", "log_softmax_jvp"):
            y = getattr(f, _normalized(name))(x, axis=0)
            for direction in (v, v.double(), v.to(torch.int32), v.T.contiguous().T):
                torch.testing.assert_close(
                    getattr(g, name)(y, direction, axis=0),
                    getattr(f, name)(y, direction, axis=0),
                    equal_nan=True,
                )
        lse = f.logsumexp(x, axis=None)
        torch.testing.assert_close(
            g.logsumexp_vjp(x, lse, torch.tensor(2.0)),
            f.logsumexp_vjp(x, lse, torch.tensor(2.0)),
        )
        mask, lse = x > 0, f.logsumexp(x, axis=1, where=x > 0, keepdims=True)
        for name, last in (("logsumexp_vjp", torch.ones_like(lse)), ("logsumexp_jvp", v)):
            given = {"axis": 1, "where": mask, "keepdims": True}
            torch.testing.assert_close(
                getattr(g, name)(x, lse, last, **given), getattr(f, name)(x, lse, last, **given)
            )


@pytest.mark.parametrize("n", [5, 40])
@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_the_loss_of_a_row_is_the_same_bits_whatever_the_others_hold(n, reduction):
    """Where a probability vanishes, or a row is not finite, losses are computed in another way."""
    f = softaxis.get_backend("torch")
    x, _ = directions(n)
    x[3, 4] = -250.0  # exp(-250) is 0 in float32
    labels = torch.tensor([0, 2, 1, 4, 0, 3])  # of row 2, -inf
    call = lambda z, y: f.cross_entropy(z, y, reduction=reduction)  # noqa: E731

    def computed(rows):
        z = x[rows].clone().requires_grad_()
        y = f.cross_entropy(z, labels[rows], reduction="none")
        (slope,) = torch.autograd.grad(call(z, labels[rows]).sum(), z)
        return y.detach(), slope

    alone = [computed(slice(i, i + 1)) for i in range(6)]
    together = computed(slice(0, 6))
    for i in range(6):
        for one, all_ in zip(alone[i], together, strict=True):
            assert torch.equal(one[0], all_[i])
    expected = softaxis.get_backend("default").cross_entropy(x.double(), labels)
    torch.testing.assert_close(together[0].double(), expected, rtol=1e-6, atol=0)
    assert together[0][2] == inf
    assert together[0][3] > 245
    x[5, 0], x[4, 1] = nan, inf
    for i, row in enumerate(zip(*computed(slice(0, 6)), strict=True)):
        for now, before in zip(row, alone[i], strict=True):
            assert torch.isnan(now).all() if i in (4, 5) else torch.equal(now, before[0])


def test_masked_rows_are_the_same_bits_whatever_the_others_hold():
    """Of a tensor so large that the mask is not applied again where all rows are finite."""
    f = softaxis.get_backend("torch")
    generator = torch.Generator().manual_seed(0)
    for n in (20, 60):
        x = torch.randn(400, n, generator=generator)
        mask = torch.rand(400, n, generator=generator) > 0.4
        mask[:, 0] = True
        for bad in (0.0, nan, inf):
            x[7, 0], mask[9] = bad, bad == 0
            for function, fill in ((f.softmax, 0.0), (f.log_softmax, -inf)):
                y = function(x, where=mask)
                assert (y[~mask] == fill).all()
                for i in (0, 7, 9, 11):
                    alone = function(x[i : i + 1], where=mask[i : i + 1])
                    torch.testing.assert_close(alone[0], y[i], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_a_scaled_loss_has_the_scaled_gradient(dtype, reduction):
    """A gradient that is kept since the loss was computed must not have been rounded to 0."""
    scale = torch.tensor([2.0**15, 2.0**14])[: 2 if reduction == "none" else 1]
    slopes = []
    for disable, own in (("torch_numba", dtype), ("torch_numba torch", torch.float64)):
        softaxis.set_backends(disable=disable.split())
        try:
            x = torch.tensor([[0.0, -16.0], [9.0, 0.0]], dtype=own, requires_grad=True)
            for _ in range(2):  # from the second on without validation
                loss = softaxis.cross_entropy(x, torch.tensor([0, 0]), reduction=reduction)
                (slope,) = torch.autograd.grad((loss * scale.to(own)).sum(), x)
        finally:
            softaxis.set_backends()
        slopes.append(slope.double())
    torch.testing.assert_close(*slopes, rtol=16 * torch.finfo(dtype).eps, atol=0)
