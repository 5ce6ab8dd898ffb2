"""Small tensors: by compiled kernels where these are there, decided once, and by PyTorch else."""

import numpy as np
import pytest

import softaxis

torch = pytest.importorskip("torch", exc_type=ImportError)
pytestmark = [
    pytest.mark.needs_package("numba"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script(_method)?` is deprecated"),
]
inf, nan = float("inf"), float("nan")
FUNCTIONS = {
    "softmax": softaxis.softmax,
    "log_softmax": softaxis.log_softmax,
    "logsumexp": lambda x, **given: softaxis.logsumexp(x, **{"axis": -1, **given}),
    "cross_entropy": lambda x, **given: softaxis.cross_entropy(x, labels_of(x), **given),
}
every_function = pytest.mark.parametrize("name", FUNCTIONS)


def labels_of(x):
    return torch.arange(x.shape[0]) % x.shape[-1]


def numbers(*shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    return 3 * torch.randn(*shape, generator=generator, dtype=dtype)


@pytest.fixture
def ready(monkeypatch):
    """Return what says of all kernels of a dtype that they are there, or that they are not."""
    from softaxis._backends import _torch_ready

    def say(dtype, answer):
        for one in _torch_ready.READY.values():
            monkeypatch.setitem(one, dtype, answer)

    return say


@every_function
def test_kernels_that_are_there_take_small_tensors(ready, name):
    function = getattr(softaxis, name)
    x = numbers(2, 3)
    given = (x, labels_of(x)) if name == "cross_entropy" else (x,)
    ready(torch.float32, True)
    assert softaxis.explain_dispatch(function, *given, axis=-1).backend == "torch_numba"
    ready(torch.float32, False)
    explained = softaxis.explain_dispatch(function, *given, axis=-1)
    assert explained.backend == "torch"
    assert "fewer than 131072 elements, and kernels that are not compiled" in str(explained)


@every_function
def test_large_tensors_go_to_the_kernels_though_these_are_not_there(ready, name):
    from softaxis._backends import _torch_small

    ready(torch.float32, False)
    shortcut = _torch_small._where_ready(name, _torch_small._MADE[name])
    for shape, is_taken in (((4, 5), True), ((131_071, 1), True), ((131_072, 1), False)):
        x = numbers(*shape)
        rest = (labels_of(x), -1, None, "none") if name == "cross_entropy" else (-1,)
        assert (shortcut(x, *rest) is not NotImplemented) == is_taken


def test_all_kernels_of_a_function_have_to_be_there_and_are_asked_for_once(monkeypatch):
    from softaxis._backends._numba import _machine
    from softaxis._backends._torch_ready import Ready

    there = {"one", "two", "one_small", "two_columns"}
    monkeypatch.setattr(_machine, "is_compiled", lambda name, dtype: name in there)
    every, one = Ready("one", "two", "one_small", "two_columns"), Ready("one")
    there.remove("two_columns")
    assert not every[torch.float32]
    assert every[torch.float16]  # which has no such kernel
    assert one[torch.float32]
    there.clear()
    there.update(["two_columns", "two", "one", "one_small"])
    assert not every[torch.float32]  # compiled meanwhile: the bits stay what they were
    assert every[torch.float64]
    there.clear()
    assert one[torch.float32]
    assert not one[torch.bfloat16]
    assert not one[torch.int64]


def test_the_bits_of_a_row_are_the_same_at_every_size_where_kernels_are_there(ready):
    ready(torch.float32, True)
    x = numbers(1500, 100)  # more elements than compiling needs to pay
    labels = torch.arange(1500) % 100
    for function in (
        lambda z, axis: softaxis.logsumexp(z, axis=axis),
        lambda z, axis: softaxis.cross_entropy(z, labels[: z.shape[1 - axis]], axis=axis),
    ):
        together = function(x, 1)
        for some in (1, 7, 300):
            assert torch.equal(function(x[:some], 1), together[:some])
            assert torch.equal(function(x[:some].T, 0), together[:some])
            assert torch.equal(function(x[:some].T.contiguous(), 0), together[:some])


@every_function
@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
def test_a_gradient_is_the_same_however_it_is_asked_for(name, small):
    """Twice, with one factor, and with a factor for each row; it belongs to whoever got it."""
    softaxis.set_backends(prioritize="torch_numba")
    try:
        x = numbers(*(4, 6) if small else (300, 500)).requires_grad_()
        y = FUNCTIONS[name](x)
        g = numbers(*y.shape)
        (slope,) = torch.autograd.grad(y, x, g, retain_graph=True)
        before = slope.clone()
        slope.zero_()
        (again,) = torch.autograd.grad(y, x, g, retain_graph=True)
        assert torch.equal(again, before)
        (of_sum,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
        (ones,) = torch.autograd.grad(y, x, torch.ones_like(y), retain_graph=True)
        torch.testing.assert_close(of_sum, ones)
        (half,) = torch.autograd.grad(y.sum(), x, torch.tensor(0.5))
        torch.testing.assert_close(half, ones / 2)
    finally:
        softaxis.set_backends()


@pytest.mark.parametrize("backend", ["default", "torch", "torch_numba"])
@pytest.mark.parametrize("given", [{}, {"z_loss": 0.1}, {"label_smoothing": 0.5}], ids=str)
def test_a_row_of_nothing_but_minus_infinity_has_no_gradient_of_its_loss(backend, given):
    """p is NaN there, and so is p - y; a row that is masked entirely keeps 0."""
    f = softaxis.get_backend(backend)
    x = torch.tensor([[-inf, -inf], [0.0, 1.0]], requires_grad=True)
    labels = torch.tensor([0, 1])
    loss = f.cross_entropy(x, labels, **given)
    assert loss[0] == inf
    (slope,) = torch.autograd.grad(loss.sum(), x)
    _, expected = softaxis.get_backend("default").cross_entropy_and_grad(
        x.detach(), labels, **given
    )
    assert torch.isnan(expected[0]).all()
    torch.testing.assert_close(slope, expected, equal_nan=True)
    if not given:
        where = torch.tensor([[False, False], [True, True]])
        (slope,) = torch.autograd.grad(f.cross_entropy(x, labels, where=where).sum(), x)
        assert torch.equal(slope[0], torch.zeros(2))


HIDDEN = {torch.float32: ("softmax", "log_softmax", "logsumexp"), torch.float16: ("softmax",)}
"""By dtype; each function of each is compiled."""


@pytest.mark.parametrize("dtype", HIDDEN)
@pytest.mark.parametrize("axis", [-1, (1, 3)], ids=str)
def test_what_a_mask_hides_of_a_larger_tensor_takes_no_part(dtype, axis):
    """Each row as it is alone, where the kernel itself is given the mask."""
    f = softaxis.get_backend("torch_numba")
    x = numbers(3, 2, 50, 60, dtype=torch.float64).to(dtype)
    mask = numbers(3, 1, 50, 60) > 0
    mask[0, :, 4] = False  # entirely
    x[0, 1, 5, 7], mask[0, 0, 5, 7] = nan, False
    x[1, 0, 6, 8], mask[1, 0, 6, 8] = inf, False
    x[2, 1, 7, 9], mask[2, 0, 7, 9] = nan, True
    for name in HIDDEN[dtype]:
        together = getattr(f, name)(x, axis=axis, where=mask)
        for i in range(3):
            for j in (4, 5, 6, 7, 20):
                some = slice(i, i + 1), slice(None), slice(j, j + 1)
                alone = getattr(f, name)(x[some], axis=axis, where=mask[i : i + 1, :, j : j + 1])
                if name == "logsumexp" and axis == (1, 3):
                    some = some[0], some[2]
                elif name == "logsumexp":
                    some = some[:3]
                np.testing.assert_array_equal(together[some].numpy(), alone.numpy())
    p = f.softmax(x, axis=axis, where=mask)
    assert torch.isnan(p[2, 1, 7][mask[2, 0, 7]]).all()
    assert not p[2, 1, 7][~mask[2, 0, 7]].any()
    assert not p[0, :, 4].any()
