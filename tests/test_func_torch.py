"""torch.func: first derivatives and batches by kernels, all else by steps, and all of it right."""

import pytest

import softaxis

torch = pytest.importorskip("torch", exc_type=ImportError)
from torch.func import functional_call, grad, hessian, jacrev, jvp, vjp, vmap  # noqa: E402

pytestmark = pytest.mark.filterwarnings(  # of what PyTorch does itself
    "ignore:`torch.jit.script(_method)?` is deprecated",
)
inf, nan = float("inf"), float("nan")
BACKENDS = ["torch", pytest.param("torch_numba", marks=pytest.mark.needs_package("numba"))]
every_backend = pytest.mark.parametrize("backend", BACKENDS)

FUNCTIONS = {
    "softmax": lambda f, x, y, **given: f.softmax(x, **given),
    "log_softmax": lambda f, x, y, **given: f.log_softmax(x, **given),
    "logsumexp": lambda f, x, y, **given: f.logsumexp(x, **{"axis": -1} | given),
    "cross_entropy": lambda f, x, y: f.cross_entropy(x, y, ignore_index=2),
    "cross_entropy-mean": lambda f, x, y: f.cross_entropy(
        x, y, ignore_index=2, label_smoothing=0.1, reduction="mean"
    ),
    "cross_entropy-sum": lambda f, x, y: f.cross_entropy(x.mT, y, axis=-2, reduction="sum"),
}
every_function = pytest.mark.parametrize("name", FUNCTIONS)


@pytest.fixture
def f(backend):
    return softaxis.get_backend(backend)


def numbers(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(shape, generator=generator, dtype=dtype)


def labels(*shape, classes=5):
    return torch.arange(torch.Size(shape).numel()).reshape(shape) % classes


def same(got, expected, rtol=1e-12):
    torch.testing.assert_close(got, expected, rtol=rtol, atol=1e-14, equal_nan=True)


STEPS = (
    *("softmax", "log_softmax", "logsumexp", "cross_entropy"),
    *("cross_entropy_and_grad", "softmax_vjp", "log_softmax_vjp"),
)


@pytest.fixture
def steps(monkeypatch):
    """Return the list of array-API functions that run from now on."""
    seen = []

    def noted(name, function):
        def run(*arguments, **keywords):
            seen.append(name)
            return function(*arguments, **keywords)

        return run

    for name in STEPS:
        monkeypatch.setattr(softaxis._generic, name, noted(name, getattr(softaxis._generic, name)))
    return seen


@every_backend
@every_function
def test_first_derivatives_and_batches_do_not_run_the_array_api_steps(f, name, steps):
    x, y = numbers(3, 4, 5), labels(3, 4)

    def call(z, t):
        return FUNCTIONS[name](f, z, t)

    def slope(z, t):
        return grad(lambda one: (call(one, t) * 2).sum())(z)

    batches = {
        one: (
            vmap(one)(x, y),
            vmap(one, (2, 1), -1)(x.movedim(0, 2), y.T).movedim(-1, 0),
            torch.cat([vmap(one, chunk_size=2)(x, y)]),
        )
        for one in (call, slope)
    }
    _, pull = vjp(lambda z: call(z, y[0]), x[0])
    rows = jacrev(lambda z: call(z, y[0]))(x[0])
    together = vmap(lambda z: call(z, y[0]))(x)
    assert steps == []
    for one, found in batches.items():
        expected = torch.stack([one(*each) for each in zip(x, y, strict=True)])
        for batch in found:
            same(batch, expected)
    same(rows.reshape(-1, 4, 5).sum(0) * 2, slope(x[0], y[0]))
    same(together, torch.stack([call(z, y[0]) for z in x]))
    result = call(x[0], y[0])
    same(pull(torch.full_like(result, 2.0))[0], slope(x[0], y[0]))
    z = x[0].clone().requires_grad_()
    (call(z, y[0]) * 2).sum().backward()
    same(slope(x[0], y[0]), z.grad)


@every_backend
@every_function
def test_further_derivatives_are_those_of_the_array_api(f, name):
    x, y = numbers(2, 3, 5), labels(2, 3)
    default = softaxis.get_backend("default")

    def bend(g):
        return lambda z, t: FUNCTIONS[name](g, z, t).square().sum()

    ways = {
        "hessian": lambda c: vmap(hessian(c))(x, y),
        "reverse twice": lambda c: vmap(jacrev(jacrev(c)))(x, y),
        "three times": lambda c: grad(
            lambda z: grad(lambda w: grad(c)(w, y[0]).square().sum())(z).sin().sum()
        )(x[0]),
        "forward over reverse": lambda c: jvp(lambda z: grad(c)(z, y[0]), (x[0],), (x[1],)),
        "reverse over forward": lambda c: grad(
            lambda z: jvp(lambda w: c(w, y[0]), (z,), (x[1],))[1]
        )(x[0]),
    }
    for way in ways.values():
        same(way(bend(f)), way(bend(default)), rtol=1e-10)


@every_backend
@every_function
def test_what_lies_below_a_transformation_is_recorded_as_well(f, name):
    """backward() through the results of torch.func, and through the ones that outlive it."""
    y = labels(4)
    slopes = []
    for g in (f, softaxis.get_backend("default")):
        x = numbers(4, 5).requires_grad_()
        call = lambda z: FUNCTIONS[name](g, 1.5 * z, y)  # noqa: E731, B023
        result, pull = vjp(call, x)
        direction = numbers(*result.shape, seed=1).requires_grad_()
        (first,) = pull(direction)
        first = first + grad(lambda z: call(z).square().sum())(x)  # noqa: B023
        (first.sin().sum() + result.sum()).backward()
        _, tangent = jvp(pull, (direction.detach(),), (result.detach(),))
        once_more = grad(lambda v: pull(v)[0].sin().sum())(direction)  # noqa: B023
        batch = vmap(pull)(torch.stack([direction, -direction]))[0]
        found = first, x.grad, direction.grad, tangent[0], once_more, batch
        slopes.append([one.detach() for one in found])
    for got, expected in zip(*slopes, strict=True):
        same(got, expected, rtol=1e-10)


@every_backend
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("masked", [0, 1, None], ids=str)
def test_masks_that_are_batched_or_not(f, name, masked, steps):
    x, where = numbers(3, 4, 5), numbers(3, 4, 5, seed=1) > -1
    where[1, 2] = False  # entirely
    x[~where] = nan
    if masked is None:
        where = where[1]
        x[:, ~where] = nan
    elif masked == 1:
        where = where.movedim(0, 1)

    def call(z, mask):
        y = FUNCTIONS[name](f, z, None, where=mask)
        return torch.where(torch.isfinite(y), y, 0.0)

    def slope(z, mask):
        return grad(lambda one: (call(one, mask) ** 2).sum())(z)

    found = vmap(call, (0, masked))(x, where), vmap(slope, (0, masked))(x, where)
    assert steps == []
    masks = [where] * 3 if masked is None else where.unbind(masked)
    for i in range(3):
        z = x[i].clone().requires_grad_()
        y = call(z, masks[i])
        (y**2).sum().backward()
        same(found[0][i], y.detach())
        same(found[1][i], z.grad)
        assert torch.equal(found[1][i][~masks[i]], torch.zeros(int((~masks[i]).sum())).double())


@every_backend
def test_near_certainty(f):
    x, y, tail = torch.tensor([[40.0, 0.0]]).double(), torch.tensor([0]), 4.248354255291589e-18
    expected = torch.tensor([[tail, -tail]], dtype=torch.float64)
    same(vmap(grad(lambda z: f.softmax(z)[0]))(x), expected, 1e-14)
    same(vmap(grad(lambda z: f.log_softmax(z)[0]))(x), expected, 1e-14)
    same(vmap(grad(f.cross_entropy))(x, y), -expected, 1e-14)
    same(vmap(grad(lambda z: grad(f.cross_entropy)(z, y[0])[0]))(x), expected, 1e-14)
    same(vmap(f.cross_entropy)(x, y), expected[:, 0], 1e-14)


@every_backend
def test_labels_that_name_no_class_inside_vmap(f):
    """There they cannot be refused; their rows are NaN, and where they are ignored 0."""
    x, y = numbers(4, 5), torch.tensor([1, 5, -1, -100])
    for ignore_index, last in ((None, nan), (-100, 0.0)):
        call = lambda z, t: f.cross_entropy(z, t, ignore_index=ignore_index)  # noqa: E731, B023
        loss, slope = vmap(call)(x, y), vmap(grad(call))(x, y)
        same(loss[0], f.cross_entropy(x[0], y[0]))
        assert torch.isnan(loss[1:3]).all()
        assert torch.isnan(slope[1:3]).any(-1).all()
        same(loss[3], torch.tensor(last).double())
        assert torch.isfinite(slope[3]).all() == (last == 0)
    with pytest.raises(ValueError, match="`labels` must be in"):
        grad(lambda z: f.cross_entropy(z, y, reduction="sum"))(x)


@every_backend
def test_the_mean_is_that_of_each_member_of_a_batch(f):
    x, y = numbers(3, 4, 5), labels(3, 4)
    y[1, :3] = 2
    y[2] = 2  # all of them are ignored

    def mean(z, t):
        return f.cross_entropy(z, t, ignore_index=2, reduction="mean")

    same(vmap(mean)(x, y), torch.stack([mean(*one) for one in zip(x, y, strict=True)]))
    slope = vmap(grad(mean))(x, y)
    assert torch.equal(slope[2], torch.zeros(4, 5).double())
    assert torch.equal(slope[1, :3], torch.zeros(3, 5).double())


@every_backend
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtypes_are_kept(f, dtype):
    if dtype is torch.bfloat16 and f.name == "torch_numba":
        f = softaxis
    x, y = numbers(3, 5, dtype=torch.float32).to(dtype), labels(3)
    for reduction in ("none", "mean"):
        call = lambda z, t: f.cross_entropy(z, t, reduction=reduction)  # noqa: E731, B023
        assert vmap(call)(x, y).dtype == vmap(grad(call))(x, y).dtype == dtype
    for call in (f.softmax, f.log_softmax, lambda z: f.logsumexp(z, axis=0)):
        assert vmap(call)(x).dtype == grad(lambda z: call(z[0]).sum())(x).dtype == dtype  # noqa: B023


@pytest.mark.needs_package("numba")
def test_several_axes():
    f, x = softaxis.get_backend("torch_numba"), numbers(2, 3, 4, 5)
    for keepdims in (False, True):
        call = lambda z: f.logsumexp(z, axis=(0, 2), keepdims=keepdims).square().sum()  # noqa: E731, B023
        same(vmap(grad(call))(x), torch.stack([grad(call)(one) for one in x]))
        same(grad(call)(x[0]), grad(lambda z: call(z.movedim(1, 1)))(x[0]))  # noqa: B023
    same(vmap(lambda z: f.softmax(z, axis=None))(x).sum((1, 2, 3)), torch.ones(2).double())


def test_gradients_of_each_sample_of_a_model():
    model = torch.nn.Linear(6, 5).double()
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    x, y = numbers(7, 6), labels(7)

    def loss(given, one, label):
        return softaxis.cross_entropy(functional_call(model, given, one), label)

    each = vmap(grad(loss), (None, 0, 0))(parameters, x, y)
    for i in range(7):
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(x[i]), y[i]).backward()
        same(each["weight"][i], model.weight.grad)
        same(each["bias"][i], model.bias.grad)
